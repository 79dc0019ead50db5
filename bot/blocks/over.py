"""What asked people for something, once there is nothing left to press: what it was, and who let the run go on.

Only what was said when it was asked is shown again. How the run is now stands on its card.
"""

from dataclasses import dataclass

from bot.blocks import facts
from bot.blocks.approval_parts import Known
from bot.blocks.elements import (
    Block,
    Message,
    emoji,
    line,
    message,
    moment,
    person,
    principal,
    quote,
    rich,
    say,
    word,
    worded,
)
from bot.blocks.questions import question
from bot.blocks.words import REASON_WORDS, STATE_WORDS, title
from core.ids import short
from core.record.states import TERMINAL, BlockedReason, RunState
from core.runs.views import RunView


@dataclass(frozen=True)
class Over:
    """How a block ended."""

    reason: BlockedReason
    detail: str
    """What was said of it; it may quote foreign text."""
    to: RunState
    """What the run went to."""
    by: str | None
    """The principal who did that, as events name them; `None` = nobody had to."""
    at_ms: int


def was_blocked(over: Over, view: RunView, known: Known) -> Message:
    """What `needs_you` said, once the run has left the block."""
    symbol, words = STATE_WORDS[over.to] if over.to in TERMINAL else ("white_check_mark", "Goes on")
    name = title(view.agent, view.undoing.rolls_back)
    first = line(emoji(symbol), word(" "), word(words, bold=True), *facts.subject(view))
    why, _ = REASON_WORDS[over.reason]
    was = quote(*(worded(over.detail, 600) if over.detail else [word(f"It was blocked because {why}.")]))
    sentence = f"{name} (run {short(view.id)}) was blocked: {words.lower()}"
    return message(sentence, rich(first, was, line(word("Since "), moment(over.at_ms), *_by(over, view, known))))


def was_asked(over: Over, view: RunView, known: Known) -> Message:
    """What `question_card` asked, once it is answered or nobody can answer it any more."""
    name = f"{view.agent} (run {short(view.id)})"
    if over.to in TERMINAL:
        symbol, words = STATE_WORDS[over.to]
        end, sentence = [word(f" {words} without an answer, ")], f"{name} got no answer"
    else:
        symbol, end, sentence = "white_check_mark", [word(" Answered, ")], f"{name} got its answer"
    last = line(emoji(symbol), *end, moment(over.at_ms), *_by(over, view, known))
    return message(sentence, rich(*question(over.detail, view, "asked"), last))


def was_filled(text: str, view: RunView) -> Message:
    """What `ask_for_inputs` said, once somebody has filled the form.

    Args:
        text: What it said; it may quote foreign text.
    """
    done = line(
        emoji("white_check_mark"),
        word(" Filled in by "),
        person(view.requester_slack, view.requester),
        word(f": run {short(view.id)}"),
    )
    return message(text, rich(line(*worded(text, 1500)), done))


def _by(over: Over, view: RunView, known: Known) -> list[Block]:
    if over.by is None:
        return []
    who, _, via = over.by.partition(" via ")
    names = {view.requester: view.requester_slack, **known}
    return [word(", by "), principal(who, names), *([say(f" via {via}", limit=80)] if via else [])]
