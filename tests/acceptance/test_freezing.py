"""Freeze while somebody is about to approve: nothing is pushed, nothing is lost, and after the thaw it happens once."""

from pathlib import Path

from tests.acceptance.house import House
from tests.acceptance.team import OPS, Team, run_of
from tests.acceptance.test_checkup import approval, branches, repository

__all__ = ["repository"]


async def test_a_frozen_channel_lets_nobody_approve_and_a_thawed_one_pushes_once(
    house: House, team: Team, repository: Path
) -> None:
    before = branches(repository)
    root = await team.say(f"@banksman checkup {repository}", channel=OPS)
    asks = await approval(team, root, str(repository))
    run_id = run_of(await team.card(root))
    scope = f"channel:{OPS}"

    house.cli("freeze", scope, "--as", "operator", "--reason", "we are looking into it")

    await team.card(root, "snowflake", "we are looking into it", "Nothing starts until it is thawed")
    await approval(team, root, "nobody can approve this now", "left when thawed")
    await team.forge(asks, by="approver")
    await team.private("approver", "is frozen by operator", "we are looking into it")
    shown = house.show(run_id)
    assert ("blocked", "frozen", [scope]) == (
        shown["run"]["state"],
        shown["run"]["blocked_reason"],
        [freeze["scope"] for freeze in shown["freezes"]],
    )
    assert ([], before) == (shown["approvals"][0]["votes"], branches(repository))

    house.cli("thaw", scope, "--as", "operator")

    asks = await approval(team, root, "Approval needed")
    await team.decide(asks, "Approve", by="approver")
    house.reaches(run_id, "completed")
    assert 1 == len(branches(repository)) - len(before)
    ending = house.show(run_id)
    assert [1] == [action["attempts"] for action in ending["actions"] if action["tool"] == "git_push"]
    types = [event["type"] for event in house.log(run_id)]
    assert (1, 1) == (types.count("run-frozen"), types.count("run-thawed"))
