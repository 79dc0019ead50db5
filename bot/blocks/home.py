"""App Home: a person's own runs with their buttons, and how to start one.

The way back to a run whose message was missed or whose channel is gone. Later parts add what waits on the reader.
"""

from collections.abc import Sequence

from bot.blocks.elements import Block, actions, button, context, divider, header, line, moment, rich, word
from bot.blocks.lists import AgentLine, how_to_start, run_row
from bot.blocks.run_card import kill_button
from bot.blocks.words import count
from bot.surface import ActionId
from core.record.states import TERMINAL
from core.runs.views import RunLine

_RUNS = 20


def home(mine: Sequence[RunLine], agents: Sequence[AgentLine], *, now_ms: int) -> Block:
    """Build the view for `views.publish`.

    Args:
        mine: The reader's runs, newest first.
        agents: What the reader may ask for.
        now_ms: When it was drawn.
    """
    blocks: list[Block] = [header("My runs")]
    if not mine:
        blocks.append(rich(line(word("You have not asked for anything yet."))))
    for entry in mine[:_RUNS]:
        blocks.append(rich(run_row(entry, now_ms=now_ms, with_place=True)))
        row = [button("Details", ActionId.RUN_DETAILS, entry.id)]
        if entry.state not in TERMINAL:
            row.insert(0, kill_button(entry.id, entry.agent))
        if (buttons := actions(*row)) is not None:
            blocks.append(buttons)
    if len(mine) > _RUNS:
        blocks.append(context(word(f"… and {count(len(mine) - _RUNS, 'older run')}")))
    blocks += [divider(), header("Start something"), how_to_start(agents), context(word("As of"), moment(now_ms))]
    return {"type": "home", "blocks": blocks}
