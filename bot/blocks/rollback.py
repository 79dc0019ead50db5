"""Undoing a run: the button, what its card says meanwhile and afterwards, and which effects stand, are gone, or stay.

Whether it would work is the read model's word, by the same rule that the click is decided by.
"""

from bot.blocks.elements import Block, button, confirmation, emoji, line, person, rich, say, word
from bot.blocks.text import one_line
from bot.blocks.words import count
from bot.surface import ActionId
from core.ids import short
from core.record.states import RunState
from core.runs.rollback_views import EffectView
from core.runs.views import RunView

_EFFECTS = 8
_NAMED = 4
_SENTENCE = 140


def roll_back_button(view: RunView) -> Block | None:
    """The button that has a run undone, with its question; `None` unless it would work."""
    undoing = view.undoing
    if not undoing.possible:
        return None
    back = [effect for effect in undoing.effects if effect.status == "stands" and effect.undo is not None]
    stays = [effect for effect in undoing.effects if effect.undo is None]
    text = f"{_going(back, view)} As with any action, approvers are asked first."
    if not back:
        text = "Nothing is left to undo; this writes it down."
    if stays:
        text += f" Cannot be undone: {_listed(stays)}."
    question = confirmation(f"Roll back run {short(view.id)}?", text, "Roll back", "Leave it as it is")
    return button("Roll back", ActionId.RUN_ROLL_BACK, view.id, confirm=question)


def of_another(view: RunView) -> Block | None:
    """What a rollback is for."""
    of = view.undoing.rolls_back
    return None if of is None else rich(line(word(f"Undoes what run {short(of)} did outside, the last effect first.")))


def progress(view: RunView) -> Block | None:
    """Who undoes this run, or has; and what of it stays whatever anybody does."""
    rollback = view.undoing.rollback
    if rollback is None:
        return None
    done = view.state is RunState.ROLLED_BACK
    said = "Rolled back" if done else "Rolling back"
    rows = [
        line(
            emoji("leftwards_arrow_with_hook"),
            word(" "),
            word(f"{said}: run {short(rollback.run_id)}", bold=True),
            word(", asked by "),
            person(rollback.by_slack, rollback.by),
        )
    ]
    shown = [effect for effect in view.undoing.effects if effect.status == "undone" or effect.undo is None]
    rows += [line(*leaves(effect, view)) for effect in shown[:_EFFECTS]]
    if len(shown) > _EFFECTS:
        rows.append(line(word(f"… and {count(len(shown) - _EFFECTS, 'more effect')}")))
    return rich(*rows)


def undoable(view: RunView) -> Block | None:
    """Every effect of a run and whether it can be undone, for its details."""
    found = view.undoing.effects
    if not found or view.undoing.rolls_back is not None:
        return None
    rows = [
        line(word("Effects outside this run", bold=True)),
        *(line(*leaves(each, view)) for each in found[: 2 * _EFFECTS]),
    ]
    if len(found) > 2 * _EFFECTS:
        rows.append(line(word(f"… and {count(len(found) - 2 * _EFFECTS, 'more effect')}")))
    return rich(*rows)


def leaves(effect: EffectView, view: RunView) -> list[Block]:
    """One effect and what became of it."""
    where = [word("• "), say(effect.tool, limit=60), word(" in step "), say(effect.step, limit=60)]
    return [*where, word(f": {standing(effect, view)}")]


def standing(effect: EffectView, view: RunView) -> str:
    """Whether an effect of a run is there still, and whether that can be changed; our words alone."""
    by = "" if effect.undone_by is None else f" by run {short(effect.undone_by)}"
    match effect.status:
        case "undone":
            return f"undone{by}"
        case "unsettled" if by:
            return f"may or may not have been undone{by}"
        case "unsettled":
            return "may or may not have happened"
        case _ if effect.undo is not None:
            return "can be undone"
        case _:
            return "could not be undone" if view.state is RunState.ROLLED_BACK else "cannot be undone"


def _going(back: list[EffectView], view: RunView) -> str:
    """What would be undone: one effect as its tool put it when people approved it, more by their steps."""
    asked = next((each for each in view.approvals if back and each.action_id == back[0].action_id), None)
    if len(back) == 1 and asked is not None and asked.sentence:
        return f"Undoes “{one_line(asked.sentence, _SENTENCE)}”."
    return f"Undoes {_listed(back)}."


def _listed(found: list[EffectView]) -> str:
    named = ", ".join(f"{effect.tool} in step {effect.step}" for effect in found[:_NAMED])
    return named if len(found) <= _NAMED else f"{named} and {count(len(found) - _NAMED, 'more effect')}"
