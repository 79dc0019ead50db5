"""A channel's contract: what holds for the runs that are asked for in it.

It only narrows what holds anyway: whom one may ask for, which tools its runs may call, which places they may reach, how
much each may spend, who may decide what they ask. A part that is left out narrows nothing; an empty list lets nothing
through. A run pins the contract it was accepted under.
Pure: the words come from `core.config`, and where they are enforced is `core.runs.contracts`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from core.actions.envelope import digest
from core.actions.policy import Approvers
from core.budgets import micro_usd

_UNDO = ".undo"
"""What ends the name of the tool that takes another one's effect back; it is let through with that one."""


@dataclass(frozen=True)
class Contract:
    """What one channel's entry in the operator's file says."""

    channel: str
    """As the file names it: `#ops` or an id."""
    agent: str | None = None
    """What a mention runs when it names nothing."""
    agents: tuple[str, ...] | None = None
    tools: tuple[str, ...] | None = None
    """Patterns, as in the policy's rules."""
    budget: str | None = None
    """US dollars as text."""
    approvers: Approvers | None = None
    """Who has to admit whoever decides, beside the policy."""
    network: tuple[str, ...] | None = None
    """Places that tools may reach, written as in the word on a tool."""

    @property
    def budget_micro_usd(self) -> int | None:
        """What one run may spend on models; `None` = nothing is said."""
        return None if self.budget is None else micro_usd(self.budget)

    @cached_property
    def text(self) -> str:
        """As runs pin it: canonical JSON, in which the order of names does not count."""
        return json.dumps(self.to_json(), ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    @cached_property
    def digest(self) -> str:
        """The contract's version."""
        return digest(self.text.encode())

    def to_json(self) -> dict[str, Any]:
        """Every part that is not left out."""
        said: dict[str, Any] = {"channel": self.channel, "agent": self.agent, "budget": self.budget}
        for name, listed in (("agents", self.agents), ("tools", self.tools), ("network", self.network)):
            said[name] = None if listed is None else sorted(set(listed))
        said["approvers"] = None if self.approvers is None else self.approvers.to_json()
        return {name: value for name, value in said.items() if value is not None}

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> "Contract":
        """Read what `to_json` wrote."""
        agents, tools, approvers, network = (body.get(name) for name in ("agents", "tools", "approvers", "network"))
        return cls(
            channel=body["channel"],
            agent=body.get("agent"),
            agents=None if agents is None else tuple(agents),
            tools=None if tools is None else tuple(tools),
            budget=body.get("budget"),
            approvers=None if approvers is None else Approvers.from_json(approvers),
            network=None if network is None else tuple(network),
        )

    def bars_agent(self, agent: str) -> str | None:
        """The sentence why this playbook or agent may not be asked for in the channel; `None` if it may."""
        if self.agents is None or agent in self.agents:
            return None
        return f"`{agent}` may not be asked for in {self._place}: its contract names {_listed(self.agents)}."

    def bars_tool(self, tool: str) -> str | None:
        """The sentence why runs of the channel may not call this tool; `None` if they may."""
        name = tool.removesuffix(_UNDO)
        if self.tools is None or any(fnmatchcase(each, pattern) for each in (tool, name) for pattern in self.tools):
            return None
        return f"{self.subject} does not let its runs use `{tool}`; it names {_listed(self.tools)}."

    @property
    def subject(self) -> str:
        """Begins a sentence: `The contract of #ops`."""
        return f"The contract of {self._place}"

    @property
    def _place(self) -> str:
        return self.channel if self.channel.startswith("#") else "this channel"


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"
