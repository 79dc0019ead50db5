"""App Home: what waits for a person and their own runs, drawn when they look."""

from collections.abc import Mapping
from typing import Any

from bot.blocks.home import Waiting, home
from bot.listeners.guard import Listener
from bot.office import Office
from bot.slack_errors import SlackError
from core.actions.approvals import why_not
from core.config.people import NotRecognised
from core.principals import Principal
from core.runs import asking, reading
from core.runs.commands.freeze import may_freeze
from core.store import approvals

_LINKED = 10


def on_opened(office: Office) -> Listener:
    """Answer `app_home_opened`."""

    async def handle(event: Mapping[str, Any]) -> None:
        if event.get("tab", "home") == "home":
            office.later(publish(office, str(event["user"])))

    return handle


async def publish(office: Office, user: str) -> None:
    """Draw a person's Home as it is now."""
    desk = office.desk
    who = await desk.identity.principal(user)
    mine = [] if isinstance(who, NotRecognised) else await reading.lines(desk.database, desk.tenant, requester=who.id)
    waiting = [] if isinstance(who, NotRecognised) else await _waiting(office, who)
    frozen = await reading.frozen(desk.database, desk.tenant)
    may_thaw = isinstance(who, Principal) and may_freeze(who) is None
    now_ms = desk.clock.wall_ms()
    shown = home(mine, desk.agents, now_ms=now_ms, waiting=waiting, freezes=frozen, may_thaw=may_thaw)
    await desk.slack.publish_home(user, shown)


async def _waiting(office: Office, who: Principal) -> list[Waiting]:
    """Questions this person may decide and has not decided yet."""
    desk = office.desk
    found: list[Waiting] = []
    for approval, snapshot in await asking.pending(desk.database, desk.tenant, limit=100):
        run = snapshot.run
        refusal = why_not(
            who, approvers=approval.approvers, requester=run.requester, authors=run.authors, self_ok=approval.self_ok
        )
        if refusal is None and approval.parked_ms is None and all(vote.voter != who.id for vote in approval.live):
            link = await _link(office, approval.id) if len(found) < _LINKED else None
            found.append(Waiting(approval, run.agent, run.requester, run.requester_slack, link))
    return found


async def _link(office: Office, approval_id: str) -> str | None:
    desk = office.desk
    cards = await approvals.messages(desk.database, desk.tenant, approval_id)
    if not cards:
        return None
    try:
        return await desk.slack.permalink(cards[0]["channel"], cards[0]["ts"])
    except SlackError:
        return None
