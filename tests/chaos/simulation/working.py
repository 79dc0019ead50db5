"""What workers do, a commit at a time: claim, decide on what they believe, start, look, send, hear, write down.

Everything that is decided is decided by the product's pure functions; who goes on when, who dies and whose picture is
old is the history's choice. A process may stop between any two of these and go on much later.
"""

from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

from core.ids import TENANT
from core.record.changes import Decided, Landed, Refused, RunChange
from core.record.freezes import covering
from core.record.rows import Snapshot
from core.runs import steps
from core.runs.calls import Attempted, Bench, with_retry
from core.runs.commands.abandon import abandon
from core.runs.commands.late import late_result
from core.runs.draft import merged
from core.runs.recovery import proves_little, still_in_doubt
from core.runs.retries import Retries
from core.runs.steps import CallEnd, Stored
from core.store import workers
from core.store.lane import Claim, Target
from tests.chaos.simulation.deciding import ended, host_of, may_have_run, next_change, open_call, stamp_of
from tests.chaos.simulation.house import BY_DIGEST, LEASE_MS, MOST_ATTEMPTS, SETTLE_MS, TIMEOUT_MS, TOOLS, WORKERS
from tests.chaos.simulation.outside import FATES, Sent
from tests.chaos.simulation.world import Broken, Slice, World
from tests.factories import BOOT_ID, identity

_FILE = "cd" * 32


async def register(world: World, host: str) -> None:
    """The worker of a host comes up, or says that it is still there."""
    who = identity(world.workers[host], host=f"host-{host}")
    boot_ms = world.clock.boot_ms()
    await workers.register(world.database, who, lock=None, boot_ms=boot_ms, lease_ms=LEASE_MS, now_ms=world.now_ms)


async def claim(world: World, host: str | None = None) -> None:
    """A worker takes runs that are due; it may still believe in an older hold of the same run."""
    host = host or world.choose.one(WORKERS)
    name, boot_ms = world.workers[host], world.clock.boot_ms()
    asked = Claim(name, world.now_ms, BOOT_ID, boot_ms, world.choose.one((1, 2, 5)), host=f"host-{host}")
    for run in await world.database.journal.claim(asked):
        if run != world.stored(run.run.id):
            raise Broken(f"step {world.step}: a claim says something else of {run.run.id} than what is stored")
        if run.run.id in world.model.killed:
            raise Broken(f"step {world.step}: {run.run.id} was claimed after it was stopped")
        world.slices[host].append(Slice(name, run))
        world.say(f"{name} claims {run.run.id[-4:]} in {run.run.state}")


async def renew(world: World) -> None:
    """A worker renews its lease, and hears what it has lost."""
    host = world.choose.one(WORKERS)
    name = world.workers[host]
    driving = [(TENANT, each.run.run.id, each.run.run.fence) for each in world.slices[host]]
    boot_ms = world.clock.boot_ms()
    renewed = await workers.renew(world.database, name, driving, boot_ms=boot_ms, lease_ms=LEASE_MS)
    for _, run_id, fence in [] if renewed is None else renewed.lost:
        row = world.stored(run_id).run
        if (row.killed_at, row.lease_owner, row.fence) == (None, name, fence):
            raise Broken(f"step {world.step}: {name} was told that it lost {run_id}, and holds it")


async def crash(world: World) -> None:
    """A worker dies with all it knew, and another comes up in its place; somebody may have cleared its row away."""
    host = world.choose.one(WORKERS)
    name, _, number = world.workers[host].partition(".")
    world.say(f"{world.workers[host]} dies")
    world.slices[host].clear()
    if world.choose.chance(50):
        await workers.remove(world.database, world.workers[host])
    world.workers[host] = f"{name}.{int(number) + 1}"
    await register(world, host)


async def break_off(world: World) -> None:
    """One slice fails with something nobody expected."""
    if (found := _some_slice(world)) is None:
        return
    _drop(world, found)
    run_id = found.run.run.id
    decide = partial(abandon, run_id=run_id, worker=found.worker, why="KeyError", now_ms=world.now_ms)
    await world.command(Target(run_id=run_id), decide)


async def stray(world: World) -> None:
    """A change of a run that nobody has."""
    if (found := _some_slice(world)) is not None:
        change = steps.release(found.run, stamp_of(world, found.worker), due_at=0)
        answer = await world.commit(replace(change, run_id=world.ids.run()))
        world.expect(Refused("missing"), answer, "a change of no run")


async def go_on(world: World) -> None:
    """Some worker makes its next step, on what it believes."""
    for _ in range(world.choose.one((1, 2, 4, 8))):
        if (found := _some_slice(world)) is None:
            await claim(world)
            continue
        await advance(world, found)


def _drop(world: World, mine: Slice) -> None:
    world.slices[host_of(mine.worker)].remove(mine)


def _some_slice(world: World) -> Slice | None:
    found = [each for name in WORKERS for each in world.slices[name]]
    return world.choose.one(found) if found else None


async def advance(world: World, mine: Slice) -> None:
    """The next step of one slice: perform what is started, hear its answer, or decide and commit."""
    if mine.doing is not None and not mine.sent:
        _send(world, mine)
    elif mine.doing is not None:
        await _hear(world, mine)
    else:
        await _commit(world, mine)


def _send(world: World, mine: Slice) -> None:
    """The last look, and then the effect: the child's part."""
    call, run = mine.doing, mine.run.run
    assert call is not None
    row = world.database.look.execute("SELECT fence, killed_at FROM runs WHERE id = ?", (run.id,)).fetchone()
    still_ours = row["fence"] == run.fence and row["killed_at"] is None
    slept_ms = world.clock.boot_ms() - mine.began_ms
    mine.sent = True
    if not still_ours or slept_ms > TIMEOUT_MS // 2:
        world.reached["last-look-no" if not still_ours else "slept-too-long"] += 1
        mine.heard = "failed-safe"
        return
    fate = world.choose.one(FATES)
    if not TOOLS[call.tool].acts:
        mine.heard = {"done": "succeeded", "refused": "failed", "unsent": "failed-safe"}.get(fate, "unknown")
        return
    request = Sent(call.id, run.id, call.idem_key, call.recovery, run.fence, world.step, world.clock.boot_ms())
    late_ms = world.choose.one((1_000, TIMEOUT_MS // 2 + SETTLE_MS // 2))
    mine.heard = world.outside.send(request, fate, late_ms=late_ms) or "unknown"
    world.say(f"{mine.worker} sends {call.tool} of {run.id[-4:]} ({call.id[-4:]}): {fate}")


async def _hear(world: World, mine: Slice) -> None:
    call, heard = mine.doing, mine.heard
    assert call is not None and heard is not None
    out = {"succeeded": world.choose.one(({"rows": 3}, {"x": 0.5}))}.get(heard, {})
    files = (Stored(world.ids.artifact(), "a.txt", _FILE, 3, "text/plain"),) if world.choose.chance(20) else ()
    ended = CallEnd(cast(Any, heard), out, files, None if heard == "succeeded" else f"it was {heard}")
    bench = cast(Bench, SimpleNamespace(retries=Retries(lambda: 0.5), attempts=MOST_ATTEMPTS))
    end = with_retry(call, Attempted(ended), bench=bench, now_ms=world.now_ms, boot_ms=world.clock.boot_ms())
    if proves_little(call, end) and await may_have_run(world, call, before=call.attempts):
        end = still_in_doubt(end)
    mine.doing, mine.sent, mine.heard, mine.result = None, False, None, (call, end)


async def _commit(world: World, mine: Slice) -> None:
    """Decide on what it believes, and commit at once or at some later step."""
    if mine.held is None:
        rules = world.rules
        change = await next_change(world, mine, rules)
        if change is None:
            _drop(world, mine)
            return
        mine.held = change, rules
        if world.choose.chance(15):
            return
    (change, rules), mine.held = mine.held, None
    truth = world.stored(mine.run.run.id)
    for update in change.updates:
        if update.table == "approvals" and update.values.get("status") == "consumed":
            world.model.started_by[update.key["id"]] = BY_DIGEST[rules.pinned.digest]
    answer = await world.commit(change)
    if answer == Refused("frozen"):
        change = _halted(world, mine, change)
        if change is None:
            return
        answer = await world.commit(change)
    if isinstance(answer, Landed):
        await _landed(world, mine, change, truth)
    else:
        if truth != world.stored(mine.run.run.id):
            raise Broken(f"step {world.step}: a refused change was written all the same")
        await _lost(world, mine, answer)


async def _landed(world: World, mine: Slice, change: RunChange, truth: Snapshot) -> None:
    if truth != mine.run:
        raise Broken(f"step {world.step}: a change landed on something else than it was decided on")
    now = world.stored(mine.run.run.id)
    if mine.run.folded(change) != now:
        raise Broken(f"step {world.step}: something else is stored than was decided")
    world.say(f"{mine.worker} commits {now.run.id[-4:]}: {', '.join(event.draft.type for event in change.events)}")
    # Sometimes its reply is slow, so it is sent again.
    twice = await world.commit(change) if world.choose.chance(5) else Refused("stale")
    if isinstance(twice, Landed) or now != world.stored(now.run.id):
        raise Broken(f"step {world.step}: a change landed twice")
    mine.run, mine.result = now, None
    if now.run.lease_owner != mine.worker:
        _drop(world, mine)
        return
    call = open_call(now)
    if call is not None and call.status == "started":
        mine.doing, mine.began_ms = call, world.clock.boot_ms()


async def _lost(world: World, mine: Slice, answer: object) -> None:
    """Refused: read again if the run is still ours, otherwise keep what was found out and go away."""
    truth = world.stored(mine.run.run.id)
    if truth.run.lease_owner == mine.worker and truth.run.fence == mine.run.run.fence:
        world.expect(Refused("stale"), answer, "a change of a run that is still held")
        mine.run = truth
        return
    _drop(world, mine)
    world.say(f"{mine.worker} has lost {truth.run.id[-4:]}: {answer}")
    if mine.result is None:
        return
    call, end = mine.result
    keep = partial(
        late_result, call=call, end=end, run_id=truth.run.id, fence=mine.run.run.fence, worker=mine.worker,
        row_id=world.ids.new("late"), now_ms=world.now_ms,
    )  # fmt: skip
    if not isinstance(await world.command(Target(run_id=truth.run.id), keep), Decided):
        raise Broken(f"step {world.step}: a late result was not kept")
    world.reached["late-result"] += 1


def _halted(world: World, mine: Slice, refused: RunChange) -> RunChange | None:
    assert refused.freezable is not None
    stamp, snapshot, change = stamp_of(world, mine.worker), mine.run, None
    over = covering(world.freezes(), snapshot.run, {refused.freezable})
    if not over:
        return None
    if mine.result is not None:
        change = ended(snapshot, *mine.result, stamp)
        snapshot = snapshot.folded(change)
    halt = steps.stand_still(snapshot, over, tool=refused.freezable, stamp=stamp)
    return halt if change is None else merged(change, halt)
