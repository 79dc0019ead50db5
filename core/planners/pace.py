"""How fast a script writes: word by word, for people to read along."""

import re
from collections.abc import Mapping
from typing import Any

MOST_SECONDS = 60.0
"""The longest a script may take to write one text."""

_WORD = re.compile(r"\s*\S+\s*$|\s*\S+")


def pieces(turn: Mapping[str, Any], text: str) -> tuple[list[str], float]:
    """The text of a turn as it is written, and how many seconds there are between two pieces of it."""
    seconds = turn.get("seconds", 0)
    words = _WORD.findall(text)
    if not words or not isinstance(seconds, int | float) or seconds <= 0:
        return [text], 0.0
    return words, min(seconds, MOST_SECONDS) / len(words)
