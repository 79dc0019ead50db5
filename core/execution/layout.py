"""Which of this host's files a program may read: the system's programs and libraries, and its own tool environment.

Our own code and the environment we run in are not among them, even where they are installed below a directory that is.
How the answer is enforced (mounts or Landlock) is decided in `recipe.py`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store")
_ETC = (
    *("/etc/alternatives", "/etc/fonts", "/etc/magic", "/etc/mime.types"),
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/os-release"),
    *("/etc/localtime", "/etc/timezone", "/etc/locale.alias"),
    *("/etc/nsswitch.conf", "/etc/protocols", "/etc/services"),
    *("/etc/ca-certificates.conf", "/etc/ssl/certs", "/etc/ssl/openssl.cnf"),
)


@dataclass(frozen=True)
class Layout:
    """Paths on this host, absolute."""

    system: tuple[Path, ...]
    """Real directories and files of the system."""
    links: tuple[tuple[Path, str], ...]
    """Symbolic links in the root directory, such as /bin, and what they say."""
    tools: tuple[Path, ...]
    """The tool environment and the Python installation it stands on."""
    hidden: tuple[Path, ...]
    """Not readable, though below one of the others; unless one of `tools` is below it again."""
    cache: Path
    """Caches that came with the tool environment, in the layout of XDG_CACHE_HOME; it need not exist."""
    search_path: str
    """PATH inside the sandbox."""

    def find(self, program: str, cwd: Path) -> Path | None:
        """Find a program as the sandbox would; `None` if there is none.

        Args:
            program: A name to look up on PATH, or a path, relative to `cwd` or absolute.
            cwd: The working directory, on this host.
        """
        if "/" in program:
            candidates = [cwd / program]
        else:
            candidates = [Path(directory) / program for directory in self.search_path.split(":")]
        return next((path for path in candidates if path.is_file() and os.access(path, os.X_OK)), None)


def survey(tool_environment: Path, *, hidden: Iterable[Path] = ()) -> Layout:
    """Look at this host.

    Args:
        tool_environment: A virtual environment for tools; it need not exist.
        hidden: More paths to keep out of sight, such as the home of our data.
    """
    tool_environment = tool_environment.absolute()
    root = [Path(name) for name in _SYSTEM]
    links = tuple((path, str(path.readlink())) for path in root if path.is_symlink())
    system = [path for path in root if path.is_dir() and not path.is_symlink()]
    system += [path for name in _ETC if (path := Path(name)).exists()]
    tools = [path for path in (tool_environment, *_installations(tool_environment)) if path.is_dir()]
    search = [tool_environment / "bin", *(Path(name) for name in ("/usr/local/bin", "/usr/bin", "/bin"))]
    return Layout(
        system=tuple(system),
        links=links,
        tools=tuple(tools),
        hidden=tuple(sorted({*_ours(), *(path.absolute() for path in hidden)})),
        cache=tool_environment / "cache",
        search_path=":".join(str(path) for path in search if path.is_dir()),
    )


def _installations(tool_environment: Path) -> list[Path]:
    """The Python installations behind a virtual environment, as it names them and as they really are."""
    found: list[Path] = []
    for directory in (tool_environment / "bin" / "python").resolve().parent, _home(tool_environment):
        if directory is not None and directory.name == "bin":
            prefix = directory.parent
            # A system's own Python is there already, and nothing as wide as / or a person's home ever should be.
            if len(prefix.parts) > 2 and prefix != Path.home() and not prefix.is_relative_to("/usr"):
                found.append(prefix)
    return sorted(set(found))


def _home(tool_environment: Path) -> Path | None:
    try:
        lines = (tool_environment / "pyvenv.cfg").read_text().splitlines()
    except OSError:
        return None
    return next((Path(line.split("=", 1)[1].strip()) for line in lines if line.split("=")[0].strip() == "home"), None)


def _ours() -> set[Path]:
    """Where our code lives, and the environment it runs in."""
    root = Path(__file__).resolve().parents[2]
    if root.name in ("site-packages", "dist-packages"):
        found = {root / name for name in ("core", "bot", "worker")}
    else:
        found = {root}
    if sys.prefix != sys.base_prefix:
        found.add(Path(sys.prefix))
        found.add(Path(sys.prefix).resolve())
    return found


def without(path: Path, hidden: Iterable[Path]) -> list[Path]:
    """Cover a directory with paths that leave out some others: itself, or its entries, or theirs."""
    inside = [other for other in hidden if other.is_relative_to(path)]
    if not inside:
        return [path]
    if path in inside or not path.is_dir() or path.is_symlink():
        return []
    # A link leads to what is covered by itself or to what should not be.
    children = [child for child in sorted(path.iterdir()) if not child.is_symlink()]
    return [part for child in children for part in without(child, inside)]
