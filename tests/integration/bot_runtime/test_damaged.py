"""A stored file with a turned byte never leaves: not into a thread, not onto a card, not into a form. Who looks for it
there is told, with the name of the file and what helps.
"""

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

from core.record.rows import Snapshot
from core.record.states import RunState
from tests.integration.bot_runtime.office import House, Json, Running, Team, has_button, poll, words
from tests.integration.bot_runtime.test_deciding import APPROVER, asks, question
from tests.integration.bot_runtime.test_delivering import _thread

Ready = Callable[[], Awaitable[str]]
PATCH = b"--- a\n+++ b\n+the whole patch\n"


def flip(house: House, sha256: str) -> None:
    """Turn one bit of a stored file."""
    path: Path = house.settings.artifacts_dir / "sha256" / sha256[:2] / sha256[2:]
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(data)


async def stands_still(house: House, run_id: str) -> Snapshot:
    async def look() -> Snapshot | None:
        found = await house.snapshot(run_id)
        return found if found.run.blocked_reason == "artifact-integrity" else None

    found: Snapshot = await poll(look, "the run to stand still for its damaged file")
    return found


async def test_a_damaged_file_is_named_in_the_thread_and_not_uploaded(house: House, team: Team, ready: Ready) -> None:
    run_id = await ready()
    await team.fault("429", method="files.getUploadURLExternal", count=1, retry_after=1)
    await house.completes(run_id, "numbers.csv")
    [file] = [one for one in (await house.snapshot(run_id)).artifacts if one.role == "output"]
    flip(house, file.sha256)

    await house.all_said()

    said = await _thread(team, await house.run(RunState.COMPLETED))
    assert [] == [one for one in said if one["files"]]
    text = words(said[-2])
    for part in ("'numbers.csv'", "could not be put here", file.sha256[:12], "no longer has the digest", "Restore it"):
        assert part in text, text
    assert "It is stored" not in text
    assert ": completed after" in words(said[-1])


async def test_a_question_that_cannot_be_read_is_not_put_and_its_run_says_why(
    house: House, bot: Running, team: Team, ready: Ready
) -> None:
    run_id = await ready()
    await bot.end()
    await asks(house, run_id, PATCH)
    flip(house, hashlib.sha256(PATCH).hexdigest())

    await house.start_bot()

    found = await stands_still(house, run_id)
    assert ["superseded"] == [approval.status for approval in found.approvals]
    said = words(await team.hears("no longer has the digest"))
    assert "'changes.patch'" in said
    assert "ask again" in said
    assert [] == await team.heard("the whole patch")


async def test_a_click_on_approve_counts_nothing_when_the_action_cannot_be_read(
    house: House, team: Team, ready: Ready
) -> None:
    run_id = await ready()
    await asks(house, run_id, PATCH)
    card = await question(team)
    flip(house, hashlib.sha256(PATCH).hexdigest())

    await team.click(card, "approval_approve", user=APPROVER)

    await team.hears("nobody can decide it", user=APPROVER)
    found = await stands_still(house, run_id)
    assert (["superseded"], ()) == ([approval.status for approval in found.approvals], found.votes)

    async def closed() -> bool:
        now = await team.message(card["ts"])
        return not has_button(now, "Approve") and "cannot be shown any more" in words(now)

    await poll(closed, "the card to lose its buttons")


async def test_details_of_an_action_that_cannot_be_read_open_nothing_and_say_so(
    house: House, team: Team, ready: Ready
) -> None:
    run_id = await ready()
    await asks(house, run_id, PATCH)
    card = await question(team)
    flip(house, hashlib.sha256(PATCH).hexdigest())

    await team.click(card, "approval_details_open", user=APPROVER)

    await team.hears("nobody can decide it", user=APPROVER)
    assert [] == await team.views(APPROVER)
    await stands_still(house, run_id)


async def test_the_run_asks_again_once_the_file_is_back(house: House, team: Team, ready: Ready) -> None:
    run_id = await ready()
    await asks(house, run_id, PATCH)
    card = await question(team)
    flip(house, hashlib.sha256(PATCH).hexdigest())
    await team.click(card, "approval_approve", user=APPROVER)
    await stands_still(house, run_id)

    async def offered() -> list[Json]:
        return [one for one in await team.heard() if has_button(one, "Ask again")]

    [needs, *_] = await poll(offered, "the button that lets it go on")
    await team.click(needs, "approval_ask_again")

    async def planning() -> bool:
        return (await house.snapshot(run_id)).run.run_state is RunState.PLANNING

    await poll(planning, "the run to go on")
    await asks(house, run_id, PATCH)  # storing the same bytes again has mended the file
    again = await question(team, "the whole patch")
    await team.click(again, "approval_approve", user=APPROVER)
    await team.hears("Approved. It starts now", user=APPROVER)
