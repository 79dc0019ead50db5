"""Who may decide on an action, and when enough of them have: the rules of votes, pure.

Fails closed: an empty set of approvers admits nobody, guests never decide, the requester never does unless the rule
says so and the effect can be undone, and only votes of people who may vote now count.
"""

import json
from collections.abc import Iterable, Mapping

from core.actions.policy import Approvers
from core.principals import Principal

CLOSED = frozenset({"denied", "expired", "revoked", "superseded", "consumed"})
"""Statuses of an approval that nothing changes any more."""


def why_not(
    voter: Principal, *, approvers: Approvers, requester: str, authors: Iterable[str], self_ok: bool
) -> str | None:
    """The sentence that tells somebody why they may not decide; `None` if they may.

    Args:
        authors: Principals whose messages are input of the run.
    """
    if voter.external:
        return "Guests and people from other organisations cannot decide here."
    if voter.id == requester and not self_ok:
        return f"You asked for this run, so somebody else has to decide what it may do. {who_may(approvers)}"
    if not approvers.admits(voter.id, voter.roles):
        return f"You cannot decide this. {who_may(approvers)}"
    if voter.id in set(authors) and not self_ok:
        return "Your message is part of what this run works from, so somebody else has to decide."
    return None


def who_may(approvers: Approvers) -> str:
    """Say who may decide, for people."""
    roles = sorted(approvers.roles)
    names = sorted(approvers.principals)
    parts = [f"people with the role {' or '.join(roles)}"] if roles else []
    parts += [" and ".join(names)] if names else []
    if not parts:
        return "The policy names nobody who may; the operator has to change it."
    if approvers.within is not None:
        also = f"as far as the channel's contract admits them. {who_may(approvers.within)}"
        return f"It is for {', and '.join(parts)}, {also}"
    return f"It is for {', and '.join(parts)}."


def approvers_of(text: str) -> Approvers:
    """Read the set an approval was asked of."""
    found: Mapping[str, list[str]] = json.loads(text)
    return Approvers.from_json(found)
