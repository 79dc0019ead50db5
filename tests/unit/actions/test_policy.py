"""Policy: effects are gated, tools are not."""

import pytest

from core.actions.policy import Decision, decide


@pytest.mark.parametrize("tier", ["read", "workspace"])
def test_reading_and_working_in_the_runs_own_directory_never_ask(tier: str) -> None:
    assert Decision("allow", f"tier:{tier}") == decide(tier)


@pytest.mark.parametrize("tier", ["compensable", "irreversible"])
def test_what_changes_the_world_outside_asks(tier: str) -> None:
    assert Decision("ask", f"tier:{tier}") == decide(tier)


@pytest.mark.parametrize("tier", [None, "", "READ", "something new"])
def test_what_the_operator_did_not_classify_asks(tier: str | None) -> None:
    assert Decision("ask", "unclassified") == decide(tier)
