"""Deliveries to the app: events with Slack's retries, interactions with Slack's single try.

Over Socket Mode, or over signed HTTP when a request URL is configured. What is in a payload is `events.py` and
`interactions.py`.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from bot.playground import events
from bot.playground.faults import Faults
from bot.playground.settings import Settings
from bot.playground.socket import Ack, SocketMode
from bot.playground.state import Team
from bot.playground.webhook import Webhook

Json = dict[str, Any]
log = logging.getLogger(__name__)

_WITH_ANSWER = frozenset({"view_submission", "block_suggestion"})
"""Interactions whose acknowledgement may carry an answer."""


class Outbound:
    """Sends everything the app is told."""

    def __init__(self, settings: Settings, team: Team, socket: SocketMode, faults: Faults) -> None:
        self._settings = settings
        self._team = team
        self._socket = socket
        self._faults = faults
        self._webhook: Webhook | None = None
        if settings.http_url is not None:
            self._webhook = Webhook(settings.http_url, settings.signing_secret, settings.verification_token)
        self._tasks: set[asyncio.Task[None]] = set()
        self.is_revoked = False
        """A revoked token also ends events and interactions."""

    def event(self, event: Json) -> None:
        """Tell the app an event, if it subscribed to it and may know; returns at once."""
        name, scopes = events.subscription(self._team, event)
        if self.is_revoked or name not in self._settings.events:
            return
        if scopes and not any(scope in self._settings.scopes for scope in scopes):
            return
        payload = events.wrap(self._team, event, self._settings.verification_token)
        copies = 1
        duplicate = self._faults.strike("duplicate", delivery="events_api", event=str(event["type"]))
        if duplicate is not None:
            copies += duplicate.copies
        for _ in range(copies):
            self.spawn(self._deliver_event(payload))

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something in the background that `close` ends."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver_event(self, payload: Json) -> None:
        name = str(payload["event"]["type"])
        delay = self._faults.strike("delay", delivery="events_api", event=name)
        if delay is not None:
            await asyncio.sleep(delay.seconds)
        reason = ""
        for number, wait_s in enumerate((0.0, *self._settings.retry_delays_s)):
            if number:
                await asyncio.sleep(wait_s)
            retry = (number, reason) if number else None
            outcome = await self._send("events_api", payload, retry=retry)
            if isinstance(outcome, Ack):
                if self._faults.strike("lose_ack", delivery="events_api", event=name) is None:
                    return
                outcome = "timeout" if self._webhook is None else "http_timeout"
            if outcome == "no_retry":
                return
            reason = "timeout" if outcome == "no_connection" else outcome
        log.warning("an event was given up: %s", reason, extra={"action": "event_lost", "event": name})

    async def interaction(self, payload: Json) -> Ack | str:
        """Hand over a click, a submission or a shortcut; one try.

        Returns:
            The acknowledgement, or the reason why there is none.
        """
        return await self._once("interactive", payload)

    async def command(self, payload: Json) -> Ack | str:
        """Hand over a slash command; one try."""
        return await self._once("slash_commands", payload)

    async def _once(self, kind: str, payload: Json) -> Ack | str:
        if self.is_revoked:
            return "token_revoked"
        delay = self._faults.strike("delay", delivery=kind)
        if delay is not None:
            await asyncio.sleep(delay.seconds)
        duplicate = self._faults.strike("duplicate", delivery=kind)
        if duplicate is not None:
            for _ in range(duplicate.copies):
                self.spawn(self._repeat(kind, payload))
        outcome = await self._send(kind, payload)
        if isinstance(outcome, Ack) and self._faults.strike("lose_ack", delivery=kind) is not None:
            return "timeout"
        return outcome

    async def _repeat(self, kind: str, payload: Json) -> None:
        await self._send(kind, payload)

    async def _send(self, kind: str, payload: Json, *, retry: tuple[int, str] | None = None) -> Ack | str:
        deadline_s = self._settings.ack_deadline_s
        if self._webhook is not None:
            return await self._webhook.deliver(kind, payload, deadline_s=deadline_s, retry=retry)
        accepts = kind == "slash_commands" or payload.get("type") in _WITH_ANSWER
        return await self._socket.deliver(kind, payload, deadline_s=deadline_s, accepts_response=accepts, retry=retry)

    async def close(self) -> None:
        """Give up what is still under way; the server is stopping."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._webhook is not None:
            await self._webhook.close()
