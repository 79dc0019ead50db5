"""From an agent as written to one that can be run: what it asks for, what it may use, how it thinks.

An agent stands beside the playbooks: people ask for both in the same way, so its inputs are those of a playbook. What
a run pins is the whole agent with the models it may think with, so that changing the file changes no run under way.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import Field

from core.budgets import Price, micro_usd
from core.config.document import Document
from core.config.fields import Count, Model, Text, validated
from core.config.language import CapsWord, ModelName, Usd
from core.config.models import AgentName, ToolName
from core.config.problems import ConfigProblems, Problem
from core.errors import TerminalError
from core.nearest import did_you_mean
from core.planners.definition import InputSpec, Playbook
from core.planners.waiting import TOOL as WAIT

REQUEST = "request"
"""The input that holds what a person wrote."""

FILE = "file"
"""The input that holds a file that came with it; further ones are in `file_2` and on."""

MOST_FILES = 10


class CriteriaFields(Model):
    """What has to be true before the work counts as done."""

    artifacts: Annotated[tuple[Text, ...], Field(max_length=20)] = ()
    """Names of files the run has to have kept."""
    calls: Annotated[tuple[ToolName, ...], Field(max_length=20)] = ()
    """Tools of which a call has to have succeeded."""


class AgentFields(Model):
    """An agent: a language model with instructions and a list of tools."""

    name: AgentName
    """What people type: `@banksman <name>`."""
    title: Annotated[Text, Field(max_length=200)] = ""
    """What people see. Left out: the name."""
    description: Annotated[Text, Field(max_length=1_000)] = ""
    """What it is good for, shown where one chooses."""
    model: ModelName
    """Which of `models` it thinks with."""
    instructions: Annotated[Text, Field(max_length=100_000)] = ""
    """What it is told before anything else."""
    instructions_file: Text | None = None
    """The file that holds them instead, relative to this file."""
    tools: Annotated[tuple[ToolName, ...], Field(max_length=100)] = ()
    """Which tools it may ask for; no other. Whether a call starts or people are asked is for the tool's tier.
    With `wait_until` it may wait for what another of them will say."""
    budget: Usd | None = None
    """What one of its runs may spend. Left out: `budgets.run`."""
    caps: CapsWord = Field(default_factory=CapsWord)
    """What one of its runs may use beside money, with the fields of `budgets.caps`; each one left out is that one."""
    turns: Annotated[Count, Field(ge=1, le=1_000)] = 60
    """How often it may think in one run."""
    delegates: Annotated[tuple[AgentName, ...], Field(max_length=10)] = ()
    """Which other agents it may hand a part of the work over to."""
    done_when: CriteriaFields = Field(default_factory=CriteriaFields)
    """What has to be true before its work counts as done. Left out: nothing is checked, and the ending says so."""


@dataclass(frozen=True)
class ModelSpec:
    """A model an agent may think with, as its run pinned it."""

    name: str
    provider: Literal["openai", "anthropic", "google", "bedrock", "openai-compatible", "script"]
    model: str
    url: str | None
    secret: str | None
    version: str | None
    window: int
    max_output: int
    price: Price | None
    """What the operator's file says it costs."""
    timeout_s: float
    turns: tuple[Mapping[str, Any], ...] = ()
    """Of a script."""

    @property
    def label(self) -> str:
        """As events and cards name it: `anthropic:claude-sonnet-4-5`; a script is labelled as one."""
        return f"{self.provider}:{self.model or self.name}"


@dataclass(frozen=True)
class Delegated:
    """Another agent that work may be handed over to."""

    document: str
    """As its own runs would pin it."""
    about: str
    """What it is good for."""


@dataclass(frozen=True)
class AgentSpec:
    """An agent, as its run pinned it."""

    name: str
    title: str
    instructions: str
    tools: tuple[str, ...]
    budget_micro_usd: int
    turns: int
    artifacts: tuple[str, ...]
    calls: tuple[str, ...]
    models: tuple[ModelSpec, ...]
    """The one it thinks with first, then those it falls back to."""
    caps: Mapping[str, int] = field(default_factory=dict)
    """What a run may use beside money: `tokens`, `steps`, `calls`, `time` in milliseconds."""
    delegates: Mapping[str, Delegated] = field(default_factory=dict)
    """By name."""


def compile_agent(name: str, document: Document, *, tools: Collection[str] | None = None) -> Playbook:
    """What an agent asks for, as a playbook without steps.

    Args:
        tools: The tools there are; `None` leaves the names unchecked.

    Raises:
        ConfigProblems: with every mistake, its place and the remedy.
    """
    fields = validated(AgentFields, document)
    problems = list(_unknown_tools(document, fields, tools))
    if problems:
        raise ConfigProblems(problems)
    inputs = {
        REQUEST: InputSpec(REQUEST, "string", True, description="what to do", max_length=20_000),
        FILE: InputSpec(FILE, "file", False, description="a file to work with", more=MOST_FILES - 1),
    }
    return Playbook(name, fields.title or name, fields.description, MappingProxyType(inputs), (), (), ())


def _unknown_tools(document: Document, fields: AgentFields, tools: Collection[str] | None) -> list[Problem]:
    if tools is None:
        return []
    return [
        document.problem(
            ("tools", index), f"There is no tool `{tool}`.", did_you_mean(tool, sorted(tools), noun="Tools")
        )
        for index, tool in enumerate(fields.tools)
        if tool not in tools and tool != WAIT
    ]


@lru_cache(maxsize=256)
def read_agent(text: str) -> AgentSpec:
    """Understand the text a run pinned; raise `TerminalError` if this version cannot."""
    try:
        body = json.loads(text)
        agent = body["agent"]
        done = agent.get("done-when", {})
        return AgentSpec(
            name=agent["name"],
            title=agent.get("title") or agent["name"],
            instructions=agent.get("instructions", ""),
            tools=tuple(agent.get("tools", ())),
            budget_micro_usd=micro_usd(agent["budget"]) or 0,
            turns=agent.get("turns", AgentFields.model_fields["turns"].default),
            artifacts=tuple(done.get("artifacts", ())),
            calls=tuple(done.get("calls", ())),
            models=tuple(_model(each) for each in body["models"]),
            caps={**body.get("caps", {}), **CapsWord.model_validate(agent.get("caps", {})).amounts()},
            delegates={
                name: Delegated(each["document"], each["about"]) for name, each in body.get("delegates", {}).items()
            },
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise TerminalError("the pinned agent is not readable by this version; run it again") from None


def _model(body: Mapping[str, Any]) -> ModelSpec:
    price = body["price"]
    return ModelSpec(
        name=body["name"],
        provider=body["provider"],
        model=body["model"],
        url=body["url"],
        secret=body["secret"],
        version=body["version"],
        window=body["window"],
        max_output=body["max_output"],
        price=None if price is None else Price(Decimal(price["input"]), Decimal(price["output"])),
        timeout_s=body["timeout_ms"] / 1000,
        turns=tuple(body.get("turns", ())),
    )
