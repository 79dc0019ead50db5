"""The two example agents as `make up` has them: asked for in the playground, approved or denied by a click, to the end.

One house for all; each test puts the shop into the state it needs.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from bot.playground.shop_repository import make_repository
from tests.acceptance.house import House, homes
from tests.acceptance.team import OPS, Json, Team, button, run_of, said, words
from tests.acceptance.test_checkup import approval, branches, git
from tests.ports import free_port
from tests.shipped import shipped

FLAG = "flags/new-basket"
BRANCH = "fix/gift-card-basket"
NOBODY_CAN_MEND = "\n\ndef test_that_nothing_can_mend():\n    assert False\n"


class Shop:
    """The shop of the house."""

    def __init__(self, url: str, directory: Path) -> None:
        self.url = url
        self.directory = directory
        """Of its repository."""

    async def read(self, path: str) -> Json:
        async with aiohttp.ClientSession() as http, http.get(f"{self.url}/{path}") as answer:
            return dict(await answer.json())

    async def turn(self, on: bool) -> None:
        async with aiohttp.ClientSession() as http, http.put(f"{self.url}/{FLAG}", json={"on": on}) as answer:
            assert 200 == answer.status

    async def repository(self, tmp_path: Path, more: str = "") -> Path:
        """Its repository as it is made, with more in its tests if so said."""
        catalogue = await self.read("")
        repository = Path(catalogue["repository"])
        assert self.directory == repository.parent, "beside the home, where tools may go"
        shutil.rmtree(repository)
        make_repository(self.directory)
        if more:
            work = tmp_path / "work"
            git(tmp_path, "clone", "-q", str(repository), str(work))
            tests = work / "test_basket.py"
            tests.write_text(tests.read_text() + more)
            git(work, "commit", "-q", "-a", "-m", "Want the impossible")
            git(work, "push", "-q", "origin", "HEAD:main")
        return repository


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[House, Shop]]:
    """A house with the shipped configuration and an open shop; whoever runs it has no key of any vendor."""
    port, home = free_port(), homes("examples")
    settings = {"BANKSMAN_SHOP_PORT": str(port), "ANTHROPIC_API_KEY": ""}
    house = House.start(home, BANKSMAN_CONFIG=str(shipped(home, shop=f"127.0.0.1:{port}")), **settings)
    beside = home.with_name(f"{home.name}-shop")
    try:
        yield house, Shop(f"http://127.0.0.1:{port}", beside)
    finally:
        try:
            house.stop()
        finally:
            for directory in (home, beside):
                shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def house(place: tuple[House, Shop]) -> House:
    return place[0]


@pytest.fixture
def shop(place: tuple[House, Shop]) -> Shop:
    return place[1]


@pytest.fixture
async def team(house: House) -> AsyncIterator[Team]:
    async with Team(house.url) as people:
        yield people


async def shown_at(house: House, team: Team, root: str, state: str) -> Json:
    """Wait until the run of a thread is in a state, and show it."""
    run_id = run_of(await team.card(root))
    return await asyncio.to_thread(house.reaches, run_id, state)


async def denied(team: Team, asks: Json, reason: str) -> None:
    """Have an approver deny."""
    before = await team.views("approver")
    await team.click(asks, "Deny", by="approver")
    await team.submit(await team.view("approver", new=before), reason, by="approver")


async def kept(team: Team, root: str, name: str) -> str:
    """The text of a file in a thread."""

    def look(thread: list[Json]) -> str | None:
        return next((file["url"] for message in thread for file in message["files"] if file["name"] == name), None)

    return (await team.fetch(await team.until(root, look, name))).decode()


async def test_an_incident_is_read_explained_and_ended_with_one_approved_request(
    house: House, team: Team, shop: Shop
) -> None:
    await shop.turn(on=True)
    root = await team.say("@banksman triage Orders fail, please look", channel=OPS)
    asks = await approval(team, root, "new-basket", "23.3 % of orders fail")
    assert (await shop.read(FLAG))["on"], "nothing is changed before it is approved"
    await team.decide(asks, "Approve", by="approver")

    await team.answered(root, "Effects outside this run", "23.3 % of orders failed before", "0.2 % do now")
    card = await team.card(root, "Completed", "thinks with script:triage-script")
    assert 4 == words(card).count("✓")
    report = await kept(team, root, "triage.md")
    assert "| failed, % | 23.3 | 0.2 |" in report
    assert not (await shop.read(FLAG))["on"]
    shown = await shown_at(house, team, root, "completed")
    changes = [action for action in shown["actions"] if action["tier"] != "read" and action["tool"] == "shop"]
    assert [("succeeded", 1)] == [(action["status"], action["attempts"]) for action in changes]
    assert 1 == len(shown["approvals"])

    again = await team.say("@banksman triage And now?", channel=OPS)
    await team.answered(again, "Completed", "off already", "proposed nothing")
    assert [] == (await shown_at(house, team, again, "completed"))["approvals"]


async def test_a_denied_remedy_is_not_made_and_the_report_says_so(house: House, team: Team, shop: Shop) -> None:
    await shop.turn(on=True)
    root = await team.say("@banksman triage Orders fail, please look", channel=OPS)
    await denied(team, await approval(team, root), "the release stays")

    await team.answered(root, "Completed", "that was not done", "the release stays", "I have changed nothing")
    assert "the release stays" in await kept(team, root, "triage.md")
    assert (await shop.read(FLAG))["on"]
    shown = await shown_at(house, team, root, "completed")
    assert 1 == len(shown["approvals"]), "it does not ask twice"


async def test_a_failing_test_is_mended_and_pushed_as_a_branch_that_somebody_read(
    house: House, team: Team, shop: Shop, tmp_path: Path
) -> None:
    repository = await shop.repository(tmp_path)
    main = branches(repository)
    root = await team.say("@banksman repo Mend the failing test", channel=OPS)
    asks = await approval(team, root, BRANCH, "+    return sum(prices) // len(prices) if prices else 0")
    assert main == branches(repository), "nothing is pushed before it is approved"
    await team.decide(asks, "Approve", by="approver")

    await team.answered(root, "Completed", "2 passed, 1 failed", "3 passed", f"{BRANCH} is pushed")
    await team.card(root, "Completed", "thinks with script:repo-script")
    after = branches(repository)
    assert main.items() < after.items() and {BRANCH} == after.keys() - main.keys()
    assert "if prices else 0" in git(repository, "show", f"{BRANCH}:basket.py")
    card = await team.card(root, "Completed")
    assert button(card, "Roll back") is not None, "a push can be taken back"


async def test_a_denied_push_is_not_made_and_its_run_does_not_count_as_done(
    house: House, team: Team, shop: Shop, tmp_path: Path
) -> None:
    repository = await shop.repository(tmp_path)
    root = await team.say("@banksman repo Mend the failing test", channel=OPS)
    await denied(team, await approval(team, root), "not this week")

    await team.answered(root, "Failed", "no call of `git_push` has succeeded", "not this week")
    await team.card(root, "✗ ", "Push the branch")
    assert ["main"] == list(branches(repository))


async def test_nothing_is_pushed_while_tests_fail(house: House, team: Team, shop: Shop, tmp_path: Path) -> None:
    repository = await shop.repository(tmp_path, more=NOBODY_CAN_MEND)
    root = await team.say("@banksman repo Mend the failing test", channel=OPS)

    await team.answered(root, "Failed", "Tests still fail after my change", "pushed nothing")
    assert [] == (await shown_at(house, team, root, "failed"))["approvals"]
    assert ["main"] == list(branches(repository))


@pytest.mark.parametrize("agent", ["triage-live", "repo-live"])
async def test_without_a_key_a_models_agent_says_which_variable_to_set(house: House, team: Team, agent: str) -> None:
    root = await team.say(f"@banksman {agent} Please look", channel=OPS)

    def look(thread: list[Json]) -> Json | None:
        return next((message for message in said(thread) if button(message, "Ask again") is not None), None)

    blocked = await team.until(root, look, "a message that lets it be asked again")
    assert "needs a key, and there is none here. Set ANTHROPIC_API_KEY in the environment of the worker." in words(
        blocked
    )
    shown = await shown_at(house, team, root, "blocked")
    assert ("missing-secret", []) == (shown["run"]["blocked_reason"], shown["turns"])
