"""A whole action, page by page: every character of it, and Approve on the last page only.

The form carries what it showed; that every page was opened is known from what the server wrote down, not from here.
"""

import json
from typing import Any

from bot.blocks import bounds
from bot.blocks.approval_card import CHUNK, CHUNKS_ON_A_PAGE, ballot_value, page_count
from bot.blocks.approval_parts import (
    Known,
    agents_words,
    changes,
    effect,
    facts,
    standing,
    title_of,
    votes,
    warnings,
    who,
)
from bot.blocks.elements import Block, actions, button, context, exact, line, rich, say, unparsed, word
from bot.surface import ActionId, CallbackId
from core.runs.approval_views import AskView

__all__ = ["approval_pages", "page_count"]

_VOTES = 20


def approval_pages(ask: AskView, page: int, *, may_decide: bool, known: Known, now_ms: int) -> dict[str, Any]:
    """Build one page, from 1; a number out of range is the nearest page.

    Args:
        may_decide: Whether the reader may approve; then the last page offers it while the question is open.
        now_ms: Wall clock; only whether the time to decide is over depends on it.
    """
    approval, pages = ask.approval, page_count(ask)
    page = min(max(page, 1), pages)
    first = (page - 1) * CHUNKS_ON_A_PAGE
    everything = ask.box.pages(CHUNK)
    status = standing(ask, now_ms)
    blocks: list[Block | None] = []
    if page == 1:
        sentence = line(word("Action: "), say(effect(approval), bold=True, limit=400))
        blocks += [rich(sentence), warnings(ask), who(ask, known), facts(ask)]
        blocks += [changes(ask), votes(approval, known, most=_VOTES), agents_words(ask)]
    blocks.append(context(word(f"{title_of(status)[1]}. Page {page} of {pages}, exactly as it is stored:")))
    for at, chunk in enumerate(everything[first : first + CHUNKS_ON_A_PAGE], first):
        if at and not everything[at - 1].endswith("\n"):
            # Otherwise a long line could be made to look as if another one began here.
            blocks.append(context(word("… the line before goes on:")))
        blocks.append(rich(exact(chunk)))
    value = ballot_value(approval)
    row = [button("Back", ActionId.APPROVAL_BACK, value)] if page > 1 else []
    row += [button("Next page", ActionId.APPROVAL_NEXT, value, primary=True)] if page < pages else []
    blocks.append(actions(*row))
    view: dict[str, Any] = {
        "type": "modal",
        "callback_id": CallbackId.APPROVAL_PAGES,
        "title": unparsed("The exact action", bounds.VIEW_TITLE),
        "close": unparsed("Close", bounds.VIEW_TITLE),
        "private_metadata": json.dumps(
            {
                "approval": approval.id,
                "action": value.partition(":")[2],
                "page": page,
                "pages": pages,
                "seen": ask.box.digest,
            }
        ),
        "blocks": [block for block in blocks if block is not None],
    }
    if page == pages and may_decide and status == "pending":
        view["submit"] = unparsed("Approve", bounds.VIEW_TITLE)
    return view
