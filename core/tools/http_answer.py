"""An HTTP answer as later steps and people get it: bounded, readable, and without the secret it was asked with.

What came back was written by somebody else. The redactor takes every known secret out of whatever is stored; here the
one that was just sent is taken out before anything is cut, for nobody recognises half a secret.
"""

import codecs
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from email.message import Message
from pathlib import Path
from typing import Any

from core.actions.envelope import MAX_INTEGER, NotCanonical, canonical
from core.secrets import Redactor
from core.tools.base import Produced, ToolResult
from core.tools.http_wire import MAX_BODY_BYTES
from core.tools.program import readable_text, shortened

TEXT_JSON_BYTES = 32 * 1024
VALUE_JSON_BYTES = 16 * 1024
HEADERS_CHARACTERS = 6_000
"""All three stay below the 64 KiB that a result may have."""

_VALUE_CHARACTERS = 1_000
_SAID_CHARACTERS = 200
_ERROR_CHARACTERS = 600
_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,100}")
_SECRET_HEADERS = ("set-cookie", "set-cookie2")
_TEXT = re.compile(
    r"text/.*|application/(.*\+)?(json|xml|yaml)|application/(x-)?(ndjson|jsonl|javascript|yaml|toml)"
    r"|application/x-www-form-urlencoded|image/svg\+xml"
)
_JSON = re.compile(r"application/(.*\+)?json|text/json")
_CHARSETS = re.compile(
    r"utf-?8|us-ascii|ascii|utf-?16([bl]e)?|(iso-?)?8859-?\d{1,2}|iso-?8859-?\d{1,2}|latin-?1|windows-125\d|koi8-[ru]"
    r"|shift_jis|euc-(jp|kr)|iso-2022-jp|gb2312|gbk|gb18030|big5"
)
"""Of those a sender may name, the ones that are encodings of text and nothing else."""


def shown(result: ToolResult, scratch: Path, secrets: Mapping[str, str]) -> ToolResult:
    """Turn what `http_send` answered into the tool's result; blocks.

    Args:
        scratch: Where files that are left for the thread may be.
        secrets: What the request was sent with, by name.
    """
    redactor = Redactor(secrets, token_shapes=False)
    error = result.error and _shortened(redactor.redact_text(result.error), _ERROR_CHARACTERS)
    raw = dict(result.out)
    if "status" not in raw:
        return replace(result, error=error)
    headers = _headers(raw["headers"], redactor)
    data = b"" if raw["file"] is None else redactor.redact_bytes(Path(raw["file"]).read_bytes())[:MAX_BODY_BYTES]
    media_type, charset = _kind(headers.get("content-type", ""))
    decoded = _decoded(data, media_type, charset, encoded=headers.get("content-encoding", "identity") != "identity")
    text, cut = shortened(readable_text((decoded or "").encode()), TEXT_JSON_BYTES)
    out = {
        "status": raw["status"],
        "url": redactor.redact_text(raw["url"]),
        "headers": headers,
        "text": text,
        "json": _value(decoded, media_type) if not raw["truncated"] else None,
        "bytes": raw["bytes"],
        "truncated": raw["truncated"],
    }
    if error and text and "html" not in media_type:
        error += f" It said: {_shortened(' '.join(text.split()), _SAID_CHARACTERS)}"
    # What is tried again leaves no files behind.
    wanted = data and result.status != "failed-safe" and (decoded is None or cut or raw["truncated"])
    produced = (_produced(data, decoded, scratch),) if wanted else ()
    return replace(result, out=out, error=error, produced=produced)


def _produced(data: bytes, decoded: str | None, scratch: Path) -> Produced:
    name, media_type = (
        ("response.bin", "application/octet-stream") if decoded is None else ("response.txt", "text/plain")
    )
    path = scratch / name
    path.write_bytes(data if decoded is None else decoded.encode("utf-8", "replace"))
    return Produced(name, path, media_type)


def _headers(pairs: Sequence[Sequence[str]], redactor: Redactor) -> dict[str, str]:
    """The headers by their names in small letters; those that hold a session are left out."""
    kept: dict[str, str] = {}
    room = HEADERS_CHARACTERS
    for name, value in _readable(pairs):
        value = redactor.redact_text(f"{kept[name]}, {value}" if name in kept else value)[:_VALUE_CHARACTERS]
        room -= len(name) + len(value) - len(kept.get(name, ""))
        if room < 0:
            break
        kept[name] = value
    return kept


def _readable(pairs: Sequence[Sequence[str]]) -> Iterable[tuple[str, str]]:
    for name, value in pairs:
        name = name.strip().lower()
        if _NAME.fullmatch(name) and name not in _SECRET_HEADERS:
            yield name, " ".join(readable_text(value.encode("utf-8", "replace")).split())


def _kind(content_type: str) -> tuple[str, str]:
    message = Message()
    message["content-type"] = content_type or "application/unknown"
    charset = message.get_param("charset", "utf-8")
    return message.get_content_type(), charset.lower() if isinstance(charset, str) else "utf-8"


def _decoded(data: bytes, media_type: str, charset: str, *, encoded: bool) -> str | None:
    """The text an answer is, or `None` if it is none."""
    if encoded:
        return None
    if not _TEXT.fullmatch(media_type):
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return None
        return None if media_type != "application/unknown" or "\0" in text else text
    text = data.decode(charset if _known(charset) else "utf-8", errors="replace").removeprefix("\ufeff")
    return None if "\0" in text else text


def _known(charset: str) -> bool:
    if not _CHARSETS.fullmatch(charset):
        return False
    try:
        codecs.lookup(charset)
    except LookupError:
        return False
    return True


def _value(decoded: str | None, media_type: str) -> Any:
    """The JSON value an answer is, for later steps; `None` if it is none, or too big. Fractions become text."""
    if decoded is None or not _JSON.fullmatch(media_type):
        return None
    try:
        value = json.loads(decoded, parse_float=str, parse_int=_whole, parse_constant=str)
        canonical(value, max_bytes=VALUE_JSON_BYTES)
    except (ValueError, RecursionError, NotCanonical):
        return None
    return value


def _whole(digits: str) -> int | str:
    return int(digits) if len(digits) < 17 and abs(int(digits)) <= MAX_INTEGER else digits


def _shortened(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[:characters]}…"
