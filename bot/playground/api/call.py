"""One call of a Web API method: its arguments, read as Slack reads them, and the ways to say no."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from bot.playground.blockkit import BlocksTooLong, InvalidBlocks, check_blocks
from bot.playground.guard import parse_json
from bot.playground.ids import is_ts
from bot.playground.records import Channel, Json, Message, User
from bot.playground.services import Services


class ApiError(Exception):
    """`ok: false` with this error name and these further fields."""

    def __init__(self, error: str, **extra: Any) -> None:
        super().__init__(error)
        self.error = error
        self.extra = extra


def invalid_arguments(*problems: str) -> ApiError:
    """`invalid_arguments`, with Slack's explanations."""
    return ApiError("invalid_arguments", response_metadata={"messages": [f"[ERROR] {one}" for one in problems]})


@dataclass(frozen=True)
class Call:
    """The arguments of one call; look-ups raise `ApiError` with Slack's names."""

    services: Services
    method: str
    args: Json
    base_url: str
    warnings: list[str] = field(default_factory=list)

    @property
    def bot(self) -> str:
        return self.services.team.bot_user_id

    def text(self, name: str) -> str | None:
        """An argument as text; numbers and booleans are written out, as a form would have them."""
        value = self.args.get(name)
        if value is None:
            return None
        if isinstance(value, str):
            return value
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            return str(value)
        raise invalid_arguments(f"must provide a string [json-pointer:/{name}]")

    def needed(self, name: str) -> str:
        value = self.text(name)
        if not value:
            raise invalid_arguments(f"missing required field: {name}")
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = self.text(name)
        return default if value is None else value.lower() in ("1", "true")

    def number(self, name: str, *, default: int, least: int = 1, most: int = 1000) -> int:
        value = self.text(name)
        if value is None or value == "":
            return default
        try:
            number = int(value)
        except ValueError:
            raise invalid_arguments(f"must be an integer [json-pointer:/{name}]") from None
        if name == "limit" and not least <= number <= most:
            raise ApiError("invalid_limit")
        if number < least:
            raise invalid_arguments(f"must be greater than {least - 1} [json-pointer:/{name}]")
        return min(number, most)

    def moment(self, name: str, *, default: float) -> float:
        """A point in time as Unix seconds."""
        value = self.text(name)
        try:
            return float(value) if value else default
        except ValueError:
            raise invalid_arguments(f"must be a timestamp [json-pointer:/{name}]") from None

    def ts(self, name: str) -> str | None:
        value = self.text(name)
        if not value:
            return None
        if not is_ts(value):
            raise ApiError(f"invalid_{name}" if name in ("thread_ts", "ts") else f"invalid_ts_{name}")
        return value

    def listing(self, name: str) -> list[str]:
        """A list given as an array or as a comma-separated text."""
        value = self.args.get(name)
        if isinstance(value, list):
            return [str(one) for one in value]
        return [one.strip() for one in (self.text(name) or "").split(",") if one.strip()]

    def json(self, name: str, *, error: str) -> Any:
        """A structured argument: JSON in a form field, or the thing itself in a JSON body."""
        value = self.args.get(name)
        if isinstance(value, str):
            if not value.strip():
                return None
            try:
                return parse_json(value)
            except ValueError:
                raise ApiError(error) from None
        return value

    def channel(self, name: str = "channel") -> Channel:
        """A conversation by id, as most methods want it."""
        channel = self.services.team.channels.get(self.needed(name))
        if channel is None or not self._sees(channel):
            raise ApiError("channel_not_found")
        return channel

    def _sees(self, channel: Channel) -> bool:
        return channel.kind == "channel" or self.bot in channel.members

    def readable_channel(self) -> Channel:
        """A conversation whose messages the bot may read: it is a member and the scope is granted."""
        channel = self.channel()
        self.require_scope(f"{channel.scope_family}:history")
        if self.bot not in channel.members:
            raise ApiError("not_in_channel")
        return channel

    def require_scope(self, *any_of: str) -> None:
        granted = self.services.settings.scopes
        if not any(scope in granted for scope in any_of):
            raise ApiError("missing_scope", needed=",".join(any_of), provided=",".join(granted))

    def user(self, name: str = "user") -> User:
        user = self.services.team.users.get(self.needed(name))
        if user is None:
            raise ApiError("user_not_found")
        return user

    def message(self, channel: Channel, ts: str | None) -> Message:
        """A message that is really there; private ones and tombstones are not."""
        found = self.services.team.message(channel.id, ts) if ts else None
        if found is None or found.ephemeral_to is not None or found.subtype == "tombstone":
            raise ApiError("message_not_found")
        return found

    def blocks(self) -> list[Json] | None:
        """Checked blocks with ids; `None` when the argument was not given."""
        raw = self.json("blocks", error="invalid_blocks_format")
        if raw is None:
            return None
        if not isinstance(raw, list):
            raise ApiError("invalid_blocks_format")
        try:
            return check_blocks(raw, self.services.file_known())
        except InvalidBlocks as problem:
            raise ApiError(
                "invalid_blocks",
                errors=problem.problems,
                response_metadata={"messages": [f"[ERROR] {one}" for one in problem.problems]},
            ) from None
        except BlocksTooLong:
            raise ApiError("msg_blocks_too_long") from None

    def metadata(self) -> Json | None:
        """Message metadata, checked; an empty object removes it; `None` when not given."""
        raw = self.json("metadata", error="invalid_metadata_format")
        if raw is None:
            return None
        if raw == {}:
            return {}
        if not isinstance(raw, dict) or not isinstance(raw.get("event_type"), str) or not raw["event_type"]:
            raise ApiError("invalid_metadata_format")
        if not isinstance(raw.get("event_payload"), dict) or set(raw) - {"event_type", "event_payload", "entities"}:
            raise ApiError("invalid_metadata_schema")
        if len(json.dumps(raw).encode()) > 8000:
            raise ApiError("metadata_too_large")
        return raw


@dataclass(frozen=True)
class Method:
    """One method of the Web API."""

    name: str
    handler: Callable[[Call], Awaitable[Json]]
    scopes: tuple[str, ...] = ()
    """One of these is needed; empty means none is."""
    tier: int = 3
    app_level: bool = False
    """Called with the app's own token instead of the bot's."""


class Family:
    """The methods one file offers; `@family.method("chat.delete", scopes=("chat:write",))`."""

    def __init__(self) -> None:
        self.methods: dict[str, Method] = {}

    def method(
        self, name: str, *, scopes: tuple[str, ...] = (), tier: int = 3, app_level: bool = False
    ) -> Callable[[Callable[[Call], Awaitable[Json]]], Callable[[Call], Awaitable[Json]]]:
        def register(handler: Callable[[Call], Awaitable[Json]]) -> Callable[[Call], Awaitable[Json]]:
            self.methods[name] = Method(name, handler, scopes, tier, app_level)
            return handler

        return register
