"""With which limits a run is accepted, from what the operator's file says of everything and of this one agent,
and the channel's contract."""

from core.actions.contract import Contract
from core.config.load import Config, PlaybookSource
from core.planners.agents import AgentSpec, read_agent
from core.runs.allowance import UNITS
from core.runs.commands.request import Limits
from core.runs.mind import KIND


def limits_of(config: Config, source: PlaybookSource, contract: Contract | None = None) -> Limits:
    """Caps of a run of this playbook or agent, in a channel with this contract."""
    steps, time_ms = config.limits.steps, config.limits.run_time_ms
    if source.kind != KIND:
        return Limits(steps, time_ms)
    return limits_for(
        read_agent(source.text), steps, time_ms, most=None if contract is None else contract.budget_micro_usd
    )


def limits_for(agent: AgentSpec, steps: int, time_ms: int, *, most: int | None) -> Limits:
    """Caps of a run of this agent.

    Args:
        most: Micro-USD it may spend whatever the agent's own budget says; `None` = that alone.
    """
    caps = {unit: agent.caps[unit] for unit in UNITS if unit in agent.caps}
    budget = agent.budget_micro_usd if most is None else min(agent.budget_micro_usd, most)
    return Limits(steps, time_ms, budget_micro_usd=budget, caps=caps)
