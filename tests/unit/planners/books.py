"""Playbooks for tests, written as an operator would write them."""

from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from core.config import PlaybookSource, parse_config
from core.planners.base import CallOutcome, PlanRequest, Turn
from core.planners.definition import Playbook
from core.planners.playbook import PlaybookPlanner, compile_playbook

STEPS = "steps: [{id: a, tool: shell}]"


@lru_cache
def source_of(text: str) -> PlaybookSource:
    """Place a playbook's YAML under `playbooks` of a config and read it back."""
    indented = "\n".join(f"    {line}" for line in f"name: book\n{text}".strip().splitlines())
    config = parse_config(f"playbooks:\n  -\n{indented}\n".encode(), path=Path("banksman.yml"))
    return config.playbooks["book"]


def book(text: str, tools: Collection[str] | None = None) -> Playbook:
    return compile_playbook(source_of(text), tools=tools)


def decide(text: str, *outcomes: CallOutcome, inputs: Mapping[str, Any] | None = None) -> Turn:
    """Ask the planner what comes next."""
    request = PlanRequest("book", source_of(text).text, "", inputs or {}, outcomes)
    return PlaybookPlanner().decide(request)


def done(step: str, **out: Any) -> CallOutcome:
    return CallOutcome(step, "succeeded", out)


def failed(step: str, error: str = "it broke", **out: Any) -> CallOutcome:
    return CallOutcome(step, "failed", out, error)


def lines(turn: Turn) -> list[str]:
    """The plan as `id:status`."""
    return [f"{step.id}:{step.status}" for step in turn.plan]
