"""The `delegate` tool: another agent does a part of the work, in a run of its own below this one.

Here is only what may be asked for. Starting that run, and looking how far it is, needs the ledger and is done by
whoever drives the run (`core.runs.delegating`).
"""

from pydantic import BaseModel, Field

from core.planners.waiting import DELEGATE as TOOL
from core.tools.base import ToolContext, ToolResult
from core.tools.registry import Arguments


class DelegateArguments(Arguments):
    """What is handed over, and to whom."""

    agent: str = Field(min_length=1, max_length=60, description="which agent")
    request: str = Field(min_length=1, max_length=20_000, description="what it is to do, with all it has to know")


class Delegate:
    """Hands a part of the work over."""

    name = TOOL
    description = "Have another agent do a part of the work, in a run of its own; you get what it says in the end."

    @property
    def arguments(self) -> type[BaseModel]:
        return DelegateArguments

    async def perform(self, args: BaseModel, context: ToolContext) -> ToolResult:
        """Never called: a run is started by whoever drives the one that asks for it."""
        return ToolResult("failed", error="Only an agent can hand work over.")
