"""A world with branches in it, a tool that makes one and a tool that takes it away; and asking for a rollback."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pydantic import BaseModel

from core.actions.policy import parse
from core.errors import TerminalError
from core.ids import TENANT, Ids
from core.principals import Principal
from core.record.changes import Decided, Refusal
from core.runs.commands.request import Limits
from core.runs.commands.rollback import Asked, roll_back
from core.runs.toolbox import DeclaredTool
from core.runs.views import RunView
from core.store.lane import Target
from core.tools.base import Prepared, ProbeAnswer, Tool, ToolContext, ToolResult
from tests.integration.worker.conftest import AnyArguments, Rig
from tests.integration.worker.voting import vote

ANA = Principal("ana")

Break = Callable[[str, ToolContext], Awaitable[ToolResult | None]]
"""A branch's name and the attempt, to an answer or none."""


async def _nothing(name: str, context: ToolContext) -> ToolResult | None:
    return None


@dataclass
class World:
    """What is outside."""

    branches: set[str] = field(default_factory=set)
    moved: set[str] = field(default_factory=set)
    """Branches somebody has built on."""
    deleted: list[str] = field(default_factory=list)
    before: Break = _nothing
    """What happens instead of a deletion, if it answers."""
    after: Break = _nothing
    """What the deletion answers in place of success."""
    looking: Break = _nothing
    """What happens when somebody looks at a branch before asking for its deletion."""


@dataclass
class Take:
    """Takes a branch away."""

    world: World
    name: str = "push.undo"
    description: str = "Takes a branch away."
    settle_s: float = 0.0

    @property
    def arguments(self) -> type[BaseModel]:
        return AnyArguments

    async def prepare(self, args: BaseModel, context: ToolContext) -> Prepared:
        name = _branch(args)
        await self.world.looking(name, context)
        if name in self.world.moved or name not in self.world.branches:
            raise TerminalError(f"the branch `{name}` has moved since, so nothing is deleted")
        return Prepared({"branch": name}, f"Delete the branch `{name}`")

    async def perform(self, args: BaseModel, context: ToolContext) -> ToolResult:
        name = _branch(args)
        if (instead := await self.world.before(name, context)) is not None:
            return instead
        self.world.branches.discard(name)
        self.world.deleted.append(name)
        return await self.world.after(name, context) or ToolResult("succeeded", {"branch": name})

    async def probe(self, args: BaseModel, context: ToolContext) -> ProbeAnswer:
        there = _branch(args) in self.world.branches
        return ProbeAnswer("not-happened" if there else "happened", {"branch": _branch(args)})


@dataclass
class Push:
    """Makes a branch."""

    world: World
    undo: Tool
    name: str = "push"
    description: str = "Makes a branch."

    @property
    def arguments(self) -> type[BaseModel]:
        return AnyArguments

    async def perform(self, args: BaseModel, context: ToolContext) -> ToolResult:
        self.world.branches.add(_branch(args))
        return ToolResult("succeeded", {"branch": _branch(args)})

    def undo_args(self, args: Mapping[str, Any], out: Mapping[str, Any]) -> Mapping[str, Any] | None:
        return {"branch": out.get("branch") or args["branch"]}


def _branch(args: BaseModel) -> str:
    return str((args.model_extra or {})["branch"])


@dataclass
class Undo:
    """A rig whose runs push and can be rolled back."""

    rig: Rig
    world: World
    push: Push

    @classmethod
    async def on(cls, rig: Rig, *, recovery: Any = "reconcilable", policy: str = "{}") -> "Undo":
        """Declare the tools and start a worker; pushes are let through, taking them back asks."""
        world = World()
        push = Push(world, Take(world))
        rig.policy = policy
        for tool in (push, push.undo):
            rig.tools[tool.name] = DeclaredTool(tool, f"sha256:{tool.name}", "compensable", recovery, 1)
        if rig.driver is None:
            await rig.start()
        return cls(rig, world, push)

    async def pushed(self, *branches: str, more: tuple[dict[str, Any], ...] = ()) -> str:
        """A completed run that has pushed these branches, each approved."""
        steps = [{"id": name, "title": name, "tool": "push", "with": {"branch": name}} for name in branches]
        run_id = await self.rig.ask(*steps, *more)
        shown = await self.rig.drive(run_id)
        while shown.state == "waiting-for-approval":
            await vote(self.rig, run_id)
            shown = await self.rig.drive(run_id)
        assert "completed" == shown.state, shown
        return run_id

    async def ask(self, run_id: str, by: Principal = ANA, reason: str = "") -> Decided | Refusal:
        """Ask for a rollback, as a button does."""
        rig, ids = self.rig, Ids(self.rig.clock)
        undoings = {self.push.name: self.push}
        asked = Asked(run_id, by, reason, parse(rig.policy), Limits(), undoings)
        decide = partial(roll_back, asked=asked, child_id=ids.run(), salt=ids.salt(), now_ms=rig.clock.wall_ms())
        return await rig.database.journal.command(TENANT, Target(run_id=run_id), decide)

    async def begun(self, run_id: str, **fields: Any) -> str:
        """Ask for a rollback that is taken up; the run that does it."""
        done = await self.ask(run_id, **fields)
        assert isinstance(done, Decided), done
        (child,) = [change.run_id for change in done.changes if change.creates]
        return child

    async def approved(self, child: str, *, times: int = 50) -> RunView:
        """Drive a rollback and approve what it asks, at most that often."""
        shown = await self.rig.drive(child)
        while shown.state == "waiting-for-approval" and times:
            assert isinstance(await vote(self.rig, child), Decided)
            shown, times = await self.rig.drive(child), times - 1
        return shown
