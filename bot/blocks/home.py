"""App Home: what waits for a person, their own runs with their buttons, and how to start one.

The way back to a run whose message was missed or whose channel is gone, and to a question that waits for the reader.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.blocks.approval_card import ballot_value
from bot.blocks.approval_parts import effect
from bot.blocks.elements import (
    Block,
    actions,
    button,
    context,
    divider,
    header,
    line,
    link,
    moment,
    person,
    prose,
    quote,
    rich,
    say,
    word,
)
from bot.blocks.facts import freeze_line
from bot.blocks.lists import AgentLine, how_to_start, run_row
from bot.blocks.run_card import kill_button
from bot.blocks.words import count
from bot.surface import COMMAND, ActionId
from core.ids import short
from core.record.states import TERMINAL
from core.runs.approval_views import ApprovalView, QuestionView
from core.runs.views import FreezeView, RunLine

_RUNS = 20
_QUESTIONS = 10
_FREEZES = 10


@dataclass(frozen=True)
class Waiting:
    """A question that waits for the reader."""

    approval: ApprovalView
    agent: str
    requester: str
    requester_slack: str | None
    permalink: str | None
    """Of its card."""


@dataclass(frozen=True)
class Unanswered:
    """A question of one of the reader's runs, which stands still until it is answered."""

    question: QuestionView
    agent: str


def _decision(each: Waiting) -> list[Block | None]:
    approval = each.approval
    first = line(word("Action: "), say(effect(approval), bold=True, limit=300))
    second = line(
        say(f"{each.agent}, for", limit=80), word(" "), person(each.requester_slack, each.requester),
        word(f" · {len(approval.live)} of {count(approval.quorum, 'approval')} · expires "),
        moment(approval.expires_at_ms),
    )  # fmt: skip
    where = [] if each.permalink is None else [line(link(each.permalink, "Open its card"))]
    buttons = actions(
        button("Details", ActionId.APPROVAL_DETAILS, ballot_value(approval)),
        button("Deny…", ActionId.APPROVAL_DENY, ballot_value(approval), danger=True),
    )
    return [rich(first, second, *where), buttons]


def _question(each: Unanswered) -> list[Block | None]:
    run = word(f" (run {short(each.question.run_id)}) asks, since ")
    first = line(say(each.agent, bold=True, limit=80), run, moment(each.question.asked_at_ms))
    return [
        rich(first, quote(prose(each.question.question, 500))),
        actions(button("Answer…", ActionId.QUESTION_ANSWER, each.question.call_id, primary=True)),
    ]


def _frozen(freezes: Sequence[FreezeView], may_thaw: bool) -> list[Block | None]:
    if not freezes:
        return []
    blocks: list[Block | None] = [header("Frozen"), rich(*(freeze_line(each) for each in freezes[:_FREEZES]))]
    if len(freezes) > _FREEZES:
        blocks.append(context(word(f"… and {count(len(freezes) - _FREEZES, 'more freeze')}")))
    how = f"{COMMAND} thaw {freezes[0].scope}" if may_thaw else "Operators can thaw them."
    words = f"Nothing of this starts until it is thawed: {how}" if may_thaw else f"Nothing of this starts. {how}"
    return [*blocks, context(say(words, limit=200)), divider()]


def home(
    mine: Sequence[RunLine],
    agents: Sequence[AgentLine],
    *,
    now_ms: int,
    waiting: Sequence[Waiting] = (),
    questions: Sequence[Unanswered] = (),
    freezes: Sequence[FreezeView] = (),
    may_thaw: bool = False,
) -> Block:
    """Build the view for `views.publish`.

    Args:
        mine: The reader's runs, newest first.
        agents: What the reader may ask for.
        now_ms: When it was drawn.
        waiting: Questions the reader may decide, the longest waiting first.
        questions: Questions of the reader's own runs, the longest waiting first.
        freezes: What is frozen, the earliest first.
        may_thaw: Whether the reader is an operator.
    """
    blocks: list[Block | None] = [*_frozen(freezes, may_thaw), header("Waiting on me")]
    if not waiting:
        blocks.append(rich(line(word("Nothing waits for your decision."))))
    for each in waiting[:_QUESTIONS]:
        blocks += _decision(each)
    if len(waiting) > _QUESTIONS:
        blocks.append(context(word(f"… and {count(len(waiting) - _QUESTIONS, 'more question')}")))
    if questions:
        blocks += [divider(), header("My questions")]
    for asked in questions[:_QUESTIONS]:
        blocks += _question(asked)
    if len(questions) > _QUESTIONS:
        blocks.append(context(word(f"… and {count(len(questions) - _QUESTIONS, 'more question')}")))
    blocks += [divider(), header("My runs")]
    if not mine:
        blocks.append(rich(line(word("You have not asked for anything yet."))))
    for entry in mine[:_RUNS]:
        blocks.append(rich(run_row(entry, now_ms=now_ms, with_place=True)))
        row = [button("Details", ActionId.RUN_DETAILS, entry.id)]
        if entry.state not in TERMINAL:
            row.insert(0, kill_button(entry.id, entry.agent))
        blocks.append(actions(*row))
    if len(mine) > _RUNS:
        blocks.append(context(word(f"… and {count(len(mine) - _RUNS, 'older run')}")))
    blocks += [divider(), header("Start something"), how_to_start(agents), context(word("As of"), moment(now_ms))]
    return {"type": "home", "blocks": [block for block in blocks if block is not None]}
