"""Replies in the thread of a run that thinks: which message is one, what becomes of it, whether it is taken up.

A reply is stored like a click before it is acknowledged, and said to be noted by a row that lands with it. What it may
change is decided in `core.runs.commands.steer`.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from bot.blocks.elements import Message
from bot.blocks.refusals import ambiguous_run, sentence, unknown_run
from bot.blocks.replies import reply_card
from bot.messages import decoded, mentions
from bot.office import Office
from bot.stopping import Said as Told
from core.config.agents import Chosen, choose
from core.config.people import NotRecognised
from core.crashpoints import crashpoint
from core.principals import Principal
from core.record.changes import Refusal
from core.runs import reading
from core.runs.commands.steer import Said, set_steering, settle_reply, steer
from core.runs.draft import delivery
from core.store import runs
from core.store.inbox import InboxRow
from core.store.lane import Target

_SUBTYPES = frozenset({None, "file_share", "thread_broadcast"})


async def reply_in(office: Office, event: Mapping[str, Any]) -> dict[str, Any] | None:
    """A message in a thread as the inbox keeps it; `None` if no run that thinks is under way there, or it asks for
    something else by name.
    """
    user, ts, channel, thread = (event.get(name) for name in ("user", "ts", "channel", "thread_ts"))
    if not all(isinstance(each, str) for each in (user, ts, channel, thread)) or thread == ts:
        return None
    me, desk = office.desk.me.user, office.desk
    if event.get("bot_id") or event.get("subtype") not in _SUBTYPES or user == me or event.get("edited"):
        return None
    text = decoded(str(event.get("text") or ""), me)
    addressed = mentions(str(event.get("text") or ""), me) or str(channel).startswith("D")
    if addressed and isinstance(choose(desk.config, None, text), Chosen):
        return None
    found = await runs.listed(desk.database, desk.tenant, channel=channel, thread_ts=thread, open_only=True)
    thinking = [row for row in found if row.thinks]
    if not thinking:
        return None
    return {
        "run": thinking[0].id,
        "channel": channel,
        "thread_ts": thread,
        "ts": ts,
        "user": user,
        "team": event.get("user_team") or event.get("team"),
        "text": text,
        "files": len(event.get("files") or ()),
    }


async def take_reply(office: Office, row: InboxRow) -> list[Told]:
    """Give a run what somebody wrote in its thread; what to tell them, if it was not taken."""
    body, desk = row.body, office.desk
    who = await desk.identity.principal(body["user"], team=body["team"])
    thread = body["thread_ts"]
    if isinstance(who, NotRecognised):
        return [Told(sentence(who.sentence), thread)]
    # By Slack's time: two messages in a row may reach us the other way round.
    at_ms = int(float(body["ts"]) * 1000)
    said = Said(body["run"], body["ts"], who, body["text"], at_ms, files=body["files"])
    refusal = await _steered(office, said)
    if refusal is None:
        return []
    if refusal.why != "not-allowed":
        return [Told(sentence(refusal.text), thread)]
    # Somebody who does not count here is told so once, not for each message of a conversation.
    told = {"text": refusal.text, "channel": body["channel"], "thread_ts": thread, "user": body["user"]}
    key, lane = f"unheard:{said.run_id}:{body['user']}", f"private:{body['user']}"
    place = (desk.me.team, body["channel"], lane)
    await desk.database.journal.record(
        [delivery(desk.tenant, None, *place, "slack.private", key, told, desk.clock.wall_ms())]
    )
    return []


async def take_steer(office: Office, row: InboxRow) -> Message:
    """Tell a run that goes round in circles more, and let it go on."""
    body, desk = row.body, office.desk
    who = await desk.identity.principal(body["user"], team=body["team"])
    if isinstance(who, NotRecognised):
        return sentence(who.sentence)
    said = Said(body["run"], row.dedupe_key, who, body["text"], row.received_at, lets_go_on=True)
    refusal = await _steered(office, said)
    return sentence("It goes on, and is told this first." if refusal is None else refusal.text)


async def decide_reply(office: Office, row: InboxRow) -> Message:
    """Have a reply of somebody else taken up, or left, and draw the question anew."""
    body, desk = row.body, office.desk
    reply_id = str(body["value"])
    run_id = reply_id.partition(":")[0]
    who = await desk.identity.principal(body["user"], team=body["team"])
    if isinstance(who, NotRecognised):
        return sentence(who.sentence)
    take = body["decision"] == "take"
    decide = partial(settle_reply, reply_id=reply_id, by=who, take=take, now_ms=desk.clock.wall_ms())
    done = await desk.database.journal.command(desk.tenant, Target(run_id=run_id), decide)
    if not isinstance(done, Refusal) or done.why == "already":
        office.wake_delivery.set()
        office.later(_draw_anew(office, run_id, reply_id, body["channel"], body["ts"]))
    return sentence(done.text)


async def set_replies(office: Office, rest: str, *, who: Principal) -> Message:
    """`/banksman replies RUN off|ask|auto`."""
    desk = office.desk
    wanted, _, mode = rest.partition(" ")
    found = await runs.resolve(desk.database, desk.tenant, wanted)
    if not found:
        return unknown_run(wanted)
    if len(found) > 1:
        return ambiguous_run(wanted, len(found))
    return await _set(office, found[0], mode.strip().casefold(), who)


async def choose_replies(office: Office, row: InboxRow) -> Message:
    """The same, from the menu of a run's card."""
    body, desk = row.body, office.desk
    run_id, _, mode = str(body["value"]).partition(":")
    who = await desk.identity.principal(body["user"], team=body["team"])
    if isinstance(who, NotRecognised):
        return sentence(who.sentence)
    return await _set(office, run_id, mode, who)


async def _set(office: Office, run_id: str, mode: str, who: Principal) -> Message:
    desk = office.desk
    decide = partial(set_steering, run_id=run_id, by=who, to=mode, now_ms=desk.clock.wall_ms())
    done = await desk.database.journal.command(desk.tenant, Target(run_id=run_id), decide)
    if not isinstance(done, Refusal):
        office.wake_delivery.set()  # the card says it
    return sentence(done.text)


async def _steered(office: Office, said: Said) -> Refusal | None:
    desk = office.desk
    decide = partial(steer, said=said, now_ms=desk.clock.wall_ms())
    done = await desk.database.journal.command(desk.tenant, Target(run_id=said.run_id), decide)
    if isinstance(done, Refusal):
        return done
    crashpoint("CP12")
    office.wake_delivery.set()
    for change in done.changes:
        if "wake" in change.run:
            office.later(desk.doorbell.ring(change.run_id, change.run["wake"]))
    return None


async def _draw_anew(office: Office, run_id: str, reply_id: str, channel: str, ts: str) -> None:
    desk = office.desk
    view = await reading.view(desk.database, desk.tenant, run_id)
    reply = next((each for each in view.replies if each.id == reply_id), None) if view is not None else None
    if view is not None and reply is not None:
        await desk.slack.update(channel, ts, reply_card(reply, view, desk.known))
