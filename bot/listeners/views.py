"""Submitted forms."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from bot import forms
from bot.intake import Accepted, Stored
from bot.listeners.guard import Listener
from bot.listeners.stored import begin
from bot.office import Office


def on_inputs(office: Office) -> Listener:
    """Answer the form for missing inputs: errors stay in it, otherwise the run is stored before it closes."""

    async def handle(ack: Callable[..., Awaitable[None]], body: Mapping[str, Any]) -> None:
        filled = await forms.submit(office, body)
        if filled.errors is not None:
            await ack(response_action=filled.errors["response_action"], errors=filled.errors["errors"])
            return
        asked = filled.asked
        match filled.done:
            case Accepted(run_id) if asked is not None:
                office.accepted(run_id, asked.channel, asked.ts)
            case Stored(row):
                begin(office, row)
            case _:
                office.wake_delivery.set()
        if filled.said is not None:
            channel, thread = (None, None) if asked is None else (asked.channel, asked.root_ts)
            office.later(office.tell(channel, str(body["user"]["id"]), filled.said, thread_ts=thread))
        await ack()

    return handle
