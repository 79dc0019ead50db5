"""File names and kinds as people see them: safe to show anywhere, never a path, never believed.

A name comes from a person, a tool or an archive; a kind is guessed from the first bytes and only ever narrowed to a
short list of kinds that browsers and Slack show without running anything.

Source: PROTOCOL 2.9.
"""

import re
import unicodedata

NAME_BYTES = 120
"""Longest name, in UTF-8."""
FALLBACK = "file"
HEAD_BYTES = 4096
"""How much of a file `sniff_media_type` wants to see."""

_SUFFIX_BYTES = 16
_SEPARATORS = re.compile(r"[/\\]")
_INVISIBLE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Of visible categories, yet they show nothing: fillers, joiners, variation selectors, the blank Braille cell.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\ufffc\U000e0100-\U000e01ef]"
)

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
)
_TEXT_SUFFIXES = {
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "json": "application/json",
    "md": "text/markdown",
}
_BINARY = "application/octet-stream"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def display_name(raw: str) -> str:
    """Return a name safe to show: NFC, one path segment, `NAME_BYTES` at most, nothing invisible, no leading dot.

    The suffix survives shortening; what is empty afterwards becomes `FALLBACK`. Doing it twice changes nothing.
    """
    segments = [part for part in _SEPARATORS.split(raw) if part.strip(". \t")]
    visible = _visible(unicodedata.normalize("NFC", segments[-1] if segments else ""))
    # Taking a character out can bring two together that have a composed form.
    while (again := _visible(unicodedata.normalize("NFC", visible))) != visible:
        visible = again
    return _shorten(visible) or FALLBACK


def sniff_media_type(name: str, head: bytes) -> str:
    """Guess a media type from the first bytes, with the name only choosing among kinds of text.

    Anything a browser might run (HTML, SVG, XML) is `text/plain`; anything unknown is `application/octet-stream`.
    """
    for magic, media_type in _MAGIC:
        if head.startswith(magic):
            return media_type
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    suffix = name.rpartition(".")[2].lower()
    if head.startswith(_UTF16):
        return _TEXT_SUFFIXES.get(suffix, "text/plain")
    if _CONTROL.search(head):
        return _BINARY
    if not _is_utf8_start(head):
        # A legacy encoding is likely for these and harmless; for anything else the bytes are simply unknown.
        return _TEXT_SUFFIXES[suffix] if suffix in ("csv", "tsv") else _BINARY
    if suffix == "json" and not head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[")):
        return "text/plain"
    return _TEXT_SUFFIXES.get(suffix, "text/plain")


def _visible(text: str) -> str:
    kept = "".join(
        " " if unicodedata.category(character) == "Zs" else character
        for character in text.replace("\t", " ").replace("\n", " ")
        if unicodedata.category(character) not in _INVISIBLE_CATEGORIES
    )
    single_spaced = re.sub(" +", " ", _INVISIBLE.sub("", kept))
    return single_spaced.lstrip(". ").rstrip(". ")


def _shorten(name: str) -> str:
    if len(name.encode()) <= NAME_BYTES:
        return name
    stem, dot, suffix = name.rpartition(".")
    tail = f"{dot}{suffix}" if stem and len(suffix.encode()) < _SUFFIX_BYTES else ""
    stem = name.removesuffix(tail) if tail else name
    room = NAME_BYTES - len(tail.encode())
    end = len(stem)
    size = len(stem.encode())
    while size > room or (end < len(stem) and unicodedata.category(stem[end]).startswith("M") and end > 0):
        end -= 1
        size -= len(stem[end].encode())
    return (stem[:end].rstrip(". ") or FALLBACK) + tail


def _is_utf8_start(head: bytes) -> bool:
    try:
        head.decode()
    except UnicodeDecodeError as error:
        # The head may end in the middle of a character.
        return error.reason == "unexpected end of data" and len(head) - error.start < 4
    return True
