"""`git_push.undo`: a pushed branch goes, exactly where the push left it and nowhere else."""

from pathlib import Path

import pytest

from core.config.builtin import UNDO
from core.config.load import parse_config, uses_in
from core.errors import TerminalError
from core.tools.base import Prepared, Preparing, Probing, Undoing
from core.tools.catalogue import all_tools, call_names, tool_names, undoings
from core.tools.git.push import GitPush
from core.tools.git.undoing import GitPushUndo, GitPushUndoArguments
from core.tools.registry import Registry
from tests.integration.tools.git.places import Place, commit, git


async def pushed(place: Place) -> GitPushUndoArguments:
    """Push a branch, and say what takes that back."""
    place.cloned()
    prepared = await place.prepare()
    result = await place.push(prepared)
    args = GitPush().undo_args(prepared.args, result.out)
    assert args is not None
    return GitPushUndoArguments(**args)


async def prepare(place: Place, args: GitPushUndoArguments) -> Prepared:
    return await GitPushUndo().prepare(args, place.attempt())


async def probe(place: Place, args: GitPushUndoArguments) -> str:
    return (await GitPushUndo().probe(args, place.attempt())).found


async def test_the_branch_goes_and_the_rest_stays(place: Place) -> None:
    before = place.branches()
    args = await pushed(place)
    prepared = await prepare(place, args)
    assert args.model_dump() == prepared.args
    assert f"Delete the branch `fix` of file://{place.shop}, which is at {args.commit}" == prepared.sentence
    assert ((f"file:{place.shop}",), (), ()) == (prepared.network, prepared.creds, prepared.inputs)
    assert before | {"fix": args.commit} == place.branches()
    assert "not-happened" == await probe(place, args)

    done = await place.undo(**args.model_dump())

    assert ("succeeded", before) == (done.status, place.branches())
    assert args.model_dump() == dict(done.out)
    assert "happened" == await probe(place, args)


async def test_a_branch_that_went_on_is_not_even_asked_about(place: Place) -> None:
    args = await pushed(place)
    commit(place.repo, "More", c_py="z = 3\n")
    git(place.repo, "push", "-q", "origin", "fix")
    before = place.branches()

    with pytest.raises(TerminalError, match="has moved since"):
        await prepare(place, args)
    done = await place.undo(**args.model_dump())

    assert ("failed", before) == (done.status, place.branches())
    assert "went on" in str(done.error)
    assert "cannot-tell" == await probe(place, args)


async def test_a_branch_that_is_gone_was_somebody_elses_work(place: Place) -> None:
    args = await pushed(place)
    git(place.shop, "branch", "-q", "-D", "fix")

    with pytest.raises(TerminalError, match="is not there any more"):
        await prepare(place, args)
    done = await place.undo(**args.model_dump())

    assert "failed" == done.status
    assert "not there any more" in str(done.error)


async def test_what_was_pushed_is_known_from_its_arguments_where_only_a_person_says_that_it_ran(place: Place) -> None:
    asked = {"url": "file:///shop.git", "path": "repo", "branch": "fix", "commit": "ab" * 20, "base": None}
    found = GitPush().undo_args(asked, {"resolved_by": "ana"})
    assert {"url": "file:///shop.git", "branch": "fix", "commit": "ab" * 20} == found
    assert None is GitPush().undo_args({**asked, "commit": None}, {})


def test_what_takes_an_effect_back_is_a_tool_of_its_own_that_no_playbook_names() -> None:
    own = parse_config(
        b"tools: {ship: {uses: git_push, tier: compensable, recovery: reconcilable, probe: {settle: 3s}}}\n",
        path=Path("banksman.yml"),
    )
    found = undoings(own.uses)
    assert {"git_push", "ship"} == set(found)
    for name, tool in found.items():
        assert isinstance(tool, Undoing)
        assert isinstance(tool.undo, Preparing)
        assert isinstance(tool.undo, Probing)
        assert f"{name}{UNDO}" == tool.undo.name
    assert set(call_names(own)) - set(tool_names(own)) == {f"{name}{UNDO}" for name in found}
    everything = {tool.name: tool for tool in all_tools(own)}
    assert set(call_names(own)) == set(everything) == set(Registry(everything.values()).names())
    settle = {name: tool.settle_s for name, tool in everything.items() if isinstance(tool, Probing)}
    assert {"git_push": 10.0, "git_push.undo": 10.0, "ship": 3.0, "ship.undo": 3.0} == settle
    assert {"ship": "git_push"} == uses_in(own.policy_text)
    assert {} == uses_in("v: 1") == uses_in("[]") == uses_in("{}")
