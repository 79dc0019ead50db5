"""Trouble on request: what `POST /playground/faults` switches on, and where the server asks whether it is on.

A fault lives until it has struck `count` times (once unless said otherwise; `null` for ever) or until `clear`. Faults
that change the team (revoke a token, archive a channel, remove the bot) strike at once and are done in `control.py`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bot.playground.ids import new_id

Json = dict[str, Any]

API_KINDS = frozenset({"429", "500", "hang", "lose_reply", "refuse"})
DELIVERY_KINDS = frozenset({"duplicate", "delay", "lose_ack"})
INSTANT_KINDS = frozenset(
    {
        "drop_socket", "disconnect", "revoke_token", "restore_token", "archive_channel", "unarchive_channel",
        "remove_bot", "invite_bot", "clear", "expire_streams",
    }
)  # fmt: skip
OTHER_KINDS = frozenset({"reverse_mention", "lose_upload"})
KINDS = API_KINDS | DELIVERY_KINDS | INSTANT_KINDS | OTHER_KINDS

_ALIASES = {
    "drop": "drop_socket", "drop_the_socket": "drop_socket", "lose_the_reply": "lose_reply",
    "lose_an_upload": "lose_upload", "duplicate_delivery": "duplicate", "delay_delivery": "delay",
    "reverse": "reverse_mention", "reverse_order": "reverse_mention", "disconnect_warning": "disconnect",
    "ratelimited": "429", "rate_limit": "429", "revoke": "revoke_token", "archive": "archive_channel",
}  # fmt: skip

DELIVERIES = ("events_api", "interactive", "slash_commands")


class FaultError(ValueError):
    """The fault is not one we know, or its fields are wrong; the message says what to send."""


@dataclass
class Fault:
    """One standing fault; `method`, `channel`, `delivery` and `event` narrow what it strikes."""

    id: str
    kind: str
    count: int | None = 1
    method: str | None = None
    channel: str | None = None
    delivery: str | None = None
    event: str | None = None
    seconds: float = 0.0
    retry_after: int = 1
    copies: int = 1
    error: str = "unknown_method"
    """What a refused call is told."""


def kind_of(raw: object) -> str:
    """The canonical name of a fault kind.

    Raises:
        FaultError: It is none.
    """
    name = str(raw).strip().lower().replace(" ", "_").replace("-", "_")
    name = _ALIASES.get(name, name)
    if name not in KINDS:
        raise FaultError(f"{raw!r} is not a fault; kinds are {', '.join(sorted(KINDS))}")
    return name


class Faults:
    """The standing faults of one playground."""

    def __init__(self) -> None:
        self._standing: list[Fault] = []

    def add(self, kind: str, body: Mapping[str, Any]) -> Fault:
        """Put a fault up.

        Raises:
            FaultError: A field has the wrong type.
        """
        fault = Fault(new_id("Fa"), kind)
        # A hang or a delay without an end would be a bug of the test, so a length is asked for.
        if kind in ("hang", "delay") and "seconds" not in body:
            raise FaultError(f"a {kind} needs `seconds`")
        fields: dict[str, tuple[type, ...]] = {
            "count": (int, type(None)), "method": (str,), "channel": (str,), "delivery": (str,), "event": (str,),
            "seconds": (int, float), "retry_after": (int,), "copies": (int,), "error": (str,),
        }  # fmt: skip
        for key, value in body.items():
            if key in ("kind", "id"):
                continue
            if key not in fields:
                raise FaultError(f"a fault has no field {key!r}; fields are {', '.join(fields)}")
            if not isinstance(value, fields[key]) or isinstance(value, bool):
                raise FaultError(f"{key!r} of a fault cannot be {value!r}")
            setattr(fault, key, value)
        if fault.delivery is not None and fault.delivery not in DELIVERIES:
            raise FaultError(f"`delivery` is one of {', '.join(DELIVERIES)}")
        self._standing.append(fault)
        return fault

    def strike(
        self,
        kind: str,
        *,
        method: str | None = None,
        channel: str | None = None,
        delivery: str | None = None,
        event: str | None = None,
    ) -> Fault | None:
        """The fault of this kind that hits this occasion, counted down; `None` when all is well."""
        for fault in self._standing:
            if fault.kind != kind:
                continue
            occasions = (
                (fault.method, method),
                (fault.channel, channel),
                (fault.delivery, delivery),
                (fault.event, event),
            )
            if any(wanted is not None and wanted != given for wanted, given in occasions):
                continue
            # Slack never repeats clicks and commands, so neither does a fault that was not told to.
            if kind == "duplicate" and fault.delivery is None and delivery != "events_api":
                continue
            if fault.count is not None:
                fault.count -= 1
                if fault.count <= 0:
                    self._standing.remove(fault)
            return fault
        return None

    @property
    def by_channel(self) -> bool:
        """Whether any standing fault asks which channel an occasion is about."""
        return any(one.channel is not None for one in self._standing)

    def clear(self) -> None:
        self._standing.clear()

    def describe(self) -> list[Json]:
        return [asdict(one) for one in self._standing]
