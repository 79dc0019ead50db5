"""Which bot delivers, and whether Slack wants to hear from us at all.

One bot at a time sends rows, draws cards and picks up what was stored and lost, so that two of them during a deploy
never say anything twice. While Slack refuses our token nobody sends: it is asked once a minute, and each time it is
said as an error.
"""

import asyncio
import logging
from dataclasses import dataclass, field

from bot.desk import Desk
from bot.life import BotLife
from bot.slack_errors import SlackError, SlackRevoked
from core.store import outbox, workers

log = logging.getLogger(__name__)

LEAD_S = 10.0
_RENEW_S = 2.0
_ASK_WITHIN_S = 3.0
REFUSED_PAUSE_S = 60.0
"""How long nothing is sent before Slack is asked again whether it takes our token."""


@dataclass
class Duty:
    """One process' candidate for delivering."""

    desk: Desk
    owner: str
    life: BotLife | None = None
    """Tells whether another one that leads has died."""
    inherits: bool = False
    """Set when the lead was taken from one that died: what that one had in hand is nobody's now."""
    _renewed_at_s: float | None = None
    _silent_until_s: float | None = None
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def _name(self) -> str:
        return f"delivery:{self.desk.tenant}"

    async def leads(self) -> bool:
        """Take or keep the lead; `False` = another bot has it."""
        now_s = asyncio.get_running_loop().time()
        if self._renewed_at_s is not None and now_s - self._renewed_at_s < _RENEW_S:
            return True
        leads = await self._lead() or (await self._outlives_the_leader() and await self._lead())
        # The age counts from before the question, for the lease may have begun then.
        self._renewed_at_s = now_s if leads else None
        return leads

    async def _lead(self) -> bool:
        desk = self.desk
        return await workers.lead(
            desk.database, self._name, self.owner, boot_ms=desk.clock.boot_ms(), lease_ms=int(LEAD_S * 1000)
        )

    async def _outlives_the_leader(self) -> bool:
        """Whether the bot that leads is dead beyond doubt; then it leads nothing any more."""
        leader = await workers.leader(self.desk.database, self._name)
        if leader is None or self.life is None or not await asyncio.to_thread(self.life.has_died, leader):
            return False
        await workers.depose(self.desk.database, leader)
        log.warning("the bot that led is dead; this one goes on", extra={"action": "lead_taken", "from": leader})
        self.inherits = True
        return True

    async def give_up(self) -> None:
        """Let the next bot lead at once."""
        self._renewed_at_s = None
        try:
            await outbox.hand_over(self.desk.database, self._name, self.owner)
        except Exception:
            # It runs out by itself; going must not fail.
            log.exception("the lead was not handed over", extra={"action": "lead_kept"})

    @property
    def holds(self) -> bool:
        """Whether this is the bot that speaks, as far as it knew last."""
        return self._renewed_at_s is not None

    @property
    def is_silent(self) -> bool:
        """Whether nothing is sent, because Slack refuses our token or could not be asked about it."""
        return self._silent_until_s is not None

    async def may_speak(self) -> bool:
        """Whether Slack takes our token, as far as we know; asks it again when the pause is over."""
        if self._silent_until_s is None:
            return True
        if asyncio.get_running_loop().time() < self._silent_until_s:
            return False
        return not await self._still_refused()

    async def is_refused(self) -> bool:
        """After a call was refused for its token: whether that is true of every call, and so nobody may speak now."""
        async with self._asking:
            if self._silent_until_s is not None and asyncio.get_running_loop().time() < self._silent_until_s:
                return True
            return await self._still_refused()

    async def _still_refused(self) -> bool:
        now_s = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(_ASK_WITHIN_S):
                await self.desk.slack.scopes()
        except SlackRevoked as error:
            self._silent_until_s = now_s + REFUSED_PAUSE_S
            log.error("nothing is sent: %s", error.user_text, extra={"action": "token_refused"})
            return True
        except (SlackError, TimeoutError) as error:
            log.warning("Slack could not be asked about our token: %r", error, extra={"action": "token_unknown"})
            self._silent_until_s = now_s + min(REFUSED_PAUSE_S, LEAD_S)
            return True
        if self._silent_until_s is not None:
            log.warning("Slack takes our token again", extra={"action": "token_accepted"})
        self._silent_until_s = None
        return False
