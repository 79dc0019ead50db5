"""A real server of the library over streamable HTTP; says its port, and writes down what reaches it."""

import asyncio
import json
import socket
import sys
from pathlib import Path
from typing import Any

import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp_types import ElicitRequest, ElicitRequestFormParams, InputRequiredResult
from pydantic import BaseModel
from starlette.types import Message, Receive, Scope, Send

log = Path(sys.argv[1])
how = sys.argv[2] if len(sys.argv) > 2 else ""
server = MCPServer("notes")


@server.tool()
def note(text: str) -> str:
    """Write a note down"""
    with log.open("a") as file:
        file.write(json.dumps({"note": text}) + "\n")
    if how == "huge":
        return "x" * 20_000_000
    return f"noted {text}"


@server.tool()
async def slow(text: str) -> str:
    """Take four seconds"""
    await asyncio.sleep(4)
    return note(text)


class Password(BaseModel):
    password: str


@server.tool()
async def nosy(context: Context, text: str) -> str:
    """Ask for more than it is given"""
    answer = await context.elicit("your password?", Password)
    return f"got {answer.action}"


@server.tool()
async def needy(text: str) -> InputRequiredResult:
    """Answer with a question"""
    params = ElicitRequestFormParams(message="your password?", requested_schema={"type": "object", "properties": {}})
    return InputRequiredResult(input_requests={"first": ElicitRequest(params=params)}, request_state="x")


OTHERWISE = {
    "html": (200, b"text/html", b"<p>Welcome to the gateway</p>"),
    "broken": (200, b"application/json", b'{"jsonrpc": "2.0", "id"'),
    "accepted": (202, b"application/json", b""),
    "unknown": (404, b"text/plain", b"Not Found"),
}
"""What comes back of a call that was made, by what the server is told to do."""


class Watched:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = {name.decode(): value.decode() for name, value in scope["headers"]}
            with log.open("a") as file:
                file.write(json.dumps({"authorization": headers.get("authorization")}) + "\n")
            if how.startswith("redirect:"):
                location = [(b"location", how.removeprefix("redirect:").encode())]
                await send({"type": "http.response.start", "status": 307, "headers": location})
                await send({"type": "http.response.body", "body": b""})
                return
        await self.app(scope, receive, _instead(send) if how in OTHERWISE and scope["type"] == "http" else send)


def _instead(send: Send) -> Send:
    """Answer something else once a note was written while the request was under way."""
    status, kind, body = OTHERWISE[how]
    before = log.read_text().count('"note"')
    held: list[Message] = []

    async def other(message: Message) -> None:
        if message["type"] == "http.response.start":
            held.append(message)
        elif log.read_text().count('"note"') == before:
            while held:
                await send(held.pop())
            await send(message)
        elif held:
            held.clear()
            headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    return other


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
app = Watched(server.streamable_http_app())
print(listener.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listener])
