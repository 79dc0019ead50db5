"""From a message to a run: once, whatever Slack does, or a sentence where the person is."""

from sqlalchemy import select

from bot.messages import Asked
from core.actions.contract import Contract
from core.clock import SystemClock
from core.ids import TENANT
from core.record.states import RunState
from core.runs.allowance import allowance
from core.store import inbox
from core.store.tables import inbox as inbox_table
from tests.integration.bot_runtime.office import CSV, House, Running, Team, attached, has_button, poll, words


async def test_a_mention_becomes_one_run_with_eyes_and_one_card(house: House, bot: Running, team: Team) -> None:
    ts = await team.say("@banksman report", files=[attached("sales.csv")])

    run = await house.run()
    card = await team.card()
    assert ts == card["thread_ts"] == run.thread_ts
    assert "requester" == run.requester
    stored = run.inputs["data"]
    assert ("sales.csv", "inputs/sales.csv", len(CSV)) == (stored["name"], stored["path"], stored["size"])
    await poll(lambda: _eyes(team, ts), "👀")


async def _eyes(team: Team, ts: str) -> bool:
    return [["eyes"]] == [[one["name"] for one in (await team.message(ts))["reactions"]]]


async def test_a_run_pins_the_contract_of_the_channel_it_was_asked_for_in(
    house: House, bot: Running, team: Team
) -> None:
    await team.say("@banksman idle")

    contract = allowance((await house.run()).allowance_json).contract
    assert contract == Contract("#data", "report", ("greet", "idle", "report"))


async def test_two_mentions_in_one_thread_are_two_runs(house: House, bot: Running, team: Team) -> None:
    root = await team.say("@banksman idle")
    await house.run()
    await team.say("@banksman idle", thread_ts=root)

    async def both() -> bool:
        return len(await house.runs()) == 2

    await poll(both, "both runs")


async def test_both_events_of_a_mention_in_the_other_order_and_twice_are_one_run(
    house: House, bot: Running, team: Team
) -> None:
    await team.fault("reverse_mention")
    await team.fault("duplicate", count=4, copies=2)

    await team.say("@banksman idle")

    await house.run()
    await team.card()


async def test_a_delivery_brought_again_because_its_acknowledgement_was_lost_changes_nothing(
    house: House, bot: Running, team: Team
) -> None:
    await team.fault("lose_ack", event="app_mention", count=2)
    await team.fault("lose_ack", event="message", count=2)

    await team.say("@banksman idle")

    await house.run()
    await team.card()
    await team.say("@banksman nonsense", channel="C0OPS")
    await team.hears("There is no playbook")
    assert 1 == len(await house.runs())


async def test_an_edit_starts_nothing(house: House, bot: Running, team: Team) -> None:
    ts = await team.say("hello")
    await team.do("edits", user="U0REQUESTER", channel="C0DATA", ts=ts, text="@banksman idle")
    await team.say("@banksman idle", channel="C0OPS")

    run = await house.run()
    assert "C0OPS" == run.channel


async def test_a_direct_message_is_a_request_and_its_card_is_there(house: House, bot: Running, team: Team) -> None:
    direct = await team.direct()

    ts = await team.say("idle", channel=direct)

    card = await team.card()
    assert (direct, ts) == (card["channel"], card["thread_ts"])


async def test_a_mention_inside_the_thread_of_a_run_is_a_run_of_its_own_and_knows_what_was_said_before(
    house: House, bot: Running, team: Team
) -> None:
    root = await team.say("the numbers look odd")
    await team.say("very odd", user="U0MEMBER", thread_ts=root)
    await team.say("@banksman idle", thread_ts=root)

    run = await house.run()
    await team.say("and later words", thread_ts=root)
    assert root == run.thread_ts == (await team.card())["thread_ts"]
    [thread] = (await house.snapshot(run.id)).artifacts
    said = await house.objects.read(thread.sha256, 10_000)
    assert b"very odd" in said
    assert b"@banksman" not in said
    assert b"later" not in said


async def test_a_broadcast_reply_is_a_request_too(house: House, bot: Running, team: Team) -> None:
    root = await team.say("look at this")
    await team.say("@banksman idle", thread_ts=root, reply_broadcast=True)

    assert root == (await house.run()).thread_ts


async def test_who_somebody_is_can_take_long_and_still_there_is_one_run(house: House, bot: Running, team: Team) -> None:
    await team.fault("hang", method="users.info", seconds=3, count=2)

    await team.say("@banksman idle")

    await house.run()
    await team.card()
    await poll(lambda: _outcomes(house, "accepted", "duplicate"), "both deliveries to be dealt with")


async def _outcomes(house: House, *expected: str) -> bool:
    async with house.database.read() as connection:
        found = (await connection.execute(select(inbox_table.c.outcome))).scalars().all()
    return sorted(expected) == sorted(str(outcome) for outcome in found)


async def test_a_file_too_large_is_refused_with_a_sentence_before_there_is_a_run(
    house: House, bot: Running, team: Team
) -> None:
    ts = await team.say("@banksman report", files=[attached("big.csv", b"x" * 60_000_000)])

    said = await team.hears("60,000,000 bytes")
    assert ts == said["thread_ts"]
    assert [] == await house.runs()


WRONG = [
    ("@banksman report", [attached("empty.csv", b"")], "empty.csv is empty (0 bytes)"),
    ("@banksman report", [attached("notes.pdf", b"%PDF")], "expects"),
    ("@banksman report", [], "It needs"),
    ("@banksman greet three Ana", [], "times"),
    ("@banksman reprot", [], "If you meant another playbook"),
]


async def test_what_cannot_begin_is_answered_in_its_thread_and_once(house: House, bot: Running, team: Team) -> None:
    asked = [(await team.say(text, files=files), sentence) for text, files, sentence in WRONG]

    await poll(lambda: _answered(team, len(WRONG)), "all answers")

    said = await team.heard()
    for ts, sentence in asked:
        [answer] = [words(one) for one in said if one["thread_ts"] == ts]
        assert sentence in answer
    assert [] == await house.runs()


async def _answered(team: Team, count: int) -> bool:
    return len(await team.heard()) >= count


async def test_a_hostile_name_is_only_a_name(house: House, bot: Running, team: Team) -> None:
    await team.say("@banksman report", files=[attached("../../etc/x.csv")])

    data = (await house.run()).inputs["data"]
    assert "/" not in data["name"]
    assert "inputs/" == data["path"][:7]
    assert ".." not in data["path"]


async def test_an_unknown_playbook_names_the_nearest(house: House, bot: Running, team: Team) -> None:
    await team.say("@banksman gret", channel="C0OPS")

    said = await team.hears("There is no playbook")
    assert "greet" in words(said)


async def test_a_file_no_input_takes_is_said(house: House, bot: Running, team: Team) -> None:
    await team.say("@banksman idle", files=[attached("sales.csv")])

    await team.hears("has no input for sales.csv")
    await house.run()


async def test_a_guest_gets_a_private_sentence_and_no_run(house: House, bot: Running, team: Team) -> None:
    await team.say("@banksman idle", user="U0GUEST")

    await team.hears("Only members", user="U0GUEST")
    assert [] == await house.runs()


async def test_an_app_that_mentions_us_starts_nothing(house: House, bot: Running, team: Team) -> None:
    event = {"type": "app_mention", "user": "U0REQUESTER", "bot_id": "B0OTHER", "text": "<@U0BANKSMAN> idle"}
    services = team.playground.services
    place = {"channel": "C0DATA", "ts": "1795000000.000100", "event_ts": "1795000000.000100"}
    services.outbound.event(event | place)
    await team.say("@banksman idle", channel="C0OPS")

    assert "C0OPS" == (await house.run()).channel


async def test_a_message_that_reached_us_late_is_answered_and_starts_nothing(
    house: House, bot: Running, team: Team
) -> None:
    ts = await team.say("hello")
    old = "1600000000.000100"
    event = {"type": "app_mention", "user": "U0REQUESTER", "text": "<@U0BANKSMAN> idle", "channel": "C0DATA"}
    team.playground.services.outbound.event(event | {"ts": ts, "event_ts": old})

    said = await team.hears("minutes late")
    assert ts == said["thread_ts"]
    assert [] == await house.runs()


async def test_a_request_stored_by_a_bot_that_died_is_decided_by_the_next(house: House, team: Team) -> None:
    ts = await team.say("@banksman idle")
    first = await house.start_bot()
    await first.end()
    now_ms = SystemClock().wall_ms()
    asked = Asked("T0PLAYGRND", "C0DATA", "U0REQUESTER", None, ts, None, "idle", (), now_ms // 1000)
    row = inbox.received(TENANT, "ev:left", "message", asked.to_body(), now_ms=now_ms - 20_000)
    await house.database.journal.record([row])

    await house.start_bot()

    await house.run(RunState.CONTEXT_LOADED)
    await team.card()


async def test_nobody_has_more_runs_under_way_than_allowed(house: House, team: Team) -> None:
    config = house.home / "banksman.yml"
    config.write_text(config.read_text().replace("runs-per-person: 20", "runs-per-person: 1"))
    await house.start_bot()
    await team.say("@banksman idle")
    await team.card()

    await team.say("@banksman idle", channel="C0OPS")

    await team.hears("1 run under way")
    assert has_button(await team.card(), "Kill")
