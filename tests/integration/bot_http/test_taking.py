"""The bot over HTTP: the same as over Socket Mode, from the mention to the answer in a form."""

import asyncio
from dataclasses import replace

import pytest

from bot.app import serve
from bot.http_wire import Bounds
from bot.wiring import assembled
from core.config.settings import Settings
from core.errors import ConfigError
from core.record.states import RunState
from tests.integration.bot_http.house import (
    FORM,
    NOTHING,
    QUICK,
    HttpHouse,
    encoded,
    exchange,
    form,
    mention,
    request,
    signature,
)
from tests.integration.bot_runtime.office import CSV, Running, Team, attached, poll
from tests.ports import free_port


async def test_a_mention_becomes_one_run_with_its_card(house: HttpHouse, bot: Running, team: Team) -> None:
    ts = await team.say("@banksman report", files=[attached("sales.csv")])

    run = await house.run()
    card = await team.card()
    assert ts == card["thread_ts"] == run.thread_ts
    assert len(CSV) == run.inputs["data"]["size"]


async def test_a_click_stops_the_run(house: HttpHouse, bot: Running, team: Team) -> None:
    await team.say("@banksman idle")
    await house.run()

    clicked = await team.click(await team.card(), "run_kill")

    assert clicked["acked"]
    await house.run(RunState.CANCELED)


async def test_a_command_is_answered_also_when_it_speaks_of_a_payload(
    house: HttpHouse, bot: Running, team: Team
) -> None:
    answer = await team.command("help payload {}")

    assert answer["acked"]
    await team.hears("/banksman", user="U0REQUESTER")


async def test_a_form_says_what_is_wrong_at_its_field_and_then_takes_what_is_right(
    house: HttpHouse, bot: Running, team: Team
) -> None:
    await team.say("@banksman report")
    await team.click(await team.hears("cannot begin"), "run_inputs_open")
    [view] = await poll(team.views, "the form")
    field = next(each["block_id"] for each in view["view"]["blocks"] if each["block_id"].endswith(":data"))

    wrong = await team.submit(view, {field: [attached("x.pdf", b"%PDF")]})
    right = await team.submit(view, {field: [attached("x.csv")]})

    assert "expects" in wrong["errors"][field]
    assert right["acked"]
    await house.run()


async def test_one_request_posted_ten_times_is_one_run(house: HttpHouse, bot: Running, team: Team) -> None:
    body = encoded(mention())
    posted = request(body, headers=signature(body))

    replies = await asyncio.gather(*(exchange(house.port, posted) for _ in range(10)))

    assert {200} == {reply.status for reply in replies}
    await house.run()
    assert 1 == (await house.rows())["inbox"]
    await team.card()


async def test_one_click_posted_ten_times_is_one_delivery(house: HttpHouse, bot: Running, team: Team) -> None:
    await team.say("@banksman idle")
    run = await house.run()
    before = (await house.rows())["inbox"]
    click = {
        "type": "block_actions",
        "api_app_id": "A0BANKSMAN",
        "team": {"id": "T0PLAYGRND"},
        "user": {"id": "U0REQUESTER", "team_id": "T0PLAYGRND"},
        "channel": {"id": "C0DATA"},
        "container": {"message_ts": "1795000000.000200"},
        "trigger_id": "1.2.3",
        "actions": [{"type": "button", "action_id": "run_kill", "action_ts": "1.1", "value": run.id}],
    }
    body = form(payload=encoded(click).decode())
    posted = request(body, path="/slack/interactions", headers=FORM | signature(body))

    replies = [await exchange(house.port, posted) for _ in range(10)]

    assert {200} == {reply.status for reply in replies}
    await house.run(RunState.CANCELED)
    assert before + 1 == (await house.rows())["inbox"]


@pytest.mark.parametrize("path", ["/slack/events", "/slack/interactions", "/slack/commands"])
async def test_every_path_takes_everything(house: HttpHouse, bot: Running, path: str) -> None:
    assert 200 == (await house.post(encoded(mention()), path=path)).status

    await house.run()


async def test_the_challenge_is_answered_when_it_is_signed(house: HttpHouse, bot: Running) -> None:
    body = encoded({"type": "url_verification", "token": "x", "challenge": "3eZbrw1aB"})

    assert '{"challenge": "3eZbrw1aB"}' == (await house.post(body)).text
    unsigned = await exchange(house.port, request(body))
    assert (401, "Not authorized.\n") == (unsigned.status, unsigned.text)


@pytest.mark.parametrize(("name", "value"), [("api_app_id", "A0OTHER"), ("team_id", "T0OTHER"), ("team_id", None)])
async def test_what_is_for_another_app_or_team_is_acknowledged_and_does_nothing(
    house: HttpHouse, bot: Running, name: str, value: str | None
) -> None:
    assert 200 == (await house.post(encoded(mention(**{name: value})))).status

    assert 1 == bot.bot.office.desk.check.refused.total()
    assert NOTHING == await house.rows()


async def test_without_a_database_an_event_is_503_and_comes_again(house: HttpHouse, bot: Running, team: Team) -> None:
    await bot.bot.office.desk.database.journal.close()

    reply = await house.post(encoded(mention()))

    assert (503, "Not now; try again.\n") == (reply.status, reply.text)
    assert NOTHING == await house.rows()
    await bot.end()
    await house.start_bot()
    assert 200 == (await house.post(encoded(mention()))).status
    await house.run()


async def test_it_is_well_when_the_database_answers_and_says_nothing_else(house: HttpHouse, bot: Running) -> None:
    well = await house.get("/healthz")

    assert (200, "ok\n", "banksman") == (well.status, well.text, well.headers["server"])
    assert 405 == (await house.get("/healthz", method="DELETE")).status


async def test_it_is_not_well_without_the_database(house: HttpHouse, bot: Running) -> None:
    assert house.database.path is not None
    house.database.path.write_bytes(b"this is no database" * 1000)

    await poll(lambda: _says(house, 503), "the bot to be unwell")


async def _says(house: HttpHouse, status: int) -> bool:
    return (await house.get("/healthz")).status == status


async def test_a_request_under_way_is_finished_before_the_bot_ends(house: HttpHouse, bot: Running, team: Team) -> None:
    body = encoded(mention())
    whole = request(body, headers=signature(body))
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    writer.write(whole[:-10])
    await writer.drain()
    await poll(lambda: _has_seen(house), "the head to have arrived")

    ending = asyncio.create_task(bot.end())
    await poll(lambda: _is_closed(house), "the door to be closed")
    writer.write(whole[-10:])
    answer = await reader.read()
    await ending

    writer.close()
    assert answer.startswith(b"HTTP/1.1 200 ")
    await house.run(None)


async def _has_seen(house: HttpHouse) -> bool:
    # Connections are taken in order: when a later one is answered, the earlier one's bytes were read.
    return await house.is_well()


async def _is_closed(house: HttpHouse) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", house.port)
    except ConnectionError:
        return True
    writer.close()
    return False


async def test_more_connections_than_it_takes_are_told_to_come_again(house: HttpHouse) -> None:
    await house.start_bot(replace(QUICK, connections=2, head_within_s=5.0))
    held = [await asyncio.open_connection("127.0.0.1", house.port) for _ in range(2)]

    reply = await exchange(house.port)

    assert (503, "1") == (reply.status, reply.headers["retry-after"])
    for _, writer in held:
        writer.close()
    await poll(house.is_well, "room again")


async def test_with_all_listeners_at_work_a_signed_request_is_told_to_come_again(house: HttpHouse) -> None:
    await house.start_bot(Bounds(handled=0))

    assert 503 == (await house.post(encoded(mention()))).status
    assert NOTHING == await house.rows()


async def test_a_port_that_is_taken_is_a_sentence(house: HttpHouse, bot: Running) -> None:
    async with assembled(house.settings) as second:
        with pytest.raises(ConfigError, match=f"port {house.port}: Address already in use"):
            await serve(second, stop=asyncio.Event())


async def test_two_bots_on_two_ports_share_the_work(house: HttpHouse, bot: Running, team: Team) -> None:
    first, other = house.port, free_port()
    house.environ["BANKSMAN_HTTP_PORT"] = str(other)
    house.settings = Settings.from_env(house.environ, cwd=house.home)
    house.port = other
    await house.start_bot()
    body = encoded(mention())
    posted = request(body, headers=signature(body))

    replies = await asyncio.gather(*(exchange(port, posted) for port in (first, other) * 3))

    assert {200} == {reply.status for reply in replies}
    await house.run()
    assert 1 == (await house.rows())["inbox"]
