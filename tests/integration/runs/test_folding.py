"""I40: what a decision believes after its change landed is what either database then holds, whatever the change."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.principals import Actor
from core.record.changes import Insert, Landed, RunChange, Update, change
from core.record.events import EVENT_TYPES, EventDraft
from core.record.rows import Snapshot
from core.record.states import TRANSITIONS, RunState
from core.runs.commands.request import accept
from core.store.session import Database
from tests.factories import (
    IDS,
    NOW_MS,
    SALT,
    a_request,
    approval_row,
    artifact_row,
    call_row,
    inserted,
    stored,
    vote_row,
)
from tests.invariants import broken

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
NUMBERS = st.integers(0, 2**53 - 1)
ACTOR = Actor.system("test")


class Walk:
    """One run that goes through random legal changes; what it becomes is folded here and compared with the database."""

    def __init__(self, snapshot: Snapshot, data: st.DataObject) -> None:
        self.snapshot = snapshot
        self.data = data

    def next(self) -> RunChange:
        draw, run = self.data.draw, self.snapshot.run
        drafts: list[EventDraft] = []
        state = run.run_state
        columns: dict[str, Any] = {"outcome": draw(st.none() | TEXTS), "wake": draw(NUMBERS)}
        for _ in range(draw(st.integers(0, 3))):
            targets = sorted(TRANSITIONS[state])
            if targets and draw(st.booleans()):
                target = draw(st.sampled_from(targets))
                drafts.append(EventDraft("state", ACTOR, run.policy_digest, state, target))
                state = target
            else:
                facts = sorted(set(EVENT_TYPES) - {"state"})
                drafts.append(EventDraft(draw(st.sampled_from(facts)), ACTOR, "p", evidence=({"note": draw(TEXTS)},)))
        blocked = state is RunState.BLOCKED
        columns |= {"blocked_reason": "loop" if blocked else None, "blocked_detail": draw(TEXTS) if blocked else None}
        inserts, updates = self.writes()
        now_ms = NOW_MS + draw(st.integers(-1_000, 1_000))
        return change(self.snapshot, tuple(drafts), now_ms=now_ms, run=columns, inserts=inserts, updates=updates)

    def writes(self) -> tuple[tuple[Insert, ...], tuple[Update, ...]]:
        draw, before = self.data.draw, self.snapshot
        run = before.run
        inserts: list[Insert] = []
        calls, approvals = list(before.calls), list(before.approvals)
        for _ in range(draw(st.integers(0, 2))):
            call = call_row(run, step=IDS.new("s"), position=draw(st.integers(0, 3)), title=draw(TEXTS))
            inserts.append(inserted("tool_calls", call))
            calls.append(call)
        if calls and draw(st.booleans()):
            asked = approval_row(draw(st.sampled_from(calls)))
            inserts.append(inserted("approvals", asked))
            approvals.append(asked)
        if approvals and draw(st.booleans()):
            inserts.append(inserted("votes", vote_row(draw(st.sampled_from(approvals)), voter=IDS.new("v"))))
        if draw(st.booleans()):
            file = artifact_row(run.id, name=draw(TEXTS))
            blob = {"tenant": run.tenant, "sha256": file.sha256, "size": file.size, "created_at": NOW_MS}
            inserts += [Insert("blobs", blob), inserted("artifacts", file)]
        updates = [
            Update("tool_calls", self.key(call.id), self.call_values())
            for call in calls
            for _ in range(draw(st.integers(0, 2)))
        ]
        updates += [
            Update("approvals", self.key(asked.id), {"status": "approved", "decided_at": draw(NUMBERS)})
            for asked in approvals
            if draw(st.booleans())
        ]
        updates += [
            Update(
                "votes",
                {"tenant": run.tenant, "approval_id": vote.approval_id, "voter": vote.voter},
                {"revoked_at": draw(NUMBERS)},
            )
            for vote in before.votes
            if draw(st.booleans())
        ]
        return tuple(inserts), tuple(updates)

    def key(self, row_id: str) -> Mapping[str, Any]:
        return {"tenant": self.snapshot.run.tenant, "id": row_id}

    def call_values(self) -> dict[str, Any]:
        draw = self.data.draw
        return {
            "status": draw(st.sampled_from(["intent", "failed", "canceled"])),
            "error": draw(st.none() | TEXTS),
            "end_fence": 0,
            "resolved_by": "test",
        }


def test_what_was_folded_is_what_is_stored(database_url: str) -> None:
    with asyncio.Runner() as runner:
        database = Database(database_url)

        @given(st.data())
        @settings(max_examples=8)
        def one_run(data: st.DataObject) -> None:
            runner.run(_walk(database, data))

        try:
            one_run()
            # Walks go anywhere the table allows, with calls in any condition; chains and transitions must hold.
            assert [] == [line for line in runner.run(broken(database)) if line.split(":")[0] in _OF_THE_CHAIN]
        finally:
            runner.run(database.close())


_OF_THE_CHAIN = ("I1", "I2", "I3", "I4", "I5", "I6")


async def _walk(database: Database, data: st.DataObject) -> None:
    run_id = IDS.run()
    await database.journal.commit(accept(a_request(), run_id=run_id, salt=SALT, now_ms=NOW_MS))
    here = Walk(await stored(database, run_id), data)
    for _ in range(data.draw(st.integers(1, 5))):
        made = here.next()
        assert Landed(here.snapshot.run.version + 1) == await database.journal.commit(made)
        here.snapshot = here.snapshot.folded(made)
        assert here.snapshot == await stored(database, run_id)


@pytest.mark.parametrize("number", [0, 2**53 - 1, 2**62, -1])
async def test_numbers_come_back_as_they_went_in(database: Database, number: int) -> None:
    run_id = IDS.run()
    await database.journal.commit(accept(a_request(), run_id=run_id, salt=SALT, now_ms=NOW_MS))
    now = await stored(database, run_id)
    made = change(now, (), now_ms=NOW_MS, run={"cost_micro_usd": number})
    assert isinstance(await database.journal.commit(made), Landed)
    assert number == (await stored(database, run_id)).run.cost_micro_usd


@pytest.mark.parametrize(
    "text", ["", "{}", "null", '"', "\\u0000", "'; DROP TABLE runs; --", "a\u2028b", "🏗️", "\x7f\x01"]
)
async def test_texts_come_back_as_they_went_in(database: Database, text: str) -> None:
    run_id = IDS.run()
    asked = replace(a_request(), text=text)
    assert isinstance(await database.journal.commit(accept(asked, run_id=run_id, salt=SALT, now_ms=NOW_MS)), Landed)
    now = await stored(database, run_id)
    assert text == now.run.text
    made = change(
        now, (), now_ms=NOW_MS, run={"outcome": text}, inserts=(inserted("tool_calls", call_row(now.run, title=text)),)
    )
    assert isinstance(await database.journal.commit(made), Landed)
    assert now.folded(made) == await stored(database, run_id)
