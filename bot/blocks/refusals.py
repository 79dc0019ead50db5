"""The private sentences: what only the person who asked or clicked is told.

Each says what happened and what to do next, and nothing of anybody else's run. A stale or unauthorised click gets one
of these, never silence. Which one applies is decided by the listeners and the core.
"""

from collections.abc import Sequence

from bot.blocks.elements import Message, line, message, rich, worded
from bot.blocks.lists import HELP
from bot.blocks.text import one_line
from bot.surface import BOT_NAME, COMMAND
from core.ids import short


def sentence(text: str) -> Message:
    """One sentence of ours or of an error's `user_text`; it may quote foreign text, which stays inert."""
    return message(text, rich(line(*worded(one_line(text, 1500), 1500))))


def not_recorded() -> Message:
    """The database could not be written in time."""
    return sentence("That was not recorded, so nothing has happened. Please try again in a moment.")


def not_stored(why: str | None) -> Message:
    """A request could not be written down. Slack brings it again some times, and then no more."""
    because = f" {why}" if why else ""
    again = "Slack brings it to me again within minutes; if I do not react to it by then, ask again."
    return sentence(f"Your request could not be stored, so nothing was started.{because} {again}")


def stop_requested(run_id: str) -> Message:
    """The stop is committed; whether it is proved, the card says."""
    return sentence(f"Stop requested for run {short(run_id)}. Its card says when the stop is confirmed.")


def unknown_run(wanted: str) -> Message:
    """No run of this team has that id or ending."""
    return sentence(f"There is no run {wanted!r} here. {COMMAND} runs lists the newest ones.")


def ambiguous_run(wanted: str, count: int) -> Message:
    """More than one run ends in what was typed."""
    return sentence(f"{count} runs end in {wanted!r}. Please write more of the id; {COMMAND} runs lists them.")


def unknown_subcommand(wanted: str) -> Message:
    """The slash command was followed by something it does not know."""
    known = ", ".join(usage for usage, _ in HELP)
    return sentence(f"{COMMAND} does not know {wanted!r}. It knows: {known}.")


def unknown_agent(wanted: str, known: Sequence[str]) -> Message:
    """The first word of a mention is no playbook or agent and the channel has no default."""
    names = ", ".join(known[:20]) if known else "none are configured yet"
    return sentence(f"I do not know {wanted!r}, so nothing was started. Write @{BOT_NAME} and one of: {names}.")


def nothing_asked(known: Sequence[str]) -> Message:
    """A mention without a word in a channel without a default agent."""
    names = ", ".join(known[:20]) if known else "none are configured yet"
    return sentence(f"What should be done? Write @{BOT_NAME} and one of: {names}.")


def outsider() -> Message:
    """Somebody from another organisation, or a guest."""
    return sentence("Only members of this workspace can start, decide or stop runs. Ask somebody here to do it.")


def stale() -> Message:
    """The button or form no longer stands for anything we know."""
    return sentence("This message is out of date, so nothing has happened. Use the newest card in the thread.")


def too_old(minutes: int) -> Message:
    """A delivery that arrived so late that acting on it could surprise."""
    return sentence(
        f"Your message reached me {minutes} minutes late, so nothing was started. Mention me again if you want it."
    )
