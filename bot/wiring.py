"""Puts the bot together from the environment and the operator's file; the only place that knows every part."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bot.delivery.limits import Limits
from bot.desk import Desk
from bot.groups import Groups
from bot.http_wire import HttpMode
from bot.identity import Identity, TenantCheck
from bot.life import BotLife
from bot.office import Office
from bot.slack import open_slack
from bot.socket import SocketMode
from core.artifacts import FileStore
from core.clock import SystemClock, boot_id, host_name
from core.config.live import LiveConfig
from core.config.load import Config, load_config
from core.config.people import group_roles, principal_for_slack
from core.config.redaction import redactor_for
from core.config.settings import Settings
from core.crashpoints import crashpoint
from core.errors import ConfigError
from core.ids import TENANT, Ids
from core.ops.place import Place
from core.planners.compile import compile_playbooks
from core.queue import ArqDoorbell, Doorbell, SilentDoorbell
from core.runs.sweeper import Sweeper
from core.secrets import Redactor
from core.store import schema
from core.store.session import Database
from core.tools.catalogue import tool_names


@dataclass(frozen=True)
class Bot:
    """A bot ready to serve."""

    office: Office
    sweeper: Sweeper
    redactor: Redactor
    """What the process' logs have to pass."""
    ingress: SocketMode | HttpMode
    """How Slack reaches us."""
    redis_url: str | None
    life: BotLife
    id: str
    """What it leads by."""
    metrics_at: Place | None = None


@asynccontextmanager
async def assembled(settings: Settings, *, limits: Limits | None = None) -> AsyncIterator[Bot]:
    """Open everything the bot needs, and close it again.

    Args:
        limits: How fast it may speak to Slack; Slack's own limits if not given.

    Raises:
        ConfigError: tokens are missing or the file cannot be used.
        SchemaMismatch: the database is not this version's.
        SlackError: Slack does not take the token.
    """
    token, ingress = _slack_access(settings)
    config = load_config(settings.config_path)
    live = LiveConfig(settings.config_path, config, understood)
    understood(config)
    redactor = redactor_for(config, _slack_secrets(settings))
    clock = SystemClock()
    ids = Ids(clock)
    database = Database(settings.database_url)
    doorbell: Doorbell = ArqDoorbell(settings.redis_url) if settings.redis_url else SilentDoorbell()
    try:
        await schema.check(database)
        objects = FileStore(settings.artifacts_dir, crashpoint=crashpoint)
        async with open_slack(token, settings.slack_api_url, redact=redactor.redact_json, limits=limits) as slack:
            me = await slack.me()
            groups = Groups(slack.usergroup_members, lambda: group_roles(live.current, me.team))
            desk = Desk(
                tenant=TENANT,
                database=database,
                slack=slack,
                me=me,
                identity=Identity(
                    me,
                    slack.user,
                    lambda team, user: principal_for_slack(live.current, team, user),
                    group_roles=groups.roles,
                ),
                groups=groups,
                check=TenantCheck(me),
                live=live,
                objects=objects,
                doorbell=doorbell,
                clock=clock,
                ids=ids,
            )
            own = ids.new("bot")
            sweeper = Sweeper(database, doorbell, objects, clock, owner=own, boot_id=boot_id())
            life = BotLife(settings.home, host_name(), boot_id(), own)
            yield Bot(Office(desk), sweeper, redactor, ingress, settings.redis_url, life, own, settings.metrics_at)
    finally:
        await doorbell.close()
        await database.close()


def understood(config: Config) -> None:
    """Raise for a file that is read and yet cannot be used: a playbook with mistakes, or a tool nobody has."""
    compile_playbooks(config.playbooks.values(), tools=tool_names(config))


def _slack_access(settings: Settings) -> tuple[str, SocketMode | HttpMode]:
    """The bot's token, and how Slack reaches us."""
    bot, app, secret = settings.slack_bot_token, settings.slack_app_token, settings.slack_signing_secret
    if bot is not None and settings.slack_mode == "socket" and app is not None:
        return bot.get_secret_value(), SocketMode(app.get_secret_value())
    if bot is not None and settings.slack_mode == "http" and secret is not None:
        return bot.get_secret_value(), HttpMode(settings.http_host, settings.http_port, secret.get_secret_value())
    raise ConfigError(
        "The bot needs SLACK_BOT_TOKEN (xoxb-…), and SLACK_APP_TOKEN (xapp-…) for Socket Mode or SLACK_SIGNING_SECRET "
        "for HTTP. docs/guides/slack.md says where to get them; `banksman up` without them starts a playground instead."
    )


def _slack_secrets(settings: Settings) -> dict[str, str]:
    """Every secret of Slack's in the environment, used or not, by its variable."""
    known = {
        "SLACK_BOT_TOKEN": settings.slack_bot_token,
        "SLACK_APP_TOKEN": settings.slack_app_token,
        "SLACK_SIGNING_SECRET": settings.slack_signing_secret,
    }
    return {name: secret.get_secret_value() for name, secret in known.items() if secret is not None}
