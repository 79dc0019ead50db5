"""Keeping an eye on contracts of channels: first ones are taken as accepted, wider ones are said in the log."""

import logging

from bot.desk import Desk
from core.actions.agreed import all_waits
from core.config.load import Config
from core.runs import agreeing

log = logging.getLogger(__name__)


class ContractWatch:
    """Looks again whenever the operator's file has changed, and until what waits for an operator is accepted."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._seen: Config | None = None
        self._said: frozenset[str] = frozenset()

    async def tick(self) -> None:
        """Take first contracts as accepted; say once what an operator has to accept, and once that it is done."""
        desk, config = self._desk, self._desk.config
        if config is self._seen and not self._said:
            return
        now_ms = desk.clock.wall_ms()
        agreed = await agreeing.note_first(desk.database, desk.tenant, config.contracts, now_ms=now_ms)
        waiting = frozenset(all_waits(config.contracts, agreed))
        for sentence in sorted(waiting - self._said):
            log.warning("%s", sentence, extra={"action": "contract_waits"})
        if self._said and not waiting:
            log.info("every contract holds as the file has it", extra={"action": "contracts_hold"})
        self._seen, self._said = config, waiting
