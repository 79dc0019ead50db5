"""Decisions from Slack: votes, taking them back, asking again, answers, what became of an ambiguous call, rollbacks.

A click names a question; who clicked is Slack's word; everything else is looked up and checked on locked rows. What is
said comes back as a private sentence, what follows from it is drawn from state.
"""

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

from bot.blocks.approval_card import read_ballot
from bot.blocks.approval_pages import page_count
from bot.blocks.elements import Message
from bot.blocks.refusals import sentence, stale
from bot.blocks.text import length
from bot.damage import lay_down
from bot.office import Office
from core.actions.approvals import why_not
from core.actions.shown import MAX_INLINE
from core.config.people import NotRecognised
from core.crashpoints import crashpoint
from core.errors import ArtifactCorrupt, BanksmanError
from core.principals import Principal
from core.record.changes import Decided, Refusal
from core.runs import asking
from core.runs.allowance import UNITS
from core.runs.approval_views import AskView
from core.runs.commands.again import ask_again, continue_for
from core.runs.commands.answer import answer
from core.runs.commands.decide import Ballot, decide, take_back
from core.runs.commands.fund import allow_more
from core.runs.commands.request import Limits
from core.runs.commands.resolve import resolve
from core.runs.commands.rollback import Asked, roll_back
from core.runs.commands.wrap_up import wrap_up
from core.store import approvals, freezes, people, runs
from core.store.inbox import InboxRow
from core.store.lane import Decide, Target
from core.tools.catalogue import undoings

log = logging.getLogger(__name__)

_CARD_LOOKS, _CARD_PAUSE_S = 20, 0.1

UNREADABLE = "What was asked cannot be read any more, so nobody can decide it"

STANDING_AGE_MS = 25_000
"""How old what the worker knows of a voter may get before Slack is asked again."""


async def vote(office: Office, row: InboxRow) -> Message:
    """Count a click on Approve, or a submitted Approve or Deny form, as of when it reached us."""
    desk, body = office.desk, row.body
    named = read_ballot(str(body["value"]))
    who = await desk.identity.principal(body["user"], team=body["team"])
    if named is None:
        return stale()
    if isinstance(who, NotRecognised):
        return sentence(who.sentence)
    approval_id, action = named
    try:
        ask = await asking.ask(desk.database, desk.objects, desk.tenant, approval_id)
    except ArtifactCorrupt as error:
        await lay_down(desk, approval_id, error)
        return sentence(f"{UNREADABLE}: {error.user_text}")
    except BanksmanError as error:
        log.error("an action cannot be read: %s", error, extra={"action": "ask_unreadable", "approval": approval_id})
        return sentence(f"{UNREADABLE}: {error.user_text}")
    if ask is None:
        return stale()
    if (refusal := await may_not(office, ask, who) or await _not_seen(office, ask, body, who)) is not None:
        return refusal
    await _remember(office, body["user"], who)
    ballot = Ballot(
        approval_id=approval_id,
        decision="approve" if body["decision"] == "approve" else "deny",
        by=who,
        action=action,
        seen_digest=ask.box.digest,
        received_ms=row.received_at,
        reason=str(body.get("reason") or ""),
        inbox_key=row.dedupe_key,
    )
    opened = await freezes.open_ones(desk.database, desk.tenant)
    decided = partial(
        decide, ballot=ballot, policy_digest=desk.policy_digest, now_ms=desk.clock.wall_ms(), freezes=opened
    )
    return await _carried_out(office, Target(approval_id=approval_id), decided)


async def take_vote_back(office: Office, row: InboxRow) -> Message:
    """Take the clicker's vote back, while the call has not started."""
    named = read_ballot(str(row.body["value"]))
    if named is None:
        return stale()
    return await _by_person(
        office,
        row,
        Target(approval_id=named[0]),
        lambda who, now: partial(take_back, approval_id=named[0], by=who, now_ms=now),
    )


async def again(office: Office, row: InboxRow) -> Message:
    """Let a parked run ask again."""
    run_id = str(row.body["value"])
    return await _by_person(
        office, row, Target(run_id=run_id), lambda who, now: partial(ask_again, run_id=run_id, by=who, now_ms=now)
    )


async def have_continued(office: Office, row: InboxRow) -> Message:
    """Let a run that goes round in circles go on for as many steps as the button says."""
    run_id, _, steps = str(row.body["value"]).partition(":")
    if not steps.isdecimal():
        return stale()

    def command(who: Principal, now_ms: int) -> Decide:
        return partial(continue_for, run_id=run_id, by=who, steps=int(steps), now_ms=now_ms)

    return await _by_person(office, row, Target(run_id=run_id), command)


async def fund_run(office: Office, row: InboxRow) -> Message:
    """Let a run spend as much again as it may, or use as much again of what else the button names."""
    run_id, _, shown = str(row.body["value"]).partition(":")
    seen, _, named = shown.partition(":")
    unit = next((each for each in UNITS if each == (named or "money")), None)
    approvers = office.desk.policy.approvers
    if not seen.isdecimal() or unit is None:
        return stale()

    def command(who: Principal, now_ms: int) -> Decide:
        return partial(
            allow_more,
            run_id=run_id,
            by=who,
            approvers=approvers,
            unit=unit,
            add=None,
            seen=int(seen),
            now_ms=now_ms,
        )

    return await _by_person(office, row, Target(run_id=run_id), command)


async def have_wrapped_up(office: Office, row: InboxRow) -> Message:
    """Have a run finish with what it has."""
    run_id, policy = str(row.body["value"]), office.desk.policy

    def command(who: Principal, now_ms: int) -> Decide:
        return partial(wrap_up, run_id=run_id, by=who, policy=policy, now_ms=now_ms)

    return await _by_person(office, row, Target(run_id=run_id), command)


async def settle(office: Office, row: InboxRow) -> Message:
    """Record what somebody found out about a call of unknown outcome."""
    run_id, _, call_id = str(row.body["value"]).partition(":")
    ran = row.kind == "click.ran"

    def command(who: Principal, now_ms: int) -> Decide:
        return partial(resolve, run_id=run_id, call_id=call_id, by=who, ran=ran, now_ms=now_ms)

    return await _by_person(office, row, Target(run_id=run_id), command)


async def have_rolled_back(office: Office, row: InboxRow) -> Message:
    """Create the run that undoes what another one did."""
    run_id, desk = str(row.body["value"]), office.desk
    limits = Limits(desk.config.limits.steps, desk.config.limits.run_time_ms)

    def command(who: Principal, now_ms: int) -> Decide:
        asked = Asked(run_id, who, "", desk.policy, limits, undoings(desk.config.uses))
        return partial(roll_back, asked=asked, child_id=desk.ids.run(), salt=desk.ids.salt(), now_ms=now_ms)

    return await _by_person(office, row, Target(run_id=run_id), command)


async def take_answer(office: Office, row: InboxRow) -> Message:
    """Give a run the answer it waits for."""
    run_id, call_id = str(row.body["run"]), str(row.body["value"])
    given: Mapping[str, Any] = row.body["given"]

    def command(who: Principal, now_ms: int) -> Decide:
        return partial(answer, call_id=call_id, by=who, given=given, now_ms=now_ms)

    return await _by_person(office, row, Target(run_id=run_id), command)


async def refresh_standings(office: Office) -> int:
    """Ask Slack again about voters whose approvals wait to be used: the worker trusts nothing old, and cannot ask."""
    desk = office.desk
    before_ms = desk.clock.wall_ms() - STANDING_AGE_MS
    waiting = await people.waiting_voters(desk.database, desk.tenant, before_ms=before_ms)
    for principal in waiting:
        user = desk.known.get(principal) or principal.rpartition("/")[2]
        who = await desk.identity.principal(user)
        if isinstance(who, NotRecognised) or who.id != principal:
            # Nobody is that person any more, or Slack cannot say; either way the vote does not count.
            now_ms = desk.clock.wall_ms()
            await desk.database.journal.record([people.known(desk.tenant, principal, (), usable=False, now_ms=now_ms)])
        else:
            await _remember(office, user, who)
    return len(waiting)


async def may_not(office: Office, ask: AskView, who: Principal) -> Message | None:
    """Why this person may not decide, before anything else is said; it is checked again where it counts."""
    found = await runs.snapshot(office.desk.database, office.desk.tenant, ask.approval.run_id)
    refusal = why_not(
        who,
        approvers=ask.approval.approvers,
        requester=ask.requester,
        authors=() if found is None else found.run.authors,
        self_ok=ask.approval.self_ok,
    )
    return None if refusal is None else sentence(refusal)


async def _not_seen(office: Office, ask: AskView, body: Mapping[str, Any], who: Principal) -> Message | None:
    """Why this click cannot be a decision on the action: another message, another text, or pages nobody opened."""
    desk, approval = office.desk, ask.approval
    if approval.status != "pending" or approval.parked_ms is not None:
        return None  # who was first, why it is closed or who froze it is said where votes are counted
    if body.get("view"):
        if body["decision"] == "deny":
            return None
        if body.get("seen") != ask.box.digest:
            return stale()
        read = await approvals.pages_read(desk.database, desk.tenant, approval.id, who.id)
        if missing := [page for page in range(1, page_count(ask) + 1) if page not in read]:
            return sentence(f"Open every page before you approve; page {missing[0]} was not opened.")
        return None
    if not await _is_card(office, approval.id, body["channel"], body["ts"]):
        return stale()
    if length(ask.box.text) > MAX_INLINE:
        return sentence("This action is too long for a card. Open it with Details and approve on its last page.")
    return None


async def _is_card(office: Office, approval_id: str, channel: str, ts: str) -> bool:
    """Whether a message is a card of this question; one that was posted a moment ago may not be noted yet."""
    desk = office.desk
    for _ in range(_CARD_LOOKS):
        cards = await approvals.messages(desk.database, desk.tenant, approval_id)
        if any(card["channel"] == channel and card["ts"] == ts for card in cards):
            return True
        await asyncio.sleep(_CARD_PAUSE_S)
    return False


async def _remember(office: Office, user: str, who: Principal) -> None:
    desk = office.desk
    row = people.known(desk.tenant, who.id, who.roles, usable=not who.external, now_ms=desk.clock.wall_ms())
    await desk.database.journal.record([row])


async def _by_person(office: Office, row: InboxRow, target: Target, command: Any) -> Message:
    desk = office.desk
    who = await desk.identity.principal(row.body["user"], team=row.body["team"])
    if isinstance(who, NotRecognised):
        return sentence(who.sentence)
    return await _carried_out(office, target, command(who, desk.clock.wall_ms()))


async def _carried_out(office: Office, target: Target, command: Decide) -> Message:
    desk = office.desk
    done = await desk.database.journal.command(desk.tenant, target, command)
    if isinstance(done, Refusal):
        return sentence(done.text)
    crashpoint("CP12")
    office.wake_delivery.set()
    _ring(office, done)
    return sentence(done.text)


def _ring(office: Office, done: Decided) -> None:
    for change in done.changes:
        if "wake" in change.run:
            office.later(office.desk.doorbell.ring(change.run_id, change.run["wake"]))
