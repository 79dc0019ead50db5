"""What a model writes, as people read it: formatted, over as many messages as it needs, and unable to do anything.

The one place where a foreign text is parsed, because models write Markdown. What could ping, link or bring something in
is broken up by an invisible character first. That is done by looking back only, so that a text that grows is never
shown differently from how it was begun.
"""

import re
from collections.abc import Sequence

from bot.blocks.bounds import MARKDOWN_TEXT
from bot.blocks.elements import Block, Message, message
from bot.blocks.text import length, visible

PART_CHARACTERS = 10_000
"""Of a text that goes into one message."""

MOST_PARTS = 12
"""Messages one text may take; what is longer than that is read elsewhere."""

_WORD_JOINER = "\u2060"
_DOES_SOMETHING = re.compile(r"(?<=<).|(?<=\])[(\[:]|(?<=:)/|(?<=@her)e|(?<=@channe)l|(?<=@everyon)e", re.DOTALL)
_LINE_WITHIN = 2_000
"""How far back a text is cut at the end of a line rather than within one."""


def markdown(text: str) -> str:
    """A model's text as Markdown that can only be read; that of a beginning is the beginning of that of the whole."""
    return _DOES_SOMETHING.sub(lambda found: _WORD_JOINER + found[0], visible(text.replace("\r", "")))


def answer(text: str) -> Message:
    """A message that holds a part of an answer."""
    block: Block = {"type": "markdown", "text": markdown(text.strip()) or "–"}
    return message(text, block)


def fits(text: str) -> int:
    """How many characters of `text` one message takes; it is cut at the end of a line where that is possible."""
    end = min(len(text), PART_CHARACTERS)
    if end < len(text):
        line = text.rfind("\n", max(0, end - _LINE_WITHIN), end)
        end = line + 1 if line > 0 else end
    while length(markdown(text[:end])) > MARKDOWN_TEXT - 100:
        end = end * 3 // 4
    return end


def parts(text: str, begins: Sequence[int]) -> list[str]:
    """Cut a text for messages of which some are there.

    Args:
        begins: Where those that are there begin; kept to, unless what one would have to show does not fit.
    """
    whole = list(begins) if begins and begins[0] == 0 else [0, *begins]
    found: list[str] = []
    for at, start in enumerate(whole):
        end = whole[at + 1] if at + 1 < len(whole) else len(text)
        piece = text[start:end]
        if at + 1 < len(whole) and fits(piece) < len(piece):
            return _afresh(text)
        if not piece:
            found.append("")
        while piece:
            size = fits(piece)
            found.append(piece[:size])
            piece = piece[size:]
    return _bounded(found)


def _afresh(text: str) -> list[str]:
    """Cut a text as if no message were there."""
    found: list[str] = []
    while text:
        size = fits(text)
        found.append(text[:size])
        text = text[size:]
    return _bounded(found)


def _bounded(pieces: list[str]) -> list[str]:
    if len(pieces) <= MOST_PARTS:
        return pieces
    left = sum(len(piece) for piece in pieces[MOST_PARTS:])
    last = f"{pieces[MOST_PARTS - 1][: PART_CHARACTERS - 500]}\n\n[{left:,} more characters are in the run's files]"
    return [*pieces[: MOST_PARTS - 1], last]
