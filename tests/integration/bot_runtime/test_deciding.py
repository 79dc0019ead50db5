"""Deciding from Slack: the card, the pages, the forms; who may, what counts, and everything that decides nothing."""

import hashlib
import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from core.clock import SystemClock
from core.ids import TENANT
from core.record.changes import Decided
from core.record.rows import ApprovalRow
from core.record.states import BlockedReason, RunState
from core.runs import steps
from core.runs.asks import void, wake
from core.runs.commands.expire import expire
from core.runs.stored import Stored
from core.runs.toolbox import DeclaredTool
from core.store.lane import Target
from core.tools.ask import Ask
from core.tools.base import Prepared
from tests.factories import a_tool, act, proposed, stamp
from tests.integration.bot_runtime.office import House, Json, Running, Team, has_button, poll, words

Ready = Callable[[], Awaitable[str]]
APPROVER, APPROVER2, MEMBER, GUEST = "U0APPROVER", "U0APPROVER2", "U0MEMBER", "U0GUEST"
WAITING = RunState.WAITING_FOR_APPROVAL


async def asks(house: House, run_id: str, body: bytes = b"--- a\n+++ b\n", *, policy: str = "{}") -> ApprovalRow:
    """The run asks about an effect that carries `body`, as a worker would have it ask."""
    snapshot = await house.snapshot(run_id)
    by = stamp(SystemClock().wall_ms())
    if snapshot.run.run_state is RunState.CONTEXT_LOADED:
        await house.change(run_id, lambda draft: draft.move(RunState.PLANNING))
        snapshot = await house.snapshot(run_id)
    done = await house.objects.put(_once(body), cap_bytes=1_000_000)
    assert done.sha256 == hashlib.sha256(body).hexdigest()
    turn = act(tool="git_push", args={"branch": "fix"})
    what = Prepared({"branch": "fix"}, "Push one commit to the new branch fix")
    carried = Stored(house.ids.artifact(), "changes.patch", done.sha256, done.size, "text/x-diff")
    asked = proposed(snapshot, turn, a_tool("compensable"), policy=policy, prepared=what, inputs=(carried,))
    change = steps.take_turn(
        snapshot, turn, asked, call_id=house.ids.call(), nonce=house.ids.salt(), sandbox="none", stamp=by
    )
    await house.database.journal.commit(_unowned(change))
    return (await house.snapshot(run_id)).approvals[-1]


def _unowned(change: Any) -> Any:
    from dataclasses import replace

    return replace(change, owner=None)


async def _once(data: bytes) -> Any:
    yield data


async def question(team: Team, text: str = "") -> Json:
    """Wait for the approval card that says this."""

    async def look() -> list[Json]:
        return [one for one in await _with(team, "Deny…") if text in words(one)]

    return dict((await poll(look, "an approval card"))[-1])


async def _with(team: Team, label: str) -> list[Json]:
    return [one for one in await team.heard() if has_button(one, label)]


def value_of(message: Json, action_id: str) -> str:
    elements = [each for block in message["blocks"] if block["type"] == "actions" for each in block["elements"]]
    return next(str(each["value"]) for each in elements if each["action_id"] == action_id)


async def forge(team: Team, card: Json, user: str, *, action_id: str = "approval_approve", **more: Any) -> Json:
    """A click nobody could make on what they see."""
    body = {"channel": card["channel"], "ts": card["ts"], "value": value_of(card, "approval_deny_open"), **more}
    return await team.do("actions", user=user, action_id=action_id, forge=True, **body)


async def approval(house: House, run_id: str) -> ApprovalRow:
    return (await house.snapshot(run_id)).approvals[-1]


async def test_a_click_on_approve_approves_and_everybody_hears_of_it(house: House, team: Team, ready: Ready) -> None:
    run_id = await ready()
    await asks(house, run_id)
    card = await question(team)
    assert "+++ b" in words(card)

    await team.click(card, "approval_approve", user=APPROVER)

    await team.hears("Approved. It starts now", user=APPROVER)
    row = await house.snapshot(run_id)
    assert ("approved", WAITING, 0) == (row.approvals[0].status, row.run.run_state, row.run.due_at)
    (vote,) = row.votes
    assert ("approver", "approve") == (vote.voter, vote.decision)
    assert vote.inbox_key is not None
    assert vote.inbox_key.startswith("act:")
    assert "U0REQUESTER" in str((await team.hears("Approved by"))["blocks"])

    async def closed() -> bool:
        now = await team.message(card["ts"])
        return not has_button(now, "Approve") and "Approved" in words(now)

    await poll(closed, "the card to show the decision")


async def test_approvers_are_told_where_to_decide(house: House, team: Team, ready: Ready) -> None:
    run_id = await ready()
    await asks(house, run_id)
    card = await question(team)
    for user in (APPROVER, APPROVER2):
        channel = await team.direct(user)

        async def told(channel: str = channel) -> list[Json]:
            return [one for one in await team.heard("You are asked to decide") if one["channel"] == channel]

        [message] = await poll(told, "a direct message")
        assert card["ts"].replace(".", "") in json.dumps(message["blocks"])
        assert not has_button(message, "Approve")


async def test_nobody_is_told_whom_the_contract_of_the_channel_does_not_admit(
    house: House, team: Team, ready: Ready
) -> None:
    narrowed = {"roles": ["approver"], "within": {"principals": ["approver2", "member"]}}
    await asks(house, await ready(), policy=json.dumps({"policy": {"approvers": narrowed}}))
    card = await question(team)
    await team.hears("You are asked to decide", user=None)
    async with house.database.read() as connection:
        sql = "SELECT dedupe_key FROM outbox WHERE kind = 'slack.approver'"
        told = [key.split(":")[2] for (key,) in await connection.exec_driver_sql(sql)]

    assert [APPROVER2] == told
    await team.click(card, "approval_approve", user=APPROVER)
    await team.hears("as far as the channel's contract admits them", user=APPROVER)


async def test_approvers_are_reminded_while_it_is_undecided_and_not_after(
    house: House, team: Team, ready: Ready
) -> None:
    run_id = await ready()
    await asks(house, run_id)
    card = await question(team)
    assert [] == await team.heard("% of the time is over")
    await due(house, ":50")
    await team.hears("50 % of the time is over")
    assert 2 == len(await poll(lambda: _both(team), "both reminders"))

    await team.click(card, "approval_approve", user=APPROVER)
    await team.hears("Approved. It starts now", user=APPROVER)
    await due(house, ":90")

    async def none_left() -> bool:
        async with house.database.read() as connection:
            sql = "SELECT count(*) FROM outbox WHERE kind = 'slack.reminder' AND sent_at IS NULL"
            return (await connection.exec_driver_sql(sql)).scalar_one() == 0

    await poll(none_left, "the second reminder to be looked at")
    assert [] == await team.heard("90 % of the time is over")


async def due(house: House, key: str) -> None:
    """Let the reminder come now."""
    async with house.database.begin() as connection:
        await connection.exec_driver_sql(f"UPDATE outbox SET due_at = 1 WHERE dedupe_key LIKE 'reminder:%{key}'")


async def _both(team: Team) -> list[Json] | None:
    found = await team.heard("50 % of the time is over")
    return found if len(found) == 2 else None


async def test_who_may_not_decide_gets_a_private_sentence_and_nothing_counts(
    house: House, team: Team, ready: Ready
) -> None:
    run_id = await ready()
    await asks(house, run_id)
    card = await question(team)
    for user, said in (
        ("U0REQUESTER", "You asked for this run"),
        (MEMBER, "people with the role approver"),
        ("U0OPERATOR", "people with the role approver"),
        (GUEST, "Guests"),
    ):
        await team.click(card, "approval_approve", user=user)
        await team.hears(said, user=user)
    row = await house.snapshot(run_id)
    assert ((), "pending") == (row.votes, row.approvals[0].status)


@pytest.mark.parametrize(
    "text",
    ["approve", "@banksman approve", "@banksman Approve {id}", "yes", "/approve {id}", "LGTM :white_check_mark:"],
)
async def test_no_text_decides(house: House, team: Team, ready: Ready, text: str) -> None:
    run_id = await ready()
    row = await asks(house, run_id)
    card = await question(team)
    await team.say(text.format(id=row.id), user=APPROVER, thread_ts=card["thread_ts"])
    await team.command(f"approve {row.id}", user=APPROVER)
    await team.do("reactions", user=APPROVER, channel=card["channel"], ts=card["ts"], name="white_check_mark")
    await team.hears("does not know", user=APPROVER)
    found = await house.snapshot(run_id)
    assert ((), "pending") == (found.votes, found.approvals[0].status)


async def test_a_denial_asks_for_its_reason_and_the_run_gets_it(house: House, team: Team, ready: Ready) -> None:
    run_id = await ready()
    await asks(house, run_id)
    await team.click(await question(team), "approval_deny_open", user=APPROVER)
    [form] = await poll(lambda: team.views(APPROVER), "the form")

    await team.submit(
        form, {"reason": {"text": {"type": "plain_text_input", "value": "not on a Friday"}}}, user=APPROVER
    )

    await team.hears("It will not be done", user=APPROVER)
    row = await house.snapshot(run_id)
    assert ("denied", RunState.PLANNING, "canceled") == (
        row.approvals[0].status,
        row.run.run_state,
        row.calls[0].status,
    )
    assert "approver denied it: not on a Friday" == row.calls[0].error
    assert "not on a Friday" in words(await team.hears("Denied by"))


async def test_the_second_click_says_who_was_first(house: House, team: Team, ready: Ready) -> None:
    run_id = await ready()
    await asks(house, run_id)
    card = await question(team)
    await team.click(card, "approval_approve", user=APPROVER)
    await team.hears("Approved. It starts now", user=APPROVER)
    await forge(team, card, APPROVER2)
    await team.hears("already approved by approver", user=APPROVER2)


async def test_a_click_that_comes_twice_counts_once(house: House, team: Team, ready: Ready) -> None:
    run_id = await ready()
    await asks(house, run_id)
    await team.fault("duplicate", delivery="interactive", copies=3)
    await team.click(await question(team), "approval_approve", user=APPROVER)
    await team.hears("Approved. It starts now", user=APPROVER)
    assert 1 == len((await house.snapshot(run_id)).votes)
    assert [] == await team.heard("already", user=APPROVER)


async def test_what_is_too_long_for_a_card_is_read_to_its_end_before_it_is_approved(
    house: House, team: Team, ready: Ready
) -> None:
    run_id = await ready()
    row = await asks(house, run_id, b"+line of a patch\n" * 1_500 + b"+the hidden end\n")
    card = await question(team)
    assert not has_button(card, "Approve")
    await forge(team, card, APPROVER)
    await team.hears("too long for a card", user=APPROVER)

    await team.click(card, "approval_details_open", user=APPROVER)
    [view] = await poll(lambda: team.views(APPROVER), "the pages")
    seen = words(view["view"])
    pages = json.loads(view["view"]["private_metadata"])["pages"]
    assert pages > 2
    assert view["view"].get("submit") is None
    for number in range(2, pages + 1):
        before = view["view"]
        await team.do("views", user=APPROVER, view_id=view["id"], values={}, action={"action_id": "approval_page_next"})

        async def turned(before: Json = before) -> Json | None:
            [now] = await team.views(APPROVER)
            return now if now["view"] != before else None

        view = await poll(turned, f"page {number}")
        seen += words(view["view"])
    assert "the hidden end" in seen
    assert view["view"]["submit"]["text"] == "Approve"

    await team.submit(view, {}, user=APPROVER)
    await team.hears("Approved. It starts now", user=APPROVER)
    assert "approved" == (await approval(house, run_id)).status
    assert row.id == (await approval(house, run_id)).id


async def test_pages_nobody_opened_are_not_approved(house: House, team: Team, ready: Ready) -> None:
    run_id = await ready()
    row = await asks(house, run_id, b"+line of a patch\n" * 1_500)
    await team.click(await question(team), "approval_details_open", user=APPROVER)
    [view] = await poll(lambda: team.views(APPROVER), "the pages")
    await team.do("views", user=APPROVER, view_id=view["id"], values={}, forge=True)
    await team.hears("Open every page", user=APPROVER)
    assert "pending" == (await approval(house, run_id)).status == row.status


async def test_a_member_reads_everything_and_is_offered_nothing(house: House, team: Team, ready: Ready) -> None:
    run_id = await ready()
    await asks(house, run_id)
    await team.click(await question(team), "approval_details_open", user=MEMBER)
    [view] = await poll(lambda: team.views(MEMBER), "the page")
    assert "+++ b" in words(view["view"])
    assert view["view"].get("submit") is None


async def test_an_old_card_is_stale_and_says_so(house: House, team: Team, ready: Ready) -> None:
    run_id = await ready()
    old = await asks(house, run_id)
    card = await question(team)
    snapshot = await house.snapshot(run_id)
    call = snapshot.calls[0]

    def voided(draft: Any) -> None:
        void(draft, old, call, "policy", SystemClock().wall_ms())
        wake(draft)

    await house.change(run_id, voided)
    new = await asks(house, run_id, b"--- a\n+++ c\n")
    fresh = await question(team, "Asked anew")
    await poll(lambda: _is(team, card, "Stale"), "the old card to say that it is stale")
    await forge(team, fresh, APPROVER, value=f"{old.id}:{old.action_digest[7:23]}", ts=card["ts"])
    await team.hears("stale", user=APPROVER)
    await forge(team, fresh, APPROVER, value=f"{new.id}:{old.action_digest[7:23]}")
    await forge(team, fresh, APPROVER, ts=card["ts"])
    row = await house.snapshot(run_id)
    assert [] == [vote for vote in row.votes if vote.approval_id == new.id]
    await team.click(fresh, "approval_approve", user=APPROVER)
    await team.hears("Approved. It starts now", user=APPROVER)


async def _is(team: Team, card: Json, text: str) -> bool:
    return text in words(await team.message(card["ts"]))


@pytest.mark.parametrize("value", ["", ":", "x", "apr_none:0000000000000000", "apr_none", "a" * 1900, "\u202e:\u202e"])
async def test_a_click_with_a_strange_value_is_answered_and_decides_nothing(
    house: House, team: Team, ready: Ready, value: str
) -> None:
    run_id = await ready()
    await asks(house, run_id)
    card = await question(team)
    await forge(team, card, APPROVER, value=value or " ")
    await poll(lambda: team.heard(user=APPROVER), "an answer")
    assert "pending" == (await approval(house, run_id)).status


async def test_a_vote_can_be_taken_back_until_it_has_started(house: House, team: Team, ready: Ready) -> None:
    run_id = await ready()
    two = '{"policy":{"rules":[{"decision":"ask","name":"two","quorum":2,"tools":["*"]}]}}'
    await asks(house, run_id, policy=two)
    card = await question(team)
    await team.click(card, "approval_approve", user=APPROVER)
    await team.hears("1 more needed", user=APPROVER)
    await poll(lambda: _with(team, "Take back my vote"), "the button")
    await team.click(await question(team), "approval_take_back", user=APPROVER)
    await team.hears("Your vote is taken back", user=APPROVER)
    assert (await house.snapshot(run_id)).votes[0].revoked_at is not None


async def test_a_question_that_expired_is_asked_again_by_a_click(house: House, team: Team, ready: Ready) -> None:
    run_id = await ready()
    row = await asks(house, run_id)
    late = partial(expire, approval_id=row.id, now_ms=row.expires_at + 1)
    assert isinstance(await house.database.journal.command(TENANT, Target(approval_id=row.id), late), Decided)
    await poll(lambda: _with(team, "Ask again"), "the button")
    [blocked] = await _with(team, "Ask again")
    await team.click(blocked, "approval_ask_again", user=MEMBER)
    await team.hears("can have it ask again", user=MEMBER)
    await team.click(blocked, "approval_ask_again")
    await team.hears("asks again", user="U0REQUESTER")
    run = (await house.snapshot(run_id)).run
    assert (RunState.PLANNING, 0) == (run.run_state, run.due_at)


async def test_home_shows_what_waits_for_whom(house: House, team: Team, ready: Ready) -> None:
    run_id = await ready()
    await asks(house, run_id)
    await question(team)

    async def home_of(user: str) -> str:
        await team.do("home", user=user)
        return str(await poll(lambda: _home(team, user), "a home"))

    assert "Push one commit" in await home_of(APPROVER)
    assert "Push one commit" not in await home_of(MEMBER)
    assert "Nothing waits for your decision" in await home_of("U0REQUESTER")


async def _home(team: Team, user: str) -> str:
    return words((await team.state())["homes"].get(user) or {})


async def test_a_question_of_a_run_is_answered_in_a_form(house: House, team: Team, ready: Ready) -> None:
    run_id = await ready()
    await house.change(run_id, lambda draft: draft.move(RunState.PLANNING))
    snapshot = await house.snapshot(run_id)
    turn = act(
        tool="ask",
        args={"question": "How many <!here>?", "fields": {"count": {"type": "integer", "title": "How many"}}},
    )
    asked = proposed(snapshot, turn, DeclaredTool(Ask(), "sha256:ask", "read", "pure", 60.0))
    by = stamp(SystemClock().wall_ms())
    change = steps.take_turn(
        snapshot, turn, asked, call_id=house.ids.call(), nonce=house.ids.salt(), sandbox="none", stamp=by
    )
    await house.database.journal.commit(_unowned(change))
    [card] = await poll(lambda: _with(team, "Answer…"), "the question")

    await team.click(card, "question_answer_open")
    [form] = await poll(team.views, "the form")
    [block] = [each for each in form["view"]["blocks"] if each["type"] == "input"]
    field = block["element"]["action_id"]

    def filled(text: str) -> Json:
        return {block["block_id"]: {field: {"type": block["element"]["type"], "value": text}}}

    await team.submit(form, filled("3"))
    await team.hears("Thank you", user="U0REQUESTER")
    row = await house.snapshot(run_id)
    assert (RunState.PLANNING, "succeeded") == (row.run.run_state, row.calls[0].status)
    assert {"count": 3, "answered_by": "requester"} == json.loads(row.calls[0].result_json or "")
    left = await team.offers_nothing(card)
    assert "Answered" in words(left) and "How many" in words(left) and 2 == json.dumps(left).count("U0REQUESTER")


async def test_a_changed_file_is_taken_up_and_a_bad_one_alarms_the_operator(
    house: House, team: Team, bot: Running
) -> None:
    desk, path = bot.bot.office.desk, house.home / "banksman.yml"
    good = path.read_text()
    before = desk.policy_digest
    path.write_text(good + "\npolicy: {quorum: zero}\n")
    channel = await team.direct("U0OPERATOR")

    async def alarm() -> list[Json]:
        return [one for one in await team.heard("cannot be used") if one["channel"] == channel]

    [said] = await poll(alarm, "the alarm")
    assert "quorum" in words(said)
    assert before == desk.policy_digest, "the old one holds"
    path.write_text(good + "\npolicy: {quorum: 2}\n")
    await poll(lambda: desk.policy_digest != before, "the new one")
    assert desk.live.problem is None


async def test_a_click_under_another_policy_asks_anew(house: House, team: Team, bot: Running, ready: Ready) -> None:
    run_id = await ready()
    await asks(house, run_id)
    card = await question(team)
    desk, path = bot.bot.office.desk, house.home / "banksman.yml"
    before = desk.policy_digest
    path.write_text(path.read_text() + "\npolicy: {quorum: 2}\n")
    await poll(lambda: desk.policy_digest != before, "the new one")
    await team.click(card, "approval_approve", user=APPROVER)
    await team.hears("asked anew", user=APPROVER)
    row = await house.snapshot(run_id)
    assert ((), "superseded", RunState.PLANNING) == (row.votes, row.approvals[0].status, row.run.run_state)


async def test_an_ambiguous_effect_is_settled_by_whoever_looked(house: House, team: Team, ready: Ready) -> None:
    run_id = await ready()
    row = await asks(house, run_id)
    snapshot = await house.snapshot(run_id)

    def lost(draft: Any) -> None:
        draft.update("approvals", {"id": row.id}, {"status": "consumed", "consumed_by": row.call_id})
        draft.move(RunState.EXECUTING)
        draft.update("tool_calls", {"id": row.call_id}, {"status": "unknown", "attempts": 1})
        draft.block(BlockedReason.AMBIGUOUS_EFFECT, "It may or may not have run.")

    assert snapshot.run.run_state is WAITING
    await house.change(run_id, lost)
    [blocked] = await poll(lambda: _with(team, "It ran"), "the buttons")
    assert has_button(blocked, "It did not run")
    await team.click(blocked, "call_ran", user=MEMBER)
    await team.hears("can say what happened", user=MEMBER)
    await team.click(blocked, "call_ran")
    await team.hears("Recorded: it ran", user="U0REQUESTER")
    assert "It may or may not have run." in words(await team.offers_nothing(blocked))
    assert "succeeded" == (await house.snapshot(run_id)).calls[0].status
