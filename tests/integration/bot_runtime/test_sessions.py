"""Slack's own session of a thread: what it says of the runs there, and its stop button."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, update

from bot.playground import Playground
from bot.playground.seed import DEFAULT_SCOPES
from core.ids import TENANT
from core.record.rows import RunRow
from core.record.sessions import Session
from core.record.states import RunState
from core.store.tables import leaders, sessions
from tests.integration.bot_runtime.office import House, Running, Team, opened_playground, poll, words

Ready = Callable[[], Awaitable[str]]
Told = Callable[[], list[tuple[str, str]]]
STOPPED = RunState.CANCELED
NO_AGENT = tuple(scope for scope in DEFAULT_SCOPES if scope != "assistant:write")


@pytest.fixture
async def playground(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Playground]:
    """One that grants everything, or the scopes a test names."""
    async with opened_playground(tmp_path / "team", scopes=getattr(request, "param", DEFAULT_SCOPES)) as playground:
        yield playground


@pytest.fixture
def told(playground: Playground) -> Iterator[Told]:
    """`(thread, status)` of every call Slack took so far, repetitions included."""
    heard: list[tuple[str, str]] = []
    with playground.services.team.feed.watch() as changes:

        def look() -> list[tuple[str, str]]:
            while not changes.empty():
                change = changes.get_nowait() or {}
                if change.get("type") == "session":
                    heard.append((change["thread_ts"], change["status"]))
            return heard

        yield look


def statuses(told: Told, thread_ts: str) -> list[str]:
    return [status for thread, status in told() if thread == thread_ts]


async def says(told: Told, thread_ts: str, *expected: str) -> None:
    """Wait until Slack was told exactly this about a thread, in this order."""
    await poll(lambda: len(statuses(told, thread_ts)) >= len(expected), f"the session to say {expected[-1]}")
    assert list(expected) == statuses(told, thread_ts)


async def root_of(house: House, run_id: str) -> str:
    thread = (await house.snapshot(run_id)).run.thread_ts
    assert thread is not None
    return thread


async def press(team: Team, thread_ts: str, user: str = "U0REQUESTER") -> None:
    """Slack's own stop button."""
    await team.do("stop", user=user, channel="C0DATA", thread_ts=thread_ts)


async def test_a_session_says_each_thing_once_as_its_run_goes_on(house: House, told: Told, ready: Ready) -> None:
    run_id = await ready()
    root = await root_of(house, run_id)
    await says(told, root, "processing")

    await house.works(run_id)
    await house.change(run_id, lambda draft: draft.move(RunState.EXECUTING))
    await house.blocks(run_id)
    await says(told, root, "processing", "suspended")
    await house.change(run_id, lambda draft: draft.move(RunState.PLANNING))
    await says(told, root, "processing", "suspended", "processing")
    await house.completes(run_id)

    await says(told, root, "processing", "suspended", "processing", "closed")


async def test_of_two_runs_in_a_thread_the_more_alive_one_is_shown(
    house: House, team: Team, told: Told, ready: Ready
) -> None:
    first = await ready()
    root = await root_of(house, first)
    await says(told, root, "processing")
    await house.blocks(first)
    await says(told, root, "processing", "suspended")

    await team.say("@banksman idle", thread_ts=root)
    await says(told, root, "processing", "suspended", "processing")
    second: RunRow = await poll(lambda: _second(house), "the second run to be loaded")
    assert root == second.thread_ts
    await house.completes(second.id)

    await says(told, root, "processing", "suspended", "processing", "suspended")
    await house.change(first, lambda draft: draft.end(RunState.FAILED, "No use.", now_ms=1))
    await says(told, root, "processing", "suspended", "processing", "suspended", "closed")


async def _second(house: House) -> RunRow | None:
    found = await house.runs()
    return found[1] if len(found) == 2 and found[1].run_state is RunState.CONTEXT_LOADED else None


async def test_a_bot_that_starts_says_nothing_again(house: House, team: Team, told: Told) -> None:
    first = await house.start_bot()
    root = await team.say("@banksman idle")
    run = await house.run()
    await says(told, root, "processing")
    await first.end()

    await house.start_bot()

    other = await team.say("@banksman idle", channel="C0OPS")
    await says(told, other, "processing")
    later: RunRow = await poll(lambda: _second(house), "the second run to be loaded")
    await house.completes(later.id)
    await says(told, other, "processing", "closed")
    assert ["processing"] == statuses(told, root), "two rounds have passed it over"
    await house.completes(run.id)
    await says(told, root, "processing", "closed")


async def test_a_bot_that_starts_says_what_happened_meanwhile(house: House, team: Team, told: Told) -> None:
    first = await house.start_bot()
    root = await team.say("@banksman idle")
    run = await house.run()
    await says(told, root, "processing")
    await first.end()
    await house.completes(run.id)

    await house.start_bot()

    await says(told, root, "processing", "closed")


async def test_processing_is_said_again_before_slack_lets_it_run_out(house: House, told: Told, ready: Ready) -> None:
    root = await root_of(house, await ready())
    await says(told, root, "processing")

    async with house.database.begin() as connection:
        earlier = sessions.c.shown_at - 51 * 60 * 1000
        await connection.execute(update(sessions).where(sessions.c.tenant == TENANT).values(shown_at=earlier))

    await says(told, root, "processing", "processing")


@pytest.mark.parametrize("playground", [NO_AGENT], indirect=True)
async def test_an_app_that_is_no_agent_asks_once_and_works_on_without(
    house: House, bot: Running, team: Team, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def refusals() -> int:
        return sum(record.__dict__.get("method") == "agents.sessions.setStatus" for record in caplog.records)

    await team.say("@banksman idle")
    run = await house.run()
    await poll(refusals, "the refusal")
    await team.say("@banksman idle", channel="C0OPS")
    other: RunRow = await poll(lambda: _second(house), "the second run to be loaded")
    until = await _lead(house)
    await poll(lambda: _later_than(house, until + 3_000), "some more rounds")

    await house.completes(run.id)
    await house.completes(other.id)

    async def both_ended() -> bool:
        return len(await team.heard(": completed after")) == 2

    await poll(both_ended, "two endings")
    assert 1 == refusals()
    assert [logging.INFO] == [one.levelno for one in caplog.records if one.__dict__.get("action") == "no_sessions"]
    assert ([], []) == (told(), (await team.state())["sessions"])
    async with house.database.read() as connection:
        put_aside = [(row.thread_ts, row.shown) for row in await connection.execute(select(sessions))]
    assert [(run.thread_ts, None)] == put_aside


async def _lead(house: House) -> int:
    """Until when the bot leads: it moves on as long as the bot makes its rounds."""
    async with house.database.read() as connection:
        return int(
            (await connection.execute(select(leaders.c.until).where(leaders.c.name.like("delivery:%")))).scalar_one()
        )


async def _later_than(house: House, until: int) -> bool:
    return await _lead(house) >= until


async def test_a_session_that_hangs_holds_nothing_up(house: House, bot: Running, team: Team, told: Told) -> None:
    await team.fault("hang", method="agents.sessions.setStatus", seconds=9)

    await team.say("@banksman idle")
    run = await house.run()
    await team.card()
    await house.completes(run.id)

    await team.hears(": completed after")
    assert [] == told()


async def test_a_session_slack_did_not_take_just_now_is_said_later(
    house: House, bot: Running, team: Team, told: Told
) -> None:
    await team.fault("429", method="agents.sessions.setStatus", retry_after=1)

    root = await team.say("@banksman idle")

    await says(told, root, "processing")


async def test_the_native_button_stops_the_run_and_goes(house: House, team: Team, told: Told, ready: Ready) -> None:
    root = await root_of(house, await ready())
    await says(told, root, "processing")

    await press(team, root)

    stopped = await house.run(STOPPED)
    assert "requester" == stopped.killed_by
    assert root == (await team.hears("Stop requested", user="U0REQUESTER"))["thread_ts"]
    await says(told, root, "processing", "closed")


async def test_an_operator_stops_every_run_of_the_thread_with_it(
    house: House, team: Team, told: Told, ready: Ready
) -> None:
    root = await root_of(house, await ready())
    await team.say("@banksman idle", thread_ts=root)
    await poll(lambda: _second(house), "the second run")
    await says(told, root, "processing")

    await press(team, root, "U0OPERATOR")

    async def all_stopped() -> bool:
        return [STOPPED, STOPPED] == [row.run_state for row in await house.runs()]

    await poll(all_stopped, "both to stop")
    await says(told, root, "processing", "closed")


@pytest.mark.parametrize(
    ("user", "said"), [("U0MEMBER", "or an operator, can stop it"), ("U0GUEST", "cannot stop runs here")]
)
async def test_who_may_not_stop_is_told_so_and_the_button_stays(
    house: House, team: Team, told: Told, ready: Ready, user: str, said: str
) -> None:
    root = await root_of(house, await ready())
    await says(told, root, "processing")
    if user == "U0GUEST":
        await team.do("members", user=user, channel="C0DATA")

    await press(team, root, user)

    assert root == (await team.hears(said, user=user))["thread_ts"]
    assert RunState.CONTEXT_LOADED is (await house.run(None)).run_state
    [session] = (await team.state())["sessions"]
    assert "processing" == session["status"]
    await press(team, root)
    await house.run(STOPPED)


async def test_a_press_delivered_three_times_stops_once_and_is_answered_once(
    house: House, team: Team, told: Told, ready: Ready
) -> None:
    root = await root_of(house, await ready())
    await says(told, root, "processing")
    await team.fault("duplicate", event="agent_session_stopped", copies=3)

    await press(team, root)

    await house.run(STOPPED)
    await says(told, root, "processing", "closed")
    await team.command("help")
    await team.hears("How to use", user="U0REQUESTER")
    assert ["Stop requested" in words(one) for one in await team.heard(user="U0REQUESTER")] == [True, False]


async def test_a_press_while_the_button_is_still_there_says_that_nothing_is_under_way(
    house: House, team: Team, told: Told, ready: Ready
) -> None:
    root = await root_of(house, await ready())
    await says(told, root, "processing")
    await team.fault("hang", method="agents.sessions.setStatus", seconds=3)
    await press(team, root)
    await house.run(STOPPED)

    await press(team, root, "U0MEMBER")

    await team.hears("Nothing of mine is under way", user="U0MEMBER")
    await says(told, root, "processing", "closed")


async def test_a_press_in_a_thread_without_a_run_of_ours_is_answered(bot: Running, team: Team) -> None:
    root = await team.say("music?")
    await bot.bot.office.desk.slack.set_session("C0DATA", root, Session.PROCESSING)

    await press(team, root, "U0MEMBER")

    await team.hears("Nothing of mine is under way", user="U0MEMBER")
