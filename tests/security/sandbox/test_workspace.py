"""The workspace: free to use, except for the files that someone trusts later, which come back as they were."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from core.execution.base import Limits, ProcessSpec
from core.execution.local import LocalEnvironment
from core.execution.protected import PATHS

Build = Callable[..., ProcessSpec]


def a_repository(workspace: Path) -> None:
    """What a clone leaves behind."""
    (workspace / ".git" / "hooks").mkdir(parents=True)
    (workspace / ".git" / "info").mkdir()
    (workspace / ".git" / "config").write_text("[core]\n\tbare = false\n")
    (workspace / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (workspace / ".git" / "hooks" / "sample").write_text("#!/bin/sh\n")


def snapshot(directory: Path) -> dict[str, object]:
    """Every path below a directory, with its kind, permissions and content."""
    found: dict[str, object] = {}
    for path in sorted(directory.rglob("*")):
        mode = path.lstat().st_mode
        content = path.read_bytes() if stat.S_ISREG(mode) else b""
        found[str(path.relative_to(directory))] = (mode, content)
    return found


async def test_a_program_may_do_as_it_likes_with_its_own_files(
    environment: LocalEnvironment, python: Build, workspace: Path
) -> None:
    """At the landlock level the supervisor does some of this for it; the program cannot tell."""
    source = """
import os, shutil
os.makedirs("a/b")
open("a/b/file", "w").write("text")
os.chmod("a/b/file", 0o750)
descriptor = os.open("a/b/file", os.O_RDONLY)
os.fchmod(descriptor, 0o640)
os.utime("a/b/file", (1000, 2000))
os.utime(descriptor, ns=(3_000_000_007, 4_000_000_009))
assert os.stat("a/b/file").st_mtime_ns == 4_000_000_009
directory = os.open("a", os.O_RDONLY)
os.chmod("b/file", 0o600, dir_fd=directory)
os.utime("b/file", (5, 6), dir_fd=directory)
os.symlink("a/b/file", "link")
os.chmod("link", 0o644)
os.utime("link", (7, 8), follow_symlinks=False)
assert os.stat("a/b/file").st_mtime == 6
os.chdir("a/b")
os.chmod("../b/./file", 0o604)
shutil.copy2("file", os.environ["TMPDIR"] + "/copy")
shutil.copy2(os.environ["TMPDIR"] + "/copy", "copied")
os.link("file", "hard")
os.rename("hard", "../moved")
os.mkfifo("fifo")
os.chmod(os.getcwd() + "/file", 0o640)
try:
    os.chmod("missing", 0o600)
except FileNotFoundError:
    print("fine")
"""
    result = await environment.run(python(source))

    assert (b"fine\n", 0) == (result.stdout, result.exit_code), result
    status = (workspace / "a" / "b" / "copied").stat()
    assert (0o604, 6) == (stat.S_IMODE(status.st_mode), status.st_mtime)
    assert 0o640 == stat.S_IMODE((workspace / "a" / "b" / "file").stat().st_mode)
    assert 8 == (workspace / "link").lstat().st_mtime


async def test_a_symbolic_link_that_leads_out_leads_nowhere(
    environment: LocalEnvironment, python: Build, workspace: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("secret")
    (workspace / "out").symlink_to(tmp_path)
    source = """
import os
tries = [lambda: open("out/secret").read(), lambda: open("out/new", "w"), lambda: os.listdir("out"),
         lambda: os.chmod("out/secret", 0o777), lambda: os.utime("out/secret", (1, 1))]
for attempt in tries:
    try:
        print("got through", attempt())
    except OSError:
        print("refused")
"""
    result = await environment.run(python(source))

    assert b"refused\n" * 5 == result.stdout, result


ATTACKS_ON_A_REPOSITORY = {
    "a new hook": "open('.git/hooks/post-checkout', 'w').write('#!/bin/sh')",
    "a changed hook": "open('.git/hooks/sample', 'a').write('evil')",
    "an executable hook": "os.chmod('.git/hooks/sample', 0o755)",
    "no hooks": "shutil.rmtree('.git/hooks')",
    "a changed config": "open('.git/config', 'a').write('[core] fsmonitor = evil')",
    "a config moved over": "open('c', 'w').write('evil'); os.replace('c', '.git/config')",
    "a config that is a link": "os.unlink('.git/config'); os.symlink('/etc/passwd', '.git/config')",
    "another repository": "os.rename('.git', 'old'); os.makedirs('.git/hooks'); open('.git/hooks/evil', 'w').close()",
    "a repository that is a link": "os.rename('.git', 'old'); os.symlink('old', '.git')",
    "a repository that is a file": "os.rename('.git', 'old'); open('.git', 'w').write('gitdir: old')",
    "another place for all of it": "open('.git/commondir', 'w').write('../evil')",
    "a second config": "open('.git/config.worktree', 'w').write('[core] fsmonitor = evil')",
    "attributes": "open('.git/info/attributes', 'w').write('* filter=evil')",
    "our config": "open('banksman.yml', 'w').write('policy: allow')",
    "our directory": "os.makedirs('.banksman/x'); open('.banksman/x/y', 'w').close(); os.chmod('.banksman', 0)",
    "our directory as a link": "os.symlink('/tmp', '.banksman')",
    "permissions of the repository": "os.chmod('.git', 0)",
    "permissions of the workspace": "os.chmod('.', 0)",
}


@pytest.mark.parametrize("attack", ATTACKS_ON_A_REPOSITORY)
async def test_what_is_trusted_later_is_as_it_was(
    environment: LocalEnvironment, python: Build, workspace: Path, attack: str
) -> None:
    """Whether the program is refused or its work is undone: afterwards nothing of it is there."""
    a_repository(workspace)
    before = {
        path: state for path, state in snapshot(workspace).items() if path.startswith((".git/hooks", ".git/config"))
    }
    source = f"import os, shutil\ntry:\n    {ATTACKS_ON_A_REPOSITORY[attack]}\nexcept OSError:\n    pass\n"

    result = await environment.run(python(source))

    assert ("exited", 0) == (result.ended, result.exit_code), result
    after = snapshot(workspace)
    trusted = (".git/hooks", ".git/config", ".git/commondir", ".git/info/attributes", ".banksman", "banksman")
    assert before == {path: state for path, state in after.items() if path.startswith(trusted)}
    assert (workspace / ".git").is_dir()
    assert not (workspace / ".git").is_symlink()
    assert 0o755 == stat.S_IMODE(workspace.stat().st_mode)


ELSEWHERE = """
import os, shutil
shutil.copytree(".git", "evil")
with open("evil/config", "a") as config:
    config.write('[core]\\n\\tfsmonitor = "touch ran; false"\\n')
with open(".git/commondir", "w") as place:
    place.write("../evil")
"""


async def test_git_on_the_host_runs_nothing_that_a_program_planted(
    environment: LocalEnvironment, python: Build, workspace: Path, tmp_path: Path
) -> None:
    """A repository that says where the rest of it lies lets git read any config; somebody looks at it afterwards."""
    subprocess.run(["git", "init", "-q", "-b", "main", workspace], check=True)
    (workspace / "file").write_text("hi")
    subprocess.run(["git", "-C", workspace, "add", "file"], check=True)
    shutil.copytree(workspace, tmp_path / "open")
    subprocess.run(["python3", "-c", ELSEWHERE], cwd=tmp_path / "open", check=True)
    subprocess.run(["git", "-C", tmp_path / "open", "status"], check=True, capture_output=True)
    assert (tmp_path / "open" / "ran").exists(), "the attack does not work, so it proves nothing"

    result = await environment.run(python(ELSEWHERE))
    subprocess.run(["git", "-C", workspace, "status"], check=True, capture_output=True)

    assert 0 == result.exit_code, result
    assert "It changed protected files (.git/commondir); that was undone." in result.detail
    assert not (workspace / "ran").exists()


async def test_a_missing_path_is_protected_too(environment: LocalEnvironment, python: Build, workspace: Path) -> None:
    """In a workspace without a repository nobody can plant one."""
    source = f"""
import os
for path in {PATHS!r}:
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        open(path, "w").write("planted")
    except OSError:
        pass
open("mine", "w").close()
"""
    result = await environment.run(python(source))

    assert ["mine"] == [path.name for path in workspace.iterdir()]
    assert "It changed protected files (" in result.detail
    assert ".git" in result.detail
    assert "that was undone." in result.detail


async def test_what_was_undone_is_undone_after_a_kill_as_well(
    environment: LocalEnvironment, python: Build, workspace: Path
) -> None:
    source = "open('banksman.yml', 'w').write('planted')\nwhile True: pass"

    result = await environment.run(python(source, limits=Limits(wall_s=1)))

    assert "timed-out" == result.ended
    assert not (workspace / "banksman.yml").exists()


async def test_git_still_works_in_a_workspace(environment: LocalEnvironment, spec: Build, workspace: Path) -> None:
    """Commits and branches touch neither config nor hooks."""
    subprocess.run(["git", "init", "-q", "-b", "main", workspace], check=True)
    who = {f"GIT_{role}_{what}": "agent@example.com" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    script = "echo hi > file && git add file && git commit -q -m first && git checkout -q -b side && git log --oneline"
    safe = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}

    result = await environment.run(spec("sh", "-c", script, env=who | safe))

    assert (0, b"") == (result.exit_code, result.stderr), result
    assert b"first" in result.stdout
    assert "undone" not in result.detail


async def test_nothing_of_a_call_can_be_found_by_the_next(
    environment: LocalEnvironment, python: Build, workspace: Path, tool_environment: Path
) -> None:
    source = "import os, json; print(json.dumps([os.listdir(os.environ[n]) for n in ('TMPDIR', 'XDG_CACHE_HOME')]))"
    leave = "import os; [open(os.environ[n] + '/left', 'w').close() for n in ('TMPDIR', 'XDG_CACHE_HOME')]"

    await environment.run(python(leave))
    result = await environment.run(python(source))

    # Every call gets its own copy of what the tool environment keeps ready, and nothing else.
    cache = tool_environment / "cache"
    ready = sorted(path.name for path in cache.iterdir()) if cache.is_dir() else []
    temporary, cached = json.loads(result.stdout)
    # Where the checkout itself is below /tmp, the way to the tool environment shows there.
    assert set(temporary) <= set(tool_environment.parts)
    assert ready == cached


async def test_a_tree_without_permissions_is_removed_all_the_same(environment: LocalEnvironment, python: Build) -> None:
    source = """
import os
for name in ("TMPDIR", "XDG_CACHE_HOME"):
    os.makedirs(os.environ[name] + "/deep/er")
    os.symlink("/", os.environ[name] + "/deep/root")
    os.chmod(os.environ[name] + "/deep", 0)
"""
    result = await environment.run(python(source))

    assert 0 == result.exit_code, result
    assert environment.spool is not None
    assert [] == list(environment.spool.iterdir())


@pytest.mark.parametrize("name", ["banksman.yml", ".banksman", ".git", ".git/config", ".git/hooks"])
async def test_a_protected_path_that_is_a_link_shows_nothing_of_the_host(
    environment: LocalEnvironment, python: Build, workspace: Path, tmp_path: Path, name: str
) -> None:
    """A repository may come with such a link, and mounting it read-only would follow it."""
    (tmp_path / "keys").mkdir()
    for secret in ("id", "config"):
        (tmp_path / "keys" / secret).write_text("secret")
    (workspace / name).parent.mkdir(exist_ok=True)
    (workspace / name).symlink_to(tmp_path / "keys")
    source = f"""
import os
for path in ({name!r}, {name + "/id"!r}, {name + "/config"!r}, ".git/config/id", ".git/hooks/id"):
    try:
        print("got through", os.listdir(path) if os.path.isdir(path) else open(path).read())
    except OSError:
        pass
print("done")
"""
    result = await environment.run(python(source))

    leaked = [line for line in result.stdout.decode().splitlines() if "secret" in line or "id" in line]
    assert ([], 0) == (leaked, result.exit_code), result
    assert (workspace / name).is_symlink()


async def test_variables_for_the_loader_do_not_reach_what_runs_outside(
    environment: LocalEnvironment, python: Build, tmp_path: Path
) -> None:
    """They would make bwrap, which starts outside of the sandbox, load the program's code."""
    traces = tmp_path / "traces"
    traces.mkdir()

    result = await environment.run(python("print('ran')", env={"LD_DEBUG": "libs", "LD_DEBUG_OUTPUT": f"{traces}/of"}))

    assert b"ran\n" in result.stdout, result
    assert [] == list(traces.iterdir())
