"""What a program in the sandbox can write in place of the client's answer makes nothing worse than a lie."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.execution.base import ProcessResult, SandboxLevel
from core.tools.mcp import begin, client
from core.tools.mcp.answer import shown
from core.tools.mcp.start import read_answer

ENDED = ProcessResult(
    ended="exited", exit_code=0, signal=None, stdout=b"", stderr=b"", stdout_bytes=0, stderr_bytes=0, stdout_file=None,
    stderr_file=None, duration_s=1.0, limit=None, processes_ended=0, level=SandboxLevel.BWRAP, enforced=(), detail="",
)  # fmt: skip


def read(said: bytes, scratch: Path) -> tuple[str, dict[str, Any]]:
    result = shown(read_answer(replace(ENDED, stdout=said)), scratch, {})
    return result.status, dict(result.out)


@pytest.mark.parametrize(
    "said",
    [b"", b"\xff\xfe", b"[1]", b"{", b"[" * 100_000, b'{"status": "approved"}', b'{"status": ["succeeded"]}'],
)
def test_what_is_no_answer_is_none(said: bytes, tmp_path: Path) -> None:
    assert ("failed-safe", {}) == read(said, tmp_path)
    assert ("unknown", {}) == read(b"sent\n" + said, tmp_path)


@pytest.mark.parametrize("out", [None, 1, [], {}, {"parts": 3}, {"parts": {"a": 1}}])
def test_a_success_without_an_answer_is_none(out: Any, tmp_path: Path) -> None:
    said = b"sent\n" + json.dumps({"status": "succeeded", "out": out}).encode()

    assert ("unknown", {}) == read(said, tmp_path)


def test_parts_of_any_shape_are_passed_over(tmp_path: Path) -> None:
    parts = [1, None, {"text": 3}, {"data": "a", "media_type": 7}, {"data": 1}, {"text": "a", "cut": []}]
    said = json.dumps({"status": "succeeded", "error": 5, "out": {"parts": parts, "left_out": "x"}}).encode()

    status, out = read(b"sent\n" + said, tmp_path)

    assert ("succeeded", "a", []) == (status, out["text"], out["files"])


def test_a_line_may_be_as_long_as_a_message() -> None:
    assert client.MAX_MESSAGE_BYTES == begin.MAX_LINE_BYTES


def test_a_kind_of_data_decides_no_path(tmp_path: Path) -> None:
    parts = [{"data": "YQ==", "media_type": kind} for kind in ("../../etc", "text/html\n", "image/png; a=b", "")]
    said = json.dumps({"status": "succeeded", "out": {"parts": parts}}).encode()

    read(b"sent\n" + said, tmp_path)

    assert {f"answer-{number}.bin" for number in range(1, 5)} == {path.name for path in tmp_path.iterdir()}
