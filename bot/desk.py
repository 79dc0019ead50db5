"""Everything the bot works with, in one value that listeners, intake and delivery are handed."""

from collections.abc import Mapping
from dataclasses import dataclass

from bot.blocks.lists import AgentLine
from bot.identity import Identity, TenantCheck
from bot.slack import Me, SlackClient
from core.artifacts import ObjectStore
from core.clock import Clock
from core.config.load import Config
from core.ids import Ids
from core.planners.definition import Playbook
from core.queue import Doorbell
from core.store.session import Database


@dataclass(frozen=True)
class Desk:
    """One team's bot."""

    tenant: str
    database: Database
    slack: SlackClient
    me: Me
    identity: Identity
    check: TenantCheck
    config: Config
    playbooks: Mapping[str, Playbook]
    objects: ObjectStore
    doorbell: Doorbell
    clock: Clock
    ids: Ids

    @property
    def agents(self) -> list[AgentLine]:
        """What people may ask for."""
        return [
            AgentLine(playbook.name, playbook.description or playbook.title) for playbook in self.playbooks.values()
        ]
