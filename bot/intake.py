"""Intake: from a message that asks for something to a run, or to a sentence that says why not.

Stored first, acknowledged second. What can be decided at once (who, which playbook, which inputs) is committed together
with the delivery; if Slack cannot be asked who somebody is in time, only the delivery is stored and decided a moment
later.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bot.desk import Desk
from bot.messages import Asked
from bot.slack_errors import SlackError, SlackRevoked
from core.actions.agreed import Agreed
from core.actions.contract import Contract
from core.config.agents import Channel, Chosen, UnknownAgent, choose, contract_of
from core.config.people import NotRecognised
from core.crashpoints import crashpoint
from core.errors import TerminalError
from core.planners.binding import Attachment, Bound, MissingInputs, bind_inputs
from core.planners.definition import Playbook
from core.principals import Principal
from core.record.changes import Insert, Landed
from core.runs.accepting import limits_of
from core.runs.commands.request import Pinned, Request, Surface, accept
from core.runs.draft import delivery
from core.store import agreements, inbox, runs

log = logging.getLogger(__name__)

DECIDE_WITHIN_S = 1.5
"""Slack waits 3 s for the acknowledgement; the commit needs its part of that."""

OLD_AFTER_S = 600
"""A message that took longer than this to reach us could surprise whoever wrote it."""


@dataclass(frozen=True)
class Reply:
    """A sentence instead of a run; private ones are for the asker alone."""

    text: str
    private: bool = False
    form: bool = False
    """Offer the form that asks for what is missing."""


@dataclass(frozen=True)
class Accepted:
    """A run that exists now, because of this delivery."""

    run_id: str


@dataclass(frozen=True)
class Answered:
    """A sentence was queued instead of a run."""


@dataclass(frozen=True)
class Known:
    """Nothing new: the same delivery was here before, or its message has a run already."""


@dataclass(frozen=True)
class Stored:
    """Only stored: it could not be decided in time, and has to be carried out."""

    row: inbox.InboxRow


@dataclass(frozen=True)
class _Go:
    """A request to accept."""

    request: Request
    unused: tuple[str, ...]
    """Names of attached files no input takes."""


Done = Accepted | Answered | Known | Stored


async def receive(desk: Desk, asked: Asked, dedupe_key: str) -> Done:
    """Store a request and, if that can be decided in time, act on it."""
    if await inbox.find(desk.database, desk.tenant, dedupe_key) is not None:
        return Known()
    agreed = await agreements.latest(desk.database, desk.tenant)
    try:
        async with asyncio.timeout(DECIDE_WITHIN_S):
            known = await _look_up(desk, asked, agreed)
    except (TimeoutError, SlackError) as error:
        log.info("a message is decided later: %r", error, extra={"action": "decided_later"})
        now_ms = desk.clock.wall_ms()
        crashpoint("CP01")
        written = inbox.received(desk.tenant, dedupe_key, "message", asked.to_body(), now_ms=now_ms)
        [new] = await desk.database.journal.record([written])
        crashpoint("CP02")
        return Stored(inbox.InboxRow(dedupe_key, "message", asked.to_body(), now_ms)) if new else Known()
    return await _commit(desk, asked, dedupe_key, await _decide(desk, asked, known, agreed), stored=False)


async def process(desk: Desk, row: inbox.InboxRow) -> Done:
    """Decide a delivery that was only stored.

    Raises:
        SlackError: Slack has to be asked something and does not answer; try again.
    """
    asked = Asked.from_body(row.body)
    agreed = await agreements.latest(desk.database, desk.tenant)
    decision = await _decide(desk, asked, await _look_up(desk, asked, agreed), agreed)
    return await _commit(desk, asked, row.dedupe_key, decision, stored=True)


async def missing_inputs(desk: Desk, asked: Asked) -> tuple[Playbook, MissingInputs] | Reply | Bound:
    """What a request still needs, for the form."""
    agreed = await agreements.latest(desk.database, desk.tenant)
    chosen = choose(desk.config, await _channel(desk, asked, agreed), asked.text, agreed)
    if isinstance(chosen, UnknownAgent):
        return Reply(chosen.sentence)
    playbook = desk.playbooks[chosen.agent]
    bound = _bind(desk, playbook, asked, chosen)
    return bound if isinstance(bound, Bound) else (playbook, bound)


@dataclass(frozen=True)
class _Known:
    """What Slack had to be asked about a message."""

    who: Principal | NotRecognised
    channel: Channel


async def _look_up(desk: Desk, asked: Asked, agreed: Mapping[str, Agreed]) -> _Known:
    who = await desk.identity.principal(asked.user, team=asked.user_team)
    return _Known(who, await _channel(desk, asked, agreed))


async def _decide(desk: Desk, asked: Asked, known: _Known, agreed: Mapping[str, Agreed]) -> _Go | Reply:
    who = known.who
    if isinstance(who, NotRecognised):
        return Reply(who.sentence, private=True)
    if who.external:
        return Reply("Only members of this team can start runs here. Ask one of them.", private=True)
    age_s = desk.clock.wall_ms() // 1000 - asked.event_time_s
    if age_s > OLD_AFTER_S and asked.given is None:  # who filled in the form is here now
        late = f"Your message reached me {age_s // 60} minutes late, so nothing was started."
        return Reply(f"{late} Mention me again if you want it.")
    chosen = choose(desk.config, known.channel, asked.text, agreed)
    if isinstance(chosen, UnknownAgent):
        return Reply(chosen.sentence)
    playbook = desk.playbooks[chosen.agent]
    bound = _bind(desk, playbook, asked, chosen)
    if isinstance(bound, MissingInputs):
        return Reply(bound.sentence(playbook), form=bool(bound.fields) and not bound.problems)
    underway = await runs.listed(desk.database, desk.tenant, requester=who.id, open_only=True, limit=200)
    cap = desk.config.limits.runs_per_person
    if len(underway) >= cap:
        has = f"{cap} run{'' if cap == 1 else 's'}"
        return Reply(f"You have {has} under way, which is the most one person may have. Stop one or wait for it.")
    contract = contract_of(desk.config, known.channel, agreed)
    return _Go(_request(desk, asked, who, chosen, bound, contract), bound.unused)


def _bind(desk: Desk, playbook: Playbook, asked: Asked, chosen: Chosen) -> Bound | MissingInputs:
    files = [Attachment(file.name, file.media_type, file.size) for file in asked.files]
    limit = desk.config.limits.upload_bytes
    return bind_inputs(playbook, chosen.rest, files, asked.given or {}, max_file_bytes=limit, hint=chosen.hint)


def _request(
    desk: Desk, asked: Asked, who: Principal, chosen: Chosen, bound: Bound, contract: Contract | None
) -> Request:
    source = desk.config.playbooks[chosen.agent]
    return Request(
        tenant=desk.tenant,
        source_key=asked.source_key,
        agent=chosen.agent,
        document=Pinned(source.kind, source.text),
        policy=Pinned("policy", desk.config.policy_text),
        text=chosen.rest,
        inputs={name: _slack_file(value, asked) for name, value in bound.inputs.items()},
        requester=who,
        surface=Surface(asked.team, asked.channel, asked.root_ts, asked.ts),
        limits=limits_of(desk.config, source, contract),
        contract=contract,
    )


def _slack_file(value: Any, asked: Asked) -> Any:
    """A bound attachment as the run keeps it until its bytes are stored."""
    if isinstance(value, Mapping) and "attachment" in value:
        file = asked.files[value["attachment"]]
        return {"slack_file": file.id, "name": file.name, "media_type": file.media_type}
    return value


async def _channel(desk: Desk, asked: Asked, agreed: Mapping[str, Agreed]) -> Channel:
    named = any(name.startswith("#") for name in (*desk.config.channels, *agreed))
    if not named or asked.channel.startswith("D"):
        return Channel(asked.channel, "")
    try:
        return Channel(asked.channel, await desk.slack.channel_name(asked.channel))
    except SlackRevoked:
        raise
    except TerminalError as error:
        log.warning("a channel's name is hidden from us: %s", error, extra={"action": "channel_unnamed"})
        return Channel(asked.channel, "")


async def _commit(desk: Desk, asked: Asked, dedupe_key: str, decision: _Go | Reply, *, stored: bool) -> Done:
    now_ms = desk.clock.wall_ms()
    journal = desk.database.journal
    crashpoint("CP01")
    if isinstance(decision, Reply):
        row = _inbox_row(desk, asked, dedupe_key, "answered", now_ms, None)
        writes: list[Any] = [_reply(desk, asked, decision, dedupe_key, now_ms)]
        writes.append(inbox.processed(desk.tenant, dedupe_key, "answered", now_ms=now_ms) if stored else row)
        await journal.record(writes)
        return Answered()
    run_id = desk.ids.run()
    done = inbox.processed(desk.tenant, dedupe_key, "accepted", now_ms=now_ms, run_id=run_id)
    fresh = None if stored else _inbox_row(desk, asked, dedupe_key, "accepted", now_ms, run_id)
    request = replace(decision.request, inbox=fresh)
    change = accept(request, run_id=run_id, salt=desk.ids.salt(), now_ms=now_ms)
    if decision.unused:
        change = replace(change, inserts=(*change.inserts, _unused(desk, request, run_id, decision.unused, now_ms)))
    if asked.given is not None:
        change = replace(change, inserts=(*change.inserts, _filled(desk, asked, run_id, now_ms)))
    answer = await journal.commit(replace(change, updates=(done,)) if stored else change)
    crashpoint("CP02")
    if isinstance(answer, Landed):
        return Accepted(run_id)
    if stored:
        await journal.record([inbox.processed(desk.tenant, dedupe_key, "duplicate", now_ms=now_ms)])
    log.info("a message was delivered again", extra={"action": "duplicate_message", "source": request.source_key})
    return Known()


def _inbox_row(desk: Desk, asked: Asked, key: str, outcome: str, now_ms: int, run_id: str | None) -> Insert:
    return inbox.received(desk.tenant, key, "message", asked.to_body(), now_ms=now_ms, run_id=run_id, outcome=outcome)


def _reply(desk: Desk, asked: Asked, reply: Reply, dedupe_key: str, now_ms: int) -> Insert:
    """Said once per message, whichever of its two events brought it, and once per filled form."""
    body: dict[str, Any] = {
        "text": reply.text,
        "channel": asked.channel,
        "thread_ts": asked.root_ts,
        "user": asked.user,
    }
    if reply.form:
        body["request"] = dedupe_key
    key = _reply_key(asked) + ("" if asked.given is None else f":{dedupe_key}")
    if not reply.private:
        return delivery(desk.tenant, None, asked.team, asked.channel, asked.root_ts, "slack.reply", key, body, now_ms)
    # In a lane of its own: what cannot be whispered must not hold up what is said aloud.
    lane = f"private:{asked.user}"
    return delivery(desk.tenant, None, asked.team, asked.channel, lane, "slack.private", key, body, now_ms)


def _reply_key(asked: Asked) -> str:
    """Of what is said to a message that starts no run."""
    return f"reply:{asked.source_key}"


def _filled(desk: Desk, asked: Asked, run_id: str, now_ms: int) -> Insert:
    """Takes the button off what had asked for inputs."""
    place = (asked.team, asked.channel, asked.root_ts)
    body = {"said": _reply_key(asked)}
    return delivery(desk.tenant, run_id, *place, "slack.filled", f"filled:{run_id}", body, now_ms)


def _unused(desk: Desk, request: Request, run_id: str, names: tuple[str, ...], now_ms: int) -> Insert:
    surface = request.surface
    assert surface is not None
    left = "so it is not used" if len(names) == 1 else "so they are not used"
    text = f"`{request.agent}` has no input for {', '.join(names)}, {left}."
    place = (surface.team, surface.channel, surface.thread_ts)
    return delivery(desk.tenant, run_id, *place, "slack.reply", f"unused:{run_id}", {"text": text}, now_ms)
