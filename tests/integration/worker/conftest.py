"""A real worker's driver on both databases, with tools a test can steer; nothing of it talks to Slack or Redis."""

import asyncio
import importlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from core.actions.contract import Contract
from core.actions.policy import parse
from core.artifacts import FileStore
from core.budgets import micro_usd
from core.clock import Clock, SystemClock, boot_id
from core.deltas import MuteSpeaker, Speaker
from core.execution.base import Environment, SandboxLevel, SandboxReport
from core.ids import TENANT, Ids
from core.planners.agent import AgentPlanner
from core.planners.agents import read_agent
from core.planners.base import Planner
from core.planners.model import Models
from core.planners.playbook import PlaybookPlanner
from core.planners.rollback import RollbackPlanner
from core.planners.thinking import LanguageModel
from core.principals import Principal
from core.queue import SilentDoorbell
from core.record.rows import Snapshot
from core.record.workers import Identity
from core.runs import reading, turns
from core.runs.calls import Bench, Caps, Outdoors
from core.runs.commands.request import Limits, Pinned, Request, Surface, accept
from core.runs.leases import Lease
from core.runs.mind import Mind
from core.runs.retries import Retries
from core.runs.rulebook import Rulebook
from core.runs.station import Station
from core.runs.toolbox import DeclaredTool, Toolbox
from core.runs.views import RunView
from core.runs.workspaces import Workspaces
from core.secrets import Redactor, SystemSecrets
from core.store import budget_rows, runs
from core.store.documents import Documents
from core.store.session import Database
from core.tools.base import EffectTier, RecoveryClass, ToolContext, ToolResult
from tests.databases import database, database_url, migrated_postgres, sqlite_template
from worker.driver import Driver

__all__ = ["database", "database_url", "migrated_postgres", "sqlite_template"]

_SPEAKS = {vendor: vendor for vendor in ("anthropic", "google", "bedrock")}
"""Which part of the library speaks to whom; to all others it is OpenAI's."""

Behaviour = Callable[["Probe", ToolContext], Awaitable[ToolResult]]


class AnyArguments(BaseModel):
    """Takes whatever a playbook gives."""

    model_config = ConfigDict(extra="allow")


@dataclass
class Probe:
    """A tool that does what the test says and remembers what it was given."""

    name: str
    behaviour: Behaviour
    contexts: list[ToolContext] = field(default_factory=list)
    description: str = "Does what a test says."
    keeps: int = 0

    @property
    def arguments(self) -> type[BaseModel]:
        return AnyArguments

    async def perform(self, args: BaseModel, context: ToolContext) -> ToolResult:
        self.contexts.append(context)
        return await self.behaviour(self, context)


class NoSandbox:
    """These tools start no process."""

    level = SandboxLevel.NONE

    def describe(self) -> SandboxReport:
        raise NotImplementedError

    async def run(self, spec: Any, *, kill: asyncio.Event | None = None) -> Any:
        raise NotImplementedError


def agent_document(
    *,
    models: list[dict[str, Any]],
    tools: tuple[str, ...] = (),
    delegates: Mapping[str, str] | None = None,
    **agent: Any,
) -> str:
    """An agent as its runs pin it; a model says what differs from a script without turns.

    Args:
        delegates: The agents it may hand work over to, as their runs would pin them.
    """
    plain = {
        "name": "main", "provider": "script", "model": "", "url": None, "secret": None, "version": None,
        "window": 100_000, "max_output": 1_000, "price": None, "timeout_ms": 20_000, "turns": [],
    }  # fmt: skip
    fields = {"name": "thinker", "model": "main", "tools": list(tools), "budget": "1.00", **agent}
    below = {name: {"document": document, "about": name} for name, document in (delegates or {}).items()}
    return json.dumps({"agent": fields, "models": [plain | each for each in models], "delegates": below})


@dataclass
class Rig:
    """One worker without its process."""

    database: Database
    home: Path
    tools: dict[str, DeclaredTool] = field(default_factory=dict)
    clock: Clock = field(default_factory=SystemClock)
    driver: Driver | None = None
    lease: Lease | None = None
    station: Station | None = None
    environment: Environment = field(default_factory=NoSandbox)
    outside: Environment | None = None
    """Runs what acts beyond the workspace; like `environment` unless it is given."""
    toolbox: Toolbox | None = None
    """Real tools, in place of `tools`."""
    policy: str = "{}"
    roles: dict[str, frozenset[str]] = field(default_factory=dict)
    contracts: dict[str, Contract] = field(default_factory=dict)
    """Of the people the operator names."""
    planner: Planner = field(default_factory=PlaybookPlanner)
    model: LanguageModel = field(default_factory=Models)
    environ: dict[str, str] = field(default_factory=dict)
    """Where a model's key is looked for."""
    spend_caps: turns.Caps = field(default_factory=turns.Caps)
    speaker: Speaker = field(default_factory=MuteSpeaker)

    def tool(
        self,
        name: str,
        behaviour: Behaviour,
        *,
        tier: EffectTier | None = "workspace",
        recovery: RecoveryClass = "idempotent",
        timeout_s: float = 5,
    ) -> Probe:
        """Declare a tool."""
        probe = Probe(name, behaviour)
        self.tools[name] = DeclaredTool(probe, f"sha256:{name}", tier, recovery, timeout_s)
        return probe

    async def start(self, *, slots: int = 8) -> Driver:
        """Register the worker and make its driver."""
        ids = Ids(self.clock)
        for name in ("workspaces", "scratch"):
            (self.home / name).mkdir(exist_ok=True)
        objects = FileStore(self.home / "artifacts")
        bench = Bench(
            rules=self.rules,
            outdoors=Outdoors(
                self.outside or self.environment, self.database.url, SystemSecrets({}), dict, (self.home,)
            ),
            environment=self.environment,
            tool_environment=self.home,
            objects=objects,
            redactor=Redactor({"TOKEN": "a-very-secret-token"}),
            scratch=self.home / "scratch",
            caps=Caps(artifact_bytes=1000, run_bytes=1500, run_files=3),
            ids=ids,
            retries=Retries(lambda: 0.0),
        )
        identity = Identity(ids.new("wrk"), "host-1", boot_id(), 1, "test", "none")
        self.lease = lease = Lease(self.database, identity, self.clock)
        await lease.acquire()
        self.station = Station(
            database=self.database,
            clock=self.clock,
            bench=bench,
            planners={"playbook": self.planner, "agent": AgentPlanner(), "rollback": RollbackPlanner()},
            workspaces=Workspaces(self.home / "workspaces", objects),
            worker=identity.id,
            host="host-1",
            boot_id=boot_id(),
            fences=self.home / "fences",
            holds_lease=lambda: lease.holds,
            documents=Documents(self.database),
            mind=Mind(
                model=self.model,
                secrets=SystemSecrets(self.environ),
                secret_refs=dict,
                caps=lambda: self.spend_caps,
                used=partial(budget_rows.used, self.database),
                objects=objects,
                redactor=bench.redactor,
                retries=bench.retries,
                ids=ids,
                speaker=self.speaker,
            ),
        )
        self.driver = Driver(self.station, lease, SilentDoorbell(), slots=slots)
        return self.driver

    def rules(self) -> Rulebook:
        """What the operator says now."""
        toolbox = self.toolbox or Toolbox(self.tools, lambda name, args: AnyArguments(**args))
        return Rulebook(Pinned("policy", self.policy), parse(self.policy), toolbox, self.roles, self.contracts)

    async def ask(
        self,
        *steps: dict[str, Any],
        step_cap: int = 200,
        source_key: str | None = None,
        contract: Contract | None = None,
    ) -> str:
        """Store a run of a playbook with these steps, ready to be driven."""
        ids = Ids(self.clock)
        run_id = ids.run()
        body = {"name": "probe", "steps": list(steps), "summary": "It is done."}
        request = Request(
            tenant=TENANT,
            source_key=source_key or f"test:{run_id}",
            agent="probe",
            document=Pinned("playbook", json.dumps(body)),
            policy=Pinned("policy", "{}"),
            text="",
            inputs={},
            requester=Principal("ana"),
            loaded=True,
            limits=Limits(steps=step_cap),
            surface=None if contract is None else Surface("T1", "C1", "1.1", "1.1"),
            contract=contract,
        )
        now_ms = self.clock.wall_ms()
        await self.database.journal.commit(accept(request, run_id=run_id, salt=ids.salt(), now_ms=now_ms))
        return run_id

    async def ask_agent(
        self,
        text: str,
        *,
        models: list[dict[str, Any]],
        tools: tuple[str, ...] = (),
        channel: str | None = None,
        contract: Contract | None = None,
        **agent: Any,
    ) -> str:
        """Store a run of an agent that thinks with these models, ready to be driven.

        Args:
            channel: Where it was asked for; left out: nowhere, and then no thread is told anything.
        """
        # Loading what speaks to vendors takes longer than a lease on a busy machine, and nobody renews this one.
        for speaks in {_SPEAKS.get(model.get("provider", ""), "openai") for model in models}:
            await asyncio.to_thread(importlib.import_module, f"pydantic_ai.models.{speaks}")
        if self.lease is not None and self.driver is not None:
            await self.lease.renew(self.driver.driving)
        ids = Ids(self.clock)
        run_id = ids.run()
        pinned = agent_document(models=models, tools=tools, **agent)
        budget, caps = micro_usd(json.loads(pinned)["agent"]["budget"]), read_agent(pinned).caps
        request = Request(
            tenant=TENANT,
            source_key=f"test:{run_id}",
            agent="thinker",
            document=Pinned("agent", pinned),
            policy=Pinned("policy", "{}"),
            text=text,
            inputs={"request": text},
            requester=Principal("ana"),
            surface=None if channel is None else Surface("T1", channel, "1.1", "1.1"),
            loaded=True,
            limits=Limits(budget_micro_usd=budget, caps=caps),
            contract=contract,
        )
        now_ms = self.clock.wall_ms()
        await self.database.journal.commit(accept(request, run_id=run_id, salt=ids.salt(), now_ms=now_ms))
        return run_id

    async def drive(self, run_id: str) -> RunView:
        """Ring for a run, wait until the worker has let go of it, and look."""
        assert self.driver is not None
        await self.driver.on_ring(run_id, 0)
        return await self.look(run_id)

    async def look(self, run_id: str) -> RunView:
        found = await reading.view(self.database, TENANT, run_id)
        assert found is not None
        return found

    async def row(self, run_id: str) -> Snapshot:
        found = await runs.snapshot(self.database, TENANT, run_id)
        assert found is not None
        return found

    async def moves(self, run_id: str) -> list[str]:
        """The transitions of a run, in order."""
        log = await reading.log(self.database, TENANT, run_id)
        return [f"{event.from_state}->{event.to_state}" for event in log if event.type == "state"]


@pytest.fixture
async def rig(database: Database, tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(database, tmp_path)
    yield rig
    if rig.driver is not None:
        await rig.driver.drain(0)
    if isinstance(rig.model, Models):
        await rig.model.close()


def step(name: str, tool: str, **more: Any) -> dict[str, Any]:
    """One step of a playbook."""
    return {"id": name, "title": name, "tool": tool, "with": {"n": 1}, **more}


async def succeed(probe: Probe, context: ToolContext) -> ToolResult:
    """Work at once."""
    return ToolResult("succeeded", {"n": len(probe.contexts)})


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for something that will happen; the test's own time limit is the deadline."""
    while not await condition():  # noqa: ASYNC110  # what it waits for is in a database
        await asyncio.sleep(0.01)
