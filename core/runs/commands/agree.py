"""Accepting contracts of channels: an operator accepts what the file says now; a first one is taken as accepted.

Each version is a row whose number is one more than the last one's, so of two who accept at once one is refused: what
they looked at is not what is accepted any more.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from core.actions.agreed import BESIDE, FIRST, Agreed, standing
from core.actions.contract import Contract
from core.principals import Actor, Principal
from core.record.changes import Insert, Refusal
from core.runs.commands.request import Pinned
from core.store.agreements import GONE


@dataclass(frozen=True)
class Agreement:
    """A new version, as the rows that say it, and what the person is told."""

    inserts: tuple[Insert, ...]
    """The last one lands unless somebody was faster."""
    text: str


def may_accept(by: Principal) -> Refusal | None:
    """Who may accept a contract: operators of this house."""
    if by.external or not by.is_operator:
        return Refusal("not-allowed", "Only an operator can accept the contract of a channel. Ask one of them.")
    return None


def accept(
    channel: str, written: Contract | None, seen: Agreed | None, *, tenant: str, by: Principal, now_ms: int
) -> Agreement | Refusal:
    """Accept what the file says of a channel, if `by` may and it is not accepted already.

    Args:
        written: As `by` was shown it; `None` = that the channel has no contract any more.
        seen: What was accepted until then, as it was compared with.
    """
    if (refusal := may_accept(by)) is not None:
        return refusal
    match standing(written, seen):
        case None:
            return Refusal("not-found", f"{channel} has no contract, neither in the file nor accepted.")
        case "accepted" if seen is not None and seen.by not in (FIRST, BESIDE):
            return Refusal("already", f"The contract of {channel} is accepted as it is, by {seen.by}.")
        case _:
            text = f"The contract of {channel} is accepted; it holds for runs that are asked for from now on."
            if written is None:
                text = f"It is accepted that {channel} has no contract any more."
            return _version(channel, written, seen, tenant, Actor.of(by).id, now_ms, text)


def first(
    channel: str, written: Contract, agreed: Mapping[str, Agreed], *, tenant: str, now_ms: int
) -> Agreement | None:
    """Take a contract of a channel that had none as accepted; `None` if it had one."""
    seen = agreed.get(channel)
    if standing(written, seen) != "new":
        return None
    named = any(name.startswith("#") and each.contract is not None for name, each in agreed.items())
    by = BESIDE if named and not channel.startswith("#") else FIRST
    return _version(channel, written, seen, tenant, by, now_ms, "")


def _version(
    channel: str, written: Contract | None, seen: Agreed | None, tenant: str, by: str, now_ms: int, text: str
) -> Agreement:
    row = {
        "tenant": tenant,
        "channel": channel,
        "version": 1 if seen is None else seen.version + 1,
        "digest": GONE if written is None else written.digest,
        "changed_by": by,
        "at": now_ms,
    }
    inserts = [Insert("contracts", row)]
    if written is not None:
        body = Pinned("contract", written.text)
        document = {"tenant": tenant, "digest": body.digest, "kind": body.kind, "body": body.body, "created_at": now_ms}
        inserts.insert(0, Insert("documents", document))
    return Agreement(tuple(inserts), text)
