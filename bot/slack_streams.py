"""Messages that grow while they are read: Slack's own streams.

A stream is open until it is stopped, and no longer than some five minutes: then Slack takes nothing more for it. When
to begin and to end one, and what to do where there are none, is decided in `delivery`.
https://docs.slack.dev/reference/methods/chat.startStream
"""

from collections.abc import Callable
from typing import Any

from bot.blocks.bounds import MARKDOWN_TEXT
from bot.blocks.text import cut
from bot.delivery.limits import Priority
from bot.slack_call import Caller

NOT_STREAMING = "message_not_in_streaming_state"
"""What Slack calls a stream that was stopped or has expired."""

LIFE_MS = 240_000
"""How long we go on with one stream; Slack ends it after some five minutes."""

_WITHIN_S = 0.5
"""How long a piece may wait for its turn; by then there is more to say."""


class Streams:
    """Begins, grows and ends streams of one team.

    Args:
        call: Sends one Web API call.
        redact: Applied to everything people will read.
    """

    def __init__(self, call: Caller, redact: Callable[[Any], Any]) -> None:
        self._call = call
        self._redact = redact

    async def start(self, channel: str, thread_ts: str, text: str, *, user: str, team: str) -> str:
        """Begin one in a thread; its `ts`.

        Args:
            text: What it begins with, as Markdown.
            user, team: Who it is for; Slack wants to know in channels.

        Raises:
            SlackRefused: Among others, this app or team has no streams.
            SlackRateLimited: It is not its turn soon; nothing was sent.
            SlackAmbiguous: It may be there.
        """
        arguments = {
            "channel": channel,
            "thread_ts": thread_ts,
            "recipient_user_id": user,
            "recipient_team_id": team,
            "markdown_text": self._clean(text),
        }
        answer = await self._call("chat.startStream", arguments, priority=Priority.TICK, within_s=_WITHIN_S)
        return str(answer["ts"])

    async def append(self, channel: str, ts: str, text: str) -> None:
        """Add to one.

        Raises:
            SlackRefused: With the code `NOT_STREAMING` when it is open no more.
            SlackRateLimited: It is not its turn soon; nothing was sent.
            SlackAmbiguous: It may have been added.
        """
        arguments = {"channel": channel, "ts": ts, "markdown_text": self._clean(text)}
        await self._call("chat.appendStream", arguments, priority=Priority.TICK, within_s=_WITHIN_S)

    async def stop(self, channel: str, ts: str, text: str = "") -> None:
        """End one, with a last piece of text or none; raises as `append` does."""
        arguments = {"channel": channel, "ts": ts, "markdown_text": self._clean(text) or None}
        await self._call("chat.stopStream", arguments, priority=Priority.ENDING)

    def _clean(self, text: str) -> str:
        return cut(str(self._redact(text)), MARKDOWN_TEXT)
