"""People who decide, for tests of a worker: a vote as the bot would write it down."""

from functools import partial
from typing import Any, Literal

from core.artifacts import FileStore
from core.clock import Clock
from core.ids import TENANT
from core.principals import Principal
from core.record.changes import Decided, Refusal
from core.runs import asking
from core.runs.approval_views import AskView
from core.runs.commands.decide import Ballot, decide
from core.store import people
from core.store.lane import Target
from core.store.session import Database
from tests.integration.worker.conftest import Rig

APPROVER = frozenset({"approver"})
BEN = Principal("ben", APPROVER)
CAT = Principal("cat", APPROVER)


async def asked(rig: Rig, run_id: str) -> AskView:
    """The newest question of a run."""
    row = await rig.row(run_id)
    newest = max(row.approvals, key=lambda approval: (approval.asked_at, approval.id))
    found = await asking.ask(rig.database, FileStore(rig.home / "artifacts"), TENANT, newest.id)
    assert found is not None
    return found


async def vote(
    rig: Rig, run_id: str, by: Principal = BEN, decision: Literal["approve", "deny"] = "approve", **fields: Any
) -> Decided | Refusal:
    """Decide on the newest question of a run, having been shown all of it."""
    ask = await asked(rig, run_id)
    await known(rig, by)
    return await cast(rig.database, rig.clock, ask, by, decision, policy_digest=rig.rules().pinned.digest, **fields)


async def known(rig: Rig, *people_: Principal) -> None:
    """Write down how people stand, as the bot does before it counts a vote."""
    now_ms = rig.clock.wall_ms()
    rows = [people.known(TENANT, who.id, who.roles, usable=not who.external, now_ms=now_ms) for who in people_]
    await rig.database.journal.record(rows)


async def cast(
    database: Database,
    clock: Clock,
    ask: AskView,
    by: Principal,
    decision: Literal["approve", "deny"] = "approve",
    *,
    policy_digest: str,
    **fields: Any,
) -> Decided | Refusal:
    """Decide on a question as it was shown."""
    now_ms = clock.wall_ms()
    values: dict[str, Any] = {
        "approval_id": ask.approval.id,
        "decision": decision,
        "by": by,
        "action": ask.approval.digest.removeprefix("sha256:")[:16],
        "seen_digest": ask.box.digest,
        "received_ms": now_ms,
    }
    command = partial(decide, ballot=Ballot(**(values | fields)), policy_digest=policy_digest, now_ms=now_ms)
    return await database.journal.command(TENANT, Target(approval_id=ask.approval.id), command)
