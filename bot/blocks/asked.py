"""What is said around a question: to those who may decide, when time runs short, and to whoever asked once decided."""

from bot.blocks.approval_card import Known
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


def approver_dm(ask: AskView, permalink: str | None) -> Message:
    """Tell somebody who may decide that a question waits; it is decided at its card."""
    return _pointer(ask, "You are asked to decide", permalink)


def reminder(ask: AskView, share: int, permalink: str | None) -> Message:
    """Tell them again, when so many percent of the time are over."""
    return _pointer(ask, f"Still undecided, and {share} % of the time is over", permalink)


def decided(ask: AskView, *, known: Known) -> Message:
    """Tell whoever asked what was decided, by whom, and why."""
    approval = ask.approval
    denied = next((vote for vote in approval.votes if vote.decision == "deny" and not vote.taken_back), None)
    to = person(ask.requester_slack, ask.requester)
    sentence = approval.sentence or approval.tool
    if denied is not None:
        first = line(emoji("no_entry"), word(" Denied by "), principal(denied.voter, known), word(" for "), to)
        why = quote(prose(denied.reason, 1_000)) if denied.reason else None
        return message(f"Denied: {sentence}", rich(first, line(say(sentence, limit=300)), *([why] if why else [])))
    leaves = [emoji("white_check_mark"), word(" Approved by ")]
    for number, vote in enumerate(approval.live[:10]):
        leaves += [word(" and ") if number else word(""), principal(vote.voter, known)]
    first = line(*(leaf for leaf in leaves if leaf.get("text") != ""), word(" for "), to)
    return message(f"Approved: {sentence}", rich(first, line(say(sentence, limit=300))))


def _pointer(ask: AskView, title: str, permalink: str | None) -> Message:
    approval = ask.approval
    sentence = approval.sentence or approval.tool
    first = line(emoji("raised_hand"), word(f" {title}: ", bold=True), say(sentence, limit=300))
    second = line(
        word("Asked by "), person(ask.requester_slack, ask.requester), say(f" with {ask.agent}", limit=80), word(".")
    )
    where: list[Block] = []
    if permalink is not None:
        where = [line(link(permalink, "Open the card to read and decide"))]
    return message(
        f"{title}: {sentence}",
        rich(first, second, *where),
        context(word(f"run {short(approval.run_id)} · expires"), moment(approval.expires_at_ms)),
    )
