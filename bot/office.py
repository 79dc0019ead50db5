"""The desk and what runs beside the listeners: one value they are all handed."""

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from bot import context
from bot.blocks.elements import Message
from bot.blocks.refusals import sentence
from bot.desk import Desk
from bot.messages import Asked
from bot.slack_errors import SlackError, SlackGone
from bot.surface import ACK_REACTION
from core.errors import BanksmanError, StoreTrouble
from core.periodic import let_end

log = logging.getLogger(__name__)

_CLOSE_WITHIN_S = 3.0
_STORE_PAUSE_S = 10.0
"""A full disk has room again when somebody makes some; a file is not fetched every second until then."""
_REMEMBERED = 1_000


@dataclass
class Office:
    """A desk with its background work; every task it starts is owned and ended with it."""

    desk: Desk
    wake_delivery: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when there may be something to send or to draw."""
    in_hand: set[str] = field(default_factory=set)
    """Keys of stored deliveries and ids of created runs this process is dealing with."""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _excused: set[str] = field(default_factory=set)

    def later(self, work: Coroutine[Any, Any, object]) -> None:
        """Run something after the acknowledgement; what must not be lost has a row, and its own retry."""

        async def run() -> None:
            try:
                await work
            except SlackError as error:
                log.warning("not done: %s", error, extra={"action": "later_failed"})
            except Exception:
                log.exception("background work failed", extra={"action": "later_failed"})
            self.wake_delivery.set()

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def accepted(self, run_id: str, channel: str, ts: str) -> None:
        """A run exists: say so within a second, and load its context."""
        self.wake_delivery.set()
        self.later(self.desk.slack.react(channel, ts, ACK_REACTION))
        self.load(run_id)

    def excuse(self, asked: Asked, message: Message) -> None:
        """Say privately why nothing follows from a request; once, however often Slack brings it."""
        if asked.source_key not in self._excused:
            if len(self._excused) >= _REMEMBERED:
                self._excused.clear()
            self._excused.add(asked.source_key)
            self.later(self.tell(asked.channel, asked.user, message, thread_ts=asked.thread_ts))

    def load(self, run_id: str) -> None:
        """Load a created run's context, unless that is under way already."""
        if run_id not in self.in_hand:
            self.in_hand.add(run_id)
            self.later(self._load(run_id))

    async def _load(self, run_id: str) -> None:
        try:
            await context.load(self.desk, run_id)
        except StoreTrouble as error:
            log.error("a run's files wait: %s", error, extra={"action": "context_unstored", "run": run_id})
            await asyncio.sleep(_STORE_PAUSE_S)
        except BanksmanError as error:
            log.warning("a run's context waits: %s", error, extra={"action": "context_failed", "run": run_id})
        finally:
            self.in_hand.discard(run_id)

    async def tell(self, channel: str | None, user: str, message: Message, *, thread_ts: str | None = None) -> None:
        """A private sentence, now or never; in a direct message where it cannot be shown in the channel."""
        slack = self.desk.slack
        try:
            if channel is not None:
                try:
                    await slack.ephemeral(channel, user, message, thread_ts=thread_ts)
                    return
                except SlackGone:
                    log.info("a private sentence goes to a direct message", extra={"action": "private_moved"})
            await slack.post(await slack.dm_open(user), message, dedupe_key=self.desk.ids.new("tell"))
        except SlackError as error:
            log.warning("a private sentence was lost: %s", error, extra={"action": "private_lost"})

    async def show(self, trigger_id: str, view: dict[str, Any], *, channel: str | None, user: str) -> None:
        """Open a modal, now or never; the person is told when it was never."""
        try:
            await self.desk.slack.open_view(trigger_id, view)
        except SlackError as error:
            log.warning("a modal was not opened: %s", error, extra={"action": "view_lost"})
            await self.tell(channel, user, sentence(f"I could not open that. {error.user_text}"))

    async def close(self) -> None:
        """Let background work end, for a while; what is cut off has a row and is picked up again."""
        await let_end(self._tasks, within_s=_CLOSE_WITHIN_S)
