"""`git_push`: what people read, what is pushed, and what is not."""

import pytest

from core.errors import TerminalError
from tests.integration.tools.git.places import Place, branches, commit, git, patch_of


async def test_what_was_read_is_pushed_once(place: Place) -> None:
    fix = git(place.cloned(), "rev-parse", "fix")
    before = place.branches()
    prepared = await place.prepare()
    assert {"url": f"file://{place.shop}", "path": "repo", "branch": "fix", "commit": fix, "base": before["main"]} == (
        prepared.args
    )
    assert f"Push 1 commit to the new branch `fix` of file://{place.shop}" == prepared.sentence
    assert ((f"file:{place.shop}",), ()) == (prepared.network, prepared.creds)
    assert prepared == await place.prepare(**prepared.args)
    assert before == place.branches()

    result = await place.push(prepared)
    out = {"branch": "fix", "commit": fix, "url": f"file://{place.shop}"}
    assert ("succeeded", out) == (result.status, result.out)
    assert before | {"fix": fix} == place.branches()
    answer = await place.probe(prepared)
    assert ("happened", out) == (answer.found, answer.out)


async def test_people_read_author_committer_message_and_the_whole_patch(place: Place) -> None:
    place.cloned()
    assert patch_of(await place.prepare()) == (
        f"commit {git(place.repo, 'rev-parse', 'fix')}\n"
        f"parent {git(place.shop, 'rev-parse', 'main')}\n"
        "Author: Dev <dev@example.org>, 2026-01-02 03:04:05 +0200\n"
        "Committer: Dev <dev@example.org>, 2026-01-02 03:04:05 +0200\n"
        "\n"
        "    Mend white space\n"
        "\n"
        "diff --git a/a.py b/a.py\n"
        "index f4c1e09af27d74e587d5d9870573710666a2177e..7d4290a117a4ddcc11daae7ea675841033830c8f 100644\n"
        "--- a/a.py\n"
        "+++ b/a.py\n"
        "@@ -1 +1 @@\n"
        "-x = 1  \n"
        "+x = 1\n"
        "\n"
    )


async def test_commits_are_read_in_their_order_and_merges_in_full(place: Place) -> None:
    repo = place.cloned()
    git(repo, "checkout", "-q", "-b", "side", "main")
    commit(repo, "Aside", side_txt="aside\n")
    git(repo, "checkout", "-q", "fix")
    git(repo, "merge", "-q", "--no-ff", "--no-commit", "side")
    commit(repo, "Join, and slip something in", evil_sh="rm -rf /\n")
    commit(repo, "Empty")
    prepared = await place.prepare()
    text = patch_of(prepared)
    order = ["Mend white space", "Aside", "Join, and slip something in", "A merge:", "+rm -rf /", "it changes no file"]
    assert all(part in text for part in order), text
    assert text.index("Join, and") < text.index("+rm -rf /") < text.index("    Empty")
    assert "Push 4 commits" in prepared.sentence


@pytest.mark.parametrize("other", [False, True])
async def test_a_branch_that_is_there_is_not_pushed_to(place: Place, other: bool) -> None:
    place.cloned()
    git(place.repo, "push", "-q", "origin", "main:refs/heads/fix" if other else "fix")
    before = place.branches()
    with pytest.raises(TerminalError, match="at another commit" if other else "at this very commit"):
        await place.prepare()
    assert before == place.branches()


async def test_a_branch_that_appears_after_it_was_read_is_left_alone(place: Place) -> None:
    place.cloned()
    prepared = await place.prepare()
    git(place.repo, "push", "-q", "origin", "main:refs/heads/fix")
    before = place.branches()
    result = await place.push(prepared)
    assert "failed" == result.status
    assert "somebody else has pushed to it" in result.error
    assert "cannot-tell" == (await place.probe(prepared)).found
    assert before == place.branches()


async def test_a_branch_that_moved_in_the_workspace_is_not_pushed(place: Place) -> None:
    place.cloned()
    prepared = await place.prepare()
    commit(place.repo, "More", c_py="z = 3\n")
    with pytest.raises(TerminalError, match="has moved since"):
        await place.prepare(**prepared.args)
    with pytest.raises(TerminalError, match="has moved since"):
        await place.push(prepared)
    assert "not-happened" == (await place.probe(prepared)).found


async def test_a_default_branch_that_moved_makes_it_another_action(place: Place) -> None:
    place.cloned()
    prepared = await place.prepare()
    moved = commit(place.dev, "Meanwhile", d_py="d = 4\n")
    git(place.dev, "push", "-q", "origin", "HEAD:main")
    again = await place.prepare(**prepared.args)
    assert moved == again.args["base"]
    assert prepared != again
    assert patch_of(prepared) == patch_of(again)


async def test_nothing_new_is_nothing_to_push(place: Place) -> None:
    place.cloned()
    git(place.repo, "branch", "-q", "same", "main")
    with pytest.raises(TerminalError, match="nothing to push"):
        await place.prepare(branch="same")


@pytest.mark.parametrize(
    ("branch", "path", "said"),
    [("nowhere", "repo", "no branch `nowhere`"), ("fix", "inputs", "`inputs`.*is no git"), ("fix", "x", "is no git")],
)
async def test_what_is_not_in_the_workspace_is_not_pushed(place: Place, branch: str, path: str, said: str) -> None:
    place.cloned()
    (place.workspace / "inputs").mkdir()
    with pytest.raises(TerminalError, match=said):
        await place.prepare(branch=branch, path=path)


async def test_more_than_people_would_read_is_not_asked_about(place: Place) -> None:
    commit(place.cloned(), "Much", much_txt="".join(f"{number}\n" for number in range(50_000)))
    with pytest.raises(TerminalError, match="more than 200,000 bytes; split it"):
        await place.prepare()


async def test_a_shallow_copy_and_one_that_is_behind_are_pushed(place: Place) -> None:
    fix = git(place.cloned("--depth", "1"), "rev-parse", "fix")
    commit(place.dev, "Meanwhile", d_py="d = 4\n")
    git(place.dev, "push", "-q", "origin", "HEAD:main")
    prepared = await place.prepare()
    assert "Push 1 commit to" in prepared.sentence
    assert "succeeded" == (await place.push(prepared)).status
    assert fix == place.branches()["fix"]
    assert "" == git(place.shop, "fsck", "--strict")


async def test_the_first_branch_of_an_empty_repository_is_read_from_its_beginning(place: Place) -> None:
    empty = place.shop.with_name("empty.git")
    git(empty.parent, "init", "-q", "--bare", str(empty))
    fix = git(place.cloned(), "rev-parse", "fix")
    prepared = await place.prepare(url=str(empty))
    assert None is prepared.args["base"]
    assert "parent (none: this begins a history)" in patch_of(prepared)
    assert "Push 3 commits" in prepared.sentence
    assert "succeeded" == (await place.push(prepared)).status
    assert {"fix": fix} == branches(empty)


async def test_a_commit_of_the_same_branch_that_is_there_already_counts_as_pushed(place: Place) -> None:
    fix = git(place.cloned(), "rev-parse", "fix")
    prepared = await place.prepare()
    git(place.repo, "push", "-q", "origin", "fix")
    assert "succeeded" == (await place.push(prepared)).status
    assert fix == place.branches()["fix"]
