"""The form for what a request did not say: for whoever asked, with what is wrong at its field, one run at most."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from bot import forms
from bot.intake import Accepted
from core.ids import short
from core.record.states import RunState
from tests.integration.bot_runtime.office import CSV, House, Json, Running, Team, attached, poll, words

USER = "U0REQUESTER"
Opened = Callable[..., Awaitable[Json]]


@pytest.fixture
def opened(team: Team) -> Opened:
    """Asks for something incomplete and opens the form: `view = await opened("@banksman greet")`."""

    async def opened(text: str, **more: Any) -> Json:
        await team.say(text, **more)
        asked = await team.hears("cannot begin")
        await team.click(asked, "run_inputs_open")
        found: Json = (await poll(team.views, "the form"))[-1]
        return found

    return opened


def at(view: Json, name: str) -> str:
    """The block of a field."""
    return next(str(block["block_id"]) for block in view["view"]["blocks"] if block["block_id"].endswith(f":{name}"))


async def test_what_is_filled_in_completes_the_request(house: House, bot: Running, team: Team, opened: Opened) -> None:
    view = await opened("@banksman greet")

    done = await team.submit(view, {at(view, "times"): "3", at(view, "who"): "Ana"})

    assert done["acked"]
    assert not done.get("errors")
    run = await house.run()
    assert {"times": 3, "who": "Ana"} == run.inputs
    card = await team.card()
    assert run.thread_ts == card["thread_ts"]
    assert [] == await team.views()
    asked = await team.offers_nothing(await team.hears("cannot begin"))
    assert f"Filled in by : run {short(run.id)}" in words(asked).replace("  ", " ") and USER in str(asked["blocks"])


@pytest.mark.parametrize("fresh", [False, True])
async def test_a_file_can_be_given_in_the_form(
    house: House, bot: Running, team: Team, opened: Opened, *, fresh: bool
) -> None:
    given: Json | str = attached("sales.csv")
    if not fresh:
        ts = await team.say("my file", files=[given])
        given = (await team.message(ts))["files"][0]["id"]
    view = await opened("@banksman report")

    await team.submit(view, {at(view, "data"): [given]})

    await house.run(None)
    await poll(lambda: _loaded(house), "its context")
    data = (await house.run(None)).inputs["data"]
    assert data.get("sha256"), "the file could not be read"
    assert ("sales.csv", len(CSV)) == (data["name"], data["size"])


async def _loaded(house: House) -> bool:
    return (await house.runs())[0].run_state is not RunState.CREATED


async def test_one_of_the_attached_files_can_be_chosen(house: House, bot: Running, team: Team, opened: Opened) -> None:
    view = await opened("@banksman report", files=[attached("a.csv"), attached("b.csv", CSV * 2)])

    await team.submit(view, {at(view, "data"): "b.csv"})

    data = (await house.run()).inputs["data"]
    assert ("b.csv", 2 * len(CSV)) == (data["name"], data["size"])


async def test_a_wrong_file_is_said_at_its_field_and_nothing_starts(
    house: House, bot: Running, team: Team, opened: Opened
) -> None:
    view = await opened("@banksman report")

    for name, content, sentence in (("x.pdf", b"%PDF", "expects"), ("x.csv", b"", "empty")):
        done = await team.submit(view, {at(view, "data"): [attached(name, content)]})
        assert sentence in done["errors"][at(view, "data")]
    assert [] == await house.runs()

    await team.submit(view, {at(view, "data"): [attached("sales.csv")]})
    await house.run(None)


async def test_only_who_asked_can_open_it(house: House, bot: Running, team: Team) -> None:
    await team.say("@banksman greet")
    asked = await team.hears("cannot begin")

    await team.click(asked, "run_inputs_open", user="U0MEMBER")

    await team.hears("Only the person who asked", user="U0MEMBER")
    assert [] == await team.views("U0MEMBER")


async def test_it_survives_a_restart_of_the_bot(house: House, bot: Running, team: Team, opened: Opened) -> None:
    view = await opened("@banksman greet")
    await bot.end()
    await house.start_bot()

    await team.submit(view, {at(view, "times"): "3", at(view, "who"): "Ana"})

    await house.run()


async def test_a_form_filled_in_after_the_request_has_started_starts_nothing_more(
    house: House, bot: Running, team: Team, opened: Opened
) -> None:
    view = await opened("@banksman greet")
    asked = await team.hears("cannot begin")
    payload = {"user": {"id": USER}, "view": _filled(view)}

    await team.submit(view, {at(view, "times"): "3", at(view, "who"): "Ana"})
    await house.run()
    late = await forms.submit(bot.bot.office, payload)
    await team.click_late(asked, "run_inputs_open")

    assert late.done is None
    assert late.said is not None
    assert "already started" in late.said.text
    await team.hears("already started", user=USER)
    await house.run()


async def test_two_forms_for_one_request_sent_at_once_start_one_run(
    house: House, bot: Running, team: Team, opened: Opened
) -> None:
    filled = _filled(await opened("@banksman greet"))

    done = await asyncio.gather(
        *(
            forms.submit(bot.bot.office, {"user": {"id": USER}, "view": filled | {"id": f"V{number}"}})
            for number in range(3)
        )
    )

    assert 1 == len([one for one in done if isinstance(one.done, Accepted)])
    assert 2 == len([one for one in done if one.said is not None])
    assert 1 == len(await house.runs())


async def test_a_form_somebody_else_sends_starts_nothing(
    house: House, bot: Running, team: Team, opened: Opened
) -> None:
    filled = _filled(await opened("@banksman greet"))

    forged = await forms.submit(bot.bot.office, {"user": {"id": "U0MEMBER"}, "view": filled})

    assert (None, None) == (forged.asked, forged.done)
    assert forged.said is not None
    assert [] == await house.runs()


def _filled(view: Json) -> Json:
    answers = {"times": {"type": "number_input", "value": "3"}, "who": {"type": "plain_text_input", "value": "Ana"}}
    values = {at(view, name): {"answer": answer} for name, answer in answers.items()}
    return {**view["view"], "id": view["id"], "state": {"values": values}}


async def test_a_submission_delivered_twice_starts_one_run(
    house: House, bot: Running, team: Team, opened: Opened
) -> None:
    view = await opened("@banksman greet")
    await team.fault("duplicate", delivery="interactive", copies=2)

    await team.submit(view, {at(view, "times"): "3", at(view, "who"): "Ana"})

    await house.run()
    await team.card()


async def test_who_submitted_can_take_long_to_learn_and_still_it_starts(
    house: House, bot: Running, team: Team, opened: Opened
) -> None:
    view = await opened("@banksman greet")
    bot.bot.office.desk.identity.forget(USER)
    await team.fault("hang", method="users.info", seconds=3)

    done = await team.submit(view, {at(view, "times"): "3", at(view, "who"): "Ana"})

    assert done["acked"]
    assert {"times": 3, "who": "Ana"} == (await house.run()).inputs


async def test_a_refusal_after_the_form_is_said_although_the_request_was_answered_before(
    house: House, team: Team, opened: Opened
) -> None:
    config = house.home / "banksman.yml"
    config.write_text(config.read_text().replace("runs-per-person: 20", "runs-per-person: 1"))
    await house.start_bot()
    view = await opened("@banksman greet")
    await team.say("@banksman idle", channel="C0OPS")
    await house.run()

    await team.submit(view, {at(view, "times"): "3", at(view, "who"): "Ana"})

    await team.hears("1 run under way")


async def test_a_form_of_a_playbook_that_changed_since_closes_with_a_sentence(
    house: House, bot: Running, team: Team, opened: Opened
) -> None:
    view = await opened("@banksman greet")
    await bot.end()
    config = house.home / "banksman.yml"
    config.write_text(config.read_text().replace("      who:", "      whom:"))
    await house.start_bot()

    await team.submit(view, {at(view, "times"): "3", at(view, "who"): "Ana"})

    await team.hears("out of date", user=USER)
    assert [] == await house.runs()
