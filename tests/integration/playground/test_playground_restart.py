"""What survives a restart, and the playground as a process of its own."""

import asyncio
import json
import re
import sys
from pathlib import Path

import pytest
from slack_sdk.webhook.async_client import AsyncWebhookClient

from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[3]


async def test_the_team_survives_a_restart(start, people_of, client_of, connect_of, session):
    first = await start()
    people, client, app = people_of(first), client_of(first), await connect_of(first)
    file = {"name": "ä.txt", "content_base64": "YWJj"}
    ts = await people.say("hello @operator", files=[file])
    metadata = {"event_type": "card", "event_payload": {"run": "r1"}}
    card = (await client.chat_postMessage(channel="C0DATA", text="card", thread_ts=ts, metadata=metadata))["ts"]
    await client.reactions_add(channel="C0DATA", timestamp=ts, name="eyes")
    await client.chat_postEphemeral(channel="C0DATA", user="U0MEMBER", text="psst")
    await client.views_publish(user_id="U0MEMBER", view={"type": "home", "blocks": [{"type": "divider"}]})
    await people.do("dm", user="U0MEMBER")
    await people.do("members", user="guest", channel="ops", leave=True)
    await people.fault("archive_channel", channel="C0RANDOM")
    gone = await people.say("gone")
    await people.do("deletes", user="U0REQUESTER", channel="C0DATA", ts=gone)
    await people.do("commands", user="U0MEMBER", channel="C0DATA", command="/banksman", text="")
    url = app.payloads("slash_commands")[0]["response_url"]
    before = await people.state()
    await first.stop()

    second = await start()
    people, client = people_of(second), client_of(second)
    after = await people.state()

    def without_addresses(state):
        kept = {key: value for key, value in state.items() if key not in ("seq", "connections")}
        return json.loads(re.sub(r"http://127\.0\.0\.1:\d+", "", json.dumps(kept)))

    assert without_addresses(before) == without_addresses(after)
    async with session.get(after["messages"][0]["files"][0]["url"]) as response:
        assert b"abc" == await response.read()
    await client.chat_update(channel="C0DATA", ts=card, text="still mine")
    history = await client.conversations_replies(channel="C0DATA", ts=ts, include_all_metadata=True)
    assert metadata == history["messages"][1]["metadata"]
    assert await people.say("later") > max(one["ts"] for one in after["messages"])
    moved = url.replace(first_address(url), second.base_url)
    assert 200 == (await AsyncWebhookClient(moved).send(text="late answer")).status_code


async def test_the_app_follows_its_newest_description(start, people_of):
    from bot.playground import DEMO_TEAM

    first = await start()
    await people_of(first).say("hello")
    await first.stop()
    shortcut = {"type": "message", "callback_id": "run_on", "name": "Run on this"}
    second = await start(seed={**DEMO_TEAM, "app": {**DEMO_TEAM["app"], "shortcuts": [shortcut]}})

    state = await people_of(second).state()
    assert ([shortcut], 1) == (state["app"]["shortcuts"], len(state["messages"]))


async def test_a_data_directory_has_one_playground_at_a_time(start):
    first = await start()

    with pytest.raises(OSError, match="another playground is using"):
        await start()
    await first.stop()
    await start()


def test_time_goes_on_even_if_the_clock_went_back(tmp_path):
    from bot.playground import DEMO_TEAM
    from bot.playground.feed import Feed
    from bot.playground.records import Message
    from bot.playground.state import Team
    from bot.playground.storage import Storage

    storage = Storage(tmp_path)
    team = Team(storage, Feed(), DEMO_TEAM, now=lambda: 2000.0)
    team.save_message(Message("C0OPS", team.timestamps.next(), "U0MEMBER", "hello"))
    later = Team(storage, Feed(), DEMO_TEAM, now=lambda: 1000.0)

    assert "2000.000001" == later.timestamps.next()
    storage.close()


def first_address(url):
    return re.match(r"http://127\.0\.0\.1:\d+", url).group(0)


async def read_line(process):
    return (await asyncio.wait_for(process.stdout.readline(), PATIENCE_S)).decode()


def command(data, *more):
    return [sys.executable, "-m", "bot.playground", "--data", str(data), *more]


async def test_it_runs_as_a_process_and_says_when_it_is_ready(tmp_path, session):
    process = await asyncio.create_subprocess_exec(
        *command(tmp_path / "team", "--port", "0"), stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    line = await read_line(process)
    address = re.fullmatch(r"Playground is ready: (http://127\.0\.0\.1:\d+)\n", line).group(1)
    async with session.get(f"{address}/playground/state") as response:
        assert "Playground" == (await response.json())["team"]["name"]

    process.terminate()
    assert 0 == await asyncio.wait_for(process.wait(), PATIENCE_S)


@pytest.mark.parametrize("seed", ["{", "[]", "{}"])
async def test_a_seed_it_cannot_use_ends_it_with_a_sentence(tmp_path, seed):
    path = tmp_path / "seed.json"
    path.write_text(seed)

    process = await asyncio.create_subprocess_exec(
        *command(tmp_path / "team", "--port", "0", "--seed", str(path)), stderr=asyncio.subprocess.PIPE, cwd=ROOT
    )
    _, said = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    assert 2 == process.returncode
    assert said.decode().startswith("The playground cannot start: ")
    assert 1 == said.decode().count("\n")


async def test_a_killed_playground_has_kept_what_it_answered(tmp_path, session):
    data = tmp_path / "team"
    process = await asyncio.create_subprocess_exec(
        *command(data, "--port", "0"), stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    address = (await read_line(process)).split()[-1]
    body = {"user": "U0MEMBER", "channel": "C0OPS", "text": "remember me"}
    async with session.post(f"{address}/playground/messages", json=body) as response:
        assert 200 == response.status
    process.kill()
    await process.wait()

    again = await asyncio.create_subprocess_exec(
        *command(data, "--port", "0"), stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    address = (await read_line(again)).split()[-1]
    async with session.get(f"{address}/playground/state") as response:
        assert ["remember me"] == [one["text"] for one in (await response.json())["messages"]]
    again.terminate()
    await again.wait()
