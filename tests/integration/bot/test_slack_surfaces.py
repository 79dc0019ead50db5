"""Everything we draw is taken by a Slack that checks it as Slack does, and looks as meant there."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from bot.blocks import refusals
from bot.blocks.details import run_details
from bot.blocks.home import home
from bot.blocks.lists import AgentLine, help_text, show
from bot.blocks.lists import runs as list_runs
from bot.blocks.modals import MissingField, inputs_modal, read_inputs
from bot.blocks.run_card import run_card
from bot.blocks.summary import ending
from bot.playground import Playground
from bot.slack import SlackClient
from core.record.states import BlockedReason, CallStatus, RunState
from core.runs.views import EventView, RunView
from tests.integration.bot.slacks import People
from tests.patience import PATIENCE_S
from tests.unit.blocks.models import NOW_MS, RUN_ID, a_file, a_run, a_stop, an_action, an_ended_run

STATES: list[RunView] = [
    *(a_run(state=state) for state in RunState if state is not RunState.BLOCKED),
    *(a_run(state=RunState.BLOCKED, blocked_reason=reason) for reason in BlockedReason),
    a_run(updated_at_ms=NOW_MS - 200_000, cost_micro_usd=12_300),
    a_run(state=RunState.CANCELED, stop=a_stop(confirmed_at_ms=None, unconfirmed_hosts=("web-7",))),
    an_ended_run(RunState.CANCELED, stop=a_stop(in_flight=1)),
    an_ended_run(
        outcome="3 columns, 120 rows.\nThe largest is <b>.",
        artifacts=(a_file("numbers.csv"), a_file("in.csv", role="input")),
        actions=(an_action(tier="irreversible", status=CallStatus.UNKNOWN, error="no answer"),),
    ),
]
AGENTS = [AgentLine("report", "Numbers and a picture from a CSV"), AgentLine("checkup")]
EVENT = EventView(1, NOW_MS, "transition", "planning", "executing", "system:engine", None, None, 1, (), "h", "p")
FIELDS = (
    MissingField("title", "string", "What it is called", default="Report"),
    MissingField("rows", "integer", default=10),
    MissingField("deep", "boolean", default=False),
    MissingField("chart", "choice", choices=("bar", "line"), default="line"),
    MissingField("data", "file", "A CSV", required=False),
)


async def test_every_message_we_can_draw_is_taken(slack: SlackClient, people: People) -> None:
    drawn = [
        draw for view in STATES for draw in (run_card(view, now_ms=NOW_MS), show(view, now_ms=NOW_MS), ending(view))
    ]
    drawn += [list_runs([view.line() for view in STATES], now_ms=NOW_MS), list_runs([], now_ms=NOW_MS)]
    drawn += [
        help_text(AGENTS),
        help_text([]),
        refusals.stale(),
    ]

    for at, message in enumerate(drawn):
        await slack.post("C0DATA", message, dedupe_key=str(at))

    assert len(drawn) == len(await people.messages())


class Socket:
    """A bare Socket Mode connection: acknowledges everything and keeps it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def next(self, kind: str) -> dict[str, Any]:
        """The payload of the next envelope of a kind."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                frame = json.loads((await self._socket.receive()).data)
                if "envelope_id" in frame:
                    await self._socket.send_json({"envelope_id": frame["envelope_id"]})
                if frame.get("type") == kind:
                    payload: dict[str, Any] = frame["payload"]
                    return payload


@pytest.fixture
async def socket(playground: Playground, session: aiohttp.ClientSession) -> AsyncIterator[Socket]:
    headers = {"Authorization": f"Bearer {playground.settings.app_token}"}
    async with session.post(f"{playground.api_url}apps.connections.open", headers=headers) as response:
        url = (await response.json())["url"]
    async with session.ws_connect(url) as opened:
        yield Socket(opened)


async def command(people: People, socket: Socket) -> dict[str, Any]:
    """A person uses the command; what we are told about it."""
    told, _ = await asyncio.gather(
        socket.next("slash_commands"),
        people.do("commands", user="U0REQUESTER", channel="C0DATA", command="/banksman", text="help"),
    )
    return told


async def test_the_command_is_answered_privately(slack: SlackClient, people: People, socket: Socket) -> None:
    told = await command(people, socket)

    await slack.respond(told["response_url"], help_text(AGENTS))

    [seen] = await people.messages()
    assert "U0REQUESTER" == seen["ephemeral_to"]


async def test_details_open_from_a_trigger(slack: SlackClient, people: People, socket: Socket) -> None:
    for view in STATES[-4:]:
        told = await command(people, socket)
        await slack.open_view(told["trigger_id"], run_details(view, [EVENT], now_ms=NOW_MS))

    views = (await people.state())["views"]
    assert {"run_details_view"} == {opened["view"]["callback_id"] for opened in views}


async def test_a_form_is_opened_filled_in_and_read(slack: SlackClient, people: People, socket: Socket) -> None:
    told = await command(people, socket)
    await slack.open_view(told["trigger_id"], inputs_modal("report", FIELDS, private_metadata='{"agent":"report"}'))
    [opened] = (await people.state())["views"]
    values = {"in0:title": "March", "in1:rows": "12", "in2:deep": "true", "in3:chart": "bar"}
    submitted, _ = await asyncio.gather(
        socket.next("interactive"),
        people.do(
            "views",
            user="U0REQUESTER",
            view_id=opened["id"],
            values={key: {"answer": value} for key, value in values.items()},
        ),
    )

    read = read_inputs(submitted["view"]["state"]["values"], FIELDS)

    assert {} == read.errors
    assert {"title": "March", "rows": 12, "deep": True, "chart": "bar"} == read.values
    assert '{"agent":"report"}' == submitted["view"]["private_metadata"]


async def test_home_is_published(slack: SlackClient, people: People) -> None:
    await slack.publish_home("U0REQUESTER", home([view.line() for view in STATES], AGENTS, now_ms=NOW_MS))
    await slack.publish_home("U0MEMBER", home([], [], now_ms=NOW_MS))

    assert {"U0REQUESTER", "U0MEMBER"} == set((await people.state())["homes"])


async def test_the_kill_button_sends_the_run_id(slack: SlackClient, people: People, socket: Socket) -> None:
    posted = await slack.post("C0DATA", run_card(a_run(), now_ms=NOW_MS), dedupe_key="k")

    click, _ = await asyncio.gather(
        socket.next("interactive"),
        people.do("actions", user="U0REQUESTER", channel="C0DATA", ts=posted.ts, action_id="run_kill"),
    )

    [action] = click["actions"]
    assert ("run_kill", RUN_ID) == (action["action_id"], action["value"])
