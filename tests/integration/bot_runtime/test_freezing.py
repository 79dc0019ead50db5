"""Freezing from Slack: who may, what the cards and the channel say, and what a click on a parked question does."""

from collections.abc import Awaitable, Callable

import pytest

from core.ids import TENANT
from core.record.states import RunState
from core.store import freezes
from tests.integration.bot_runtime.office import House, Json, Team, has_button, poll, words
from tests.integration.bot_runtime.test_deciding import APPROVER, approval, asks, forge, question

Ready = Callable[[], Awaitable[str]]
OPERATOR = "U0OPERATOR"


async def reads(team: Team, ts: str, *having: str, without: str = "") -> Json:
    """Wait until a message says all of this."""

    async def look() -> Json | None:
        now = await team.message(ts)
        said = all(text in words(now) for text in having)
        return now if said and not (without and without in words(now)) else None

    return dict(await poll(look, f"a message with {having}"))


async def test_an_operator_freezes_this_channel_and_everybody_sees_it_at_once(
    house: House, team: Team, ready: Ready
) -> None:
    run_id = await ready()
    await house.works(run_id)
    card = await team.card()

    await team.command("freeze channel they are moving the database", user=OPERATOR)

    await team.hears("The channel C0DATA is frozen", user=OPERATOR)
    said = await team.hears("This channel is frozen")
    assert "they are moving the database" in words(said)
    await reads(team, card["ts"], "Frozen", "they are moving the database", "Nothing starts until it is thawed")
    assert RunState.PLANNING is (await house.snapshot(run_id)).run.run_state, (
        "it moves on until it would start something"
    )

    await team.command("thaw channel it is moved", user=OPERATOR)

    await team.hears("This channel is thawed")
    await reads(team, card["ts"], without="Frozen")
    assert 1 == len(await team.heard("This channel is frozen"))
    [row] = await freezes.listed(house.database, TENANT)
    assert ("channel:C0DATA", "operator", "operator") == (row.what.name, row.frozen_by, row.thawed_by)


@pytest.mark.parametrize(
    ("user", "said"),
    [("U0MEMBER", "Only an operator"), (APPROVER, "Only an operator"), ("U0GUEST", "Only members of this workspace")],
)
async def test_who_may_not_freeze_is_told_so(house: House, team: Team, ready: Ready, user: str, said: str) -> None:
    await ready()
    await team.command("freeze everything", user=user)
    await team.hears(said, user=user)
    assert [] == await freezes.listed(house.database, TENANT)


async def test_what_an_operator_mistypes_is_said_with_what_there_is(house: House, team: Team, ready: Ready) -> None:
    await ready()
    for text, said in (
        ("freeze agent:nobody", "There is no agent"),
        ("freeze", "nothing that can be frozen"),
        ("thaw tool:http", "not frozen"),
    ):
        await team.command(text, user=OPERATOR)
        await team.hears(said, user=OPERATOR)
    await team.command("freeze channel:#data", user=OPERATOR)
    await team.hears("The channel C0DATA is frozen", user=OPERATOR)
    assert ["channel:C0DATA"] == [row.what.name for row in await freezes.open_ones(house.database, TENANT)]


async def test_a_parked_question_cannot_be_approved_and_is_given_back(house: House, team: Team, ready: Ready) -> None:
    run_id = await ready()
    before = await asks(house, run_id)
    card = await question(team)

    await team.command("freeze everything a bad deploy", user=OPERATOR)

    parked = await reads(team, card["ts"], "nobody can approve this now", "left when thawed")
    assert not has_button(parked, "Approve")
    assert has_button(parked, "Deny…")
    await forge(team, parked, APPROVER)
    await team.hears("Everything is frozen by operator", user=APPROVER)
    assert "a bad deploy" in words((await team.heard("Your click counted for nothing", user=APPROVER))[0])
    assert () == (await house.snapshot(run_id)).votes
    assert (await approval(house, run_id)).remaining_ms is not None

    await team.command("thaw everything", user=OPERATOR)

    open_again = await reads(team, card["ts"], "Approval needed")
    assert (await approval(house, run_id)).expires_at > before.expires_at
    await team.click(open_again, "approval_approve", user=APPROVER)
    await team.hears("Approved. It starts now", user=APPROVER)


async def test_a_denial_of_a_parked_question_counts(house: House, team: Team, ready: Ready) -> None:
    run_id = await ready()
    await asks(house, run_id)
    card = await question(team)
    await team.command("freeze tool:git_push", user=OPERATOR)
    parked = await reads(team, card["ts"], "nobody can approve this now")
    await team.click(parked, "approval_deny_open", user=APPROVER)
    form = (await poll(lambda: team.views(APPROVER), "the form"))[-1]
    [block] = [each for each in form["view"]["blocks"] if each["type"] == "input"]
    element = block["element"]
    values = {block["block_id"]: {element["action_id"]: {"type": element["type"], "value": "not now"}}}
    await team.submit(form, values, user=APPROVER)
    await team.hears("Denied. It will not be done", user=APPROVER)
    row = await house.snapshot(run_id)
    assert ("denied", None, "blocked", "frozen") == (
        row.approvals[0].status,
        row.approvals[0].remaining_ms,
        row.run.state,
        row.run.blocked_reason,
    )
