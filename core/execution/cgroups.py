"""Finds the cgroup controllers this process may use for its calls, and asks for a group of each call.

Version 2 is used where its subtree is delegated to us (systemd's `Delegate=yes`), then version 1 where its tree is
writable, else none: then rlimits and the supervisor's watch stand in (`limits.py`). The groups themselves are made and
removed by the supervisor (`callgroup.py`).

Source: cgroups(7), and systemd's CGROUP_DELEGATION.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.execution.base import CallLabel, Limits
from core.execution.marks import group_name, is_in_group_of
from core.execution.request import GroupRequest

Controlled = Literal["memory", "processes"]

_CONTROLLERS: dict[str, Controlled] = {"memory": "memory", "pids": "processes"}
_LEAF = "banksman-service"
"""Where our own processes move in a delegated version 2 subtree: a group with subgroups may hold none itself."""


@dataclass(frozen=True)
class Controller:
    """A place under which groups can be made."""

    base: Path
    version: Literal[1, 2]
    controls: frozenset[Controlled]


def discover(*, mountinfo: str | None = None, membership: str | None = None) -> tuple[Controller, ...]:
    """Find the usable controllers; each of memory and processes is in at most one of them.

    Args:
        mountinfo: The content of /proc/self/mountinfo; read when not given.
        membership: The content of /proc/self/cgroup; read when not given.
    """
    try:
        mountinfo = Path("/proc/self/mountinfo").read_text() if mountinfo is None else mountinfo
        membership = Path("/proc/self/cgroup").read_text() if membership is None else membership
    except OSError:
        return ()
    found: list[Controller] = []
    missing = set(_CONTROLLERS.values())
    for candidate in [*_version_2(mountinfo, membership), *_version_1(mountinfo, membership)]:
        controls = candidate.controls & missing
        if controls and _writable(candidate.base):
            found.append(Controller(candidate.base, candidate.version, frozenset(controls)))
            missing -= controls
    return tuple(found)


def requests(controllers: tuple[Controller, ...], label: CallLabel, limits: Limits, nonce: str) -> list[GroupRequest]:
    """Ask for the groups of one call, named so that a reaper can tell whose they are."""
    name = group_name(label, re.sub(r"[^A-Za-z0-9_-]", "_", nonce))
    return [_request(controller, name, limits) for controller in controllers]


def stop_groups_of(pid: int, call: CallLabel) -> None:
    """End what is in the cgroups of a call, all at once (version 2), or keep it from growing (version 1).

    Args:
        pid: A process of the call; its groups count only if they are named after the call.
        call: The call that is being ended.
    """
    try:
        membership = Path(f"/proc/{pid}/cgroup").read_text() if is_in_group_of(pid, call) else ""
        mounts = _mounts(Path("/proc/self/mountinfo").read_text()) if membership else []
    except OSError:
        return
    for line in membership.splitlines():
        _, names, path = line.split(":", 2)
        for root, point, kind, options in mounts:
            fits = kind == "cgroup2" if not names else kind == "cgroup" and set(names.split(",")) <= options
            if fits and Path(path).name.startswith("banksman."):
                _first_that_can(_own(point, root, path), [("cgroup.kill", "1"), ("pids.max", "0")])


def _first_that_can(group: Path, switches: list[tuple[str, str]]) -> None:
    for name, value in switches:
        try:
            descriptor = os.open(group / name, os.O_WRONLY)
        except OSError:
            continue
        with os.fdopen(descriptor, "w") as file:
            file.write(value)
        return


def _request(controller: Controller, name: str, limits: Limits) -> GroupRequest:
    settings: list[list[str]] = []
    counters: dict[str, list[str]] = {}
    memory, processes = str(limits.memory_bytes), str(limits.processes)
    if "memory" in controller.controls and controller.version == 2:
        settings += [["memory.max", memory], ["memory.swap.max", "0"], ["memory.oom.group", "1"]]
        counters["memory"] = ["memory.events", "oom_kill"]
    elif "memory" in controller.controls:
        settings += [["memory.limit_in_bytes", memory], ["memory.memsw.limit_in_bytes", memory]]
        counters["memory"] = ["memory.oom_control", "oom_kill"]
    freeze = ["cgroup.kill", "1"] if controller.version == 2 else None
    if "processes" in controller.controls:
        settings.append(["pids.max", processes])
        counters["processes"] = ["pids.events", "max"]
        freeze = freeze or ["pids.max", "0"]
    return {"path": str(controller.base / name), "settings": settings, "counters": counters, "freeze": freeze}


def _mounts(mountinfo: str) -> list[tuple[str, Path, str, set[str]]]:
    """(root within the tree, mount point, file system type, its options) of each mount."""
    found = []
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        mount, kind = left.split(), right.split()
        if len(mount) > 4 and len(kind) > 2:
            found.append((mount[3], Path(mount[4].replace("\\040", " ")), kind[0], set(kind[2].split(","))))
    return found


def _own(mountpoint: Path, root: str, path: str) -> Path:
    """Where the group `path` is seen below a mount that shows the tree from `root` on."""
    if root != "/" and (path == root or path.startswith(f"{root}/")):
        path = path[len(root) :]
    return mountpoint / path.lstrip("/")


def _version_2(mountinfo: str, membership: str) -> list[Controller]:
    path = next((line[3:] for line in membership.splitlines() if line.startswith("0::")), None)
    mount = next(((root, point) for root, point, kind, _ in _mounts(mountinfo) if kind == "cgroup2"), None)
    if path is None or mount is None:
        return []
    own = _own(mount[1], mount[0], path)
    base = own.parent if own.name == _LEAF else own
    available = set(_words(base / "cgroup.controllers")) & _CONTROLLERS.keys()
    if not available or not (_delegated(base) and _enable(base, available)):
        return []
    return [Controller(base, 2, frozenset(_CONTROLLERS[name] for name in available))]


def _version_1(mountinfo: str, membership: str) -> list[Controller]:
    paths = {}
    for line in membership.splitlines():
        _, names, path = line.split(":", 2)
        paths.update(dict.fromkeys(names.split(","), path))
    found = []
    for root, point, kind, options in _mounts(mountinfo):
        if kind == "cgroup":
            for name in sorted(options & _CONTROLLERS.keys() & paths.keys()):
                controls = frozenset((_CONTROLLERS[name],))
                found.append(Controller(_own(point, root, paths[name]), 1, controls))
    return found


def _delegated(base: Path) -> bool:
    """Whether whoever manages the tree has said that this part of it is ours."""
    for attribute in ("user.delegate", "trusted.delegate"):
        try:
            if os.getxattr(base, attribute) == b"1":
                return True
        except OSError:
            continue
    return False


def _enable(base: Path, names: set[str]) -> bool:
    """Pass controllers on to groups below, after moving our own processes into a leaf."""
    if names <= set(_words(base / "cgroup.subtree_control")):
        return True
    try:
        (base / _LEAF).mkdir(exist_ok=True)
        for pid in _words(base / "cgroup.procs"):
            (base / _LEAF / "cgroup.procs").write_text(pid)
        (base / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in sorted(names)))
    except OSError:
        return False
    return True


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def _writable(base: Path) -> bool:
    """Whether a group can be made there; tried, because permissions and read-only mounts both decide."""
    trial = base / f"banksman-trial-{os.getpid()}"
    try:
        trial.mkdir()
        trial.rmdir()
    except OSError:
        return False
    return True
