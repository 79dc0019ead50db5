"""Events: their bytes, their chain, and what a reader of the chain notices."""

import json
from dataclasses import replace
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from core.actions.envelope import NotCanonical
from core.principals import Actor
from core.record.events import EVENT_TYPES, GENESIS, ChainHead, Event, EventDraft, event_hash, seal
from core.record.states import RunState
from core.store.statements import event_row
from tests.invariants import broken_chains

ACTORS = st.builds(Actor, st.sampled_from(["human", "agent", "system"]), st.text("abc:/@.", min_size=1, max_size=12))
DRAFTS = st.builds(
    EventDraft,
    st.sampled_from(sorted(EVENT_TYPES)),
    ACTORS,
    st.just("sha256:policy"),
    st.none() | st.sampled_from(RunState),
    st.none() | st.sampled_from(RunState),
    st.none() | st.just("model-1"),
    st.lists(
        st.dictionaries(st.text("ab", min_size=1, max_size=3), st.integers(0, 9) | st.text("xyz")), max_size=3
    ).map(tuple),
)
CHAINS = st.lists(st.tuples(DRAFTS, st.integers(0, 10_000), st.integers(0, 5)), min_size=1, max_size=6)


def chained(links: list[tuple[EventDraft, int, int]]) -> list[Event]:
    events: list[Event] = []
    head, fence = ChainHead(), 0
    for draft, at_ms, more in links:
        fence += more
        sealed, head = seal(head, (draft,), tenant="main", stream="run_1", fence=fence, at_ms=at_ms)
        events += sealed
    return events


def rows(events: list[Event]) -> list[dict[str, Any]]:
    return [event_row(event) for event in events]


@given(CHAINS)
@settings(max_examples=60)
def test_a_sealed_chain_holds(links: list[tuple[EventDraft, int, int]]) -> None:
    events = chained(links)
    assert [] == broken_chains(rows(events))
    assert list(range(1, len(links) + 1)) == [event.seq for event in events]
    assert GENESIS == events[0].prev_hash
    for event in events:
        assert rfc8785.dumps(json.loads(event.body)) == event.body.encode()


@given(CHAINS, st.data())
@settings(max_examples=150)
def test_changing_any_byte_of_any_event_is_noticed(
    links: list[tuple[EventDraft, int, int]], data: st.DataObject
) -> None:
    listed = rows(chained(links))
    row = data.draw(st.sampled_from(listed))
    column = data.draw(st.sampled_from(sorted(row)))
    old = row[column]
    if isinstance(old, str) and old:
        at = data.draw(st.integers(0, len(old) - 1))
        new = data.draw(st.sampled_from("abc019").filter(lambda char: char != old[at]))
        row[column] = old[:at] + new + old[at + 1 :]
    else:
        row[column] = {int: lambda: old + 1, str: lambda: "x", type(None): lambda: "created"}[type(old)]()
    assert _noticed(listed)


def _noticed(listed: list[dict[str, Any]]) -> bool:
    try:
        return bool(broken_chains(listed))
    except ValueError:  # not JSON any more
        return True


@given(CHAINS.filter(lambda links: len(links) > 1), st.data())
@settings(max_examples=40)
def test_leaving_out_swapping_or_doubling_events_is_noticed(
    links: list[tuple[EventDraft, int, int]], data: st.DataObject
) -> None:
    listed = rows(chained(links))
    at = data.draw(st.integers(0, len(listed) - 2))
    assert broken_chains(listed[:at] + listed[at + 1 :])
    assert broken_chains([*listed[:at], listed[at + 1], listed[at], *listed[at + 2 :]])
    assert broken_chains([*listed[: at + 1], *listed[at:]])


def test_a_chain_that_was_computed_anew_after_an_edit_is_another_chain() -> None:
    draft = EventDraft("state", Actor.system("worker:w1"), "p", None, RunState.CREATED)
    one = chained([(draft, 1, 0), (draft, 2, 0)])
    other = chained([(replace(draft, actor=Actor.system("worker:w2")), 1, 0), (draft, 2, 0)])
    assert [] == broken_chains(rows(other))
    assert one[-1].hash != other[-1].hash


def test_time_never_goes_back_within_a_stream() -> None:
    draft = EventDraft("state", Actor.system("worker:w1"), "p", None, RunState.CREATED)
    assert [500, 500, 700] == [event.at_ms for event in chained([(draft, 500, 0), (draft, 100, 0), (draft, 700, 0)])]


def test_several_drafts_are_sealed_in_order_onto_the_head() -> None:
    drafts = [EventDraft(name, Actor.system("a"), "p") for name in ("call-proposed", "call-started")]
    head = ChainHead(7, "ab" * 32, 9)
    events, after = seal(head, drafts, tenant="main", stream="run_1", fence=3, at_ms=5)
    assert [("call-proposed", 8, 9), ("call-started", 9, 9)] == [(e.draft.type, e.seq, e.at_ms) for e in events]
    assert ("ab" * 32, events[0].hash) == (events[0].prev_hash, events[1].prev_hash)
    assert ChainHead(9, events[1].hash, 9) == after


def test_sealing_nothing_leaves_the_head_as_it_was() -> None:
    head = ChainHead(7, "ab" * 32, 9)
    assert ((), head) == seal(head, (), tenant="main", stream="run_1", fence=3, at_ms=5)


@pytest.mark.parametrize("part", ["tenant", "stream"])
def test_the_same_event_of_another_tenant_or_run_has_another_hash(part: str) -> None:
    draft = EventDraft("state", Actor.system("a"), "p", None, RunState.CREATED)
    where = {"tenant": "main", "stream": "run_1"}
    (one,), _ = seal(ChainHead(), (draft,), fence=0, at_ms=1, **where)
    (other,), _ = seal(ChainHead(), (draft,), fence=0, at_ms=1, **(where | {part: "other"}))
    assert one.hash != other.hash


def test_evidence_without_a_single_form_is_refused() -> None:
    draft = EventDraft("state", Actor.system("a"), "p", evidence=({"cost": 0.5},))
    with pytest.raises(NotCanonical, match="floating-point"):
        seal(ChainHead(), (draft,), tenant="main", stream="run_1", fence=0, at_ms=1)


def test_the_bytes_and_hash_of_event_version_1() -> None:
    """The format is final: this never changes with the code."""
    draft = EventDraft(
        "state",
        Actor("human", "ana via cli:1000@host"),
        "sha256:policy",
        RunState.PLANNING,
        RunState.EXECUTING,
        "model-1",
        ({"call": "call_1"}, {"digest": "sha256:00"}),
    )
    (event,), _ = seal(ChainHead(4, "cd" * 32, 10), (draft,), tenant="main", stream="run_1", fence=2, at_ms=11)
    assert (
        '{"actor":{"id":"ana via cli:1000@host","kind":"human"},"at":11,"evidence":[{"call":"call_1"},'
        '{"digest":"sha256:00"}],"fence":2,"from":"planning","model":"model-1","policy":"sha256:policy",'
        '"prev_hash":"'
        + "cd" * 32
        + '","seq":5,"stream":"run_1","tenant":"main","to":"executing","type":"state","v":1}'
    ) == event.body
    assert EVENT_HASH == event.hash == event_hash(event.body.encode())


EVENT_HASH = "c90e007b1003357cb0ee2c7cb872812f183cdc56cad8d99d2f842bca8a00e0fc"
