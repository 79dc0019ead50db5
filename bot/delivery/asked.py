"""Saying what people are asked: approval cards, questions, who is told of them, reminders, and how it ended.

A card in the thread is where an action is decided; approvers get a direct message that leads to it. A run without a
thread is decided in the direct message itself. Cards are drawn anew from state (`ApprovalPainter`), like a run's card.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

from bot.blocks.approval_card import approval_card
from bot.blocks.asked import approver_dm, decided, reminder
from bot.blocks.elements import Message
from bot.blocks.questions import question_card
from bot.blocks.refusals import sentence
from bot.damage import lay_down
from bot.delivery.duty import Duty
from bot.delivery.limits import Priority
from bot.delivery.places import NotYet, Place, Posted
from bot.desk import Desk
from bot.slack_errors import SlackError, SlackGone, SlackMessageGone, SlackRevoked
from core.actions.policy import Approvers
from core.crashpoints import crashpoint
from core.errors import ArtifactCorrupt, BanksmanError, TerminalError
from core.record.changes import Insert
from core.runs import asking, reading
from core.runs.approval_views import ApprovalView, AskView
from core.runs.draft import delivery
from core.runs.views import RunView
from core.store import approvals
from core.store.outbox import Delivery

log = logging.getLogger(__name__)

KINDS = frozenset(
    {"slack.approval", "slack.approvers", "slack.approver", "slack.reminder", "slack.decided", "slack.question"}
)

MOST_TOLD = 20
"""Approvers who are written to about one question."""

Post = Callable[[Delivery, Place, Message], Awaitable[Posted]]
Where = Callable[[Delivery, RunView], Awaitable[Place]]


class Asked:
    """Says rows about questions to people.

    Args:
        post: Posts a message for a row, unless an earlier attempt turns out to have arrived.
        place: Where a row about a run is said.
    """

    def __init__(self, desk: Desk, post: Post, place: Where) -> None:
        self._desk = desk
        self._post = post
        self._place = place

    async def say(self, row: Delivery) -> str | None:
        """Say a row; what Slack named it. See `saying.Sayings.say`."""
        if row.kind == "slack.question":
            return await self._question(row)
        ask = await self._ask(row)
        match row.kind:
            case "slack.approval":
                return await self._card(row, ask)
            case "slack.approvers" | "slack.reminder":
                return await self._spread(row, ask)
            case "slack.approver":
                return await self._approver(row, ask)
            case _:
                message = decided(ask, known=self._desk.known)
                return (await self._post(row, _thread(ask), message)).ts

    async def _card(self, row: Delivery, ask: AskView) -> str:
        place = _thread(ask)
        if row.body.get("dm"):
            if ask.requester_slack is None:
                raise TerminalError("whoever asked has no Slack account to write to")
            place = Place(await self._desk.slack.dm_open(ask.requester_slack), None)
        return await self._post_card(row, ask, place)

    async def _post_card(self, row: Delivery, ask: AskView, place: Place) -> str:
        desk = self._desk
        message = approval_card(ask, desk.known, now_ms=desk.clock.wall_ms())
        posted = await self._post(row, place, message)
        crashpoint("CP10")
        found = await approvals.find(desk.database, desk.tenant, ask.approval.id)
        if found is not None:
            # One that an earlier attempt posted shows what was true then.
            state = "earlier" if posted.is_earlier else approvals.state_of(found, len(ask.approval.live))
            shown = approvals.shown_at(desk.tenant, found, place.channel, posted.ts, state)
            await desk.database.journal.record([shown])
        return posted.ts

    async def _question(self, row: Delivery) -> str:
        desk = self._desk
        view = await reading.view(desk.database, desk.tenant, row.run_id or "")
        if view is None or view.question is None:
            raise TerminalError("the question is not open any more")
        return (await self._post(row, await self._place(row, view), question_card(view.question, view))).ts

    async def _spread(self, row: Delivery, ask: AskView) -> str | None:
        """One row for each approver, so that each is told once whatever happens in between."""
        desk, approval = self._desk, ask.approval
        share = row.body.get("share")
        if approval.status != "pending" or (share and _is_off(row, approval)):
            return None
        rows: list[Insert] = []
        for user in sorted(await self._approvers(approval.approvers, ask))[:MOST_TOLD]:
            body = {"approval_id": approval.id, "user": user, "share": share}
            key = f"approver:{approval.id}:{user}:{share or 0}"
            row_for = delivery(
                desk.tenant, row.run_id, None, f"dm:{user}", None, "slack.approver", key, body, desk.clock.wall_ms()
            )
            rows.append(row_for)
        await desk.database.journal.record(rows)
        return None

    async def _approvers(self, wanted: Approvers, ask: AskView) -> set[str]:
        """Slack users who may decide, as far as the config and Slack's groups say."""
        desk, own = self._desk, replace(wanted, within=None)
        named = {
            user
            for name, person in desk.config.principals.items()
            if (user := desk.known.get(name)) is not None and own.admits(name, frozenset(person.roles))
        }
        found = named | await desk.groups.holders(own.roles)
        if wanted.within is not None:
            found &= await self._approvers(wanted.within, ask)
        return found if ask.approval.self_ok else found - {ask.requester_slack or ""}

    async def _approver(self, row: Delivery, ask: AskView) -> str | None:
        desk, share = self._desk, row.body.get("share")
        if ask.approval.status != "pending" or (share and ask.approval.parked_ms is not None):
            return None
        channel = await desk.slack.dm_open(row.body["user"])
        if ask.channel is None and not share:
            return await self._post_card(row, ask, Place(channel, None))
        link = await self._link(ask)
        if link is None and not share and ask.channel is not None:
            raise NotYet("its card is not posted yet")
        message = approver_dm(ask, link) if not share else reminder(ask, int(share), link)
        return (await self._post(row, Place(channel, None), message)).ts

    async def _link(self, ask: AskView) -> str | None:
        cards = await approvals.messages(self._desk.database, self._desk.tenant, ask.approval.id)
        for card in cards:
            if ask.channel is None or card["channel"] == ask.channel:
                return await self._desk.slack.permalink(card["channel"], card["ts"])
        return None

    async def _ask(self, row: Delivery) -> AskView:
        desk = self._desk
        try:
            found = await asking.ask(desk.database, desk.objects, desk.tenant, row.body["approval_id"])
        except ArtifactCorrupt as error:
            await lay_down(desk, row.body["approval_id"], error)
            raise
        if found is None:
            raise TerminalError("the question is gone")
        return found


class ApprovalPainter:
    """Draws approval cards anew when what they are about has moved on."""

    def __init__(self, duty: Duty) -> None:
        self._duty = duty
        self._desk = duty.desk

    async def tick(self) -> int:
        """Draw every card that lags behind; how many."""
        desk = self._desk
        stale = await approvals.stale(desk.database, desk.tenant)
        if not stale or not await self._duty.leads():
            return 0
        for shown in stale:
            try:
                ask = await asking.ask(desk.database, desk.objects, desk.tenant, shown.approval_id)
            except BanksmanError as error:
                # One that cannot be read must not keep the others from being drawn, nor keep its buttons.
                if isinstance(error, ArtifactCorrupt):
                    await lay_down(desk, shown.approval_id, error)
                log.error("an approval card cannot be drawn: %s", error, extra={"action": "ask_unreadable"})
                message = sentence(f"What was asked here cannot be shown any more: {error.user_text}")
            else:
                if ask is None:
                    await approvals.drawn(desk.database, desk.tenant, shown, "gone")
                    continue
                message = approval_card(ask, desk.known, now_ms=desk.clock.wall_ms())
            try:
                await desk.slack.update(shown.channel, shown.ts, message, priority=Priority.STOP)
            except (SlackGone, SlackMessageGone):
                await approvals.drawn(desk.database, desk.tenant, shown, "gone")
            except SlackRevoked:
                await self._duty.is_refused()
                return 0
            except SlackError as error:
                log.warning("an approval card waits: %s", error, extra={"action": "approval_card_later"})
            else:
                await approvals.drawn(desk.database, desk.tenant, shown, shown.state)
        return len(stale)


def _is_off(row: Delivery, approval: ApprovalView) -> bool:
    """Whether a reminder is not to be said: its time stands still, or has another end than the one it was written for.

    Whoever lets the run go on writes new ones.
    """
    return approval.parked_ms is not None or row.body.get("expires_at") not in (None, approval.expires_at_ms)


def _thread(ask: AskView) -> Place:
    if ask.channel is None:
        raise TerminalError("the run has no thread")
    return Place(ask.channel, ask.thread_ts)
