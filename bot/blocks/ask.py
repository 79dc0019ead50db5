"""What asks a person for something in the thread: inputs a request misses, and a run that cannot go on alone."""

from bot.blocks import facts
from bot.blocks.elements import (
    Block,
    Message,
    actions,
    button,
    confirmation,
    emoji,
    line,
    message,
    quote,
    rich,
    say,
    word,
    worded,
)
from bot.blocks.run_card import kill_button
from bot.blocks.spending import short_buttons
from bot.blocks.text import cut
from bot.blocks.words import badge
from bot.surface import ActionId
from core.record.states import BlockedReason, CallStatus, RunState
from core.runs.commands.again import REASONS
from core.runs.views import ActionView, RunView


def ask_for_inputs(text: str, request: str) -> Message:
    """Say what is missing and offer the form.

    Args:
        text: The sentence; it may quote foreign text, which stays inert.
        request: Key of the stored request, the button's value.
    """
    return message(text, rich(line(*worded(text, 1500))), actions(button("Fill in…", ActionId.RUN_INPUTS, request)))


def needs_you(view: RunView, *, more_steps: int) -> Message:
    """Say that a run stands still and what to do, to the person who asked for it, with the buttons that help.

    Args:
        more_steps: For how many steps one that goes round in circles can be let continue.
        view: The run as it is now, which may be no longer blocked when this is sent.
    """
    symbol, words = badge(view.state, view.stop)
    first = line(emoji(symbol), word(" "), word(words, bold=True), *facts.subject(view))
    return message(
        facts.one_sentence(view),
        rich(first),
        facts.blocked(view),
        _in_doubt(view),
        actions(*remedies(view, more_steps)),
    )


def remedies(view: RunView, more_steps: int) -> list[Block]:
    """What helps against the block, as far as a button can."""
    if view.state is not RunState.BLOCKED:
        return []
    match view.blocked_reason:
        case BlockedReason.AMBIGUOUS_EFFECT:
            return _settling(view)
        case BlockedReason.BUDGET if view.budget_micro_usd is not None:
            return [*short_buttons(view), button("Ask again", ActionId.APPROVAL_AGAIN, view.id)]
        case BlockedReason.LOOP if view.goes_round:
            onward = button(f"Continue {more_steps} steps", ActionId.RUN_CONTINUE, f"{view.id}:{more_steps}")
            steer = button("Steer…", ActionId.RUN_STEER, view.id, primary=True)
            return [onward, steer, kill_button(view.id, view.agent)]
        case BlockedReason.LOOP if view.budget_micro_usd is not None:
            steer = button("Steer…", ActionId.RUN_STEER, view.id, primary=True)
            return [steer, button("Ask again", ActionId.APPROVAL_AGAIN, view.id)]
        case reason if reason in REASONS:
            return [button("Ask again", ActionId.APPROVAL_AGAIN, view.id, primary=True)]
        case _:
            return []


def _unknown(view: RunView) -> ActionView | None:
    """The call that nobody knows the outcome of, when that is what the run is blocked by."""
    if view.blocked_reason is not BlockedReason.AMBIGUOUS_EFFECT:
        return None
    return next((action for action in view.actions if action.status is CallStatus.UNKNOWN), None)


def _in_doubt(view: RunView) -> Block | None:
    if (unknown := _unknown(view)) is None:
        return None
    said = {approval.action_id: approval.sentence for approval in view.approvals}.get(unknown.id)
    what = [word("In doubt: "), say(unknown.tool, bold=True, limit=80), word(" in step "), say(unknown.step, limit=80)]
    return rich(line(*what), *([quote(say(said))] if said else []))


def _settling(view: RunView) -> list[Block]:
    if (unknown := _unknown(view)) is None:
        return []
    value, call = f"{view.id}:{unknown.id}", cut(unknown.tool, 80)
    row = []
    for label, action_id, text in (
        ("It ran", ActionId.CALL_RAN, f"You looked, and {call} happened. The run goes on as if it had said so itself."),
        (
            "It did not run",
            ActionId.CALL_NOT_RUN,
            f"You looked, and {call} did not happen. Approvers are asked whether to run it again; if they deny, the "
            "step fails.",
        ),
    ):
        question = confirmation(f"{label}?", text, label, "Not sure", danger=False)
        row.append(button(label, action_id, value, confirm=question))
    return [*row, kill_button(view.id, view.agent)]
