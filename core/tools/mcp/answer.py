"""What a tool over MCP answered, made readable, bounded and storable: text for later steps, files for the thread."""

import base64
import json
import mimetypes
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.actions.envelope import MAX_INTEGER, NotCanonical, canonical
from core.secrets import Redactor
from core.tools.base import Produced, ToolResult
from core.tools.program import readable_text, shortened

TEXT_JSON_BYTES = 32 * 1024
VALUE_JSON_BYTES = 16 * 1024
"""Both together stay below the 64 KiB that a result may have."""

MOST_FILES = 20
_ERROR_CHARACTERS = 600
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,60}/[a-z0-9][a-z0-9!#$&^_.+-]{0,60}")


def shown(result: ToolResult, scratch: Path, secrets: Mapping[str, str]) -> ToolResult:
    """Turn what the client answered to a call into the tool's result; blocks.

    Args:
        scratch: Where files that are left for the thread may be.
        secrets: What the server was given, by name.
    """
    redactor = Redactor(secrets, token_shapes=False)
    raw = dict(result.out)
    error = None if result.error is None else _line(redactor.redact_text(result.error))
    ended = result.processes_ended
    if not isinstance(raw.get("parts"), list):
        status = "unknown" if result.status == "succeeded" else result.status
        return ToolResult(status, error=error or "it answered nothing that makes sense", processes_ended=ended)
    parts = [each for each in raw["parts"] if isinstance(each, dict)]
    texts = [each["text"] for each in parts if isinstance(each.get("text"), str)]
    whole = redactor.redact_text(readable_text("\n".join(texts).encode("utf-8", "replace")))
    text, cut = shortened(whole, TEXT_JSON_BYTES)
    was_cut = any(each.get("cut") for each in parts) or bool(raw.get("left_out"))
    produced = _files(parts, scratch)
    if cut:
        path = scratch / "answer.txt"
        path.write_text(whole, encoding="utf-8", errors="replace")
        produced.insert(0, Produced("answer.txt", path, "text/plain"))
    out = {
        "text": text,
        "structured": redactor.redact_json(_value(raw.get("structured"))),
        "truncated": cut or was_cut,
        "files": [each.name for each in produced],
    }
    if result.status == "failed" and error is None:
        error = _line(f"the server says: {whole or 'nothing'}")
    # What failed leaves no files behind.
    kept = tuple(produced) if result.status == "succeeded" else ()
    return ToolResult(result.status, out, kept, error, processes_ended=ended)


def _files(parts: Sequence[Mapping[str, Any]], scratch: Path) -> list[Produced]:
    found: list[Produced] = []
    for part in parts:
        if not isinstance(part.get("data"), str) or len(found) == MOST_FILES:
            continue
        try:
            data = base64.b64decode(part["data"], validate=True)
        except ValueError:
            continue
        kind = str(part.get("media_type", "")).lower()
        kind = kind if _MEDIA_TYPE.fullmatch(kind) else "application/octet-stream"
        name = f"answer-{len(found) + 1}{mimetypes.guess_extension(kind) or '.bin'}"
        path = scratch / name
        path.write_bytes(data)
        found.append(Produced(name, path, kind))
    return found


def _value(value: Any) -> Any:
    """A JSON value for later steps; `None` if there is none, or it is too big. Fractions become text."""
    try:
        found = json.loads(json.dumps(value), parse_float=str, parse_int=_whole, parse_constant=str)
        canonical(found, max_bytes=VALUE_JSON_BYTES)
    except (ValueError, RecursionError, NotCanonical):
        return None
    return found


def _whole(digits: str) -> int | str:
    return int(digits) if len(digits) < 17 and abs(int(digits)) <= MAX_INTEGER else digits


def _line(text: str) -> str:
    flat = " ".join(readable_text(text.encode("utf-8", "replace")).split())
    return flat if len(flat) <= _ERROR_CHARACTERS else f"{flat[:_ERROR_CHARACTERS]}…"
