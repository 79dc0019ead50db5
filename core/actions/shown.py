r"""What people are shown of an action, generated from the stored bytes alone: shown is signed.

The text holds every value of the envelope and every byte of what the action carries, in an order made for reading and
in a form that can be read back. Nothing is left out, shortened or summarised, and no two actions have the same text. A
vote records the digest of this text. Words of agents and tools about the action are not here.

    tool = "git_push"
    args.body =                                     a text of several lines
      | one
      |                                             (it ends with a line break)
    args.branch = "fix"
    …
    === "changes.patch" sha256:2c26… (3 bytes)      what it carries, in full
      | foo

Values of one line are JSON whose control characters are written like every other hidden one, `\u{0009}`.
"""

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from core.actions.envelope import MAX_DEPTH, canonical, digest
from core.actions.reveal import ESCAPE, escape, mixes_scripts, pages, reveal, unreveal
from core.errors import TerminalError

MAX_INLINE = 2500
"""UTF-16 units of a text that is decided on from a card; a longer one is read page by page."""

_FIRST = ("tool", "args", "environment", "network", "creds", "inputs", "quorum", "expires")
_ALWAYS_DIFFERENT = frozenset({"nonce", "run", "step", "ordinal", "generation", "expires"})
_BLOCK = "  | "
"""Before each line of a text of several lines. No line of another kind begins with a blank."""
_INPUT = re.compile(r'=== ".*" sha256:([0-9a-f]{64}) \([0-9]+ bytes\)')
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_STEP = re.compile(r'\[([0-9]{1,5})\]|\.?([A-Za-z_][A-Za-z0-9_-]*)|\.?("(?:[^"\\]|\\.)*")')
_SHA256 = re.compile(r"[0-9a-f]{64}")

_LONG_LINE = 500
_MANY_BLANKS = re.compile(" {40,}")
_MANY_LINES = 20
_MOST_NAMED = 5


class ShownMismatch(TerminalError):
    """What is stored is not what the action names; the message is a sentence."""


@dataclass(frozen=True)
class Box:
    """The text of an action."""

    text: str
    digest: str
    """`sha256:…` of the text in UTF-8: what a vote says its voter has seen."""
    action_digest: str
    """`sha256:…` of the envelope: what is approved."""
    warnings: tuple[str, ...] = ()
    """What deserves a second look, a sentence each."""

    def pages(self, limit: int) -> tuple[str, ...]:
        """The text in pages of at most `limit` UTF-16 units, cut at line ends where there are some, never inside a
        character written out; joined they are the text.

        A page that begins within a line is one whose predecessor does not end with a line break: say so next to it.

        Raises:
            ValueError: `limit` is below 12.
        """
        return tuple(pages(self.text, limit))


@dataclass(frozen=True)
class Change:
    """One difference between two actions; the values are revealed, `None` where one has no such value."""

    path: str
    before: str | None
    after: str | None


def box(envelope: str | bytes, inputs: Mapping[str, bytes]) -> Box:
    """Generate what is shown of an action.

    Args:
        inputs: The bytes of what it carries, by the hex sha256 the envelope names; others are not looked at.

    Raises:
        ShownMismatch: the envelope is not canonical, or an input is missing or has other bytes.
    """
    data, action = _parsed(envelope)
    carried = [(item, _verified(item, inputs)) for item in action.get("inputs", [])]
    lines = [line for path, value in _leaves(action) for line in _leaf_lines(path, value)]
    for item, content in carried:
        lines.append(f"=== {_inline(item['ref'])} sha256:{item['sha256']} ({len(content)} bytes)")
        lines += _block(_decoded(content))
    text = "\n".join(lines) + "\n"
    values = [(path, value) for path, value in _leaves(action) if isinstance(value, str)]
    values += [(_input_path(item), _decoded(content)) for item, content in carried]
    return Box(text, digest(text.encode()), digest(data), (*_doubts(values), *_oddities(text)))


def parse(text: str) -> tuple[bytes, dict[str, bytes]]:
    """Read a box's text back: the envelope's bytes, and each input's by its sha256.

    What is returned has exactly this text and no other: that is checked by generating it again.

    Raises:
        ShownMismatch: it is not such a text.
    """
    try:
        data, inputs = _read(text)
        same = box(data, inputs).text == text
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, TerminalError) as error:
        raise ShownMismatch("This is not the text of an action; compare it with what was copied.") from error
    if not same:
        raise ShownMismatch("This is nearly the text of an action, but was changed; compare it with what was copied.")
    return data, inputs


def changes(old_envelope: str, new_envelope: str) -> tuple[Change, ...]:
    """What differs between two envelopes, leaf by leaf, in the order of the box.

    What differs between any two is left out, and what they carry is compared by its sha256 (`inputs[changes.patch]`).

    Raises:
        ShownMismatch: one of them is not canonical.
    """
    before, after = _compared(old_envelope), _compared(new_envelope)
    paths = [*before, *(path for path in after if path not in before)]
    return tuple(
        Change(path, before.get(path), after.get(path)) for path in paths if before.get(path) != after.get(path)
    )


def _parsed(envelope: str | bytes) -> tuple[bytes, dict[str, Any]]:
    """The envelope's bytes and content, with what is needed here present and of the right shape."""
    try:
        data = envelope.encode() if isinstance(envelope, str) else envelope
        action = json.loads(data)
        one_form = canonical(action) == data
    except (ValueError, TerminalError, RecursionError) as error:
        raise ShownMismatch("The stored action cannot be read, so it cannot be shown or approved.") from error
    if not one_form:
        raise ShownMismatch("The stored action is not in the one form it may have, so it cannot be approved.")
    if not (isinstance(action, dict) and isinstance(action.get("tool"), str) and _inputs_fit(action.get("inputs", []))):
        raise ShownMismatch("What is stored is not an action: it names no tool, or not what it carries.")
    return data, action


def _inputs_fit(inputs: Any) -> bool:
    return isinstance(inputs, list) and all(
        isinstance(item, dict)
        and isinstance(item.get("ref"), str)
        and isinstance(sha256 := item.get("sha256"), str)
        and _SHA256.fullmatch(sha256)
        for item in inputs
    )


def _verified(item: Mapping[str, str], inputs: Mapping[str, bytes]) -> bytes:
    data = inputs.get(item["sha256"])
    if data is None:
        raise ShownMismatch(f"What the action carries as {_inline(item['ref'])} is not stored any more; ask anew.")
    if hashlib.sha256(data).hexdigest() != item["sha256"]:
        raise ShownMismatch(f"What is stored as {_inline(item['ref'])} is not what the action carries; ask anew.")
    return data


def _leaves(action: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Path and value of everything that holds nothing else; the tool comes first."""
    names = [name for name in _FIRST if name in action]
    names += sorted(name for name in action if name not in _FIRST)
    for name in names:
        yield from _leaves_of(_key(name), action[name])


def _leaves_of(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    match value:
        case dict() if value:
            for key in sorted(value):
                yield from _leaves_of(f"{path}.{_key(key)}", value[key])
        case list() if value:
            for number, item in enumerate(value):
                yield from _leaves_of(f"{path}[{number}]", item)
        case _:
            yield path, value


def _leaf_lines(path: str, value: Any) -> Iterator[str]:
    if isinstance(value, str) and "\n" in value:
        yield f"{path} ="
        yield from _block(value)
    else:
        yield f"{path} = {_inline(value)}"


def _block(text: str) -> Iterator[str]:
    return (_BLOCK + line for line in reveal(text).split("\n"))


def _inline(value: Any) -> str:
    """A value in one line, whatever it holds."""
    if not isinstance(value, str):
        return json.dumps(value)
    # Only what JSON must escape is; a letter of its own (`\t`) would become part of the word that follows.
    quoted = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return reveal(quoted).replace("\n", escape("\n"))


def _key(name: str) -> str:
    return name if _PLAIN_KEY.fullmatch(name) else _inline(name)


def _value(shown: str) -> Any:
    """Undo `_inline`."""
    return json.loads(unreveal(shown), strict=False)


def _decoded(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")


def _input_path(item: Mapping[str, str]) -> str:
    return f"inputs[{_inline(item['ref'])[1:-1]}]"


def _read(text: str) -> tuple[bytes, dict[str, bytes]]:
    action: dict[str, Any] = {}
    inputs: dict[str, bytes] = {}
    lines = text.removesuffix("\n").split("\n")
    at = 0
    while at < len(lines):
        line, at = lines[at], at + 1
        first = at
        while at < len(lines) and lines[at].startswith(_BLOCK):
            at += 1
        block = unreveal("\n".join(shown.removeprefix(_BLOCK) for shown in lines[first:at]))
        if found := _INPUT.fullmatch(line):
            inputs[found.group(1)] = block.encode("utf-8", "surrogateescape")
        else:
            steps, rest = _split(line)
            _put(action, steps, block if rest == " =" else _value(rest.removeprefix(" = ")))
    return canonical(action), inputs


def _split(line: str) -> tuple[list[str | int], str]:
    """A line's path, and what follows it; a quoted key may hold anything."""
    steps: list[str | int] = []
    at = 0
    while not line.startswith(" =", at):
        found = _STEP.match(line, at)
        if found is None or len(steps) > MAX_DEPTH:
            raise ValueError("this is no path")
        number, plain, quoted = found.groups()
        steps.append(int(number) if number else plain or _value(quoted))
        at = found.end()
    return steps, line[at:]


def _put(action: dict[str, Any], steps: list[str | int], value: Any) -> None:
    """Set a leaf by its path; items come in their order."""
    at: Any = action
    for step, following in pairwise(steps):
        empty: Any = [] if isinstance(following, int) else {}
        if isinstance(step, int) and step == len(at):
            at.append(empty)
        at = at[step] if isinstance(step, int) else at.setdefault(step, empty)
    if isinstance(last := steps[-1], int):
        at.append(value)
    else:
        at[last] = value


def _compared(envelope: str) -> dict[str, str]:
    _, action = _parsed(envelope)
    kept = {name: value for name, value in action.items() if name not in _ALWAYS_DIFFERENT and name != "inputs"}
    found = {
        path: reveal(value) if isinstance(value, str) and "\n" in value else _inline(value)
        for path, value in _leaves(kept)
    }
    seen: Counter[str] = Counter()
    for item in action.get("inputs", []):
        path = _input_path(item)
        seen[path] += 1
        found[path if seen[path] == 1 else f"{path}#{seen[path]}"] = item["sha256"]
    return found


def _doubts(values: list[tuple[str, str]]) -> Iterator[str]:
    """Sentences about single values."""
    if mixed := [path for path, value in values if mixes_scripts(value)]:
        yield f"Letters of several scripts stand in one word: {_named(mixed)}."
    if unusual := [path for path, value in values if not unicodedata.is_normalized("NFC", value)]:
        yield f"Letters are put together in an unusual way (not NFC): {_named(unusual)}."


def _named(paths: list[str]) -> str:
    more = len(paths) - _MOST_NAMED
    return ", ".join(paths[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _oddities(text: str) -> Iterator[str]:
    """Sentences about the text as a whole."""
    written = Counter(found.group() for found in ESCAPE.finditer(text))
    tabs = written.pop(escape("\t"), 0)
    written.pop(escape("\\"), None)  # stands for something that can be seen
    if hidden := written.total():
        subject = "1 character is" if hidden == 1 else f"{hidden} characters are"
        yield f"{subject} written out, being invisible or not plain, such as {next(iter(written))}."
    if tabs:
        subject = "1 tab is" if tabs == 1 else f"{tabs} tabs are"
        yield f"{subject} written out as {escape(chr(9))}."
    longest, blanks, empty, run = 0, 0, 0, 0
    for line in text.split("\n"):
        longest = max(longest, len(line))
        blanks = max([blanks, *map(len, _MANY_BLANKS.findall(line))])
        run = run + 1 if line.startswith(_BLOCK) and not line[len(_BLOCK) :].strip() else 0
        empty = max(empty, run)
    if longest > _LONG_LINE:
        yield f"There is a very long line ({longest} characters): read it to its end."
    if blanks:
        yield f"There are {blanks} blanks in a row: look at what comes after them."
    if empty >= _MANY_LINES:
        yield f"There are {empty} empty lines in a row: look at what comes after them."
