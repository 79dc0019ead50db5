"""What a run has used of what it may: said on its card, and in its thread once most of a cap is used up.

What it is about is named first: money, then whatever else the run has a cap on. Letting it have more, having it wrap up
and stopping it are three buttons; who may press them is decided when somebody does.
"""

from collections.abc import Sequence

from bot.blocks import facts
from bot.blocks.elements import (
    Block,
    Message,
    actions,
    button,
    confirmation,
    line,
    message,
    moment,
    person,
    rich,
    say,
    word,
)
from bot.blocks.run_card import kill_button
from bot.blocks.words import is_ended, title
from bot.surface import ActionId
from core.budgets import usd_text
from core.ids import short
from core.runs.allowance import Usage, amount
from core.runs.shared import SETTINGS, Shared
from core.runs.views import RunView

_MEANS = {
    "money": "spent",
    "tokens": "used",
    "steps": "taken",
    "calls": "made",
    "time": "taken",
}


def nearly_spent(view: RunView) -> Message:
    """Say that a run has used most of what it may, to the person who asked for it, with what can be done about it.

    Args:
        view: The run as it is now, which may have ended or been given more: then there is nothing to press.
    """
    name = title(view.agent, view.undoing.rolls_back)
    most = [usage for usage in view.usages if usage.is_nearly_spent]
    first = line(word("Most of what it may use is used up", bold=True), *facts.subject(view))
    rows = [line(word(f"It has {_MEANS[usage.unit]} "), word(usage.text, bold=True)) for usage in most]
    over = is_ended(view) or view.stop is not None or not most
    after = "" if over else "At the end of it the run stands still until somebody lets it have more."
    if not most:
        after = "It may use more since."
    more = [] if over else [more_button(view, usage) for usage in most]
    rest = [] if over else [*wrap_up_buttons(view), kill_button(view.id, view.agent)]
    return message(
        f"{name} (run {short(view.id)}) has used most of what it may",
        rich(first, *rows, *([line(word(after))] if after else [])),
        actions(*more[:1], *rest),
        *(actions(each) for each in more[1:]),  # Slack takes a kind of button once in a row
    )


def shared_nearly_spent(found: Sequence[Shared], view: RunView) -> Message:
    """Say that most of budgets a run shares is used up, until when they count, and who can raise them.

    Args:
        found: As they were when the run looked.
        view: The run that draws on them, as it is now.
    """
    name = title(view.agent, view.undoing.rolls_back)
    first = line(word("Most of a budget it draws on is used up", bold=True), *facts.subject(view))
    over = is_ended(view) or view.stop is not None
    rows, more = [], []
    for each in found:
        rows.append(_drawn_on(each, view))
        own = next((usage for usage in view.usages if usage.unit == "money"), None)
        if each.raisable and own is not None:
            more.append(more_button(view, own))
        elif not each.raisable:
            named = say(f"budgets.{SETTINGS[each.scope]}", code=True, limit=40)
            rows.append(line(word("It is set by "), named, word(": only operators can raise it, in their file.")))
    if not over:
        rows.append(line(word("At the end of it every run that draws on it stands still.")))
    row = [] if over else [*more[:1], *wrap_up_buttons(view), kill_button(view.id, view.agent)]
    return message(
        f"Most of a budget that {name} (run {short(view.id)}) draws on is used up", rich(first, *rows), actions(*row)
    )


def _drawn_on(each: Shared, view: RunView) -> Block:
    """One shared budget: whose it is, how much of it is used, and until when that counts."""
    match each.scope:
        case "person":
            whose = [word("What "), person(view.requester_slack, view.requester), word(" asks for in a day")]
        case "channel":
            whose = [word("What is asked for in this channel in a month")]
        case "team":
            whose = [word("What your team asks for in a day")]
        case _:
            whose = [word("This run with everything it started")]
    until = [] if each.until_ms is None else [word(", counted until "), moment(each.until_ms)]
    used = word(f"{usd_text(each.used)} of {usd_text(each.cap)}", bold=True)
    return line(*whose, word(": "), used, word(" is spent or reserved"), *until)


def told_to_wrap_up(view: RunView) -> Message:
    """Say that a run was told to finish with what it has, and by whom."""
    who = facts.wrapping_up(view, ended=True)
    sentence = f"{title(view.agent, view.undoing.rolls_back)} (run {short(view.id)}) was told to wrap up"
    return message(sentence, who or rich(line(word(sentence))))


def short_buttons(view: RunView) -> list[Block]:
    """What helps a run that is blocked for want of something; no button raises what is set in the operator's file."""
    lacking = next((usage for usage in view.usages if usage.unit == (view.short or "money")), None)
    more = [] if lacking is None else [more_button(view, lacking)]
    # Without money there is nothing left to wrap up with.
    return [*more, *(wrap_up_buttons(view) if view.short not in (None, "money", "shared") else [])]


def more_button(view: RunView, usage: Usage) -> Block:
    """The button that lets a run have as much again; its value says which cap was shown."""
    more, twice = amount(usage.unit, usage.cap), amount(usage.unit, 2 * usage.cap)
    if usage.unit == "money":
        spent = f"it has spent {usd_text(view.cost_micro_usd)} of {usd_text(usage.cap)}"
        text, value = f"It may spend {twice} in all then; {spent}.", f"{view.id}:{usage.cap}"
    else:
        text = f"It may use {twice} in all then; it has {_MEANS[usage.unit]} {usage.text}."
        value = f"{view.id}:{usage.cap}:{usage.unit}"
    question = confirmation(f"Add {more}?", text, "Add it", "Not now", danger=False)
    return button(f"Add {more}", ActionId.RUN_FUND, value, primary=True, confirm=question)


def wrap_up_buttons(view: RunView) -> list[Block]:
    """The button that has a run finish with what it has, unless it was told to already."""
    if view.wrap_up is not None:
        return []
    text = "It finishes with what it has: it may look and keep its results, and starts nothing else."
    question = confirmation("Wrap up?", text, "Wrap up", "Not now", danger=False)
    return [button("Wrap up", ActionId.RUN_WRAP_UP, view.id, confirm=question)]
