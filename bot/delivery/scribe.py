"""Lets people read along while a model writes, and sees to it that in the end the text stands there whole.

What is heard over Redis is only what to show until then: pieces that come twice are dropped, and what was lost leaves a
gap until the turn is over. Whether it is over, and what it said, is read from the database, so a bot that starts finds
what an earlier one left open. A text that is written faster than people could look at gets no stream of its own.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from bot.delivery.duty import Duty
from bot.delivery.pages import Pages, Thread, Ways
from bot.desk import Desk
from bot.slack_errors import SlackError, SlackGone, SlackMessageGone, SlackRevoked
from core.deltas import MOST_CHARACTERS, Delta
from core.errors import ArtifactCorrupt, BanksmanError
from core.periodic import let_end
from core.planners.dialogue import MAX_ANSWER_BYTES, Answer
from core.record.freezes import covering
from core.record.states import RunState
from core.runs.turns import MODEL
from core.store import freezes, streams
from core.store.streams import Scene

log = logging.getLogger(__name__)

TICK_S = 0.25
BEGIN_AFTER_S = 1.0
"""How long a text has to have been growing before people are shown it."""

_LOOK_S = 1.0
"""How often what is open is compared with the turns."""
_PACE_S = 0.8
"""Between two pieces of a stream, for each text that grows: Slack takes 100 a minute of a whole team."""
_REDRAW_S = 3.0
"""The same where messages are redrawn: of those there are 50, and cards need some."""
_PAUSE_S = 5.0
_FORGET_S = 120.0
_MOST_VOICES = 200
_CLOSE_WITHIN_S = 3.0
_MOST_BYTES = 3 * MAX_ANSWER_BYTES


@dataclass
class _Voice:
    """What has been heard of one turn."""

    begins: int
    """How many characters came before `text`."""
    text: str
    since_s: float
    heard_s: float
    due_s: float
    """When it may be shown next; all by the loop's clock."""
    shown: int = 0
    """Up to where the turn's text was shown."""
    is_over: bool = False
    """Nothing of it is shown any more before the answer is there."""

    @property
    def end(self) -> int:
        return self.begins + len(self.text)


class Scribe:
    """Shows what models write, one message or more for each turn.

    Args:
        wake: Called when a text stands there whole: an ending may have waited for it.
    """

    def __init__(self, duty: Duty, wake: Callable[[], None]) -> None:
        self._duty = duty
        self._wake = wake
        self._ways = Ways()
        self._voices: dict[tuple[str, int], _Voice] = {}
        self._pages: dict[tuple[str, int], Pages] = {}
        self._work: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._look_s = 0.0
        self._pauses: dict[tuple[str, int], float] = {}
        self._closing = False

    @property
    def _desk(self) -> Desk:
        return self._duty.desk

    def hear(self, delta: Delta) -> None:
        """Take a piece of what a turn says."""
        if delta.tenant != self._desk.tenant or self._closing:
            return
        key, now_s = (delta.run_id, delta.turn), asyncio.get_running_loop().time()
        voice = self._voices.get(key)
        if voice is None:
            if len(self._voices) >= _MOST_VOICES:
                return
            voice = self._voices[key] = _Voice(delta.at, "", now_s, now_s, now_s + BEGIN_AFTER_S)
        voice.heard_s = now_s
        if delta.at > voice.end:
            voice.begins, voice.text = delta.at, delta.text
        elif delta.at + len(delta.text) > voice.end and voice.end < MOST_CHARACTERS:
            voice.text += delta.text[voice.end - delta.at :]

    def look(self) -> None:
        """Something moved on: compare what is open with the turns at the next tick."""
        self._look_s = 0.0

    async def tick(self) -> int:
        """Start showing what has grown, and making whole what is over; how many turns were started on."""
        now_s = asyncio.get_running_loop().time()
        self._forget(now_s)
        grown = [key for key, voice in self._voices.items() if self._is_due(key, voice, now_s)]
        looks = now_s >= self._look_s
        if self._closing or not (grown or looks):
            return 0
        over = await self._left_open() if looks else []
        if looks:
            self._look_s = now_s + _LOOK_S
        if not (grown or over):
            return 0
        if not await self._duty.may_speak() or not await self._duty.leads():
            self._stand_by(now_s)
            return 0
        pace_s = _PACE_S if self._ways.has_streams(self._desk.clock.wall_ms()) else _REDRAW_S
        for key in grown:
            self._voices[key].due_s = now_s + pace_s * len(grown)
        started = [key for key in dict.fromkeys([*over, *grown]) if key not in self._work]
        for key in started:
            self._start(key, self._attend(key, grows=key in grown))
        return len(started)

    def is_busy(self, run_id: str) -> bool:
        """Whether something of this run is being shown at this moment."""
        return any(key[0] == run_id for key in self._work)

    async def tell(self, thread: Thread, run_id: str, turn: int) -> None:
        """Say an answer nobody could read along with, whole.

        Raises:
            SlackError: not now; what was said until then is remembered.
        """
        key = (run_id, turn)
        while (working := self._work.get(key)) is not None:
            await asyncio.wait({working})
        await asyncio.shield(self._start(key, self._tell(thread, key)))

    async def text_of(self, scene: Scene) -> str | None:
        """What a turn's answer says; `None` = there is none, or it cannot be read."""
        if scene.answer_sha256 is None:
            return None
        try:
            return Answer.from_bytes(await self._desk.objects.read(scene.answer_sha256, _MOST_BYTES)).text
        except (ArtifactCorrupt, ValueError, KeyError, TypeError) as error:
            log.error("an answer cannot be read: %s", error, extra={"action": "answer_unreadable", "run": scene.run.id})
            return None

    async def close(self) -> None:
        """Stop; the next bot makes whole what is open."""
        self._closing = True
        await let_end(self._work.values(), within_s=_CLOSE_WITHIN_S)

    def _start(self, key: tuple[str, int], work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Let one thing at a time be done about a turn."""

        def ended(task: asyncio.Task[None]) -> None:
            del self._work[key]
            if not task.cancelled():
                task.exception()  # whoever waits has it, too

        task = self._work[key] = asyncio.create_task(work, name=f"stream-{key[0]}")
        task.add_done_callback(ended)
        return task

    async def _tell(self, thread: Thread, key: tuple[str, int]) -> None:
        scene = await streams.scene(self._desk.database, self._desk.tenant, *key)
        if scene is not None:
            await Pages(self._desk, self._ways, *key).finish(await self.text_of(scene), thread)

    def _stand_by(self, now_s: float) -> None:
        """Another bot speaks: what we know of its messages is true no longer, and asking again can wait."""
        self._pages = {key: pages for key, pages in self._pages.items() if key in self._work}
        for voice in self._voices.values():
            voice.due_s = max(voice.due_s, now_s + _LOOK_S)

    def _is_due(self, key: tuple[str, int], voice: _Voice, now_s: float) -> bool:
        grew = not voice.is_over and voice.shown < voice.end
        return grew and now_s >= voice.due_s and key not in self._work and now_s >= self._pauses.get(key, 0.0)

    async def _left_open(self) -> list[tuple[str, int]]:
        """Turns with open messages that may be over."""
        now_s = asyncio.get_running_loop().time()
        found = await streams.open_turns(self._desk.database, self._desk.tenant)
        return [key for key in found if now_s >= self._pauses.get(key, 0.0)]

    def _forget(self, now_s: float) -> None:
        for key in [key for key, voice in self._voices.items() if now_s - voice.heard_s > _FORGET_S]:
            if key not in self._work:
                del self._voices[key]
        for key in [key for key, until_s in self._pauses.items() if now_s > until_s]:
            del self._pauses[key]

    async def _attend(self, key: tuple[str, int], *, grows: bool) -> None:
        """Show what there is of one turn, or make it whole."""
        try:
            await self._show(key, grows=grows)
        except (SlackGone, SlackMessageGone) as error:
            log.info("nobody can read along: %s", error, extra={"action": "stream_gone", "run": key[0]})
            self._give_up(key)
        except SlackRevoked:
            await self._duty.is_refused()
        except SlackError as error:
            log.info("a text waits: %s", error, extra={"action": "stream_later", "run": key[0]})
            self._pause(key, getattr(error, "retry_after_s", None) or _PAUSE_S)
        except BanksmanError as error:
            log.error("a text cannot be shown: %s", error, extra={"action": "stream_unreadable", "run": key[0]})
            self._pause(key, _FORGET_S)
        except Exception:
            log.exception("a text was not shown", extra={"action": "stream_failed", "run": key[0]})
            self._pause(key, _PAUSE_S)

    def _give_up(self, key: tuple[str, int]) -> None:
        if (voice := self._voices.get(key)) is not None:
            voice.is_over = True

    def _pause(self, key: tuple[str, int], for_s: float) -> None:
        self._pauses[key] = asyncio.get_running_loop().time() + for_s

    async def _show(self, key: tuple[str, int], *, grows: bool) -> None:
        desk, voice = self._desk, self._voices.get(key)
        scene = await streams.scene(desk.database, desk.tenant, *key)
        pages = self._pages.setdefault(key, Pages(desk, self._ways, *key))
        thread = None if scene is None else _thread(scene)
        if scene is None or thread is None or not scene.is_written:
            self._give_up(key)
            text = None if scene is None else await self.text_of(scene)
            await pages.finish(text, thread if await self._has_any(key) else None)
            del self._pages[key]
            self._wake()
            return
        if await self._stands_still(scene):
            self._give_up(key)
            await pages.pause()
            return
        await pages.retire()
        if grows and voice is not None and not voice.is_over and voice.text.strip():
            end = voice.end
            await pages.grow(thread, voice.begins, voice.text)
            voice.shown = end

    async def _has_any(self, key: tuple[str, int]) -> bool:
        return bool(await streams.parts(self._desk.database, self._desk.tenant, *key))

    async def _stands_still(self, scene: Scene) -> bool:
        """Whether a freeze covers the run, or it is blocked."""
        found = await freezes.open_ones(self._desk.database, self._desk.tenant)
        return scene.run.run_state is RunState.BLOCKED or bool(covering(found, scene.run, {MODEL}))


def _thread(scene: Scene) -> Thread | None:
    run = scene.run
    if run.channel is None or run.thread_ts is None:
        return None
    return Thread(run.channel, run.thread_ts, run.requester_slack)
