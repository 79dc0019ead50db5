"""Whether an agent is getting anywhere: from what it did and what came of it, with everything masked that only counts.

Pure. A step counts by what it asked for and what it got, both with times, ids, counters and durations masked, so that a
loop is not hidden by a nonce. Repeating what succeeds is a loop too. Looking again and again for something to happen is
the work of `wait_until`, which has a deadline of its own and is not looked at here.

Source: PROTOCOL 2.14.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

WINDOW = 12
"""Steps that are looked back over for a repetition."""

SAME = 3
"""Times the same may be asked for and got within the window before that is a stall."""

PERIODS = (1, 2, 3, 4)
ROUNDS = 3
"""Times a cycle may come round."""

NOTHING_NEW = 6
"""Steps in a row that may bring nothing that was not known."""

SAME_ERROR = 5
"""Times one kind of error may come back."""

_VOLATILE = (
    (re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+(?:Z|[+-][0-9:]+)?"), "<time>"),
    (re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"), "<id>"),
    (re.compile(r"\b(?=[0-9a-zA-Z_]*[0-9])(?=[0-9a-zA-Z_]*[a-zA-Z])[0-9a-zA-Z_]{8,}\b"), "<id>"),
    (re.compile(r"[0-9]+(?:\.[0-9]+)?"), "<n>"),
)


@dataclass(frozen=True)
class Mark:
    """One step, as far as it can repeat."""

    title: str
    """What it was, for people."""
    action: str
    """Digest of the tool and its masked arguments."""
    outcome: str
    """Digest of what came of it, masked."""
    error: str = ""
    """The kind of error it ended with; empty if it succeeded."""
    progress: bool = False
    """Whether it left a file behind that was not there before."""


@dataclass(frozen=True)
class Stall:
    """Why this is a loop."""

    why: str
    """Half a sentence: `the same 3 times`."""
    repeats: tuple[tuple[str, int], ...]
    """What was done how often, the most frequent first."""

    @property
    def text(self) -> str:
        """For a person and for the model: what repeats itself, and how often."""
        rows = "; ".join(f"{title} ({times} {'time' if times == 1 else 'times'})" for title, times in self.repeats)
        return f"{self.why}: {rows}"


def masked(text: str) -> str:
    """The text without what changes each time: times, ids, durations, counters."""
    for pattern, mark in _VOLATILE:
        text = pattern.sub(mark, text)
    return text


def digest_of(*texts: str) -> str:
    """A digest of masked texts."""
    return hashlib.sha256("\0".join(masked(text) for text in texts).encode()).hexdigest()


def stall(marks: Sequence[Mark]) -> Stall | None:
    """Whether the last of these steps, oldest first, go round in a circle.

    Returns:
        The first of these that holds: the same asked for and got three times in twelve steps; a cycle of up to four
        steps that came round three times; six steps without anything new; one kind of error five times.
    """
    recent = list(marks[-WINDOW:])
    pairs = [(mark.action, mark.outcome) for mark in recent]
    for pair, times in Counter(pairs).most_common(1):
        moved = any(mark.progress for mark in recent if (mark.action, mark.outcome) == pair)
        if times >= SAME and pair == pairs[-1] and not moved:
            return Stall(f"it asked for the same and got the same {times} times", _counted(recent, [pair]))
    for period in PERIODS:
        length = period * ROUNDS
        if len(pairs) >= length and _comes_round(pairs[-length:], period):
            return Stall(f"it goes round in a circle of {period} steps", _counted(recent, pairs[-period:]))
    known = {mark.outcome for mark in marks[: len(marks) - NOTHING_NEW]}
    last = marks[-NOTHING_NEW:]
    if len(last) == NOTHING_NEW and not any(mark.progress for mark in last):
        seen = set(known)
        new = 0
        for mark in last:
            new += mark.outcome not in seen
            seen.add(mark.outcome)
        if new == 0:
            return Stall(f"{NOTHING_NEW} steps brought nothing that was not known", _counted(list(last)))
    errors = Counter(mark.error for mark in recent if mark.error)
    for error, times in errors.most_common(1):
        if times >= SAME_ERROR and recent[-1].error == error:
            return Stall(
                f"the same kind of error came {times} times", _counted([m for m in recent if m.error == error])
            )
    return None


def _comes_round(pairs: Sequence[tuple[str, str]], period: int) -> bool:
    return all(pairs[at] == pairs[at - period] for at in range(period, len(pairs)))


def _counted(marks: Sequence[Mark], pairs: Sequence[tuple[str, str]] | None = None) -> tuple[tuple[str, int], ...]:
    counted = Counter(mark.title for mark in marks if pairs is None or (mark.action, mark.outcome) in pairs)
    return tuple(counted.most_common(4))
