"""The form for a denial: it wants the reason, because the run and whoever asked get it."""

import json
from collections.abc import Mapping
from typing import Any

from bot.blocks import bounds
from bot.blocks.approval_card import ballot_value
from bot.blocks.approval_parts import effect
from bot.blocks.elements import line, rich, say, unparsed, word
from bot.surface import CallbackId
from core.ids import short
from core.runs.approval_views import ApprovalView
from core.runs.commands.decide import MOST_REASON

_BLOCK, _FIELD = "reason", "text"
_LEAST_REASON = 3


def deny_modal(approval: ApprovalView) -> dict[str, Any]:
    """Build the form."""
    approval_id, _, action = ballot_value(approval).partition(":")
    return {
        "type": "modal",
        "callback_id": CallbackId.APPROVAL_DENY,
        "title": unparsed("Deny", bounds.VIEW_TITLE),
        "submit": unparsed("Deny", bounds.VIEW_TITLE),
        "close": unparsed("Cancel", bounds.VIEW_TITLE),
        "private_metadata": json.dumps({"approval": approval_id, "action": action}),
        "blocks": [
            rich(
                line(word("Action: "), say(effect(approval), bold=True, limit=400)),
                line(word(f"It will not be done in run {short(approval.run_id)}, and is not asked again there.")),
            ),
            {
                "type": "input",
                "block_id": _BLOCK,
                "label": unparsed("Why not? The requester reads it.", bounds.INPUT_LABEL),
                "element": {
                    "type": "plain_text_input",
                    "action_id": _FIELD,
                    "multiline": True,
                    "min_length": _LEAST_REASON,
                    "max_length": MOST_REASON,
                    "focus_on_load": True,
                },
            },
        ],
    }


def read_reason(view: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """The reason of a submitted form, or what is wrong with it by block."""
    values = (view.get("state") or {}).get("values") or {}
    reason = str(((values.get(_BLOCK) or {}).get(_FIELD) or {}).get("value") or "").strip()
    if len(reason) < _LEAST_REASON:
        return "", {_BLOCK: "Please say why, in a few words."}
    if len(reason) > MOST_REASON:
        return "", {_BLOCK: f"Please say it in at most {MOST_REASON:,} characters; these are {len(reason):,}."}
    return reason, {}
