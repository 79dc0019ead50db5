"""Who may drive the playground: this machine's own pages and scripts, no other web page.

A page of any origin can make a browser send requests to the loopback interface, and a name that resolves to it gets
around the same-origin rule. So every request is checked: the Host must be a loopback name, an Origin must be the same
one, and a browser must call the fetch same-origin. What people do comes as JSON, which no form can send. The app's side
is checked too, for the demo's tokens are known to everybody; apps are no browsers and notice nothing.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

Json = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Refused(Exception):
    """A request of a person or a script that cannot be done; `sentence` says why and what to do."""

    def __init__(self, sentence: str, status: int = 409, **extra: Any) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.status = status
        self.extra = extra


def check_same_origin(request: web.Request) -> None:
    """Let loopback callers through.

    Raises:
        Refused: 403, for what a foreign page could have sent.
    """
    host = request.headers.get("Host", "")
    if urlsplit(f"//{host}").hostname not in _LOOPBACK:
        raise Refused(f"This playground answers to 127.0.0.1 and localhost only, not to {host!r}.", 403)
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"http://{host}":
        raise Refused(f"A page from {origin!r} may not drive this playground; use its own page or a script.", 403)
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site not in ("same-origin", "none"):
        raise Refused("Another site's page may not reach into this playground; open its own address.", 403)


async def read_json(request: web.Request) -> Json:
    """The JSON object a control call brings.

    Raises:
        Refused: 415 for another content type, 400 for something that is not a JSON object.
    """
    if request.content_type != "application/json":
        raise Refused("Send `Content-Type: application/json` with a JSON object.", 415)
    try:
        body = parse_json(await request.text())
    except (ValueError, LookupError):
        raise Refused("The body is not JSON.", 400) from None
    if not isinstance(body, dict):
        raise Refused("The body has to be a JSON object.", 400)
    return body


def parse_json(text: str) -> Any:
    """JSON that can be written down again: no half surrogates, no nesting without end.

    Raises:
        ValueError: It is not.
    """
    try:
        body = json.loads(text)
        if "\\ud" in text or "\\uD" in text:
            json.dumps(body, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return body


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Checks requests and turns refusals into JSON with a sentence."""
    try:
        check_same_origin(request)
        return await handler(request)
    except Refused as refusal:
        return answer(refusal)
    except web.HTTPRequestEntityTooLarge:
        return answer(Refused(f"More than {MAX_BODY_BYTES // 1_000_000} MB at once is too much here.", 413))
    except web.HTTPException as problem:
        if request.path.startswith("/playground/") and problem.status >= 400:
            return answer(Refused(problem.text or problem.reason, problem.status))
        raise


MAX_BODY_BYTES = 200_000_000


def answer(refusal: Refused) -> web.Response:
    body = {"ok": False, "error": _CODES.get(refusal.status, "refused"), "sentence": refusal.sentence, **refusal.extra}
    return web.json_response(body, status=refusal.status)


_CODES = {
    400: "bad_request",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
}
