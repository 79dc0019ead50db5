"""OpenAI's chat completions, as a stream."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tests.vendors.wire import Json, Say, Vendor, Wire, pieces, served


def _openai(say: Say, body: Json) -> list[str]:
    def chunk(delta: Json, finish: str | None = None) -> Json:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return {**head, "choices": [choice]}

    head = {
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": say.model or body["model"],
    }  # fmt: skip
    sent: list[Json] = [chunk({"role": "assistant", "content": ""})]
    sent += [chunk({"content": piece}) for piece in pieces(say.text)]
    for index, (name, args) in enumerate(say.calls):
        id_ = say.ids[index] if say.ids is not None else f"call_{index}_{name}"
        written = args if isinstance(args, str) else json.dumps(args)
        function = {"name": name, "arguments": ""}
        sent.append(chunk({"tool_calls": [{"index": index, "id": id_, "type": "function", "function": function}]}))
        sent += [
            chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}) for piece in pieces(written)
        ]
    sent.append(chunk({}, _ending(say)))
    if say.usage is not None:
        read, wrote = say.usage
        usage = {"prompt_tokens": read, "completion_tokens": wrote, "total_tokens": read + wrote}
        sent.append({**head, "choices": [], "usage": usage})
    return [*(f"data: {json.dumps(each)}\n\n" for each in sent), "data: [DONE]\n\n"]


def _ending(say: Say) -> str:
    return "content_filter" if say.refuses else "tool_calls" if say.calls else "stop"


_TROUBLE = {"error": {"message": "The server had an error.", "type": "server_error", "code": None}}
_WIRE = Wire("/v1/chat/completions", _openai, f"data: {json.dumps(_TROUBLE)}\n\n")


@asynccontextmanager
async def openai_server(*answers: Say, answering: Callable[[Json], Say] | None = None) -> AsyncIterator[Vendor]:
    """A server with OpenAI's interface; its `url` ends as the client wants it.

    Args:
        answering: Says what is answered to a request, in place of `answers`.
    """
    async with served(_WIRE, list(answers)) as vendor:
        vendor.answering = answering
        vendor.url += "/v1"
        yield vendor
