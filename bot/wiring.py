"""Puts the bot together from the environment and the operator's file; the only place that knows every part."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from bot.delivery.limits import Limits
from bot.desk import Desk
from bot.identity import Identity, TenantCheck
from bot.office import Office
from bot.slack import open_slack
from core.artifacts import FileStore
from core.clock import SystemClock, boot_id
from core.config.load import load_config
from core.config.people import principal_for_slack
from core.config.redaction import redactor_for
from core.config.settings import Settings
from core.crashpoints import crashpoint
from core.errors import ConfigError
from core.ids import TENANT, Ids
from core.planners.compile import compile_playbooks
from core.queue import ArqDoorbell, Doorbell, SilentDoorbell
from core.runs.sweeper import Sweeper
from core.secrets import Redactor
from core.store import schema
from core.store.session import Database


@dataclass(frozen=True)
class Bot:
    """A bot ready to serve."""

    office: Office
    sweeper: Sweeper
    redactor: Redactor
    """What the process' logs have to pass."""
    app_token: str
    redis_url: str | None


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
    if settings.slack_bot_token is None or settings.slack_app_token is None:
        raise ConfigError(
            "The bot needs SLACK_BOT_TOKEN (xoxb-…) and SLACK_APP_TOKEN (xapp-…) for Socket Mode. "
            "docs/guides/slack.md says where to get them; `banksman up` without them starts a playground instead."
        )
    config = load_config(settings.config_path)
    playbooks = compile_playbooks(config.playbooks.values())
    tokens = {
        "SLACK_BOT_TOKEN": settings.slack_bot_token.get_secret_value(),
        "SLACK_APP_TOKEN": settings.slack_app_token.get_secret_value(),
    }
    redactor = redactor_for(config, tokens)
    clock = SystemClock()
    ids = Ids(clock)
    database = Database(settings.database_url)
    doorbell: Doorbell = ArqDoorbell(settings.redis_url) if settings.redis_url else SilentDoorbell()
    try:
        await schema.check(database)
        objects = FileStore(settings.artifacts_dir, crashpoint=crashpoint)
        token = tokens["SLACK_BOT_TOKEN"]
        async with open_slack(token, settings.slack_api_url, redact=redactor.redact_json, limits=limits) as slack:
            me = await slack.me()
            desk = Desk(
                tenant=TENANT,
                database=database,
                slack=slack,
                me=me,
                identity=Identity(me, slack.user, partial(principal_for_slack, config)),
                check=TenantCheck(me),
                config=config,
                playbooks=playbooks,
                objects=objects,
                doorbell=doorbell,
                clock=clock,
                ids=ids,
            )
            owner = f"bot:{socket.gethostname()}:{ids.new('bot')}"
            sweeper = Sweeper(database, doorbell, objects, clock, owner=owner, boot_id=boot_id())
            yield Bot(Office(desk), sweeper, redactor, tokens["SLACK_APP_TOKEN"], settings.redis_url)
    finally:
        await doorbell.close()
        await database.close()
