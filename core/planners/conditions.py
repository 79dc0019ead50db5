"""`if:` conditions: one CEL expression, checked when it is loaded, bounded when it is evaluated.

Pure: no clock, no time zones, nothing but what is passed in. The length, the depth and the work of an expression are
bounded, the functions are a closed list, and every mistake becomes our own sentence, because the library's texts repeat
the data. The library is imported on first use: it takes most of a second.

Known quirks of the library are met here: it raises the interpreter's recursion limit (put back), logs values
(silenced), compares only equal types (a sentence says so), and accepts any value as a result (we want a boolean).
"""

import logging
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from core.planners.references import Json, Path, TemplateError

Syntax = Any
"""A node or token of the library's syntax tree; its stubs type children too loosely to help."""

MAX_LENGTH = 1_000
MAX_DEPTH = 90
"""Levels of the syntax tree: a pair of brackets takes ten, a further `&&` one."""
MAX_WORK = 20_000
"""Syntax-tree nodes visited by one evaluation; a typical condition visits fifty."""

ROOTS = ("inputs", "steps", "failed", "look", "each")
"""What a path may begin with; which of them are there depends on the place."""

FUNCTIONS = ("has", "size", "int", "string", "bool", "double", "type")
METHODS = ("size", "contains", "startsWith", "endsWith", "matches", "all", "exists", "exists_one", "map", "filter")
_BINDING = ("all", "exists", "exists_one", "map", "filter")
_KINDS = {
    "STRING_LIT": "text",
    "MLSTRING_LIT": "text",
    "INT_LIT": "a whole number",
    "UINT_LIT": "a whole number",
    "FLOAT_LIT": "a fraction",
    "BOOL_LIT": "true or false",
}
_TYPE_NAMES = ("int", "double", "string", "bool", "list", "map", "null_type")

_WORDS = """
as break const continue else false for function if import in let loop namespace null package return true var void while
"""
RESERVED = frozenset(_WORDS.split())
"""Names CEL keeps for itself: no input and no step may have them."""


class ConditionError(Exception):
    """A condition could not be decided; the message is a sentence without any data in it."""


@dataclass(frozen=True)
class Comparison:
    """A path compared with a literal."""

    path: Path
    kind: str
    """The literal's: `text`, `a whole number`, `a fraction`, `true or false`."""
    literal: str | None
    """A text's content; `None` for other kinds."""


@dataclass(frozen=True)
class Condition:
    """A checked expression."""

    text: str
    uses: tuple[Path, ...] = field(compare=False)
    """The paths it reads, as far as they are written out: `("steps", "check", "status")`."""
    tested: tuple[Path, ...] = field(compare=False)
    """The paths it asks about with `has(…)`."""
    comparisons: tuple["Comparison", ...] = field(compare=False)

    def guards(self, root: str, name: str) -> bool:
        """Whether it looks at how a step ended, or at whether an optional input was given."""
        looked_at = {path[:2] for path in self.tested}
        looked_at |= {path[:2] for path in self.uses if path[0] == "steps" and path[2:] == ("status",)}
        return (root, name) in looked_at

    def holds(self, values: Mapping[str, Json]) -> bool:
        """Decide; raise `ConditionError` if the values do not allow it."""
        return _evaluate(self, values)


@lru_cache(maxsize=1024)
def parse_condition(text: str) -> Condition:
    """Read an expression; raise `TemplateError` with a sentence and a remedy if it is not one we allow."""
    if "${{" in text:
        raise TemplateError("`if` is already an expression.", "Write `inputs.name == 'x'`, without `${{ }}`.")
    if not text.strip():
        raise TemplateError("This condition is empty.", "Write an expression, or remove `if`.")
    if len(text) > MAX_LENGTH:
        raise TemplateError("This condition is longer than 1,000 characters.", "Let a step compute it.")
    tree = _parse(text)
    _check_bounds(tree)
    walk = _Walk()
    walk.visit(tree, frozenset())
    return Condition(text, tuple(dict.fromkeys(walk.uses)), tuple(walk.tested), tuple(walk.comparisons))


def _parse(text: str) -> Syntax:
    from celpy.celparser import CELParseError

    try:
        return _environment().compile(text)
    except CELParseError as error:
        at = f"near character {error.column}" if error.line == 1 and error.column else "at its end"
        remedy = "Write e.g. `inputs.mode == 'full'` or `steps.check.out.rows > 0`."
        raise TemplateError(f"This is not a CEL expression {at}.", remedy) from None


@lru_cache(maxsize=1)
def _environment() -> Any:
    limit = sys.getrecursionlimit()
    import celpy

    logging.getLogger("celpy").setLevel(logging.CRITICAL)
    try:
        return celpy.Environment()
    finally:
        sys.setrecursionlimit(limit)


def _check_bounds(tree: Syntax) -> None:
    level = [tree]
    for _ in range(MAX_DEPTH):
        level = [child for each in level for child in each.children if hasattr(child, "children")]
        if not level:
            return
    raise TemplateError("This condition is nested too deep.", "Use fewer brackets, or let a step compute it.")


class _Walk:
    """Collects what an expression reads and refuses what we do not allow."""

    def __init__(self) -> None:
        self.uses: list[Path] = []
        self.tested: list[Path] = []
        self.comparisons: list[Comparison] = []

    def visit(self, tree: Syntax, bound: frozenset[str]) -> None:
        """Visit a node; `bound` are the variables of the comprehensions around it."""
        path = _written_path(tree)
        if path is not None and path[0] not in bound:
            if len(path) > 1 or path[0] not in _TYPE_NAMES:
                self.uses.append(path)
            return
        match tree.data:
            case "ident_arg":
                name = str(tree.children[0])
                self._allow(name, FUNCTIONS, "function")
                if name == "has":
                    self._has(tree, bound)
            case "member_dot_arg":
                name = str(tree.children[1])
                self._allow(name, METHODS, "function")
                if name == "matches":
                    self._pattern(tree)
                if name in _BINDING:
                    self._comprehension(tree, bound)
                    return
            case "dot_ident" | "dot_ident_arg" | "member_object":
                raise TemplateError(
                    "This condition builds a message, which is not possible here.", "Compare plain values."
                )
            case "relation":
                self._compare(tree)
            case _:
                pass
        for child in tree.children:
            if hasattr(child, "children"):
                self.visit(child, bound)

    def _allow(self, name: str, allowed: tuple[str, ...], noun: str) -> None:
        if name not in allowed:
            raise TemplateError(f"There is no {noun} `{name}` here.", f"Possible: {', '.join(allowed)}.")

    def _has(self, tree: Syntax, bound: frozenset[str]) -> None:
        arguments = tree.children[1].children if len(tree.children) > 1 else []
        path = _written_path(arguments[0]) if len(arguments) == 1 else None
        if path is None or len(path) < 2:
            raise TemplateError("`has` asks whether a field is there.", "Write `has(inputs.name)`.")
        if path[0] not in bound:
            self.tested.append(path)

    def _comprehension(self, tree: Syntax, bound: frozenset[str]) -> None:
        subject, name, *rest = tree.children
        arguments = rest[0].children if rest else []
        variable = _written_path(_peeled(arguments[0])) if len(arguments) == 2 else None
        if variable is None or len(variable) != 1 or not isinstance(variable[0], str):
            raise TemplateError(f"`{name}` needs a variable and an expression.", f"Write `list.{name}(x, x > 0)`.")
        self.visit(subject, bound)
        self.visit(arguments[1], bound | {variable[0]})

    def _pattern(self, tree: Syntax) -> None:
        """Try a written-out pattern now: the matcher itself complains on the process's standard error."""
        arguments = tree.children[2].children if len(tree.children) > 2 else []
        literal = _peeled(arguments[0]) if len(arguments) == 1 else None
        if literal is None or literal.data != "literal" or (pattern := _content(literal.children[0])) is None:
            return
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError):
            raise TemplateError(
                "The pattern of `matches` is not a regular expression.", "Write e.g. '^[a-z]+$'."
            ) from None

    def _compare(self, tree: Syntax) -> None:
        if len(tree.children) != 2 or tree.children[0].data == "relation_in":
            return
        left, right = _peeled(tree.children[0].children[0]), _peeled(tree.children[1])
        for one, other in ((left, right), (right, left)):
            path = _written_path(one)
            if path is not None and other.data == "literal" and (kind := _KINDS.get(other.children[0].type)):
                self.comparisons.append(Comparison(path, kind, _content(other.children[0])))


def _peeled(tree: Syntax) -> Syntax:
    """Descend through the levels of precedence that add nothing."""
    while len(tree.children) == 1 and hasattr(tree.children[0], "children"):
        tree = tree.children[0]
    return tree


def _written_path(tree: Syntax) -> Path | None:
    """Return `a.b["c"][0]` as a path if the tree is exactly that."""
    tree = _peeled(tree)
    match tree.data:
        case "ident":
            return (str(tree.children[0]),)
        case "member_dot":
            base = _written_path(tree.children[0])
            return None if base is None else (*base, str(tree.children[1]))
        case "member_index":
            base = _written_path(tree.children[0])
            key = _peeled(tree.children[1])
            if base is None or key.data != "literal":
                return None
            token = key.children[0]
            if token.type == "INT_LIT" and token.isdigit():
                return (*base, int(token))
            content = _content(token)
            return None if content is None else (*base, content)
        case _:
            return None


def _content(token: Syntax) -> str | None:
    plain = token.type == "STRING_LIT" and token[0] in "\"'" and "\\" not in token
    return str(token[1:-1]) if plain else None


def _evaluate(condition: Condition, values: Mapping[str, Json]) -> bool:
    from celpy.adapter import json_to_cel
    from celpy.celtypes import BoolType
    from celpy.evaluation import CELEvalError

    runner = _environment().program(_tree(condition.text))
    try:
        activation = {name: json_to_cel(value) for name, value in _needed(condition, values)}
        answer = _bounded_evaluator()(runner.ast, runner.new_activation()).evaluate(activation)
    except CELEvalError as error:
        raise ConditionError(_explained(error)) from None
    except _TooMuchWork:
        raise ConditionError("it needs too much work; let a step compute it") from None
    except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError):
        raise ConditionError("its values do not fit together") from None
    if not isinstance(answer, BoolType):
        raise ConditionError("it is neither true nor false; compare the value with something")
    return bool(answer)


@lru_cache(maxsize=1024)
def _tree(text: str) -> Syntax:
    return _parse(text)


def _needed(condition: Condition, values: Mapping[str, Json]) -> Iterator[tuple[str, Json]]:
    """Yield only the roots and names the expression reads, so that a large result elsewhere costs nothing."""
    for root in ROOTS:
        group = values.get(root)
        if not isinstance(group, Mapping):
            if root in values:
                yield root, group
            continue
        names = {path[1] for path in condition.uses if path[0] == root and len(path) > 1}
        whole = any(path == (root,) for path in condition.uses)
        yield root, {key: value for key, value in group.items() if whole or key in names}


class _TooMuchWork(Exception):
    pass


@lru_cache(maxsize=1)
def _bounded_evaluator() -> Any:
    from celpy.evaluation import Evaluator

    class Bounded(Evaluator):
        """Counts the nodes it visits; the evaluators it makes for comprehensions share the count."""

        def __init__(self, ast: Any, activation: Any, spent: list[int] | None = None) -> None:
            super().__init__(ast, activation)
            self.spent = spent if spent is not None else [0]

        def sub_evaluator(self, ast: Any) -> Evaluator:
            return Bounded(ast, self.activation, self.spent)

        def _visit_tree(self, tree: Any) -> Any:
            self.spent[0] += 1
            if self.spent[0] > MAX_WORK:
                raise _TooMuchWork
            return super()._visit_tree(tree)

    return Bounded


def _explained(error: Exception) -> str:
    """Turn the library's error into a sentence; its own text would repeat the values."""
    text = str(error.args[0]) if error.args else ""
    kind = error.args[1] if len(error.args) > 1 else None
    if kind is KeyError or "no such member" in text:
        return "it reads a value that is not there; test it first with `has(…)`"
    if kind is IndexError:
        return "it reads beyond the end of a list"
    if kind is ZeroDivisionError:
        return "it divides by zero"
    if "no matching overload" in text or "no such overload" in text or kind is TypeError:
        return "it compares or combines values of different types; convert one with `int(…)` or `string(…)`"
    if "match error" in text:
        return "its pattern is not a regular expression"
    if kind is ValueError:
        return "a number is too large, or a text is not a number"
    return "its values do not fit together"
