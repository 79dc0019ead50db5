"""The buttons of replies: whether one is taken up, and the form that tells a run more."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from bot.blocks.refusals import stale
from bot.blocks.replies import read_steer, steer_modal
from bot.listeners.block_actions import Click, now_or_never
from bot.listeners.decisions import from_view, metadata, placed, view_key
from bot.listeners.guard import Listener
from bot.listeners.stored import take
from bot.office import Office
from core.runs import reading
from core.runs.commands.steer import is_stuck
from core.store import runs


def on_steer(office: Office) -> Listener:
    """Open the form that tells a run more."""

    async def show(click: Click) -> None:
        desk = office.desk
        found = await runs.snapshot(desk.database, desk.tenant, click.value)
        view = await reading.view(desk.database, desk.tenant, click.value)
        if found is None or view is None or not is_stuck(found.run):
            await office.tell(click.channel, click.user, stale(), thread_ts=click.thread_ts)
            return
        form = placed(steer_modal(view), click.channel, click.thread_ts)
        await office.show(click.trigger_id, form, channel=click.channel, user=click.user)

    return now_or_never(office, show)


def on_steered(office: Office) -> Listener:
    """Store what a run is told; what does not fit is said in the form."""

    async def handle(ack: Callable[..., Awaitable[None]], body: Mapping[str, Any]) -> None:
        view = body["view"]
        text, errors = read_steer(view)
        if errors:
            await ack(response_action="errors", errors=errors)
            return
        asked = from_view(body) | {"run": str(metadata(view).get("run") or ""), "text": text}
        await take(office, "view.steer", view_key(view), asked)
        await ack()

    return handle
