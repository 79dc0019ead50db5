"""YAML 1.2, the strict part of it, as a tree that remembers where everything stands.

Two readers of one file must never see two meanings, so whatever YAML 1.1 and 1.2 read differently has to be quoted, and
duplicate keys, anchors, aliases, merge keys, tags, directives and further documents are refused. Fractions are refused
too: our canonical JSON has none. What the values mean is decided by whoever reads the tree.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from core.config.problems import ConfigProblems, Problem, excerpt, path_text

MAX_BYTES = 1_000_000
MAX_DEPTH = 24
MAX_NODES = 20_000
MAX_INTEGER = 2**53 - 1
"""The largest integer every JSON reader keeps exactly."""

Path_ = Sequence[str | int]
Scalar = str | int | bool | None

_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)")
_FRACTION = re.compile(
    r"[-+]?(\.[0-9]+|[0-9][0-9_]*\.[0-9_]*|[0-9][0-9_]*(?=[eE]))([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_AMBIGUOUS = re.compile(
    r"[-+]?0[0-7_]+|0o[0-7]+|[-+]?0x[0-9a-fA-F_]+|[-+]?0b[01_]+"  # octal, hexadecimal, binary
    r"|[-+]?[0-9][0-9_]*|\+[0-9]+"  # 012, 1_000, +1
    r"|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"  # 1:30 is 90 in YAML 1.1
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?"  # a date in YAML 1.1
    r"|y|Y|yes|Yes|YES|n|N|no|No|NO|on|On|ON|off|Off|OFF|=|<<"
)
# Also what only some readers take for a line break (NEL, LS, PS), byte-order marks inside, and bidirectional controls,
# which let a file look different from what it says.
_UNPRINTABLE = re.compile(
    "[^\\t\\n\\r -~\\xa0-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]|[\\u2028-\\u202e\\u2066-\\u2069\\ufeff]"
)
_DIRECTIVE = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\r?\n)*%")
_SURROGATE = re.compile("[\\ud800-\\udfff]")


@dataclass(frozen=True)
class Node:
    """A value and where it begins (1-based; 0 when it did not come from a file)."""

    value: "Scalar | tuple[Node, ...] | Mapping[str, Node]"
    line: int = 0
    column: int = 0
    key_line: int = 0
    """Where its key stands, for a value of a mapping."""
    key_column: int = 0

    def plain(self) -> Any:
        """Return the value as plain JSON."""
        if isinstance(self.value, Mapping):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, tuple):
            return [node.plain() for node in self.value]
        return self.value


@dataclass(frozen=True)
class Document:
    """One file, or one part of a file, read."""

    file: str
    root: Node
    prefix: tuple[str | int, ...] = ()
    """Path of `root` inside the file, for sentences."""

    def plain(self) -> Any:
        return self.root.plain()

    def canonical(self) -> str:
        """The content as canonical JSON: same meaning, same text; comments and layout do not count."""
        return canonical_json(self.plain())

    def part(self, path: Path_) -> "Document":
        """Return the part below `path`, which must exist."""
        return Document(self.file, self._reach(path)[0], (*self.prefix, *path))

    def problem(self, path: Path_, what: str, remedy: str, *, at_key: bool = False) -> Problem:
        """Describe what is wrong at `path`; a path that does not exist is placed at its nearest existing parent."""
        node, complete = self._reach(path)
        by_key = at_key and complete and node.key_line
        line, column = (node.key_line, node.key_column) if by_key else (node.line, node.column)
        return Problem(self.file, line, column, path_text((*self.prefix, *path)), what, remedy)

    def _reach(self, path: Path_) -> tuple[Node, bool]:
        node = self.root
        for part in path:
            if isinstance(node.value, Mapping):
                inner = node.value.get(part) if isinstance(part, str) else None
            elif isinstance(node.value, tuple) and isinstance(part, int) and part < len(node.value):
                inner = node.value[part]
            else:
                inner = None
            if inner is None:
                return node, False
            node = inner
        return node, True


def canonical_json(value: Any) -> str:
    """Serialise plain JSON so that equal values have equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def from_plain(value: Any, *, file: str) -> Document:
    """Wrap plain JSON that did not come from a file with lines."""

    def wrap(each: Any) -> Node:
        if isinstance(each, Mapping):
            return Node({key: wrap(inner) for key, inner in each.items()})
        if isinstance(each, list):
            return Node(tuple(wrap(inner) for inner in each))
        return Node(each)

    return Document(file, wrap(value))


def read_document(path: Path, *, shown_as: str | None = None) -> Document:
    """Read a file; raise `ConfigProblems` if it is missing, too large, not UTF-8 or not in our part of YAML."""
    name = shown_as or str(path)
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _whole(name, "This file does not exist.", "Create it or name another file.") from None
    except IsADirectoryError:
        raise _whole(name, "This is a directory.", "Name a YAML file.") from None
    except OSError as error:
        raise _whole(name, f"This file cannot be read: {error.strerror}.", "Check its owner and permissions.") from None
    return parse_document(data, file=name)


def parse_document(data: bytes, *, file: str) -> Document:
    """Parse the bytes of a file; raise `ConfigProblems` with everything found wrong."""
    if len(data) > MAX_BYTES:
        raise _whole(file, "This file is larger than 1 MB.", "Split playbooks into files of their own (`- file: …`).")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _whole(file, "This file is UTF-16.", "Save it as UTF-8.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _at(file, line, 1, f"Byte {error.start} is not UTF-8.", "Save the file as UTF-8.") from None
    if bad := _UNPRINTABLE.search(text):
        line, column = text.count("\n", 0, bad.start()) + 1, bad.start() - text.rfind("\n", 0, bad.start())
        name = f"U+{ord(bad.group()):04X}"
        what, remedy = f"The character {name} may not stand here.", 'Remove it, or write it in double quotes: "\\u…".'
        raise _at(file, line, column, what, remedy)
    if found := _DIRECTIVE.match(text):
        line = text.count("\n", 0, found.end()) + 1
        raise _at(file, line, 1, "YAML directives are not used here.", "Remove the lines that begin with `%`.")
    return _Reader(file, text).document()


@dataclass
class _Reader:
    """Builds the tree from the parser's events, so that nothing is resolved behind our back."""

    file: str
    text: str
    problems: list[Problem] = field(default_factory=list)
    nodes: int = 0

    def document(self) -> Document:
        root: Node | None = None
        try:
            events: Iterator[Event] = iter(YAML(typ="safe", pure=True).parse(self.text))
            for event in events:
                if isinstance(event, DocumentStartEvent):
                    if root is not None:
                        self._refuse(event, (), "A second document begins here.", "Keep one document per file.")
                        break
                    if event.version or event.tags:
                        self._refuse(event, (), "YAML directives are not used here.", "Remove the `%…` lines above.")
                elif isinstance(event, (AliasEvent, *_CONTENT)):
                    root = self._node(event, events, ())
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
            why = " ".join(part for part in (error.context, error.problem) if part)
            self.problems.append(
                Problem(self.file, line, column, "", f"This is not YAML: {why}.", _syntax_remedy(error.problem or ""))
            )
        except (YAMLError, ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError):
            # The parser's own mistakes on strange input, e.g. `%YAML 1.9` or a lone `%`.
            self.problems.append(
                Problem(self.file, 1, 1, "", "This is not YAML.", "Check quotes, brackets and indentation.")
            )
        except _TooMuch:
            pass
        if self.problems:
            raise ConfigProblems(self.problems)
        if root is None:
            raise _at(self.file, 1, 1, "This file is empty.", "Write at least one setting, or remove the file.")
        return Document(self.file, root)

    def _node(self, event: Event, events: Iterator[Event], path: tuple[str | int, ...]) -> Node:
        self.nodes += 1
        if self.nodes > MAX_NODES or len(path) > MAX_DEPTH:
            what = "is nested more than 24 levels deep" if len(path) > MAX_DEPTH else "has more than 20,000 values"
            self._refuse(event, path[:6], f"This file {what}.", "Nobody needs that much here: simplify it.")
            raise _TooMuch
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if isinstance(event, AliasEvent):
            what = f"`*{event.anchor}` is an alias."
            self._refuse(event, path, what, "Write the value out: anchors and aliases are refused.")
            return Node(None, line, column)
        assert isinstance(event, _CONTENT)
        if event.anchor:
            self._refuse(event, path, f"`&{event.anchor}` is an anchor.", "Remove it: anchors and aliases are refused.")
        if event.tag is not None:
            what = f"The tag {excerpt(str(event.tag))} is refused."
            self._refuse(event, path, what, "Remove the tag; quote the value if it is text.")
        if isinstance(event, SequenceStartEvent):
            items: list[Node] = []
            while not isinstance(inner := next(events), SequenceEndEvent):
                items.append(self._node(inner, events, (*path, len(items))))
            return Node(tuple(items), line, column)
        if isinstance(event, MappingStartEvent):
            return self._mapping(event, events, path)
        assert isinstance(event, ScalarEvent)
        return Node(self._scalar(event, path), line, column)

    def _mapping(self, start: Event, events: Iterator[Event], path: tuple[str | int, ...]) -> Node:
        found: dict[str, Node] = {}
        while not isinstance(key_event := next(events), MappingEndEvent):
            key = self._key(key_event, events, path)
            value_event = next(events)
            shown = key if key is not None else "?"
            node = self._node(value_event, events, (*path, shown))
            if key is None:
                continue
            if key in found:
                first = found[key].key_line
                what = f"`{key}` stands twice here; the first is on line {first}."
                self._refuse(key_event, (*path, key), what, "Remove one of the two.")
                continue
            mark = key_event.start_mark
            found[key] = Node(node.value, node.line, node.column, mark.line + 1, mark.column + 1)
        return Node(found, start.start_mark.line + 1, start.start_mark.column + 1)

    def _key(self, event: Event, events: Iterator[Event], path: tuple[str | int, ...]) -> str | None:
        if isinstance(event, ScalarEvent) and event.style is None and event.value == "<<":
            self._refuse(event, path, "`<<` is a merge key.", "Write the fields out: merge keys are refused.")
            return None
        if isinstance(event, ScalarEvent) and event.value in ("y", "n", "Y", "N") and not event.anchor:
            return str(event.value)  # as a key a single letter is a name, whatever it is as a value
        node = self._node(event, events, path)
        if not isinstance(node.value, str):
            if not self.problems or (self.problems[-1].line, self.problems[-1].column) != (node.line, node.column):
                self._refuse(event, path, "A key must be text.", 'Quote it, e.g. `"12": …`.')
            return None
        return node.value

    def _scalar(self, event: ScalarEvent, path: tuple[str | int, ...]) -> Scalar:
        value: str = event.value
        if event.style is not None:
            if "\x00" in value:
                self._refuse(event, path, "This text holds a NUL character.", "Remove it.")
            if _SURROGATE.search(value):
                self._refuse(
                    event, path, "This text holds half of a character.", r"Write it whole, as \U with 8 digits."
                )
                return ""
            return value
        if value in ("", "~", "null", "Null", "NULL"):
            return None
        if value in ("true", "True", "TRUE"):
            return True
        if value in ("false", "False", "FALSE"):
            return False
        if _DECIMAL.fullmatch(value) and value != "-0":
            if len(value) > 17 or abs(int(value)) > MAX_INTEGER:
                self._refuse(event, path, f"{excerpt(value)} is too large for a number.", f'Quote it: "{value[:40]}".')
                return 0
            return int(value)
        if _AMBIGUOUS.fullmatch(value):
            what = f"{excerpt(value)} means different things to different readers of YAML."
            self._refuse(event, path, what, f"{_plainer(value)}")
        elif _FRACTION.fullmatch(value):
            what = f"{excerpt(value)} is a fraction, which cannot be signed exactly."
            self._refuse(event, path, what, f'Write amounts as text: "{value[:40]}".')
        return value

    def _refuse(self, event: Event, path: Path_, what: str, remedy: str) -> None:
        mark = event.start_mark
        self.problems.append(Problem(self.file, mark.line + 1, mark.column + 1, path_text(path), what, remedy))


class _TooMuch(Exception):
    """Ends reading a file whose size alone is the problem."""


_CONTENT = (ScalarEvent, SequenceStartEvent, MappingStartEvent)


def _plainer(value: str) -> str:
    if value.lower() in ("y", "yes", "on"):
        return f'Write `true`, or "{value}" if you mean the word.'
    if value.lower() in ("n", "no", "off"):
        return f'Write `false`, or "{value}" if you mean the word.'
    return f'Quote it if it is text: "{value[:40]}"; write a plain decimal number if it is a number.'


def _syntax_remedy(problem: str) -> str:
    if "\\t" in problem or "tab" in problem:
        return "Indent with spaces, not tabs."
    if "mapping values are not allowed" in problem:
        return "Quote a text that contains `: `, or begin a new line."
    if "end of stream" in problem or "stream end" in problem:
        return "Close the quote or bracket that is still open."
    if "cannot start any token" in problem:
        return "Quote a text that begins with a special character."
    return "Check quotes, brackets and indentation near this place."


def _whole(file: str, what: str, remedy: str) -> ConfigProblems:
    return _at(file, 0, 0, what, remedy)


def _at(file: str, line: int, column: int, what: str, remedy: str) -> ConfigProblems:
    return ConfigProblems([Problem(file, line, column, "", what, remedy)])
