"""Secrets: looked up at the last moment, and taken out of everything that leaves.

A `SecretRef` says where a value is; only the code about to use it resolves it, and the value lives in no row, event,
argument list or log. The `Redactor` stands at every border (database, model, Slack, log) and replaces known values,
however they were written down, and well-known kinds of token by `[redacted:NAME]`, which does not tell their length. It
fails closed: what cannot be redacted does not pass.

Source: PROTOCOL 2.19. How a secret looks in other encodings is in `core.secret_shapes`, how tokens
look in `core.token_shapes`.
"""

import codecs
import json
import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import SecretStr

from core.errors import TerminalError
from core.secret_shapes import KnownSecret, heads
from core.token_shapes import TOKEN_SHAPES, unfinished_from

MIN_SECRET_CHARACTERS = 8
"""Shorter values cannot be redacted: they would be found in ordinary words."""
MIN_DISTINCT_CHARACTERS = 4
"""Values such as `--------` cannot be redacted either: they would be found in ordinary text."""
_MAX_SECRET_BYTES = 64 * 1024
_MAX_JSON_DEPTH = 64

_log = logging.getLogger(__name__)


class MissingSecret(TerminalError):
    """A secret is not where its reference says; the remedy is the operator's (blocked: `missing-secret`)."""


class RedactionFailed(TerminalError):
    """Something could not be redacted and is withheld. The message never quotes it."""


@dataclass(frozen=True)
class SecretRef:
    """Where a secret is; safe to log and to store."""

    name: str
    """What people call it, and what the mark `[redacted:NAME]` shows."""
    source: Literal["env", "file"]
    key: str
    """The variable's name, or the file's path."""

    @staticmethod
    def parse(name: str, text: str) -> "SecretRef":
        """Read `env:VARIABLE` or `file:/path`.

        Raises:
            MissingSecret: with the expected forms; the text is not quoted, for it may be the secret itself.
        """
        source, colon, key = text.partition(":")
        if colon and key and source == "env":
            return SecretRef(name, "env", key)
        if colon and key and source == "file":
            return SecretRef(name, "file", key)
        raise MissingSecret(
            f"The secret `{name}` must say where its value is: `env:VARIABLE` or `file:/path`. "
            "If the value itself stands there, remove it from the file and replace the secret."
        )


class SecretSource(Protocol):
    """Turns references into values."""

    def resolve(self, ref: SecretRef) -> SecretStr:
        """Return the value now; raises `MissingSecret`."""
        ...


class SystemSecrets:
    """Secrets in this process's environment and in files, read anew each time: a rotated value is used at once."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ

    def resolve(self, ref: SecretRef) -> SecretStr:
        if ref.source == "env":
            value = self._environ.get(ref.key, "")
            remedy = f"set the environment variable {ref.key}"
        else:
            value = self._from_file(ref)
            remedy = f"put its value into the file {ref.key}"
        if not value:
            raise MissingSecret(f"The secret `{ref.name}` has no value: {remedy} and try again.")
        return SecretStr(value)

    @staticmethod
    def _from_file(ref: SecretRef) -> str:
        try:
            with Path(ref.key).open("rb") as opened:
                data = opened.read(_MAX_SECRET_BYTES + 1)
        except OSError as error:
            raise MissingSecret(
                f"The secret `{ref.name}` cannot be read from {ref.key} ({error.strerror}). "
                "Create the file, readable for the user Banksman runs as."
            ) from None
        if len(data) > _MAX_SECRET_BYTES:
            raise MissingSecret(
                f"The file {ref.key} of the secret `{ref.name}` is larger than 64 KiB; name another file."
            )
        try:
            return data.decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise MissingSecret(f"The file {ref.key} of the secret `{ref.name}` is not UTF-8 text.") from None


@dataclass
class _Span:
    start: int
    end: int
    name: str


_Search = Callable[[bytes, int], list[_Span]]


class Redactor:
    """Takes secrets out of text, bytes and JSON.

    Args:
        secrets: Values by the name their mark shows, or just values. Those too short to be told from ordinary words are
            ignored with a warning and listed in `ignored`.
        token_shapes: Also redact well-known kinds of token.
    """

    def __init__(self, secrets: Mapping[str, str] | Iterable[str] = (), *, token_shapes: bool = True) -> None:
        named = secrets.items() if isinstance(secrets, Mapping) else [("secret", value) for value in secrets]
        self.ignored: tuple[str, ...] = ()
        """Names of the secrets that cannot be redacted."""
        known: list[KnownSecret] = []
        for name, whole in sorted(named, key=lambda item: -len(item[1])):
            # Backslashes at the ends tell nothing, and text full of them would be slow to search.
            value = whole.strip("\\")
            label = _label(name, value)
            if _is_ordinary(value) or value in _mark(label):
                self.ignored += (name,)
                _log.warning(
                    "Secret %r is too short or too ordinary to be redacted; use a value of at least %d characters.",
                    name, MIN_SECRET_CHARACTERS, extra={"action": "secret_not_redactable"},
                )  # fmt: skip
                continue
            known.append(KnownSecret(label, value))
        self._known = tuple(known)
        self._heads = heads(known) if known else None
        self._tokens = TOKEN_SHAPES if token_shapes else ()

    def redact_bytes(self, data: bytes) -> bytes:
        """Return `data` with every secret replaced by its mark; the same object if there was none."""
        for search, _ in self._passes():
            data = _guarded(_replaced, data, search)
        return data

    def redact_text(self, text: str) -> str:
        """Return `text` with every secret replaced by its mark."""
        data = _guarded(str.encode, text, "utf-8", "surrogatepass")
        clean = self.redact_bytes(data)
        return text if clean is data else clean.decode("utf-8", "surrogatepass")

    def redact_json(self, value: Any) -> Any:  # Any: JSON of any shape in, the same shape out
        """Return a JSON value with every secret in its strings, keys and numbers replaced.

        A number that is a secret becomes a string. Keys that become equal are numbered.
        """
        return _guarded(self._redact_json, value, 0)

    def stream(self) -> "ByteStream":
        """Return a redactor of one stream of bytes."""
        return ByteStream([_Carry(search, held) for search, held in self._passes()])

    def text_stream(self) -> "TextStream":
        """Return a redactor of one stream of text."""
        return TextStream(self.stream())

    def redact_beginning(self, text: str) -> str:
        """Return as much of a text that is still being written as no more of it can change, redacted.

        What may be the beginning of a secret is held back, and little else: what programs write can wait for the
        longest secret there is, a person who reads along cannot. What is returned for a longer text begins with what
        was returned for its beginning.
        """
        data = _guarded(str.encode, text, "utf-8", "surrogatepass")
        begun = data[: _guarded(self._settled, data)]
        return self.redact_bytes(begun).decode("utf-8", "surrogatepass") if begun else ""

    def _settled(self, data: bytes) -> int:
        """Where nothing of a match is left open."""
        cut = unfinished_from(data) if self._tokens else len(data)
        if self._heads is not None:
            longest = max(secret.max_bytes for secret in self._known)
            cut = min(cut, len(data) - max(secret.head_bytes for secret in self._known))
            if cut > 0 and (hit := self._heads.search(data, max(0, len(data) - longest))):
                cut = min(cut, hit.start())
        if cut <= 0:
            return 0
        spans = [span for search, _ in self._passes() for span in search(data, 0)]
        while crossing := [span.start for span in spans if span.start < cut < span.end]:
            cut = min(crossing)
        while cut > 0 and cut < len(data) and data[cut] & 0xC0 == 0x80:
            cut -= 1
        return cut

    def _redact_json(self, value: Any, depth: int) -> Any:
        if depth > _MAX_JSON_DEPTH:
            raise RedactionFailed(f"The data is nested more than {_MAX_JSON_DEPTH} levels deep and is withheld.")
        match value:
            case None | bool():
                return value
            case str():
                return self.redact_text(value)
            case int() | float():
                written = json.dumps(value)
                clean = self.redact_text(written)
                return value if clean == written else clean
            case list() | tuple():
                return [self._redact_json(item, depth + 1) for item in value]
            case Mapping():
                result: dict[str, Any] = {}
                for key, item in value.items():
                    clean_key = unique = self.redact_text(key)
                    number = 2
                    while unique in result:
                        unique = f"{clean_key}#{number}"
                        number += 1
                    result[unique] = self._redact_json(item, depth + 1)
                return result
        raise RedactionFailed(f"A {type(value).__name__} is no JSON value and is withheld.")

    def _passes(self) -> list[tuple[_Search, int]]:
        """Known values first: a token shape could otherwise match half of one and leave the rest."""
        passes: list[tuple[_Search, int]] = []
        if self._known:
            passes.append((self._find_known, max(secret.max_bytes for secret in self._known)))
        if self._tokens:
            passes.append((self._find_tokens, max(shape.max_bytes for shape in self._tokens)))
        return passes

    def _find_known(self, data: bytes, start: int) -> list[_Span]:
        spans: list[_Span] = []
        if self._heads is None:
            return spans
        while hit := self._heads.search(data, start):
            # Overlapping secrets are taken out as a whole: the longest at each place, and every place.
            end, name = max((secret.end(data, hit.start()), secret.name) for secret in self._known)
            if end > 0:
                spans.append(_Span(hit.start(), end, name))
            start = hit.start() + 1
        return _merged(spans)

    def _find_tokens(self, data: bytes, start: int) -> list[_Span]:
        spans = [
            _Span(found.start(), found.end(), shape.name)
            for shape in self._tokens
            if any(anchor in data for anchor in shape.anchors)
            for found in shape.pattern.finditer(data, start)
        ]
        return _merged(sorted(spans, key=lambda span: span.start))


class ByteStream:
    """Redacts a stream piece by piece; holds back as much as a secret could still need."""

    def __init__(self, carries: list["_Carry"]) -> None:
        self._carries = carries

    def feed(self, data: bytes) -> bytes:
        """Take the next piece; returns what is safe to pass on, perhaps nothing yet."""
        for carry in self._carries:
            data = _guarded(carry.feed, data)
        return data

    def finish(self) -> bytes:
        """Return the rest. The stream is over."""
        data = b""
        for carry in self._carries:
            data = _guarded(carry.feed, data) + _guarded(carry.finish)
        return data


class TextStream:
    """`ByteStream` for text."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogatepass")

    def feed(self, text: str) -> str:
        return self._decoder.decode(self._stream.feed(_guarded(str.encode, text, "utf-8", "surrogatepass")))

    def finish(self) -> str:
        return self._decoder.decode(self._stream.finish(), final=True)


@dataclass
class _Carry:
    """One pass over a stream. A match that starts more than `longest` before the end is complete; the rest is held."""

    search: _Search
    longest: int
    held: bytes = b""
    before: bytes = b""
    """The last byte passed on, for patterns that look at what stands before."""
    parts: list[bytes] = field(default_factory=list)
    size: int = 0
    enough: int = 0

    def feed(self, data: bytes) -> bytes:
        self.parts.append(data)
        self.size += len(data)
        if self.size < max(self.enough, 2 * self.longest):
            return b""
        self._join()
        cut = len(self.held) - self.longest + 1
        spans = self._spans()
        # A match across the cut may still grow together with one that is not complete.
        cut = next((span.start for span in spans if span.start < cut < span.end), cut)
        passed = _replace(self.held[:cut], [span for span in spans if span.end <= cut])
        self.before = self.held[cut - 1 : cut] or self.before
        self.held = self.held[cut:]
        self.size = len(self.held)
        self.enough = 2 * self.size
        return passed

    def finish(self) -> bytes:
        self._join()
        return _replace(self.held, self._spans())

    def _join(self) -> None:
        self.held = b"".join([self.held, *self.parts])
        self.parts.clear()

    def _spans(self) -> list[_Span]:
        offset = len(self.before)
        spans = self.search(self.before + self.held, offset)
        return [_Span(span.start - offset, span.end - offset, span.name) for span in spans]


class RedactingFilter(logging.Filter):
    """Redacts log records: message, arguments, traceback and extra fields.

    Put it on handlers, for a logger's filter does not see what its children log. A record that cannot be redacted says
    only that.
    """

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor
        self._formatter = logging.Formatter()

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            self._redact(record)
        except Exception as error:  # a handler that raises would lose the record and print the original
            _withhold(record, type(error).__name__)
        return True

    def _redact(self, record: logging.LogRecord) -> None:
        record.msg = self._redactor.redact_text(record.getMessage())
        record.args = ()
        if record.exc_info and not record.exc_text:
            record.exc_text = self._formatter.formatException(record.exc_info)
        record.exc_info = None
        if record.exc_text:
            record.exc_text = self._redactor.redact_text(record.exc_text)
        if record.stack_info:
            record.stack_info = self._redactor.redact_text(record.stack_info)
        for key in set(vars(record)) - _RECORD_FIELDS:
            value = vars(record)[key]
            try:
                vars(record)[key] = self._redactor.redact_json(value)
            except RedactionFailed:
                vars(record)[key] = self._redactor.redact_text(repr(value))


_RECORD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def _withhold(record: logging.LogRecord, why: str) -> None:
    record.msg = f"[a log record from {record.name} is withheld: it could not be redacted ({why})]"
    record.args = ()
    record.exc_info = record.exc_text = record.stack_info = None
    for key in set(vars(record)) - _RECORD_FIELDS:
        vars(record)[key] = None


def _is_ordinary(value: str) -> bool:
    return len(value) < MIN_SECRET_CHARACTERS or len(set(value)) < MIN_DISTINCT_CHARACTERS


def _label(name: str, value: str) -> str:
    label = re.sub(r"[^A-Za-z0-9_.-]", "_", name)[:64]
    return "secret" if not label or value in _mark(label) else label


def _mark(name: str) -> str:
    return f"[redacted:{name}]"


def _merged(spans: list[_Span]) -> list[_Span]:
    """Join spans that overlap, given in order of their start."""
    merged: list[_Span] = []
    for span in spans:
        if merged and span.start < merged[-1].end:
            merged[-1].end = max(merged[-1].end, span.end)
        else:
            merged.append(span)
    return merged


def _replaced(data: bytes, search: _Search) -> bytes:
    return _replace(data, search(data, 0))


def _replace(data: bytes, spans: list[_Span]) -> bytes:
    if not spans:
        return data
    pieces: list[bytes] = []
    position = 0
    for span in spans:
        pieces += (data[position : span.start], _mark(span.name).encode())
        position = span.end
    return b"".join([*pieces, data[position:]])


def _guarded(function: Callable[..., Any], *args: object) -> Any:  # Any: whatever `function` returns
    """Fail closed: any error while redacting means that nothing passes, and the error does not carry the data."""
    try:
        return function(*args)
    except RedactionFailed:
        raise
    except Exception as error:
        raise RedactionFailed(
            f"redaction failed with {type(error).__name__}",
            user_text="A part of the output could not be checked for secrets and is withheld.",
        ) from None
