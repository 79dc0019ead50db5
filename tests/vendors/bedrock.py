"""Bedrock's Converse API, as a stream of AWS's binary events.

An event is its length, the length of its headers and a checksum of both, then the headers, the payload, and a checksum
of all that: https://smithy.io/2.0/aws/amazon-eventstream.html. Which model answered is not said.
"""

import json
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.vendors.wire import Json, Say, Vendor, Wire, pieces, served

AWS = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "no-secret-at-all",
    "AWS_DEFAULT_REGION": "eu-central-1",
}
"""What its client finds in the environment."""

_TEXT = 7
"""The type of a header that is text."""
_ERRORS = {
    400: "ValidationException", 403: "UnrecognizedClientException", 404: "ResourceNotFoundException",
    429: "ThrottlingException", 500: "InternalServerException", 503: "ServiceUnavailableException",
}  # fmt: skip


def event(kind: str, payload: Json, *, message: str = "event") -> bytes:
    """One event; `message` is `exception` where it is trouble."""
    named = {f":{message}-type": kind, ":content-type": "application/json", ":message-type": message}
    headers = b"".join(
        bytes([len(name)]) + name.encode() + bytes([_TEXT]) + len(value).to_bytes(2, "big") + value.encode()
        for name, value in named.items()
    )
    body = json.dumps(payload).encode()
    prelude = (16 + len(headers) + len(body)).to_bytes(4, "big") + len(headers).to_bytes(4, "big")
    whole = prelude + zlib.crc32(prelude).to_bytes(4, "big") + headers + body
    return whole + zlib.crc32(whole).to_bytes(4, "big")


def _bedrock(say: Say, body: Json) -> list[bytes]:
    sent = [event("messageStart", {"role": "assistant"})]
    blocks: list[tuple[Json | None, list[Json]]] = []
    if say.text:
        blocks.append((None, [{"text": piece} for piece in pieces(say.text)]))
    for index, (name, args) in enumerate(say.calls):
        id_ = say.ids[index] if say.ids is not None else f"tooluse_{index}_{name}"
        written = args if isinstance(args, str) else json.dumps(args)
        blocks.append(
            ({"toolUse": {"toolUseId": id_, "name": name}}, [{"toolUse": {"input": each}} for each in pieces(written)])
        )
    for index, (start, deltas) in enumerate(blocks):
        if start is not None:  # a block of text just begins
            sent.append(event("contentBlockStart", {"contentBlockIndex": index, "start": start}))
        sent += [event("contentBlockDelta", {"contentBlockIndex": index, "delta": delta}) for delta in deltas]
        sent.append(event("contentBlockStop", {"contentBlockIndex": index}))
    ending = "guardrail_intervened" if say.refuses else "tool_use" if say.calls else "end_turn"
    sent.append(event("messageStop", {"stopReason": ending}))
    if say.usage is not None:
        read, wrote = say.usage
        usage = {"inputTokens": read, "outputTokens": wrote, "totalTokens": read + wrote}
        sent.append(event("metadata", {"usage": usage, "metrics": {"latencyMs": 1}}))
    return sent


def _error(status: int) -> tuple[Json, dict[str, str]]:
    return {"message": "as the test wants it"}, {"x-amzn-ErrorType": _ERRORS.get(status, "InternalServerException")}


_WIRE = Wire(
    "/model/{model}/converse-stream",
    _bedrock,
    event("modelStreamErrorException", {"message": "The model stopped."}, message="exception"),
    error=_error,
    content_type="application/vnd.amazon.eventstream",
)


@asynccontextmanager
async def bedrock_server(*answers: Say, certificate: tuple[Path, Path] | None = None) -> AsyncIterator[Vendor]:
    """A server with Bedrock's interface."""
    async with served(_WIRE, list(answers), certificate=certificate) as vendor:
        yield vendor
