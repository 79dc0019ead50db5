"""Clicks and forms that decide something: stored before they are acknowledged, carried out after.

Opening a form or turning a page is now or never; what was opened is written down, because only who has opened every
page of a long action can approve it.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from bot.blocks.approval_card import ballot_value, read_ballot
from bot.blocks.approval_pages import approval_pages
from bot.blocks.deny import deny_modal, read_reason
from bot.blocks.questions import question_modal, read_answers
from bot.blocks.refusals import sentence, stale
from bot.damage import lay_down
from bot.deciding import UNREADABLE, may_not
from bot.listeners.block_actions import Click, click_in, now_or_never
from bot.listeners.guard import Listener
from bot.listeners.stored import take
from bot.office import Office
from core.config.people import NotRecognised
from core.errors import ArtifactCorrupt
from core.principals import Principal
from core.runs import asking, reading
from core.runs.approval_views import AskView, QuestionView
from core.store import approvals, runs


def on_click(office: Office, kind: str, **more: str) -> Listener:
    """Store a click that decides something."""

    async def handle(ack: Callable[[], Awaitable[None]], body: Mapping[str, Any]) -> None:
        click = click_in(body)
        if click is not None:
            asked = _asked(click) | more
            await take(office, kind, click.key, asked)
        await ack()

    return handle


def on_details(office: Office) -> Listener:
    """Open the whole action."""
    return now_or_never(office, lambda click: _open(office, click, 1))


def on_turn(office: Office, by: int) -> Listener:
    """Turn a page of the whole action."""
    return now_or_never(office, lambda click: _turn(office, click, by))


def on_deny(office: Office) -> Listener:
    """Ask for the reason of a denial."""

    async def show(click: Click) -> None:
        ask = await _ask(office, click)
        if ask is not None:
            form = placed(deny_modal(ask.approval), click.channel, click.thread_ts)
            await office.show(click.trigger_id, form, channel=click.channel, user=click.user)

    return now_or_never(office, show)


def on_answer(office: Office) -> Listener:
    """Open the form for a run's question."""

    async def show(click: Click) -> None:
        question = await _question(office, click.value)
        if question is None:
            await office.tell(click.channel, click.user, stale(), thread_ts=click.thread_ts)
            return
        form = placed(question_modal(question), click.channel, click.thread_ts)
        await office.show(click.trigger_id, form, channel=click.channel, user=click.user)

    return now_or_never(office, show)


def on_pages(office: Office) -> Listener:
    """Store an approval given on the last page."""

    async def handle(ack: Callable[[], Awaitable[None]], body: Mapping[str, Any]) -> None:
        view = body["view"]
        held = metadata(view)
        value = f"{held.get('approval', '')}:{held.get('action', '')}"
        asked = from_view(body) | {"value": value, "decision": "approve", "seen": held.get("seen")}
        await take(office, "click.vote", view_key(view), asked)
        await ack()

    return handle


def on_denied(office: Office) -> Listener:
    """Store a denial with its reason; without one the form stays open."""

    async def handle(ack: Callable[..., Awaitable[None]], body: Mapping[str, Any]) -> None:
        view = body["view"]
        reason, errors = read_reason(view)
        if errors:
            await ack(response_action="errors", errors=errors)
            return
        held = metadata(view)
        value = f"{held.get('approval', '')}:{held.get('action', '')}"
        asked = from_view(body) | {"value": value, "decision": "deny", "reason": reason}
        await take(office, "click.vote", view_key(view), asked)
        await ack()

    return handle


def on_answered(office: Office) -> Listener:
    """Store an answer; what does not fit is said in the form."""

    async def handle(ack: Callable[..., Awaitable[None]], body: Mapping[str, Any]) -> None:
        view = body["view"]
        held = metadata(view)
        question = await _question(office, str(held.get("call") or ""))
        if question is None:
            office.later(office.tell(None, str(body["user"]["id"]), stale()))
            await ack()
            return
        given, errors = read_answers(view, question)
        if errors:
            await ack(response_action="errors", errors=errors)
            return
        asked = from_view(body) | {"value": question.call_id, "run": question.run_id, "given": given}
        await take(office, "view.answer", view_key(view), asked)
        await ack()

    return handle


def _asked(click: Click) -> dict[str, Any]:
    return {
        "user": click.user,
        "team": click.team,
        "channel": click.channel,
        "ts": click.ts,
        "thread_ts": click.thread_ts,
        "value": click.value,
        "in_home": click.channel is None,
    }


def from_view(body: Mapping[str, Any]) -> dict[str, Any]:
    user, held = body["user"], metadata(body["view"])
    where = {"channel": held.get("channel"), "thread_ts": held.get("thread_ts")}
    return {"user": str(user["id"]), "team": user.get("team_id"), "view": True, **where}


def placed(view: dict[str, Any], channel: str | None, thread_ts: str | None) -> dict[str, Any]:
    """Let a form remember where it was opened, so that what comes of it is said there."""
    held = {**metadata(view), "channel": channel, "thread_ts": thread_ts}
    return {**view, "private_metadata": json.dumps(held)}


def view_key(view: Mapping[str, Any]) -> str:
    return f"view:{view['id']}:{view.get('hash', '')}"


def metadata(view: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        found = json.loads(view.get("private_metadata") or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


async def _open(office: Office, click: Click, page: int) -> None:
    ask = await _ask(office, click)
    if ask is None:
        return
    who = await office.desk.identity.principal(click.user, team=click.team)
    view = placed(await _page(office, ask, page, who), click.channel, click.thread_ts)
    await office.show(click.trigger_id, view, channel=click.channel, user=click.user)


async def _turn(office: Office, click: Click, by: int) -> None:
    ask = await _ask(office, click)
    if ask is None or click.view is None:
        return
    held = metadata(click.view)
    who = await office.desk.identity.principal(click.user, team=click.team)
    view = await _page(office, ask, int(held.get("page") or 1) + by, who)
    view = placed(view, held.get("channel"), held.get("thread_ts"))
    await office.desk.slack.update_view(str(click.view["id"]), view, hash_=click.view.get("hash"))


async def _page(office: Office, ask: AskView, page: int, who: Principal | NotRecognised) -> dict[str, Any]:
    """Draw a page, and write down that it was opened by somebody who may decide."""
    desk, may = office.desk, False
    if isinstance(who, Principal):
        may = await may_not(office, ask, who) is None
        if may:
            row = approvals.page_read(desk.tenant, ask.approval.id, who.id, page, now_ms=desk.clock.wall_ms())
            await desk.database.journal.record([row])
    return approval_pages(ask, page, may_decide=may, known=desk.known, now_ms=desk.clock.wall_ms())


async def _ask(office: Office, click: Click) -> AskView | None:
    """The question a button is about; says privately when there is none."""
    named = read_ballot(click.value)
    desk = office.desk
    try:
        ask = None if named is None else await asking.ask(desk.database, desk.objects, desk.tenant, named[0])
    except ArtifactCorrupt as error:
        assert named is not None
        await lay_down(desk, named[0], error)
        said = sentence(f"{UNREADABLE}: {error.user_text}")
        await office.tell(click.channel, click.user, said, thread_ts=click.thread_ts)
        return None
    if ask is None or ballot_value(ask.approval) != click.value:
        await office.tell(click.channel, click.user, stale(), thread_ts=click.thread_ts)
        return None
    return ask


async def _question(office: Office, call_id: str) -> QuestionView | None:
    desk = office.desk
    run_id = await runs.run_of_call(desk.database, desk.tenant, call_id)
    view = None if run_id is None else await reading.view(desk.database, desk.tenant, run_id)
    if view is None or view.question is None or view.question.call_id != call_id:
        return None
    return view.question
