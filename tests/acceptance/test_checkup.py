"""Ask and act: a repository is checked, a push is asked for, read, approved by the right person, and happens once.

Whole processes, a real repository, the playground's HTTP surface; on both databases.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Builder
from tests.acceptance.house import House, until
from tests.acceptance.team import OPS, Json, Team, button, read_pages, run_of, said, words
from tests.shipped import shipped

BROKEN = "def total(numbers):   \n    return sum(numbers)\t\n\n\n\n"
TEST = "from shop import total\n\n\ndef test_total():\n    assert 6 == total([1, 2, 3])\n"


def git(cwd: Path, *arguments: str) -> str:
    """Run git the way a developer would."""
    identity = ["-c", "user.name=Dev", "-c", "user.email=dev@example.org", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *identity, *arguments], cwd=cwd, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Path]:
    """A bare repository somebody pushes to, with a test and some white space to mend."""
    bare, work = tmp_path / "shop.git", tmp_path / "shop"
    git(tmp_path, "init", "-q", "--bare", str(bare))
    git(tmp_path, "clone", "-q", str(bare), str(work))
    (work / "shop.py").write_text(BROKEN)
    (work / "test_shop.py").write_text(TEST)
    git(work, "add", ".")
    git(work, "commit", "-q", "-m", "Sell things")
    git(work, "push", "-q", "origin", "HEAD:main")
    return bare


def branches(repository: Path) -> dict[str, str]:
    """Every branch and its commit."""
    lines = git(repository, "for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads").splitlines()
    return dict(line.split() for line in lines)


async def approval(team: Team, root: str, *having: str) -> Json:
    """Wait for the card that asks."""
    return await team.until(
        root,
        lambda thread: next(
            (
                message
                for message in said(thread)
                if button(message, "Deny") is not None and all(text in words(message) for text in having)
            ),
            None,
        ),
        "an approval card",
    )


async def test_a_checkup_is_asked_read_approved_and_pushed_once(house: House, team: Team, repository: Path) -> None:
    before = branches(repository)
    root = await team.say(f"@banksman checkup {repository}", channel=OPS)
    asks = await approval(team, root, str(repository))
    run_id = run_of(await team.card(root))
    assert before == branches(repository), "nothing is pushed before it is approved"

    for who, told in (
        ("requester", "You asked for this run"),
        ("member", "people with the role approver"),
        ("guest", "Guests"),
    ):
        await team.decide(asks, "Approve", by=who)
        await team.private(who, told)
    assert [] == house.show(run_id)["approvals"][0]["votes"]
    assert "waiting-for-approval" == house.show(run_id)["run"]["state"]

    shown = await read_pages(team, asks, by="approver")
    assert "diff --git a/shop.py b/shop.py" in shown
    assert "-def total(numbers):   " in shown
    assert "CHECKUP.md" in shown
    await team.decide(asks, "Approve", by="approver")

    house.reaches(run_id, "completed")
    await team.card(root, "Completed")
    pushed = {name: commit for name, commit in branches(repository).items() if name not in before}
    assert 1 == len(pushed), pushed
    [(branch, commit)] = pushed.items()
    assert "def total(numbers):\n    return sum(numbers)\n" == git(repository, "show", f"{branch}:shop.py")
    assert "passed" in git(repository, "show", f"{branch}:CHECKUP.md")
    ending = house.show(run_id)
    [vote] = ending["approvals"][0]["votes"]
    assert ("approver", "approve") == (vote["voter"], vote["decision"])
    assert "consumed" == ending["approvals"][0]["status"]
    assert [1] == [action["attempts"] for action in ending["actions"] if action["tool"] == "git_push"]
    await team.forge(asks, by="approver2")
    await team.private("approver2", "already approved by approver")
    assert {branch: commit} == {name: at for name, at in branches(repository).items() if name not in before}


async def test_a_denial_is_said_with_its_reason_and_nothing_is_pushed(
    sqlite_house: House, team: Team, repository: Path
) -> None:
    before = branches(repository)
    root = await team.say(f"@banksman checkup {repository}", channel=OPS)
    asks = await approval(team, root)
    run_id = run_of(await team.card(root))

    before_it = await team.views("approver")
    await team.click(asks, "Deny", by="approver")
    form = await team.view("approver", new=before_it)
    await team.submit(form, "the release is frozen", by="approver")

    shown = sqlite_house.reaches(run_id, "failed")
    assert "approver denied it: the release is frozen" in str(shown["run"]["outcome"])
    await team.answered(root, "the release is frozen")
    assert before == branches(repository)


async def test_a_push_is_approved_on_the_command_line(sqlite_house: House, repository: Path) -> None:
    run_id = sqlite_house.ask("checkup", str(repository), "--as", "requester")
    shown = sqlite_house.reaches(run_id, "waiting-for-approval")
    [asked] = shown["approvals"]

    refused = sqlite_house.cli("approve", asked["id"], "--as", "requester", "--yes", code=3)
    assert "somebody else has to decide" in refused.err
    assert asked["id"] in [each["id"] for each in sqlite_house.cli("pending", "--json").json]
    sqlite_house.cli("approval", "show", asked["id"])
    sqlite_house.cli("approve", asked["id"], "--as", "approver", "--yes")

    shown = sqlite_house.reaches(run_id, "completed")
    assert "cli:" in str(shown["approvals"][0]["votes"][0]["via"])
    assert 2 == len(branches(repository))


def test_a_changed_rule_voids_the_question_and_two_are_needed(new_house: Builder, repository: Path) -> None:
    mine = without_policy(repository.parent)
    house = new_house(BANKSMAN_CONFIG=str(mine))
    run_id = house.ask("checkup", str(repository), "--as", "requester")
    first = house.reaches(run_id, "waiting-for-approval")["approvals"][0]

    mine.write_text(mine.read_text() + RULE)
    house.cli("policy", "check")

    def asked_anew() -> dict[str, Any] | None:
        shown = house.show(run_id)
        newest = shown["approvals"][-1]
        if newest["quorum"] == 2 and shown["run"]["state"] == "waiting-for-approval":
            return shown
        # A worker that has not read the changed file yet asks as before, and that counts for nothing either.
        house.cli("approve", newest["id"], "--as", "approver", "--yes", code=None)
        return None

    *old, new = until(asked_anew, "the question to be asked anew")["approvals"]
    assert first["id"] == old[0]["id"]
    assert {("superseded", 0)} == {(each["status"], len(each["votes"])) for each in old}
    assert "pending" == new["status"]
    house.cli("approve", new["id"], "--as", "approver", "--yes")
    assert "waiting-for-approval" == house.show(run_id)["run"]["state"]
    house.cli("approve", new["id"], "--as", "approver2", "--yes")
    house.reaches(run_id, "completed")
    assert 2 == len(branches(repository))


RULE = """
policy:
  rules:
    - {name: two-for-pushes, decision: ask, tools: [git_push], quorum: 2}
"""


def without_policy(directory: Path) -> Path:
    """The shipped file without its policy, where a test may change it."""
    path = shipped(directory)
    text = path.read_text()
    begin = text.index("\npolicy:") if "\npolicy:" in text else -1
    if begin >= 0:
        end = text.index("\n\n", begin + 1)
        text = text[:begin] + text[end:]
    path.write_text(text)
    return path
