"""Which contract of a channel holds: the one in the operator's file, as far as it is within the one that was accepted.

A channel's first contract narrows what held before it, which was everything, so it is taken as accepted when the bot
sees it first. What has become narrower since holds at once. What has become wider, or is gone, holds once an operator
has accepted it. Pure; accepted contracts are rows (`core.store.agreements`), why is in docs/decisions/0015.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from core.actions.contract import Contract
from core.actions.narrowing import both, wider

FIRST = "system:first"
"""Who accepted a contract that nobody had to accept."""
BESIDE = "system:beside"
"""The same, for one by id that was written when others stood by name already: it may be of a channel that has one."""

Standing = Literal["accepted", "within", "wider", "removed", "new"]
"""`within`: another one, which holds, for it lets nothing through that the accepted one does not."""


@dataclass(frozen=True)
class Agreed:
    """What was accepted last for one channel."""

    channel: str
    """As the file names it: `#ops` or an id."""
    version: int
    """Counts from 1."""
    contract: Contract | None
    """`None` = that it has none any more."""
    by: str
    """An operator, `FIRST` or `BESIDE`."""
    at_ms: int


def held(written: Contract | None, agreed: Agreed | None) -> Contract | None:
    """What holds in a channel by one of its names.

    Args:
        written: What the file says.
        agreed: What was accepted; `None` = nobody has seen one yet.
    """
    accepted = None if agreed is None else agreed.contract
    if written is None or accepted is None:
        return accepted if written is None else written
    return both(written, accepted)


def in_channel(
    channel: str, name: str, written: Mapping[str, Contract], agreed: Mapping[str, Agreed]
) -> Contract | None:
    """What holds in a channel that may be written by id, by name, or by both.

    The id counts. One that was written later than names were counts together with the name's until an operator has
    accepted it: otherwise another spelling of the channel would undo what was agreed on.

    Args:
        name: `#ops`; just `#` where it is not known.
    """
    by_id, by_name = (held(written.get(each), agreed.get(each)) for each in (channel, name))
    if by_id is None or by_name is None:
        return by_name if by_id is None else by_id
    alone = agreed[channel].by != BESIDE if channel in agreed else name not in agreed
    return by_id if alone else both(by_id, by_name)


def standing(written: Contract | None, agreed: Agreed | None) -> Standing | None:
    """How the file's contract of a channel stands to the accepted one; `None` = there is neither."""
    accepted = None if agreed is None else agreed.contract
    if written is None:
        return None if accepted is None else "removed"
    if accepted is None:
        return "new"
    if wider(written, accepted):
        return "wider"
    return "accepted" if written.digest == accepted.digest else "within"


def waits(written: Contract | None, agreed: Agreed | None) -> str | None:
    """The sentence on what an operator would have to accept; `None` if the file holds as it is."""
    channel = agreed.channel if agreed is not None else ""
    remedy = f'The accepted one holds until an operator says `banksman channel accept "{channel}"`.'
    match standing(written, agreed):
        case "removed":
            return f"The contract of {channel} is not in the file any more. {remedy}"
        case "wider":
            assert written is not None and agreed is not None and agreed.contract is not None
            parts = ", ".join(f"`{each}`" for each in wider(written, agreed.contract))
            return f"The contract of {channel} is wider in the file than the accepted one ({parts}). {remedy}"
        case _:
            return None


def all_waits(written: Mapping[str, Contract], agreed: Mapping[str, Agreed]) -> list[str]:
    """Every such sentence, by channel."""
    found = [waits(written.get(name), agreed.get(name)) for name in sorted({*written, *agreed})]
    return [each for each in found if each is not None]


def all_standings(written: Mapping[str, Contract], agreed: Mapping[str, Agreed]) -> dict[str, Standing]:
    """How each channel stands that has, or had, a contract."""
    found = {name: standing(written.get(name), agreed.get(name)) for name in sorted({*written, *agreed})}
    return {name: each for name, each in found.items() if each is not None}
