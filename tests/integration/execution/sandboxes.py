"""Real sandboxes for the tests of execution and its security: each level this host can have, probed once."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.execution.base import CallLabel, Limits, ProcessSpec, SandboxLevel, SandboxUnavailable
from core.execution.labels import labelled
from core.execution.local import LocalEnvironment
from core.execution.sandbox import probe_environment
from tests import skips
from tests.patience import PATIENCE_S
from tests.trees import found_below

ROOT = Path(__file__).resolve().parents[3]
LEVELS = (SandboxLevel.BWRAP, SandboxLevel.LANDLOCK)


@pytest.fixture(scope="session")
def tool_environment() -> Path:
    """The tools' own virtual environment; `make` builds it beside ours."""
    found = ROOT / ".venv-tools"
    assert (found / "bin" / "python").exists(), "the tool environment is missing; `make up` and `make test` build it"
    return found


def probed(level: SandboxLevel, tool_environment: Path) -> LocalEnvironment:
    """The environment of exactly this level."""
    try:
        environment = probe_environment(tool_environment=tool_environment, allow_unsandboxed=False, prefer=level)
    except SandboxUnavailable:
        skips.skip_without_sandbox(level, available=False)
        raise
    skips.skip_without_sandbox(level, available=environment.level is level)
    return environment


@pytest.fixture(scope="session")
def environments(tool_environment: Path) -> Callable[[SandboxLevel], LocalEnvironment]:
    found: dict[SandboxLevel, LocalEnvironment] = {}

    def get(level: SandboxLevel) -> LocalEnvironment:
        if level not in found:
            found[level] = probed(level, tool_environment)
        return found[level]

    return get


@pytest.fixture(params=LEVELS)
def environment(
    request: pytest.FixtureRequest, environments: Callable[[SandboxLevel], LocalEnvironment], tmp_path: Path
) -> LocalEnvironment:
    """Each level in turn, with a spool of the test's own."""
    return with_spool(environments(request.param), tmp_path)


@pytest.fixture(params=LEVELS)
def bare_environment(
    request: pytest.FixtureRequest, environments: Callable[[SandboxLevel], LocalEnvironment], tmp_path: Path
) -> LocalEnvironment:
    """Each level in turn, as on a host that lets us have no cgroups."""
    environment = with_spool(environments(request.param), tmp_path)
    return replace(environment, recipe=replace(environment.recipe, controllers=()))


def with_spool(environment: LocalEnvironment, tmp_path: Path) -> LocalEnvironment:
    spool = tmp_path / "spool"
    spool.mkdir(exist_ok=True)
    return replace(environment, spool=spool)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    found = tmp_path / "workspace"
    found.mkdir()
    return found


@pytest.fixture
def label(request: pytest.FixtureRequest) -> CallLabel:
    """A label no other test, and no other session on this host, uses."""
    return CallLabel("T1", f"run-{os.getpid()}-{time.monotonic_ns()}", "call-1", 7)


@pytest.fixture
def spec(workspace: Path, label: CallLabel) -> Callable[..., ProcessSpec]:
    """Builds the call that a test runs."""

    def build(*argv: str, **fields: object) -> ProcessSpec:
        return ProcessSpec(argv=argv, workspace=workspace, label=label, **fields)  # type: ignore[arg-type]

    return build


@pytest.fixture
def python(spec: Callable[..., ProcessSpec]) -> Callable[..., ProcessSpec]:
    """Builds a call that runs some Python, by the tools' interpreter without its packages."""

    def build(source: str, **fields: object) -> ProcessSpec:
        fields.setdefault("limits", Limits(wall_s=PATIENCE_S))
        return spec("python", "-I", "-S", "-c", source, **fields)

    return build


@pytest.fixture(autouse=True)
def nothing_is_left(label: CallLabel, tmp_path: Path) -> Iterator[None]:
    """After each test, no process carries its label, and no call has left its directory or its cgroup behind."""
    yield
    assert {} == labelled(run_id=label.run_id)
    assert [] == list((tmp_path / "spool").glob("banksman-call-*/*"))
    for tree in ("memory", "pids"):
        assert [] == list(found_below(Path("/sys/fs/cgroup", tree), f"banksman.{label.run_id}*"))


async def until(condition: Callable[[], object], *, within_s: float = PATIENCE_S) -> None:
    """Poll until something holds."""
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not happen in time"
        await asyncio.sleep(0.02)
