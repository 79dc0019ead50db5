"""Speaks to one MCP server: for each call it lists the tools, compares one with its pin, and calls it.

It is the only module that imports `mcp`, and it imports nothing of ours: in the sandbox it runs from its source, with
the Python of the tools' environment; outside, in the child that acts there. `begin` has started the server by then, if
it is one of this machine. It asks nothing of a server but tools, and refuses whatever a server asks: sampling,
elicitation and roots. All that a server says is bounded here and believed nowhere.

The last line said to a request is the answer. The line `sent` before it says that the call has left: after that word,
silence means that nobody knows. A server that did not answer, or broke, is not spoken to again: its last answer begins
with `over`. One that is gone since its last answer gets none: whoever asks then starts another.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import json
import os
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import IO, Any

import anyio
import httpx2
import mcp_types as types
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage

SENT = "sent\n"

MAX_MESSAGE_BYTES = 8 << 20
"""The longest message of a server, and all that one HTTP answer may hold."""
MAX_CONTENT_BYTES = 2 << 20
MAX_STRUCTURED_BYTES = 1 << 20
"""Of what a tool answers, this much of its JSON is handed on; what is beyond is cut or left out, and counted."""
MAX_LIST_BYTES = 2 << 20
MAX_DEFINITION_BYTES = 100_000
MAX_TOOLS = 500
_MAX_PAGES = 50
_MOST_REFUSED = 20
_ROOM_FOR_TEXT = 100

_END_S = 1.0
_SAID_CHARACTERS = 500

_REFUSED = (types.INVALID_PARAMS,)
"""Errors by which a server says that it will not do it; as final as a tool that answers with an error."""
_REFUSED_HERE = (*_REFUSED, types.INVALID_REQUEST, types.METHOD_NOT_FOUND)
"""The same of a server of this machine. Of one at an address the library says so itself, where it cannot read what came
back or a gateway knows nothing of it, whatever was done before.
"""
_CONNECT_S = 30.0

Answer = dict[str, Any]
Begun = tuple[asyncio.AbstractEventLoop, asyncio.subprocess.Process]


def definition_of(tool: types.Tool) -> dict[str, Any]:
    """All a server says of a tool, but for notes meant for the transport."""
    found = tool.model_dump(mode="json", by_alias=True, exclude_none=True)
    found.pop("_meta", None)
    return found


def pin_of(definition: Mapping[str, Any]) -> str:
    """The digest of a whole definition; `core.config.accepted` computes the same."""
    text = json.dumps(definition, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


class Talk:
    """One server from its start to its end. Each request has two parts: until it is ready for the call, and the call.

    Args:
        server: `argv` and `env`, or `url` and `scheme`.
        secrets: More variables (or headers) of the server, by name.
        begun: A server of this machine that was started, and the loop it belongs to.
    """

    def __init__(self, server: Mapping[str, Any], secrets: Mapping[str, str], begun: Begun | None) -> None:
        self._server = server
        self._secrets = secrets
        self._loop = asyncio.new_event_loop() if begun is None else begun[0]
        self._process = None if begun is None else begun[1]
        self._request: Mapping[str, Any] = {}
        self._ends_s = 0.0
        self._next = asyncio.Event()
        self._leaving = False
        self._ready: asyncio.Future[Answer] = self._loop.create_future()
        self._go = asyncio.Event()
        self._done: asyncio.Future[Answer] = self._loop.create_future()
        self._sent = False
        self._answered_before = False
        self._refused: set[str] = set()
        self._trouble: list[str] = []
        """Why the connection to a server of this machine broke, if it was not the server that closed it."""
        self._task: asyncio.Task[None] | None = None

    @property
    def is_over(self) -> bool:
        """Whether it can be asked nothing more."""
        return self._task is not None and self._task.done()

    def ready(self, request: Mapping[str, Any], ends_s: float) -> Answer:
        """List the tools and compare the one to call; blocks. `succeeded` without `out` = it waits for the call.

        Args:
            request: `tool`, `pin` and `args` of a call; without `tool` the answer is the list of tools.
            ends_s: When all of it has to be over, the call too, as `time.monotonic` counts on this host.
        """
        assert not self.is_over
        self._request, self._ends_s, self._sent, self._refused = request, ends_s, False, set()
        self._ready, self._done = self._loop.create_future(), self._loop.create_future()
        self._go.clear()
        self._next.set()
        if self._task is None:
            self._task = self._loop.create_task(self._talk())
        return self._loop.run_until_complete(self._ready)

    def call(self) -> Answer:
        """Make the call of a server that waits; blocks."""
        self._go.set()
        return self._loop.run_until_complete(self._done)

    def leave(self) -> None:
        """Take leave of the server; blocks for a moment."""
        if self._task is not None:
            self._leaving = True
            self._ends_s = min(self._ends_s, time.monotonic() + 2 * _END_S)
            self._next.set()
            self._go.set()
            self._loop.run_until_complete(self._task)

    async def _talk(self) -> None:
        try:
            async with asyncio.timeout(max(0.1, self._ends_s - time.monotonic())) as limit:
                left_s = max(0.1, self._ends_s - time.monotonic())
                # A server that says nothing to the newest way to begin is asked in the old one when half of the time is
                # over.
                async with Client(self._transport(), read_timeout_seconds=left_s / 2, cache=None) as client:
                    # From here on each request has a time of its own, which `limit` keeps.
                    client.session._session_read_timeout_seconds = None
                    while not self._leaving:
                        self._next.clear()
                        await self._one(client)
                        limit.reschedule(None)
                        await self._next.wait()
                        limit.reschedule(self._loop.time() + max(0.1, self._ends_s - time.monotonic()))
        except TimeoutError:
            self._say(self._broken("it did not answer in time"))
        except Exception as error:
            if self._answered_before and not self._sent:
                return self._say({"status": "failed-safe", "gone": True})
            self._say(self._broken(self._trouble[0] if self._trouble else _words(_innermost(error))))

    async def _one(self, client: Client) -> None:
        """Serve one request."""
        found = await _listed(client)
        name = self._request.get("tool")
        if name is None:
            return self._say({"status": "succeeded", "out": {"tools": found, "protocol": client.protocol_version}})
        definition = next((each for each in found if each.get("name") == name), None)
        if definition is None:
            gone = "the server does not offer it any more"
            return self._say({"status": "failed", "out": {"gone": True}, "error": gone})
        if pin_of(definition) != self._request["pin"]:
            changed = "its definition has changed"
            return self._say({"status": "failed", "out": {"changed": definition}, "error": changed})
        self._ready.set_result({"status": "succeeded"})
        await self._go.wait()
        if self._leaving:
            return None
        self._sent = True
        try:
            result = await client.session.call_tool(name, dict(self._request["args"]), allow_input_required=True)
        except MCPError as error:
            if error.error.code not in (_REFUSED if self._process is None else _REFUSED_HERE):
                raise
            said = error.error.message[:_SAID_CHARACTERS]
            return self._say({"status": "failed", "error": f"the server refused it: {said}"})
        return self._say(self._answered(result))

    def _say(self, answer: Answer) -> None:
        """Answer the request, unless it was answered already: what comes after that is taking leave."""
        if self._refused:
            answer.setdefault("out", {})["refused"] = sorted(self._refused)
        for waiting in (self._ready, self._done):
            if not waiting.done():
                waiting.set_result(answer)
        self._answered_before = True

    def _answered(self, result: types.CallToolResult | types.InputRequiredResult) -> Answer:
        if isinstance(result, types.InputRequiredResult):
            asked = {each.method for each in (result.input_requests or {}).values()}
            self._refused |= asked
            return {"status": "failed", "error": f"it asked for {', '.join(sorted(asked)) or 'more'}, in vain"}
        parts, left_out = _parts(result)
        out: Answer = {"parts": parts, "left_out": left_out}
        structured = result.structured_content
        if structured is not None and len(json.dumps(structured)) <= MAX_STRUCTURED_BYTES:
            out["structured"] = structured
        return {"status": "failed" if result.is_error else "succeeded", "out": out}

    def _broken(self, why: str) -> Answer:
        """No answer to the call, or not even a call."""
        return {"status": "unknown" if self._sent else "failed-safe", "error": why[:_SAID_CHARACTERS]}

    @asynccontextmanager
    async def _transport(self) -> AsyncIterator[tuple[Any, Any]]:
        if self._process is None:
            opened = _reached(self._server, self._secrets)
        else:
            opened = _spoken_to(self._process, self._trouble)
        async with opened as (read, write):
            yield _Overheard(read, self._overheard), write

    def _overheard(self, message: Any) -> None:
        asks = isinstance(message, SessionMessage) and isinstance(message.message, types.JSONRPCRequest)
        if asks and len(self._refused) < _MOST_REFUSED:
            self._refused.add(message.message.method[:_SAID_CHARACTERS])


class _Overheard:
    """A stream of messages, each shown to somebody on its way."""

    def __init__(self, inner: Any, show: Callable[[Any], None]) -> None:
        self._inner = inner
        self._show = show

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def __aenter__(self) -> _Overheard:
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *how: Any) -> Any:
        return await self._inner.__aexit__(*how)

    def __aiter__(self) -> _Overheard:
        return self

    async def __anext__(self) -> Any:
        message = await self._inner.__anext__()
        self._show(message)
        return message

    async def receive(self) -> Any:
        message = await self._inner.receive()
        self._show(message)
        return message


@asynccontextmanager
async def _spoken_to(process: asyncio.subprocess.Process, trouble: list[str]) -> AsyncIterator[tuple[Any, Any]]:
    """A server of this machine, spoken to by its input and output, a message a line."""
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout
    arriving, read = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    write, leaving = anyio.create_memory_object_stream[SessionMessage](0)

    async def listen() -> None:
        async with arriving:
            while line := await stdout.readline():
                try:
                    message = SessionMessage(types.jsonrpc_message_adapter.validate_json(line, by_name=False))
                except ValueError as error:
                    await arriving.send(error)
                else:
                    await arriving.send(message)

    async def speak() -> None:
        async with leaving:
            async for each in leaving:
                text = each.message.model_dump_json(by_alias=True, exclude_unset=True)
                stdin.write(text.encode() + b"\n")
                await stdin.drain()

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_quietly, listen, trouble)
            tasks.start_soon(_quietly, speak, trouble)
            try:
                yield read, write
            finally:
                tasks.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            stdin.close()
            with anyio.move_on_after(_END_S):
                await process.wait()
            if process.returncode is None:
                # Nobody waits for it: asyncio would, until a pipe that is full is read to its end.
                process.kill()


async def _quietly(task: Callable[[], Any], trouble: list[str]) -> None:
    """A stream that breaks ends like one that is closed: the session then sees that, and here is why."""
    try:
        await task()
    except ValueError:  # `readline` at a line beyond the limit: nothing sensible can follow it
        trouble.append(f"a message of the server has more than {MAX_MESSAGE_BYTES >> 20} MiB")
    except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
        pass


@asynccontextmanager
async def _reached(server: Mapping[str, Any], secrets: Mapping[str, str]) -> AsyncIterator[Any]:
    """A server at an address of the operator's, spoken to by streamable HTTP, without proxies or other hosts."""
    login = {header: f"{server['scheme']} {value}".strip() for header, value in secrets.items()}
    trust = ssl.create_default_context(cafile=server.get("ca"))
    async with httpx2.AsyncClient(
        headers={**login, "accept-encoding": "identity"},
        timeout=httpx2.Timeout(None, connect=_CONNECT_S),
        transport=_Bounded(httpx2.AsyncHTTPTransport(verify=trust, trust_env=False)),
        trust_env=False,
        follow_redirects=False,
    ) as http:
        url = server["url"]
        async with streamable_http_client(url, http_client=http, max_sse_event_size=MAX_MESSAGE_BYTES) as streams:
            yield streams


class _Bounded(httpx2.AsyncBaseTransport):
    """A transport whose answers end when they are too long."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._inner.handle_async_request(request)
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            raise httpx2.ReadError("the answer is compressed, which nobody asked for")
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _Counted(response.stream)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Counted(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        total = 0
        async for chunk in self._inner:
            total += len(chunk)
            if total > MAX_MESSAGE_BYTES:
                raise httpx2.ReadError(f"the answer is longer than {MAX_MESSAGE_BYTES >> 20} MiB")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


async def _listed(client: Client) -> list[dict[str, Any]]:
    """Every tool's definition; raises `ValueError` at more than anybody would read."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    for _ in range(_MAX_PAGES):
        page = await client.list_tools(cursor=cursor)
        found += [definition_of(tool) for tool in page.tools]
        if len(found) > MAX_TOOLS:
            raise ValueError(f"it offers more than {MAX_TOOLS} tools")
        if len(json.dumps(found)) > MAX_LIST_BYTES:
            raise ValueError(f"its list of tools has more than {MAX_LIST_BYTES} bytes")
        cursor = page.next_cursor
        if cursor is None:
            break
    else:
        raise ValueError("its list of tools does not end")
    for each in found:
        if len(json.dumps(each)) > MAX_DEFINITION_BYTES:
            raise ValueError(f"the definition of {each['name'][:80]!r} has more than {MAX_DEFINITION_BYTES} bytes")
    names = [each["name"] for each in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"it offers {twice[0][:80]!r} twice")
    return found


def _parts(result: types.CallToolResult) -> tuple[list[dict[str, Any]], int]:
    """What a tool answered, in order, and how many parts of it were too much."""
    found: list[dict[str, Any]] = []
    left_out = 0
    room = MAX_CONTENT_BYTES
    for block in result.content:
        part = _part(block)
        if "text" in part and len(json.dumps(part)) > room > _ROOM_FOR_TEXT:
            part = {"text": _fitting(part["text"], room - _ROOM_FOR_TEXT), "cut": True}
        if len(json.dumps(part)) > room:
            left_out += 1
            continue
        room -= len(json.dumps(part))
        found.append(part)
    return found, left_out


def _fitting(text: str, room: int) -> str:
    """The beginning of a text whose JSON fits."""
    text = text[:room]
    while (size := len(json.dumps(text))) > room:
        text = text[: min(len(text) - 1, len(text) * room // size)]
    return text


def _part(block: types.ContentBlock) -> dict[str, Any]:
    match block:
        case types.TextContent(text=text):
            return {"text": text}
        case types.ImageContent(data=data, mime_type=kind) | types.AudioContent(data=data, mime_type=kind):
            return _data(data, kind)
        case types.EmbeddedResource(resource=types.TextResourceContents(text=text)):
            return {"text": text}
        case types.EmbeddedResource(resource=types.BlobResourceContents(blob=blob, mime_type=mime_type)):
            return _data(blob, mime_type or "application/octet-stream")
        case types.ResourceLink(uri=uri, name=name):
            return {"text": f"{name[:200]}: {str(uri)[:2000]}"}
        case _:
            return {"text": f"({type(block).__name__})"}


def _data(text: str, kind: str) -> dict[str, Any]:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return {"text": "(something that should have been data)"}
    return {"data": text, "media_type": kind[:100]}


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _words(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}{'' if error.filename is None else f': {error.filename}'}"
    return str(error).strip().partition("\n")[0] or type(error).__name__


def serve(
    server: Mapping[str, Any], secrets: Mapping[str, str], begun: Begun | None, requests: IO[str], said: IO[str]
) -> None:
    """Serve requests, a line each, until there are no more or the server is over; then end this process."""
    talk = Talk(server, secrets, begun)
    for line in requests:
        request = json.loads(line)
        answer = talk.ready(request, request["ends_s"])
        if answer.get("gone"):
            break
        if answer["status"] == "succeeded" and "out" not in answer:
            said.write(SENT)
            said.flush()
            answer = talk.call()
        said.write(json.dumps(({"over": True} if talk.is_over else {}) | answer) + "\n")
        said.flush()
        if talk.is_over:
            break
    talk.leave()
    os._exit(0)  # what the server left running is the supervisor's to end
