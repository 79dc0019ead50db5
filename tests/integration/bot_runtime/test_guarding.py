"""Payloads that are not ours, connections that break, a database that is away."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from slack_bolt.request.async_request import AsyncBoltRequest

from bot.app import build_app
from core.record.states import RunState
from tests.integration.bot_runtime.office import House, Json, Running, Team, poll

Ready = Callable[[], Awaitable[str]]


async def _deliver(bot: Running, payload: Json) -> int:
    app = build_app(bot.bot.office)
    answer = await app.async_dispatch(AsyncBoltRequest(body=payload, mode="socket_mode"))
    return int(answer.status)


def _mention(**more: Any) -> Json:
    event = {"type": "app_mention", "user": "U0REQUESTER", "text": "<@U0BANKSMAN> idle", "channel": "C0DATA"}
    event |= {"ts": "1795000000.000100"}
    ours = {"type": "event_callback", "api_app_id": "A0BANKSMAN", "team_id": "T0PLAYGRND", "event_id": "Ev1"}
    return ours | {"event": event, "event_time": 0} | more


@pytest.mark.parametrize(("name", "value"), [("api_app_id", "A0OTHER"), ("team_id", "T0OTHER"), ("team_id", None)])
async def test_what_is_for_another_app_or_team_is_acknowledged_counted_and_does_nothing(
    house: House, bot: Running, team: Team, name: str, value: str | None
) -> None:
    assert 200 == await _deliver(bot, _mention(**{name: value}))

    assert 1 == bot.bot.office.desk.check.refused.total()
    await team.say("@banksman idle", channel="C0OPS")
    assert "C0OPS" == (await house.run()).channel


async def test_a_click_from_another_team_stops_nothing(house: House, bot: Running, team: Team, ready: Ready) -> None:
    run_id = await ready()
    click = {
        "type": "block_actions",
        "api_app_id": "A0BANKSMAN",
        "team": {"id": "T0OTHER"},
        "user": {"id": "U0OPERATOR", "team_id": "T0OTHER"},
        "actions": [{"type": "button", "action_id": "run_kill", "action_ts": "1.1", "value": run_id}],
    }

    assert 200 == await _deliver(bot, click)
    assert 200 == await _deliver(bot, click | {"team": {"id": "T0PLAYGRND"}, "api_app_id": "A0OTHER"})

    assert 2 == bot.bot.office.desk.check.refused.total()
    assert RunState.CANCELED is not (await house.run(None)).run_state


async def test_two_clicks_in_one_payload_or_none_stop_nothing(
    house: House, bot: Running, team: Team, ready: Ready
) -> None:
    run_id = await ready()
    action = {"type": "button", "action_id": "run_kill", "action_ts": "1.1", "value": run_id}
    click = {
        "type": "block_actions",
        "api_app_id": "A0BANKSMAN",
        "team": {"id": "T0PLAYGRND"},
        "user": {"id": "U0OPERATOR", "team_id": "T0PLAYGRND"},
        "actions": [action, action],
    }

    assert 200 == await _deliver(bot, click)

    assert RunState.CANCELED is not (await house.run(None)).run_state


async def test_an_event_nobody_listens_to_is_acknowledged(house: House, bot: Running) -> None:
    assert 200 == await _deliver(bot, _mention(event={"type": "file_shared", "file_id": "F1"}))


async def test_after_its_connection_was_cut_it_hears_again(house: House, bot: Running, team: Team) -> None:
    sockets = team.playground.services.socket
    await team.fault("drop_socket")
    await poll(lambda: sockets.count == 0, "the connection to be gone")
    await poll(lambda: sockets.count == 1, "a new connection")

    await team.say("@banksman idle")

    await house.run()


async def test_without_a_database_an_event_is_not_acknowledged_and_a_click_is_answered(
    house: House, bot: Running, team: Team, ready: Ready
) -> None:
    await ready()
    card = await team.card()
    database = bot.bot.office.desk.database
    await database.journal.close()

    clicked = await team.click(card, "run_kill")

    assert clicked["acked"]
    await team.hears("was not recorded", user="U0REQUESTER")
    assert 503 == await _deliver(bot, _mention())


async def test_starting_says_nothing_about_tokens_nobody_should_worry_about(
    house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, bot: Running
) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-playground")

    build_app(bot.bot.office)

    assert "token" not in caplog.text
