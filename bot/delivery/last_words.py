"""Where people read the last answer of a model: in its stream, in messages of its own, or in the ending that quotes it.

In one of them only, and whole.
"""

from bot.blocks.summary import OUTCOME_CHARACTERS
from bot.delivery.pages import Thread
from bot.delivery.places import NotYet, Place
from bot.delivery.scribe import Scribe
from bot.desk import Desk
from core.runs.views import RunView
from core.store import streams
from core.store.outbox import Delivery

WITHIN_MS = 300_000
"""How long an ending waits for its answer to stand above it; then it quotes it, and people may read it twice."""


class LastWords:
    """Sees to it that an answer is there before the ending is."""

    def __init__(self, desk: Desk, scribe: Scribe) -> None:
        self._desk = desk
        self._scribe = scribe

    async def said(self, row: Delivery, view: RunView, place: Place) -> str | None:
        """What an ending still has to quote of the outcome, because the rest stands above; `None` = all of it.

        Raises:
            NotYet: the answer is being made whole.
            SlackError: a long answer could not be said just now.
        """
        desk = self._desk
        last = await streams.last_answer(desk.database, desk.tenant, view.id)
        if last is None or row.body.get("dm"):
            return None
        await self._wait(row, view)
        scene = await streams.scene(desk.database, desk.tenant, view.id, last[0])
        text = ((await self._scribe.text_of(scene) if scene is not None else None) or "").strip()
        if not text or not (view.outcome or "").startswith(text):
            return None  # it ended otherwise than with these words
        parts = await streams.parts(desk.database, desk.tenant, view.id, last[0])
        if not parts and len(text) > OUTCOME_CHARACTERS and place.thread_ts is not None:
            await self._scribe.tell(Thread(place.channel, place.thread_ts, view.requester_slack), view.id, last[0])
            parts = await streams.parts(desk.database, desk.tenant, view.id, last[0])
        if not parts or any(part.gone or part.closed_at is None for part in parts):
            return None
        return (view.outcome or "").removeprefix(text).strip()

    async def _wait(self, row: Delivery, view: RunView) -> None:
        desk = self._desk
        is_open = await streams.open_turns(desk.database, desk.tenant, view.id)
        if (is_open or self._scribe.is_busy(view.id)) and desk.clock.wall_ms() - row.created_at < WITHIN_MS:
            raise NotYet("its answer is being made whole")
