"""One history's world: the store, the clock, the house as it is now, and what everybody in it believes."""

import json
import random
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from core.ids import TENANT, Ids
from core.planners.base import Act
from core.principals import Principal
from core.record.changes import Answer, Decided, Refusal, Refused, RunChange
from core.record.freezes import FreezeRow
from core.record.rows import CallRow, Snapshot
from core.record.states import MACHINES
from core.runs.rulebook import Rulebook
from core.runs.steps import CallEnd
from core.store.lane import Decide, Target
from core.store.snapshots import CHILDREN, COMMAND_CHILDREN, snapshots_of
from tests.chaos.simulation.house import BY_DIGEST, KEY_LIFE_MS, PEOPLE, POLICIES, RULEBOOKS, TOOLS, WORKERS
from tests.chaos.simulation.model import Model
from tests.chaos.simulation.outside import Outside
from tests.chaos.simulation.seen import Asked, Call, Effect, Run, Seen
from tests.chaos.simulation.store import Memory
from tests.factories import FixedClock

T = TypeVar("T")


class Choose(Protocol):
    """Where every choice of a history comes from."""

    def one(self, options: Sequence[T]) -> T:
        """One of these."""
        ...

    def chance(self, percent: int) -> bool:
        """Whether something happens that happens so often."""
        ...


@dataclass(frozen=True)
class Chance:
    """Choices by a seed."""

    rng: random.Random

    def one(self, options: Sequence[T]) -> T:
        return self.rng.choice(options)

    def chance(self, percent: int) -> bool:
        return self.rng.randrange(100) < percent


class Broken(AssertionError):
    """A history in which something is not as it must be."""


@dataclass
class Slice:
    """What one process believes of a run it drives, which may be long out of date."""

    worker: str
    run: Snapshot
    doing: CallRow | None = None
    """The call whose start is committed and that it is about to perform, or is performing."""
    sent: bool = False
    heard: str | None = None
    """What the outside world will have answered."""
    result: tuple[CallRow, CallEnd] | None = None
    held: tuple[RunChange, Rulebook] | None = None
    """A change that is decided and not committed yet."""
    began_ms: int = 0
    """When the call it performs was started, by a clock nobody can set."""


@dataclass(frozen=True)
class Script:
    """What the planner of a run wants: these acts in turn, and whether it insists on what failed."""

    acts: tuple[Act, ...]
    insists: bool = False


@dataclass
class World:
    """Everything there is."""

    choose: Choose
    database: Memory
    clock: FixedClock = field(default_factory=FixedClock)
    outside: Outside = field(default_factory=lambda: Outside(KEY_LIFE_MS))
    policy: str = "plain"
    approvers: set[str] = field(default_factory=lambda: {"alex", "ben", "cat", "gus"})
    model: Model = field(init=False)
    reached: Counter[str] = field(default_factory=Counter)
    scripts: dict[str, Script] = field(default_factory=dict)
    workers: dict[str, str] = field(default_factory=lambda: {host: f"{host}.1" for host in WORKERS})
    """By host, the worker process that lives there."""
    slices: dict[str, list[Slice]] = field(default_factory=lambda: {name: [] for name in WORKERS})
    offset_ms: int = 0
    """How far the wall clock is from the true time."""
    step: int = 0
    log: list[str] = field(default_factory=list)
    """What happened, for whoever has to understand a violation."""

    def __post_init__(self) -> None:
        rng = random.Random(self.choose.one(range(1, 1000)))
        self.ids = Ids(self.clock, rng.randbytes)
        policies = {name: asks for name, (_, asks) in POLICIES.items()}
        self.model = Model(policies, self.policy, set(self.approvers), frozenset({"omar"}), frozenset({"gus"}))

    @property
    def rules(self) -> Rulebook:
        """The operator's word as it is now."""
        return RULEBOOKS[self.policy]

    @property
    def now_ms(self) -> int:
        return self.clock.wall_ms()

    def person(self, name: str) -> Principal:
        """Somebody with the roles they have now."""
        who = PEOPLE[name]
        mine = {"approver"} if name in self.approvers else set()
        return replace(who, roles=who.roles - {"approver"} | mine)

    def say(self, line: str) -> None:
        self.log.append(f"{self.step:4d} {line}")

    def expect(self, expected: object, found: object, about: str) -> None:
        """Compare what somebody was told with what the model says."""
        if expected != found:
            raise Broken(f"step {self.step}: {about}: the model says {expected!r}, they were told {found!r}")

    async def commit(self, change: RunChange) -> Answer:
        """Commit a lease holder's change."""
        answer = await self.database.journal.commit(change)
        if isinstance(answer, Refused):
            self.reached[f"refused-{answer.why}"] += 1
        return answer

    async def command(self, target: Target, decide: Decide) -> Decided | Refusal:
        """Carry out a command; what it wants is what is stored afterwards."""
        before: dict[str, Snapshot] = {}

        def seen(runs: Sequence[Snapshot]) -> Decided | Refusal:
            before.update({each.run.id: each for each in runs})
            return decide(runs)

        answer = await self.database.journal.command(TENANT, target, seen)
        if isinstance(answer, Refusal):
            self.reached[f"refusal-{answer.why}"] += 1
            return answer
        for change in answer.changes:
            if not change.creates and before[change.run_id].folded(change) != self.stored(change.run_id):
                raise Broken(f"step {self.step}: a command stored something else than it decided: {change}")
        return answer

    def stored(self, run_id: str, *, all_rows: bool = False) -> Snapshot:
        """The run as the database holds it, read past our own queries."""
        look = self.database.look
        runs = look.execute("SELECT * FROM runs WHERE id = ?", (run_id,)).fetchall()
        children = {
            table: look.execute(f"SELECT * FROM {table} WHERE run_id = ?", (run_id,)).fetchall()
            for table in (COMMAND_CHILDREN if all_rows else CHILDREN)
        }
        return snapshots_of(runs, children)[0]

    def every(self, sql: str, *values: object) -> list[str]:
        """The first column of a query, in an order that does not depend on chance."""
        return sorted(row[0] for row in self.database.look.execute(sql, values))

    def freezes(self) -> list[FreezeRow]:
        """What is frozen now."""
        rows = self.database.look.execute("SELECT * FROM freezes WHERE thawed_at IS NULL").fetchall()
        return [FreezeRow(**dict(row)) for row in rows]

    def seen(self) -> Seen:
        """What there is, as anybody sees it."""
        look = self.database.look.execute
        runs = {
            row["id"]: Run(row["state"], row["requester"], row["channel"], row["parent_id"], row["fence"])
            for row in look("SELECT id, state, requester, channel, parent_id, fence FROM runs")
        }
        calls = {row["id"]: _call(row) for row in look("SELECT * FROM tool_calls")}
        votes: dict[str, set[str]] = {}
        for row in look("SELECT approval_id, voter FROM votes WHERE decision = 'approve' AND revoked_at IS NULL"):
            votes.setdefault(row["approval_id"], set()).add(row["voter"])
        asked = {
            row["id"]: Asked(
                row["run_id"],
                row["call_id"],
                row["status"],
                row["quorum"],
                BY_DIGEST[row["policy_digest"]],
                row["expires_at"],
                row["use_by"],
                row["remaining_ms"] is not None,
                frozenset(votes.get(row["id"], ())),
            )
            for row in look("SELECT * FROM approvals")
        }
        effects = tuple(Effect(each.call, each.run, each.looked_at) for each in self.outside.effects)
        return Seen(self.step, self.now_ms, runs, calls, asked, effects)


def _call(row: sqlite3.Row) -> Call:
    call = CallRow(**dict(row))
    action = json.loads(call.envelope)
    return Call(
        run=call.run_id,
        step=call.step,
        what=f"{call.tool} {action['args']}",
        tool=call.tool,
        recovery=call.recovery,
        acts=TOOLS[call.tool].acts,
        status=call.status,
        attempts=call.attempts,
        question=call.approval_id,
        by_word=call.resolved_by is not None,
        by_machine=call.resolved_by in MACHINES,
        policy=BY_DIGEST[action["policy"]],
    )
