"""What a model is writing, told while it writes: pieces of text over Redis pub/sub that anybody may miss.

No truth is in here. The whole answer becomes an artifact, and whoever shows it ends with that; a piece that is lost,
doubled or late costs a glance and nothing else. So telling never waits, never fails and never holds a turn up. Nothing
leaves that could be the beginning of a secret. Who shows the pieces is the bot's part.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from core.announcements import RUN_ID, hear
from core.redis_link import AWAY, Outage, connect
from core.secrets import RedactionFailed

log = logging.getLogger(__name__)

CHANNEL = "banksman:text"

PACE_S = 0.3
"""How often what has been written meanwhile is told."""

MOST_CHARACTERS = 48_000
"""Of one turn; what comes after that is only in the answer."""

_PIECE_CHARACTERS = 8_000
_MOST_BYTES = 100_000
_SEND_TIMEOUT_S = 1.0


@dataclass(frozen=True)
class Delta:
    """A piece of what one turn of one run says."""

    tenant: str
    run_id: str
    turn: int
    at: int
    """How many characters of the turn came before it."""
    text: str

    def to_bytes(self) -> bytes:
        body = {"v": 1, "tenant": self.tenant, "run": self.run_id, "turn": self.turn, "at": self.at, "text": self.text}
        return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")

    @staticmethod
    def from_bytes(data: bytes) -> "Delta | None":
        """Read a piece; `None` if it is none of ours."""
        if len(data) > _MOST_BYTES:
            return None
        try:
            body = json.loads(data)
        except (ValueError, RecursionError):
            return None
        match body:
            case {
                "v": 1, "tenant": str(tenant), "run": str(run_id), "turn": int(turn), "at": int(at), "text": str(text),
            } if RUN_ID.fullmatch(run_id) and turn > 0 and 0 <= at <= MOST_CHARACTERS:  # fmt: skip
                return Delta(tenant, run_id, turn, at, text)
        return None


class Speech(Protocol):
    """What one turn says. Neither method waits or raises."""

    def add(self, text: str) -> None:
        """The model has written this."""
        ...

    def end(self) -> None:
        """No more is told of this turn, not even what was written before."""
        ...


class Speaker(Protocol):
    """Tells what models write."""

    def begin(self, tenant: str, run_id: str, turn: int) -> Speech:
        """A turn begins to be answered."""
        ...


class _Unheard:
    def add(self, text: str) -> None:
        return None

    def end(self) -> None:
        return None


class MuteSpeaker:
    """Of an installation without Redis: people see the answer when it is there."""

    def begin(self, tenant: str, run_id: str, turn: int) -> Speech:
        return _Unheard()


class RedisSpeaker:
    """Tells over Redis, everything that was written meanwhile in one round trip.

    Args:
        redis_url: As `core.redis_link.connect` takes it.
        redact_beginning: `Redactor.redact_beginning`.
    """

    def __init__(self, redis_url: str, redact_beginning: Callable[[str], str]) -> None:
        self._redis = connect(redis_url)
        self._outage = Outage("What models write")
        self._redact_beginning = redact_beginning
        self._speeches: set[_Speech] = set()
        self._sender: asyncio.Task[None] | None = None
        self._closed = False

    def begin(self, tenant: str, run_id: str, turn: int) -> Speech:
        speech = _Speech(self, tenant, run_id, turn)
        self._speeches.add(speech)
        return speech

    async def close(self) -> None:
        """Say nothing more and disconnect."""
        self._closed = True
        self._speeches.clear()
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.wait({self._sender})
        await self._redis.aclose(close_connection_pool=True)

    def wake(self) -> None:
        """There is something to tell."""
        if not self._closed and (self._sender is None or self._sender.done()):
            self._sender = asyncio.create_task(self._send_all(), name="deltas")

    def leave(self, speech: "_Speech") -> None:
        """Forget a turn."""
        self._speeches.discard(speech)

    async def _send_all(self) -> None:
        """Tell what there is until there is nothing new; what Redis did not take is told again."""
        while not self._closed:
            await asyncio.sleep(PACE_S)
            told = [(speech, delta) for speech in list(self._speeches) for delta in self._pieces(speech)]
            if not told:
                return
            try:
                async with asyncio.timeout(_SEND_TIMEOUT_S), self._redis.pipeline(transaction=False) as pipe:
                    for _, delta in told:
                        pipe.publish(CHANNEL, delta.to_bytes())
                    await pipe.execute()
            except AWAY as error:
                await asyncio.sleep(self._outage.failed(error))
            else:
                self._outage.over()
                for speech, delta in told:
                    speech.told = delta.at + len(delta.text)

    def _pieces(self, speech: "_Speech") -> list[Delta]:
        if speech.grew:
            speech.grew = False
            try:
                speech.clean = self._redact_beginning(speech.text)
            except RedactionFailed as error:
                log.warning("what a model writes is not told: %s", error, extra={"action": "delta_withheld"})
                speech.end()
                return []
        return [
            Delta(speech.tenant, speech.run_id, speech.turn, at, speech.clean[at : at + _PIECE_CHARACTERS])
            for at in range(speech.told, len(speech.clean), _PIECE_CHARACTERS)
        ]


class _Speech:
    """One turn's text so far, and how much of it was told."""

    def __init__(self, speaker: RedisSpeaker, tenant: str, run_id: str, turn: int) -> None:
        self.tenant, self.run_id, self.turn = tenant, run_id, turn
        self.text = ""
        self.clean = ""
        """As much of it as may be told."""
        self.told = 0
        """Characters of `clean`."""
        self.grew = False
        self._speaker = speaker

    def add(self, text: str) -> None:
        room = MOST_CHARACTERS - len(self.text)
        if text and room > 0:
            self.text += text[:room]
            self.grew = True
            self._speaker.wake()

    def end(self) -> None:
        self._speaker.leave(self)


async def listen_to_deltas(redis_url: str, on_delta: Callable[[Delta], None], *, stop: asyncio.Event) -> None:
    """Hear what models write until `stop`, over any number of outages.

    Args:
        on_delta: Called with each piece. Must not block; an error it raises ends the listening.

    Raises:
        ConfigError: `redis_url` is not a Redis URL.
    """

    def take(data: bytes) -> None:
        if (delta := Delta.from_bytes(data)) is not None:
            on_delta(delta)

    await hear(redis_url, CHANNEL, "What models write", take, on_gap=contextlib.nullcontext, stop=stop)
