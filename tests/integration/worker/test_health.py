"""What a worker says about itself, from the parts it is made of."""

from typing import Any, cast

from core.clock import boot_id
from core.planners.model import Models
from core.queue import SilentDoorbell
from core.store.standing import GAUGES, measures
from tests.integration.worker.conftest import Rig, step, succeed
from worker.health import Pulses, health_of
from worker.wiring import Worker


async def asked(rig: Rig, *, is_stopping: bool = False) -> tuple[bool, dict[str, Any]]:
    assert rig.station is not None and rig.lease is not None
    worker = Worker(
        rig.station,
        rig.lease,
        SilentDoorbell(),
        cast(Any, None),
        cast(Any, None),
        cast(Any, None),
        rig.home,
        None,
        Models(),
    )
    return await health_of(worker, Pulses(), is_stopping=lambda: is_stopping).ready()


async def test_without_a_sandbox_it_is_ready_and_says_so(rig: Rig) -> None:
    await rig.start()

    ready, body = await asked(rig)

    assert (True, "none") == (ready, body["sandbox"])


async def test_one_that_was_told_to_stop_is_not(rig: Rig) -> None:
    await rig.start()

    ready, body = await asked(rig, is_stopping=True)

    assert (False, "failed") == (ready, body["checks"]["serving"]["state"])


async def test_one_without_its_lease_is_not(rig: Rig) -> None:
    await rig.start()
    assert rig.lease is not None
    rig.lease._renewed_boot_ms = rig.clock.boot_ms() - 8_000

    ready, body = await asked(rig)

    assert (False, "it was not renewed in time") == (ready, body["checks"]["lease"]["why"])


async def test_what_waits_in_the_database_is_measured(rig: Rig) -> None:
    rig.tool("measured.gated", succeed, tier="compensable")
    await rig.start()
    await rig.drive(await rig.ask(step("one", "measured.gated")))
    await rig.ask(step("two", "measured.gated"))

    found = {each.name: each.values for each in await measures(rig.database, rig.clock, boot_id=boot_id())}

    assert set(GAUGES) == set(found)
    assert (1, 1) == (found["runs_open"]["waiting-for-approval"], found["runs_open"]["context-loaded"])
    assert {0} == set(found["runs_blocked"].values())
    assert 1 == found["approvals_pending"][""]
    assert 0 <= found["approvals_pending_oldest_age_seconds"][""] < 60
    assert 0 == found["stops_unconfirmed"][""]
    assert 1 == found["workers_alive"][""]
    assert found["outbox_open"][""] >= 1, "the approvers are told"
