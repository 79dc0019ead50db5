"""What is stored before it is acknowledged, and carried out after.

Slack brings a click only once, and brings an event until it is acknowledged: so each is a row first, then acknowledged,
then carried out, as of the moment it reached us. A row whose process died in between is carried out by whoever leads
the deliveries, some seconds later.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from bot import deciding, intake, replying, stopping
from bot.blocks.elements import Message
from bot.blocks.refusals import not_recorded, stale
from bot.intake import Accepted
from bot.listeners import subcommands
from bot.listeners.home import publish
from bot.office import Office
from bot.stopping import Said
from core.crashpoints import crashpoint
from core.errors import BanksmanError
from core.record.states import RunState
from core.store import inbox, runs

log = logging.getLogger(__name__)

RECORD_WITHIN_S = 2.0
"""Slack waits 3 s for the acknowledgement."""

LEFT_AFTER_MS = 12_000
"""A stored delivery that old is nobody's any more: longer than one call to Slack may take."""

CONTEXT_AFTER_MS = 5_000
_GIVE_UP_MS = 24 * 3600 * 1000

Answer = Callable[[Message], Coroutine[Any, Any, None]]
"""How to answer the person while the delivery is fresh."""


async def take(office: Office, kind: str, key: str, body: Mapping[str, Any], *, answer: Answer | None = None) -> None:
    """Store a click, a command or a stop, and carry it out once the listener has returned and Slack has its answer.

    A repeated delivery changes nothing. If it cannot be stored the person is told to try again, for nothing else does.

    Args:
        body: What it takes to carry it out later, by this process or another; no address that expires.
        answer: Instead of a private sentence where it was asked.
    """
    desk = office.desk
    now_ms = desk.clock.wall_ms()
    try:
        async with asyncio.timeout(RECORD_WITHIN_S):
            [new] = await desk.database.journal.record([inbox.received(desk.tenant, key, kind, body, now_ms=now_ms)])
    except Exception:
        log.exception("a delivery was not recorded", extra={"action": "not_recorded", "kind": kind})
        said = [Said(not_recorded(), body.get("thread_ts"))]
        office.later(answer(not_recorded()) if answer is not None else _tell(office, body, said))
        return
    crashpoint("CP11", kind)
    if new:
        begin(office, inbox.InboxRow(key, kind, body, now_ms), answer=answer)


def begin(office: Office, row: inbox.InboxRow, *, answer: Answer | None = None) -> None:
    """Carry a stored delivery out in the background, unless that is under way."""
    if row.dedupe_key not in office.in_hand:
        office.in_hand.add(row.dedupe_key)
        office.later(_carry_out(office, row, answer))


async def catch_up(office: Office, *, everything: bool = False) -> None:
    """Begin what was stored and left: deliveries nobody carried out, runs whose context nobody loaded.

    Args:
        everything: However new it is, for whoever stored it has died. What another bot has in hand all the same is
            carried out once, whoever is first.
    """
    desk = office.desk
    now_ms = desk.clock.wall_ms()
    old_ms, created_ms = (0, 0) if everything else (LEFT_AFTER_MS, CONTEXT_AFTER_MS)
    for row in await inbox.waiting(desk.database, desk.tenant, before_ms=now_ms - old_ms):
        begin(office, row)
    for run in await runs.listed(desk.database, desk.tenant, state=RunState.CREATED):
        if run.created_at <= now_ms - created_ms:
            office.load(run.id)


async def _carry_out(office: Office, row: inbox.InboxRow, answer: Answer | None) -> None:
    crashpoint("CP03", row.kind)
    desk = office.desk
    record = desk.database.journal.record
    try:
        if row.kind == "message":
            done = await intake.process(desk, row)
            if isinstance(done, Accepted):
                office.accepted(done.run_id, row.body["channel"], row.body["ts"])
            return
        said = await _done(office, row)
        await record([inbox.processed(desk.tenant, row.dedupe_key, "done", now_ms=desk.clock.wall_ms())])
    except Exception as error:
        about = {"action": "not_carried_out", "key": row.dedupe_key}
        log.error("a delivery waits: %s", error, exc_info=not isinstance(error, BanksmanError), extra=about)
        if desk.clock.wall_ms() - row.received_at > _GIVE_UP_MS:
            await record([inbox.processed(desk.tenant, row.dedupe_key, "given-up", now_ms=desk.clock.wall_ms())])
        else:
            await record([inbox.failed(row, desk.tenant)])
        return
    finally:
        office.in_hand.discard(row.dedupe_key)
    office.wake_delivery.set()
    if answer is not None and said:
        await answer(said[0].message)
    else:
        await _tell(office, row.body, said)


async def _done(office: Office, row: inbox.InboxRow) -> list[Said]:
    """Carry out; what to tell the person."""
    body = row.body
    thread = body.get("thread_ts")
    match row.kind:
        case "click.kill":
            if not body["value"]:
                return [Said(stale(), thread)]
            who = {"user": body["user"], "team": body["team"]}
            at_ms = row.received_at
            told = await stopping.stop_run(office, body["value"], **who, reason="", at_ms=at_ms, surface="button")
            return [Said(told, thread)]
        case "click.vote":
            return [Said(await deciding.vote(office, row), thread)]
        case "click.take-back":
            return [Said(await deciding.take_vote_back(office, row), thread)]
        case "click.again":
            return [Said(await deciding.again(office, row), thread)]
        case "click.continue":
            return [Said(await deciding.have_continued(office, row), thread)]
        case "click.fund":
            return [Said(await deciding.fund_run(office, row), thread)]
        case "click.wrap-up":
            return [Said(await deciding.have_wrapped_up(office, row), thread)]
        case "click.ran" | "click.not-run":
            return [Said(await deciding.settle(office, row), thread)]
        case "click.roll-back":
            return [Said(await deciding.have_rolled_back(office, row), thread)]
        case "view.answer":
            return [Said(await deciding.take_answer(office, row), thread)]
        case "click.replies":
            return [Said(await replying.choose_replies(office, row), thread)]
        case "click.reply":
            return [Said(await replying.decide_reply(office, row), thread)]
        case "view.steer":
            return [Said(await replying.take_steer(office, row), thread)]
        case "reply":
            return await replying.take_reply(office, row)
        case "command":
            return [Said(await subcommands.answer(office, body, at_ms=row.received_at), thread)]
        case "stop":
            return await stopping.stop_thread(office, body, at_ms=row.received_at)
        case "reaction":
            return await stopping.stop_by_reaction(office, body, at_ms=row.received_at)
        case _:
            raise ValueError(f"nothing carries out a delivery of kind {row.kind}")


async def _tell(office: Office, body: Mapping[str, Any], said: list[Said]) -> None:
    if body.get("in_home"):
        # A home has no place for a sentence; drawn anew, it shows how things are.
        await publish(office, body["user"])
        return
    for each in said:
        await office.tell(body["channel"], body["user"], each.message, thread_ts=each.thread_ts)
