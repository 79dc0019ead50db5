"""Who a payload comes from is looked up, and whatever is not known counts against it."""

from dataclasses import replace
from typing import Any

import pytest

from bot.identity import CACHE_S, Identity, TenantCheck
from bot.slack import Me, SlackUser
from bot.slack_errors import SlackError, SlackGone, SlackRateLimited, SlackRevoked, SlackUnavailable
from core.config import NotRecognised
from core.principals import Principal

ME = Me("A0OURS", "T0OURS", None, "U0BOT", "B0BOT", "https://ours.example/")
ROSA = SlackUser("U0ROSA", "T0OURS", None, "rosa", is_bot=False, deleted=False, is_guest=False, is_stranger=False)


class Directory:
    """Slack's users, and how often they were asked for."""

    def __init__(self, *people: SlackUser, error: SlackError | None = None) -> None:
        self.people = {person.id: person for person in people}
        self.error = error
        self.asked = 0

    async def user(self, user: str) -> SlackUser:
        self.asked += 1
        if self.error is not None:
            raise self.error
        if user not in self.people:
            raise SlackGone("user_not_found")
        return self.people[user]


class Clock:
    def __init__(self) -> None:
        self.at_s = 0.0

    def now_s(self) -> float:
        return self.at_s


def in_config(team: str, user: str) -> Principal | NotRecognised:
    if user == "U0TWICE":
        return NotRecognised("two names")
    if user == "U0ROSA":
        return Principal("rosa", frozenset({"operator"}), slack_user=user)
    return Principal(f"slack:{team}/{user}", slack_user=user)


def identity(directory: Directory, clock: Clock | None = None, me: Me = ME) -> Identity:
    return Identity(me, directory.user, in_config, now_s=(clock or Clock()).now_s)


async def test_a_member_is_who_the_config_says() -> None:
    who = await identity(Directory(ROSA)).principal("U0ROSA", team="T0OURS")

    assert Principal("rosa", frozenset({"operator"}), slack_user="U0ROSA") == who


@pytest.mark.parametrize(
    "changes",
    [{"is_guest": True}, {"is_stranger": True}, {"team": "T0OTHER"}, {"team": "T0OTHER", "enterprise": "E0OTHER"}],
)
async def test_guests_and_strangers_are_external_whatever_the_config_says(changes: dict[str, Any]) -> None:
    who = await identity(Directory(replace(ROSA, **changes))).principal("U0ROSA")

    assert isinstance(who, Principal)
    assert who.external


async def test_a_payload_that_names_another_team_makes_the_user_external() -> None:
    who = await identity(Directory(ROSA)).principal("U0ROSA", team="T0OTHER")

    assert isinstance(who, Principal)
    assert who.external


async def test_another_team_of_our_own_enterprise_is_not_outside() -> None:
    colleague = replace(ROSA, team="T0SISTER", enterprise="E0OURS")

    who = await identity(Directory(colleague), me=replace(ME, enterprise="E0OURS")).principal("U0ROSA", team="T0SISTER")

    assert isinstance(who, Principal)
    assert not who.external


@pytest.mark.parametrize("changes", [{"is_bot": True}, {"deleted": True}, {"id": "U0ELSE"}])
async def test_bots_and_dead_accounts_are_nobody(changes: dict[str, Any]) -> None:
    directory = Directory()
    directory.people["U0ROSA"] = replace(ROSA, **changes)

    assert isinstance(await identity(directory).principal("U0ROSA"), NotRecognised)


@pytest.mark.parametrize(
    "error",
    [SlackUnavailable("down"), SlackRateLimited(30), SlackRevoked("token_revoked"), SlackGone("user_not_found")],
)
async def test_who_cannot_be_checked_is_nobody(error: SlackError) -> None:
    directory = Directory(ROSA, error=error)
    who = identity(directory)

    assert isinstance(await who.principal("U0ROSA"), NotRecognised)
    directory.error = None
    assert isinstance(await who.principal("U0ROSA"), Principal), "a failure is not remembered"


async def test_a_user_the_config_names_twice_stays_refused_even_as_a_guest() -> None:
    twice = replace(ROSA, id="U0TWICE", is_guest=True)

    assert NotRecognised("two names") == await identity(Directory(twice)).principal("U0TWICE")


async def test_slack_is_asked_again_after_a_minute() -> None:
    directory, clock = Directory(ROSA), Clock()
    who = identity(directory, clock)
    await who.principal("U0ROSA")
    clock.at_s = CACHE_S - 1
    await who.principal("U0ROSA")
    asked_within = directory.asked
    directory.people["U0ROSA"] = replace(ROSA, is_guest=True)
    clock.at_s = CACHE_S

    now = await who.principal("U0ROSA")

    assert 1 == asked_within
    assert isinstance(now, Principal)
    assert now.external


async def test_a_change_slack_tells_us_about_counts_at_once() -> None:
    directory = Directory(ROSA)
    who = identity(directory)
    await who.principal("U0ROSA")
    directory.people["U0ROSA"] = replace(ROSA, deleted=True)
    who.forget("U0ROSA")

    assert isinstance(await who.principal("U0ROSA"), NotRecognised)


EVENT = {"api_app_id": "A0OURS", "team_id": "T0OURS", "event": {"type": "app_mention"}}
CLICK = {"api_app_id": "A0OURS", "team": {"id": "T0OURS", "domain": "ours"}, "user": {"id": "U0ROSA"}}


@pytest.mark.parametrize("payload", [EVENT, CLICK, CLICK | {"enterprise": None}, EVENT | {"enterprise_id": ""}])
def test_our_own_payloads_are_admitted(payload: dict[str, Any]) -> None:
    check = TenantCheck(ME)

    assert check.admits(payload)
    assert {} == check.refused


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (EVENT | {"api_app_id": "A0OTHER"}, "app"),
        (EVENT | {"team_id": "T0OTHER"}, "team"),
        (CLICK | {"team": {"id": "T0OTHER"}}, "team"),
        (CLICK | {"team_id": "T0OTHER"}, "malformed"),
        (CLICK | {"team": None}, "malformed"),
        (CLICK | {"enterprise": {"id": "E0OTHER"}}, "enterprise"),
        (CLICK | {"team": {"id": "T0OURS", "enterprise_id": "E0OTHER"}}, "enterprise"),
        (EVENT | {"enterprise_id": "E0OTHER"}, "enterprise"),
        ({"team_id": "T0OURS"}, "malformed"),
        ({"api_app_id": ["A0OURS"], "team_id": "T0OURS"}, "malformed"),
        ({}, "malformed"),
    ],
)
def test_foreign_payloads_are_refused_and_counted(payload: dict[str, Any], reason: str) -> None:
    check = TenantCheck(ME)

    assert not check.admits(payload)
    assert {reason: 1} == check.refused
