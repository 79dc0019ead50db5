"""The private answers of `/banksman`: a list of runs, one run, help.

Only what works is listed; each line of help is a command the listeners answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.blocks.elements import Block, Message, context, emoji, line, message, place, rich, say, word
from bot.blocks.run_card import run_card
from bot.blocks.words import REASON_WORDS, STATE_WORDS, ago, count, money, title
from bot.surface import BOT_NAME, COMMAND
from core.ids import short
from core.record.states import BlockedReason
from core.runs.views import RunLine, RunView

_RUNS = 25
_LOOP = "it goes round in circles, or has asked as often as it may"
"""A line does not know which; the run's card does."""

HELP: tuple[tuple[str, str], ...] = (
    ("runs", "the newest runs of this workspace"),
    ("show RUN", "one run, with its buttons"),
    ("kill RUN", "stop a run; add a reason if you like"),
    ("replies RUN off|ask|auto", "whose replies in its thread a run takes up: nobody's, yours, everybody's"),
    ("freeze SCOPE", "operators: nothing it covers starts; add a reason if you like"),
    ("thaw SCOPE", "operators: what was frozen goes on"),
    ("help", "this list"),
)
"""Sub-commands of the slash command and what they do."""


@dataclass(frozen=True)
class AgentLine:
    """An agent or playbook people can ask for."""

    name: str
    description: str = ""


def runs(lines: Sequence[RunLine], *, now_ms: int) -> Message:
    """List runs, newest first as given."""
    if not lines:
        return message("No runs yet.", rich(line(word(f"No runs yet. Mention @{BOT_NAME} in a channel to start one."))))
    rows = [run_row(entry, now_ms=now_ms, with_place=True) for entry in lines[:_RUNS]]
    left = len(lines) - _RUNS
    return message(
        f"{count(len(lines), 'run')}",
        rich(*rows),
        context(word(f"… and {count(left, 'older run')}")) if left > 0 else None,
        context(word(f"{COMMAND} show RUN for one of them; the last six characters of its id are enough.")),
    )


def run_row(entry: RunLine, *, now_ms: int, with_place: bool) -> Block:
    """One run as one line."""
    symbol, words = STATE_WORDS[entry.state]
    leaves = [
        emoji(symbol),
        word(" "),
        say(short(entry.id), code=True),
        word(" "),
        say(title(entry.agent, entry.rolls_back), bold=True, limit=60),
        word(f" · {words}"),
    ]
    if entry.blocked_reason is not None:
        is_loop = entry.blocked_reason is BlockedReason.LOOP
        leaves.append(word(f": {_LOOP if is_loop else REASON_WORDS[entry.blocked_reason][0]}"))
    elif entry.frozen:
        leaves.append(word(" · frozen"))
    leaves.append(word(f" · {ago(entry.updated_at_ms, now_ms)}"))
    if entry.cost_micro_usd > 0:
        leaves.append(word(f" · {money(entry.cost_micro_usd)}"))
    if with_place and entry.channel is not None:
        leaves += [word(" · "), place(entry.channel)]
    return line(*leaves)


def show(view: RunView, *, now_ms: int) -> Message:
    """Answer `show`: the run's card, buttons included, for one reader; it does not update itself."""
    card = run_card(view, now_ms=now_ms)
    note = context(word("As of now; the run's thread has the card that keeps itself up to date."))
    return Message(text=card.text, blocks=(*card.blocks, note))


def help_text(agents: Sequence[AgentLine]) -> Message:
    """Answer `help`: how to ask for a run, and the sub-commands."""
    rows = [line(word(f"{COMMAND} {usage}", bold=True), word(f" — {what}")) for usage, what in HELP]
    return message("How to use Banksman", how_to_start(agents), rich(*rows), context(word(_STOPPING)))


_STOPPING = "To stop a run: the Kill button on its card, or the kill command with its id."


def how_to_start(agents: Sequence[AgentLine], limit: int = 15) -> Block:
    """Say how to ask for a run and who can be asked."""
    rows = [
        line(
            word("Mention "),
            word(f"@{BOT_NAME}", bold=True),
            word(" in a channel, with the name of a playbook or agent and what you want. Attach the files it needs."),
        )
    ]
    for agent in agents[:limit]:
        leaves = [word("• "), word(f"@{BOT_NAME} ", bold=True), say(agent.name, bold=True, limit=60)]
        if agent.description:
            leaves += [word(" — "), say(agent.description, limit=160)]
        rows.append(line(*leaves))
    if len(agents) > limit:
        rows.append(line(word(f"… and {len(agents) - limit} more")))
    if not agents:
        rows.append(
            line(word("Nothing can be asked for yet: an administrator has to add a playbook to the configuration."))
        )
    return rich(*rows)
