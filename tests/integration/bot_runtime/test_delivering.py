"""What the bot says: each thing once, in order, whatever Slack does in between."""

from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import update

from bot import slack
from bot.delivery import duty
from bot.delivery.limits import Priority
from core.clock import SystemClock
from core.ids import TENANT
from core.record.rows import RunRow
from core.record.states import RunState
from core.runs.draft import delivery
from core.store.tables import cards, outbox, runs
from tests.integration.bot_runtime.office import House, Json, Running, Team, has_button, poll, words

Ready = Callable[[], Awaitable[str]]
USER = "U0REQUESTER"


async def _thread(team: Team, run: RunRow) -> list[Json]:
    return [one for one in await team.heard() if one["thread_ts"] == run.thread_ts]


async def test_the_card_comes_first_then_the_files_then_the_ending(house: House, team: Team) -> None:
    first = await house.start_bot()
    await team.fault("hang", method="chat.postMessage", seconds=30)
    await team.say("@banksman idle")
    run = await house.run()
    await first.end()
    await house.completes(run.id, "b.csv", "a.csv")
    await team.fault("clear")

    await house.start_bot()

    await house.all_said()
    said = await _thread(team, run)
    kinds = [
        one["files"][0]["name"] if one["files"] else "card" if has_button(one, "Details") else "end" for one in said
    ]
    assert "card" == kinds[0]
    assert ["a.csv", "b.csv"] == sorted(kinds[1:3])
    assert ["end"] == kinds[3:]
    assert ": completed after" in words(said[3])


@pytest.mark.parametrize(("kind", "more"), [("429", {"retry_after": 1}), ("500", {}), ("lose_reply", {})])
async def test_trouble_with_posting_doubles_nothing_and_loses_nothing(
    house: House, bot: Running, team: Team, kind: str, more: Json
) -> None:
    await team.fault(kind, method="chat.postMessage", **more)
    await team.say("@banksman idle")
    run = await house.run()
    await team.card()
    await team.fault("lose_reply", method="chat.postMessage", count=1)
    await house.completes(run.id)

    await house.all_said()

    said = await _thread(team, run)
    assert 2 == len(said), [words(one) for one in said]
    await poll(lambda: _shows(team, "Completed"), "the card to show the end")


async def _shows(team: Team, text: str) -> bool:
    return text in words(await team.card())


async def test_an_upload_slack_loses_is_made_again(
    house: House, team: Team, ready: Ready, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slack, "_SHARE_CHECKS_S", (0.1, 0.2, 0.4))
    run_id = await ready()
    await team.fault("lose_upload", count=1)

    await house.completes(run_id, "a.csv")

    await house.all_said()
    said = await _thread(team, await house.run(RunState.COMPLETED))
    assert [["a.csv"]] == [[file["name"] for file in one["files"]] for one in said if one["files"]]
    assert ": completed after" in words(said[-1])


async def test_an_upload_slack_keeps_losing_is_said_before_the_ending(
    house: House, team: Team, ready: Ready, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slack, "_SHARE_CHECKS_S", (0.1,))
    run_id = await ready()
    await team.fault("lose_upload", count=None)

    await house.completes(run_id, "a.csv")

    await house.all_said()
    said = [words(one) for one in await _thread(team, await house.run(RunState.COMPLETED))]
    assert ["could not be put here" in said[-2], ": completed after" in said[-1]] == [True, True]
    assert 3 == len(said)


async def test_a_file_that_cannot_be_shown_is_said_out_loud_before_the_ending(
    house: House, team: Team, ready: Ready
) -> None:
    run_id = await ready()
    await team.fault("429", method="files.getUploadURLExternal", count=1, retry_after=2)
    await house.completes(run_id, "a.csv")
    [file] = [one for one in (await house.snapshot(run_id)).artifacts if one.role == "output"]
    await house.objects.trash(file.sha256)

    await house.all_said()
    said = await _thread(team, await house.run(RunState.COMPLETED))
    assert "could not be put here" in words(said[-2])
    assert ": completed after" in words(said[-1])


async def test_a_card_somebody_deleted_is_posted_again(house: House, team: Team, ready: Ready) -> None:
    run_id = await ready()
    gone = await team.card()
    services = team.playground.services
    message = services.team.message(gone["channel"], gone["ts"])
    assert message is not None
    services.activity.delete(message)

    await house.works(run_id, "Think again")

    await poll(lambda: _shown_anew(team, gone), "a new card")
    card = await team.card()
    assert "Think again" in words(card)
    assert gone["thread_ts"] == card["thread_ts"]
    await house.works(run_id, "Think on")
    await poll(lambda: _shows(team, "Think on"), "the new card to be kept")


async def _shown_anew(team: Team, gone: Json) -> bool:
    return [one["ts"] for one in await team.cards()] not in ([], [gone["ts"]])


async def test_when_the_channel_is_gone_everything_goes_to_the_requesters_direct_messages(
    house: House, team: Team, ready: Ready
) -> None:
    run_id = await ready()
    await team.fault("archive_channel", channel="C0DATA")
    await house.works(run_id, "Alone")
    direct = await team.direct()

    async def moved() -> list[Json]:
        return [one for one in await team.cards() if one["channel"] == direct]

    [card] = await poll(moved, "the card to move")
    assert "Alone" in words(card)
    await house.completes(run_id, "a.csv")

    await house.all_said()
    said = [one for one in await team.heard() if one["channel"] == direct]
    assert ["a.csv"] == [file["name"] for one in said for file in one["files"]]
    assert ": completed after" in words(said[-1])
    assert 3 == len(said)


async def test_without_a_place_in_the_channel_files_and_ending_reach_the_requester(
    house: House, team: Team, ready: Ready
) -> None:
    run_id = await ready()
    await team.fault("remove_bot", channel="C0DATA")

    await house.completes(run_id, "a.csv")

    await house.all_said()
    direct = await team.direct()
    said = [one for one in await team.heard() if one["channel"] == direct]
    assert ["a.csv"] == [file["name"] for one in said for file in one["files"]]
    assert ": completed after" in words(said[-1])


async def test_a_refusal_somebody_cannot_be_shown_in_the_channel_reaches_them_directly(
    house: House, bot: Running, team: Team
) -> None:
    await team.fault("hang", method="users.info", seconds=2, count=2)
    await team.say("@banksman idle", user="U0GUEST", channel="C0OPS")
    await team.do("members", user="U0GUEST", channel="C0OPS", leave=True)

    said = await team.hears("Only members")
    assert await team.direct("U0GUEST") == said["channel"]


async def test_a_whisper_that_fails_holds_up_nothing_said_aloud(house: House, bot: Running, team: Team) -> None:
    await team.fault("429", method="chat.postEphemeral", count=1, retry_after=30)
    root = await team.say("@banksman idle", user="U0GUEST")
    await team.say("@banksman idle", thread_ts=root)

    card = await team.card()
    assert root == card["thread_ts"]


async def test_a_run_that_needs_somebody_says_so_in_its_thread(house: House, team: Team, ready: Ready) -> None:
    run_id = await ready()

    await house.blocks(run_id)

    await poll(lambda: _shows(team, "The moon is away."), "the card to say so")

    async def notes() -> list[Json]:
        return [one for one in await team.heard("The moon is away.") if not has_button(one, "Details")]

    [note] = await poll(notes, "the note")
    assert not has_button(note, "Kill")
    assert USER in str(note["blocks"])


async def test_a_silent_run_shows_that_it_is_still_there(house: House, team: Team, ready: Ready) -> None:
    run_id = await ready()
    await house.works(run_id)
    await poll(lambda: _shows(team, "Think"), "the card to show the step")
    long_ago = SystemClock().wall_ms() - 120_000

    async def after_silence() -> bool:
        async with house.database.begin() as connection:
            await connection.execute(update(runs).values(updated_at=long_ago))
            await connection.execute(update(cards).values(shown_at=long_ago))
        return await _shows(team, "Still working")

    await poll(after_silence, "the heartbeat")


async def test_a_card_that_lags_when_the_bot_starts_is_drawn(house: House, team: Team) -> None:
    first = await house.start_bot()
    await team.say("@banksman idle")
    run = await house.run()
    await team.card()
    await first.end()
    await house.works(run.id, "Meanwhile")

    await house.start_bot()

    await poll(lambda: _shows(team, "Meanwhile"), "the card to catch up")


async def test_a_stop_is_drawn_before_the_ticks_of_others_that_wait_for_slacks_limits(
    house: House, bot: Running, team: Team
) -> None:
    for channel in ("C0DATA", "C0OPS", "C0RANDOM"):
        await team.say("@banksman idle", channel=channel)
    await poll(lambda: _count(team, 3), "three cards")
    found = await house.runs()
    # All of a minute's burst is gone: what is left is kept back for stops.
    limits = bot.bot.office.desk.slack.limits
    for _ in range(9):
        await limits.acquire("chat.update", None, Priority.STOP)
    for run in found:
        await house.works(run.id, "Tick")

    async def all_wait() -> bool:
        return limits.waiting >= 3

    await poll(all_wait, "the ticks to wait")
    card = next(one for one in await team.cards() if one["channel"] == "C0DATA")
    await team.click(card, "run_kill")

    async def stop_shown() -> bool:
        return "Stop requested" in words(await team.message(card["ts"]))

    await poll(stop_shown, "the stop to be drawn")
    assert not any("Tick" in words(one) for one in await team.cards() if one["channel"] != "C0DATA")


async def _count(team: Team, count: int) -> bool:
    return len(await team.cards()) == count


async def test_two_bots_at_once_say_everything_once(house: House, team: Team) -> None:
    await house.start_bot()
    await house.start_bot()
    await team.fault("duplicate", count=4, copies=2)

    await team.say("@banksman idle")
    run = await house.run()
    card = await team.card()
    await team.click(card, "run_kill")

    await house.run(RunState.CANCELED)
    await team.hears("Stop requested", user=USER)
    await house.all_said()
    assert 2 == len(await _thread(team, run))
    assert 1 == len(await team.heard(user=USER))


async def test_a_bot_that_takes_over_goes_on_at_once(house: House, team: Team) -> None:
    old = await house.start_bot()
    await team.say("@banksman idle")
    run = await house.run()
    await team.card()
    await house.start_bot()
    await old.end()
    await house.completes(run.id)

    await poll(lambda: team.heard(": completed after"), "the ending", within_s=12)


async def test_many_things_that_cannot_be_said_do_not_starve_the_others(house: House, bot: Running, team: Team) -> None:
    now_ms = SystemClock().wall_ms()
    rows = [
        delivery(TENANT, None, "T", f"C{n}", None, "slack.reply", f"k{n}", {"text": "x", "channel": f"C{n}"}, now_ms)
        for n in range(120)
    ]
    await house.database.journal.record(rows)
    async with house.database.begin() as connection:
        await connection.execute(update(outbox).values(attempts=1, due_at=now_ms + 3_600_000))

    await team.say("@banksman idle")

    await team.card()


async def test_a_revoked_token_silences_us_until_it_is_taken_again(
    house: House, team: Team, ready: Ready, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duty, "REFUSED_PAUSE_S", 0.5)
    run_id = await ready()
    await team.fault("revoke_token")
    await house.completes(run_id)

    await poll(lambda: caplog.text.count("An administrator has to install the app again") == 3, "three alarms")
    assert 2 >= caplog.text.count("chat.postMessage failed")
    assert ["slack.ending"] == [row.kind for row in await house.open_rows()]
    await team.fault("restore_token")

    await team.hears(": completed after")
    await house.all_said()
