"""What holds right now: the policy, and every tool with the operator's word on it.

The operator may change the file while runs are under way. Everything a slice decides in one commit it decides by one
rulebook; a run pins the policy it was decided by, and is pinned again when that changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.actions.contract import Contract
from core.actions.policy import Policy
from core.runs.commands.request import Pinned
from core.runs.toolbox import Toolbox


@dataclass(frozen=True)
class Rulebook:
    """One state of the operator's word."""

    pinned: Pinned
    policy: Policy
    toolbox: Toolbox
    roles: Mapping[str, frozenset[str]]
    """Of the people the operator names; for votes from a command line, which Slack knows nothing of."""
    contracts: Mapping[str, Contract] = field(default_factory=dict)
    """Of channels, by `#name` or id as the file has them."""

    def contract(self, channel: str | None, pinned: str | None) -> Contract | None:
        """What a channel's contract says now.

        Args:
            channel: Its id; `None` = no channel.
            pinned: By what name the run's own contract was found: only the bot can ask Slack for a channel's name.
        """
        found = None if channel is None else self.contracts.get(channel)
        return found if found is not None or pinned is None else self.contracts.get(pinned)
