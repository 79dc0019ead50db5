"""With which limits a run is accepted, from what the operator's file says of everything and of this one agent."""

from core.config.load import Config, PlaybookSource
from core.planners.agents import read_agent
from core.runs.commands.request import Limits
from core.runs.mind import KIND


def limits_of(config: Config, source: PlaybookSource) -> Limits:
    """Caps of a run of this playbook or agent."""
    budget = read_agent(source.text).budget_micro_usd if source.kind == KIND else None
    return Limits(config.limits.steps, config.limits.run_time_ms, budget_micro_usd=budget)
