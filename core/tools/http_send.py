"""One HTTP exchange, in the child that acts outside: sent once, with an honest word on how it ended.

What it says about the end is what can be known: before the first byte was sent nothing can have happened; afterwards
only an answer tells. How bytes come and go is in `http_wire`, how an answer is shown in `http`; nothing here prints,
logs or keeps a secret.
"""

import base64
import email.utils
import http.client
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import BanksmanError, RetryableError, TerminalError
from core.tools import http_url
from core.tools.http_wire import MAX_BODY_BYTES, BrokenOff, Deadline, NotSent, Request, Response, exchanged
from core.tools.reach import Bound, Reach

Answer = dict[str, Any]

MAX_REDIRECTS = 5
BODY_FILE = "response.body"

_LONGEST_WAIT_S = 24 * 3600.0
_READING = ("GET", "HEAD")
_REDIRECTS = (301, 302, 303, 307, 308)
_AMBIGUOUS = (408, 409, 425)
_HELPED_BY_WAITING = (408, 425, 500, 502, 503, 504)
_KEPT_ELSEWHERE = ("accept", "accept-language", "user-agent")
"""Headers that another host may see too."""


def perform(args: Mapping[str, Any], secrets: Mapping[str, str], idempotency_key: str, timeout_s: float) -> Answer:
    """Send one request and say how it ended; blocks, at most `timeout_s`.

    Args:
        args: `request` is what was approved: `method`, `url`, `headers`, `body` (text or null). `reach` is the
            operator's `network`, `bounds` are pairs of whose word narrows it and the places it names; `credential` the
            `host`, `header`, `scheme` and `user` of the secret, or null; `into` a directory of ours for the body; `ca`
            a file of certificates to trust instead of the system's, or null.
        secrets: The value of the credential, as `credential`.

    Returns:
        `status`, `error`, `retry_after_s`, and in `out` the answer: `status`, `headers` (pairs), `url`, `bytes`,
        `truncated`, `file` (where its body is; null without one).
    """
    deadline = Deadline(time.monotonic() + timeout_s)
    asked = args["request"]
    method: str = asked["method"]
    reading = method in _READING
    try:
        address = http_url.read(asked["url"])
        headers = {"user-agent": "Banksman", "accept": "*/*", **asked["headers"]}
        if not reading:
            headers["idempotency-key"] = idempotency_key
        body = None if asked["body"] is None else asked["body"].encode()
        request = _with_credential(Request(method, address, headers, body), args["credential"], secrets)
        bounds = tuple(Bound(whose, tuple(network)) for whose, network in args["bounds"])
        request, response = _followed(request, Reach(tuple(args["reach"]), bounds=bounds), args["ca"], deadline)
    except RetryableError as error:
        return _ended("failed-safe", error.user_text)
    except BanksmanError as error:
        return _ended("failed", error.user_text)
    except NotSent as error:
        return _ended("failed-safe", str(error))
    except BrokenOff as error:
        if not reading:
            return _ended("unknown", f"{error} Whether it was carried out is not known.")
        return _ended("failed-safe" if error.again else "failed", str(error))
    return _judged(request, response, Path(args["into"]))


def look(args: Mapping[str, Any], secrets: Mapping[str, str], idempotency_key: str, timeout_s: float) -> Answer:
    """Send one request that only reads, as `perform` does; nothing else is sent."""
    if args["request"]["method"] not in _READING:
        return _ended("failed", "A look only reads.")
    return perform(args, secrets, idempotency_key, timeout_s)


def _with_credential(request: Request, credential: Mapping[str, Any] | None, secrets: Mapping[str, str]) -> Request:
    if credential is None:
        return request
    value, scheme = secrets["credential"], credential["scheme"]
    if not value.isascii() or not value.isprintable():
        raise TerminalError(f"The secret for {credential['host']} holds a character that no header can carry.")
    if scheme.lower() == "basic" and credential["user"] is not None:
        value = base64.b64encode(f"{credential['user']}:{value}".encode()).decode()
    headers = {**request.headers, credential["header"].lower(): f"{scheme} {value}".strip()}
    return Request(request.method, request.address, headers, request.body)


def _followed(request: Request, reach: Reach, ca: str | None, deadline: Deadline) -> tuple[Request, Response]:
    """Send a request; where it only reads, go where the answer sends it to, each time as if it were the first."""
    for _ in range(MAX_REDIRECTS + 1):
        response = exchanged(request, reach, ca, deadline)
        location = response.header("location")
        if response.status not in _REDIRECTS or location is None or request.method not in _READING:
            return request, response
        source = request.address
        try:
            target = http_url.redirected(source, location)
        except TerminalError as error:
            raise TerminalError(f"{source.place} sends on to an address that is not used: {error.user_text}") from None
        if source.scheme == "https" and target.scheme != "https":
            raise TerminalError(f"{source.place} sends on from https to {target.url}, which is not followed.")
        headers = dict(request.headers)
        if target.origin != source.origin:
            # Whoever is asked instead gets neither the secret nor what was meant for the first, now or later.
            headers = {name: value for name, value in headers.items() if name in _KEPT_ELSEWHERE}
        request = Request(request.method, target, headers, None)
    raise TerminalError(f"It was sent on more than {MAX_REDIRECTS} times, the last time to {request.address.place}.")


def _judged(request: Request, response: Response, into: Path) -> Answer:
    """What an answer says about the effect."""
    out = {
        "status": response.status,
        "headers": [[name, value] for name, value in response.headers],
        "url": request.address.url,
        "bytes": min(len(response.body), MAX_BODY_BYTES),
        "truncated": response.truncated,
        "file": None,
    }
    if response.body:
        kept = into / BODY_FILE
        kept.write_bytes(response.body)
        out["file"] = str(kept)
    status, reading = response.status, request.method in _READING
    said = f"{request.address.place} answered {status}{_phrase(status)}."
    wait_s = _wait_s(response.header("retry-after"))
    if 200 <= status < 300:
        return _ended("succeeded", None, out)
    if status == 429:
        return _ended("failed-safe", f"{said} It takes no more requests for now.", out, wait_s)
    if 300 <= status < 400:
        return _ended("failed", _not_followed(request, response, said), out)
    if status >= 500 or status in _AMBIGUOUS:
        if not reading:
            return _ended("unknown", f"{said} Whether it was carried out is not known.", out, wait_s)
        return _ended("failed-safe" if status in _HELPED_BY_WAITING else "failed", said, out, wait_s)
    return _ended("failed", said, out)


def _not_followed(request: Request, response: Response, said: str) -> str:
    location = response.header("location")
    if response.status not in _REDIRECTS or location is None:
        return said
    try:
        where = http_url.redirected(request.address, location).url
    except TerminalError:
        where = "an address that is not used"
    return f"{said} It sends on to {where}, which is not followed for {request.method}; name the final address."


def _phrase(status: int) -> str:
    phrase = http.client.responses.get(status)
    return f" {phrase}" if phrase else ""


def _wait_s(text: str | None) -> float | None:
    """How long a Retry-After header asks to wait: seconds, or a date."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), _LONGEST_WAIT_S)
    try:
        left_s = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
    return min(max(left_s, 0.0), _LONGEST_WAIT_S)


def _ended(
    status: str, error: str | None, out: Mapping[str, Any] | None = None, retry_after_s: float | None = None
) -> Answer:
    return {"status": status, "out": dict(out or {}), "error": error, "retry_after_s": retry_after_s}
