"""Every vendor is asked once for each turn, understood in its own words, and told what its calls have brought."""

import asyncio
import json
import socket
from typing import Any

import pytest

from core.planners.dialogue import Returned, Told
from core.planners.thinking import ModelFailed
from tests.integration.vendors.conftest import Line, until
from tests.vendors import Say
from tests.vendors.google import SIGNATURE

TWO_CALLS = Say("I look twice.", [("files-look", {"path": "a.txt"}), ("files-look", {"path": "b.txt"})])


async def test_its_calls_are_told_apart_and_their_results_go_back(line: Line) -> None:
    async with line.server(TWO_CALLS, Say("Both are there.", usage=(200, 30), model="clever-1-2026-11-01")) as vendor:
        first = await line.ask(vendor.url)
        back = [Returned(call.id, call.tool, f"it says {n}", True) for n, call in enumerate(first.calls)]
        second = await line.ask(vendor.url, Told("Look."), first, *back, n=2)

    assert ("I look twice.", "Both are there.") == (first.text, second.text)
    assert "I look twice.Both are there." == "".join(line.heard)
    assert [("files.look", {"path": "a.txt"}), ("files.look", {"path": "b.txt"})] == [
        (call.tool, dict(call.args)) for call in first.calls
    ]
    assert 2 == len({call.id for call in first.calls} - {""})
    assert (100, 20, 200, 30) == (first.input_tokens, first.output_tokens, second.input_tokens, second.output_tokens)
    reported = "clever-1" if line.provider == "bedrock" else "clever-1-2026-11-01"
    assert ("clever-1", reported) == (first.model, second.model), "Bedrock does not say who answered"
    assert 2 == len(vendor.asked)
    sent = str(vendor.asked[1])
    assert sent.index("I look twice.") < sent.index("it says 0") < sent.index("it says 1")
    assert "Be good." in sent and "files-look" in sent


async def test_its_key_comes_with_each_request(line: Line) -> None:
    async with line.server(Say("Yes.")) as vendor:
        await line.ask(vendor.url)

    shown = str(vendor.headers[0])
    expected = {"bedrock": "Credential=AKIDEXAMPLE/", "openai-compatible": "Bearer none"}
    assert expected.get(line.provider, "a-key-1234") in shown


@pytest.mark.parametrize("line", ["google"], indirect=True)
async def test_what_google_signed_goes_back_signed_and_its_calls_have_ids_of_ours(line: Line) -> None:
    async with line.server(TWO_CALLS, Say("Done.")) as vendor:
        first = await line.ask(vendor.url)
        back = [Returned(call.id, call.tool, "there", True) for call in first.calls]
        await line.ask(vendor.url, Told("Look."), first, *back, n=2)

    said: list[Any] = [part for content in vendor.asked[1]["contents"] for part in content["parts"]]
    assert [SIGNATURE] == [part["thoughtSignature"] for part in said if "thoughtSignature" in part]
    assert ["files-look"] * 2 == [part["functionResponse"]["name"] for part in said if "functionResponse" in part]


async def test_what_it_writes_is_heard_before_it_has_ended(line: Line) -> None:
    gate = asyncio.Event()
    async with line.server(Say("One word after the other, and then a pause.", holds=gate)) as vendor:
        asked = asyncio.create_task(line.ask(vendor.url))
        await until(lambda: bool(line.heard))
        assert not asked.done()
        gate.set()
        answer = await asked

    assert "".join(line.heard) == answer.text


TROUBLES = {
    "busy": (Say(status=429, headers={"Retry-After": "7"}), (False, True), "answered 429: as the test wants it"),
    "wrong": (Say(status=400), (False, False), "answered 400: as the test wants it"),
    "key": (Say(status=403), (False, False), "refuses its key"),
    "unknown": (Say(status=404), (False, False), "does not know this model"),
    "broken": (Say(status=500), (True, True), "answered 500"),
    "down": (Say(status=503), (True, True), "answered 503"),
    "dropped": (Say(drops=True), (True, True), "cannot be reached"),
    "cut": (Say("Half an answer, and no more", cut=True), (True, True), "cannot be reached"),
    "ended": (Say("Half an answer, and no more", stops=True), (True, True), "broke off in the middle"),
    "in-between": (Say("Half an answer, and no more", fails=True), (True, True), "answered"),
    "at-once": (Say(fails=True), (True, True), "answered"),
    "garbage": (Say(raw="data: {nonsense\n\n"), (True, True), ""),
    "nothing": (Say(raw=""), (True, True), ""),
    "filtered": (Say("I would rather", refuses=True), (True, False), "refuses to answer this"),
    "filtered-at-once": (Say(refuses=True), (True, False), "refuses to answer this"),
    "late": (Say("Yes.", hang_s=30), (True, True), "did not answer within 1 s"),
}


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_a_turn_that_brings_nothing_is_one_request_and_says_why(line: Line, trouble: str) -> None:
    say, (billed, again), words = TROUBLES[trouble]
    async with line.server(say, Say("Asked again.")) as vendor:
        with pytest.raises(ModelFailed) as failed:
            await line.ask(vendor.url, timeout_s=1 if trouble == "late" else 20)

        assert 1 == len(vendor.asked)
        assert (billed, again) == (failed.value.billed, failed.value.again), failed.value
        assert words in str(failed.value)
        assert (7.0 if trouble == "busy" else None) == failed.value.retry_after_s
        assert "Asked again." == (await line.ask(vendor.url)).text


async def test_whoever_cannot_be_reached_has_cost_nothing(line: Line) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(ModelFailed, match="cannot be reached") as failed:
        await line.ask(url)

    assert (False, True) == (failed.value.billed, failed.value.again)


async def test_usage_that_is_not_reported_counts_as_none(line: Line) -> None:
    async with line.server(Say("So.", usage=None)) as vendor:
        answer = await line.ask(vendor.url)

    assert (0, 0) == (answer.input_tokens, answer.output_tokens)


@pytest.mark.parametrize("line", ["openai-compatible"], indirect=True)
async def test_a_server_that_never_says_that_it_has_ended_has_when_its_usage_is_there(line: Line) -> None:
    head = '"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"'
    choice = '{"index": 0, "delta": {"role": "assistant", "content": "Yes."}, "finish_reason": null}'
    usage = '"usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}'
    raw = f'data: {{{head}, "choices": [{choice}]}}\n\ndata: {{{head}, "choices": [], {usage}}}\n\ndata: [DONE]\n\n'
    async with line.server(Say(raw=raw)) as vendor:
        answer = await line.ask(vendor.url)

    assert ("Yes.", 5, 2) == (answer.text, answer.input_tokens, answer.output_tokens)


@pytest.mark.parametrize("line", ["google"], indirect=True)
async def test_what_google_thinks_is_paid_for_and_not_heard(line: Line) -> None:
    def candidate(part: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {"candidates": [{"content": {"role": "model", "parts": [part]}, "index": 0, **more}]}

    usage = {"promptTokenCount": 100, "candidatesTokenCount": 20, "thoughtsTokenCount": 300, "totalTokenCount": 420}
    thinks, says = candidate({"text": "Hm.", "thought": True}), candidate({"text": "Yes."}, finishReason="STOP")
    events = (thinks, {**says, "usageMetadata": usage})
    async with line.server(Say(raw="".join(f"data: {json.dumps(event)}\r\n\r\n" for event in events))) as vendor:
        answer = await line.ask(vendor.url)

    assert ("Yes.", 100, 320) == (answer.text, answer.input_tokens, answer.output_tokens)
    assert ["Yes."] == line.heard
