"""Who may import whom, read from the code's own syntax trees: the rules of the house, as data and as checks.

A rule looks at one parsed module and yields sentences; nothing is imported or executed, so a broken tree can be
checked too. Every import counts: inside functions, under TYPE_CHECKING, relative, and `import_module("…")` with a
literal name. There is no list of exceptions. Run by `make check` as `python -m tests.unit.import_rules`;
`test_import_rules.py` plants one violation of each rule.
"""

import ast
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tests.unit import purity

ROOT = Path(__file__).resolve().parents[2]
HOUSES = ("core", "bot", "worker")

CORE_ORDER = (
    ("runs",),
    ("audit",),
    ("tools",),
    ("execution",),
    ("store",),
    ("record", "planners"),
    ("actions", "config", "logs"),
    ("deltas",),
    ("artifacts", "secrets", "principals", "ops"),
    (
        "errors",
        "door",
        "metrics",
        "budgets",
        "queue",
        "loops",
        "clock",
        "ids",
        "names",
        "nearest",
        "crashpoints",
        "lifelock",
        "redis_link",
        "announcements",
        "secret_shapes",
        "token_shapes",
        "periodic",
    ),
)
"""The rooms of core, top floor first. A room imports from its own floor and below; on one floor, never in a circle."""
FLOOR = {room: number for number, rooms in enumerate(CORE_ORDER) for room in rooms}

# Package: the only places that may import it, as prefixes of module names.
CONFINED: dict[str, tuple[str, ...]] = {
    "slack_sdk": ("bot",),
    "slack_bolt": ("bot",),
    "arq": ("core.queue", "worker"),
    "pydantic_ai": ("core.planners.model", "core.planners.vendors"),
    "mcp": ("core.tools.mcp.client",),
    "mcp_types": ("core.tools.mcp.client",),
    "sqlalchemy": ("core.store",),
    "alembic": ("core.store",),
    "sqlite3": ("core.store", "bot.playground"),  # the playground is a program of its own with a file of its own
    "aiosqlite": ("core.store",),
    "asyncpg": ("core.store",),
    "prometheus_client": ("core.metrics",),
}


@dataclass(frozen=True)
class Module:
    """One parsed file and what it imports."""

    name: str
    """Dotted, without `.__init__`."""
    path: str
    """Relative to the root, for messages."""
    tree: ast.Module
    is_package: bool
    known: frozenset[str] = field(repr=False)
    """Every module of the tree: tells `from core import ids` (a module) from `from core.ids import RunId` (a name)."""

    @cached_property
    def imports(self) -> tuple[tuple[int, str], ...]:
        """Line and dotted target of everything imported."""
        return tuple(sorted(set(self._imports())))

    @cached_property
    def names(self) -> tuple[tuple[int, str], ...]:
        """The same, with the imported name: `core.clock.rfc3339` where `imports` has `core.clock`."""
        return tuple(sorted({(line, f"{base}.{name}" if name else base) for line, base, name in self._statements()}))

    def _imports(self) -> Iterator[tuple[int, str]]:
        for line, base, name in self._statements():
            whole = f"{base}.{name}"
            yield line, whole if name and whole in self.known else base

    def _statements(self) -> Iterator[tuple[int, str, str]]:
        for node in ast.walk(self.tree):
            match node:
                case ast.Import(names=names):
                    yield from ((node.lineno, alias.name, "") for alias in names)
                case ast.ImportFrom(module=module, names=names, level=level):
                    base = self._absolute(module, level)
                    yield from ((node.lineno, base, alias.name) for alias in names)
                case ast.Call(func=func, args=[ast.Constant(value=str(target)), *_]) if purity.dotted(func) in (
                    "__import__",
                    "import_module",
                    "importlib.import_module",
                ):
                    yield node.lineno, target, ""

    def _absolute(self, module: str | None, level: int) -> str:
        if level == 0:
            return module or ""
        package = self.name.split(".") if self.is_package else self.name.split(".")[:-1]
        base = package[: len(package) - (level - 1)]
        return ".".join([*base, *([module] if module else [])])


def read_tree(root: Path) -> list[Module]:
    """Parse every module of the three houses below `root`."""
    files = {path: _dotted_name(root, path) for house in HOUSES for path in sorted((root / house).rglob("*.py"))}
    known = frozenset(files.values())
    return [
        Module(
            name=name,
            path=path.relative_to(root).as_posix(),
            tree=ast.parse(path.read_text("utf-8"), str(path)),
            is_package=path.name == "__init__.py",
            known=known,
        )
        for path, name in files.items()
    ]


def _dotted_name(root: Path, path: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def within(name: str, *prefixes: str) -> bool:
    """Whether a dotted name is one of the prefixes or below one."""
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def houses(module: Module) -> Iterator[str]:
    """Rule 1: core imports neither bot nor worker, those two never each other, and none of them the tests."""
    house = module.name.split(".")[0]
    strangers = {"core": ("bot", "worker"), "bot": ("worker",), "worker": ("bot",)}[house]
    for line, target in module.imports:
        if within(target, *strangers):
            yield f"{module.path}:{line}: {house} imports {target}; processes are started, not imported"
        if within(target, "tests", "bench"):
            yield f"{module.path}:{line}: imports {target}; what ships does not depend on what tries it"


def floors(module: Module) -> Iterator[str]:
    """Rule 1: inside core a room imports only rooms on its own floor or below."""
    room = _room(module.name)
    if room is None:
        return
    if room and room not in FLOOR:
        yield f"{module.path}:1: core.{room} has no place in CORE_ORDER (tests/unit/import_rules.py); give it one"
        return
    for line, target in module.imports:
        other = _room(target)
        if other is None or other == room:
            continue
        if not room:
            yield f"{module.path}:{line}: core/__init__.py imports {target}; the map of the house imports nothing of it"
        elif other not in FLOOR:
            yield f"{module.path}:{line}: imports {target}, which is no room of CORE_ORDER"
        elif FLOOR[other] < FLOOR[room]:
            yield f"{module.path}:{line}: core.{room} imports {target}, which stands above it"


def _room(name: str) -> str | None:
    """The room of core that a module belongs to; `""` for core itself, `None` outside of core."""
    first, _, rest = name.partition(".")
    return rest.split(".")[0] if first == "core" else None


def circles(modules: list[Module]) -> Iterator[str]:
    """Rule 1: no two rooms of core import each other, not even by way of a third."""
    edges: dict[str, dict[str, str]] = {}
    for module in modules:
        room = _room(module.name)
        for line, target in module.imports if room else ():
            other = _room(target)
            if other and other != room:
                edges.setdefault(room or "", {}).setdefault(other, f"{module.path}:{line}")
    for start in sorted(edges):
        for first, place in sorted(edges[start].items()):
            if start < first and start in _reachable(first, edges):
                yield f"{place}: core.{start} imports core.{first}, which leads back to core.{start}"


def _reachable(start: str, edges: dict[str, dict[str, str]]) -> set[str]:
    seen: set[str] = set()
    todo = [start]
    while todo:
        for other in edges.get(todo.pop(), {}):
            if other not in seen:
                seen.add(other)
                todo.append(other)
    return seen


def confinement(module: Module) -> Iterator[str]:
    """Rule 2: each outside library with a surface of its own has one place that may import it."""
    for line, target in module.imports:
        for package, places in CONFINED.items():
            if within(target, package) and not within(module.name, *places):
                yield f"{module.path}:{line}: imports {target}; only {' and '.join(places)} may"


def sql(module: Module) -> Iterator[str]:
    """Rule 2: SQL only in core/store; the playground is a program of its own with a file of its own."""
    if within(module.name, "core.store") or within(module.name, "bot.playground"):
        return
    for line, text in purity.strings(module.tree):
        if purity.looks_like_sql(text):
            yield f"{module.path}:{line}: an SQL statement; only core.store may hold one"


def commits(module: Module) -> Iterator[str]:
    """Rule 3: only the store commits."""
    if within(module.name, "core.store"):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and not node.args and not node.keywords:
            name = purity.dotted(node.func)
            if name is not None and name.endswith(".commit"):
                yield f"{module.path}:{node.lineno}: {name}(); hand a RunChange to the journal instead"


PURE = (
    "core.record", "core.runs.steps", "core.runs.commands", "core.actions.envelope", "core.actions.policy",
    "core.actions.approvals", "core.store.settle", "core.budgets", "core.loops", "core.audit.verify", "bot.blocks",
)  # fmt: skip
"""Modules whose functions get time, ids and randomness as arguments and touch nothing outside."""


def purely(module: Module) -> Iterator[str]:
    """Rule 4: the pure modules reach for neither clock, chance, system nor network."""
    if not within(module.name, *PURE):
        return
    for line, target in module.names:
        if purity.is_impure_import(target):
            yield f"{module.path}:{line}: imports {target}; this module is pure, take the value as an argument"
    for line, what in purity.impure_uses(module.tree):
        yield f"{module.path}:{line}: uses {what}; this module is pure, take the value as an argument"


def playground(module: Module) -> Iterator[str]:
    """Rule 1: the playground imports nothing of ours, and nobody imports it: it is known as an address."""
    inside = within(module.name, "bot.playground")
    for line, target in module.imports:
        if inside and within(target, *HOUSES) and not within(target, "bot.playground"):
            yield f"{module.path}:{line}: the playground imports {target}; it knows Slack's protocol, nothing of ours"
        if not inside and within(target, "bot.playground"):
            yield f"{module.path}:{line}: imports {target}; start it as a process and talk to its address"


def surfaces(module: Module) -> Iterator[str]:
    """Rule 5: blocks never see rows, the worker never sees a Slack token, the bot runs no tool."""
    for line, target in module.imports:
        if within(module.name, "bot.blocks") and within(target, "core.store"):
            yield f"{module.path}:{line}: blocks import {target}; take a read model of core.runs.views"
        if within(module.name, "bot") and not within(module.name, "bot.cli") and within(target, "core.execution"):
            yield f"{module.path}:{line}: the bot imports {target}; tools run in the worker"
    if within(module.name, "worker"):
        for line, text in purity.strings(module.tree):
            if text.startswith("SLACK_"):
                yield f"{module.path}:{line}: the worker names {text}; it holds no Slack token"


MODULE_RULES: tuple[Callable[[Module], Iterator[str]], ...] = (
    houses, floors, confinement, sql, commits, purely, playground, surfaces,
)  # fmt: skip


def violations(root: Path) -> list[str]:
    """Check the tree below `root` against every rule; each answer is a place and what is wrong there."""
    modules = read_tree(root)
    found = [sentence for module in modules for rule in MODULE_RULES for sentence in rule(module)]
    return sorted({*found, *circles(modules)})


def main() -> int:
    found = violations(ROOT)
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
