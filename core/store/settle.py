"""Guards, pure: whether a change may land on the row as it is now.

The PostgreSQL statement makes the same comparison in SQL and then asks this module for the reason, so both databases
refuse by the same names.
"""

from collections.abc import Mapping
from typing import Any

from core.record.changes import Answer, Landed, Refused, RunChange


def settle(change: RunChange, row: Mapping[str, Any] | None, *, frozen: bool = False) -> Answer:
    """Decide a change against the locked run row (`version`, `fence`, `lease_owner`, `killed_at`), or `None` if there
    is none.

    Args:
        frozen: Whether an open freeze covers what it would start.
    """
    if row is None:
        return Refused("missing")
    if change.owner is not None:
        if row["killed_at"] is not None:
            return Refused("killed")
        if row["fence"] != change.fence or row["lease_owner"] != change.owner:
            return Refused("fenced")
    if row["version"] != change.version or row["fence"] != change.fence:
        return Refused("stale")
    if frozen:
        return Refused("frozen")
    return Landed(change.version + 1)
