"""`repo_checkup` in the real sandbox: what is fixed, what is left, what the page says, and that it repeats."""

from dataclasses import replace
from typing import Any

import pytest

from core.tools.base import ToolContext
from core.tools.repository import CheckupArguments, RepoCheckup, RepoTests
from tests.integration.tools.checkup.conftest import Repo
from tests.integration.tools.conftest import RUN_TAIL, Perform

BRANCH = f"banksman/checkup-{RUN_TAIL}"
PAGE = """\
# Checkup

A look at every tracked file and one run of the tests. Nothing here was changed by hand.

## Tests

1 passed, 1 failed (pytest).

Run with `python -m pytest -q -p no:cacheprovider --verbosity=-1 -rfE --color=no`, without a network.

Failing:

- `test_it.py::test_two`

## Fixes

White space only: 6 lines in 2 files.

| File | Line ends | Blank lines at the end | Newline added |
| --- | --- | --- | --- |
| `a.c` | 1 | 3 |  |
| `run.sh` | 1 |  | yes |

Left as it is:

- binary: 1 file
- symbolic links, which are not followed: 1

## What is here

5 files, 278 bytes.

| Language | Files | Lines | Size |
| --- | --- | --- | --- |
| Python | 1 | 6 | 65 bytes |
| C | 1 | 5 | 23 bytes |
| Shell | 1 | 2 | 17 bytes |
| Other | 2 | 1 | 173 bytes |

## Notes to self

1 note (TODO, FIXME, XXX, HACK) in 1 file, most of them in:

- `a.c`, 1
"""


async def test_a_repository_gets_a_branch_with_fixes_and_a_page(
    perform: Perform, context: ToolContext, repo: Repo
) -> None:
    (repo.path / "link").symlink_to("a.c")
    files: dict[str | bytes, str | bytes] = {
        "a.c": "int a; // TODO \nx;\n\n \n\n",
        "run.sh": "#!/bin/sh\t\nexit 0",
        "data.bin": bytes(range(160)),
        "notes.txt": "All is well.\n",
        "test_it.py": "def test_one():\n    assert 1\n\n\ndef test_two():\n    assert 1 == 2\n",
    }
    (repo.path / "run.sh").touch(0o755)
    base = repo.commit(files)
    tests = await perform(RepoTests(), path="repo")

    result = await RepoCheckup().perform(
        CheckupArguments.model_validate({"path": "repo", "tests": tests.out}),
        replace(context, scratch_path=context.scratch_path.with_name("second")),
    )

    assert ("succeeded", None) == (result.status, result.error)
    commit = result.out["commit"]
    assert {
        "branch": BRANCH,
        "commit": repo.git("rev-parse", BRANCH).decode().strip(),
        "base": base,
        "changed": True,
        "files_fixed": 2,
        "lines_fixed": 6,
        "summary": (
            f"White space fixed in 6 lines of 2 files, and CHECKUP.md written, on `{BRANCH}`. "
            "Tests: 1 passed, 1 failed (pytest)."
        ),
        "tests_passed": False,
    } == result.out
    assert ["A CHECKUP.md", "M a.c", "M run.sh"] == repo.changes(base, commit)
    assert b"int a; // TODO\nx;\n" == repo.show(commit, "a.c")
    assert b"#!/bin/sh\nexit 0\n" == repo.show(commit, "run.sh")
    assert repo.git("ls-tree", commit, "run.sh").startswith(b"100755 ")
    assert PAGE == repo.show(commit).decode()
    [page] = result.produced
    assert ("CHECKUP.md", PAGE) == (page.name, page.path.read_text())
    shape = "%P%n%an <%ae>%n%cn <%ce>%n%at %ct %ci%n%B"
    assert (
        f"{base}\nBanksman <banksman@localhost>\nBanksman <banksman@localhost>\n"
        "1700000000 1700000000 2023-11-14 23:13:20 +0100\nFix white space and add CHECKUP.md\n\n"
        "White space at line ends and at the end of files: 6 lines in 2 files.\n\n"
    ) == repo.git("log", "-1", f"--format={shape}", commit).decode()
    assert b"" == repo.git("status", "--porcelain")
    assert base == repo.head()
    repo.git("fsck", "--strict")


async def test_doing_it_twice_is_the_same_as_once(context: ToolContext, repo: Repo) -> None:
    repo.commit({"a.c": "x; \n"})

    results = [await checkup(context, name) for name in ("first", "second")]

    assert results[0].out == results[1].out
    assert "1" == repo.git("rev-list", "--count", f"main..{BRANCH}").decode().strip()


async def test_what_an_attempt_left_when_it_was_cut_off_is_no_obstacle(context: ToolContext, repo: Repo) -> None:
    repo.commit({"a.c": "x; \n"})
    (repo.path / ".git/refs/heads/banksman").mkdir()
    (repo.path / f".git/refs/heads/{BRANCH}.lock").touch()

    assert "succeeded" == (await checkup(context, "first")).status


async def test_a_checkup_of_what_a_checkup_left_changes_nothing(context: ToolContext, repo: Repo) -> None:
    repo.commit({"a.c": "x; \n", "b.txt": "fine\n"})
    first = await checkup(context, "first", branch="one")
    repo.git("merge", "--quiet", "one")
    second = await checkup(context, "second", branch="two")
    repo.git("merge", "--quiet", "two")

    third = await checkup(context, "third", branch="three")

    assert (True, True, False) == tuple(each.out["changed"] for each in (first, second, third))
    assert third.out["base"] == third.out["commit"] == repo.git("rev-parse", "three").decode().strip()
    assert "Nothing to fix, and CHECKUP.md is up to date; there is nothing to push." == third.out["summary"]


async def test_it_begins_from_the_commit_that_was_asked_for(context: ToolContext, repo: Repo) -> None:
    """What the tests commit, write or leave in the index does not get into the branch."""
    base = repo.commit({"a.c": "x;\n"})
    repo.commit({"a.c": "planted\n", "more.c": "x; \n"})
    (repo.path / "a.c").write_text("changed \n")
    (repo.path / "new.c").write_text("new \n")

    result = await checkup(context, "first", base=base)

    assert ["A CHECKUP.md"] == repo.changes(base, result.out["commit"])


async def test_a_detached_head_is_fine(context: ToolContext, repo: Repo) -> None:
    repo.git("checkout", "--quiet", "--detach", repo.commit({"a.c": "x; \n"}))

    assert 1 == (await checkup(context, "first")).out["files_fixed"]


async def test_a_page_that_is_there_is_replaced(context: ToolContext, repo: Repo) -> None:
    (repo.path / "CHECKUP.md").symlink_to("/etc/passwd")
    base = repo.commit({"a.c": "x;\n"})

    result = await checkup(context, "first")

    assert ["T CHECKUP.md"] == repo.changes(base, result.out["commit"])
    assert repo.git("ls-tree", result.out["commit"], "CHECKUP.md").startswith(b"100644 blob ")


async def test_a_change_stays_short_enough_to_be_read(context: ToolContext, repo: Repo) -> None:
    files: dict[str | bytes, str | bytes] = {f"f{n:03}.c": "x; \n" for n in range(60)}
    repo.commit({**files, "a.c": "x; \n" * 400})

    result = await checkup(context, "first")

    assert (50, 50) == (result.out["files_fixed"], result.out["lines_fixed"])
    assert "11 more files can follow in another checkup." in result.out["summary"]
    assert b"11 more files could be fixed the same way" in repo.show(result.out["commit"])


async def test_an_empty_tree_and_an_old_date_are_fine(context: ToolContext, repo: Repo) -> None:
    tree = repo.git("hash-object", "-t", "tree", "-w", "--stdin").decode().strip()
    author = "A <a@b> -62135596800 +9959"
    raw = f"tree {tree}\nauthor {author}\ncommitter {author}\n\nx\n".encode()
    commit = repo.git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", given=raw).decode().strip()
    repo.git("update-ref", "HEAD", commit)

    result = await checkup(context, "first")

    assert ("succeeded", True) == (result.status, result.out["changed"])
    assert b"0 +0000" in repo.git("cat-file", "commit", result.out["commit"])


PROBLEMS: dict[str, tuple[list[list[str]], dict[str, Any], str]] = {
    "no-commit": ([], {}, "`repo` has no commit yet. Commit something to it, then ask again."),
    "unknown-base": (
        [["commit", "--allow-empty", "-m", "x"]],
        {"base": "1" * 40},
        f"`repo` has no commit `{'1' * 40}`. Leave `base` out to use the one checked out.",
    ),
    "checked-out": (
        [["commit", "--allow-empty", "-m", "x"]],
        {"branch": "main"},
        "The branch `main` is checked out. Choose another name for the new one.",
    ),
    "other-work": (
        [["commit", "--allow-empty", "-m", "x"], ["branch", "old"], ["commit", "--allow-empty", "-m", "y"]],
        {"branch": "old"},
        "The branch `old` exists already, with other work on it. Choose another name.",
    ),
    "impossible-name": (
        [["commit", "--allow-empty", "-m", "x"]],
        {"branch": "a..b"},
        "`a..b` is no possible name of a branch. Choose another, e.g. `banksman/checkup`.",
    ),
    "name-of-a-folder": (
        [["commit", "--allow-empty", "-m", "x"], ["branch", "banksman"]],
        {},
        "git could not work with `repo`: ",
    ),
    "broken-config": (
        [["commit", "--allow-empty", "-m", "x"], ["config", "core.repositoryFormatVersion", "99"]],
        {},
        "git could not work with `repo`: ",
    ),
}


@pytest.mark.parametrize("problem", PROBLEMS)
async def test_what_cannot_be_done_is_a_sentence(context: ToolContext, repo: Repo, problem: str) -> None:
    commands, args, sentence = PROBLEMS[problem]
    for command in commands:
        repo.git(*command)

    result = await checkup(context, "first", **args)

    assert "failed" == result.status
    assert (result.error or "").startswith(sentence)
    assert "Traceback" not in (result.error or "")


async def test_a_directory_without_a_repository_is_a_sentence(context: ToolContext) -> None:
    (context.workspace / "repo").mkdir()

    result = await checkup(context, "first")

    assert "`repo` is not a git repository: it has no `.git`. Clone one there first, with `git_read`." == result.error


@pytest.mark.parametrize("name", ["checkup.md", "CHECKUP.md/inside.txt"])
async def test_a_page_that_would_hide_something_is_not_written(context: ToolContext, repo: Repo, name: str) -> None:
    repo.commit({name: "mine\n"})

    result = await checkup(context, "first")

    assert "failed" == result.status
    assert "ename it" in (result.error or "")


async def checkup(context: ToolContext, attempt: str, **args: Any) -> Any:
    """One attempt, with a scratch directory of its own, as the engine gives it one."""
    own = replace(context, scratch_path=context.scratch_path.with_name(attempt))
    return await RepoCheckup().perform(CheckupArguments.model_validate({"path": "repo", **args}), own)
