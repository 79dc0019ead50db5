"""Anthropic's messages, as a stream."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.vendors.wire import Json, Say, Vendor, Wire, pieces, served


def _anthropic(say: Say, body: Json) -> list[str]:
    read, wrote = say.usage or (0, 0)
    message = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": say.model or body["model"], "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": read, "output_tokens": 1},
    }  # fmt: skip
    sent: list[tuple[str, Json]] = [("message_start", {"message": message})]
    blocks: list[tuple[Json, list[Json]]] = []
    if say.text:
        deltas = [{"type": "text_delta", "text": piece} for piece in pieces(say.text)]
        blocks.append(({"type": "text", "text": ""}, deltas))
    for index, (name, args) in enumerate(say.calls):
        id_ = say.ids[index] if say.ids is not None else f"toolu_{index}_{name}"
        written = args if isinstance(args, str) else json.dumps(args)
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces(written)]
        blocks.append(({"type": "tool_use", "id": id_, "name": name, "input": {}}, deltas))
    for index, (start, deltas) in enumerate(blocks):
        sent.append(("content_block_start", {"index": index, "content_block": start}))
        sent += [("content_block_delta", {"index": index, "delta": delta}) for delta in deltas]
        sent.append(("content_block_stop", {"index": index}))
    ending = "refusal" if say.refuses else "tool_use" if say.calls else "end_turn"
    stop = {"stop_reason": ending, "stop_sequence": None}
    sent.append(("message_delta", {"delta": stop, "usage": {"output_tokens": wrote}}))
    sent.append(("message_stop", {}))
    return [f"event: {kind}\ndata: {json.dumps({'type': kind, **event})}\n\n" for kind, event in sent]


_TROUBLE = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
_WIRE = Wire("/v1/messages", _anthropic, f"event: error\ndata: {json.dumps(_TROUBLE)}\n\n")


@asynccontextmanager
async def anthropic_server(*answers: Say) -> AsyncIterator[Vendor]:
    """A server with Anthropic's interface."""
    async with served(_WIRE, list(answers)) as vendor:
        yield vendor
