"""`git_read`: what arrives in the workspace, and what is said when nothing can."""

from typing import Any

import pytest

from core.errors import TerminalError
from core.tools.git.read import GitRead, GitReadArguments
from tests.integration.tools.git.places import Place, commit, git


async def test_a_repository_arrives_with_its_history_and_its_address(place: Place) -> None:
    result = await place.read()
    head = git(place.shop, "rev-parse", "main")
    expected = {"commit": head, "branch": "main", "default_branch": "main", "files": 2, "path": "repo"}
    assert expected | {"url": f"file://{place.shop}"} == result.out
    assert "x = 1  \n" == (place.repo / "a.py").read_text()
    assert f"file://{place.shop}" == git(place.repo, "remote", "get-url", "origin")
    assert ["2", "main"] == [
        git(place.repo, "rev-list", "--count", "HEAD"),
        git(place.repo, "branch", "--show-current"),
    ]
    assert ["repo"] == [entry.name for entry in place.workspace.iterdir()]


@pytest.mark.parametrize(("ref", "branch", "files"), [("other", "other", 2), ("v1", "", 1)])
async def test_a_branch_or_a_tag_is_checked_out(place: Place, ref: str, branch: str, files: int) -> None:
    result = await place.read(ref=ref, path="deep/down/repo")
    assert (git(place.shop, "rev-parse", f"{ref}^{{commit}}"), branch, files) == (
        result.out["commit"],
        result.out["branch"],
        result.out["files"],
    )
    there = place.workspace / "deep" / "down" / "repo"
    assert result.out["commit"] == git(there, "rev-parse", "HEAD")
    assert branch == git(there, "branch", "--show-current")


async def test_a_commit_is_checked_out_by_its_whole_id(place: Place) -> None:
    first = git(place.shop, "rev-parse", "v1")
    result = await place.read(ref=first)
    assert (first, "", "main") == (result.out["commit"], result.out["branch"], result.out["default_branch"])
    assert first == git(place.repo, "rev-parse", "HEAD")
    assert not (place.repo / "b.py").exists()


async def test_a_history_can_be_left_out(place: Place) -> None:
    for name in ("c", "d"):
        commit(place.dev, "Go on", **{f"{name}_py": "1\n"})
    git(place.dev, "push", "-q", "origin", "HEAD:main")
    result = await place.read(depth=1)
    assert "succeeded" == result.status
    assert "1" == git(place.repo, "rev-list", "--count", "HEAD")
    missing = await place.read(depth=1, path="again", ref=git(place.shop, "rev-parse", "main~1"))
    assert "failed" == missing.status
    assert "leave `depth` out" in missing.error


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"ref": "nowhere"}, "no branch, tag or commit `nowhere`"),
        ({"url": "{public}/nothing.git"}, "there is no repository at that address"),
        ({"url": "{public}"}, "there is no repository at that address"),
        ({"url": "{public}/empty.git"}, "has no commits yet"),
    ],
)
async def test_what_cannot_be_read_fails_with_a_sentence(place: Place, args: dict[str, Any], said: str) -> None:
    public = place.shop.parent
    git(public, "init", "-q", "--bare", "empty.git")
    result = await place.read(**{name: value.format(public=public) for name, value in args.items()})
    assert "failed" == result.status
    assert said in result.error
    assert [] == list(place.workspace.iterdir())


async def test_a_path_the_operator_has_not_let_is_not_read(place: Place) -> None:
    with pytest.raises(TerminalError, match="adds `file:/"):
        await place.read(url=str(place.context.workspace))


async def test_what_lies_at_the_path_stays_unless_it_is_from_an_earlier_attempt(place: Place) -> None:
    place.repo.mkdir()
    (place.repo / "notes").write_text("mine")
    with pytest.raises(TerminalError, match="already; use another path"):
        await place.read()
    assert "mine" == (place.repo / "notes").read_text()
    assert ["repo"] == [entry.name for entry in place.workspace.iterdir()]

    assert "succeeded" == (await place.read(path="clone")).status
    (place.workspace / "clone" / "rest").write_text("of an attempt that was cut off")
    assert "succeeded" == (await place.read(path="clone")).status
    assert not (place.workspace / "clone" / "rest").exists()


async def test_a_stopped_call_leaves_nothing(place: Place) -> None:
    context = place.attempt()
    context.kill.set()
    result = await GitRead().perform(GitReadArguments(url=str(place.shop), path="repo"), context)
    assert "failed-safe" == result.status
    assert [] == list(place.workspace.iterdir())


async def test_links_and_odd_names_arrive_as_they_are(place: Place) -> None:
    (place.dev / "link").symlink_to("/etc/passwd")
    commit(place.dev, "Odd", **{"ü w.txt": "1"})
    git(place.dev, "push", "-q", "origin", "HEAD:main")
    assert 4 == (await place.read()).out["files"]
    assert (place.repo / "link").is_symlink()


async def test_an_address_is_written_as_git_would_decode_it(place: Place) -> None:
    odd = place.shop.rename(place.shop.with_name("my 50%25 shop.git"))
    result = await place.read(url=str(odd))
    assert "succeeded" == result.status
    assert "succeeded" == (await place.read(url=result.out["url"], path="again")).status
