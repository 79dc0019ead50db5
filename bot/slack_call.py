"""One call to Slack's Web API: what may be called, the limits before it, and what its answer means.

Calls are sent once; who repeats one, and after which look, is the caller's decision. What the calls mean together is in
`bot.slack`.
"""

import logging
import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.delivery.limits import Limits, LimitsBusy, Priority
from bot.slack_errors import (
    SlackAmbiguous,
    SlackError,
    SlackRateLimited,
    SlackUnavailable,
    from_code,
    from_status,
    retry_after_s,
)
from core import metrics

TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 5.0
_KEEPALIVE_S = 15.0
"""Shorter than Slack's, so that we do not write into a connection the other side is closing."""

_log = logging.getLogger(__name__)

Json = dict[str, Any]
"""A JSON object as Slack sends or takes it."""


@dataclass(frozen=True)
class Method:
    """A Web API method we use."""

    scopes: tuple[str, ...]
    """Bot scopes it needs; the manifest declares exactly these and the events' own."""
    writes: bool = False
    """Whether it changes anything, so that a lost answer is ambiguous."""
    form: bool = False
    """Takes its arguments as form fields only."""


_HISTORY = ("channels:history", "groups:history", "im:history")

METHODS: Mapping[str, Method] = {
    "auth.test": Method(()),
    "bots.info": Method(("users:read",)),
    "chat.postMessage": Method(("chat:write",), writes=True),
    "chat.update": Method(("chat:write",), writes=True),
    "chat.startStream": Method(("chat:write",), writes=True),
    "chat.appendStream": Method(("chat:write",), writes=True),
    "chat.stopStream": Method(("chat:write",), writes=True),
    "chat.getPermalink": Method(()),
    "chat.postEphemeral": Method(("chat:write",), writes=True),
    "conversations.open": Method(("im:write",), writes=True),
    "conversations.info": Method(("channels:read", "groups:read", "im:read")),
    "conversations.history": Method(_HISTORY),
    "conversations.replies": Method(_HISTORY),
    "reactions.add": Method(("reactions:write",), writes=True),
    "files.getUploadURLExternal": Method(("files:write",), writes=True, form=True),
    "files.completeUploadExternal": Method(("files:write",), writes=True),
    "files.info": Method(("files:read",)),
    "views.open": Method((), writes=True),
    "views.update": Method((), writes=True),
    "views.publish": Method((), writes=True),
    "users.info": Method(("users:read",)),
    "usergroups.users.list": Method(("usergroups:read",)),
    "agents.sessions.setStatus": Method(("chat:write",), writes=True),
}
"""Every method `bot.slack` and `bot.slack_streams` call; calling another one is a programming error."""


@dataclass
class _Progress:
    connected: bool = False


_progress: ContextVar[_Progress | None] = ContextVar("slack_call_progress", default=None)


async def _on_connected(
    _session: aiohttp.ClientSession,
    _context: SimpleNamespace,
    _params: aiohttp.TraceConnectionCreateEndParams | aiohttp.TraceConnectionReuseconnParams,
) -> None:
    if (progress := _progress.get()) is not None:
        progress.connected = True


def open_session(timeout_s: float = TIMEOUT_S) -> aiohttp.ClientSession:
    """Make the HTTP session calls go through; it notes when a call has a connection, and so may have been heard."""
    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(_on_connected)
    trace.on_connection_reuseconn.append(_on_connected)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(keepalive_timeout=_KEEPALIVE_S),
        timeout=aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S),
        trace_configs=[trace],
        cookie_jar=aiohttp.DummyCookieJar(),
    )


def web_client(token: str, api_url: str, session: aiohttp.ClientSession) -> AsyncWebClient:
    """Make the SDK's client the way we need it: never retrying by itself, and never through a proxy to this machine."""
    web = AsyncWebClient(token=token, base_url=api_url, timeout=int(TIMEOUT_S), session=session, retry_handlers=[])
    if urlsplit(api_url).hostname in {"127.0.0.1", "localhost", "::1"}:
        web.proxy = None  # the SDK takes HTTP_PROXY from the environment whatever the address
    return web


@dataclass(frozen=True)
class Caller:
    """Sends calls of one team, within its limits."""

    web: AsyncWebClient
    limits: Limits

    async def __call__(
        self,
        method: str,
        arguments: Mapping[str, Any],
        *,
        channel: str | None = None,
        priority: Priority,
        within_s: float | None = None,
    ) -> Json:
        """Send one call and return Slack's answer.

        Args:
            method: One of `METHODS`.
            arguments: JSON values; `None` ones are left out.
            channel: For the limits: where it posts.
            priority: For the limits.
            within_s: For the limits: how long the caller can wait for its turn.

        Raises:
            SlackError: One of the classes of `bot.slack_errors`.
        """
        kind = METHODS[method]
        asked_s = time.monotonic()
        try:
            await self.limits.acquire(method, channel, priority, within_s=within_s)
        except LimitsBusy as busy:
            metrics.SLACK_CALLS.labels(method, "no-turn").inc()
            raise SlackRateLimited(busy.retry_after_s) from None
        metrics.SLACK_WAIT_S.labels(priority.name.lower()).observe(time.monotonic() - asked_s)
        present = {name: value for name, value in arguments.items() if value is not None}
        progress = _Progress()
        token = _progress.set(progress)
        try:
            answer = await self._send(method, kind, present)
        except SlackApiError as error:
            problem = _from_answer(error, writes=kind.writes)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            problem = _from_failure(method, error, maybe_done=kind.writes and progress.connected)
        else:
            metrics.SLACK_CALLS.labels(method, "ok").inc()
            return answer
        finally:
            _progress.reset(token)
        metrics.SLACK_CALLS.labels(method, outcome_of(problem)).inc()
        if isinstance(problem, SlackRateLimited):
            self.limits.pause(method, channel, problem.wait_s)
        _log.info(
            "%s failed: %s",
            method,
            problem,
            extra={"action": "slack_call_failed", "method": method, "channel": channel},
        )
        raise problem

    async def granted_scopes(self) -> frozenset[str]:
        """What the token may do, as Slack says beside every answer.

        Raises:
            SlackError: One of the classes of `bot.slack_errors`.
        """
        try:
            response = await self.web.api_call("auth.test", http_verb="GET")
        except SlackApiError as error:
            raise _from_answer(error, writes=False) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _from_failure("auth.test", error, maybe_done=False) from None
        listed = {name.lower(): value for name, value in response.headers.items()}.get("x-oauth-scopes", "")
        return frozenset(scope.strip() for scope in str(listed).split(",") if scope.strip())

    async def _send(self, method: str, kind: Method, arguments: Mapping[str, Any]) -> Json:
        try:
            if kind.writes and not kind.form:
                response = await self.web.api_call(method, json=dict(arguments))
            elif kind.form:
                response = await self.web.api_call(method, params=dict(arguments))
            else:
                response = await self.web.api_call(method, http_verb="GET", params=dict(arguments))
        except AttributeError:
            # The SDK expects an object; a proxy's plain text or a bare list breaks it inside.
            raise aiohttp.ClientPayloadError("the answer is not a JSON object") from None
        if not isinstance(response.data, dict):
            raise aiohttp.ClientPayloadError("the answer is not a JSON object")
        return response.data


def _from_answer(error: SlackApiError, *, writes: bool) -> SlackError:
    response: Any = error.response  # the SDK's response, or aiohttp's own where the body was not JSON
    data = getattr(response, "data", None)
    status = int(getattr(response, "status_code", 0) or getattr(response, "status", 0))
    headers: Mapping[str, str] = getattr(response, "headers", {})
    if isinstance(data, dict) and isinstance(code := data.get("error"), str):
        return from_code(
            code, writes=writes, wait_s=retry_after_s(headers) if status == 429 else None, detail=_said(data)
        )
    if status == 200:
        text = "Slack's answer could not be read"
        return SlackAmbiguous(text) if writes else SlackUnavailable(text)
    return from_status(status, headers, writes=writes)


def _from_failure(method: str, error: Exception, *, maybe_done: bool) -> SlackError:
    text = f"{method}: {type(error).__name__}" + (f": {error}" if str(error) else "")
    return SlackAmbiguous(text) if maybe_done else SlackUnavailable(text)


def outcome_of(problem: SlackError) -> str:
    """A word for what came of a call, for the metrics."""
    match problem:
        case SlackRateLimited():
            return "rate-limited"
        case SlackUnavailable():
            return "unavailable"
        case SlackAmbiguous():
            return "ambiguous"
        case _:
            return "refused"


def _said(data: Mapping[str, Any]) -> str:
    parts = [f"{name}={data[name]}" for name in ("needed", "provided") if name in data]
    about = data.get("response_metadata")
    if isinstance(about, Mapping):
        parts += [str(line) for line in about.get("messages") or ()]
    return "; ".join(parts)[:500]
