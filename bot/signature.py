"""Slack's `v0` request signature, checked over the bytes as they came.

https://docs.slack.dev/authentication/verifying-requests-from-slack. The SDK has a verifier, which raises on a timestamp
that is no number, a signature that is not ASCII and a body that is not UTF-8; here each of these is a reason like any
other. A signature can be used again within its five minutes: what makes a repeated delivery harmless is the inbox.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from enum import StrEnum

WINDOW_S = 300
"""How far a timestamp may lie from our clock, either way."""

_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_SIGNATURE = re.compile(r"v0=[0-9a-f]{64}")


class Unsigned(StrEnum):
    """Why a request does not count as Slack's."""

    NO_TIMESTAMP = "no-timestamp"
    """Missing, several, or not a number."""
    NO_SIGNATURE = "no-signature"
    """Missing, several, or not a `v0` signature."""
    STALE = "stale"
    """Old, or from the future: replayed, or a clock is wrong."""
    FORGED = "forged"
    """Not made with our secret over these bytes."""
    NOT_TEXT = "not-text"
    """Signed, and no UTF-8."""


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The signature Slack sends with a body."""
    base = b"v0:" + timestamp.encode() + b":" + body
    return "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()


def signed_text(
    secret: str, timestamps: Sequence[str], signatures: Sequence[str], body: bytes, *, now_s: float
) -> str | Unsigned:
    """The text of a signed body, or why it is none.

    Args:
        secret: The app's signing secret.
        timestamps: Every `X-Slack-Request-Timestamp` of the request, as sent.
        signatures: Every `X-Slack-Signature`.
        body: The raw bytes.
        now_s: Seconds since 1970.
    """
    if len(timestamps) != 1 or _TIMESTAMP.fullmatch(timestamps[0]) is None:
        return Unsigned.NO_TIMESTAMP
    if len(signatures) != 1 or _SIGNATURE.fullmatch(signatures[0]) is None:
        return Unsigned.NO_SIGNATURE
    if abs(now_s - int(timestamps[0])) > WINDOW_S:
        return Unsigned.STALE
    if not hmac.compare_digest(sign(secret, timestamps[0], body).encode(), signatures[0].encode()):
        return Unsigned.FORGED
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return Unsigned.NOT_TEXT
