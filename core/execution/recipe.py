"""The recipe of each sandbox level: from one call to everything its supervisor needs to confine it.

A recipe is data that has been tried on this host (`sandbox.py`). It grants the same at every level: read the system and
the tool environment, write the workspace and a temporary directory, reach nothing else. What a level cannot do is
listed in `gaps`.
"""

from __future__ import annotations

import base64
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from core.execution import cgroups, landlock, limits, marks, protected, seccomp
from core.execution.base import ProcessSpec, SandboxLevel
from core.execution.labels import VARIABLE, encode
from core.execution.layout import Layout, without
from core.execution.request import BwrapRequest, LandlockRequest, Request

WORKSPACE = "/workspace"
"""Where a program finds its workspace at the bwrap level; at the others it stays where it is."""

_CACHE = "/cache"
_USER = 1000
_PASSWD = f"agent:x:{_USER}:{_USER}:agent:{WORKSPACE}:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"
_GROUP = f"agent:x:{_USER}:\nnogroup:x:65534:\n"
_PROC_SECRETS = ("kcore", "keys", "kallsyms", "kpagecount", "kpageflags", "sched_debug", "timer_list", "slabinfo")
_DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
_PROC_FACTS = ("cpuinfo", "meminfo", "filesystems", "sys/vm/overcommit_memory", "sys/kernel/ngroups_max")
_TMP_BYTES = 256 << 20


class SpecRefused(Exception):
    """The call cannot be built; the message says why, for people."""


@dataclass(frozen=True)
class Recipe:
    """How to confine calls on this host."""

    level: SandboxLevel
    layout: Layout
    machine: str
    """As `os.uname` says it."""
    controllers: tuple[cgroups.Controller, ...] = ()
    bwrap: Path | None = None
    bwrap_options: frozenset[str] = frozenset()
    """Options that not every version of bwrap has, and this one does."""
    landlock_version: int = 0
    own_devices: bool = False
    """Whether calls get device nodes of their own (bwrap only). Where root runs us, a program owns the host's, and
    could change their permissions for everyone."""
    marked: bool = False
    """Whether processes were found to carry a mark that they cannot change (`marks.py`)."""
    rules: tuple[seccomp.Rule, ...] = ()
    """The system call filter; empty for none."""

    def request(self, spec: ProcessSpec, directory: Path) -> Request:
        """Build what the supervisor needs for one call.

        Args:
            spec: The call.
            directory: An empty directory of this call alone. The program reaches only `tmp` and `cache` in it.

        Raises:
            SpecRefused: The working directory or the program does not exist.
        """
        workspace = Path(os.path.realpath(spec.workspace))
        cwd = Path(os.path.realpath(workspace / spec.cwd))
        if not cwd.is_relative_to(workspace) or not cwd.is_dir():
            raise SpecRefused(f"its working directory {spec.cwd!r} is not a directory of the workspace")
        if not spec.argv or any("\0" in word for word in spec.argv):
            raise SpecRefused("its arguments are empty or contain a NUL character")
        if any("\0" in name + value or "=" in name or not name for name, value in spec.env.items()):
            raise SpecRefused("its environment has a name with = or a NUL character")
        if missing := [str(path) for path in spec.readable if not path.exists()]:
            raise SpecRefused(f"what it is to read does not exist: {', '.join(missing)}")
        program = self.layout.find(spec.argv[0], cwd)
        if program is None:
            raise SpecRefused(f"there is no program {spec.argv[0]!r} in the sandbox")
        confined = self.level is SandboxLevel.BWRAP
        if confined and program.is_relative_to(workspace):
            program = Path(WORKSPACE) / program.relative_to(workspace)
        home, temporary = (WORKSPACE, "/tmp") if confined else (str(workspace), f"{directory}/tmp")
        cache = self._cache(directory)
        controlled = {limit for controller in self.controllers for limit in controller.controls}
        inside = cwd.relative_to(workspace)
        env = {
            "PATH": self.layout.search_path,
            "HOME": home,
            "LANG": "C.UTF-8",
            "TMPDIR": temporary,
            "XDG_CACHE_HOME": _CACHE if confined else str(cache),
            "XDG_CONFIG_HOME": f"{temporary}/config",
            # git gives up when it may not read the host's configuration, which is nobody's business here.
            "GIT_CONFIG_NOSYSTEM": "1",
            **spec.env,
            VARIABLE: encode(spec.label),
        }
        return {
            "argv": [str(program), *spec.argv[1:]],
            "env": env,
            "cwd": str(cwd),
            "stdin_bytes": len(spec.stdin),
            "bwrap": self._bwrap(spec, env, workspace, inside, directory) if confined else None,
            "landlock": self._landlock(spec, workspace, directory) if self.level is SandboxLevel.LANDLOCK else None,
            "filter": base64.b64encode(seccomp.compile_filter(self.rules, self.machine)).decode() if self.rules else "",
            "rlimits": limits.rlimits(spec.limits, self.controllers),
            "mark": marks.mark(spec.label),
            "channel": -1 if spec.channel is None else spec.channel.fileno(),
            "groups": cgroups.requests(self.controllers, spec.label, spec.limits, directory.name[-8:]),
            "wall_s": spec.limits.wall_s,
            "cpu_s": spec.limits.cpu_s,
            "disk_bytes": spec.limits.disk_bytes,
            "watch_memory_bytes": None if "memory" in controlled else spec.limits.memory_bytes,
            "watch_processes": None if "processes" in controlled else spec.limits.processes,
            "keep_output_bytes": spec.limits.keep_output_bytes,
            "max_output_bytes": spec.limits.max_output_bytes,
            "workspace": str(workspace),
            "directory": str(directory),
            "protected": list(protected.PATHS),
            "fence": spec.label.fence,
            "fence_file": "",
        }

    def _cache(self, directory: Path) -> Path:
        """Give the call its own copy of the tool environment's caches, which would take seconds to build each time."""
        cache = directory / "cache"
        if self.layout.cache.is_dir():
            shutil.copytree(self.layout.cache, cache, symlinks=True)
        else:
            cache.mkdir()
        return cache

    def _bwrap(
        self, spec: ProcessSpec, env: dict[str, str], workspace: Path, cwd: Path, directory: Path
    ) -> BwrapRequest:
        assert self.bwrap is not None
        arguments = [
            *("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
            *("--unshare-net", "--die-with-parent", "--new-session", "--hostname", "sandbox"),
            *("--uid", str(_USER), "--gid", str(_USER), "--cap-drop", "ALL"),
        ]
        if "--disable-userns" in self.bwrap_options:
            arguments.append("--disable-userns")
        for name, value in env.items():
            arguments += ["--setenv", name, value]
        for link, target in self.layout.links:
            arguments += ["--symlink", target, str(link)]
        arguments += ["--proc", "/proc"]
        arguments += _calm_proc()
        arguments += ["--dev", "/dev"]
        if self.own_devices:
            for name, number in _DEVICES.items():
                make_device(directory / f"dev-{name}", number)
                arguments += ["--dev-bind", str(directory / f"dev-{name}"), f"/dev/{name}"]
        tmp_bytes = str(min(_TMP_BYTES, spec.limits.disk_bytes, spec.limits.memory_bytes // 2))
        for path in ("/dev/shm", "/tmp"):
            sized = ["--size", tmp_bytes] if "--size" in self.bwrap_options else []
            arguments += ["--perms", "1777", *sized, "--tmpfs", path]
        arguments += ["--remount-ro", "/dev"]
        # After the temporary directories, for what is readable may lie in one.
        arguments += self._mounts(spec)
        for name, content in (("passwd", _PASSWD), ("group", _GROUP)):
            (directory / name).write_text(content)
            arguments += ["--ro-bind", str(directory / name), f"/etc/{name}"]
        arguments += ["--bind", str(directory / "cache"), _CACHE, "--bind", str(workspace), WORKSPACE]
        for name in protected.PATHS:
            guarded, present = protected.resolve(str(workspace), name)
            # A link that came with the workspace would be followed here, on the host's side, to wherever it leads.
            if present and not (workspace / guarded).is_symlink():
                arguments += ["--ro-bind", str(workspace / guarded), f"{WORKSPACE}/{guarded}"]
        arguments += ["--remount-ro", "/", "--chdir", str(Path(WORKSPACE) / cwd)]
        return {"program": str(self.bwrap), "arguments": arguments, "env": {VARIABLE: env[VARIABLE]}}

    def _mounts(self, spec: ProcessSpec) -> list[str]:
        """What is readable and what is hidden in it; the deeper path is mounted later and so decides."""
        layout = self.layout
        shown = {*layout.system, *layout.tools, *(path.absolute() for path in spec.readable)}
        hidden = [
            path for path in layout.hidden if any(path.is_relative_to(other) for other in shown) and path.is_dir()
        ]
        mounts = [(path, ["--ro-bind", str(path), str(path)]) for path in shown]
        mounts += [(path, ["--tmpfs", str(path)]) for path in hidden if path not in shown]
        ordered = [argument for _, arguments in sorted(mounts, key=lambda m: len(m[0].parts)) for argument in arguments]
        return ordered + [argument for path in hidden if path not in shown for argument in ("--remount-ro", str(path))]

    def _landlock(self, spec: ProcessSpec, workspace: Path, directory: Path) -> LandlockRequest:
        layout = self.layout
        readable = [*layout.system, *layout.tools, *(path.absolute() for path in spec.readable)]
        rules = [(str(part), landlock.READ) for path in readable for part in without(path, set(layout.hidden) - {path})]
        rules += [(f"/dev/{name}", landlock.READ_FILE | landlock.WRITE_FILE) for name in _DEVICES if name != "tty"]
        rules += [(f"/proc/{name}", landlock.READ_FILE) for name in _PROC_FACTS]
        # What a program sees of /proc is itself alone: the links of others would lead out.
        rules += [("/proc/self", landlock.READ), ("/sys/devices/system/cpu", landlock.READ)]
        rules += [("/etc/passwd", landlock.READ_FILE), ("/etc/group", landlock.READ_FILE)]
        roots = [str(workspace), f"{directory}/tmp", f"{directory}/cache"]
        rules += [(root, landlock.WRITE) for root in roots]
        return {"version": self.landlock_version, "rules": rules, "deputy_roots": roots}

    def gaps(self) -> tuple[str, ...]:
        """What this recipe leaves open, a sentence each."""
        found = []
        if self.level is SandboxLevel.NONE:
            found.append("Programs can read, change and reach everything that the user who runs Banksman can.")
        if self.level is SandboxLevel.LANDLOCK:
            found.append("Programs can see that a file exists, its size and times, if they guess its path.")
            found.append("Programs have no loopback network and no shared memory (/dev/shm) of their own.")
            found.append("Only the first process of a program finds itself in /proc/self.")
            if self.landlock_version < 6:
                found.append("Programs can send signals to other processes of the same user.")
        if self.level is SandboxLevel.BWRAP and "--disable-userns" not in self.bwrap_options:
            found.append("Only the system call filter keeps programs from making user namespaces.")
        if self.level is SandboxLevel.BWRAP and os.geteuid() == 0 and not self.own_devices:
            found.append("Programs can change the permissions of the host's /dev/null and its like.")
        controlled = {limit for controller in self.controllers for limit in controller.controls}
        if "memory" not in controlled:
            found.append("Without a memory cgroup, memory is limited per process and watched as a whole.")
        if not controlled and self.level is not SandboxLevel.BWRAP and not self.marked:
            found.append("Without cgroups, a program that hides its label outlives a supervisor that somebody kills.")
        if "processes" not in controlled and os.geteuid() == 0:
            found.append("Without a pids cgroup, the processes of root are watched, not limited.")
        return tuple(found)


def make_device(path: Path, number: tuple[int, int]) -> None:
    """Make a character device that everyone may use.

    Raises:
        OSError: Only root may, and not in every container.
    """
    os.mknod(path, stat.S_IFCHR, os.makedev(*number))
    path.chmod(0o666)


def _calm_proc() -> list[str]:
    """Make what is not about processes in /proc read-only, and hide what tells too much.

    A kernel setting belongs to root, and root without capabilities may still write it; so where root runs us, the
    program could, from any namespace.
    """
    arguments = []
    for path in sorted(Path("/proc").iterdir()):
        if path.name.isdigit() or path.is_symlink():
            continue
        if path.name in _PROC_SECRETS:
            arguments += ["--ro-bind", "/dev/null", str(path)]
        elif path.is_dir() or path.stat().st_mode & 0o222:
            arguments += ["--ro-bind", str(path), str(path)]
    return arguments
