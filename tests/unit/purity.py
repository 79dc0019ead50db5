"""What a syntax tree reaches for: clock, chance, system, network, SQL. The words of the import rules, without the
rules."""

import ast
import re
from collections.abc import Iterator

_IMPURE = frozenset({
    # clock and chance
    "time", "random", "secrets", "uuid", "uuid_utils",
    # system
    "os", "io", "shutil", "tempfile", "glob", "fcntl", "signal", "subprocess", "platform", "mmap",
    "pty", "resource",
    # concurrency
    "asyncio", "threading", "multiprocessing", "concurrent", "select", "selectors", "anyio", "queue",
    # network and stores
    "socket", "ssl", "http", "urllib.request", "ftplib", "smtplib", "aiohttp", "httpx", "requests", "redis", "arq",
    "sqlite3", "aiosqlite", "asyncpg", "sqlalchemy", "slack_sdk.web", "slack_sdk.socket_mode", "slack_bolt",
})  # fmt: skip
_IMPURE_NAMES = frozenset({
    # of modules that have a pure part as well
    "core.clock", "core.clock.Clock", "core.clock.SystemClock", "core.clock.boot_id", "pathlib", "pathlib.Path",
})  # fmt: skip
_IMPURE_CALLS = frozenset({"open", "input", "print", "breakpoint", "exec", "eval"})
_CLOCK_METHODS = frozenset({"now", "utcnow", "today"})
_DATES = frozenset({"datetime.datetime", "datetime.date"})
_SQL = re.compile(
    r"\s*(SELECT\s.+\sFROM\s|SELECT\s+\d|INSERT\s+(OR\s+\w+\s+)?INTO\s|UPDATE\s+\S+\s+SET\s|DELETE\s+FROM\s"
    r"|(CREATE|ALTER|DROP)\s+(TABLE|INDEX|DATABASE|TRIGGER|VIEW)\s|PRAGMA\s+\w|BEGIN\s+IMMEDIATE)",
    re.DOTALL,
)


def dotted(node: ast.expr) -> str | None:
    """The dotted name an expression spells, if it is one; calls and indexing in front of a method become `?`."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attr):
            return f"{dotted(value) or '?'}.{attr}"
    return None


def is_impure_import(target: str) -> bool:
    """Whether importing this module, or this name of a module, gives access to something outside."""
    return target in _IMPURE_NAMES or any(target == name or target.startswith(f"{name}.") for name in _IMPURE)


def impure_uses(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and name of each built-in that does IO and each mention of a method that reads the clock."""
    names = dict(_bound_names(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _IMPURE_CALLS:
            yield node.lineno, f"{node.func.id}()"
        if isinstance(node, ast.Attribute) and node.attr in _CLOCK_METHODS:
            owner = dotted(node.value) or ""
            first, _, rest = owner.partition(".")
            full = names.get(first, first) + (f".{rest}" if rest else "")
            if full in _DATES:
                yield node.lineno, f"{full}.{node.attr}"


def _bound_names(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """What each imported name stands for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.asname or alias.name, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)


def strings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and text of each string constant that is not a docstring or a bare string."""
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.lineno, node.value


def looks_like_sql(text: str) -> bool:
    """Whether a string is a statement for a database, written as we write them: keywords in capitals."""
    return _SQL.match(text) is not None
