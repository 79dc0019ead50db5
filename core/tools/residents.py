"""Programs that stay with a run between its calls: as long as one worker has the run in hand, and no longer.

A slice has its own. What stays carries the label of the call that started it, with the run and the fence of the slice,
so whoever stops the run or takes it over ends it like a call. It is spoken to over a channel of its own, a line a
request; it answers in lines, the last of them an object. Whatever does not answer in time, or breaks, is ended with
everything it started: what it does beyond its answer nobody would know. The next request starts another.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import socket
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from core.execution.base import ProcessResult, discard_files

log = logging.getLogger(__name__)

MOST = 4
"""Programs of one run that stay at the same time: the one that was asked longest ago makes room."""

STAYS_S = 24 * 3600.0
"""The bound of what has none of its own: a slice is over long before."""

_ANSWER_BYTES = 16 << 20
"""All that is heard of one answer; what says more is ended."""
_LEAVE_S = 2.0
"""How long a program may take leave of what it speaks to, before it is ended."""

OVER = '{"over": true'
"""How an answer begins after which its program cannot be asked anything more. Nobody else's words can stand there."""

Start = Callable[[Path, socket.socket, asyncio.Event], Awaitable[ProcessResult]]
"""Runs the program, given a directory of its own, the channel it is spoken to over, and what ends it."""


class CannotBegin(Exception):
    """There is no place for a program; nothing was started. The message says why."""

    @classmethod
    def of(cls, error: OSError) -> CannotBegin:
        return cls(f"there is no room to start it: {error.strerror}")


@dataclass(frozen=True)
class Heard:
    """What came of one request."""

    said: str
    """Every line of it; the last one is its answer, if it gave one."""
    result: ProcessResult | None
    """How the program ended; `None` = it is still there, which only a program that has answered is."""


class Residents:
    """What stays with one run.

    Args:
        scratch: An existing directory only the platform can write.
    """

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._here: dict[str, _Resident] = {}
        self._lost: set[str] = set()

    @property
    def any(self) -> bool:
        """Whether anything stays just now."""
        return any(not resident.is_over for resident in self._here.values())

    def has_lost(self, who: str) -> bool:
        """Whether a program that was there was gone, or went without an answer, when it was asked last."""
        return who in self._lost

    async def ask(
        self, who: str, start: Start, request: bytes, *, call_id: str, timeout_s: float, kill: asyncio.Event
    ) -> Heard:
        """Ask a program one thing, after starting it if it is not there.

        Args:
            who: What the program is; another configuration of it is another program.
            request: One line, without its end.
            call_id: Whose call this is.
            timeout_s: For all of it.
            kill: As in `ToolContext`.

        Raises:
            CannotBegin: Nothing was started.
        """
        gone = [name for name, each in self._here.items() if each.is_over]
        await _forgotten([self._here.pop(name) for name in gone], at_once=True)
        self._lost.discard(who)
        was_there = who in self._here
        if not was_there:
            while len(self._here) >= MOST:
                await _forgotten([self._here.pop(next(iter(self._here)))], at_once=False)
            self._here[who] = await self._begun(start, call_id)
        resident = self._here[who] = self._here.pop(who)
        try:
            said = await resident.asked(request, timeout_s, kill)
        except BaseException:
            del self._here[who]
            await asyncio.shield(resident.end(at_once=True))
            raise
        if said.whole and not said.over:
            return Heard(said.text, None)
        del self._here[who]
        result = await resident.end(at_once=said.late or kill.is_set())
        # What it had said by then counts, whether or not anybody was listening: that something had left, above all.
        text = said.text if said.whole else said.text + resident.last_words
        if was_there and not (said.whole or said.late or kill.is_set()):
            self._lost.add(who)
        if said.whole:
            result = replace(result, ended="exited", limit=None)
        elif kill.is_set():
            result = replace(result, ended="killed")
        elif said.late:
            limit = f"It ran for more than {timeout_s:.0f} s and was stopped."
            result = replace(result, ended="timed-out", limit=limit)
        return Heard(text, result)

    async def end(self, *, at_once: bool) -> int:
        """End all of them; returns when nothing is left.

        Args:
            at_once: Without leaving them time to take leave.

        Returns:
            How many processes had to be ended.
        """
        here, self._here = list(self._here.values()), {}
        return await _forgotten(here, at_once=at_once)

    async def _begun(self, start: Start, call_id: str) -> _Resident:
        # Named so that tidying sees whose it is, and not after any that a worker which died has left of the same call.
        try:
            directory = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix=f"{call_id}-stays-", dir=self._scratch))
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise CannotBegin.of(error) from error
        try:
            reader, writer = await asyncio.open_connection(sock=ours, limit=_ANSWER_BYTES)
        except BaseException:
            ours.close()
            theirs.close()
            raise
        stop = asyncio.Event()
        running = asyncio.ensure_future(start(directory, theirs, stop))
        # A program that was refused never took it.
        running.add_done_callback(lambda _: theirs.close())
        return _Resident(directory, reader, writer, stop, running)


async def _forgotten(residents: list[_Resident], *, at_once: bool) -> int:
    """End programs nobody waits for, however they ended; how many processes had to be ended."""
    results = await asyncio.gather(*(each.end(at_once=at_once) for each in residents), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            log.error("a program that stayed did not end well", exc_info=result, extra={"action": "resident_end"})
    return sum(result.processes_ended for result in results if isinstance(result, ProcessResult))


@dataclass(frozen=True)
class _Said:
    """What was said to a request."""

    text: str
    whole: bool
    """Whether it ends with an answer."""
    over: bool = False
    """Whether the program says that it cannot go on."""
    late: bool = False


class _Resident:
    """One program."""

    def __init__(
        self,
        directory: Path,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        stop: asyncio.Event,
        running: asyncio.Future[ProcessResult],
    ) -> None:
        self._directory = directory
        self._reader = reader
        self._writer = writer
        self._stop = stop
        self._running = running
        self.last_words = ""
        """What it had said when it ended, and nobody had listened to."""

    @property
    def is_over(self) -> bool:
        return self._running.done()

    async def asked(self, request: bytes, timeout_s: float, kill: asyncio.Event) -> _Said:
        lines: list[str] = []
        hearing = asyncio.ensure_future(self._hear(request, lines))
        killing = asyncio.ensure_future(kill.wait())
        try:
            done, _ = await asyncio.wait({hearing, killing}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            killing.cancel()
            hearing.cancel()
            await asyncio.wait({hearing})  # whoever reads on after it has to be alone
        if hearing not in done:
            return _Said("".join(lines), whole=False, late=not kill.is_set())
        return hearing.result()

    async def _hear(self, request: bytes, lines: list[str]) -> _Said:
        try:
            self._writer.write(request + b"\n")
            await self._writer.drain()
            room = _ANSWER_BYTES
            while line := await self._reader.readline():
                if (room := room - len(line)) < 0:
                    break
                lines.append(line.decode(errors="replace"))
                if lines[-1].startswith("{") and lines[-1].endswith("\n"):
                    return _Said("".join(lines), whole=True, over=lines[-1].startswith(OVER))
        except (OSError, ValueError):  # it is gone, or says more than anybody would read
            pass
        return _Said("".join(lines), whole=False)

    async def end(self, *, at_once: bool = False) -> ProcessResult:
        """End it with everything it started; how it ended."""
        try:
            if not at_once:
                with contextlib.suppress(OSError):
                    self._writer.write_eof()  # it reads to an end, and leaves
                await asyncio.wait({self._running}, timeout=_LEAVE_S)
        finally:
            self._stop.set()
        try:
            result = await self._running
            await asyncio.to_thread(discard_files, result)  # what counts was said over the channel
            return replace(result, stdout_file=None, stderr_file=None)
        finally:
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(_LEAVE_S):  # nobody is left to say more
                    self.last_words = (await self._rest()).decode(errors="replace")
            self._writer.close()
            await asyncio.to_thread(shutil.rmtree, self._directory, ignore_errors=True)

    async def _rest(self) -> bytes:
        """What is left to hear, as far as anybody would read it."""
        heard = b""
        while (room := _ANSWER_BYTES - len(heard)) and (more := await self._reader.read(room)):
            heard += more
        return heard
