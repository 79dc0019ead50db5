"""Roll back: what a run pushed is deleted again, with an approval of its own, once, and the run says so.

Whole processes, a real repository, the playground's HTTP surface.
"""

import asyncio
from pathlib import Path

import pytest

from tests.acceptance.conftest import Builder
from tests.acceptance.house import House, until
from tests.acceptance.team import OPS, Json, Team, button, run_of, words
from tests.acceptance.test_checkup import approval, branches, git, repository

__all__ = ["repository"]

DELETES = "Delete the branch"


async def pushed(house: House, team: Team, repository: Path) -> tuple[str, str]:
    """A checkup whose branch was pushed, approved by a person: its thread and its run."""
    root = await team.say(f"@banksman checkup {repository}", channel=OPS)
    asks = await approval(team, root, str(repository))
    run_id = run_of(await team.card(root))
    await team.decide(asks, "Approve", by="approver")
    house.reaches(run_id, "completed")
    return root, run_id


async def card_of(team: Team, root: str, run_id: str, *having: str) -> Json:
    """Wait for the card of one run of a thread to say all of this."""

    def look(thread: list[Json]) -> Json | None:
        mine = [each for each in thread if (button(each, "Details") or {}).get("value") == run_id]
        return next((each for each in mine if all(text in words(each) for text in having)), None)

    return await team.until(root, look, f"the card of {run_id} to say {having}")


async def with_button(team: Team, root: str, run_id: str) -> Json:
    """Wait until a run can be rolled back; its card."""

    def look(thread: list[Json]) -> Json | None:
        mine = [each for each in thread if (button(each, "Details") or {}).get("value") == run_id]
        return next((each for each in mine if button(each, "Roll back") is not None), None)

    return await team.until(root, look, f"a button that rolls {run_id} back")


def rollback_of(house: House, run_id: str) -> str:
    """The run that undoes another one."""
    return until(lambda: (house.show(run_id)["rollback"] or {}).get("run_id"), f"a rollback of {run_id}")


async def test_what_was_pushed_is_deleted_once_an_approver_has_said_so(
    house: House, team: Team, repository: Path
) -> None:
    before = branches(repository)
    root, run_id = await pushed(house, team, repository)
    card = await with_button(team, root, run_id)
    [(branch, commit)] = [each for each in branches(repository).items() if each[0] not in before]

    await team.click(card, "Roll back", by="member")
    await team.told(root, "Only the person who asked for this run", to="member")
    assert None is house.show(run_id)["rollback"]
    await asyncio.gather(*(team.click(card, "Roll back", by="requester") for _ in range(2)))
    child = rollback_of(house, run_id)
    await team.told(root, f"Run {child} undoes what run {run_id} did", to="requester")
    await team.told(root, f"is being rolled back already, by run {child}", to="requester")

    await card_of(team, root, run_id, f"Rolling back: run {child[-6:]}", "Completed")
    await card_of(team, root, child, f"Undoes what run {run_id[-6:]} did", "Undo git_push of step push")
    asks = await approval(team, root, f"{DELETES} `{branch}`", commit)
    assert branch in branches(repository), "nothing is deleted before it is approved"
    await team.decide(asks, "Approve", by="requester")
    await team.private("requester", "You asked for this run")
    assert "waiting-for-approval" == house.show(child)["run"]["state"]

    await team.decide(asks, "Approve", by="approver")

    house.reaches(run_id, "rolled-back")
    assert before == branches(repository)
    rolled = await card_of(team, root, run_id, f"Rolled back: run {child[-6:]}", f": undone by run {child[-6:]}")
    assert None is button(rolled, "Roll back")
    await card_of(team, root, child, "Completed", "Undid 1 effect of run")
    await team.answered(root, f"Undoes what run {run_id[-6:]} did", "git_push.undo", "undo-push", ": done")
    shown, of_child = house.show(run_id), house.show(child)
    [effect] = shown["effects"]
    assert ("undone", child, "git_push.undo") == (effect["status"], effect["undone_by"], effect["undo"])
    assert ("completed", run_id, False) == (
        of_child["run"]["state"],
        of_child["run"]["rolls_back"],
        shown["run"]["can_roll_back"],
    )
    assert ["consumed"] == [each["status"] for each in of_child["approvals"]]
    assert [("git_push.undo", "succeeded", 1)] == [
        (each["tool"], each["status"], each["attempts"]) for each in of_child["actions"]
    ]
    assert 1 == sum(event["to"] == "rolled-back" for event in house.log(run_id))
    house.cli("doctor", "--invariants")


async def test_a_branch_somebody_built_on_stays_and_the_run_is_not_rolled_back(
    sqlite_house: House, team: Team, repository: Path, tmp_path: Path
) -> None:
    before = branches(repository)
    root, run_id = await pushed(sqlite_house, team, repository)
    card = await with_button(team, root, run_id)
    [branch] = branches(repository).keys() - before.keys()
    work = tmp_path / "shop"
    git(work, "fetch", "-q")
    git(work, "checkout", "-q", "-b", branch, f"origin/{branch}")
    git(work, "commit", "-q", "--allow-empty", "-m", "Build on it")
    git(work, "push", "-q", "origin", branch)
    moved = branches(repository)

    await team.click(card, "Roll back", by="requester")
    child = rollback_of(sqlite_house, run_id)

    shown = sqlite_house.reaches(child, "failed")
    assert "0 of 1 undone" in shown["run"]["outcome"]
    assert "has moved since" in shown["run"]["outcome"]
    assert [] == shown["approvals"], "nobody is asked about what would not be done"
    await team.answered(root, "has moved since")
    assert (moved, "completed") == (branches(repository), sqlite_house.show(run_id)["run"]["state"])
    await with_button(team, root, run_id)


async def test_a_denied_rollback_can_be_asked_for_again_on_the_command_line(
    sqlite_house: House, team: Team, repository: Path
) -> None:
    before = branches(repository)
    root, run_id = await pushed(sqlite_house, team, repository)
    refused = sqlite_house.cli("rollback", run_id, code=3)
    assert "Only the person who asked for this run" in refused.err
    done = sqlite_house.cli("rollback", run_id, "--as", "requester", "--reason", "wrong branch")
    first = rollback_of(sqlite_house, run_id)
    assert f"Run {first} undoes what run {run_id} did: 1 effect." in done.out
    again = sqlite_house.cli("rollback", run_id, "--as", "operator", code=3)
    assert "being rolled back already" in again.err
    [asked] = sqlite_house.reaches(first, "waiting-for-approval")["approvals"]
    sqlite_house.cli("deny", asked["id"], "--as", "approver", "--reason", "people use it")
    assert "people use it" in sqlite_house.reaches(first, "failed")["run"]["outcome"]
    await with_button(team, root, run_id)
    assert "completed" == sqlite_house.show(run_id)["run"]["state"]
    assert before != branches(repository)

    sqlite_house.cli("rollback", run_id, "--as", "operator")
    second = rollback_of(sqlite_house, run_id)
    [asked] = sqlite_house.reaches(second, "waiting-for-approval")["approvals"]
    sqlite_house.cli("approve", asked["id"], "--as", "approver", "--yes")

    sqlite_house.reaches(run_id, "rolled-back")
    assert before == branches(repository)
    over = sqlite_house.cli("rollback", run_id, "--as", "operator", code=3)
    assert "already rolled back" in over.err
    assert f"undone by run {second[-6:]}" in sqlite_house.cli("show", run_id).out


TWICE = """\
principals:
  approver: {roles: [approver], cli: any}
  requester: {cli: any}
tools:
  git_read: {tier: read, recovery: idempotent, network: ["file:/"]}
  git_push: {tier: compensable, recovery: reconcilable, network: ["file:/"]}
sandbox: {level: auto, unsandboxed: refused}
playbooks:
  - name: twice
    title: Push to two places
    inputs:
      source: {type: string}
      one: {type: string}
      two: {type: string}
    steps:
      - {id: clone, tool: git_read, with: {url: "${{ inputs.source }}", path: repo}}
      - {id: one, tool: git_push, with: {url: "${{ inputs.one }}", path: repo, branch: main}}
      - {id: two, tool: git_push, with: {url: "${{ inputs.two }}", path: repo, branch: main}}
"""


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_a_worker_that_dies_between_two_deletions_leaves_the_second_to_another(
    new_house: Builder, repository: Path, tmp_path: Path, database: str
) -> None:
    config, orders = tmp_path / "twice.yml", tmp_path / "chaos"
    config.write_text(TWICE)
    for name in ("orders", "passed", "fired"):
        (orders / name).mkdir(parents=True)
    places = [tmp_path / "one.git", tmp_path / "two.git"]
    for place in places:
        git(tmp_path, "init", "-q", "--bare", str(place))
        git(place, "symbolic-ref", "HEAD", "refs/heads/trunk")  # git keeps the branch that HEAD names
    house = new_house(database, BANKSMAN_CONFIG=str(config), CHAOS=str(orders))
    given = [
        f"--input={name}={place}" for name, place in zip(("source", "one", "two"), (repository, *places), strict=True)
    ]
    run_id = house.cli("run", "twice", *given, "--as", "requester").out.strip()

    def approve(of: str, n: int) -> None:
        asked = until(lambda: next(iter(house.show(of)["approvals"][n:]), None), f"question {n} of {of}")
        house.cli("approve", asked["id"], "--as", "approver", "--yes")

    for n in range(2):
        approve(run_id, n)
    house.reaches(run_id, "completed")
    assert [["main"], ["main"]] == [list(branches(place)) for place in places]
    (orders / "orders" / "CP23.kill").touch()
    house.cli("rollback", run_id, "--as", "requester")
    child = rollback_of(house, run_id)

    approve(child, 0)
    until((orders / "fired" / "CP23").exists, "the worker to die")
    assert [["main"], []] == [list(branches(place)) for place in places], "the last push is the first to go"
    assert "completed" == house.show(run_id)["run"]["state"]
    approve(child, 1)

    shown = house.reaches(run_id, "rolled-back")
    assert [[], []] == [list(branches(place)) for place in places]
    assert ["undone", "undone"] == [effect["status"] for effect in shown["effects"]]
    assert [1, 1] == [action["attempts"] for action in house.show(child)["actions"]]
    house.cli("doctor", "--invariants")
