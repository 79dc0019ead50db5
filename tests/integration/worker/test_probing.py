"""A payment whose answer was lost: its probe says whether it was made, and it is made once."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from core.config.load import parse_config
from core.execution.outside import outside_environment
from core.ids import TENANT
from core.runs import reading
from tests.integration.tools.http.payments import Payments, Service, payments
from tests.integration.worker.conftest import Rig, step
from tests.integration.worker.voting import vote
from tests.patience import PATIENCE_S
from worker.wiring import toolbox

__all__ = ["payments"]
OVER = ("completed", "blocked", "failed", "canceled")


async def paying(rig: Rig, service: Payments, *, settle: str = "100ms") -> str:
    """A run whose payment is approved and has not been made yet, with real tools and a real child to send it."""
    config = parse_config(
        f"""\
tools:
  pay:
    uses: http
    tier: irreversible
    recovery: reconcilable
    timeout: 2s
    network: ["{service.place}"]
    probe: {{url: "http://{service.place}/by-key/{{key}}", settle: {settle}}}
""".encode(),
        path=Path("banksman.yml"),
    )
    rig.toolbox, rig.policy = toolbox(config), config.policy_text
    (rig.home / "spool").mkdir()
    rig.outside = outside_environment(rig.home / "spool", rig.home / "fences")
    await rig.start()
    order = {"method": "POST", "url": f"http://{service.place}/payments", "json": {"amount": "5.00"}}
    run_id = await rig.ask(step("pay", "pay", **{"with": order}))
    assert "waiting-for-approval" == (await rig.drive(run_id)).state
    await vote(rig, run_id)
    return run_id


async def to_its_end(rig: Rig, run_id: str) -> Any:
    assert rig.lease is not None and rig.driver is not None
    async with asyncio.timeout(PATIENCE_S):
        while (shown := await rig.drive(run_id)).state not in OVER:
            await rig.lease.renew(rig.driver.driving)
            await asyncio.sleep(0.1)
    return shown


@pytest.mark.parametrize("carried_out", [True, False])
async def test_a_payment_without_an_answer_is_looked_for_and_made_once(
    rig: Rig, payments: Service, carried_out: bool
) -> None:
    service = payments(lost=1, carried_out=carried_out)
    run_id = await paying(rig, service)

    shown = await to_its_end(rig, run_id)

    (call,) = (await rig.row(run_id)).calls
    assert ("completed", "succeeded") == (shown.state, call.status), shown.outcome
    assert [(call.idem_key, {"amount": "5.00"})] == service.paid
    assert [call.idem_key] * (1 if carried_out else 2) == service.asked, "the same key each time"
    out = json.loads(call.result_json or "")
    assert ((200, "probe") if carried_out else (201, None)) == (out["status"], call.resolved_by)
    assert {"paid": {"amount": "5.00"}} == out["json"]
    assert service.looked
    assert ["consumed"] == [each.status for each in shown.approvals], "asked once"


async def test_a_probe_that_cannot_tell_leaves_it_to_a_person(rig: Rig, payments: Service) -> None:
    service = payments(lost=1)
    service.looks = [403]
    run_id = await paying(rig, service)

    shown = await to_its_end(rig, run_id)

    assert ("blocked", "ambiguous-effect") == (shown.state, shown.blocked_reason), shown.outcome
    assert "403" in str(shown.blocked_detail)
    assert 1 == len(service.asked)


async def test_what_did_not_happen_is_sent_again_only_once_the_last_attempt_can_land_no_more(
    rig: Rig, payments: Service
) -> None:
    service = payments(lost=2)
    run_id = await paying(rig, service, settle="2s")

    shown = await to_its_end(rig, run_id)

    first, second, third = service.asked_at_s
    settled_s = 2.0 + 2.0
    assert ("completed", 1) == (shown.state, len(service.paid))
    # The clock of a call starts with its commit, a little before the other side hears of it.
    assert second - first > settled_s - 1 and third - second > settled_s - 1


async def test_a_probe_that_is_busy_is_asked_again(rig: Rig, payments: Service) -> None:
    service = payments(lost=1, carried_out=True)
    service.looks = [503]
    run_id = await paying(rig, service)

    shown = await to_its_end(rig, run_id)

    assert ("completed", 2, 1) == (shown.state, len(service.looked), len(service.paid))


async def test_the_tool_goes_by_the_operators_name_everywhere(rig: Rig, payments: Service) -> None:
    run_id = await paying(rig, payments())

    shown = await to_its_end(rig, run_id)

    assert "completed" == shown.state, shown.outcome
    (action,) = shown.actions
    assert ("pay", "irreversible", "reconcilable") == (action.tool, action.tier, action.recovery)
    envelope = json.loads((await rig.row(run_id)).calls[0].envelope)
    assert "pay" == envelope["tool"]
    assert any(event.type == "call-started" for event in await reading.log(rig.database, TENANT, run_id))
