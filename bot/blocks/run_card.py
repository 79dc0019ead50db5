"""The one live card of a run, and its buttons.

A card is drawn from the read model each time, never edited: whoever changes the run, from whichever surface, it looks
the same. When and how often it is drawn is `delivery.cards`' business.
"""

from collections.abc import Mapping

from bot.blocks import facts, rollback
from bot.blocks.elements import Block, Message, actions, button, confirmation, context, menu, message, rich, say, word
from bot.blocks.words import ago, duration, is_ended
from bot.surface import METADATA_EVENT, ActionId
from core.ids import short
from core.record.states import RunState
from core.runs.commands.steer import MODES, Steering
from core.runs.views import RunView

HEARTBEAT_AFTER_MS = 60_000
"""A run that works in silence for this long says that it is still there."""

_CARD_OUTCOME = 600
_REPLIES: Mapping[Steering, str] = {
    "off": "Replies: nobody's",
    "ask": "Replies: the requester's; ask about others'",
    "auto": "Replies: everybody's in this team",
}
_WORKING = frozenset({RunState.PLANNING, RunState.EXECUTING})


def run_card(view: RunView, *, now_ms: int) -> Message:
    """Draw a run's card.

    Args:
        view: The run as it is now.
        now_ms: Wall clock; only the heartbeat line depends on it, and only by the minute.

    Returns:
        A message whose metadata names the run; Kill is there only while there is something to stop, Roll back only
        while there is something that can be undone.
    """
    return message(
        facts.one_sentence(view),
        rich(facts.headline(view)),
        facts.frozen(view),
        facts.identity(view),
        facts.given(view),
        rollback.of_another(view),
        facts.plan(view),
        facts.waiting(view),
        facts.looking(view),
        facts.blocked(view),
        facts.wrapping_up(view),
        facts.stop(view),
        facts.outcome(view, _CARD_OUTCOME),
        rollback.progress(view),
        _closing(view) or _heartbeat(view, now_ms),
        actions(*buttons(view)),
        metadata={"event_type": METADATA_EVENT, "event_payload": {"run": view.id}},
    )


def buttons(view: RunView) -> list[Block]:
    """Kill while the run has not ended and nobody has stopped it, Roll back if that would work, Details, and whose
    replies count.
    """
    row = []
    if not is_ended(view) and view.stop is None:
        row.append(kill_button(view.id, view.agent))
    if (undo := rollback.roll_back_button(view)) is not None:
        row.append(undo)
    row.append(button("Details", ActionId.RUN_DETAILS, view.id))
    if view.budget_micro_usd is not None and not is_ended(view) and view.stop is None:
        row.append(replies_menu(view))
    return row


def replies_menu(view: RunView) -> Block:
    """Whose replies count, with a tick at what holds now; who may say so is decided when somebody does."""
    options = [(f"{'✓ ' if mode == view.steering else ''}{_REPLIES[mode]}", f"{view.id}:{mode}") for mode in MODES]
    return menu(ActionId.RUN_REPLIES, options)


def kill_button(run_id: str, agent: str) -> Block:
    """The button that stops a run, with its question."""
    question = confirmation(
        f"Stop run {short(run_id)}?",
        f"{agent} ends at once: no further step starts, and processes still running are killed. "
        "What it has already done stays done. This cannot be taken back.",
        "Kill the run",
        "Keep it running",
    )
    return button("Kill", ActionId.RUN_KILL, run_id, danger=True, confirm=question)


def _closing(view: RunView) -> Block | None:
    if not (leaves := facts.ending(view)):
        return None
    took = "· ran for" if view.state is RunState.ROLLED_BACK else "· after"
    return context(*leaves, word(f"{took} {duration(view.duration_ms)}"))


def _heartbeat(view: RunView, now_ms: int) -> Block | None:
    if view.waiting is not None or view.state not in _WORKING or now_ms - view.updated_at_ms < HEARTBEAT_AFTER_MS:
        return None
    return context(say(f"Still working; the last change was {ago(view.updated_at_ms, now_ms)}."))
