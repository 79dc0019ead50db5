"""`banksman freeze`, `thaw`, `freezes`: bring starts to a standstill from a terminal; needs neither Slack nor Redis.

Only a channel's `#name` is looked up in Slack, where a token is set; its id works always.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rich.markup import escape
from rich.table import Table

from bot.blocks.text import one_line
from bot.blocks.words import ago
from bot.cli.installation import Installation, Refused, opened
from bot.cli.output import console, print_json
from bot.scopes import ChannelName, UnknownScope, understood
from bot.slack import open_slack
from bot.slack_errors import SlackError
from core.config.settings import Settings
from core.record.changes import Refusal
from core.record.freezes import FreezeChange, Frozen
from core.runs import freezing, reading
from core.runs.commands.freeze import may_freeze
from core.secrets import Redactor
from core.tools.catalogue import call_names


async def freeze(settings: Settings, wanted: str, *, as_name: str | None, reason: str) -> int:
    """Freeze something; 0 once nothing it covers can start."""
    async with opened(settings) as here:
        by = here.principal(as_name)
        _refuse(may_freeze(by))
        what = await _wanted(here, wanted)
        done = await freezing.freeze(
            here.database, here.tenant, what, by=by, reason=reason, ids=here.ids, now_ms=here.clock.wall_ms()
        )
        return await _tell(here, done)


async def thaw(settings: Settings, wanted: str, *, as_name: str | None, reason: str) -> int:
    """End a freeze; what it alone covered goes on."""
    async with opened(settings) as here:
        by = here.principal(as_name)
        _refuse(may_freeze(by))
        what = await _wanted(here, wanted, thawing=True)
        now_ms = here.clock.wall_ms()
        done = await freezing.thaw(here.database, here.doorbell, here.tenant, what, by=by, reason=reason, now_ms=now_ms)
        return await _tell(here, done)


async def list_freezes(settings: Settings, *, ended: bool, as_json: bool) -> int:
    """What is frozen, or with what was."""
    async with opened(settings) as here:
        found = await reading.frozen(here.database, here.tenant, ended=ended)
        if as_json:
            print_json([freeze.as_json() for freeze in found])
            return 0
        if not found:
            print("Nothing is frozen.")
            return 0
        table = Table(box=None, pad_edge=False, header_style="bold")
        for title in ("scope", "by", "since", "reason", *(("thawed",) if ended else ())):
            table.add_column(title, no_wrap=title == "scope")
        now_ms = here.clock.wall_ms()
        for each in found:
            over = "" if each.thawed_at_ms is None else f"{ago(each.thawed_at_ms, now_ms)} by {each.thawed_by}"
            cells = (each.scope, each.by, ago(each.frozen_at_ms, now_ms), each.reason, *((over,) if ended else ()))
            table.add_row(*(escape(one_line(cell, 200)) for cell in cells))
        console.print(table)
        return 0


async def _tell(here: Installation, done: FreezeChange | Refusal) -> int:
    """Let the runs follow at once; the sweeper would, some seconds later."""
    if isinstance(done, Refusal):
        raise Refused(done.text)
    changed = await freezing.spread(here.database, here.doorbell, now_ms=here.clock.wall_ms())
    print(f"{done.text} Open runs it concerns: {changed}.")
    return 0


async def _wanted(here: Installation, text: str, *, thawing: bool = False) -> Frozen:
    async with _channel_names(here) as channel_name:
        try:
            return await understood(
                text,
                here.database,
                here.tenant,
                agents=here.config.playbooks,
                tools={*call_names(here.config), *here.config.tools},
                channel_name=channel_name,
                thawing=thawing,
            )
        except SlackError as error:
            said = f"Slack cannot be asked for that channel: {error.user_text} Write the channel's id instead."
            raise UnknownScope(said) from error


@asynccontextmanager
async def _channel_names(here: Installation) -> AsyncIterator[ChannelName | None]:
    """Slack's word on channel names, if a token is set; nothing is asked before it is needed."""
    if here.settings.slack_bot_token is None:
        yield None
        return
    token = here.settings.slack_bot_token.get_secret_value()
    async with open_slack(token, here.settings.slack_api_url, redact=Redactor([token]).redact_json) as slack:
        yield slack.channel_name


def _refuse(refusal: Refusal | None) -> None:
    if refusal is not None:
        raise Refused(refusal.text)
