"""Stop, from every surface: the processes are gone, the card says so, and the run does not go on."""

import re

import pytest

from core.execution.labels import labelled
from tests.acceptance.house import House, until
from tests.acceptance.team import DATA, Team, button, run_of, user, words
from tests.acceptance.test_story import TIME

STOP = {"requested_at", "confirmed_at", "by", "reason"}


async def busy(house: House, team: Team) -> tuple[str, str]:
    """A run that works until it is stopped: its thread and its id."""
    root = await team.say("@banksman runaway")
    card = await team.card(root, "Running")
    run_id = run_of(card)
    # However many the sandbox adds: the supervisor, the busy loop and the one that hides.
    until(lambda: len(labelled(run_id=run_id)) >= 3, "the whole process tree of the runaway")
    return root, run_id


async def is_over(house: House, team: Team, root: str, run_id: str, by: str) -> None:
    """What holds once a run was stopped, on whatever surface."""
    card = await team.card(root, "Stop requested by", "Stop confirmed")
    assert {} == labelled(run_id=run_id)
    assert re.search(r"[1-9]\d* processes? ended, nothing of it is left running", words(card))
    assert button(card, "Kill") is None
    shown = house.show(run_id)
    assert "canceled" == shown["run"]["state"]
    assert by == shown["stop"]["by"]
    assert STOP <= set(shown["stop"])
    assert shown["stop"]["requested_at"] <= shown["stop"]["confirmed_at"]
    ending = await team.answered(root, "runaway", "Stop requested by", "no effects outside")
    assert "Not confirmed" not in words(ending), "what stands in the thread for good is what is true in the end"


async def test_the_kill_button_ends_it(house: House, team: Team) -> None:
    root, run_id = await busy(house, team)

    answer = await team.click(await team.card(root), "Kill", "requester")

    assert answer["acked"]
    await team.told(root, "Stop requested", "requester")
    await is_over(house, team, root, run_id, "requester")
    before = (house.show(run_id), house.log(run_id))
    other = house.ask("report", "--file", str(house.csv()))
    house.reaches(other, "completed")
    assert before == (house.show(run_id), house.log(run_id)), "it went on"
    assert {} == labelled(run_id=run_id)


async def test_the_command_line_ends_it_for_an_operator(house: House, team: Team) -> None:
    root, run_id = await busy(house, team)

    done = house.cli("kill", run_id[-6:], "--as", "operator", "--reason", "it eats the machine")

    assert f"Stop requested for run {run_id}" in done.out
    await team.card(root, "it eats the machine")
    await is_over(house, team, root, run_id, "operator")
    stop = house.show(run_id)["stop"]
    assert "it eats the machine" == stop["reason"]
    assert TIME.fullmatch(stop["confirmed_at"])


@pytest.mark.parametrize("word", ["stop", "@banksman Stop"])
async def test_the_word_stop_in_the_thread_ends_it(sqlite_house: House, team: Team, word: str) -> None:
    root, run_id = await busy(sqlite_house, team)

    await team.say(word, thread=root)

    await is_over(sqlite_house, team, root, run_id, "requester")


async def test_a_cross_on_the_root_message_ends_it(sqlite_house: House, team: Team) -> None:
    root, run_id = await busy(sqlite_house, team)

    await team.act("reactions", user=user("operator"), channel=DATA, ts=root, name="x")

    await is_over(sqlite_house, team, root, run_id, "operator")


async def test_slacks_own_stop_button_ends_it_and_goes(sqlite_house: House, team: Team) -> None:
    root, run_id = await busy(sqlite_house, team)
    await team.session(root, "processing")

    await team.act("stop", user=user("requester"), channel=DATA, thread_ts=root)

    await is_over(sqlite_house, team, root, run_id, "requester")
    await team.session(root, "closed")


async def test_the_slash_command_ends_it(sqlite_house: House, team: Team) -> None:
    root, run_id = await busy(sqlite_house, team)

    command = f"kill {run_id[-6:]}"
    await team.act("commands", user=user("requester"), channel=DATA, command="/banksman", text=command)

    await is_over(sqlite_house, team, root, run_id, "requester")


async def test_who_may_not_stop_it_is_told_so_privately_and_nothing_changes(sqlite_house: House, team: Team) -> None:
    root, run_id = await busy(sqlite_house, team)
    before, processes = sqlite_house.show(run_id), set(labelled(run_id=run_id))
    refusal = "Only the person who asked for this run, its agent's approvers, or an operator, can stop it."
    of_guests = "Guests and people from other organisations cannot stop runs here."

    await team.click(await team.card(root), "Kill", "member")
    await team.told(root, refusal, "member")
    await team.say("stop", thread=root, by="guest")
    await team.told(root, of_guests, "guest")
    await team.act("reactions", user=user("member"), channel=DATA, ts=root, name="x")
    await team.told(root, refusal, "member", times=2)
    refused = sqlite_house.cli("kill", run_id, "--as", "member", code=3)

    assert refusal in refused.err
    assert before == sqlite_house.show(run_id)
    assert processes == set(labelled(run_id=run_id))
    assert button(await team.card(root), "Kill") is not None
    await team.say("stop it now please", thread=root)
    assert before == sqlite_house.show(run_id)
    await team.say("stop", thread=root)
    await team.card(root, "Stop confirmed")
