"""Things Slack hands out for a short time: trigger ids, response URLs, Socket Mode tickets, upload URLs."""

import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from bot.playground.storage import Storage


@dataclass
class _Trigger:
    user: str
    view_id: str | None
    expires_at: float
    is_used: bool = False


class TriggerError(Exception):
    """A trigger id that opens nothing; `args[0]` is Slack's name for the reason."""


class Triggers:
    """Trigger ids: good for one view, for three seconds."""

    def __init__(self, ttl_s: float, team_id: str, now: Callable[[], float] = time.monotonic) -> None:
        self._ttl_s = ttl_s
        self._now = now
        self._number = str(sum(team_id.encode()) * 7919)
        self._live: dict[str, _Trigger] = {}

    def issue(self, user: str, view_id: str | None = None) -> str:
        """A trigger for this person; `view_id` is the view it came from, for `views.push`."""
        now = self._now()
        # Kept for a minute after it lapsed, so that it can still be told from one that never existed.
        self._live = {key: one for key, one in self._live.items() if one.expires_at + 60 > now}
        trigger = f"{secrets.randbelow(10**13)}.{self._number}.{secrets.token_hex(16)}"
        self._live[trigger] = _Trigger(user, view_id, now + self._ttl_s)
        return trigger

    def exchange(self, trigger: object) -> tuple[str, str | None]:
        """Spend a trigger.

        Returns:
            The person, and the view the trigger came from.

        Raises:
            TriggerError: `invalid_trigger_id`, `exchanged_trigger_id` or `expired_trigger_id`.
        """
        found = self._live.get(trigger) if isinstance(trigger, str) else None
        if found is None:
            raise TriggerError("invalid_trigger_id")
        if found.is_used:
            raise TriggerError("exchanged_trigger_id")
        if self._now() > found.expires_at:
            raise TriggerError("expired_trigger_id")
        found.is_used = True
        return found.user, found.view_id


@dataclass
class ResponseUrl:
    """Where an app may answer an interaction without a token."""

    key: str
    kind: str
    """`actions` or `commands`."""
    user: str
    channel: str
    message_ts: str | None
    thread_ts: str | None
    expires_at: float
    uses_left: int


class ResponseUrls:
    """Response URLs: five uses within thirty minutes, restarts included."""

    def __init__(self, storage: Storage, *, ttl_s: float, uses: int, now: Callable[[], float] = time.time) -> None:
        self._storage = storage
        self._ttl_s = ttl_s
        self._uses = uses
        self._now = now
        self._live = {one["key"]: ResponseUrl(**one) for one in storage.load("response_url")}

    def issue(self, kind: str, *, user: str, channel: str, message_ts: str | None, thread_ts: str | None) -> str:
        """The path of a new URL."""
        for old in [one for one in self._live.values() if one.expires_at + 3600 < self._now()]:
            del self._live[old.key]
            self._storage.drop("response_url", old.key)
        key = secrets.token_urlsafe(18)
        self._save(ResponseUrl(key, kind, user, channel, message_ts, thread_ts, self._now() + self._ttl_s, self._uses))
        return f"/{kind}/{key}"

    def use(self, kind: str, key: str) -> ResponseUrl | str:
        """Spend one use, or the name of the reason why not."""
        found = self._live.get(key)
        if found is None or found.kind != kind:
            return "invalid_url"
        if self._now() > found.expires_at:
            return "expired_url"
        if found.uses_left <= 0:
            return "used_url"
        found.uses_left -= 1
        self._save(found)
        return found

    def follow(self, url: ResponseUrl, ts: str) -> None:
        """Point the URL at another message; the original was replaced or the URL made its first one."""
        url.message_ts = ts
        self._save(url)

    def _save(self, one: ResponseUrl) -> None:
        self._live[one.key] = one
        body: dict[str, Any] = asdict(one)
        self._storage.put("response_url", one.key, body)


class OneTimeTickets:
    """Secrets that are good once: the query of a Socket Mode URL."""

    def __init__(self, ttl_s: float = 30.0, now: Callable[[], float] = time.monotonic) -> None:
        self._ttl_s = ttl_s
        self._now = now
        self._live: dict[str, float] = {}

    def issue(self) -> str:
        ticket = secrets.token_hex(16)
        self._live[ticket] = self._now() + self._ttl_s
        return ticket

    def spend(self, ticket: str) -> bool:
        return self._live.pop(ticket, 0.0) > self._now()
