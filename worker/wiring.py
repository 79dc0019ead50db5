"""Puts a worker together from the environment and the operator's file; the only place that knows every part.

A worker gets no Slack token and does not read one.
"""

import asyncio
import logging
import os
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from core.actions.policy import parse
from core.artifacts import FileStore
from core.budgets import micro_usd
from core.clock import SystemClock, boot_id, host_name
from core.config.live import LiveConfig
from core.config.load import Config, load_config
from core.config.models import ToolWord
from core.config.redaction import redactor_for, secret_refs
from core.config.settings import Settings
from core.crashpoints import crashpoint
from core.deltas import MuteSpeaker, RedisSpeaker
from core.errors import ConfigError
from core.execution.base import Environment, Limits, SandboxLevel, SandboxUnavailable
from core.execution.bounded import BoundedEnvironment
from core.execution.hostfence import FENCES
from core.execution.outside import outside_environment
from core.execution.refusing import RefusingEnvironment
from core.execution.sandbox import probe_environment
from core.ids import Ids
from core.lifelock import LifeLock
from core.ops.place import Place
from core.planners.agent import AgentPlanner
from core.planners.model import Models
from core.planners.playbook import PlaybookPlanner
from core.planners.rollback import RollbackPlanner
from core.queue import ArqDoorbell, Doorbell, SilentDoorbell
from core.record.workers import Identity
from core.runs import undoing
from core.runs.calls import Bench, Caps, Outdoors
from core.runs.commands.request import Pinned
from core.runs.leases import Lease
from core.runs.mind import KIND, Mind
from core.runs.retries import Retries
from core.runs.rulebook import Rulebook
from core.runs.station import Station
from core.runs.toolbox import DeclaredTool, Toolbox
from core.runs.turns import Caps as SpendCaps
from core.runs.workspaces import Workspaces
from core.secrets import SystemSecrets
from core.store import budget_rows, schema
from core.store.documents import Documents
from core.store.session import Database
from core.tools.catalogue import all_tools
from core.tools.installed import loaded_here
from core.tools.reach import Credential, Reach
from core.tools.registry import Registry, definition_digest
from worker.deaths import lock_file
from worker.neighbours import ReaperKeeper

log = logging.getLogger(__name__)

SLOTS = 32
"""Runs driven at once by one worker; a run that waits holds none."""

TOOL_ENVIRONMENT = ".venv-tools"


@dataclass(frozen=True)
class Worker:
    """A worker ready to serve."""

    station: Station
    lease: Lease
    doorbell: Doorbell
    config: LiveConfig
    keeper: ReaperKeeper
    life: LifeLock
    home: Path
    redis_url: str | None
    models: Models
    metrics_at: Place | None = None
    slots: int = SLOTS


@asynccontextmanager
async def assembled(settings: Settings) -> AsyncIterator[Worker]:
    """Open everything a worker needs, and close it again.

    Raises:
        ConfigError: the file or the tool environment cannot be used.
        SchemaMismatch: the database is not this version's.
    """
    config = load_config(settings.config_path)
    redactor = redactor_for(config, {})
    clock = SystemClock()
    ids = Ids(clock)
    home = settings.home
    for name in ("workspaces", "scratch", "spool"):
        (home / name).mkdir(parents=True, exist_ok=True)
    tool_environment = find_tool_environment()
    environment = await asyncio.to_thread(_environment, config, tool_environment, home)
    database = Database(settings.database_url)
    doorbell: Doorbell = ArqDoorbell(settings.redis_url) if settings.redis_url else SilentDoorbell()
    models = Models()
    speaker = RedisSpeaker(settings.redis_url, redactor.redact_beginning) if settings.redis_url else None
    try:
        await schema.check(database)
        objects = FileStore(settings.artifacts_dir, crashpoint=crashpoint)
        limits = config.limits
        live = LiveConfig(settings.config_path, config, rulebook)
        bench = Bench(
            rules=rulebooks(live),
            outdoors=Outdoors(
                environment=outside_environment(home / "spool", home / FENCES),
                database_url=settings.database_url,
                secrets=SystemSecrets(),
                secret_refs=lambda: secret_refs(live.current),
                private=(home,),
            ),
            environment=environment,
            tool_environment=tool_environment,
            objects=objects,
            redactor=redactor,
            scratch=home / "scratch",
            caps=Caps(limits.artifact_bytes, limits.run_artifacts_bytes, limits.run_artifact_count),
            ids=ids,
            retries=Retries(random.random),
            attempts=limits.attempts,
            most_open_asks=limits.open_questions,
        )
        host = host_name()
        boot = boot_id()
        identity = Identity(ids.new("wrk"), host, boot, os.getpid(), _version(), environment.level.value)
        lease = Lease(database, identity, clock)
        station = Station(
            database=database,
            clock=clock,
            bench=bench,
            planners={"playbook": PlaybookPlanner(), KIND: AgentPlanner(), undoing.KIND: RollbackPlanner()},
            workspaces=Workspaces(home / "workspaces", objects),
            worker=identity.id,
            host=host,
            boot_id=boot,
            fences=home / FENCES,
            holds_lease=lambda: lease.holds,
            documents=Documents(database),
            mind=Mind(
                model=models,
                secrets=SystemSecrets(),
                secret_refs=lambda: secret_refs(live.current),
                caps=lambda: spend_caps(live.current),
                used=partial(budget_rows.used, database),
                objects=objects,
                redactor=redactor,
                retries=bench.retries,
                ids=ids,
                speaker=speaker or MuteSpeaker(),
            ),
        )
        keeper, at = ReaperKeeper(home), settings.metrics_at
        life = LifeLock(lock_file(home, identity.id))
        yield Worker(station, lease, doorbell, live, keeper, life, home, settings.redis_url, models, at)
    finally:
        await models.close()
        if speaker is not None:
            await speaker.close()
        await doorbell.close()
        await database.close()


def find_tool_environment() -> Path:
    """The virtual environment sandboxed Python runs from, beside the one we run in.

    Raises:
        ConfigError: it was not built.
    """
    found = Path(__file__).resolve().parent.parent / TOOL_ENVIRONMENT
    if not (found / "bin" / "python").exists():
        raise ConfigError(f"The tools' environment {found} is not there. Run `make up` or `make {TOOL_ENVIRONMENT}`.")
    return found


def _environment(config: Config, tool_environment: Path, home: Path) -> Environment:
    try:
        return BoundedEnvironment(sandbox(config, tool_environment, home), call_limits(config))
    except SandboxUnavailable as error:
        # Tools that start no program still work, so the worker serves; those that do say why they are refused.
        log.error("no sandbox holds here", extra={"action": "sandbox_unavailable", "why": str(error)})
        return RefusingEnvironment(str(error))


def sandbox(config: Config, tool_environment: Path, home: Path) -> Environment:
    """The strongest sandbox this host holds, as far as the config asks for it; blocks for about half a second."""
    wanted = config.sandbox.level
    found = probe_environment(
        tool_environment=tool_environment,
        allow_unsandboxed=config.sandbox.unsandboxed == "allowed",
        prefer=None if wanted == "auto" else SandboxLevel(wanted),
        hidden=[home],
        spool=home / "spool",
        fences=home / FENCES,
    )
    if wanted not in ("auto", found.level.value) and config.sandbox.unsandboxed != "allowed":
        raise SandboxUnavailable(
            f"The config insists on the sandbox level {wanted}, and this host holds only {found.level.value}. "
            "`banksman doctor` says what is missing; write `sandbox: {level: auto}` to take what there is."
        )
    return found


def call_limits(config: Config) -> Limits:
    """What one call may use, as the operator's file says."""
    asked = config.sandbox
    return Limits(
        cpu_s=max(1, asked.cpu_ms // 1000),
        memory_bytes=asked.memory_bytes,
        file_bytes=asked.file_bytes,
        disk_bytes=asked.disk_bytes,
        processes=asked.processes,
        open_files=asked.open_files,
    )


def spend_caps(config: Config) -> SpendCaps:
    """What may be spent beside what a run may, as the operator's file says."""
    asked = config.budgets
    scopes = (asked.tree, asked.person_day, asked.channel_month, asked.team_day)
    return SpendCaps(*(None if each is None else micro_usd(each) for each in scopes))


def rulebooks(live: LiveConfig) -> Callable[[], Rulebook]:
    """What holds now, put together once for each state of the operator's file."""
    made: tuple[Config, Rulebook] | None = None

    def current() -> Rulebook:
        nonlocal made
        config = live.current
        if made is None or made[0] is not config:
            made = config, rulebook(config)
        return made[1]

    return current


def rulebook(config: Config) -> Rulebook:
    """The operator's word as runs are decided by it."""
    roles = {name: frozenset(person.roles) for name, person in config.principals.items()}
    pinned = Pinned("policy", config.policy_text)
    return Rulebook(pinned, parse(config.policy_text), toolbox(config), roles, config.contracts)


def toolbox(config: Config) -> Toolbox:
    """Every tool there is, with the operator's word on it."""
    registry, packages = Registry(all_tools(config)), loaded_here().packages
    declared = {}
    for name in registry.names():
        tool, word = registry.get(name), config.tool(name)
        declared[tool.name] = DeclaredTool(
            tool=tool,
            digest=definition_digest(tool, package=packages.get(name)),
            uses=word.uses,
            tier=word.tier,
            recovery=word.recovery,
            timeout_s=word.timeout_s,
            key_ttl_s=word.key_ttl_s,
            reach=reach(word),
        )
    return Toolbox(declared, registry.validate)


def reach(word: ToolWord) -> Reach:
    """Where the operator lets a tool go."""
    credentials = tuple(
        Credential(each.host, each.secret, each.header, each.scheme, each.user) for each in word.credentials
    )
    return Reach(tuple(word.network), credentials, word.environment)


def _version() -> str:
    try:
        return version("banksman")
    except PackageNotFoundError:
        return "checkout"
