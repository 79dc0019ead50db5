"""Servers that speak the vendors' wire formats: OpenAI's chat completions and Anthropic's messages, as streams.

A test says what is answered, turn by turn; the server keeps what it was sent. Everything else (ids, chunks, usage) is
as those interfaces document it.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Json = dict[str, Any]


@dataclass
class Say:
    """One answer of a model."""

    text: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    """Name and arguments; arguments that are text are sent as they are, whatever they are."""
    ids: list[str] | None = None
    """Of the calls; left out: one each."""
    usage: tuple[int, int] | None = (100, 20)
    """Tokens read and written; `None` = it does not say."""
    model: str | None = None
    """Who says that it answered; left out: who was asked."""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    """Whether the connection breaks in the middle."""
    hang_s: float = 0.0
    """How long it says nothing before the first byte."""
    holds: asyncio.Event | None = None
    """Waited for in the middle of the answer."""
    raw: str | None = None
    """Sent in place of everything."""


@dataclass
class Vendor:
    """A running server."""

    url: str
    asked: list[Json] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    answers: list[Say] = field(default_factory=list)
    served: list[Say] = field(default_factory=list)
    """What was answered, in the order in which it was begun."""
    times_ns: list[tuple[int, int]] = field(default_factory=list)
    """When each request had arrived, and when its answer had been written; CLOCK_MONOTONIC."""
    gate: asyncio.Event | None = None
    """What every answer waits for, if anything."""

    def next(self) -> Say:
        self.served.append(self.answers.pop(0) if self.answers else Say("I have nothing more to say."))
        return self.served[-1]


@asynccontextmanager
async def openai_server(*answers: Say) -> AsyncIterator[Vendor]:
    """A server with OpenAI's interface; its `url` ends as the client wants it."""
    async with _served("/v1/chat/completions", _openai, list(answers)) as vendor:
        vendor.url += "/v1"
        yield vendor


@asynccontextmanager
async def anthropic_server(*answers: Say) -> AsyncIterator[Vendor]:
    """A server with Anthropic's interface."""
    async with _served("/v1/messages", _anthropic, list(answers)) as vendor:
        yield vendor


@asynccontextmanager
async def _served(path: str, chunks: Any, answers: list[Say]) -> AsyncIterator[Vendor]:
    vendor = Vendor("", answers=answers)

    async def answer(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        arrived_ns = time.monotonic_ns()
        vendor.asked.append(body)
        vendor.headers.append(dict(request.headers))
        say = vendor.next()
        await asyncio.sleep(say.hang_s)
        if vendor.gate is not None:
            await vendor.gate.wait()
        if say.status != 200:
            error = {"type": "error", "error": {"type": "made_up", "message": "as the test wants it"}}
            return web.json_response(error, status=say.status, headers=say.headers)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        if say.raw is not None:
            await response.write(say.raw.encode())
            return response
        events = list(chunks(say, body))
        for number, event in enumerate(events):
            if say.holds is not None and number == len(events) // 2:
                await say.holds.wait()
            if say.cut and number == len(events) // 2:
                assert request.transport is not None
                request.transport.abort()
                return response
            await response.write(event.encode())
        vendor.times_ns.append((arrived_ns, time.monotonic_ns()))
        return response

    application = web.Application(client_max_size=2**26)
    application.router.add_post(path, answer)
    # Whoever is no longer waited for stops working, as a vendor does, rather than keeping the test.
    runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    vendor.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield vendor
    finally:
        await runner.cleanup()


def _openai(say: Say, body: Json) -> list[str]:
    def chunk(delta: Json, finish: str | None = None) -> Json:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return {**head, "choices": [choice]}

    head = {
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": say.model or body["model"],
    }  # fmt: skip
    sent: list[Json] = [chunk({"role": "assistant", "content": ""})]
    sent += [chunk({"content": piece}) for piece in _pieces(say.text)]
    for index, (name, args) in enumerate(say.calls):
        id_ = say.ids[index] if say.ids is not None else f"call_{index}_{name}"
        written = args if isinstance(args, str) else json.dumps(args)
        function = {"name": name, "arguments": ""}
        sent.append(chunk({"tool_calls": [{"index": index, "id": id_, "type": "function", "function": function}]}))
        sent += [
            chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}) for piece in _pieces(written)
        ]
    sent.append(chunk({}, "tool_calls" if say.calls else "stop"))
    if say.usage is not None:
        read, wrote = say.usage
        usage = {"prompt_tokens": read, "completion_tokens": wrote, "total_tokens": read + wrote}
        sent.append({**head, "choices": [], "usage": usage})
    return [*(f"data: {json.dumps(each)}\n\n" for each in sent), "data: [DONE]\n\n"]


def _anthropic(say: Say, body: Json) -> list[str]:
    read, wrote = say.usage or (0, 0)
    message = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": say.model or body["model"], "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": read, "output_tokens": 1},
    }  # fmt: skip
    sent: list[tuple[str, Json]] = [("message_start", {"message": message})]
    blocks: list[tuple[Json, list[Json]]] = []
    if say.text:
        deltas = [{"type": "text_delta", "text": piece} for piece in _pieces(say.text)]
        blocks.append(({"type": "text", "text": ""}, deltas))
    for index, (name, args) in enumerate(say.calls):
        id_ = say.ids[index] if say.ids is not None else f"toolu_{index}_{name}"
        written = args if isinstance(args, str) else json.dumps(args)
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in _pieces(written)]
        blocks.append(({"type": "tool_use", "id": id_, "name": name, "input": {}}, deltas))
    for index, (start, deltas) in enumerate(blocks):
        sent.append(("content_block_start", {"index": index, "content_block": start}))
        sent += [("content_block_delta", {"index": index, "delta": delta}) for delta in deltas]
        sent.append(("content_block_stop", {"index": index}))
    stop = {"stop_reason": "tool_use" if say.calls else "end_turn", "stop_sequence": None}
    sent.append(("message_delta", {"delta": stop, "usage": {"output_tokens": wrote}}))
    sent.append(("message_stop", {}))
    return [f"event: {kind}\ndata: {json.dumps({'type': kind, **event})}\n\n" for kind, event in sent]


def _pieces(text: str) -> list[str]:
    return [text[at : at + 7] for at in range(0, len(text), 7)] if len(text) < 10_000 else [text]
