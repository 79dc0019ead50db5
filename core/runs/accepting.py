"""With which limits a run is accepted, from what the operator's file says of everything and of this one agent."""

from core.config.load import Config, PlaybookSource
from core.planners.agents import read_agent
from core.runs.allowance import UNITS
from core.runs.commands.request import Limits
from core.runs.mind import KIND


def limits_of(config: Config, source: PlaybookSource) -> Limits:
    """Caps of a run of this playbook or agent."""
    steps, time_ms = config.limits.steps, config.limits.run_time_ms
    if source.kind != KIND:
        return Limits(steps, time_ms)
    agent = read_agent(source.text)
    caps = {unit: agent.caps[unit] for unit in UNITS if unit in agent.caps}
    return Limits(steps, time_ms, budget_micro_usd=agent.budget_micro_usd, caps=caps)
