"""The one message in a channel that is frozen, and the one when it is thawed."""

from bot.blocks.elements import Message, emoji, line, message, moment, principal, rich, say, word
from core.runs.views import FreezeView

_UNDER_WAY = "Nothing asked for here starts until it is thawed; what is under way goes on to its end."


def freeze_said(freeze: FreezeView, *, thawed: bool, reason: str = "") -> Message:
    """Tell a channel that it is frozen, or that it is not any more.

    Args:
        reason: Of the thaw.
    """
    if not thawed:
        why = [word(": "), say(freeze.reason, italic=True, limit=500)] if freeze.reason else [word(".")]
        first = line(
            emoji("snowflake"), word(" "), word("This channel is frozen", bold=True), word(" by "),
            principal(freeze.by), word(" since "), moment(freeze.frozen_at_ms), *why,
        )  # fmt: skip
        return message("This channel is frozen.", rich(first, line(word(_UNDER_WAY))))
    leaves = [emoji("sunny"), word(" "), word("This channel is thawed", bold=True)]
    if freeze.thawed_by is not None and freeze.thawed_at_ms is not None:
        leaves += [word(" by "), principal(freeze.thawed_by), word(", "), moment(freeze.thawed_at_ms)]
    leaves += [word(": "), say(reason, italic=True, limit=500)] if reason else [word(".")]
    return message("This channel is thawed.", rich(line(*leaves), line(word("What no other freeze covers goes on."))))
