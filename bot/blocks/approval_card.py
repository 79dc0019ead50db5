"""The card on which an action is decided: the exact action in a box of its own, and around it what people need to know.

The box holds the text of the action and nothing else, whole or, when it is too long for a card, its beginning with a
mark outside of it; then there is no Approve here. Words of tools and agents stand below, as quotations. What may be
clicked is checked when it is clicked; a card only offers it.
"""

from bot.blocks import bounds
from bot.blocks.approval_parts import (
    FROZEN,
    Known,
    agents_words,
    changes,
    digits,
    effect,
    facts,
    standing,
    title_of,
    votes,
    warnings,
    who,
)
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
    rich,
    say,
    word,
)
from bot.blocks.text import cut, length
from bot.blocks.words import count
from bot.surface import ActionId
from core.actions.shown import MAX_INLINE
from core.ids import short
from core.runs.approval_views import ApprovalView, AskView

CHUNK = 2_800
"""Characters of the box in one piece of a card or a page."""
CHUNKS_ON_A_PAGE = 3

_LEFT_OPEN = {
    "superseded": "What was approved or asked is no longer what would run. Decide on the newer card.",
    FROZEN: "An operator has frozen this run; its card says who and why. Denying still counts. The time to decide goes "
    "on when it is thawed.",
}


def ballot_value(approval: ApprovalView) -> str:
    """What a button of this question carries: its id, and the beginning of the action's digest."""
    return f"{approval.id}:{digits(approval)}"


def read_ballot(value: str) -> tuple[str, str] | None:
    """The id and the digest's beginning; `None` if a value is neither."""
    approval_id, colon, beginning = value.partition(":")
    return (approval_id, beginning) if colon and approval_id and beginning else None


def approval_card(ask: AskView, known: Known, *, now_ms: int) -> Message:
    """Draw the card of a question as it stands now.

    Args:
        now_ms: Wall clock; only whether the time to decide is over depends on it.
    """
    approval = ask.approval
    status = standing(ask, now_ms)
    symbol, title = title_of(status)
    sentence = effect(approval)
    shown, rest = _box(ask)
    return message(
        f"{title}: {sentence} ({ask.agent}, run {short(approval.run_id)})",
        header(title),
        rich(line(emoji(symbol), word(" Action: "), say(sentence, bold=True, limit=400))),
        warnings(ask),
        rich(line(word("Exactly this:", bold=True)), shown),
        rest,
        changes(ask),
        agents_words(ask),
        who(ask, known),
        facts(ask),
        votes(approval, known),
        context(word(_LEFT_OPEN[status])) if status in _LEFT_OPEN else None,
        actions(*_buttons(ask, status)),
    )


def page_count(ask: AskView) -> int:
    """Pages of the whole action."""
    return -(-len(ask.box.pages(CHUNK)) // CHUNKS_ON_A_PAGE)


def is_inline(ask: AskView) -> bool:
    """Whether the card holds the whole action, so that it can be decided there."""
    return length(ask.box.text) <= MAX_INLINE


def _buttons(ask: AskView, status: str) -> list[Block]:
    """What may be clicked. A closed card offers nothing to decide; what it cannot show whole stays readable."""
    value = ballot_value(ask.approval)
    row = []
    if status in ("pending", FROZEN):
        if is_inline(ask) and status == "pending":
            row.append(_approve(ask, value))
        row.append(button("Deny…", ActionId.APPROVAL_DENY, value, danger=True))
    if not is_inline(ask):
        label = f"Details: read all of it ({count(page_count(ask), 'page')})"
        row.append(button(label, ActionId.APPROVAL_DETAILS, value))
    elif status in ("pending", FROZEN):
        row.append(button("Details", ActionId.APPROVAL_DETAILS, value))
    if ask.approval.live and status in ("pending", "approved", FROZEN):
        row.append(button("Take back my vote", ActionId.APPROVAL_TAKE_BACK, value))
    return row


def _approve(ask: AskView, value: str) -> Block:
    question = confirmation(
        "Approve exactly this?",
        f"{cut(effect(ask.approval), 150)}. It runs once, as the card shows it, for "
        f"{cut(ask.agent, 40)} (run {short(ask.approval.run_id)}).",
        "Approve",
        "Not yet",
        danger=False,
    )
    return button("Approve", ActionId.APPROVAL_APPROVE, value, primary=True, confirm=question)


def _box(ask: AskView) -> tuple[Block, Block | None]:
    if is_inline(ask):
        return exact(ask.box.text), None
    more = f"This is the beginning; it continues. Details shows all of it ({count(page_count(ask), 'page')})"
    return exact(ask.box.pages(MAX_INLINE)[0]), context(word(f"{more}, and Approve at its end."))


assert MAX_INLINE <= CHUNK <= bounds.SECTION_TEXT
