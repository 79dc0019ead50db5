"""What a worker drives its runs with."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.clock import Clock
from core.planners.base import Planner
from core.runs.calls import Bench
from core.runs.mind import Mind
from core.runs.workspaces import Workspaces
from core.store.documents import Documents
from core.store.session import Database


@dataclass(frozen=True)
class Station:
    """What a worker drives runs with."""

    database: Database
    clock: Clock
    bench: Bench
    planners: Mapping[str, Planner]
    """By document kind: `playbook`, `rollback`."""
    workspaces: Workspaces
    worker: str
    host: str
    boot_id: str
    fences: Path
    """Where this host keeps its fences."""
    holds_lease: Callable[[], bool]
    """Whether anything may still be started."""
    documents: Documents
    mind: Mind
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the worker is to go: slices end at their next step boundary."""
