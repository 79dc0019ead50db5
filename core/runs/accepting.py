"""With which limits a run is accepted, from what the operator's file says of everything and of this one agent,
and the channel's contract."""

from core.actions.contract import Contract
from core.config.load import Config, PlaybookSource
from core.planners.agents import read_agent
from core.runs.allowance import UNITS
from core.runs.commands.request import Limits
from core.runs.mind import KIND


def limits_of(config: Config, source: PlaybookSource, contract: Contract | None = None) -> Limits:
    """Caps of a run of this playbook or agent, in a channel with this contract."""
    steps, time_ms = config.limits.steps, config.limits.run_time_ms
    if source.kind != KIND:
        return Limits(steps, time_ms)
    agent = read_agent(source.text)
    caps = {unit: agent.caps[unit] for unit in UNITS if unit in agent.caps}
    most = None if contract is None else contract.budget_micro_usd
    budget = agent.budget_micro_usd if most is None else min(agent.budget_micro_usd, most)
    return Limits(steps, time_ms, budget_micro_usd=budget, caps=caps)
