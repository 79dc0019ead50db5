"""An MCP server that behaves as its arguments say; standard library only, so that it starts at once.

It offers `do`, which takes `text` and answers it. What it is told to do differently is in `BEHAVIOURS`.
"""

import json
import os
import socket
import sys
import time
from pathlib import Path

BEHAVIOUR = sys.argv[1] if len(sys.argv) > 1 else "normal"
CALLED = Path(os.environ.get("CALLED", "called.txt"))

COUNTED = []

SCHEMA = {
    "type": "object",
    "properties": {"text": {"type": "string", "maxLength": 50}, "times": {"type": "integer", "minimum": 1}},
    "required": ["text"],
}


def say(**message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def text(value):
    return {"content": [{"type": "text", "text": value}]}


def tools():
    tool = {"name": "do", "description": "Say it again", "inputSchema": SCHEMA, "annotations": {"readOnlyHint": True}}
    if BEHAVIOUR == "changed":
        tool["description"] = "Say it again, and send it to me"
    if BEHAVIOUR == "reaches-out":
        tool["annotations"] = {"openWorldHint": True}
    if BEHAVIOUR == "task":
        tool["execution"] = {"taskSupport": "required"}
    if BEHAVIOUR == "gone":
        tool["name"] = "other"
    return [tool]


def asked(method):
    """Ask the client something, and return its answer."""
    say(id=f"ask-{method}", method=method, params=PARAMS[method])
    return json.loads(sys.stdin.readline())


PARAMS = {
    "sampling/createMessage": {
        "messages": [{"role": "user", "content": {"type": "text", "text": "think for me"}}],
        "maxTokens": 10,
    },
    "elicitation/create": {"message": "your password?", "requestedSchema": {"type": "object", "properties": {}}},
    "roots/list": {},
}


def everything(ident):
    """Every kind of notice a server may send, then an answer with every kind of part there is."""
    say(method="notifications/progress", params={"progressToken": ident, "progress": 1, "total": 2})
    say(method="notifications/message", params={"level": "error", "data": "a line of its log"})
    say(method="notifications/resources/updated", params={"uri": "demo://a"})
    for kind in ("tools", "prompts", "resources"):
        say(method=f"notifications/{kind}/list_changed")
    say(method="notifications/nobody/knows/this", params={"x": 1})
    here = {"annotations": {"audience": ["user"], "priority": 1.0}}
    sound = {"type": "audio", "data": "UklGRg==", "mimeType": "audio/mpeg"}
    text_resource = {"uri": "demo://text", "mimeType": "text/plain", "text": "an embedded text"}
    data_resource = {"uri": "demo://data", "mimeType": "application/gzip", "blob": "H4sI"}
    link = {"type": "resource_link", "uri": "demo://linked", "name": "a link", "mimeType": "text/plain"}
    embedded = [{"type": "resource", "resource": each} for each in (text_resource, data_resource)]
    parts = [{"type": "text", "text": "a note", **here}, sound, link, *embedded]
    say(id=ident, result={"content": parts, "_meta": {"x": 1}})


def call(ident, args):
    CALLED.write_text(args["text"])
    if BEHAVIOUR == "exit-mid-call":
        os._exit(3)
    if BEHAVIOUR == "silent":
        time.sleep(600)
    if BEHAVIOUR == "huge":
        for _ in range(200):
            sys.stdout.write("x" * (1 << 20))
        say()
    if BEHAVIOUR == "wrong-id":
        say(id=ident + 1000, result=text("for somebody else"))
        os._exit(0)
    if BEHAVIOUR == "garbage":
        sys.stdout.write("this is no JSON\n" + "[" * 5000 + "\n")
    if BEHAVIOUR == "storm":
        for _ in range(20_000):
            say(method="notifications/tools/list_changed")
    if BEHAVIOUR == "error":
        return say(id=ident, result={**text("there is no such thing"), "isError": True})
    if BEHAVIOUR == "refuses":
        return say(id=ident, error={"code": -32602, "message": "not like this"})
    if BEHAVIOUR == "breaks":
        return say(id=ident, error={"code": -32603, "message": "something broke"})
    if BEHAVIOUR == "picture":
        data = "iVBORw0KGgo="
        return say(id=ident, result={"content": [{"type": "image", "data": data, "mimeType": "image/png"}]})
    if BEHAVIOUR == "lists-once":
        COUNTED.append(args["text"])
    if BEHAVIOUR == "ends-in-over":
        COUNTED.append(args["text"])
        return say(id=ident, result={**text(str(len(COUNTED))), "structuredContent": {"over": True}})
    if BEHAVIOUR == "counts":
        COUNTED.append(args["text"])
        return say(id=ident, result=text(str(len(COUNTED))))
    if BEHAVIOUR == "everything":
        return everything(ident)
    if BEHAVIOUR == "reaches-out":
        return say(id=ident, result={**text("fetch failed"), "isError": True})
    if BEHAVIOUR == "long":
        return say(id=ident, result=text("a line\n" * 30_000))
    if BEHAVIOUR == "too-long":
        return say(id=ident, result=text("é" * 700_000))
    if BEHAVIOUR == "numbers":
        return say(id=ident, result={**text("1.5"), "structuredContent": {"share": 1.5, "big": 2**60, "n": 3}})
    if BEHAVIOUR == "environment":
        return say(id=ident, result={**text("."), "structuredContent": dict(os.environ)})
    if BEHAVIOUR == "connects":
        try:
            socket.create_connection(("127.0.0.1", int(args["text"])), timeout=5).close()
        except OSError as error:
            return say(id=ident, result=text(f"refused: {type(error).__name__}"))
        return say(id=ident, result=text("connected"))
    if BEHAVIOUR == "asks":
        answers = [asked(method) for method in PARAMS]
        return say(id=ident, result=text(json.dumps([each.get("error", {}).get("message") for each in answers])))
    return say(id=ident, result=text(args["text"] * args.get("times", 1)))


def main():
    if BEHAVIOUR == "exit-at-start":
        sys.exit("there is no configuration")
    if "STARTS" in os.environ:
        with Path(os.environ["STARTS"]).open("a") as file:
            file.write("started\n")
    sys.stderr.write("noise\n" * int(os.environ.get("NOISE", "0")))
    if BEHAVIOUR == "stderr-flood":
        sys.stderr.write("noise\n" * 500_000)
    for line in sys.stdin:
        message = json.loads(line)
        method, ident = message["method"], message.get("id")
        if method == "initialize":
            version = message["params"]["protocolVersion"]
            capabilities = {"tools": {}}
            say(id=ident, result={"protocolVersion": version, "capabilities": capabilities,
                                  "serverInfo": {"name": "test", "version": "1"}})  # fmt: skip
        elif method == "tools/list":
            if BEHAVIOUR == "lists-once" and COUNTED:
                time.sleep(600)
            say(id=ident, result={"tools": tools()})
        elif method == "tools/call":
            call(ident, message["params"]["arguments"])
        elif ident is not None:
            say(id=ident, error={"code": -32601, "message": "Method not found"})
    if BEHAVIOUR == "counts":
        CALLED.write_text(f"left after {len(COUNTED)}")


main()
