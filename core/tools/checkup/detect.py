"""How a repository's tests are run, found by the files its maintainers left: nothing of it is run to find out.

The order matters where a repository has several: Python first, whose runner is always here, then what the makefile
calls `test`, then the others.
"""

import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_MOST_BYTES = 1 << 20
_MOST_ENTRIES = 5_000
_DEEPEST = 5
_SKIPPED = frozenset({"node_modules", "vendor", "third_party", "venv", "env", "build", "dist", "site-packages"})

_PYTEST = ("python", "-m", "pytest", "-q", "-p", "no:cacheprovider")
_PYTEST_SAYS = ("--verbosity=-1", "-rfE", "--color=no")
_TEST_FILE = re.compile(r"(?:test_.*|.*_test)\.py")
_TEST_FOLDERS = frozenset({"test", "tests"})
_MAKE_TEST = re.compile(rb"^(?!\.PHONY)(?:[\w./%-]+[ \t]+)*test(?:[ \t]+[\w./%-]+)*[ \t]*::?(?![:=])", re.MULTILINE)
_USES_PYTEST = re.compile(rb"^(?:import|from)[ \t]+pytest\b|^(?:async[ \t]+)?def[ \t]+test", re.MULTILINE)
_USES_UNITTEST = re.compile(rb"^(?:import|from)[ \t]+unittest\b", re.MULTILINE)
_NO_NPM_TEST = "no test specified"

Which = Callable[[str], str | None]


@dataclass(frozen=True)
class Suite:
    """How the tests are run."""

    framework: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    missing: str = ""
    """The sentence why they cannot be run here; empty if they can."""

    @property
    def command(self) -> str:
        """As a person would type it."""
        added = [f"{name}={value}" for name, value in sorted(self.env.items())]
        return " ".join([*added, *self.argv])


def find(root: Path, *, which: Which, has_pytest: bool) -> Suite | None:
    """Find how the tests below `root` are run; `None` if there are none.

    Args:
        which: Finds a program, as `shutil.which`.
        has_pytest: Whether the tools' environment has pytest.
    """
    for look in (_python, _make, _npm, _go, _cargo):
        if suite := look(root, which, has_pytest):
            return suite
    return None


def _python(root: Path, which: Which, has_pytest: bool) -> Suite | None:
    files = [path for path in _files(root) if _TEST_FILE.fullmatch(path.name) and _counts(path.relative_to(root))]
    texts = [_read(path) for path in files[:200]]
    configured = _configures_pytest(root)
    if not configured and not files:
        return None
    wants_pytest = configured or any(_USES_PYTEST.search(text) for text in texts)
    only_unittest = bool(texts) and all(_USES_UNITTEST.search(text) for text in texts)
    env = {"PYTHONPATH": "src"} if (root / "src").is_dir() and any(_files(root / "src", suffix=".py")) else {}
    if wants_pytest or not only_unittest:
        missing = "" if has_pytest else "Its tests are for pytest, which the tools' environment does not have."
        return Suite("pytest", (*_PYTEST, *_PYTEST_SAYS), env, missing)
    return Suite("unittest", ("python", "-m", "unittest", "discover", "-v", *_discovery(root, files)), env)


def _counts(path: Path) -> bool:
    """Whether a file is a test by its place: at the top, or below a directory for tests."""
    return len(path.parts) == 1 or any(part in _TEST_FOLDERS for part in path.parts[:-1])


def _configures_pytest(root: Path) -> bool:
    if any(_is_file(root / name) for name in ("pytest.ini", ".pytest.ini", "conftest.py")):
        return True
    if any(_is_file(root / folder / "conftest.py") for folder in _TEST_FOLDERS):
        return True
    marks = (("pyproject.toml", b"[tool.pytest"), ("setup.cfg", b"[tool:pytest]"), ("tox.ini", b"[pytest]"))
    return any(mark in _read(root / name) for name, mark in marks)


def _discovery(root: Path, files: list[Path]) -> tuple[str, ...]:
    """Where unittest has to begin, for it finds only what can be imported from there."""
    tops = {path.relative_to(root).parts[0] for path in files}
    pattern = ("-p", "*_test.py") if all(path.name.endswith("_test.py") for path in files) else ()
    if len(tops) == 1 and (top := next(iter(tops))) in _TEST_FOLDERS:
        package = ("-t", ".") if _is_file(root / top / "__init__.py") else ()
        return ("-s", top, *package, *pattern)
    return pattern


def _make(root: Path, which: Which, has_pytest: bool) -> Suite | None:
    for name in ("GNUmakefile", "makefile", "Makefile"):
        if _MAKE_TEST.search(_read(root / name)):
            return Suite("make", ("make", "test"), missing=_needs("make", which))
    return None


def _npm(root: Path, which: Which, has_pytest: bool) -> Suite | None:
    try:
        package = json.loads(_read(root / "package.json") or b"{}")
    except (ValueError, RecursionError):
        return None
    scripts = package.get("scripts") if isinstance(package, dict) else None
    script = scripts.get("test") if isinstance(scripts, dict) else None
    if not isinstance(script, str) or not script.strip() or _NO_NPM_TEST in script:
        return None
    return Suite("npm", ("npm", "test"), missing=_needs("npm", which))


def _go(root: Path, which: Which, has_pytest: bool) -> Suite | None:
    if not _is_file(root / "go.mod") or not any(_files(root, suffix="_test.go")):
        return None
    return Suite("go", ("go", "test", "-v", "./..."), missing=_needs("go", which))


def _cargo(root: Path, which: Which, has_pytest: bool) -> Suite | None:
    if not _is_file(root / "Cargo.toml"):
        return None
    return Suite("cargo", ("cargo", "test", "--offline"), missing=_needs("cargo", which))


def _needs(program: str, which: Which) -> str:
    return "" if which(program) else f"Its tests are run with `{program}`, which the sandbox does not have."


def _files(root: Path, suffix: str = "") -> Iterator[Path]:
    """Regular files below a directory, sorted, so deep and so many at most; no link is followed."""
    waiting = [(root, 0)]
    left = _MOST_ENTRIES
    while waiting:
        folder, depth = waiting.pop()
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            left -= 1
            if left < 0:
                return
            if entry.is_dir(follow_symlinks=False):
                if depth < _DEEPEST and entry.name not in _SKIPPED and not entry.name.startswith("."):
                    waiting.append((Path(entry.path), depth + 1))
            elif entry.is_file(follow_symlinks=False) and entry.name.endswith(suffix):
                yield Path(entry.path)


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _read(path: Path) -> bytes:
    """The beginning of a regular file; nothing if it is none. A pipe is not waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    with os.fdopen(descriptor, "rb") as opened:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return b""
        return opened.read(_MOST_BYTES)
