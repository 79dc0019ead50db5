"""Everything the bot works with, in one value that listeners, intake and delivery are handed."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from bot.blocks.lists import AgentLine
from bot.groups import Groups
from bot.identity import Identity, TenantCheck
from bot.slack import Me, SlackClient
from core.actions.policy import Policy, parse
from core.artifacts import ObjectStore
from core.clock import Clock
from core.config.live import LiveConfig
from core.config.load import Config
from core.ids import Ids
from core.planners.compile import compile_playbooks
from core.planners.definition import Playbook
from core.queue import Doorbell
from core.runs.commands.request import Pinned
from core.store.session import Database


@dataclass(frozen=True)
class Desk:
    """One team's bot."""

    tenant: str
    database: Database
    slack: SlackClient
    me: Me
    identity: Identity
    groups: Groups
    check: TenantCheck
    live: LiveConfig
    objects: ObjectStore
    doorbell: Doorbell
    clock: Clock
    ids: Ids

    @property
    def config(self) -> Config:
        """The operator's file as it holds now."""
        return self.live.current

    @property
    def playbooks(self) -> Mapping[str, Playbook]:
        """What the file's playbooks say, understood."""
        return _compiled(self.config)

    @property
    def policy(self) -> Policy:
        """The operator's rules as they hold now."""
        return _parsed(self.config.policy_text)

    @property
    def policy_digest(self) -> str:
        """Of the policy that holds now."""
        return Pinned("policy", self.config.policy_text).digest

    @property
    def known(self) -> Mapping[str, str | None]:
        """The Slack user of each person the operator names, in our team."""
        team = f"{self.me.team}/"
        return {
            name: next((user.removeprefix(team) for user in person.slack if user.startswith(team)), None)
            for name, person in self.config.principals.items()
        }

    @property
    def agents(self) -> list[AgentLine]:
        """What people may ask for."""
        return [
            AgentLine(playbook.name, playbook.description or playbook.title) for playbook in self.playbooks.values()
        ]


_parsed = lru_cache(maxsize=2)(parse)

_compiled_last: tuple[str, Mapping[str, Playbook]] = ("", {})


def _compiled(config: Config) -> Mapping[str, Playbook]:
    global _compiled_last
    if _compiled_last[0] != config.digest:
        _compiled_last = (config.digest, compile_playbooks(config.playbooks.values()))
    return _compiled_last[1]
