"""May or may not have run: whole processes, a service that loses answers, and people who find out with buttons."""

import asyncio
from pathlib import Path

import pytest

from tests.acceptance.conftest import Builder
from tests.acceptance.house import House, until
from tests.acceptance.team import OPS, Json, Team, button, run_of, words
from tests.acceptance.test_checkup import approval
from tests.integration.tools.http.payments import Payments, Service, payments
from tests.shipped import shipped

__all__ = ["payments"]


def configured(directory: Path, service: Payments) -> Path:
    """The demonstration's file with two names for paying: one that can be looked for, and one that cannot."""
    place = service.place
    tools = f"""tools:
  pay:
    uses: http
    tier: irreversible
    recovery: reconcilable
    network: ["{place}"]
    probe: {{url: "http://{place}/by-key/{{key}}", settle: 100ms}}
  pay.blindly: {{uses: http, tier: irreversible, recovery: opaque, network: ["{place}"]}}
"""
    playbooks = "playbooks:\n" + "".join(
        f"""  - name: {name}
    title: Pay
    steps:
      - id: pay
        title: Pay five
        tool: {tool}
        timeout: {timeout}
        with: {{method: POST, url: "http://{place}/payments", json: {{amount: "5.00"}}}}
    summary: Paid.
"""
        for name, tool, timeout in (
            ("transfer", "pay", "2s"),
            ("gamble", "pay.blindly", "10s"),
            ("dawdle", "pay", "12s"),
        )
    )
    file = shipped(directory)
    text = file.read_text()
    file.write_text(text.replace("tools:\n", tools, 1).replace("playbooks:\n", playbooks, 1))
    return file


async def approved(team: Team, playbook: str) -> tuple[str, str]:
    """Have somebody ask for a payment and somebody else approve it; its thread and its run."""
    root = await team.say(f"@banksman {playbook}", channel=OPS)
    asks = await approval(team, root)
    run_id = run_of(await team.card(root))
    await team.decide(asks, "Approve", by="approver")
    return root, run_id


async def reaches(house: House, run_id: str, *states: str) -> Json:
    return await asyncio.to_thread(house.reaches, run_id, *states)


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
async def test_a_payment_in_doubt_is_looked_for_asked_about_or_found_out_after_a_stop(
    new_house: Builder, payments: Service, tmp_path: Path, database: str
) -> None:
    service = payments(lost=1, carried_out=True)
    house = new_house(database, BANKSMAN_CONFIG=str(configured(tmp_path, service)))
    async with Team(house.url) as team:
        await _looked_for(house, team, service)
        await _asked_about(house, team, service)
        await _found_out_after_a_stop(house, team, service)


async def _looked_for(house: House, team: Team, service: Payments) -> None:
    """Its probe knows."""
    _, run_id = await approved(team, "transfer")
    shown = await reaches(house, run_id, "completed")

    assert (1, 1, 1) == (len(service.paid), len(service.asked), len(service.looked))
    assert ("pay", "reconcilable") == (shown["actions"][0]["tool"], shown["actions"][0]["recovery"])


async def _asked_about(house: House, team: Team, service: Payments) -> None:
    """Nobody but a person knows: it did not run, and runs again once somebody approves that."""
    service.lost, service.carried_out = 1, False
    root, run_id = await approved(team, "gamble")
    await reaches(house, run_id, "blocked")
    blocked = await team.answered(root, "may or may not have run", "In doubt: ", "pay.blindly", service.place)
    assert all(button(blocked, label) is not None for label in ("It ran", "It did not run", "Kill"))

    await team.click(blocked, "It did not run", by="member")
    await team.told(root, "can say what happened", "member")
    await team.click(blocked, "It did not run", by="requester")
    await team.told(root, "It runs again once somebody approves that.", "requester")
    await reaches(house, run_id, "waiting-for-approval")
    assert 1 == len(service.paid)
    first, second = house.show(run_id)["approvals"]
    assert ("consumed", "pending") == (first["status"], second["status"])
    await team.decide(await approval(team, root), "Approve", by="approver2")
    shown = await reaches(house, run_id, "completed")

    assert ["failed", "succeeded"] == [action["status"] for action in shown["actions"]]
    assert 2 == len(service.paid)
    assert 2 == len({action["idempotency_key"] for action in shown["actions"]})
    assert ["human:requester"] == [each["actor"] for each in house.log(run_id) if each["type"] == "call-resolved"]


async def _found_out_after_a_stop(house: House, team: Team, service: Payments) -> None:
    """It is stopped while the other side takes its time; the card says in the end that it was paid."""
    service.hold()
    asked, looked = len(service.asked), len(service.looked)
    service.lost, service.carried_out = 1, True
    root, run_id = await approved(team, "dawdle")
    await asyncio.to_thread(until, lambda: len(service.asked) > asked, "the payment to be under way")
    await team.click(await team.card(root, "Running"), "Kill", by="requester")

    card = await team.card(root, "Stop confirmed", "In flight: ", "it happened (its probe was asked after the stop)")
    shown = house.show(run_id)
    assert "1 call was in flight" in words(card)
    assert "canceled" == shown["run"]["state"]
    assert [("succeeded", "probe")] == [(each["status"], each["resolved_by"]) for each in shown["stop"]["calls"]]
    assert (asked + 1, looked + 1) == (len(service.asked), len(service.looked))
    found = await asyncio.to_thread(house.cli, "show", run_id)
    assert "in flight: pay: succeeded, says probe" in found.out
