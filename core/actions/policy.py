"""Policy: whether a proposed effect may start, decided from what the operator declared and nothing else.

Effects are gated, not tools: reading and working inside the run's own directory never ask; what changes the world
outside asks; what the operator did not classify asks too.
"""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["allow", "ask", "deny"]


@dataclass(frozen=True)
class Decision:
    """What policy says, and the rule that said it."""

    verdict: Verdict
    rule: str


def decide(tier: str | None) -> Decision:
    """Decide by effect tier; `None` is a tool the operator did not classify."""
    match tier:
        case "read" | "workspace":
            return Decision("allow", f"tier:{tier}")
        case "compensable" | "irreversible":
            return Decision("ask", f"tier:{tier}")
        case _:
            return Decision("ask", "unclassified")
