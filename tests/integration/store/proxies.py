"""A wire in front of PostgreSQL that can be cut: before a message reaches the server, after it, before the reply."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

from sqlalchemy import make_url

_SOCKET = ".s.PGSQL.5432"
_CHUNK_BYTES = 1 << 16


When = Literal["before-sending", "after-sending", "before-the-reply"]
"""Before the message reaches the server; as soon as it is sent; once the server has begun to answer."""


@dataclass
class Cut:
    """One planned cut: when a message with these bytes passes."""

    marker: bytes
    when: When
    times: int = 1
    happened: int = 0


@dataclass
class Wire:
    """A unix socket that forwards to a server's; give its `url` to whoever should suffer."""

    url: str
    _server: Path
    _directory: Path
    cuts: list[Cut] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @classmethod
    @contextlib.asynccontextmanager
    async def to(cls, url: str) -> AsyncIterator[Self]:
        """Stand between a test and the database at `url`."""
        directory = Path(tempfile.mkdtemp(prefix="wire-"))  # a socket's path has at most 107 bytes
        parsed = make_url(url)
        server = Path(str(parsed.query["host"])) / _SOCKET
        wire = cls(parsed.set(query={"host": str(directory)}).render_as_string(), server, directory)
        listening = await asyncio.start_unix_server(wire._serve, directory / _SOCKET)
        try:
            yield wire
        finally:
            listening.close()
            for task in wire._tasks:
                task.cancel()
            await asyncio.gather(*wire._tasks, return_exceptions=True)
            shutil.rmtree(directory)

    def cut(self, marker: str, when: When, *, times: int = 1) -> Cut:
        """Plan to break the connection on which a message with `marker` in it passes next."""
        planned = Cut(marker.encode(), when, times)
        self.cuts.append(planned)
        return planned

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        up_reader, up_writer = await asyncio.open_unix_connection(self._server)
        back = asyncio.create_task(_copy(up_reader, writer))
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await self._forward(reader, up_reader, up_writer, back)
        await _ended(back)
        for side in (writer, up_writer):
            side.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await side.wait_closed()
        self._tasks.discard(task)

    async def _forward(
        self,
        reader: asyncio.StreamReader,
        up_reader: asyncio.StreamReader,
        up_writer: asyncio.StreamWriter,
        back: asyncio.Task[None],
    ) -> None:
        recent = b""
        while data := await reader.read(_CHUNK_BYTES):
            recent = (recent + data)[-_CHUNK_BYTES:]
            cut = next((cut for cut in self.cuts if cut.happened < cut.times and cut.marker in recent), None)
            if cut is not None:
                cut.happened += 1
                await _ended(back)
                if cut.when == "before-sending":
                    return
            up_writer.write(data)
            await up_writer.drain()
            if cut is not None:
                if cut.when == "before-the-reply":
                    await up_reader.read(1)
                return


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
        writer.close()
