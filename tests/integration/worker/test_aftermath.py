"""A payment that a stop cut off: its probe finds out what became of it, the run stays stopped, and people can tell."""

import asyncio
from functools import partial

import pytest

from core.ids import TENANT
from core.principals import Principal
from core.queue import SilentDoorbell
from core.record.changes import Decided, Refusal
from core.runs import reading
from core.runs.aftermath import MOST_LOOKS, Aftermath
from core.runs.commands.kill import kill
from core.runs.commands.resolve import resolve
from core.store.lane import Target
from tests.integration.tools.http.payments import Payments, Service, payments
from tests.integration.worker.conftest import Rig, until
from tests.integration.worker.test_probing import paying
from tests.invariants import broken

__all__ = ["payments"]

ANA = Principal("ana")


async def cut_off(rig: Rig, service: Payments) -> str:
    """A run that was stopped while its payment waited for an answer; the stop is proved."""
    run_id = await paying(rig, service)
    driving = asyncio.create_task(rig.drive(run_id))

    async def asked() -> bool:
        return bool(service.asked)

    await until(asked)
    stop = partial(kill, run_id=run_id, by=ANA, reason="wrong account", now_ms=rig.clock.wall_ms())
    await rig.database.journal.command(TENANT, Target(run_id=run_id), stop)
    assert rig.driver is not None
    await rig.driver.check_stopped()
    await driving

    async def confirmed() -> bool:
        return (await rig.row(run_id)).run.stop_confirmed_at is not None

    await until(confirmed)
    assert "unknown" == (await rig.row(run_id)).calls[0].status
    return run_id


def aftermath(rig: Rig, **how: int) -> Aftermath:
    assert rig.station is not None
    station = rig.station
    return Aftermath(
        rig.database,
        rig.clock,
        station.bench,
        station.workspaces,
        SilentDoorbell(),
        owner=station.worker,
        boot_id=station.boot_id,
        ends=asyncio.Event(),
        **how,
    )


async def looked(rig: Rig, **how: int) -> None:
    """Let a worker make its passes until something was found out."""
    duty = aftermath(rig, **how)

    async def settled() -> bool:
        return bool(await duty.tick())

    await until(settled)


@pytest.mark.parametrize(("carried_out", "status"), [(True, "succeeded"), (False, "failed")])
async def test_what_became_of_it_is_found_out_and_the_run_stays_stopped(
    rig: Rig, payments: Service, carried_out: bool, status: str
) -> None:
    service = payments(lost=1, carried_out=carried_out, silent=True)
    run_id = await cut_off(rig, service)
    moves = await rig.moves(run_id)

    await looked(rig)

    row, shown = await rig.row(run_id), await rig.look(run_id)
    (call,) = row.calls
    assert (status, "probe", "canceled") == (call.status, call.resolved_by, row.run.state)
    assert ('"status":200' in (call.result_json or "")) == carried_out
    assert shown.stop is not None
    assert [(status, "probe")] == [(each.status, each.resolved_by) for each in shown.stop.calls]
    assert moves == await rig.moves(run_id), "nothing follows from it"
    (event,) = [e for e in await reading.log(rig.database, TENANT, run_id) if e.type == "call-resolved"]
    assert ({"call": call.id, "status": status},) == event.evidence
    assert (1, 1) == (len(service.asked), len(service.looked))
    assert [] == await broken(rig.database)
    assert 0 == await aftermath(rig).tick(), "it is not looked for again"


async def test_nothing_is_looked_for_before_it_can_land_no_more(rig: Rig, payments: Service) -> None:
    service = payments(lost=1, silent=True)
    await cut_off(rig, service)

    assert 0 == await aftermath(rig).tick()

    assert [] == service.looked


async def test_a_probe_that_cannot_tell_leaves_it_to_a_person(rig: Rig, payments: Service) -> None:
    service = payments(lost=1, carried_out=True, silent=True)
    service.looks = [403]
    run_id = await cut_off(rig, service)

    await looked(rig)
    before = (await rig.row(run_id)).calls[0]
    said = partial(resolve, run_id=run_id, call_id=before.id, by=ANA, ran=True, now_ms=rig.clock.wall_ms())
    first = await rig.database.journal.command(TENANT, Target(run_id=run_id), said)
    second = await rig.database.journal.command(TENANT, Target(run_id=run_id), said)

    after = await rig.row(run_id)
    assert ("unknown", "probe") == (before.status, before.resolved_by)
    assert "403" in str(before.error)
    assert isinstance(first, Decided) and "nothing follows from it" in first.text
    assert isinstance(second, Refusal)
    assert ("succeeded", "ana", "canceled") == (after.calls[0].status, after.calls[0].resolved_by, after.run.state)
    assert [] == await broken(rig.database)


async def test_a_probe_that_never_answers_is_asked_only_so_often(rig: Rig, payments: Service) -> None:
    service = payments(lost=1, silent=True)
    service.looks = [503] * (MOST_LOOKS + 1)
    run_id = await cut_off(rig, service)

    await looked(rig, pause_ms=10)

    (call,) = (await rig.row(run_id)).calls
    assert (MOST_LOOKS, "unknown", "probe") == (len(service.looked), call.status, call.resolved_by)
    assert f"gave no answer {MOST_LOOKS} times" in str(call.error)
