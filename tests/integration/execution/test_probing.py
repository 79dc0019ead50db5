"""Probing finds the strongest level that really holds, sees through a recipe that does not, and says what lacks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core.execution import landlock, layout, seccomp
from core.execution.base import SandboxLevel, SandboxUnavailable
from core.execution.local import LocalEnvironment
from core.execution.sandbox import probe_environment, try_recipe

ROOT = Path(__file__).resolve().parents[3]
Get = Callable[[SandboxLevel], LocalEnvironment]

LEAKY_BWRAP = """#!{python}
# Drops one word from bwrap's options and hands the rest on.
import os, sys
arguments = sys.argv[1:]
if arguments == ["--help"]:
    os.execv({real!r}, [{real!r}, "--help"])
at = arguments.index("--args")
words = os.pread(int(arguments[at + 1]), 1 << 20, 0).split(b"\\0")[:-1]
words = [word for word in words if word != {dropped!r}]
memory = os.memfd_create("words", 0)
os.write(memory, b"\\0".join(words) + b"\\0")
os.lseek(memory, 0, 0)
os.dup2(memory, int(arguments[at + 1]))
os.set_inheritable(int(arguments[at + 1]), True)
os.close(memory)
os.execv({real!r}, [{real!r}, *arguments])
"""


def _leaky(tmp_path: Path, real: Path, dropped: bytes) -> Path:
    program = tmp_path / "bwrap"
    program.write_text(LEAKY_BWRAP.format(python=sys.executable, real=str(real), dropped=dropped))
    program.chmod(0o755)
    return program


def test_a_bwrap_that_leaves_the_network_open_is_not_used(
    environments: Get, tool_environment: Path, tmp_path: Path
) -> None:
    """The hole is planted in front of the real bwrap; the probe reaches a port through it and takes the next level."""
    real = environments(SandboxLevel.BWRAP).recipe.bwrap
    assert real is not None
    environments(SandboxLevel.LANDLOCK)
    leaky = _leaky(tmp_path, real, b"--unshare-net")

    found = probe_environment(tool_environment=tool_environment, allow_unsandboxed=False, bwrap_candidates=[leaky])

    assert SandboxLevel.LANDLOCK == found.level
    trial = try_recipe(replace(environments(SandboxLevel.BWRAP).recipe, bwrap=leaky))
    assert "no-network" in trial.failures
    assert any("bwrap" in remedy for remedy in found.describe().remedies)


def test_the_same_detour_without_a_hole_is_used(environments: Get, tool_environment: Path, tmp_path: Path) -> None:
    """So it is the hole that was refused, not the detour."""
    real = environments(SandboxLevel.BWRAP).recipe.bwrap
    assert real is not None
    honest = _leaky(tmp_path, real, b"--no-such-option")

    found = probe_environment(tool_environment=tool_environment, allow_unsandboxed=False, bwrap_candidates=[honest])

    assert (SandboxLevel.BWRAP, honest) == (found.level, found.recipe.bwrap)


@pytest.mark.parametrize("level", [SandboxLevel.BWRAP, SandboxLevel.LANDLOCK])
def test_a_recipe_without_its_filter_does_not_hold(environments: Get, level: SandboxLevel) -> None:
    trial = try_recipe(replace(environments(level).recipe, rules=()))

    assert {"no-ptrace", "filter"} <= set(trial.failures)


def test_a_filter_that_forgets_sockets_does_not_hold_at_the_landlock_level(environments: Get) -> None:
    """Landlock 7 itself guards TCP and abstract sockets, but no socket files."""
    recipe = environments(SandboxLevel.LANDLOCK).recipe

    trial = try_recipe(replace(recipe, rules=seccomp.COMMON))

    assert "no-socket-file" in trial.failures


@pytest.mark.parametrize("level", [SandboxLevel.BWRAP, SandboxLevel.LANDLOCK])
def test_a_layout_that_shows_our_code_does_not_hold(environments: Get, level: SandboxLevel) -> None:
    recipe = environments(level).recipe
    shown = replace(recipe.layout, tools=(*recipe.layout.tools, ROOT), hidden=())

    trial = try_recipe(replace(recipe, layout=shown))

    assert "no-code-of-ours" in trial.failures


def test_without_a_usable_level_running_is_refused_with_a_remedy(
    tool_environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landlock, "abi", lambda: 0)  # a kernel without it; there is none to boot here
    with pytest.raises(SandboxUnavailable) as refusal:
        probe_environment(
            tool_environment=tool_environment, allow_unsandboxed=False, bwrap_candidates=[tmp_path / "missing"]
        )

    assert "Install bwrap" in str(refusal.value)
    assert "unsandboxed: allowed" in str(refusal.value)


def test_without_a_usable_level_the_config_may_allow_none(tool_environment: Path) -> None:
    found = probe_environment(
        tool_environment=tool_environment, allow_unsandboxed=True, prefer=SandboxLevel.NONE, bwrap_candidates=[]
    )

    report = found.describe()
    assert SandboxLevel.NONE == found.level == report.level
    assert "everything that the user who runs Banksman can" in " ".join(report.lacks)


def test_a_report_says_what_a_level_lacks_and_how_to_get_a_better_one(environments: Get) -> None:
    best, second = (environments(level).describe() for level in (SandboxLevel.BWRAP, SandboxLevel.LANDLOCK))

    assert () == best.remedies
    assert any("bwrap" in remedy for remedy in second.remedies)
    assert any("size and times" in gap for gap in second.lacks)
    assert {"wall", "cpu", "memory", "processes", "file", "disk", "open-files"} == {
        mechanism.partition(":")[0] for mechanism in best.enforced
    }


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5, 6])
def test_older_versions_of_landlock_hold_as_well(environments: Get, version: int) -> None:
    """A newer kernel speaks every older version; signals are what the oldest leave open, and the report says so."""
    recipe = environments(SandboxLevel.LANDLOCK).recipe
    rules = recipe.rules if version >= 3 else (*seccomp.BEFORE_TRUNCATE, *recipe.rules)
    older = replace(recipe, landlock_version=version, rules=rules)

    assert () == try_recipe(older).failures
    assert (version < 6) == any("signals" in gap for gap in older.gaps())


AS_NOBODY = """
import os, sys
os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from core.execution.base import SandboxLevel
from core.execution.sandbox import probe_environment
found = probe_environment(
    tool_environment=Path("/nonexistent"), allow_unsandboxed=False, prefer=SandboxLevel(sys.argv[2]),
    bwrap_candidates=[Path(sys.argv[3])], spool=Path(sys.argv[4]),
)
print(found.level)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="this host cannot have the sandbox level: only root can become nobody")
@pytest.mark.parametrize("level", [SandboxLevel.BWRAP, SandboxLevel.LANDLOCK])
def test_an_ordinary_user_gets_the_same_level(environments: Get, level: SandboxLevel, tmp_path: Path) -> None:
    """With the system's Python, since an ordinary user may not see ours."""
    bwrap = environments(SandboxLevel.BWRAP).recipe.bwrap
    environments(level)
    spool = Path("/var/tmp", f"banksman-test-{os.getpid()}-{level}")
    spool.mkdir()
    os.chown(spool, 65534, 65534)
    try:
        answer = subprocess.run(
            ["/usr/bin/python3", "-I", "-c", AS_NOBODY, str(ROOT), level, str(bwrap), str(spool)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert [] == list(spool.iterdir())
    finally:
        spool.rmdir()

    assert (level, "") == (answer.stdout.strip(), answer.stderr)


def test_our_code_and_environment_are_hidden_wherever_they_are(tmp_path: Path) -> None:
    """As in an image that installs us below /usr: everything beside us stays readable, we do not."""
    for name in ("site/core/a", "site/numpy/b", "lib/c"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "way-round").symlink_to(tmp_path / "site" / "core")

    shown = layout.without(tmp_path, [tmp_path / "site" / "core"])

    assert [tmp_path / "lib", tmp_path / "site" / "numpy"] == shown


def test_the_installation_behind_a_tool_environment_is_found(tmp_path: Path) -> None:
    python = tmp_path / "opt" / "python-3" / "bin" / "python3"
    python.parent.mkdir(parents=True)
    python.write_text("")
    environment = tmp_path / "tools"
    (environment / "bin").mkdir(parents=True)
    (environment / "bin" / "python").symlink_to(python)
    (environment / "pyvenv.cfg").write_text(f"home = {python.parent}\n")

    found = layout.survey(environment, hidden=[tmp_path / "home"])

    assert (environment, tmp_path / "opt" / "python-3") == found.tools
    assert {ROOT, tmp_path / "home"} <= set(found.hidden)
    assert str(environment / "bin") == found.search_path.split(":")[0]
