"""What a bot says about itself: the loops it lives by, and what it needs to hear Slack and to speak."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from bot.delivery.duty import Duty
from bot.wiring import Bot
from core.ops.health import OK, Finding, Health, works
from core.ops.redis import doorbell_check
from core.periodic import Pulse
from core.store.standing import database_check

_STORED_WITHIN_S = 15.0


@dataclass(frozen=True)
class Pulses:
    """The loops of a bot; each may take as long as its slowest honest pass, and then some."""

    delivery: Pulse = field(default_factory=lambda: Pulse("delivery", 60.0))
    catch_up: Pulse = field(default_factory=lambda: Pulse("catch-up", 120.0))
    sweeper: Pulse = field(default_factory=lambda: Pulse("sweeper", 300.0))

    @property
    def all(self) -> tuple[Pulse, ...]:
        return self.delivery, self.catch_up, self.sweeper


def health_of(
    bot: Bot,
    duty: Duty,
    pulses: Pulses,
    *,
    is_reached: Callable[[], Awaitable[bool]],
    is_stopping: Callable[[], bool],
) -> Health:
    """The checks and facts of a bot.

    Args:
        is_reached: Whether what Slack sends gets here.
    """

    async def slack() -> Finding:
        return OK if await is_reached() else Finding("failed", "what Slack sends does not reach this bot")

    return Health(
        part="bot",
        checks={
            "database": database_check(bot.office.desk.database),
            # Each pass asks who speaks by a write, so it also tells whether anything can be stored.
            "storing": works(
                lambda: pulses.catch_up.good_s_ago < _STORED_WITHIN_S,
                f"no write has succeeded for {_STORED_WITHIN_S:.0f} s",
            ),
            "slack": slack,
            "token": works(
                lambda: not duty.is_silent, "Slack refuses the token, or could not be asked about it; nothing is sent"
            ),
            "serving": works(lambda: not is_stopping(), "it was told to stop"),
            "redis": doorbell_check(bot.redis_url),
        },
        pulses=pulses.all,
        facts=lambda: {"speaks": "yes" if duty.holds else "no, another bot does"},
    )
