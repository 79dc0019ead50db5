"""Stopping from Slack: every surface, who may, and a stop that was stored by a bot that died."""

from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from core.clock import SystemClock
from core.ids import TENANT
from core.record.changes import Insert
from core.record.states import RunState
from core.store import inbox
from tests.integration.bot_runtime.office import House, Json, Running, Team, has_button, poll, words

Ready = Callable[[], Awaitable[str]]
STOPPED = RunState.CANCELED


async def test_kill_on_the_card_stops_the_run_and_the_card_says_so(house: House, team: Team, ready: Ready) -> None:
    await ready()

    clicked = await team.click(await team.card(), "run_kill")

    assert clicked["acked"]
    await house.run(STOPPED)
    await team.hears("Stop requested", user="U0REQUESTER")

    async def card_says_so() -> bool:
        card = await team.card()
        return "Stop requested by" in words(card) and not has_button(card, "Kill")

    await poll(card_says_so, "the card to show the stop")
    assert "U0REQUESTER" in str((await team.hears(": stopped after"))["blocks"])


async def test_a_click_delivered_twice_stops_once_and_is_answered_once(house: House, team: Team, ready: Ready) -> None:
    await ready()
    await team.fault("duplicate", delivery="interactive", copies=3)

    await team.click(await team.card(), "run_kill")

    await house.run(STOPPED)
    await team.hears("Stop requested", user="U0REQUESTER")
    await team.command("help")
    await team.hears("How to use", user="U0REQUESTER")
    assert 2 == len(await team.heard(user="U0REQUESTER"))


async def test_who_may_not_stop_is_told_so(house: House, team: Team, ready: Ready) -> None:
    await ready()
    card = await team.card()

    await team.click(card, "run_kill", user="U0MEMBER")
    await team.hears("or an operator, can stop it", user="U0MEMBER")
    await team.click(card, "run_kill", user="U0GUEST")
    await team.hears("cannot stop runs here", user="U0GUEST")
    assert STOPPED is not (await house.run(None)).run_state

    # The card is not redrawn before the last one has pressed its button, too.
    await team.fault("hang", method="chat.update", seconds=8)
    await team.click(card, "run_kill", user="U0OPERATOR")
    await team.hears("Stop requested", user="U0OPERATOR")
    await team.click(card, "run_kill", user="U0REQUESTER")
    await team.hears("already stopped by operator", user="U0REQUESTER")


async def test_the_click_is_acknowledged_in_time_while_slack_is_slow_to_say_who_clicked(
    house: House, team: Team, ready: Ready
) -> None:
    await ready()
    await team.fault("hang", method="users.info", seconds=3.3)

    clicked = await team.click(await team.card(), "run_kill", user="U0OPERATOR")

    assert clicked["acked"]
    await house.run(STOPPED)


@pytest.mark.parametrize("text", ["@banksman stop", "  STOP "])
async def test_the_word_stop_in_the_thread_stops(house: House, team: Team, ready: Ready, text: str) -> None:
    await ready()
    root = (await team.card())["thread_ts"]

    await team.say(text, thread_ts=root)

    await house.run(STOPPED)
    await team.hears("Stop requested", user="U0REQUESTER")
    await team.say("@banksman stop", thread_ts=root)
    await team.hears("Nothing of mine is under way", user="U0REQUESTER")
    assert 2 == len(await team.heard(user="U0REQUESTER"))


async def test_stop_in_a_thread_that_is_not_ours_is_not_for_us(house: House, team: Team, ready: Ready) -> None:
    await ready()
    root = await team.say("music?", channel="C0RANDOM")
    await team.say("stop", channel="C0RANDOM", thread_ts=root)
    await team.say("do not stop", thread_ts=(await team.card())["thread_ts"])
    await team.command("help")

    await team.hears("How to use", user="U0REQUESTER")
    assert 1 == len(await team.heard(user="U0REQUESTER"))
    assert STOPPED is not (await house.run(None)).run_state


@pytest.mark.parametrize("on", ["card", "root"])
async def test_the_stop_reaction_on_card_or_root_stops(house: House, team: Team, ready: Ready, on: str) -> None:
    await ready()
    card = await team.card()
    ts = card["ts"] if on == "card" else card["thread_ts"]

    await team.do("reactions", user="U0REQUESTER", channel="C0DATA", ts=ts, name="tada")
    await team.do("reactions", user="U0REQUESTER", channel="C0DATA", ts=ts, name="x")

    await house.run(STOPPED)
    await team.hears("Stop requested", user="U0REQUESTER")


async def test_stop_and_the_reaction_on_the_root_stop_every_run_of_the_thread(
    house: House, bot: Running, team: Team
) -> None:
    root = await team.say("@banksman idle")
    await poll(lambda: team.cards(), "the first card")
    await team.say("@banksman idle", thread_ts=root)
    await poll(lambda: _two(house), "two runs")

    await team.do("reactions", user="U0OPERATOR", channel="C0DATA", ts=root, name="x")

    async def all_stopped() -> bool:
        return [STOPPED, STOPPED] == [row.run_state for row in await house.runs()]

    await poll(all_stopped, "both to stop")


async def _two(house: House) -> bool:
    return len(await house.runs()) == 2


async def test_the_command_stops_by_the_end_of_an_id_and_keeps_the_reason(
    house: House, team: Team, ready: Ready
) -> None:
    run_id = await ready()

    await team.command(f"KILL {run_id[-6:]} it counts sheep")

    run = await house.run(STOPPED)
    assert "it counts sheep" == run.kill_reason
    await team.hears("Stop requested", user="U0REQUESTER")


ANSWERS = [
    ("kill zzzzzz", "U0REQUESTER", "There is no run 'zzzzzz'"),
    ("show yyyyyy", "U0REQUESTER", "There is no run 'yyyyyy'"),
    ("kill", "U0REQUESTER", "There is no run ''"),
    ("dance", "U0REQUESTER", "does not know 'dance'"),
    ("", "U0REQUESTER", "How to use Banksman"),
    ("runs", "U0OPERATOR", "1 run"),
    ("runs", "U0GUEST", "Only members"),
    ("kill {id}", "U0MEMBER", "or an operator, can stop it"),
]


async def test_commands_are_answered_privately(house: House, team: Team, ready: Ready) -> None:
    run_id = await ready()

    for text, user, sentence in ANSWERS:
        await team.command(text.format(id=run_id), user=user)
        await team.hears(sentence, user=user)
    for text in ("show {id}", "kill {id}"):
        told = len(await team.heard("Only members", user="U0GUEST"))
        await team.command(text.format(id=run_id), user="U0GUEST")
        await poll(partial(_more, team, told), "an answer")

    assert STOPPED is not (await house.run(None)).run_state


async def _more(team: Team, told: int) -> bool:
    return len(await team.heard("Only members", user="U0GUEST")) > told


async def test_an_ending_that_fits_two_runs_stops_neither(house: House, bot: Running, team: Team) -> None:
    await team.say("@banksman idle")
    await team.say("@banksman idle", channel="C0OPS")
    await poll(lambda: _two(house), "two runs")

    await team.command("kill run_")

    await team.hears("There is no run", user="U0REQUESTER")
    assert STOPPED not in {row.run_state for row in await house.runs()}


async def test_show_has_buttons_that_work(house: House, team: Team, ready: Ready) -> None:
    run_id = await ready()
    await team.command(f"show {run_id[-6:]}")
    shown = await team.hears("As of now", user="U0REQUESTER")

    await team.click(shown, "run_kill")

    await house.run(STOPPED)
    await team.hears("Stop requested", user="U0REQUESTER")


async def test_details_open_and_say_when_it_is_too_late(house: House, team: Team, ready: Ready) -> None:
    await ready()
    card = await team.card()
    await team.click(card, "run_details")
    await poll(team.views, "the modal")

    await team.fault("429", method="views.open", count=1)
    await team.click(card, "run_details")
    await team.hears("I could not open that", user="U0REQUESTER")


async def test_the_home_shows_own_runs_and_changes_after_kill_from_there(
    house: House, team: Team, ready: Ready
) -> None:
    run_id = await ready()
    await team.do("home", user="U0REQUESTER")
    await team.do("home", user="U0MEMBER")

    async def home(user: str) -> Json:
        return dict((await team.state())["homes"].get(user) or {})

    mine = await poll(lambda: home("U0REQUESTER"), "a home")
    others = await poll(lambda: home("U0MEMBER"), "another home")
    assert run_id[-6:] in words(mine)
    assert run_id[-6:] not in words(others)

    await team.do("views", user="U0REQUESTER", view_id=mine["id"], action={"action_id": "run_kill"})

    await house.run(STOPPED)

    async def redrawn() -> bool:
        return "Stopped" in words(await home("U0REQUESTER"))

    await poll(redrawn, "the home to show the stop")


def _left(kind: str, body: Json) -> Insert:
    now_ms = SystemClock().wall_ms()
    return inbox.received(TENANT, f"left:{kind}", kind, body, now_ms=now_ms - 20_000)


@pytest.mark.parametrize("kind", ["click.kill", "command", "stop", "reaction"])
async def test_a_stop_stored_by_a_bot_that_died_is_carried_out_by_the_next_as_of_then(
    house: House, team: Team, kind: str
) -> None:
    first = await house.start_bot()
    await team.say("@banksman idle")
    run = await house.run()
    card = await team.card()
    await first.end()
    place: Json = {"user": "U0REQUESTER", "team": None, "channel": "C0DATA", "thread_ts": card["thread_ts"]}
    bodies: dict[str, Json] = {
        "click.kill": {"value": run.id, "in_home": False},
        "command": {"word": "kill", "rest": run.id},
        "stop": {"addressed": False},
        "reaction": {"ts": card["ts"]},
    }
    left = _left(kind, place | bodies[kind])
    await house.database.journal.record([left])

    await house.start_bot()

    stopped = await house.run(STOPPED)
    assert left.values["received_at"] == stopped.killed_at
    await team.hears("Stop requested", user="U0REQUESTER")
