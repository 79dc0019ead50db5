"""The playbook in docs/guides/checkup.md works when it is copied, with the real tools between clone and push."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.config.load import parse_config
from core.planners.base import Act, CallOutcome, Finish, PlanRequest, Turn
from core.planners.playbook import PlaybookPlanner
from core.tools.base import ToolContext
from core.tools.registry import Registry
from core.tools.repository import RepoCheckup, RepoTests
from tests.docs.conftest import fence as fence
from tests.docs.fences import Fence
from tests.integration.tools.checkup.conftest import Repo
from tests.integration.tools.conftest import RUN_TAIL

BRANCH = f"banksman/checkup-{RUN_TAIL}"

pytestmark = pytest.mark.runs_fence("docs/guides/checkup.md > The playbook > 1")


@pytest.fixture
def outcomes() -> list[CallOutcome]:
    return []


@pytest.fixture
def decide(fence: Fence, outcomes: list[CallOutcome]):  # type: ignore[no-untyped-def]
    config = parse_config(fence.text.encode(), path=Path("banksman.yml"))
    [source] = config.playbooks.values()

    def turn() -> Turn:
        request = PlanRequest(source.name, source.text, "", {"repo": "../upstream"}, tuple(outcomes))
        return PlaybookPlanner().decide(request)

    return turn


async def played(decide: Any, outcomes: list[CallOutcome], context: ToolContext, base: str) -> Any:
    """Follow the playbook until it wants something of a tool that is not ours here."""
    registry = Registry([RepoTests(), RepoCheckup()])
    while True:
        move = decide().move
        if isinstance(move, Act) and move.step == "clone":
            assert {"url": "../upstream", "path": "repo"} == move.args
            outcomes.append(CallOutcome("clone", "succeeded", {"commit": base}))
        elif isinstance(move, Act) and move.tool in registry.names():
            own = replace(context, scratch_path=context.scratch_path.with_name(move.step))
            result = await registry.get(move.tool).perform(registry.validate(move.tool, move.args), own)
            assert ("succeeded", None) == (result.status, result.error)
            outcomes.append(CallOutcome(move.step, "succeeded", dict(result.out)))
        else:
            return move


async def test_the_playbook_asks_to_push_what_it_wrote(
    decide: Any, outcomes: list[CallOutcome], context: ToolContext, repo: Repo
) -> None:
    base = repo.commit({"test_it.py": "def test_it():\n    assert 0 \n"})

    move = await played(decide, outcomes, context, base)

    assert ("git_push", {"url": "../upstream", "path": "repo", "branch": BRANCH}) == (move.tool, move.args)
    assert ["A CHECKUP.md", "M test_it.py"] == repo.changes(base, BRANCH)
    assert b"1 failed (pytest)." in repo.show(BRANCH)
    outcomes.append(CallOutcome("push", "succeeded", {}))
    end = decide().move
    assert isinstance(end, Finish)
    assert end.summary.endswith(f"Tests: 0 passed, 1 failed (pytest).\nPushed `{BRANCH}`.")


async def test_nobody_is_asked_when_there_is_nothing_to_push(
    decide: Any, outcomes: list[CallOutcome], context: ToolContext, repo: Repo
) -> None:
    await played(decide, outcomes, context, repo.commit({"a.c": "a;\n"}))
    repo.git("merge", "--quiet", BRANCH)
    repo.git("branch", "--quiet", "-D", BRANCH)
    outcomes.clear()

    (context.workspace.parent / "again").mkdir()
    again = replace(context, scratch_path=context.workspace.parent / "again/scratch")
    end = await played(decide, outcomes, again, repo.head())

    assert isinstance(end, Finish)
    assert "Nothing to fix, and CHECKUP.md is up to date; there is nothing to push." in end.summary
