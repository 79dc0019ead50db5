"""Messages that ask for something lose their buttons once the run has gone on, and only then."""

from collections.abc import Callable

from core.clock import SystemClock
from core.ids import TENANT
from core.principals import Actor
from core.record.changes import Landed
from core.record.states import BlockedReason, RunState
from core.runs.draft import Draft, merged
from core.store import outbox
from tests.integration.bot_runtime.office import House, Json, Running, Team, has_button, poll, words

MOON, SUN = "The moon is away.", "The sun is away."


async def asked(team: Team, text: str) -> Json:
    """Wait for the message that asks for help, which is not the card."""

    async def found() -> list[Json]:
        return [one for one in await team.heard(text) if not has_button(one, "Details")]

    return dict((await poll(found, "the message"))[-1])


async def write(house: House, run_id: str, fill: Callable[[Draft], None], *, now_ms: int) -> None:
    """Commit a change as somebody whose clock says `now_ms`."""
    draft = Draft(await house.snapshot(run_id), Actor("human", "requester"))
    fill(draft)
    assert isinstance(await house.database.journal.commit(draft.seal(now_ms=now_ms)), Landed)


async def test_of_two_blocks_only_the_one_that_is_over_loses_its_buttons(house: House, team: Team) -> None:
    bot = await house.start_bot()
    await team.say("@banksman idle")
    run_id = (await house.run()).id
    await house.change(run_id, lambda draft: draft.block(BlockedReason.MISSING_SECRET, MOON))
    first = await asked(team, MOON)
    assert has_button(first, "Ask again")
    await bot.end()

    # Somebody lets it go on, and a worker whose clock is behind blocks it again at once.
    now_ms = SystemClock().wall_ms()
    await write(house, run_id, lambda draft: draft.move(RunState.PLANNING), now_ms=now_ms)
    again = lambda draft: draft.block(BlockedReason.MISSING_SECRET, SUN)  # noqa: E731
    await write(house, run_id, again, now_ms=now_ms - 200)
    await house.start_bot()

    assert "Goes on" in words(await team.offers_nothing(first))
    await house.all_said()
    assert has_button(await asked(team, SUN), "Ask again"), "it is blocked still"


async def test_a_block_that_came_with_other_news_is_found(house: House, team: Team, bot: Running) -> None:
    await team.say("@banksman idle")
    run_id = (await house.run()).id
    before = await house.snapshot(run_id)
    first = Draft(before, Actor.system("worker:test"))
    first.move(RunState.PLANNING)
    news = first.seal(now_ms=SystemClock().wall_ms())
    second = Draft(before.folded(news), Actor.system("worker:test"))
    second.block(BlockedReason.MISSING_SECRET, MOON)
    both = merged(news, second.seal(now_ms=SystemClock().wall_ms()))
    assert isinstance(await house.database.journal.commit(both), Landed)
    note = await asked(team, MOON)

    await house.change(run_id, lambda draft: draft.move(RunState.PLANNING))

    assert "Goes on" in words(await team.offers_nothing(note))


async def test_a_block_that_was_said_in_a_direct_message_loses_its_buttons_there(
    house: House, team: Team, bot: Running
) -> None:
    await team.say("@banksman idle")
    run_id = (await house.run()).id
    await team.card()
    await team.fault("archive_channel", channel="C0DATA")
    await house.change(run_id, lambda draft: draft.block(BlockedReason.MISSING_SECRET, MOON))
    note = await asked(team, MOON)
    assert await team.direct() == note["channel"]

    await house.change(run_id, lambda draft: draft.move(RunState.PLANNING))

    assert "Goes on" in words(await team.offers_nothing(note))


async def test_an_ending_is_said_once_though_nothing_can_be_tidied(house: House, team: Team, bot: Running) -> None:
    await team.say("@banksman idle")
    run_id = (await house.run()).id
    await team.card()

    await house.nearly_spends(run_id)
    warned = await team.hears("Most of what it may use is used up")
    await team.fault("refuse", method="chat.update", error="cant_update_message", count=None)

    await house.completes(run_id)

    await house.all_said()
    ending = await outbox.find(house.database, TENANT, f"ending:{run_id}")
    assert ending is not None and ending.result is not None
    assert 1 == len(await team.heard(": completed after"))
    assert has_button(await team.message(warned["ts"]), "Kill")
