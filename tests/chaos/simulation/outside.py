"""The world that effects happen in: it keeps its own ledger, and treats keys as services of each class do.

An idempotent service does nothing twice under one key, as long as it remembers that; the others act on whatever
arrives. A request may be answered, do its work and lose the answer, get lost, or arrive late. Time here is real: no
wall clock that is set wrong changes it.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

Fate = Literal["done", "mute", "late", "lost", "refused", "unsent"]
FATES: tuple[Fate, ...] = ("done", "done", "done", "mute", "late", "lost", "refused", "unsent")


@dataclass(frozen=True)
class Sent:
    """One request, or what became of it."""

    call: str
    run: str
    key: str
    recovery: str
    fence: int
    looked_at: int
    """Number of the step in which its last look said yes."""
    at_ms: int
    """When it was sent; of an effect, when it happened."""


@dataclass
class Outside:
    """Everything that was sent, is under way and has happened."""

    key_life_ms: int
    effects: list[Sent] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    flying: list[tuple[int, Sent]] = field(default_factory=list)
    """`(when it arrives, request)`."""
    first_sent_ms: dict[str, int] = field(default_factory=dict)

    def send(self, request: Sent, fate: Fate, *, late_ms: int) -> str | None:
        """Take a request; the answer the sender hears, `None` = none ever."""
        if fate == "unsent":
            return "failed-safe"
        self.sent.append(request)
        match fate:
            case "done":
                self._arrive(request, request.at_ms)
                return "succeeded"
            case "mute":
                self._arrive(request, request.at_ms)
            case "late":
                self.flying.append((request.at_ms + late_ms, request))
            case "refused" if not (request.recovery == "idempotent" and self.of(request.call)):
                return "failed"
            case "refused":
                return "succeeded"
        return None

    def land(self, now_ms: int) -> int:
        """Let everything arrive whose time has come; how many."""
        due = sorted((each for each in self.flying if each[0] <= now_ms), key=lambda each: each[0])
        self.flying = [each for each in self.flying if each[0] > now_ms]
        for at_ms, request in due:
            self._arrive(request, at_ms)
        return len(due)

    def of(self, call: str) -> list[Sent]:
        """The effects of one call."""
        return [effect for effect in self.effects if effect.call == call]

    def _arrive(self, request: Sent, at_ms: int) -> None:
        since = self.first_sent_ms.setdefault(request.key, at_ms)
        if request.recovery == "idempotent" and self.of(request.call) and at_ms < since + self.key_life_ms:
            return
        self.effects.append(replace(request, at_ms=at_ms))
