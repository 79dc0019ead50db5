"""A call found started: decided by its class alone."""

from typing import Any

import pytest

from core.runs.recovery import recover
from tests.factories import NOW_MS, run_row, started_call

MAX_ATTEMPTS = 4


def what_to_do(**columns: Any) -> str:
    return recover(started_call(run_row(), **columns), now_ms=NOW_MS, most_attempts=MAX_ATTEMPTS).do


@pytest.mark.parametrize(
    ("recovery", "do"),
    [("pure", "repeat"), ("idempotent", "repeat"), ("reconcilable", "probe"), ("opaque", "unknown")],
)
def test_only_what_is_safe_to_repeat_is_repeated(recovery: str, do: str) -> None:
    assert do == what_to_do(recovery=recovery)


def test_an_idempotent_call_is_repeated_only_while_its_key_is_remembered() -> None:
    assert "repeat" == what_to_do(recovery="idempotent", idem_valid_until=NOW_MS + 1)
    assert "unknown" == what_to_do(recovery="idempotent", idem_valid_until=NOW_MS)


def test_a_call_that_is_interrupted_every_time_is_given_up() -> None:
    assert "repeat" == what_to_do(recovery="pure", attempts=MAX_ATTEMPTS - 1)
    assert "failed" == what_to_do(recovery="pure", attempts=MAX_ATTEMPTS)


def test_giving_up_on_a_call_that_may_have_done_something_does_not_call_it_failed() -> None:
    assert "unknown" == what_to_do(recovery="idempotent", attempts=MAX_ATTEMPTS)


@pytest.mark.parametrize("recovery", ["pure", "idempotent", "reconcilable", "opaque"])
def test_the_reason_is_a_sentence_part_for_people(recovery: str) -> None:
    why = recover(
        started_call(run_row(), recovery=recovery, attempts=MAX_ATTEMPTS), now_ms=NOW_MS, most_attempts=MAX_ATTEMPTS
    ).why
    assert why and why[0].islower() and not why.endswith(".")
