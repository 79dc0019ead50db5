"""What each kind of outbox row says, where it goes, and what is said instead when it cannot.

A row names things by id and is rendered when it is sent, so what is said is true at that moment. Repeating, giving up
and the order of lanes' work are the sender's (`delivery.outbox`).
"""

import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial

from bot.blocks.ask import ask_for_inputs, needs_you
from bot.blocks.elements import Message
from bot.blocks.freezes import freeze_said
from bot.blocks.over import Over, was_asked, was_blocked, was_filled
from bot.blocks.refusals import sentence
from bot.blocks.replies import reply_card
from bot.blocks.run_card import run_card
from bot.blocks.spending import nearly_spent, shared_nearly_spent, told_to_wrap_up
from bot.blocks.summary import ending
from bot.delivery import asked
from bot.delivery.last_words import LastWords
from bot.delivery.limits import Priority
from bot.delivery.places import NotYet, Place, Posted
from bot.delivery.scribe import Scribe
from bot.desk import Desk
from bot.slack_errors import SlackGone, SlackMessageGone
from core.crashpoints import crashpoint
from core.errors import ArtifactCorrupt, BanksmanError, TerminalError
from core.record.changes import Insert
from core.record.states import BlockedReason, RunState
from core.runs import reading, shared
from core.runs.draft import delivery
from core.runs.views import RunView
from core.store import freezes, outbox, runs
from core.store.outbox import Delivery

log = logging.getLogger(__name__)

_RANK = {"slack.card": 0, "slack.ending": 2}
"""Within a run: its card first, its ending last, whatever the clocks of those who wrote the rows."""

PROOF_WITHIN_MS = 15_000
"""How long an ending waits for the proof of its stop. Longer than a lease: a worker that died is spoken for by then."""

_UNKNOWN_VERSION = -1

_MOST_LOOKED_AT = 50
"""Messages with buttons of one run that are looked through, the newest first."""

TIDIES = ("slack.over", "slack.filled")
"""Kinds that only take away what is refused anyway when it is pressed."""

TIDY_GIVE_UP_MS = 10 * 60 * 1000
"""How long that is tried."""

_CLOCKS_APART_S = 600
"""How far our clock and Slack's may differ when a message is looked for."""


def next_of(rows: Sequence[Delivery]) -> Delivery | None:
    """What a lane says next.

    Args:
        rows: Everything it has to say, in the order it was written.
    """
    if not rows:
        return None
    run_id = rows[0].run_id
    if run_id is None:
        return rows[0]
    return min((row for row in rows if row.run_id == run_id), key=lambda row: (_RANK.get(row.kind, 1), row.id))


def elsewhere(row: Delivery, now_ms: int) -> Insert | None:
    """The row that says the same in a direct message, once its own place is gone; `None` = that was the last place."""
    if row.kind in TIDIES or row.body.get("dm") or not (row.run_id or row.body.get("user")):
        return None
    kind = "slack.reply" if row.kind == "slack.private" else row.kind
    where = f"dm:{row.run_id or row.body['user']}"
    body = {**row.body, "dm": True}
    return delivery(row.tenant, row.run_id, None, where, None, kind, f"dm:{row.dedupe_key}", body, now_ms)


def excuse(row: Delivery, error: BanksmanError, now_ms: int) -> Insert | None:
    """The row that says out loud what could not be delivered; only a file is missed in silence otherwise."""
    if row.kind != "slack.file":
        return None
    name = row.body.get("name")
    file = f"The file {name!r}" if name else "A file of this run"
    text = f"{file} could not be put here: {error.user_text} It is stored; `banksman show` lists it."
    if isinstance(error, ArtifactCorrupt):
        text = error.user_text
    body = {"text": text, "dm": bool(row.body.get("dm"))}
    said = delivery(row.tenant, row.run_id, None, "", None, "slack.reply", f"lost:{row.dedupe_key}", body, now_ms)
    return Insert(said.table, {**said.values, "lane": row.lane})


class Sayings:
    """Says rows, once each."""

    def __init__(self, desk: Desk, scribe: Scribe) -> None:
        self._desk = desk
        self._last_words = LastWords(desk, scribe)
        self._asked = asked.Asked(desk, self._post, self._place)

    async def say(self, row: Delivery) -> str | None:
        """Say a row; what Slack named it.

        Raises:
            SlackError: It was not said, or may have been.
            TerminalError: It cannot be said at all.
        """
        match row.kind:
            case "slack.card":
                return await self._card(row)
            case "slack.file":
                return await self._file(row)
            case "slack.ending":
                return await self._ending(row)
            case "slack.blocked":
                more = self._desk.config.limits.continue_steps
                return await self._about_run(row, partial(needs_you, more_steps=more))
            case "slack.budget" | "slack.steer":
                return await self._about_run(row, partial(self._drawn, row))
            case "slack.over":
                await self._over(row)
                return None
            case "slack.filled":
                await self._filled(row)
                return None
            case "slack.wrap-up":
                return await self._about_run(row, told_to_wrap_up)
            case "slack.reply":
                return await self._reply(row)
            case "slack.freeze":
                return await self._freeze(row)
            case "slack.private":
                return await self._private(row)
            case kind if kind in asked.KINDS:
                return await self._asked.say(row)
            case _:
                raise TerminalError(f"nothing knows how to deliver {row.kind}")

    async def _card(self, row: Delivery) -> str:
        desk = self._desk
        view = await self._view(row)
        place = await self._place(row, view)
        message = run_card(view, now_ms=desk.clock.wall_ms())
        posted = await self._post(row, place, message)
        crashpoint("CP10")
        # One that an earlier attempt posted shows what was true then.
        version = _UNKNOWN_VERSION if posted.is_earlier else view.version
        await outbox.card_posted(
            desk.database, desk.tenant, view.id, place.channel, posted.ts, version=version, at_ms=desk.clock.wall_ms()
        )
        return posted.ts

    async def _about_run(self, row: Delivery, render: Callable[[RunView], Message]) -> str:
        view = await self._view(row)
        return (await self._post(row, await self._place(row, view), render(view))).ts

    async def _ending(self, row: Delivery) -> str:
        view = await self._view(row)
        if self._is_being_proved(view):
            raise NotYet("the stop is being proved")
        place = await self._place(row, view)
        still = await self._last_words.said(row, view, place)
        posted = await self._post(row, place, ending(view, still))
        await self._tidied(view)
        return posted.ts

    async def _tidied(self, view: RunView) -> None:
        """Take the buttons off what a run that has ended said earlier; its ending does not wait for that."""
        asked = {reply.id for reply in view.replies if reply.status == "asked"}
        for said in await self._said_last(view, "slack.budget", "slack.steer"):
            if said.result is None or (said.kind == "slack.steer" and said.body["reply_id"] not in asked):
                continue
            try:
                await self._draw_anew(said, view, self._drawn(said, view))
            except BanksmanError as error:
                log.warning("a message keeps its buttons: %s", error, extra={"action": "not_tidied", "run": view.id})

    async def _over(self, row: Delivery) -> None:
        """Draw the newest of what had been said before anew, for nothing of it is left to be pressed."""
        view, over = await self._view(row), (_version(row), row.id)
        # Changes that follow one another in one commit may have one version.
        rows = [each for each in await self._said_last(view, row.body["of"]) if (_version(each), each.id) < over]
        last = max(map(_version, rows), default=0)
        for said in [each for each in rows if _version(each) == last]:
            if said.result is not None:
                await self._draw_anew(said, view, self._left(row, view) or self._drawn(said, view))
            elif said.is_open and self._desk.clock.wall_ms() - row.created_at < TIDY_GIVE_UP_MS:
                raise NotYet("what is over is being said elsewhere")

    async def _filled(self, row: Delivery) -> None:
        """Draw what had asked for inputs anew, if it stood anywhere."""
        said = await outbox.find(self._desk.database, self._desk.tenant, row.body["said"])
        if said is not None and said.result is not None:
            view = await self._view(row)
            await self._draw_anew(said, view, was_filled(said.body["text"], view))

    def _left(self, row: Delivery, view: RunView) -> Message | None:
        """What stands where a run that was blocked asked for something; `None` = the row is about something else."""
        body = row.body
        if "to" not in body:
            return None
        over = Over(
            BlockedReason(body["reason"]), body["detail"] or "", RunState(body["to"]), body["by"], row.created_at
        )
        render = was_asked if body["of"] == "slack.question" else was_blocked
        return render(over, view, self._desk.known)

    async def _said_last(self, view: RunView, *kinds: str) -> list[Delivery]:
        desk = self._desk
        return await outbox.said_last(desk.database, desk.tenant, view.id, kinds, limit=_MOST_LOOKED_AT)

    async def _draw_anew(self, said: Delivery, view: RunView, message: Message) -> None:
        place = await self._place(said, view)
        with contextlib.suppress(SlackGone, SlackMessageGone):  # then nobody can press it, either
            await self._desk.slack.update(place.channel, said.result or "", message, priority=Priority.ENDING)

    def _drawn(self, row: Delivery, view: RunView) -> Message:
        """What a row about a budget, or about a reply, says as its run is now."""
        if row.kind == "slack.budget":
            found = shared.from_json(row.body.get("shared", ()))
            return shared_nearly_spent(found, view) if found else nearly_spent(view)
        reply = next((each for each in view.replies if each.id == row.body["reply_id"]), None)
        if reply is None:
            raise TerminalError("the reply is gone")
        return reply_card(reply, view, self._desk.known)

    def _is_being_proved(self, view: RunView) -> bool:
        """Whether a stop may be confirmed any moment: the ending stays for good, so it waits for what is true."""
        stop = view.stop
        if stop is None or stop.confirmed_at_ms is not None:
            return False
        return self._desk.clock.wall_ms() - stop.requested_at_ms < PROOF_WITHIN_MS

    async def _reply(self, row: Delivery) -> str:
        text, request = row.body["text"], row.body.get("request")
        message = ask_for_inputs(text, request) if request else sentence(text)
        view = await self._view(row) if row.run_id is not None else None
        return (await self._post(row, await self._place(row, view), message)).ts

    async def _freeze(self, row: Delivery) -> str:
        found = await freezes.find(self._desk.database, self._desk.tenant, row.body["freeze_id"])
        if found is None:
            raise TerminalError("the freeze is gone")
        thawed = row.body["word"] == "thawed"
        message = freeze_said(reading.freeze_view(found), thawed=thawed, reason=row.body["reason"])
        return (await self._post(row, Place(row.body["channel"], None), message)).ts

    async def _private(self, row: Delivery) -> str | None:
        """For one person; a repetition after an unclear answer is harmless, silence would not be."""
        channel, message = row.body["channel"], sentence(row.body["text"])
        if channel.startswith("D"):
            return (await self._post(row, Place(channel, row.body.get("thread_ts")), message)).ts
        await self._desk.slack.ephemeral(channel, row.body["user"], message, thread_ts=row.body.get("thread_ts"))
        return None

    async def _file(self, row: Delivery) -> str:
        desk = self._desk
        artifact = await runs.artifact(desk.database, desk.tenant, row.body["artifact_id"])
        if artifact is None:
            raise TerminalError("the file is gone")
        place = await self._place(row, await self._view(row))
        if row.result is not None:
            seen = await desk.slack.file_shared(row.result, place.channel, place.thread_ts, size=artifact.size)
            if seen is not None:
                return row.result

        async def remember(file_id: str) -> None:
            await desk.database.journal.record([outbox.mark(row, result=file_id)])

        content: AsyncIterator[bytes] = desk.objects.open(artifact.sha256)
        try:
            uploaded = await desk.slack.upload(
                place.channel, artifact.name, content, artifact.size, thread_ts=place.thread_ts, on_file_id=remember
            )
        except ArtifactCorrupt as error:
            said = f"The file {artifact.name!r} could not be put here. {error.user_text}"
            raise ArtifactCorrupt(str(error), sha256=error.sha256, what=error.what, user_text=said) from error
        return uploaded.file_id

    async def _post(self, row: Delivery, place: Place, message: Message) -> Posted:
        """Post, unless an earlier attempt turns out to have arrived."""
        slack = self._desk.slack
        if row.attempts:
            oldest = f"{row.created_at / 1000 - _CLOCKS_APART_S:.6f}"
            try:
                found = await slack.find_by_key(place.channel, row.dedupe_key, thread_ts=place.thread_ts, oldest=oldest)
            except SlackMessageGone:  # no thread, so nothing of ours in it; posting says whether there can be
                found = None
            if found is not None:
                return Posted(found, is_earlier=True)
        else:
            # From here on a crash leaves an attempt behind, so whoever comes next looks before posting.
            await self._desk.database.journal.record([outbox.mark(row, attempts=1)])
        posted = await slack.post(
            place.channel, message, thread_ts=place.thread_ts, dedupe_key=row.dedupe_key, priority=Priority.ENDING
        )
        return Posted(posted.ts, is_earlier=False)

    async def _view(self, row: Delivery) -> RunView:
        found = await reading.view(self._desk.database, self._desk.tenant, row.run_id or "")
        if found is None:
            raise TerminalError("the run is gone")
        return found

    async def _place(self, row: Delivery, view: RunView | None) -> Place:
        if row.body.get("dm"):
            user = row.body.get("user") or (view.requester_slack if view is not None else None)
            if user is None:
                raise TerminalError("whoever asked has no Slack account to write to")
            return Place(await self._desk.slack.dm_open(user), None)
        if row.body.get("channel"):
            return Place(row.body["channel"], row.body.get("thread_ts"))
        if view is None or view.channel is None:
            raise TerminalError("the run has no thread")
        return Place(view.channel, view.thread_ts)


def _version(row: Delivery) -> int:
    """The run's, when what the row offers was written."""
    return int(row.body.get("version", 0))
