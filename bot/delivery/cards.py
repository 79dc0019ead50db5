"""Cards: drawn from state, coalesced, never edited from memory.

A card is not a row of the outbox: whenever its run is ahead of what it shows it is drawn anew, and a run that works in
silence for a minute gets a line that says it is still there. A card somebody deleted is posted again; one whose channel
is gone continues in the requester's direct messages.
"""

import asyncio
import logging
from functools import partial

from bot.blocks.run_card import HEARTBEAT_AFTER_MS, run_card
from bot.delivery.duty import Duty
from bot.delivery.limits import Priority
from bot.slack_errors import SlackError, SlackGone, SlackMessageGone, SlackRevoked
from core.errors import TerminalError
from core.record.states import TERMINAL, RunState
from core.runs import reading
from core.runs.draft import delivery
from core.runs.views import RunView
from core.store import outbox
from core.store.outbox import CardRow

log = logging.getLogger(__name__)

_PAUSE_S = 2.0
_CLOSE_WITHIN_S = 3.0
_COALESCE_MS = 1_000
"""A card that only ticks is drawn at most this often; the state it then shows is the newest."""

_WAITING = TERMINAL | {RunState.BLOCKED, RunState.WAITING_FOR_APPROVAL}


def urgency(card: CardRow) -> Priority:
    """Who goes first when Slack's limits are short."""
    if card.stopped and card.lags:
        return Priority.STOP
    if not card.lags:
        return Priority.HEARTBEAT
    return Priority.ENDING if card.state in _WAITING else Priority.TICK


class Painter:
    """Draws cards anew when their run moved on, coalesced: what is shown is always the newest state."""

    def __init__(self, duty: Duty) -> None:
        self._duty = duty
        self._desk = duty.desk
        self._painting: dict[str, tuple[Priority, asyncio.Task[None]]] = {}
        self._pauses: dict[str, float] = {}
        """Cards Slack did not take just now, and until when they are left alone, by the loop's clock."""
        self._calls: dict[str, asyncio.Task[None]] = {}
        """The part of a painting that can be called off: asking Slack, never writing to the database."""

    async def tick(self) -> int:
        """Start drawing every card that lags behind; how many were started."""
        desk = self._desk
        now_ms = desk.clock.wall_ms()
        silent = now_ms - HEARTBEAT_AFTER_MS
        stale = await outbox.stale_cards(desk.database, desk.tenant, silent_since_ms=silent)
        due = [card for card in stale if self._is_due(card, now_ms)]
        if not due or not await self._duty.leads():
            return 0
        for card in due:
            self._start(card)
        return len(due)

    async def close(self) -> None:
        """Stop drawing; the next bot draws what lags."""
        tasks = [task for _, task in self._painting.values()]
        for call in self._calls.values():
            call.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_CLOSE_WITHIN_S)

    def _is_due(self, card: CardRow, now_ms: int) -> bool:
        wanted = urgency(card)
        if self._pauses.get(card.run_id, 0.0) > asyncio.get_running_loop().time():
            return False
        self._pauses.pop(card.run_id, None)
        if card.run_id in self._painting:
            # A stop or an ending does not wait behind a tick that waits for its turn.
            return wanted < self._painting[card.run_id][0]
        return wanted < Priority.TICK or now_ms - card.shown_at >= _COALESCE_MS

    def _start(self, card: CardRow) -> None:
        overtaken = self._calls.pop(card.run_id, None)
        if overtaken is not None:
            overtaken.cancel()
        priority = urgency(card)
        work = self._paint(card, priority, twice=card.run_id in self._painting)
        task = asyncio.create_task(work, name=f"card-{card.run_id}")
        self._painting[card.run_id] = priority, task
        task.add_done_callback(partial(self._painted, card.run_id))

    async def _paint(self, card: CardRow, priority: Priority, *, twice: bool) -> None:
        """Draw one card.

        Args:
            twice: A drawing that may already be on its way was overtaken and could arrive last: draw once more.
        """
        desk = self._desk
        view = await reading.view(desk.database, desk.tenant, card.run_id)
        if view is None or self._painting[card.run_id][1] is not asyncio.current_task():
            return
        now_ms = desk.clock.wall_ms()
        update = desk.slack.update(card.channel, card.ts, run_card(view, now_ms=now_ms), priority=priority)
        call = self._calls[card.run_id] = asyncio.create_task(update)
        try:
            await asyncio.wait({call})
            if call.cancelled():
                return
            call.result()
        except (SlackGone, SlackMessageGone) as error:
            log.warning("a card is gone: %s", error, extra={"action": "card_gone", "run": card.run_id})
            await self._replace(card, view, elsewhere=isinstance(error, SlackGone))
            return
        except SlackRevoked:
            await self._duty.is_refused()
            return
        except SlackError as error:
            log.warning("a card could not be drawn: %s", error, extra={"action": "card_later", "run": card.run_id})
            if not isinstance(error, TerminalError):
                # The card still lags, so a later pass draws whatever is true by then.
                self._pauses[card.run_id] = asyncio.get_running_loop().time() + _PAUSE_S
                return
            # Slack will not take this drawing however often it is sent; the run's next state is another one.
        finally:
            if self._calls.get(card.run_id) is call:
                del self._calls[card.run_id]
        if not twice:
            await outbox.card_shown(desk.database, card, version=view.version, at_ms=now_ms)

    async def _replace(self, card: CardRow, view: RunView, *, elsewhere: bool) -> None:
        """Post the card of a run that goes on anew: where it was, or where its requester can be reached."""
        desk = self._desk
        now_ms = desk.clock.wall_ms()
        moved = elsewhere or card.channel != view.channel
        is_last_place = elsewhere and card.channel != view.channel
        if view.state not in TERMINAL and view.channel is not None and not is_last_place:
            key = f"card:{view.id}:{card.ts}"
            place = (None, f"dm:{view.id}", None) if moved else (view.team, view.channel, view.thread_ts)
            body = {"dm": True} if moved else {}
            row = delivery(desk.tenant, view.id, *place, "slack.card", key, body, now_ms)
            await desk.database.journal.record([row])
        await outbox.card_gone(desk.database, card, at_ms=now_ms)

    def _painted(self, run_id: str, task: asyncio.Task[None]) -> None:
        if run_id in self._painting and self._painting[run_id][1] is task:
            del self._painting[run_id]
        if not task.cancelled() and task.exception() is not None:
            log.error(
                "drawing a card failed", exc_info=task.exception(), extra={"action": "card_failed", "run": run_id}
            )
