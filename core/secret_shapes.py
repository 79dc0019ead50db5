"""What a known secret looks like once something has written it down: a pure matcher made from its value.

It finds the value raw, URL-encoded, JSON-escaped, HTML-escaped (freely mixed, and escaped twice), in hex, reversed, in
UTF-16 and in base64 at each of its three alignments, with the line breaks and gaps that common programs put in.
Encodings that need a program to undo (compression, encryption, base64 of base64) are not found; up to four bits of the
first byte of a base64-encoded value can remain before its mark.

One regular expression finds where a writing may begin (its head); the rest is then followed character by character,
keeping all positions it may have reached. So building is quick for long values, and no text makes matching exponential.

Source: PROTOCOL 2.19; Thompson, "Regular Expression Search Algorithm" (1968), for following all positions at once.
"""

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

_HEAD_CHARACTERS = 10
_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_ENTITIES = {
    "&": ("amp", "#38"),
    "<": ("lt", "#60"),
    ">": ("gt", "#62"),
    '"': ("quot", "#34"),
    "'": ("apos", "#39", "#x27"),
}
_SHORT_ESCAPES = {"\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t", '"': '"', "'": "'", "/": "/"}

# JSON inside JSON doubles the backslashes. One is written first so that each alternative starts with a literal, which
# lets the regex engine skip quickly over text that cannot start a match.
_ESCAPE = r"\\\\{0,3}"
_ESCAPE_BYTES = 4


@dataclass(frozen=True)
class _Writing:
    """One way to write one character or byte, starting with a literal. At any place it matches in one way at most."""

    pattern: str
    max_bytes: int


@dataclass(frozen=True)
class _Gap:
    """What may stand between two characters."""

    pattern: str
    max_bytes: int


_NO_GAP = _Gap("", 0)
# `base64` and `xxd -p` break lines; in a JSON string the break is itself escaped.
_BASE64_GAP = _Gap(r"(?:\r?\n|\\\\?n|\\\\?r\\\\?n)", 6)
_HEX_GAP = _Gap(r"(?:[ :,-]|, ?0x|\\\\{0,3}x|\r?\n|\\\\?n)", 5)


@dataclass(frozen=True)
class _Way:
    """One way to write the whole value."""

    characters: Sequence[tuple[_Writing, ...]]
    gap: _Gap = _NO_GAP
    tail: str = ""
    """What also belongs to it when it follows."""

    @property
    def max_bytes(self) -> int:
        longest = sum(max(writing.max_bytes for writing in writings) for writings in self.characters)
        return longest + self.gap.max_bytes * (len(self.characters) + 1) + 7

    @property
    def head_bytes(self) -> int:
        beginning = self.characters[:_HEAD_CHARACTERS]
        longest = sum(max(writing.max_bytes for writing in writings) for writings in beginning)
        return longest + self.gap.max_bytes * len(beginning)

    def heads(self) -> list[str]:
        """Patterns for the beginning, one for each writing of the first character: each starts with a literal."""
        gap = f"{self.gap.pattern}?" if self.gap.pattern else ""
        beginning = self.characters[:_HEAD_CHARACTERS]
        # Successive backslashes, each with several writings, would make the pattern itself exponential.
        slash = next((at for at, writings in enumerate(beginning) if writings is _BACKSLASH), _HEAD_CHARACTERS)
        first, *others = beginning[: slash + 1]
        rest = "".join(f"{gap}(?:{'|'.join(writing.pattern for writing in writings)})" for writings in others)
        return [writing.pattern + rest for writing in first]

    def end(self, data: bytes, start: int) -> int:
        """Return where the value written this way from `start` on ends, or -1."""
        reached = {start}
        for number, writings in enumerate(self.characters):
            if number and self.gap.pattern:
                reached |= _ends(data, reached, (self.gap.pattern,))
            reached = _ends(data, reached, [writing.pattern for writing in writings])
            if not reached:
                return -1
        end = max(reached)
        return max(_ends(data, {end}, (self.tail,)), default=end) if self.tail else end


class KnownSecret:
    """Finds one secret's value however it was written down."""

    def __init__(self, name: str, value: str) -> None:
        self.name = name
        self._raw = raw = value.encode()
        self._ways = (
            _Way([_character(character) for character in value]),
            _Way([_character(character) for character in reversed(value)]),
            _Way([_hex_byte(byte) for byte in raw], _HEX_GAP),
            *(_base64(raw, shift) for shift in range(3)),
            *(_Way([_literal(bytes([byte])) for byte in value.encode(code)]) for code in ("utf-16-le", "utf-16-be")),
        )
        self.max_bytes = max(way.max_bytes for way in self._ways)
        """No writing is longer."""
        self.head_bytes = max(way.head_bytes for way in self._ways)
        """No head is longer."""

    def heads(self) -> list[str]:
        """Patterns of which one matches wherever a writing of the value begins."""
        return [head for way in self._ways for head in way.heads()]

    def end(self, data: bytes, start: int) -> int:
        """Return where the longest writing that begins at `start` ends, or -1 if none does."""
        if data.startswith(self._raw, start):
            return start + len(self._raw)
        return max(way.end(data, start) for way in self._ways)


def heads(secrets: Iterable[KnownSecret]) -> re.Pattern[bytes]:
    """Return one pattern that matches wherever a writing of any of the secrets begins."""
    return re.compile("|".join(dict.fromkeys(head for secret in secrets for head in secret.heads())).encode("latin-1"))


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[bytes]:
    return re.compile(pattern.encode("latin-1"))


def _ends(data: bytes, starts: set[int], patterns: Sequence[str]) -> set[int]:
    return {found.end() for pattern in patterns for start in starts if (found := _compiled(pattern).match(data, start))}


@lru_cache(maxsize=4096)
def _character(character: str) -> tuple[_Writing, ...]:
    """The ways to write one character: raw, percent-encoded, escaped as in JSON and most languages, as an entity."""
    if character == "\\":
        return _BACKSLASH
    data = character.encode()
    units = character.encode("utf-16-be").hex(" ", 2).split()
    writings = [*_literal(data), _percent(data), _joined(units, f"{_ESCAPE}u", _ESCAPE_BYTES + 5)]
    if not character.isascii() or not character.isprintable():
        writings.append(_joined([f"{byte:02x}" for byte in data], f"{_ESCAPE}x", _ESCAPE_BYTES + 3))
    if escape := _SHORT_ESCAPES.get(character):
        writings.append(_Writing(_ESCAPE + re.escape(escape), _ESCAPE_BYTES + 1))
    if character == " ":
        writings.append(_Writing(r"\+", 1))
    return (*writings, *(_Writing(f"&{entity};", len(entity) + 2) for entity in _ENTITIES.get(character, ())))


def _percent(data: bytes) -> _Writing:
    return _joined([f"{byte:02x}" for byte in data], "%(?:25)?", 5)


def _joined(numbers: Iterable[str], prefix: str, max_bytes: int) -> _Writing:
    """Hex numbers in either case, each behind `prefix`."""
    patterns = [prefix + "".join(map(_either_case, number)) for number in numbers]
    return _Writing("".join(patterns), max_bytes * len(patterns))


def _literal(data: bytes) -> tuple[_Writing, ...]:
    return (_Writing(re.escape(data.decode("latin-1")), len(data)),)


def _hex_byte(byte: int) -> tuple[_Writing, ...]:
    high, low = divmod(byte, 16)
    return tuple(_Writing(first + _either_case(f"{low:x}"), 2) for first in dict.fromkeys((f"{high:x}", f"{high:X}")))


def _either_case(digit: str) -> str:
    return f"[{digit}{digit.upper()}]" if digit.isalpha() else digit


def _base64(raw: bytes, shift: int) -> _Way:
    """Base64 of any text in which `raw` starts `shift` bytes after a multiple of three.

    Characters that also carry bits of what stands before are left out; the last one, which also carries bits of what
    follows, is taken along with its padding when it is from the set it must be from, so that the mark does not tell the
    length.
    """
    bits = 8 * (shift + len(raw))
    encoded = base64.b64encode(bytes(shift) + raw).decode()
    tail = ""
    if left := bits % 6:
        start = _BASE64.index(encoded[bits // 6])
        last = re.escape(_BASE64[start : start + (1 << (6 - left))]) + "_-"
        tail = f"{_BASE64_GAP.pattern}?[{last}](?:={{0,2}}|(?:%3[dD]){{1,2}})"
    whole = encoded[-(-8 * shift // 6) : bits // 6]
    return _Way([_base64_character(character) for character in whole], _BASE64_GAP, tail)


def _base64_character(character: str) -> tuple[_Writing, ...]:
    if character == "+":
        return (_Writing(r"\+", 1), _Writing("-", 1), _Writing("%2[bB]", 3))
    if character == "/":
        return (_Writing("/", 1), _Writing("_", 1), _Writing("%2[fF]", 3), _Writing(f"{_ESCAPE}/", _ESCAPE_BYTES + 1))
    return (_Writing(character, 1),)


_BACKSLASH = (
    *(_Writing(r"\\" * count, count) for count in (4, 2, 1)),
    _percent(b"\\"),
    _joined(["005c"], f"{_ESCAPE}u", _ESCAPE_BYTES + 5),
)
