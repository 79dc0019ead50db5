"""Action envelopes: the canonical bytes of one proposed effect, and the two digests people and policy use.

Canonical bytes are JSON with sorted ASCII keys, no spaces and no floats, inside limits that make every value have one
form; on that subset they equal RFC 8785 (the tests compare). An envelope is stored as bytes and hashed once; the
executor parses the stored bytes and nothing else. The format is versioned: a change of fields is a new `v`, never a
reinterpretation.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import TerminalError

MAX_BYTES = 64 * 1024
MAX_DEPTH = 32
MAX_INTEGER = 2**53 - 1
"""Beyond this RFC 8785 gives two numbers one form."""

_ENVELOPE_VERSION = 1


class NotCanonical(TerminalError):
    """A value has no single canonical form: a float, a huge integer, a NUL, a lone surrogate, a strange key, too deep
    or too big.
    """


def canonical(value: Any, *, max_bytes: int = MAX_BYTES) -> bytes:
    """Return the canonical bytes of a JSON value.

    Raises:
        NotCanonical: with a sentence that says where and what.
    """
    if not _plain(value, 0):
        _check(value, "$", 0)
    data = _ENCODER.encode(value).encode()
    if len(data) > max_bytes:
        raise NotCanonical(f"this is {len(data)} bytes of data; at most {max_bytes} can be handled in one piece")
    return data


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=dict)


def _plain(value: Any, depth: int) -> bool:
    """Whether a value is fine at first sight; what is not gets the full check, which also says where it goes wrong.

    Nearly everything is, and this runs four times per step.
    """
    kind = type(value)
    if kind is str:
        return bool(value.isascii() and "\0" not in value)
    if kind is int:
        return bool(-MAX_INTEGER <= value <= MAX_INTEGER)
    if value is None or kind is bool:
        return True
    if depth >= MAX_DEPTH:
        return False
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str or not key.isascii() or "\0" in key or not _plain(item, depth + 1):
                return False
        return True
    if kind is list or kind is tuple:
        return all(_plain(item, depth + 1) for item in value)
    return False


def _check(value: Any, where: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise NotCanonical(f"{where} is nested more than {MAX_DEPTH} levels deep")
    match value:
        case None | bool():
            return
        case int():
            if abs(value) > MAX_INTEGER:
                raise NotCanonical(f"{where} is an integer beyond ±{MAX_INTEGER}; write it as a string")
        case str():
            _check_text(value, where)
        case list() | tuple():
            for index, item in enumerate(value):
                _check(item, f"{where}[{index}]", depth + 1)
        case Mapping():
            for key, item in value.items():
                if not isinstance(key, str) or not key.isascii() or "\0" in key:
                    raise NotCanonical(f"{where} has the key {key!r}; keys are ASCII text")
                _check(item, f"{where}.{key}", depth + 1)
        case float():
            raise NotCanonical(f'{where} is a floating-point number; write it as a string, e.g. "{value}"')
        case _:
            raise NotCanonical(f"{where} is a {type(value).__name__}, which JSON does not have")


def _check_text(text: str, where: str) -> None:
    if "\0" in text:
        raise NotCanonical(f"{where} contains a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NotCanonical(f"{where} contains half of a character (a lone surrogate)") from None


def digest(data: bytes) -> str:
    """Return `sha256:` and 64 hex digits."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def salted(salt: str, text: str | bytes) -> str:
    """Digest of a person's or a tool's text for an event: cannot be guessed without the run's salt."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return digest(salt.encode() + b"\0" + data)


@dataclass(frozen=True)
class Envelope:
    """One proposed effect, before it is turned into bytes."""

    tenant: str
    run: str
    step: str
    ordinal: int
    generation: int
    tool: str
    tool_def: str
    args: Mapping[str, Any]
    tier: str
    recovery: str
    policy: str
    nonce: str
    """128 random bits, hex: two proposals of the same effect are two actions."""
    inputs: tuple[Mapping[str, str], ...] = ()
    """`{"ref", "sha256"}` of every mutable operand, resolved before anybody is asked."""
    cwd: str = "."
    env_names: tuple[str, ...] = ()
    env_digest: str | None = None
    environment: str = "default"
    image: str | None = None
    creds: tuple[Mapping[str, Any], ...] = ()
    network: tuple[str, ...] = ()
    quorum: int = 0
    expires: str | None = None

    def to_bytes(self) -> bytes:
        """The canonical bytes that are stored, hashed and executed."""
        return canonical(
            {
                "v": _ENVELOPE_VERSION,
                "tenant": self.tenant,
                "run": self.run,
                "step": self.step,
                "ordinal": self.ordinal,
                "generation": self.generation,
                "class": self.recovery,
                "tier": self.tier,
                "policy": self.policy,
                "quorum": self.quorum,
                "expires": self.expires,
                "nonce": self.nonce,
                **self._effect(),
            }
        )

    def effect_digest(self) -> str:
        """Digest of what would be done, whoever asks and however often: deny memory and loop detection use it."""
        return digest(canonical(self._effect()))

    def _effect(self) -> dict[str, Any]:
        return {
            "tool": self.tool,
            "tool_def": self.tool_def,
            "args": dict(self.args),
            "inputs": [dict(item) for item in self.inputs],
            "cwd": self.cwd,
            "env_names": list(self.env_names),
            "env_digest": self.env_digest,
            "environment": self.environment,
            "image": self.image,
            "creds": [dict(item) for item in self.creds],
            "network": list(self.network),
        }


def read_back(data: bytes) -> Envelope | None:
    """The envelope these bytes are; `None` if writing it again would not give the very same bytes."""
    try:
        fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in json.loads(data).items()}
        fields["recovery"] = fields.pop("class")
        if fields.pop("v") != _ENVELOPE_VERSION:
            return None
        envelope = Envelope(**fields)
        return envelope if envelope.to_bytes() == data else None
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, TerminalError):
        return None


def idempotency_key(*, tenant: str, run: str, step: str, ordinal: int, generation: int, action_digest: str) -> str:
    """The key every attempt of one call shares; attempt, worker and time are not in it (PROTOCOL 2.6)."""
    body = canonical(
        {
            "tenant": tenant,
            "run": run,
            "step": step,
            "ordinal": ordinal,
            "generation": generation,
            "action_digest": action_digest,
        }
    )
    raw = hashlib.sha256(b"toolcall-v1\0" + body).digest()
    return "v1." + base64.b32encode(raw).decode().rstrip("=").lower()
