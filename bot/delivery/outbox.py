"""The outbox's sender: durable things to say, each said once, in order within its lane.

Many lanes at once, one row per lane. What may have arrived is looked for before it is said again. Slack being away only
delays; a place that is gone is given up at once and the person is told in a direct message. What each kind of row says,
and where, is `delivery.saying`.
"""

import asyncio
import logging
from functools import partial

from bot.delivery.duty import Duty
from bot.delivery.places import NotYet
from bot.delivery.saying import TIDIES, TIDY_GIVE_UP_MS, Sayings, elsewhere, excuse, next_of
from bot.delivery.scribe import Scribe
from bot.slack_errors import (
    SlackAmbiguous,
    SlackGone,
    SlackMessageGone,
    SlackRateLimited,
    SlackRevoked,
    SlackUploadLost,
)
from core import metrics
from core.crashpoints import crashpoint
from core.errors import BanksmanError, RetryableError, TerminalError
from core.periodic import let_end
from core.record.changes import Insert, Update
from core.store import outbox
from core.store.outbox import Delivery

log = logging.getLogger(__name__)

LANES = 50
"""Lanes worked on at once."""

GIVE_UP_MS = 24 * 3600 * 1000
FILE_GIVE_UP_MS = 3600 * 1000
"""An ending stands behind its run's files, so they may not hold it up for long."""
PRIVATE_GIVE_UP_MS = 10 * 60 * 1000
"""A private sentence that late only confuses."""

UPLOADS = 3
"""How often a file is uploaded that Slack takes and then loses."""

_BACKOFF_MS = 1_000
_BACKOFF_CAP_MS = 60_000
_CLOSE_WITHIN_S = 3.0


class Sender:
    """Sends what the outbox holds."""

    def __init__(self, duty: Duty, scribe: Scribe) -> None:
        self._duty = duty
        self._desk = duty.desk
        self._sayings = Sayings(duty.desk, scribe)
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._closing = False

    async def tick(self) -> int:
        """Start sending in every idle lane with something due; how many lanes were started."""
        desk = self._desk
        lanes = await outbox.due_lanes(
            desk.database,
            desk.tenant,
            now_ms=desk.clock.wall_ms(),
            without=tuple(self._busy),
            limit=LANES - len(self._busy),
        )
        if not lanes or not await self._duty.leads():
            return 0
        for lane in lanes:
            task = asyncio.create_task(self._lane(lane), name=f"deliver-{lane}")
            self._busy[lane] = task
            task.add_done_callback(partial(self._idle, lane))
        return len(lanes)

    async def close(self) -> None:
        """Wait a moment for what is being sent; what is not sent then is looked for by the next bot."""
        self._closing = True
        await let_end(self._busy.values(), within_s=_CLOSE_WITHIN_S)

    def _idle(self, lane: str, task: asyncio.Task[None]) -> None:
        del self._busy[lane]
        if not task.cancelled() and task.exception() is not None:
            log.error("a lane failed", exc_info=task.exception(), extra={"action": "lane_failed", "lane": lane})

    async def _lane(self, lane: str) -> None:
        """Send a lane's rows one after another until one has to wait."""
        desk = self._desk
        while not self._closing:
            row = next_of(await outbox.open_in_lane(desk.database, desk.tenant, lane))
            if row is None or (row.attempts and row.due_at > desk.clock.wall_ms()) or not await self._send(row):
                return

    async def _send(self, row: Delivery) -> bool:
        """Try one row; `True` = the lane may go on."""
        try:
            result = await self._sayings.say(row)
        except (SlackGone, SlackMessageGone) as error:
            await self._give_up(row, error)
            return True
        except SlackRevoked as error:
            if not await self._duty.is_refused():
                await self._give_up(row, error)
                return True
            return False
        except NotYet:
            return False
        except RetryableError as error:
            return await self._later(row, error)
        except TerminalError as error:
            await self._give_up(row, error)
            return True
        except Exception:
            log.exception("a delivery failed", extra={"action": "delivery_failed", "key": row.dedupe_key})
            return await self._later(row, RetryableError("an internal error"))
        crashpoint("CP20")
        sent = outbox.mark(row, sent_at=self._desk.clock.wall_ms(), result=result)
        await self._desk.database.journal.record([sent])
        _count(row, "sent")
        return True

    async def _later(self, row: Delivery, error: BanksmanError) -> bool:
        """Try again with growing pauses, and give up when it would only confuse; `True` = the lane may go on."""
        now_ms = self._desk.clock.wall_ms()
        attempts = row.attempts + 1
        lost = isinstance(error, SlackUploadLost) and attempts >= UPLOADS
        if lost or now_ms - row.created_at > _patience_ms(row.kind):
            await self._give_up(row, error)
            return True
        pause_ms = min(_BACKOFF_CAP_MS, _BACKOFF_MS * 2 ** min(attempts - 1, 10))
        if isinstance(error, SlackRateLimited):
            pause_ms = int((error.retry_after_s or 1) * 1000)
        elif isinstance(error, SlackAmbiguous):
            pause_ms = _BACKOFF_MS
        log.warning("will be delivered later: %s", error, extra={"action": "delivery_later", "key": row.dedupe_key})
        waits = outbox.mark(row, attempts=attempts, due_at=now_ms + pause_ms, last_error=str(error))
        await self._desk.database.journal.record([waits])
        _count(row, "later")
        return False

    async def _give_up(self, row: Delivery, error: BanksmanError) -> None:
        """Deliver this row no more; tell the person somewhere else, or say out loud what is missing."""
        now_ms = self._desk.clock.wall_ms()
        log.error("cannot be delivered: %s", error, extra={"action": "delivery_dead", "key": row.dedupe_key})
        gone = isinstance(error, SlackGone | SlackMessageGone)
        instead: Insert | None = elsewhere(row, now_ms) if gone else None
        if instead is None:
            instead = excuse(row, error, now_ms)
        writes: list[Insert | Update] = [outbox.mark(row, dead_at=now_ms, last_error=str(error))]
        await self._desk.database.journal.record([*writes, *([] if instead is None else [instead])])
        _count(row, "dead")


def _count(row: Delivery, outcome: str) -> None:
    metrics.DELIVERIES.labels(metrics.delivery_kind(row.kind), outcome).inc()


def _patience_ms(kind: str) -> int:
    if kind in TIDIES:
        return TIDY_GIVE_UP_MS
    return {"slack.private": PRIVATE_GIVE_UP_MS, "slack.file": FILE_GIVE_UP_MS}.get(kind, GIVE_UP_MS)
