"""What changed, told to whoever watches: the page and tests, through `GET /playground/events`.

Changes are numbered. A watcher that fell behind or was away reads the whole state again; nothing is replayed.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_BACKLOG = 2000


class Feed:
    """Numbers changes and hands each to every watcher."""

    def __init__(self) -> None:
        self.seq = 0
        self._watchers: set[asyncio.Queue[dict[str, Any] | None]] = set()

    def publish(self, kind: str, /, **entity: Any) -> None:
        """Tell all watchers; one that is `_BACKLOG` changes behind is sent away to start again."""
        self.seq += 1
        change = {**entity, "seq": self.seq, "type": kind}
        for queue in list(self._watchers):
            if queue.qsize() >= _BACKLOG:
                self._watchers.discard(queue)
                queue.put_nowait(None)
            else:
                queue.put_nowait(change)

    @contextmanager
    def watch(self) -> Iterator[asyncio.Queue[dict[str, Any] | None]]:
        """A queue of changes from now on; `None` in it means that the watcher has to leave."""
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._watchers.add(queue)
        try:
            yield queue
        finally:
            self._watchers.discard(queue)

    def close(self) -> None:
        """Send every watcher away; the server is stopping."""
        for queue in self._watchers:
            queue.put_nowait(None)
        self._watchers.clear()
