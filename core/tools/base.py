"""The tool port: what a tool is, what it is given, what it answers.

A tool's effect tier and recovery class are the operator's word (config), never its own. A tool gets a workspace, an
environment to run processes in and an idempotency key; it gets no database, no Slack, no other tool. Source of the
outcome vocabulary: PROTOCOL 2.5 and 2.6.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import BaseModel

from core.execution.base import CallLabel, Environment

Json = Any
"""A JSON value whose shape the tool defines."""

EffectTier = Literal["read", "workspace", "compensable", "irreversible"]
RecoveryClass = Literal["pure", "idempotent", "reconcilable", "opaque"]


@dataclass(frozen=True)
class Produced:
    """A file a call leaves behind, to be stored and verified before the call may succeed."""

    name: str
    """Display name; never used as a path."""
    path: Path
    """Where the bytes are now: a regular file the tool opened safely, outside the reach of sandboxed code while it is
    read.
    """
    media_type: str


@dataclass(frozen=True)
class ToolContext:
    """What one attempt of one call may use."""

    label: CallLabel
    idempotency_key: str
    workspace: Path
    """The run's own directory; sandboxed code can write here, so nothing in it is trusted, symlinks least of all."""
    environment: Environment
    tool_environment: Path
    """The virtual environment sandboxed Python runs from; its interpreter is `bin/python`."""
    scratch_path: Path
    """Where `scratch` is made once something asks for it."""
    timeout_s: float
    kill: asyncio.Event
    """Set when the run was stopped or the lease was lost: end at once, leave no process."""

    @cached_property
    def scratch(self) -> Path:
        """A directory of this attempt only the platform can write; removed afterwards."""
        self.scratch_path.mkdir(mode=0o700)
        return self.scratch_path


@dataclass(frozen=True)
class ToolResult:
    """What became of one attempt.

    `failed-safe` means provably nothing happened, so any class may try again; `unknown` means it may or may not have
    happened.
    """

    status: Literal["succeeded", "failed", "failed-safe", "unknown"]
    out: Mapping[str, Json] = field(default_factory=dict)
    """What later steps may refer to; bounded JSON."""
    produced: tuple[Produced, ...] = ()
    error: str | None = None
    """A sentence for the thread when not succeeded."""
    retry_after_s: float | None = None
    processes_ended: int = 0
    """Processes that had to be killed at the end."""


class Tool(Protocol):
    """Something a run can do."""

    name: str
    """As playbooks and policy write it, e.g. `shell`."""
    description: str
    """One sentence for people."""

    @property
    def arguments(self) -> type[BaseModel]:
        """The typed arguments; unknown fields are refused."""
        ...

    async def perform(self, args: BaseModel, context: ToolContext) -> ToolResult:
        """Do it once. Never raises for an expected failure; an exception counts as `unknown`."""
        ...
