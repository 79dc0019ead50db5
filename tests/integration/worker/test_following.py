"""Runs that follow freezes although something comes between: a thaw in the middle of a pass, clocks, a broken run."""

from pathlib import Path
from typing import Any

import pytest

from core.artifacts import FileStore
from core.ids import TENANT
from core.queue import SilentDoorbell
from core.record.changes import Refusal
from core.record.freezes import FreezeChange
from core.runs import freezing, reading
from core.runs.commands.freeze import follow
from core.runs.sweeper import Sweeper
from core.store import freezes
from tests.factories import FixedClock
from tests.integration.worker.conftest import Rig, step, succeed
from tests.integration.worker.operating import frozen, spread, thawed
from tests.integration.worker.voting import asked
from tests.invariants import broken

MINUTE = 60_000
HOUR = 60 * MINUTE


@pytest.fixture
def clock(rig: Rig) -> FixedClock:
    rig.clock = clock = FixedClock()
    return clock


async def waiting(rig: Rig, n: int = 1) -> list[str]:
    """Runs that wait for a decision."""
    rig.tool("push", succeed, tier="compensable")
    await rig.start()
    ids = [await rig.ask(step("push", "push")) for _ in range(n)]
    for run_id in ids:
        assert "waiting-for-approval" == (await rig.drive(run_id)).state
    return ids


async def test_a_thaw_in_the_middle_of_a_pass_is_final(
    rig: Rig, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run_id,) = await waiting(rig)
    before = (await asked(rig, run_id)).approval
    await frozen(rig, "everything", told=False)
    clock.jump_wall(30 * MINUTE)
    command, seen = rig.database.journal.command, []

    async def late(*args: Any) -> Any:
        if not seen:
            seen.append(args)
            await thawed(rig, "everything")
        return await command(*args)

    monkeypatch.setattr(rig.database.journal, "command", late)
    await spread(rig)
    clock.jump_wall(30 * MINUTE)
    await spread(rig)
    shown, after = await rig.look(run_id), (await asked(rig, run_id)).approval
    assert ("waiting-for-approval", None) == (shown.state, after.parked_ms)
    assert before.expires_at_ms + 30 * MINUTE == after.expires_at_ms
    log = await reading.log(rig.database, TENANT, run_id)
    assert ["run-frozen", "run-thawed"] == [e.type for e in log if e.type in ("run-frozen", "run-thawed")]


async def test_a_run_whose_log_says_that_it_was_thawed_is_not_held_by_that_freeze_again(rig: Rig) -> None:
    (run_id,) = await waiting(rig)
    opened = await frozen(rig, "everything")
    assert isinstance(opened, FreezeChange)
    await thawed(rig, "everything")
    (run,) = await freezes.touched(rig.database, TENANT, [run_id])
    assert {opened.freeze.id: "thawed"} == run.notes
    stale = follow(
        [await rig.row(run_id)],
        run_id=run_id,
        version=run.version,
        opened=[opened.freeze],
        ended=[],
        notes=run.notes,
        held_at=run.held_at,
        now_ms=rig.clock.wall_ms(),
    )
    assert isinstance(stale, Refusal)


async def test_a_run_is_let_go_even_if_it_was_thawed_before_it_was_created_by_other_clocks(
    rig: Rig, clock: FixedClock
) -> None:
    rig.tool("work", succeed)
    await rig.start()
    await frozen(rig, "everything")
    clock.jump_wall(3 * HOUR)
    run_id = await rig.ask(step("one", "work"))
    assert "blocked" == (await rig.drive(run_id)).state
    clock.jump_wall(-2 * HOUR)
    await thawed(rig, "everything", told=False)
    clock.jump_wall(9 * HOUR)
    assert 1 == await spread(rig)
    assert "completed" == (await rig.drive(run_id)).state


async def test_the_time_a_run_may_take_stands_still_although_its_log_goes_on(rig: Rig, clock: FixedClock) -> None:
    rig.tool("work", succeed)
    await rig.start()
    run_id = await rig.ask(step("one", "work"))
    await frozen(rig, "everything")
    await rig.drive(run_id)
    before = (await rig.row(run_id)).run
    clock.jump_wall(47 * HOUR)
    await frozen(rig, "agent:probe")
    clock.jump_wall(HOUR)
    await thawed(rig, "everything")
    await thawed(rig, "agent:probe")
    assert before.deadline_at is not None
    assert before.deadline_at + 48 * HOUR == (await rig.row(run_id)).run.deadline_at
    assert "completed" == (await rig.drive(run_id)).state


def _failing(monkeypatch: pytest.MonkeyPatch, rig: Rig, bad: set[str]) -> None:
    """Commands on these runs raise."""
    command = rig.database.journal.command

    async def fails(tenant: str, target: Any, decide: Any) -> Any:
        if target.run_id in bad:
            raise ValueError("this run cannot be read")
        return await command(tenant, target, decide)

    monkeypatch.setattr(rig.database.journal, "command", fails)


@pytest.mark.parametrize("page", [1, 2, 500])
async def test_a_run_that_cannot_follow_does_not_keep_the_others(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    ids = await waiting(rig, 5)
    await frozen(rig, "everything", told=False)
    monkeypatch.setattr(freezes, "PAGE", page)
    with monkeypatch.context() as patch:
        _failing(patch, rig, {ids[0], ids[3]})
        assert 3 == await spread(rig)
    states = [(await rig.look(run_id)).state for run_id in ids]
    assert ["waiting-for-approval", "blocked", "blocked", "waiting-for-approval", "blocked"] == states
    assert 2 == await spread(rig)
    assert [] == await broken(rig.database)


async def test_a_pass_in_which_nothing_works_says_so(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = await waiting(rig, 3)
    await frozen(rig, "everything", told=False)
    monkeypatch.setattr(freezing, "_MOST_FAILED", 2)
    _failing(monkeypatch, rig, set(ids))
    with pytest.raises(ValueError, match="cannot be read"):
        await spread(rig)


def _sweeper(rig: Rig, clock: FixedClock, home: Path) -> Sweeper:
    return Sweeper(rig.database, SilentDoorbell(), FileStore(home), clock, owner="s1", boot_id="boot-1")


async def test_questions_expire_although_the_pass_over_freezes_fails(
    rig: Rig, clock: FixedClock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (run_id,) = await waiting(rig)
    clock.jump_wall(48 * HOUR)

    async def fails(*_: Any, **__: Any) -> int:
        raise OSError("no")

    monkeypatch.setattr(freezing, "spread", fails)
    swept = await _sweeper(rig, clock, tmp_path / "artifacts").tick()
    assert swept is not None
    assert (0, 1) == (swept.followed, swept.expired)
    assert "approval-expired" == (await rig.look(run_id)).blocked_reason


async def test_the_first_pass_of_a_sweeper_looks_back_at_everything(
    rig: Rig, clock: FixedClock, tmp_path: Path
) -> None:
    """A run that was told of a freeze and went on, and nobody was there to tell it of the thaw."""
    rig.tool("work", succeed)
    await rig.start()
    run_id = await rig.ask(step("one", "work"))
    sweeper = _sweeper(rig, clock, tmp_path / "artifacts")
    await sweeper.tick()
    await frozen(rig, "everything")
    await thawed(rig, "everything", told=False)
    clock.jump_wall(3 * freezing.LATELY_MS)
    assert 0 == await spread(rig)
    swept = await sweeper.tick()
    assert swept is not None
    assert 0 == swept.followed, "it has been there all the time"
    swept = await _sweeper(rig, clock, tmp_path / "artifacts").tick()
    assert swept is not None
    assert 1 == swept.followed
    log = await reading.log(rig.database, TENANT, run_id)
    assert ["run-frozen", "run-thawed"] == [e.type for e in log if e.type in ("run-frozen", "run-thawed")]
