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
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import BaseModel

from core.execution.base import CallLabel, Environment
from core.secrets import SecretRef, SecretSource
from core.tools.reach import Reach
from core.tools.residents import Residents

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
class Outside:
    """What a tool that acts beyond the workspace may use: the network, under the operator's word on it."""

    environment: Environment
    """Runs our own programs on this host, with its network; labelled and ended like every call."""
    database_url: str
    """Where the child that performs an effect looks a last time whether the run is still its own."""
    reach: Reach
    """What the operator lets this tool reach, and with which credentials."""
    secrets: SecretSource
    secret_refs: Mapping[str, SecretRef]
    """Where each secret of the config is, by its name."""
    private: tuple[Path, ...] = ()
    """Directories of the installation itself, which no tool may read as a source: its data, its database."""


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
    outside: Outside
    residents: Residents | None = None
    """Where programs stay that go on between the calls of this run; `None` = each call is alone."""
    looks_after: str | None = None
    """The stopped run this looks for a call of: then nothing is performed that could change anything."""

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


@dataclass(frozen=True)
class PreparedInput:
    """What an effect carries beyond its arguments: a diff, a body. People read it in full before they approve."""

    name: str
    """Display name, e.g. `changes.patch`."""
    data: bytes
    """UTF-8 text."""
    media_type: str = "text/plain"


@dataclass(frozen=True)
class Prepared:
    """An effect ready to be shown: every mutable operand resolved, so that what is approved is what runs."""

    args: Mapping[str, Json]
    """The arguments that are approved and executed, in place of those the planner gave; they fit `arguments` too."""
    sentence: str
    """The effect in one sentence for people, in the tool's words; never authority."""
    inputs: tuple[PreparedInput, ...] = ()
    network: tuple[str, ...] = ()
    """`host:port` of everything the attempt connects to."""
    creds: tuple[Mapping[str, str], ...] = ()
    """`{"ref", "host"}` of every secret it uses, by name."""


@dataclass(frozen=True)
class ProbeAnswer:
    """What a look at the outside world says about a call nobody knows the end of."""

    found: Literal["happened", "not-happened", "in-progress", "cannot-tell"]
    out: Mapping[str, Json] = field(default_factory=dict)
    """The call's result, if it happened."""
    detail: str = ""


@runtime_checkable
class Preparing(Protocol):
    """A tool whose effect must be resolved before anybody is asked: a branch to a commit, a file to its bytes."""

    async def prepare(self, args: BaseModel, context: "ToolContext") -> Prepared:
        """Resolve every mutable operand without changing anything outside; the same state gives the same answer.

        Called before asking, and again right before the start, where another answer voids the approval.

        Raises:
            TerminalError: it cannot be pinned, and why; nobody is asked.
            RetryableError: what it needs to look at does not answer right now.
        """
        ...


@runtime_checkable
class Probing(Protocol):
    """A tool that can find out whether an earlier attempt had its effect."""

    settle_s: float
    """How long after an attempt's time limit a request may still arrive; `not-happened` counts only after that."""

    async def probe(self, args: BaseModel, context: "ToolContext") -> ProbeAnswer:
        """Look, change nothing; raises `RetryableError` when it cannot look right now."""
        ...


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


@runtime_checkable
class Foreign(Protocol):
    """A tool whose definition somebody else wrote, and the operator accepted."""

    @property
    def pin(self) -> str:
        """Digest of all that was accepted of it, and of where it runs."""
        ...


@runtime_checkable
class Keeping(Protocol):
    """A tool that leaves files whenever it succeeds: an attempt that says so without them has not."""

    keeps: int
    """How many at least."""


@runtime_checkable
class Undoing(Protocol):
    """A tool whose effect another tool of its own takes back; that one is asked about and recorded like any."""

    @property
    def undo(self) -> Tool:
        """What takes it back; its name is the tool's with `.undo` at the end."""
        ...

    def undo_args(self, args: Mapping[str, Json], out: Mapping[str, Json]) -> Mapping[str, Json] | None:
        """The arguments that take back one call.

        Args:
            args: Those the call ran with.
            out: What it answered; by a person's word that it ran, next to nothing.

        Returns:
            Arguments for `undo`, or `None` if nothing says what there is to take back.
        """
        ...
