"""The ending of a run, posted in its thread once: what came of it, what it left, what it did outside.

The numbers and names come from stored and verified rows; the outcome is the run's own word and stands as a quotation.
"""

from bot.blocks import facts, rollback
from bot.blocks.elements import Block, Message, actions, context, emoji, line, message, rich, say, word
from bot.blocks.words import badge, count, duration, title
from core.ids import short
from core.record.states import CallStatus
from core.runs.undoing import INSIDE
from core.runs.views import ActionView, RunView

OUTCOME_CHARACTERS = 2500
"""Of an outcome that is quoted; a model's answer that is longer stands above, in messages of its own."""

_EFFECT_LINES = 12
_APPROVERS = 3

_EFFECT_WORDS = {
    CallStatus.SUCCEEDED: "done",
    CallStatus.UNKNOWN: "may or may not have happened; check by hand",
    CallStatus.STARTED: "still being checked",
    CallStatus.FAILED: "failed",
}
"""What became of an effect; the calls that never started had none."""


def ending(view: RunView, still: str | None = None) -> Message:
    """Say how a run ended, to the person who asked for it.

    Args:
        still: What is left to quote of the outcome when an answer stands above; `None` = all of it.
    """
    symbol, words = badge(view.state, view.stop)
    made, named = facts.outputs(view), title(view.agent, view.undoing.rolls_back)
    lasted = f" · {duration(view.duration_ms)}"
    first = line(emoji(symbol), word(" "), word(words, bold=True), *facts.subject(view, after=lasted))
    return message(
        f"{named} (run {short(view.id)}): {words.lower()} after {duration(view.duration_ms)}, "
        f"{count(len(made), 'file')}. {(view.outcome if still is None else still) or ''}",
        rich(first),
        rollback.of_another(view),
        facts.outcome(view, OUTCOME_CHARACTERS) if still is None else _above(still),
        facts.stop(view),
        facts.files(made, "Files"),
        _effects(view),
        _figures(view),
        actions(undo) if (undo := rollback.roll_back_button(view)) is not None else None,
    )


def effects(view: RunView) -> list[ActionView]:
    """The calls that changed, or may have changed, something outside the run."""
    return [action for action in view.actions if action.tier not in INSIDE and action.status in _EFFECT_WORDS]


def _above(still: str) -> Block:
    return context(say(f"Its answer stands above. {still}".strip()))


def _effects(view: RunView) -> Block | None:
    if not (changed := effects(view)):
        return None
    rows = [line(word("Effects outside this run", bold=True))]
    rows += [line(*_effect(view, call)) for call in changed[:_EFFECT_LINES]]
    if len(changed) > _EFFECT_LINES:
        rows.append(line(word(f"… and {count(len(changed) - _EFFECT_LINES, 'more effect')}")))
    return rich(*rows)


def _effect(view: RunView, call: ActionView) -> list[Block]:
    leaves = [word("• "), say(call.tool, limit=60), word(" in step "), say(call.step, limit=60)]
    leaves.append(word(f": {_EFFECT_WORDS[call.status]}"))
    names = facts.approvers_of(view, call.id)
    for number, name in enumerate(names[:_APPROVERS]):
        leaves += [word(", " if number else "; approved by "), name]
    if len(names) > _APPROVERS:
        leaves.append(word(f" and {len(names) - _APPROVERS} more"))
    effect = next((each for each in view.undoing.effects if each.action_id == call.id), None)
    if effect is not None and effect.status == "stands" and view.undoing.rolls_back is None:
        leaves.append(word("; it can be undone" if effect.undo is not None else "; it cannot be undone"))
    return leaves


def _figures(view: RunView) -> Block:
    parts = [duration(view.duration_ms), count(len(view.actions), "tool call"), count(len(facts.outputs(view)), "file")]
    if not effects(view):
        parts.append("no effects outside this run")
    if spent := facts.cost(view):
        parts.append(spent)
    if view.sandbox:
        parts.append(f"sandbox: {view.sandbox}")
    return context(say(" · ".join(parts)))
