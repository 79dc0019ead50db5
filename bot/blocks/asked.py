"""What is said around a question: to those who may decide, when time runs short, and to whoever asked once decided."""

from bot.blocks.approval_parts import TITLES, Known, effect
from bot.blocks.elements import (
    Block,
    Message,
    context,
    emoji,
    line,
    link,
    message,
    moment,
    person,
    principal,
    prose,
    quote,
    rich,
    say,
    word,
)
from core.ids import short
from core.runs.approval_views import AskView

_NAMES = 10


def approver_dm(ask: AskView, permalink: str | None) -> Message:
    """Tell somebody who may decide that a question waits; it is decided at its card."""
    return _pointer(ask, "You are asked to decide", permalink)


def reminder(ask: AskView, share: int, permalink: str | None) -> Message:
    """Tell them again, when so many percent of the time are over."""
    return _pointer(ask, f"Still undecided, and {share} % of the time is over", permalink)


def decided(ask: AskView, *, known: Known) -> Message:
    """Tell whoever asked what was decided, by whom, and why; as it is when this is sent."""
    approval = ask.approval
    to = person(ask.requester_slack, ask.requester)
    action = line(word("Action: "), say(effect(approval), limit=300))
    denied = next((vote for vote in approval.votes if vote.decision == "deny" and not vote.taken_back), None)
    if denied is not None:
        first = line(emoji("no_entry"), word(" Denied by "), principal(denied.voter, known), word(" for "), to)
        why = [line(word("Because:")), quote(prose(denied.reason, 1_000))] if denied.reason else []
        return message(f"Denied: {effect(approval)}", rich(first, action, *why))
    if len(approval.live) < approval.quorum or not approval.live:
        text = "An approval was taken back, so this is not approved any more"
        return message(f"{text}: {effect(approval)}", rich(line(word(f"{text}. For "), to), action))
    leaves = [emoji("white_check_mark"), word(" Approved by ")]
    for number, vote in enumerate(approval.live[:_NAMES]):
        leaves += [*([word(", ")] if number else []), principal(vote.voter, known)]
    if approval.status not in ("approved", "consumed"):
        leaves.append(word(f", but {TITLES[approval.status][1].lower()} since"))
    return message(f"Approved: {effect(approval)}", rich(line(*leaves, word(" for "), to), action))


def _pointer(ask: AskView, title: str, permalink: str | None) -> Message:
    approval = ask.approval
    first = line(emoji("raised_hand"), word(f" {title}: ", bold=True), say(effect(approval), limit=300))
    second = line(
        word("Asked by "),
        person(ask.requester_slack, ask.requester),
        word(" with "),
        say(ask.agent, limit=80),
        word("."),
    )
    where: list[Block] = []
    if permalink is not None:
        where = [line(link(permalink, "Open the card to read and decide"))]
    return message(
        f"{title}: {effect(approval)}",
        rich(first, second, *where),
        context(word(f"run {short(approval.run_id)} · expires"), moment(approval.expires_at_ms)),
    )
