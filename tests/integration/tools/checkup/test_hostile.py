"""Repositories that mean harm: what they leave on the host, in the branch and in the answer is nothing of theirs."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from core.tools.base import ToolContext, ToolResult
from core.tools.repository import CheckupArguments, RepoCheckup, RepoTests, SuiteArguments
from tests.integration.tools.checkup.conftest import Repo

TEST = "def test_it():\n    assert True\n"
DAEMON = """\
import os, signal, time

if os.fork() == 0:
    os.setsid()
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    if os.fork() == 0:
        while True:
            time.sleep(0.1)
            open("alive", "a").write(".")
    os._exit(0)
"""
REWRITES_GIT = """\
import os, pathlib, stat, subprocess

root = pathlib.Path(__file__).parent
bad = root / "bad.sh"
bad.write_text(f"#!/bin/sh\\ntouch {root.parent}/ran-$$\\necho {{}}\\n")
bad.chmod(0o755)
for name in ("pre-commit", "commit-msg", "post-commit", "reference-transaction", "post-index-change"):
    hook = root / ".git/hooks" / name
    hook.parent.mkdir(exist_ok=True)
    hook.write_bytes(bad.read_bytes())
    hook.chmod(0o755)
with open(root / ".git/config", "a") as config:
    config.write(f'''
[core]
    fsmonitor = {bad}
    hooksPath = {root}/.git/hooks
    sshCommand = {bad}
    pager = {bad}
    editor = {bad}
    worktree = /tmp
    alternateRefsCommand = {bad}
[alias]
    ls-tree = !{bad}
    fast-import = !{bad}
[commit]
    gpgSign = true
[gpg]
    program = {bad}
[filter "x"]
    clean = {bad}
    smudge = {bad}
    required = true
[diff]
    external = {bad}
''')
(root / ".git/info").mkdir(exist_ok=True)
(root / ".git/info/attributes").write_text("* filter=x diff=x\\n")
(root.parent / ".gitconfig").write_text(f"[core]\\n    hooksPath = {root}/.git/hooks\\n")
for path in (root / "a.c", root / "test_it.py"):
    path.write_text("planted \\n")
subprocess.run(["git", "-c", "core.fsmonitor=false", "-c", "core.worktree=" + str(root), "add", "-A"], cwd=root)
"""
NAMES = [b"new\nline.c", b'quo"te\\.c', b"-rf.c", b"\xff\xfe.c", b" space .c", b"tab\t.c", "\u202egnp.c".encode()]


async def attempt(context: ToolContext, **args: str) -> tuple[ToolResult, ToolResult]:
    """Both tools in their order, each with a scratch directory of its own."""
    first = replace(context, scratch_path=context.scratch_path.with_name("first"))
    second = replace(context, scratch_path=context.scratch_path.with_name("second"))
    tests = await RepoTests().perform(SuiteArguments(path="repo"), first)
    given = {"path": "repo", "tests": dict(tests.out), **args}
    return tests, await RepoCheckup().perform(CheckupArguments.model_validate(given), second)


async def test_what_a_suite_leaves_running_is_ended(context: ToolContext, repo: Repo) -> None:
    repo.commit({"conftest.py": DAEMON, "test_it.py": TEST})

    tests, _ = await attempt(context)

    assert "1 passed (pytest)." == tests.out["summary"]
    assert 1 <= tests.processes_ended


async def test_a_flood_of_output_is_bounded_and_its_end_is_kept(context: ToolContext, repo: Repo) -> None:
    flood = "import os\nfor _ in range(400):\n    os.write(1, b'x' * 262143 + b'\\n')\n"
    makefile = "test:\n\t@python flood.py\n\t@python -m pytest -q -p no:cacheprovider checks.py\n"
    repo.commit({"Makefile": makefile, "flood.py": flood, "checks.py": TEST})

    tests, _ = await attempt(context)

    assert "1 passed (make)." == tests.out["summary"]
    assert tests.out["truncated"]
    assert len(json.dumps(tests.out)) < 40 * 1024
    [whole] = tests.produced
    assert 11_000_000 <= whole.path.stat().st_size < 11_000_100
    assert b"bytes left out" in whole.path.read_bytes()
    assert "1 passed in" in tests.out["tail"]


async def test_output_that_is_no_text_is_made_readable(context: ToolContext, repo: Repo) -> None:
    code = "import os\nos.write(1, bytes(range(256)) * 40 + b'\\x1b]0;x\\x07\\n')\n"
    repo.commit({"conftest.py": code, "test_it.py": TEST})

    tests, _ = await attempt(context)

    assert {"\n", "\t"} >= {character for character in tests.out["tail"] if not character.isprintable()} - {"\xad"}


async def test_answers_that_a_suite_makes_up_are_checked(context: ToolContext, repo: Repo) -> None:
    """It can lie about its own tests in any case, but it cannot make the tool fall over."""
    code = (
        "import os\nfor pid in (os.getppid(), 1):\n    try:\n        out = open(f'/proc/{pid}/fd/1', 'wb')\n"
        "    except OSError:\n        continue\n"
        "    out.write(b'{\"exit_code\": -7, \"tests\": \"many\"}\\n' + b'[' * 9000 + b'\\n')\n    out.flush()\n"
    )
    repo.commit({"conftest.py": code, "test_it.py": TEST})

    first = replace(context, scratch_path=context.scratch_path.with_name("first"))
    tests = await RepoTests().perform(SuiteArguments(path="repo"), first)

    if tests.status == "failed":  # it got through to where the answers go
        assert (tests.error or "").startswith("Working on `repo` failed for a reason this tool does not know (")
    else:
        assert "1 passed (pytest)." == tests.out["summary"]


async def test_a_configuration_that_wants_to_run_things_runs_nothing(context: ToolContext, repo: Repo) -> None:
    base = repo.commit({"conftest.py": REWRITES_GIT, "test_it.py": TEST, "a.c": "x; \n"})
    context.workspace.joinpath("before").touch()

    first = replace(context, scratch_path=context.scratch_path.with_name("first"))
    tests = await RepoTests().perform(SuiteArguments(path="repo"), first)
    for left in context.workspace.glob("ran-*"):
        left.unlink()  # while the tests run, they may run what they like
    second = replace(context, scratch_path=context.scratch_path.with_name("second"))
    given = {"path": "repo", "base": base, "tests": dict(tests.out)}
    written = await RepoCheckup().perform(CheckupArguments.model_validate(given), second)

    assert ("succeeded", None) == (written.status, written.error)
    assert [] == list(context.workspace.glob("ran-*"))
    restore(repo)
    assert ["A CHECKUP.md", "M a.c"] == repo.changes(base, written.out["commit"])
    assert b"x;\n" == repo.show(written.out["commit"], "a.c")


def restore(repo: Repo) -> None:
    """A configuration that the test itself can use."""
    (repo.path / ".git/config").write_text("[core]\n    repositoryformatversion = 0\n")
    (repo.path / ".git/info/attributes").unlink()


async def test_links_lead_nowhere(context: ToolContext, repo: Repo) -> None:
    for name, target in {"a.c": "/etc/passwd", "b.c": "../../outside.c", "dir": "/etc", "loop": "loop"}.items():
        (repo.path / name).symlink_to(target)
    outside = context.workspace.parent / "outside.c"
    outside.write_text("mine \n")
    base = repo.commit({"c.c": "x; \n"})
    (repo.path / "pytest.ini").symlink_to("/dev/zero")
    os.mkfifo(repo.path / "pyproject.toml")

    tests, written = await attempt(context)

    assert "No tests were found." == tests.out["summary"]
    assert ["A CHECKUP.md", "M c.c"] == repo.changes(base, written.out["commit"])
    assert "mine \n" == outside.read_text()
    assert b"root:" not in repo.show(written.out["commit"])
    assert b"symbolic links, which are not followed: 4" in repo.show(written.out["commit"])


async def test_strange_names_are_fixed_and_shown_harmlessly(context: ToolContext, repo: Repo) -> None:
    base = repo.commit(dict.fromkeys(NAMES, "x; \n"))

    _, written = await attempt(context)

    commit = written.out["commit"]
    assert len(NAMES) == written.out["files_fixed"]
    listing = repo.git("ls-tree", "-r", "-z", "--name-only", commit).split(b"\0")[:-1]
    assert sorted([b"CHECKUP.md", *NAMES]) == sorted(listing)
    for name in NAMES:
        assert b"x;\n" == repo.git("cat-file", "blob", os.fsencode(commit) + b":" + name)  # type: ignore[arg-type]
    page = repo.show(commit).decode()
    assert "`new\ufffdline.c`" in page
    assert "\u202e" not in page
    assert base == written.out["base"]


async def test_names_that_git_would_not_check_out_are_not_written(context: ToolContext, repo: Repo) -> None:
    blob = repo.git("hash-object", "-w", "--stdin", given=b"x; \n").decode().strip()
    inner = repo.git("mktree", given=f"100644 blob {blob}\tconfig\n".encode()).decode().strip()
    tree = f"040000 tree {inner}\t.GIT\n100644 blob {blob}\ta.c\n040000 tree {inner}\t..\n".encode()
    top = repo.git("mktree", given=tree).decode().strip()
    repo.git("update-ref", "HEAD", repo.git("commit-tree", "-m", "x", top).decode().strip())

    _, written = await attempt(context)

    assert "failed" == written.status
    assert "git could not work with `repo`" in (written.error or "")


async def test_huge_files_and_submodules_are_counted_not_read(context: ToolContext, repo: Repo) -> None:
    repo.commit({"huge.c": b"x; \n" * 500_000, "a.c": "x;\n"})
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{repo.head()},sub")
    repo.git("commit", "--quiet", "-m", "A submodule")
    base = repo.head()

    _, written = await attempt(context)

    assert ["A CHECKUP.md"] == repo.changes(base, written.out["commit"])
    page = repo.show(written.out["commit"]).decode()
    assert "- too large, or too many, to be read: 1 file\n- submodules: 1\n" in page
    assert "- `huge.c`, 2.0 MB" in page


async def test_encodings_and_line_ends_stay_as_they_are(context: ToolContext, repo: Repo) -> None:
    files: dict[str | bytes, str | bytes] = {
        "crlf.c": b"a; \r\nb;",
        "mixed.c": b"a; \r\nb; \n",
        "wide.c": "a; \n".encode("utf-16"),
        "latin.c": "größe \n".encode("latin-1"),
        "bom.c": b"\xef\xbb\xbfa;",
        "free.c": "a; \n",
        ".gitattributes": "free.c -whitespace\n",
    }
    base = repo.commit(files)

    _, written = await attempt(context)

    commit = written.out["commit"]
    assert ["A CHECKUP.md", "M bom.c", "M crlf.c"] == repo.changes(base, commit)
    assert b"a;\r\nb;\r\n" == repo.show(commit, "crlf.c")
    assert b"\xef\xbb\xbfa;\n" == repo.show(commit, "bom.c")


async def test_attributes_and_names_cannot_inject_markup(context: ToolContext, repo: Repo) -> None:
    code = "import pytest\n\n\n@pytest.mark.parametrize('x', ['`](http://evil) <!channel> | \\u202e'])\n"
    repo.commit({"test_it.py": code + "def test_it(x):\n    assert 0\n", "a|b`<c>.c": "x; \n"})

    _, written = await attempt(context)

    page = repo.show(written.out["commit"]).decode()
    assert "| `a\\|b\ufffd<c>.c` | 1 |" in page
    lines = [line for line in page.splitlines() if "evil" in line]
    assert [True] == [line.startswith("- `") and line.endswith("`") and line.count("`") == 2 for line in lines]


async def test_objects_that_are_gone_are_a_sentence(context: ToolContext, repo: Repo) -> None:
    repo.commit({"a.c": "x; \n"})
    blob = repo.git("rev-parse", "HEAD:a.c").decode().strip()
    stored = repo.path / ".git/objects" / blob[:2] / blob[2:]
    stored.chmod(0o600)
    stored.unlink()

    _, written = await attempt(context)

    assert "failed" == written.status
    assert (written.error or "").startswith(("git could not work with `repo`", "`repo` is damaged"))


async def test_replaced_objects_and_grafts_do_not_count(context: ToolContext, repo: Repo) -> None:
    base = repo.commit({"a.c": "x;\n"})
    planted = repo.git("hash-object", "-w", "--stdin", given=b"planted \n").decode().strip()
    repo.git("replace", repo.git("rev-parse", f"{base}:a.c").decode().strip(), planted)

    _, written = await attempt(context)

    assert 0 == written.out["files_fixed"]


def on_disk(path: Path, look: Callable[[Path], bool]) -> list[Path]:
    return [each for each in path.rglob("*") if look(each)]


async def test_nothing_is_left_in_the_workspace(context: ToolContext, repo: Repo) -> None:
    repo.commit({"test_it.py": TEST, "a.c": "x; \n"})

    await attempt(context)

    assert ["repo"] == [path.name for path in context.workspace.iterdir()]
    git = context.workspace / "repo/.git"
    assert [] == on_disk(git, lambda path: path.name.startswith("fast_import_crash") or path.suffix == ".lock")
