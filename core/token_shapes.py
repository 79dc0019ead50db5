"""Well-known kinds of credential, recognised by their look: the redactor's second layer, for what nobody told us about.

Every shape says how long a match can get, because a stream has to hold back that much, and text made to be slow costs
none of them more than linear time.

Source: the formats as their issuers document them.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class TokenShape:
    """One kind of credential."""

    name: str
    pattern: re.Pattern[bytes]
    max_bytes: int
    """No match, with what it looks at after its end, is longer."""
    anchors: tuple[bytes, ...]
    """One of these is in every match: looking for them is cheap."""


_LONGEST = 8192
"""Of tokens without a fixed length; the patterns repeat the number. What follows is not redacted."""
_LONGEST_KEY = 24_576
_ALONE = rb"(?<![A-Za-z0-9])"
_APART = rb"(?<![A-Za-z0-9_-])"
_KEY_LABEL = rb"[A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----"
_BREAK = rb"(?:\s|\\{1,4}[nr])"


def _token(name: str, pattern: bytes, *anchors: bytes, max_bytes: int = _LONGEST + 256) -> TokenShape:
    return TokenShape(name, re.compile(pattern), max_bytes, anchors)


TOKEN_SHAPES: tuple[TokenShape, ...] = (
    _token("slack-token", rb"xox[a-z](?:\.xox[a-z])?-[A-Za-z0-9-]{10,512}", b"xox"),
    _token("slack-token", rb"xapp-[0-9]-[A-Za-z0-9-]{10,512}", b"xapp-"),
    _token(
        "slack-webhook", rb"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9/_-]{20,256}", b"hooks.slack"
    ),
    _token("aws-key-id", _ALONE + rb"(?:AKIA|ASIA)[0-9A-Z]{16}(?![0-9A-Za-z])", b"AKIA", b"ASIA"),
    _token("github-token", _ALONE + rb"gh[pousr]_[A-Za-z0-9]{36,255}", b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_"),
    _token("github-token", rb"github_pat_[A-Za-z0-9_]{22,255}", b"github_pat_"),
    _token("gitlab-token", rb"glpat-[A-Za-z0-9_-]{20,255}", b"glpat-"),
    _token("google-api-key", _ALONE + rb"AIza[0-9A-Za-z_-]{35}", b"AIza"),
    _token("stripe-key", _ALONE + rb"[sr]k_(?:live|test)_[0-9A-Za-z]{16,255}", b"k_live_", b"k_test_"),
    # A digit and 20 characters, or `sk-` would find words.
    _token("api-key", _APART + rb"sk-(?=[A-Za-z_-]{0,200}[0-9])[A-Za-z0-9_-]{20,512}", b"sk-"),
    _token(
        "json-web-token",
        _APART + rb"eyJ[A-Za-z0-9_-]{8,2048}\.eyJ[A-Za-z0-9_-]{8,4096}\.[A-Za-z0-9_-]{8,2048}",
        b"eyJ",
    ),
    _token(
        "bearer-token",
        rb"(?i:bearer)(?:[ \t]|%20|\+){1,4}(?=[A-Za-z._~+/=-]{0,256}[0-9])[A-Za-z0-9._~+/=-]{16,8192}",
        b"earer",
        b"EARER",
    ),
    _token(
        "authorization",
        rb"(?i:authorization)[\"']?[ \t]{0,4}[:=][ \t]{0,4}[\"']?(?i:basic|token)[ \t]{1,4}[A-Za-z0-9._~+/=-]{8,%d}"
        % _LONGEST,
        b"uthorization",
        b"UTHORIZATION",
    ),
    _token("url-credentials", rb"(?<=://)[^\s/:@\"'<>]{0,128}:[^\s/@\"'<>]{3,256}(?=@)", b"://"),
    # With its end, all between; cut off, the lines that look like a key's.
    _token(
        "private-key",
        rb"-----BEGIN " + _KEY_LABEL + rb"(?:"
        rb"(?:[^-]{0,256}-(?!----)){0,8}[^-]{0,16384}+-----END " + _KEY_LABEL + rb"|"
        rb"(?:" + _BREAK + rb"{0,4}[A-Za-z0-9+/=]{16,128}+){0,128})",
        b"PRIVATE KEY",
        max_bytes=_LONGEST_KEY,
    ),
)

_STRETCHES = 4
"""A match holds at most three gaps of white space, so one that is not over lies within the last four stretches."""
_GAP = re.compile(rb"\s+")
_FOREIGN = re.compile(rb"[\x80-\xff][\x00-\x7f]*\Z")
"""From the last byte on that is no ASCII: no match holds one, but for addresses and private keys."""
_ADDRESS = re.compile(rb"://[^\s/@\"'<>]{0,385}\Z")
_KEY = b"-----BEGIN"
_KEY_END = re.compile(rb"-----END [^-]{0,64}-----")


def unfinished_from(data: bytes) -> int:
    """Return where in a text that is still being written a credential may be under way.

    What stands before is either no credential or one that is there as a whole: `TOKEN_SHAPES` find it.
    """
    gaps = [found.end() for found in _GAP.finditer(data)]
    cut = gaps[-_STRETCHES] if len(gaps) >= _STRETCHES else 0
    if (foreign := _FOREIGN.search(data)) is not None:
        cut = max(cut, foreign.start() + 1)
    if (address := _ADDRESS.search(data)) is not None:
        cut = min(cut, address.start())
    key = data.rfind(_KEY)
    if key >= 0 and _KEY_END.search(data, key) is None and len(data) - key < _LONGEST_KEY:
        cut = min(cut, key)
    return cut
