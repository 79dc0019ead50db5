"""What asks a person for something in the thread: inputs a request misses, and a run that cannot go on alone."""

from bot.blocks import facts
from bot.blocks.elements import Message, actions, button, emoji, line, message, person, rich, say, word
from bot.blocks.words import badge
from bot.surface import ActionId
from core.ids import short
from core.runs.views import RunView


def ask_for_inputs(text: str, request: str) -> Message:
    """Say what is missing and offer the form.

    Args:
        text: The sentence; it may quote foreign text, which stays inert.
        request: Key of the stored request, the button's value.
    """
    return message(text, rich(line(say(text, limit=1500))), actions(button("Fill in…", ActionId.RUN_INPUTS, request)))


def needs_you(view: RunView) -> Message:
    """Say that a run stands still and what to do, to the person who asked for it; its buttons are on its card.

    Args:
        view: The run as it is now, which may be no longer blocked when this is sent.
    """
    symbol, words = badge(view.state, view.stop)
    first = line(
        emoji(symbol),
        word(" "),
        word(words, bold=True),
        word(" · "),
        say(view.agent, bold=True, limit=80),
        word(f" · run {short(view.id)} · for "),
        person(view.requester_slack, view.requester),
    )
    return message(facts.one_sentence(view), rich(first), facts.blocked(view))
