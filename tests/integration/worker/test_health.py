"""What a worker says about itself, from the parts it is made of."""

from typing import Any, cast

from core.queue import SilentDoorbell
from tests.integration.worker.conftest import Rig
from worker.health import Pulses, health_of
from worker.wiring import Worker


async def asked(rig: Rig, *, is_stopping: bool = False) -> tuple[bool, dict[str, Any]]:
    assert rig.station is not None and rig.lease is not None
    worker = Worker(rig.station, rig.lease, SilentDoorbell(), cast(Any, None), cast(Any, None), None)
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
