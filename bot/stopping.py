"""Stopping a run from Slack: our button, Slack's own, a reaction, the word `stop`, the command. One code path, whoever
asks on whichever surface.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from bot.blocks.elements import Message
from bot.blocks.refusals import ambiguous_run, sentence, stop_requested, unknown_run
from bot.messages import mentions
from bot.office import Office
from core import metrics
from core.config.people import NotRecognised
from core.crashpoints import crashpoint
from core.record.changes import Decided, Refusal
from core.record.states import TERMINAL
from core.runs.commands.kill import kill
from core.store import outbox, runs
from core.store.lane import Target

Surface = Literal["button", "thread", "session", "reaction", "command"]


async def stop_run(
    office: Office, run_id: str, *, user: str, team: str | None, reason: str, at_ms: int, surface: Surface
) -> Message:
    """Stop a run if this person may; returns the private sentence for them.

    Args:
        team: The person's own team, if the payload says.
        at_ms: When the person asked, which can be some time ago if we were down.
    """
    desk = office.desk
    who = await desk.identity.principal(user, team=team)
    if isinstance(who, NotRecognised):
        return sentence(who.sentence)
    decide = partial(kill, run_id=run_id, by=who, reason=reason, policy=desk.policy, now_ms=at_ms)
    answer = await desk.database.journal.command(desk.tenant, Target(run_id=run_id), decide)
    match answer:
        case Refusal() as refusal:
            return sentence(refusal.text)
        case Decided():
            crashpoint("CP22")
            metrics.STOPS_ASKED.labels(surface).inc()
            office.wake_delivery.set()
            office.later(desk.doorbell.announce("stop", run_id))
            return stop_requested(run_id)


async def stop_named(office: Office, wanted: str, *, user: str, team: str | None, reason: str, at_ms: int) -> Message:
    """Stop the run whose id or last characters somebody typed."""
    found = await runs.resolve(office.desk.database, office.desk.tenant, wanted)
    if not found:
        return unknown_run(wanted)
    if len(found) > 1:
        return ambiguous_run(wanted, len(found))
    return await stop_run(office, found[0], user=user, team=team, reason=reason, at_ms=at_ms, surface="command")


def is_stop_word(event: Mapping[str, Any], bot_user: str) -> bool:
    """Whether a message in a thread is exactly `stop`, with or without our mention."""
    if event.get("bot_id") or event.get("edited") or event.get("subtype") not in (None, "thread_broadcast"):
        return False
    text = str(event.get("text") or "").replace(f"<@{bot_user}>", "").strip().casefold()
    in_thread = bool(event.get("thread_ts")) and event.get("thread_ts") != event.get("ts")
    return text == "stop" and in_thread and isinstance(event.get("user"), str)


def is_addressed(event: Mapping[str, Any], bot_user: str) -> bool:
    """Whether a message names us, so that silence would be no answer."""
    return mentions(str(event.get("text") or ""), bot_user)


@dataclass(frozen=True)
class Said:
    """A private sentence and the thread it belongs to."""

    message: Message
    thread_ts: str | None


async def stop_thread(office: Office, asked: Mapping[str, Any], *, at_ms: int) -> list[Said]:
    """Stop every open run of a thread; what to tell the person, nothing in a thread we have no part in.

    Args:
        asked: `channel`, `thread_ts`, `user`, `team` and `addressed` (see `is_addressed`); `surface`, if it was not
            the word.
    """
    desk = office.desk
    thread = asked["thread_ts"]
    who = {"user": asked["user"], "team": asked["team"], "surface": asked.get("surface", "thread")}
    found = await runs.listed(desk.database, desk.tenant, channel=asked["channel"], thread_ts=thread)
    said = [
        await stop_run(office, row.id, **who, reason="", at_ms=at_ms) for row in found if row.run_state not in TERMINAL
    ]
    if not said and (found or asked["addressed"]):
        said.append(sentence("Nothing of mine is under way in this thread."))
    return [Said(message, thread) for message in said]


async def stop_by_reaction(office: Office, asked: Mapping[str, Any], *, at_ms: int) -> list[Said]:
    """Stop the runs whose card or message got the stop reaction; on the root of a thread, all that is open in it.

    Args:
        asked: `channel`, `ts`, `user` and `team`.
    """
    desk = office.desk
    found = await outbox.open_runs_of_message(desk.database, desk.tenant, asked["channel"], asked["ts"])
    who = {"user": asked["user"], "team": asked["team"]}
    return [
        Said(await stop_run(office, run_id, **who, reason="", at_ms=at_ms, surface="reaction"), thread)
        for run_id, thread in found
    ]
