"""The card on which an action is decided: the exact action in a box of its own, and around it what people need to know.

The box holds the text of the action and nothing else, whole or, when it is too long for a card, its beginning with a
mark outside of it; then there is no Approve here. Words of tools and agents stand below, as quotations. What may be
clicked is checked when it is clicked; a card only offers it.
"""

from collections.abc import Mapping

from bot.blocks import bounds
from bot.blocks.elements import (
    Block,
    Message,
    actions,
    button,
    confirmation,
    context,
    emoji,
    exact,
    header,
    line,
    message,
    moment,
    principal,
    quote,
    rich,
    say,
    word,
)
from bot.blocks.text import length
from bot.blocks.words import count
from bot.surface import ActionId
from core.actions.shown import MAX_INLINE
from core.ids import short
from core.runs.approval_views import ApprovalView, AskView, VoteView

CHUNK = 2_800
"""Characters of the box in one piece of a card or a page."""
CHUNKS_ON_A_PAGE = 3

Known = Mapping[str, str | None]
"""Slack users of people, by principal."""

TITLES: Mapping[str, tuple[str, str]] = {
    "pending": ("raised_hand", "Approval needed"),
    "approved": ("white_check_mark", "Approved"),
    "consumed": ("white_check_mark", "Approved and started"),
    "denied": ("no_entry", "Denied"),
    "expired": ("hourglass", "Expired"),
    "revoked": ("heavy_minus_sign", "Withdrawn"),
    "superseded": ("recycle", "Stale: asked anew"),
}
"""Emoji and words of each status."""

_CHANGED = 6
_LEFT_OPEN = {"superseded": "What was approved or asked is no longer what would run. Decide on the newer card."}


def ballot_value(approval: ApprovalView) -> str:
    """What a button of this question carries: its id, and the beginning of the action's digest."""
    return f"{approval.id}:{_digits(approval)}"


def read_ballot(value: str) -> tuple[str, str] | None:
    """The id and the digest's beginning; `None` if a value is neither."""
    approval_id, colon, digits = value.partition(":")
    return (approval_id, digits) if colon and approval_id and digits else None


def approval_card(ask: AskView, known: Known, *, now_ms: int) -> Message:
    """Draw the card of a question as it stands now."""
    approval = ask.approval
    symbol, title = TITLES[approval.status]
    pages = page_count(ask)
    shown, rest = _box(ask, pages)
    sentence = approval.sentence or f"{approval.tool} in step {approval.title}"
    return message(
        f"{title}: {sentence} ({ask.agent}, run {short(approval.run_id)})",
        header(f"{title}"),
        rich(line(emoji(symbol), word(" "), say(sentence, bold=True, limit=400))),
        warnings(ask),
        rich(line(word("Exactly this:", bold=True)), shown),
        rest,
        changes(ask),
        agents_words(ask),
        who(ask, known),
        facts(ask),
        votes(approval, known),
        _note(approval),
        actions(*buttons(ask, pages)),
    )


def page_count(ask: AskView) -> int:
    """Pages of the whole action."""
    return -(-len(ask.box.pages(CHUNK)) // CHUNKS_ON_A_PAGE)


def buttons(ask: AskView, pages: int) -> list[Block]:
    """What may be clicked while the question is open."""
    approval, value = ask.approval, ballot_value(ask.approval)
    row = []
    if approval.status == "pending":
        if length(ask.box.text) <= MAX_INLINE:
            row.append(_approve(ask, value))
        row.append(button("Deny…", ActionId.APPROVAL_DENY, value, danger=True))
    label = "Details" if length(ask.box.text) <= MAX_INLINE else f"Details: read all of it ({count(pages, 'page')})"
    row.append(button(label, ActionId.APPROVAL_DETAILS, value))
    if approval.live and approval.status in ("pending", "approved"):
        row.append(button("Take back my vote", ActionId.APPROVAL_TAKE_BACK, value))
    return row


def _approve(ask: AskView, value: str) -> Block:
    question = confirmation(
        "Approve exactly this?",
        f"{(ask.approval.sentence or ask.approval.tool)[:150]}. It runs once, as the card shows it, for "
        f"{ask.agent[:40]} (run {short(ask.approval.run_id)}).",
        "Approve",
        "Not yet",
        danger=False,
    )
    return button("Approve", ActionId.APPROVAL_APPROVE, value, primary=True, confirm=question)


def _box(ask: AskView, pages: int) -> tuple[Block, Block | None]:
    chunks = ask.box.pages(CHUNK)
    if length(ask.box.text) <= MAX_INLINE:
        return exact(chunks[0]), None
    more = f"This is the beginning. Details shows all of it ({count(pages, 'page')}), and Approve at its end."
    return exact(ask.box.pages(MAX_INLINE)[0]), context(word(more))


def warnings(ask: AskView) -> Block | None:
    """What deserves a second look."""
    if not ask.box.warnings:
        return None
    return rich(*(line(emoji("warning"), word(" "), say(text, bold=True)) for text in ask.box.warnings))


def changes(ask: AskView) -> Block | None:
    """What differs from the question this one replaces."""
    if ask.replaces is None:
        return None
    rows = [line(word("Asked anew. What changed:", bold=True))]
    for change in ask.changed[:_CHANGED]:
        before, after = change.before or "nothing", change.after or "nothing"
        rows.append(
            line(word("• "), say(change.path, code=True, limit=120), word(": "), say(before, code=True, limit=160))
        )
        rows.append(line(word("  now "), say(after, code=True, limit=160)))
    if len(ask.changed) > _CHANGED:
        rows.append(line(word(f"… and {count(len(ask.changed) - _CHANGED, 'more difference')}")))
    if not ask.changed:
        rows.append(line(word("nothing but the time: the question before was not decided")))
    return rich(*rows)


def agents_words(ask: AskView) -> Block:
    """What the plan calls it: somebody else's words."""
    return rich(line(word(f"In the words of {'its plan'}:")), quote(say(ask.approval.title, limit=300)))


def who(ask: AskView, known: Known) -> Block:
    """Who asks, who may decide, and how many of them."""
    approval = ask.approval
    names = sorted(approval.approvers.principals)
    leaves = [word(f"{count(approval.quorum, 'approval')} needed, "), word(f"{len(approval.live)} given. ")]
    leaves += [word("By ")]
    if approval.approvers.roles:
        leaves.append(word("anybody with the role "))
        leaves.append(say(" or ".join(sorted(approval.approvers.roles)), bold=True, limit=120))
    for number, name in enumerate(names[:10]):
        leaves += [word(", " if number or approval.approvers.roles else ""), principal(name, known)]
    if not approval.approvers.roles and not names:
        leaves.append(word("nobody: the policy names no approver"))
    if not approval.self_ok:
        leaves.append(word("; not by "))
        leaves.append(principal(ask.requester, {ask.requester: ask.requester_slack}))
        leaves.append(word(", who asked"))
    return rich(line(*leaves))


def facts(ask: AskView) -> Block:
    """Tier, rule, digest, run and expiry in small print."""
    approval = ask.approval
    return context(
        word(f"{approval.tier} · rule {approval.rule} · action {_digits(approval)} · run {short(approval.run_id)}"),
        word("· expires"),
        moment(approval.expires_at_ms),
    )


def votes(approval: ApprovalView, known: Known) -> Block | None:
    """Who has decided what, and when."""
    if not approval.votes:
        return None
    return rich(*(_vote(vote, known) for vote in approval.votes[:20]))


def _vote(vote: VoteView, known: Known) -> Block:
    done = "took the vote back" if vote.taken_back else "approved" if vote.decision == "approve" else "denied"
    leaves = [principal(vote.voter, known), word(f" {done} "), moment(vote.at_ms)]
    if vote.via:
        leaves.append(say(f" via {vote.via}", limit=100))
    if vote.reason:
        leaves += [word(": "), say(vote.reason, italic=True, limit=300)]
    return line(*leaves)


def _note(approval: ApprovalView) -> Block | None:
    text = _LEFT_OPEN.get(approval.status)
    return None if text is None else context(word(text))


def _digits(approval: ApprovalView) -> str:
    return approval.digest.removeprefix("sha256:")[:16]


assert CHUNK <= bounds.SECTION_TEXT
