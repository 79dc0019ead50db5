"""Clicks: stored before they are acknowledged, because Slack does not bring a click again.

A button carries an id and nothing else; what it means is looked up, and who clicked is Slack's word.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bot import forms
from bot.blocks.details import run_details
from bot.blocks.refusals import stale
from bot.listeners.guard import Listener
from bot.listeners.stored import take
from bot.office import Office
from core.runs import reading


@dataclass(frozen=True)
class Click:
    """One click on one of our buttons."""

    key: str
    user: str
    team: str | None
    """The clicker's own team."""
    channel: str | None
    """`None` in a home."""
    thread_ts: str | None
    """Where an answer belongs: the thread of the message with the button."""
    value: str
    trigger_id: str
    ts: str | None = None
    """The message with the button."""
    view: Mapping[str, Any] | None = None
    """The modal or home with the button."""


def click_in(body: Mapping[str, Any]) -> Click | None:
    """Parse a `block_actions` payload; `None` unless it is exactly one click on a button, or on an option of a menu."""
    actions = body.get("actions") or []
    if len(actions) != 1:
        return None
    action, user = actions[0], body["user"]
    value = (action.get("selected_option") or action).get("value")
    if not isinstance(value, str):
        return None
    container, message = body.get("container") or {}, body.get("message") or {}
    channel = (body.get("channel") or {}).get("id") or container.get("channel_id")
    ts = message.get("ts") or container.get("message_ts")
    team = (body.get("team") or {}).get("id")
    where = f"{team}:{user['id']}:{channel}:{ts}:{action.get('action_id')}:{action.get('action_ts')}"
    thread = message.get("thread_ts") or container.get("thread_ts")
    return Click(
        key=f"act:{where}",
        user=user["id"],
        team=user.get("team_id"),
        channel=channel,
        # A private message has no thread of its own to answer in.
        thread_ts=thread or (None if container.get("is_ephemeral") else ts),
        value=value,
        trigger_id=str(body.get("trigger_id") or ""),
        ts=ts,
        view=body.get("view"),
    )


def on_kill(office: Office) -> Listener:
    """Store the click on Kill; the stop follows."""

    async def handle(ack: Callable[[], Awaitable[None]], body: Mapping[str, Any]) -> None:
        click = click_in(body)
        if click is not None:
            asked = {
                "user": click.user,
                "team": click.team,
                "channel": click.channel,
                "thread_ts": click.thread_ts,
                "value": click.value,
                "in_home": click.channel is None,
            }
            await take(office, "click.kill", click.key, asked)
        await ack()

    return handle


def on_details(office: Office) -> Listener:
    """Answer the Details button: a modal, now or never."""
    return now_or_never(office, lambda click: _details(office, click))


def on_inputs(office: Office) -> Listener:
    """Answer the button that opens the form for missing inputs: now or never."""

    def open_form(click: Click) -> Awaitable[None]:
        return forms.open_form(
            office,
            click.value,
            user=click.user,
            trigger_id=click.trigger_id,
            channel=click.channel,
            thread_ts=click.thread_ts,
        )

    return now_or_never(office, open_form)


def now_or_never(office: Office, answer: Callable[[Click], Awaitable[None]]) -> Listener:
    """Acknowledge, then answer the click while its trigger lives; nothing is kept."""

    async def handle(ack: Callable[[], Awaitable[None]], body: Mapping[str, Any]) -> None:
        await ack()
        click = click_in(body)
        if click is not None:
            office.later(_awaited(answer(click)))

    return handle


async def _awaited(work: Awaitable[None]) -> None:
    await work


async def _details(office: Office, click: Click) -> None:
    desk = office.desk
    view = await reading.view(desk.database, desk.tenant, click.value)
    if view is None:
        await office.tell(click.channel, click.user, stale(), thread_ts=click.thread_ts)
        return
    events = await reading.log(desk.database, desk.tenant, view.id)
    shown = run_details(view, events, now_ms=desk.clock.wall_ms())
    await office.show(click.trigger_id, shown, channel=click.channel, user=click.user)
