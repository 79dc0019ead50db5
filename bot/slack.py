"""The one client through which anything leaves for Slack.

It redacts, checks Slack's limits on shapes, keeps the rate limits, sends once, and answers with typed values or one
of the errors of `bot.slack_errors`. It decides nothing: what is posted, repeated or given up is the business of
`delivery` and the listeners.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from bot.blocks.bounds import FALLBACK_TEXT, problems, view_problems
from bot.blocks.elements import Message
from bot.blocks.text import cut, inert, one_line
from bot.delivery.limits import Limits, Priority
from bot.slack_call import TIMEOUT_S, Caller, Json, open_session, web_client
from bot.slack_errors import (
    SlackAmbiguous,
    SlackError,
    SlackMessageGone,
    SlackRefused,
    SlackUnavailable,
    SlackUploadLost,
)
from bot.slack_files import Hosts, answer_response_url, fetch_bytes, send_bytes
from bot.slack_streams import Streams
from bot.surface import METADATA_EVENT
from core.record.sessions import Session

NOW_OR_NEVER_S = 2.0
"""How long an answer to a click may wait for its turn: its trigger lives 3 s."""

_SESSION_WITHIN_S = 1.0
"""How long the word for a session may wait for its turn; by then it may be another word."""

_PAGE = 200
_MAX_PAGES = 10
_SHARE_CHECKS_S = (0.1, 0.2, 0.4, 0.8, 1.5, 3.0, 5.0)
"""Pauses between looks at a file that was just uploaded: Slack shares it some time after it says yes."""

Redact = Callable[[Any], Any]
"""JSON in, the same shape with every known secret replaced; raises when it cannot, and then nothing is sent."""


@dataclass(frozen=True)
class Me:
    """Who we are to Slack; payloads for anybody else are not ours."""

    app_id: str
    team: str
    enterprise: str | None
    user: str
    """Our bot's user id, as in `<@U…>`."""
    bot_id: str
    url: str
    """The team's address, for links."""


@dataclass(frozen=True)
class Posted:
    """A message that exists."""

    channel: str
    ts: str


@dataclass(frozen=True)
class Uploaded:
    """A file that was seen where it belongs."""

    file_id: str
    ts: str | None
    """Of the message that carries it, when Slack says so."""


@dataclass(frozen=True)
class SlackUser:
    """What Slack says about a user, as far as identity needs it."""

    id: str
    team: str
    enterprise: str | None
    name: str
    is_bot: bool
    deleted: bool
    is_guest: bool
    """Single- or multi-channel guest."""
    is_stranger: bool
    """From another organisation, seen through a shared channel."""


class SlackClient:
    """One team's Slack; made by `open_slack`.

    Args:
        call: Sends one Web API call.
        session: For bytes and response URLs.
        token: The bot token.
        api_url: Base URL of the Web API; its origin counts as Slack's.
        redact: Applied to everything people will read.
        sleep: Waits between looks at an uploaded file.
    """

    def __init__(
        self,
        call: Caller,
        session: aiohttp.ClientSession,
        *,
        token: str,
        api_url: str,
        redact: Redact,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._call = call
        self._session = session
        self._token = token
        self._hosts = Hosts(api_url)
        self._redact = redact
        self._sleep = sleep
        self._me: Me | None = None
        self._channel_names: dict[str, str] = {}

    @property
    def web(self) -> AsyncWebClient:
        """The SDK's client, for Bolt and Socket Mode; nothing is posted through it."""
        return self._call.web

    @property
    def limits(self) -> Limits:
        return self._call.limits

    @property
    def streams(self) -> Streams:
        """Messages that grow while they are read."""
        return Streams(self._call, self._redact)

    async def me(self) -> Me:
        """Say who the token belongs to; asked once."""
        if self._me is None:
            who = await self._call("auth.test", {}, priority=Priority.STOP)
            bot = await self._call("bots.info", {"bot": who["bot_id"]}, priority=Priority.STOP)
            self._me = Me(
                app_id=bot["bot"]["app_id"],
                team=who["team_id"],
                enterprise=who.get("enterprise_id"),
                user=who["user_id"],
                bot_id=who["bot_id"],
                url=who.get("url", ""),
            )
        return self._me

    async def post(
        self,
        channel: str,
        message: Message,
        *,
        thread_ts: str | None = None,
        dedupe_key: str,
        priority: Priority = Priority.ENDING,
    ) -> Posted:
        """Post a message that carries `dedupe_key`, so that `find_by_key` can tell whether it arrived.

        Raises:
            SlackAmbiguous: It may have been posted: `find_by_key` before posting again.
            SlackError: Any other; nothing was posted.
        """
        arguments = self._message(message, dedupe_key) | {
            "channel": channel,
            "thread_ts": thread_ts,
            "unfurl_links": False,
            "unfurl_media": False,
            "mrkdwn": False,
        }
        answer = await self._call("chat.postMessage", arguments, channel=channel, priority=priority)
        return Posted(answer["channel"], answer["ts"])

    async def find_by_key(
        self, channel: str, key: str, *, thread_ts: str | None, oldest: str | None = None
    ) -> str | None:
        """Look for a message of ours with this key.

        Args:
            channel: Where it was posted.
            key: The `dedupe_key` it was posted with.
            thread_ts: The thread it belongs to; `None` = the channel itself.
            oldest: Only look at messages after this timestamp.

        Returns:
            Its `ts`, or `None` when it is not there. At most 2,000 messages are looked at, newest first in a channel.
        """
        me = await self.me()
        pages = self.replies(channel, thread_ts, oldest=oldest) if thread_ts else self.history(channel, oldest=oldest)
        async for found in pages:
            metadata = found.get("metadata") or {}
            payload = metadata.get("event_payload") or {}
            ours = found.get("bot_id") == me.bot_id or found.get("app_id") == me.app_id
            if ours and metadata.get("event_type") == METADATA_EVENT and payload.get("key") == key:
                return str(found["ts"])
        return None

    async def update(
        self,
        channel: str,
        ts: str,
        message: Message,
        *,
        dedupe_key: str | None = None,
        priority: Priority = Priority.TICK,
    ) -> None:
        """Draw a message anew; doing so twice is harmless, so every `RetryableError` may be repeated.

        Without `dedupe_key` the message keeps the metadata, and so the key, it was posted with.

        Raises:
            SlackMessageGone: It was deleted: post a new one.
        """
        arguments = self._message(message, dedupe_key) | {"channel": channel, "ts": ts}
        if dedupe_key is None:
            arguments.pop("metadata", None)
        await self._call("chat.update", arguments, priority=priority)

    async def ephemeral(self, channel: str, user: str, message: Message, *, thread_ts: str | None = None) -> None:
        """Show a message to one person; now or never."""
        arguments = self._message(message, None) | {"channel": channel, "user": user, "thread_ts": thread_ts}
        arguments.pop("metadata", None)
        await self._call("chat.postEphemeral", arguments, priority=Priority.STOP, within_s=NOW_OR_NEVER_S)

    async def respond(self, response_url: str, message: Message, *, replace: bool = False) -> None:
        """Answer a command or click privately through its `response_url`; now or never."""
        body = self._message(message, None) | {"response_type": "ephemeral", "replace_original": replace}
        body.pop("metadata", None)
        await answer_response_url(self._session, self._hosts, response_url, body)

    async def scopes(self) -> frozenset[str]:
        """The scopes our token was granted."""
        return await self._call.granted_scopes()

    async def channel_name(self, channel: str) -> str:
        """A channel's name without `#`, empty if it has none; remembered for the life of the process.

        Names are looked up because the operator may write contracts by name; an id in the config wins over it.
        """
        if channel not in self._channel_names:
            answer = await self._call("conversations.info", {"channel": channel}, priority=Priority.STOP)
            self._channel_names[channel] = str(answer["channel"].get("name") or "")
        return self._channel_names[channel]

    async def dm_open(self, user: str) -> str:
        """Return the channel id of the direct conversation with a user."""
        answer = await self._call("conversations.open", {"users": user}, priority=Priority.ENDING)
        return str(answer["channel"]["id"])

    async def react(self, channel: str, ts: str, name: str) -> None:
        """Add a reaction; one that is already there is fine."""
        try:
            await self._call(
                "reactions.add", {"channel": channel, "timestamp": ts, "name": name}, priority=Priority.ENDING
            )
        except SlackRefused as refused:
            if refused.code != "already_reacted":
                raise

    async def set_session(self, channel: str, thread_ts: str, session: Session) -> None:
        """Say what the thread's agent session is; doing so twice is harmless.

        Raises:
            SlackRefused: Among others, this app or team has no sessions.
            SlackRateLimited: It is not its turn within a second; nothing was sent.
        """
        arguments = {"channel_id": channel, "thread_ts": thread_ts, "status": str(session)}
        await self._call(
            "agents.sessions.setStatus", arguments, priority=Priority.HEARTBEAT, within_s=_SESSION_WITHIN_S
        )

    async def open_view(self, trigger_id: str, view: Mapping[str, Any]) -> None:
        """Open a modal; now or never. Raises `SlackTooLate` when the trigger's 3 s are over."""
        arguments = {"trigger_id": trigger_id, "view": self._view(view)}
        await self._call("views.open", arguments, priority=Priority.STOP, within_s=NOW_OR_NEVER_S)

    async def update_view(self, view_id: str, view: Mapping[str, Any], *, hash_: str | None = None) -> None:
        """Draw an open modal anew; with its hash, only if nobody has drawn it since."""
        arguments = {"view_id": view_id, "view": self._view(view), "hash": hash_}
        await self._call("views.update", arguments, priority=Priority.STOP, within_s=NOW_OR_NEVER_S)

    async def permalink(self, channel: str, ts: str) -> str:
        """Return a message's permanent link."""
        answer = await self._call("chat.getPermalink", {"channel": channel, "message_ts": ts}, priority=Priority.ENDING)
        return str(answer["permalink"])

    async def publish_home(self, user: str, view: Mapping[str, Any]) -> None:
        """Draw a person's App Home."""
        await self._call("views.publish", {"user_id": user, "view": self._view(view)}, priority=Priority.TICK)

    async def upload(
        self,
        channel: str,
        name: str,
        content: AsyncIterable[bytes],
        size: int,
        *,
        thread_ts: str | None = None,
        comment: str | None = None,
        on_file_id: Callable[[str], Awaitable[None]] | None = None,
        priority: Priority = Priority.ENDING,
    ) -> Uploaded:
        """Put a file into a thread and make sure that it shows.

        Args:
            channel: Where it goes.
            name: Display name; foreign text.
            content: The bytes.
            size: Their number, which must be right.
            thread_ts: Thread it belongs to.
            comment: A sentence above it; foreign text.
            on_file_id: Told the file's id before anybody can see the file; store it, ask `file_shared` after a crash.
            priority: For the limits.

        Raises:
            SlackUploadLost: Slack took it, and it never showed.
            SlackUnavailable: Nothing is visible; starting over is harmless.
        """
        shown = one_line(str(self._redact(name)), 200) or "file"
        asked = {"filename": shown, "length": size}
        try:
            place = await self._call("files.getUploadURLExternal", asked, priority=priority)
        except SlackAmbiguous as lost:  # an address nobody used yet is nothing
            raise SlackUnavailable(str(lost)) from lost
        file_id = str(place["file_id"])
        await send_bytes(self._session, self._hosts, str(place["upload_url"]), content, size)
        if on_file_id is not None:
            await on_file_id(file_id)
        arguments = {
            "files": [{"id": file_id, "title": shown}],
            "channel_id": channel,
            "thread_ts": thread_ts,
            "initial_comment": inert(str(self._redact(comment)), FALLBACK_TEXT) if comment else None,
        }
        with suppress(SlackAmbiguous):  # the look below decides
            await self._call("files.completeUploadExternal", arguments, channel=channel, priority=priority)
        for pause_s in (*_SHARE_CHECKS_S, None):
            if (uploaded := await self.file_shared(file_id, channel, thread_ts, size=size)) is not None:
                return uploaded
            if pause_s is not None:
                await self._sleep(pause_s)
        raise SlackUploadLost(file_id)

    async def file_shared(
        self, file_id: str, channel: str, thread_ts: str | None, *, size: int | None = None
    ) -> Uploaded | None:
        """Whether a file shows in this thread (or channel), whole when `size` is given; `None` = not (yet)."""
        try:
            file: Mapping[str, Any] = await self.file_info(file_id)
        except SlackMessageGone:
            return None
        if size is not None and file.get("size", size) != size:
            return None
        for shares in (file.get("shares") or {}).values():
            for share in shares.get(channel) or ():
                if thread_ts is None or thread_ts in {share.get("thread_ts"), share.get("ts")}:
                    return Uploaded(file_id, share.get("ts"))
        if thread_ts is None and channel in {*file.get("channels", ()), *file.get("groups", ()), *file.get("ims", ())}:
            return Uploaded(file_id, None)
        return None

    def download(self, url: str, *, cap_bytes: int) -> AsyncIterator[bytes]:
        """Stream the bytes of a file's `url_private_download`; see `slack_files.fetch_bytes` for what it refuses."""
        return fetch_bytes(self._session, self._hosts, self._token, url, cap_bytes=cap_bytes)

    async def file_info(self, file_id: str) -> Json:
        """Return what Slack knows about a file: name, size, mimetype, `url_private_download`."""
        answer = await self._call("files.info", {"file": file_id}, priority=Priority.ENDING)
        return dict(answer["file"])

    def replies(self, channel: str, thread_ts: str, *, oldest: str | None = None) -> AsyncIterator[Json]:
        """Iterate over a thread, root first; at most 2,000 messages."""
        return self._pages("conversations.replies", {"channel": channel, "ts": thread_ts, "oldest": oldest})

    def history(self, channel: str, *, oldest: str | None = None, latest: str | None = None) -> AsyncIterator[Json]:
        """Iterate over a channel's own messages, newest first; at most 2,000."""
        return self._pages("conversations.history", {"channel": channel, "oldest": oldest, "latest": latest})

    async def user(self, user: str) -> SlackUser:
        """Ask who a user is; not cached here."""
        answer = await self._call("users.info", {"user": user}, priority=Priority.STOP)
        found: Mapping[str, Any] = answer["user"]
        enterprise = found.get("enterprise_user") or {}
        return SlackUser(
            id=str(found["id"]),
            team=str(found.get("team_id", "")),
            enterprise=enterprise.get("enterprise_id"),
            name=str(found.get("name", "")),
            is_bot=bool(found.get("is_bot")) or bool(found.get("is_workflow_bot")) or found["id"] == "USLACKBOT",
            deleted=bool(found.get("deleted")),
            is_guest=bool(found.get("is_restricted")) or bool(found.get("is_ultra_restricted")),
            is_stranger=bool(found.get("is_stranger")),
        )

    async def usergroup_members(self, usergroup: str) -> tuple[str, ...]:
        """Return the user ids of a user group."""
        answer = await self._call("usergroups.users.list", {"usergroup": usergroup}, priority=Priority.STOP)
        return tuple(answer["users"])

    async def _pages(self, method: str, arguments: Mapping[str, Any]) -> AsyncIterator[Json]:
        cursor: str | None = None
        for _ in range(_MAX_PAGES):
            page = {**arguments, "limit": _PAGE, "cursor": cursor, "include_all_metadata": True}
            answer = await self._call(method, page, priority=Priority.ENDING)
            for found in answer.get("messages", ()):
                yield found
            cursor = (answer.get("response_metadata") or {}).get("next_cursor") or None
            if cursor is None:
                return

    def _message(self, message: Message, dedupe_key: str | None) -> Json:
        text, blocks = self._redact(message.text), self._redact(list(message.blocks))
        if wrong := problems(blocks):
            raise SlackRefused("unsendable_message", "; ".join(wrong))
        body: Json = {"text": cut(text, FALLBACK_TEXT), "blocks": blocks, "parse": "none", "link_names": False}
        metadata = message.metadata
        if dedupe_key is not None or metadata is not None:
            known = metadata or {"event_type": METADATA_EVENT, "event_payload": {}}
            payload = self._redact(dict(known["event_payload"]))
            if dedupe_key is not None:
                payload["key"] = dedupe_key
            body["metadata"] = {"event_type": known["event_type"], "event_payload": payload}
        return body

    def _view(self, view: Mapping[str, Any]) -> Json:
        clean: Json = self._redact(dict(view))
        if wrong := view_problems(clean):
            raise SlackRefused("unsendable_view", "; ".join(wrong))
        return clean


@asynccontextmanager
async def open_slack(
    token: str, api_url: str, *, redact: Redact, limits: Limits | None = None, timeout_s: float = TIMEOUT_S
) -> AsyncIterator[SlackClient]:
    """Open the client of one team and close its connections at the end.

    Args:
        token: Bot token, `xoxb-…`.
        api_url: Base URL of the Web API.
        redact: `Redactor.redact_json`.
        limits: Shared when several clients speak with one token; its own otherwise.
        timeout_s: For one call, from asking to the end of the answer.
    """
    session = open_session(timeout_s)
    try:
        call = Caller(web_client(token, api_url, session), limits or Limits())
        yield SlackClient(call, session, token=token, api_url=api_url, redact=redact)
    finally:
        await session.close()


__all__ = [
    "Me",
    "Posted",
    "Redact",
    "SlackClient",
    "SlackError",
    "SlackUser",
    "Uploaded",
    "open_slack",
]
