"""Sessions: what Slack shows at the foot of a thread, and its own stop button, drawn from state like a card.

A session says `processing` while a run of its thread works, `suspended` while all that is open waits for a person, and
`closed` when nothing is under way. It is the cheapest thing we say: one call at a time, never before its turn, and a
state that has passed meanwhile is not said any more. An app that is no agent, or a team without the feature, has no
sessions; then nothing is lost but the button, and we ask again later.
"""

import asyncio
import logging

from bot.delivery.duty import Duty
from bot.slack_errors import SlackError, SlackRefused, SlackRevoked
from core.errors import RetryableError
from core.record.sessions import Session
from core.store import sessions
from core.store.sessions import Due

log = logging.getLogger(__name__)

RENEW_MS = 50 * 60 * 1000
"""Slack lets `processing` run out after an hour, and its stop button with it."""
RETRY_MS = 24 * 3600 * 1000
"""How long a thread whose session Slack refused is left alone."""
NONE_S = 3600.0
"""How long we believe that there are no sessions."""

_COALESCE_S = 1.0
_LOOK_EVERY_S = 0.25
"""So that many wake-ups in a row do not each ask about every open thread."""
_PAUSE_S = 5.0
_CLOSE_WITHIN_S = 3.0


class Herald:
    """Sets the sessions of threads whose runs moved on, one after the other."""

    def __init__(self, duty: Duty) -> None:
        self._duty = duty
        self._desk = duty.desk
        self._round: asyncio.Task[None] | None = None
        self._call: asyncio.Task[None] | None = None
        """The part of a round that can be called off: asking Slack, never writing to the database."""
        self._quiet_until_s = 0.0
        """By the loop's clock."""
        self._closing = False

    async def tick(self) -> int:
        """Start a round if a session has something to say; how many were started."""
        under_way = self._round is not None and not self._round.done()
        if under_way or self._closing or asyncio.get_running_loop().time() < self._quiet_until_s:
            return 0
        self._be_quiet(_LOOK_EVERY_S)
        if await self._next() is None or not await self._duty.leads():
            return 0
        self._round = asyncio.create_task(self._say_all(), name="sessions")
        return 1

    async def close(self) -> None:
        """Stop; the next bot says what is left to say."""
        self._closing = True
        if self._call is not None:
            self._call.cancel()
        if self._round is not None:
            await asyncio.wait([self._round], timeout=_CLOSE_WITHIN_S)

    async def _next(self) -> Due | None:
        desk = self._desk
        now_ms = desk.clock.wall_ms()
        return await sessions.next_due(
            desk.database, desk.tenant, renew_before_ms=now_ms - RENEW_MS, retry_before_ms=now_ms - RETRY_MS
        )

    async def _say_all(self) -> None:
        """Go through what is due, each thread once: one that moves on meanwhile waits for the next round."""
        said: set[tuple[str, str]] = set()
        self._be_quiet(_COALESCE_S)
        try:
            while not self._closing and await self._duty.leads():
                due = await self._next()
                if due is None or (due.channel, due.thread_ts) in said or not await self._say(due):
                    return
                said.add((due.channel, due.thread_ts))
                self._be_quiet(_COALESCE_S)
        except Exception:
            log.exception("sessions were not set", extra={"action": "sessions_failed"})
            self._be_quiet(_PAUSE_S)

    async def _say(self, due: Due) -> bool:
        """Set one session; whether to go on with the next."""
        desk = self._desk
        shown: Session | None = due.wanted
        self._call = asyncio.create_task(desk.slack.set_session(due.channel, due.thread_ts, due.wanted))
        await asyncio.wait({self._call})
        if self._call.cancelled():
            return False
        goes_on = True
        match self._call.exception():
            case None:
                pass
            case SlackRevoked() if await self._duty.is_refused():
                return False
            case SlackError() as error if isinstance(error, RetryableError):
                self._be_quiet(error.retry_after_s or _PAUSE_S)
                return False
            case SlackRefused() | SlackRevoked() as error:
                # Slack has one word, `not_authorized`, for an app that is no agent and for a channel we are not in. The
                # thread is put aside, or it would be asked about for ever and stand for all the others.
                log.info("there are no sessions: %s", error, extra={"action": "no_sessions", "channel": due.channel})
                self._be_quiet(NONE_S)
                shown, goes_on = None, False
            case SlackError():
                shown = None  # the thread is gone
            case error:
                raise error
        await sessions.said(desk.database, due, shown, at_ms=desk.clock.wall_ms())
        return goes_on

    def _be_quiet(self, for_s: float) -> None:
        self._quiet_until_s = max(self._quiet_until_s, asyncio.get_running_loop().time() + for_s)
