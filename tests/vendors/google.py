"""Google's Gemini API, as a stream of events.

Its calls have no ids, and come whole. What its models have thought comes back with each call as a signature, and has to
be sent back with it.
"""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.vendors.wire import Json, Say, Vendor, Wire, pieces, served

SIGNATURE = base64.b64encode(b"what the model thought").decode()
"""Of the first call of an answer."""

_STATUSES = {400: "INVALID_ARGUMENT", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"}


def _google(say: Say, body: Json) -> list[str]:
    def chunk(parts: list[Json], finish: str | None = None) -> Json:
        candidate: Json = {"content": {"role": "model", "parts": parts}, "index": 0}
        return {**head, "candidates": [candidate if finish is None else {**candidate, "finishReason": finish}]}

    head: Json = {"responseId": "response-1", "modelVersion": say.model or body["model"]}
    sent = [chunk([{"text": piece}]) for piece in pieces(say.text)]
    for index, (name, args) in enumerate(say.calls):
        call = {"name": name, "args": args} if say.ids is None else {"name": name, "args": args, "id": say.ids[index]}
        sent.append(chunk([{"functionCall": call, **({"thoughtSignature": SIGNATURE} if index == 0 else {})}]))
    last = chunk([{"text": ""}], "SAFETY" if say.refuses else "STOP")
    if say.refuses and not say.text:  # not even begun: what was asked is what it refuses
        last = {**head, "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}
    if say.usage is not None:
        read, wrote = say.usage
        usage = {"promptTokenCount": read, "candidatesTokenCount": wrote, "totalTokenCount": read + wrote}
        last["usageMetadata"] = usage
    return [f"data: {json.dumps(each)}\r\n\r\n" for each in [*sent, last]]


def _error(status: int) -> tuple[Json, dict[str, str]]:
    named = _STATUSES.get(status, "INTERNAL" if status == 500 else "UNAVAILABLE")
    return {"error": {"code": status, "message": "as the test wants it", "status": named}}, {}


_TROUBLE = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
_WIRE = Wire(
    "/v1beta/models/{model}:streamGenerateContent", _google, f"data: {json.dumps(_TROUBLE)}\r\n\r\n", error=_error
)


@asynccontextmanager
async def google_server(*answers: Say) -> AsyncIterator[Vendor]:
    """A server with Google's interface."""
    async with served(_WIRE, list(answers)) as vendor:
        yield vendor
