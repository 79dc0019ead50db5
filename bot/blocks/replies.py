"""Replies in the thread of a run: whether one is taken up, asked of its requester; the form that tells a run more."""

import json
from collections.abc import Mapping
from typing import Any

from bot.blocks import bounds
from bot.blocks.approval_parts import Known
from bot.blocks.elements import (
    Message,
    actions,
    button,
    emoji,
    line,
    message,
    person,
    principal,
    prose,
    quote,
    rich,
    say,
    unparsed,
    word,
)
from bot.blocks.words import is_ended
from bot.surface import ActionId, CallbackId
from core.ids import short
from core.runs.views import ReplyView, RunView

MOST_CHARACTERS = 3_000
"""Of the form, which is Slack's bound."""

_BLOCK, _FIELD = "steer", "text"
_SHOWN = 1_500
_TOO_LATE = "Nobody said so before it ended."


def reply_card(reply: ReplyView, view: RunView, known: Known) -> Message:
    """Ask the requester whether what somebody else wrote is taken up; no buttons once that is decided, or too late."""
    names = {view.requester: view.requester_slack, **known}
    first = line(
        emoji("speech_balloon"),
        word(" "),
        person(view.requester_slack, view.requester),
        word(": may "),
        say(view.agent, bold=True, limit=80),
        word(f" (run {short(view.id)}) take up what "),
        person(reply.slack_user, reply.author),
        word(" wrote?"),
    )
    asked = rich(first, quote(prose(reply.text, _SHOWN)))
    if reply.status != "asked":
        words = "Taken up" if reply.status == "taken" else "Left"
        done = rich(line(word(f"{words}, says "), principal(reply.decided_by or "", names)))
        return message(f"{words}: a reply to {view.agent} (run {short(view.id)})", asked, done)
    if is_ended(view):
        return message(f"Too late: a reply to {view.agent} (run {short(view.id)})", asked, rich(line(word(_TOO_LATE))))
    row = [
        button("Take it up", ActionId.REPLY_TAKE, reply.id, primary=True),
        button("Leave it", ActionId.REPLY_LEAVE, reply.id),
    ]
    return message(f"Is a reply to {view.agent} (run {short(view.id)}) taken up?", asked, actions(*row))


def steer_modal(view: RunView) -> dict[str, Any]:
    """Build the form that tells a run more and lets it go on."""
    return {
        "type": "modal",
        "callback_id": CallbackId.RUN_STEER,
        "title": unparsed("Steer", bounds.VIEW_TITLE),
        "submit": unparsed("Go on", bounds.VIEW_TITLE),
        "close": unparsed("Cancel", bounds.VIEW_TITLE),
        "private_metadata": json.dumps({"run": view.id}),
        "blocks": [
            rich(line(say(f"{view.agent} (run {short(view.id)}) goes on, and is told this first.", limit=200))),
            {
                "type": "input",
                "block_id": _BLOCK,
                "label": unparsed("What should it do differently?", bounds.INPUT_LABEL),
                "element": {
                    "type": "plain_text_input",
                    "action_id": _FIELD,
                    "multiline": True,
                    "min_length": 1,
                    "max_length": MOST_CHARACTERS,
                    "focus_on_load": True,
                },
            },
        ],
    }


def read_steer(view: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """The text of a submitted form, or what is wrong with it by block."""
    values = (view.get("state") or {}).get("values") or {}
    text = str(((values.get(_BLOCK) or {}).get(_FIELD) or {}).get("value") or "").strip()
    if not text:
        return "", {_BLOCK: "Please say what it should do differently."}
    if len(text) > MOST_CHARACTERS:
        return "", {_BLOCK: f"Please say it in at most {MOST_CHARACTERS:,} characters; these are {len(text):,}."}
    return text, {}
