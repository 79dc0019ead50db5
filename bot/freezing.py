"""Freezing and thawing from Slack: the same checks and the same commit as on the command line."""

from bot.blocks.elements import Message
from bot.blocks.refusals import sentence
from bot.office import Office
from bot.scopes import UnknownScope, understood
from core.principals import Principal
from core.record.changes import Refusal
from core.record.freezes import Scope
from core.runs import freezing
from core.runs.commands.freeze import may_freeze
from core.tools.catalogue import call_names


async def freeze(office: Office, rest: str, *, who: Principal, channel: str) -> Message:
    """Freeze what somebody typed, for the reason behind it.

    Args:
        channel: Where it was typed: `channel` alone means that one.
    """
    return await _act(office, rest, who=who, channel=channel, thawing=False)


async def thaw(office: Office, rest: str, *, who: Principal, channel: str) -> Message:
    """End the freeze of what somebody typed."""
    return await _act(office, rest, who=who, channel=channel, thawing=True)


async def _act(office: Office, rest: str, *, who: Principal, channel: str, thawing: bool) -> Message:
    desk = office.desk
    if (refusal := may_freeze(who)) is not None:
        return sentence(refusal.text)
    wanted, _, reason = rest.partition(" ")
    if wanted.casefold() == Scope.CHANNEL:
        wanted = f"{Scope.CHANNEL}:{channel}"
    try:
        what = await understood(
            wanted,
            desk.database,
            desk.tenant,
            agents=desk.config.playbooks,
            tools={*call_names(desk.config), *desk.config.tools},
            channel_name=desk.slack.channel_name,
            thawing=thawing,
        )
    except UnknownScope as error:
        return sentence(error.user_text)
    reason, now_ms = reason.strip(), desk.clock.wall_ms()
    if thawing:
        done = await freezing.thaw(
            desk.database, desk.doorbell, desk.tenant, what, by=who, reason=reason, now_ms=now_ms
        )
    else:
        done = await freezing.freeze(
            desk.database, desk.tenant, what, by=who, reason=reason, ids=desk.ids, now_ms=now_ms
        )
    if isinstance(done, Refusal):
        return sentence(done.text)
    changed = await freezing.spread(desk.database, desk.doorbell, now_ms=desk.clock.wall_ms())
    office.wake_delivery.set()
    return sentence(f"{done.text} Open runs it concerns: {changed}.")
