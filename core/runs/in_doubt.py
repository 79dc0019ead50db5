"""What is said about a call of which nobody knows whether it ran: what it was, and where to look."""

import json
from collections.abc import Sequence

from core.record.rows import CallRow
from core.runs.stored import Stored

_MOST = 3


def in_doubt(call: CallRow, why: str | None, stored: Sequence[Stored]) -> str:
    """The sentences for the person who looks.

    Args:
        why: How the attempt ended, as far as that is known.
        stored: The files it left behind.
    """
    because = (why or "its outcome was lost").rstrip(".")
    said = [f"`{call.tool}` in step `{call.step}` may or may not have run: {because}."]
    if stored:
        said.append(f"It left {_listed([item.name for item in stored])}.")
    said.append(f"Look at {_where(call)}, then say whether it ran, or stop this run. If it did not, it is asked anew.")
    return " ".join(said)


def _where(call: CallRow) -> str:
    """Where an effect would be found, by its stored action."""
    action = json.loads(call.envelope)
    places = _listed(action.get("network") or [])
    environment = action.get("environment", "default")
    at = places or "what it works on"
    return at if environment == "default" else f"{at} ({environment})"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ", ".join(names[:_MOST]) + more
