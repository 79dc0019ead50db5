"""The messages one turn of a model is read in: begun, grown, followed by the next, and in the end made whole.

A row is written before a message is, so that a crash leaves something to look for. While a text grows nothing of this
has to succeed; in the end each message shows exactly its part of the stored answer, whatever was lost on the way.
"""

import logging
from dataclasses import dataclass, replace

from bot.blocks import answer
from bot.blocks.answer import markdown
from bot.delivery.limits import Priority
from bot.desk import Desk
from bot.slack_errors import SlackAmbiguous, SlackError, SlackGone, SlackMessageGone, SlackRefused
from bot.slack_streams import LIFE_MS, NOT_STREAMING
from core.store import streams
from core.store.streams import StreamRow

log = logging.getLogger(__name__)

BROKEN_OFF = "\n\n_It broke off here._"

NONE_MS = 3_600_000
"""How long we believe that there are no streams."""

MOST_WHILE_WRITTEN = 8
"""Messages a text may take while it grows; the others come when it is there."""

_CLOCKS_APART_S = 600


class Ways:
    """Whether Slack has streams for us, as far as we know."""

    def __init__(self) -> None:
        self._none_until_ms = 0

    def has_streams(self, now_ms: int) -> bool:
        return now_ms >= self._none_until_ms

    def has_none(self, now_ms: int) -> None:
        """Slack refused one."""
        self._none_until_ms = now_ms + NONE_MS


@dataclass
class _Page:
    """A message, and what of the text is in it."""

    row: StreamRow
    said: str = ""
    """What we have sent."""
    is_sure: bool = False
    """Whether exactly that is there."""
    is_left: bool = False
    """Nothing is added to it any more."""

    @property
    def end(self) -> int:
        return self.row.begins + len(self.said)


@dataclass(frozen=True)
class Thread:
    """Where a turn is read, and by whom."""

    channel: str
    thread_ts: str
    reader: str | None
    """Slack user for whom it is written."""


class Pages:
    """The messages of one turn; used by one caller at a time."""

    def __init__(self, desk: Desk, ways: Ways, run_id: str, turn: int) -> None:
        self._desk = desk
        self._ways = ways
        self._run_id, self._turn = run_id, turn
        self._pages: list[_Page] | None = None

    async def grow(self, thread: Thread, begins: int, text: str) -> None:
        """Show what has been written so far.

        Args:
            begins: How many characters of the turn came before `text`, which may have been lost.

        Raises:
            SlackError: Not now, or not at all; what was shown until then is remembered.
        """
        pages = await self._known()
        last = pages[-1] if pages else None
        if last is not None and not last.said and begins <= last.row.begins:
            return  # an earlier bot has begun with it, and nobody knows how much is there
        if last is not None and begins < last.end:
            begins, text = last.end, text[last.end - begins :]
        if last is not None and (begins > last.end or not self._takes_more(last)):
            # What was lost in between would be missed in the middle of a message.
            if text:
                await self._leave(last)
            last = None
        while text:
            if last is None:
                if len(pages) >= MOST_WHILE_WRITTEN:
                    return
                size = answer.fits(text)
                last = await self._open(thread, begins, text[:size])
            else:
                size = answer.fits(last.said + text) - len(last.said)
                if size <= 0:
                    await self._leave(last)
                    last = None
                    continue
                await self._add(last, text[:size])
            begins, text = begins + size, text[size:]

    async def pause(self) -> None:
        """Hold no stream open; what was begun is made whole in the end."""
        for page in await self._known():
            await self._leave(page)

    async def retire(self) -> None:
        """Stop what Slack would soon end by itself."""
        for page in await self._known():
            if not self._is_young(page):
                await self._leave(page)

    async def finish(self, text: str | None, thread: Thread | None) -> None:
        """Make every message show its part for good.

        Args:
            text: The whole answer; `None` = there is none, so what was begun breaks off.
            thread: Where to say what does not fit into the messages there are; `None` = nowhere.

        Raises:
            SlackError: Not now; done again, nothing is said twice.
        """
        pages = await self._known()
        there = len(pages)
        parts = [] if text is None else answer.parts(text, [page.row.begins for page in pages])
        for at, page in enumerate(pages):
            await self._settle(page, None if text is None else (parts[at] if at < len(parts) else ""))
        begins = sum(len(part) for part in parts[:there])
        for part in parts[there:] if thread is not None else ():
            assert thread is not None
            page = _Page(await self._begun(thread, begins, native=False))
            pages.append(page)
            await self._post(page, part, Priority.ENDING)
            await self._note(page, closed_at=self._desk.clock.wall_ms())
            begins += len(part)

    async def _known(self) -> list[_Page]:
        """The messages there are; those an earlier bot may have posted are looked for."""
        desk = self._desk
        if self._pages is None:
            rows = await streams.parts(desk.database, desk.tenant, self._run_id, self._turn)
            self._pages = [_Page(row, is_left=True) for row in rows]
        for page in [page for page in self._pages if page.row.ts is None]:
            found = await self._looked_for(page.row)
            if found is None:
                await streams.forget(desk.database, page.row)
                self._pages.remove(page)
            else:
                await self._note(page, ts=found)
                page.is_sure, page.is_left = False, not page.said
        return self._pages

    async def _looked_for(self, row: StreamRow) -> str | None:
        """A message that was begun by nobody knows whom."""
        slack = self._desk.slack
        oldest = f"{row.opened_at / 1000 - _CLOCKS_APART_S:.6f}"
        try:
            if not row.native:
                return await slack.find_by_key(row.channel, _key(row), thread_ts=row.thread_ts, oldest=oldest)
            me = await slack.me()
            desk = self._desk
            known = await streams.in_thread(desk.database, desk.tenant, row.channel, row.thread_ts)
            async for said in slack.replies(row.channel, row.thread_ts, oldest=oldest):
                # Everything else of ours has a key, or is a file.
                ours = said.get("bot_id") == me.bot_id or said.get("app_id") == me.app_id
                if ours and not said.get("metadata") and not said.get("files") and said["ts"] not in known:
                    return str(said["ts"])
        except (SlackGone, SlackMessageGone):
            return None
        return None

    def _takes_more(self, page: _Page) -> bool:
        return not page.is_left and self._is_young(page)

    def _is_young(self, page: _Page) -> bool:
        return not page.row.native or self._desk.clock.wall_ms() - page.row.opened_at < LIFE_MS

    async def _open(self, thread: Thread, begins: int, text: str) -> _Page:
        desk = self._desk
        now_ms = desk.clock.wall_ms()
        native = thread.reader is not None and self._ways.has_streams(now_ms)
        page = _Page(await self._begun(thread, begins, native=native))
        pages = self._pages
        assert pages is not None
        pages.append(page)
        try:
            if native and thread.reader is not None:
                try:
                    ts = await desk.slack.streams.start(
                        thread.channel, thread.thread_ts, markdown(text), user=thread.reader, team=desk.me.team
                    )
                    await self._note(page, ts=ts)
                    page.said, page.is_sure = text, True
                    return page
                except SlackRefused as error:
                    log.info("there are no streams: %s", error, extra={"action": "no_streams"})
                    self._ways.has_none(now_ms)
                    await self._note(page, native=False)
            await self._post(page, text, Priority.TICK)
        except SlackAmbiguous:
            page.said = text  # if it is there at all; the next one looks
            raise
        except SlackError:
            pages.remove(page)
            await streams.forget(desk.database, page.row)
            raise
        return page

    async def _begun(self, thread: Thread, begins: int, *, native: bool) -> StreamRow:
        desk, pages = self._desk, self._pages
        part = 1 + max((page.row.part for page in pages or ()), default=0)
        now_ms = desk.clock.wall_ms()
        row = StreamRow(
            desk.tenant, self._run_id, self._turn, part, thread.channel, thread.thread_ts, begins, native, now_ms
        )
        await streams.begin(desk.database, row)
        return row

    async def _post(self, page: _Page, text: str, priority: Priority) -> None:
        row = page.row
        posted = await self._desk.slack.post(
            row.channel, answer.answer(text), thread_ts=row.thread_ts, dedupe_key=_key(row), priority=priority
        )
        await self._note(page, ts=posted.ts)
        page.said, page.is_sure = text, True

    async def _add(self, page: _Page, text: str) -> None:
        row, slack = page.row, self._desk.slack
        assert row.ts is not None
        whole = page.said + text
        try:
            if row.native:
                # What is added looks as it does in the whole.
                await slack.streams.append(row.channel, row.ts, markdown(whole)[len(markdown(page.said)) :])
            else:
                await slack.update(row.channel, row.ts, answer.answer(whole))
                page.is_sure = True
        except SlackAmbiguous:
            page.is_sure = False
        except SlackRefused as error:
            page.is_left = True
            if error.code == NOT_STREAMING:
                await self._note(page, native=False)
            raise
        page.said = whole

    async def _leave(self, page: _Page) -> None:
        """Add nothing more to a message for now."""
        page.is_left = True
        if page.row.native and page.row.closed_at is None:
            await self._stop(page)

    async def _stop(self, page: _Page, text: str = "") -> None:
        """Stop a stream; one that is open no more is fine, but has not taken `text`."""
        row = page.row
        assert row.ts is not None
        try:
            await self._desk.slack.streams.stop(row.channel, row.ts, text)
        except (SlackRefused, SlackAmbiguous) as error:
            log.info("a stream was not stopped by us: %s", error, extra={"action": "stream_unsure", "run": row.run_id})
            page.is_sure = page.is_sure and not text
        await self._note(page, native=False)

    async def _settle(self, page: _Page, wanted: str | None) -> None:
        """Make a message show its part for good; `None` = what it shows breaks off."""
        row = page.row
        if row.closed_at is not None:
            return
        assert row.ts is not None
        if wanted is None and page.is_sure:
            wanted = page.said + BROKEN_OFF
        try:
            if row.native:
                goes_on = wanted is not None and page.is_sure and wanted.startswith(page.said)
                rest = "" if wanted is None or not goes_on else markdown(wanted)[len(markdown(page.said)) :]
                await self._stop(page, rest)
                page.said = page.said if wanted is None or not goes_on else wanted
            if wanted is not None and not (page.is_sure and page.said == wanted):
                await self._desk.slack.update(row.channel, row.ts, answer.answer(wanted), priority=Priority.ENDING)
        except (SlackGone, SlackMessageGone):
            await self._note(page, gone=True)
        await self._note(page, closed_at=self._desk.clock.wall_ms())

    async def _note(self, page: _Page, **values: object) -> None:
        page.row = replace(page.row, **values)  # type: ignore[arg-type]  # names and types are those of the row
        stored = {name: int(value) if isinstance(value, bool) else value for name, value in values.items()}
        await streams.change(self._desk.database, page.row, stored)


def _key(row: StreamRow) -> str:
    return f"stream:{row.run_id}:{row.turn}:{row.part}"
