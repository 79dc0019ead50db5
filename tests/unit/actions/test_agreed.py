"""The file's contract and the accepted one: which holds, and which has to be accepted."""

from collections.abc import Mapping

import pytest

from core.actions.agreed import BESIDE, FIRST, Agreed, all_standings, held, in_channel, standing, waits
from core.actions.contract import Contract
from core.principals import Principal
from core.record.changes import Refusal
from core.runs.commands.agree import Agreement, accept, first

ACCEPTED = Contract("#ops", tools=("look", "shell"), budget="0.50")
NARROWER = Contract("#ops", tools=("look",), budget="0.50")
WIDER = Contract("#ops", tools=("look", "http"), budget="1.00")
OLGA = Principal("olga", frozenset({"operator"}))


def agreed(
    contract: Contract | None = ACCEPTED, *, channel: str = "#ops", by: str = "olga", version: int = 1
) -> Agreed:
    return Agreed(channel, version, contract, by, 1_000)


@pytest.mark.parametrize(
    ("written", "accepted", "stands", "holds"),
    [
        (ACCEPTED, None, "new", ACCEPTED),
        (ACCEPTED, agreed(None), "new", ACCEPTED),
        (ACCEPTED, agreed(), "accepted", ACCEPTED),
        (Contract("#ops", tools=("shell", "look"), budget="0.50"), agreed(), "accepted", ACCEPTED),
        (NARROWER, agreed(), "within", NARROWER),
        (WIDER, agreed(), "wider", NARROWER),
        (Contract("#ops"), agreed(), "wider", ACCEPTED),
        (None, agreed(), "removed", ACCEPTED),
        (None, agreed(None), None, None),
        (None, None, None, None),
    ],
)
def test_what_is_narrower_holds_at_once_and_what_is_wider_once_it_is_accepted(
    written: Contract | None, accepted: Agreed | None, stands: str | None, holds: Contract | None
) -> None:
    found = held(written, accepted)

    assert stands == standing(written, accepted)
    assert (None if holds is None else holds.digest) == (None if found is None else found.digest)
    sentence = waits(written, accepted)
    assert (stands in ("wider", "removed")) is (sentence is not None)
    assert sentence is None or 'until an operator says `banksman channel accept "#ops"`' in sentence


def test_the_parts_that_are_wider_are_named() -> None:
    assert "wider in the file than the accepted one (`tools`, `budget`)" in str(waits(WIDER, agreed()))


BY_ID = Contract("C1", tools=("look", "http"))


@pytest.mark.parametrize(
    ("known", "tools"),
    [
        ({}, ("look", "http")),
        ({"C1": agreed(BY_ID, channel="C1", by=FIRST), "#ops": agreed()}, ("look", "http")),
        ({"#ops": agreed()}, ("look",)),
        ({"C1": agreed(BY_ID, channel="C1", by=BESIDE), "#ops": agreed()}, ("look",)),
        ({"C1": agreed(BY_ID, channel="C1"), "#ops": agreed()}, ("look", "http")),
    ],
    ids=["both are new", "both were first", "not seen yet", "written beside the name", "accepted"],
)
def test_an_id_written_later_than_a_name_does_not_undo_what_was_agreed_by_name(
    known: Mapping[str, Agreed], tools: tuple[str, ...]
) -> None:
    found = in_channel("C1", "#ops", {"C1": BY_ID, "#ops": ACCEPTED}, known)

    assert found is not None and tools == found.tools
    assert ACCEPTED == in_channel("C2", "#ops", {"C1": BY_ID, "#ops": ACCEPTED}, known)
    assert None is in_channel("C2", "#", {"C1": BY_ID}, {})


def test_a_contract_that_is_gone_from_the_file_holds_by_its_name() -> None:
    assert ACCEPTED == in_channel("C1", "#ops", {}, {"#ops": agreed()})
    assert {"#ops": "removed"} == all_standings({}, {"#ops": agreed(), "#old": agreed(None, channel="#old")})


def test_only_an_operator_accepts() -> None:
    for who in (Principal("ana", frozenset({"approver"})), Principal("olga", OLGA.roles, external=True)):
        found = accept("#ops", WIDER, agreed(), tenant="t", by=who, now_ms=1)
        assert isinstance(found, Refusal) and "not-allowed" == found.why


def test_a_version_is_one_more_than_what_was_looked_at_and_names_who_accepted_it() -> None:
    done = accept("#ops", WIDER, agreed(version=4), tenant="t", by=OLGA, now_ms=7)

    assert isinstance(done, Agreement)
    document, row = done.inserts
    assert (WIDER.digest, WIDER.text) == (document.values["digest"], document.values["body"])
    assert {
        "tenant": "t",
        "channel": "#ops",
        "version": 5,
        "digest": WIDER.digest,
        "changed_by": "olga",
        "at": 7,
    } == row.values


def test_what_an_operator_has_accepted_is_not_accepted_again_and_a_first_one_may_be() -> None:
    already = accept("#ops", ACCEPTED, agreed(), tenant="t", by=OLGA, now_ms=1)
    nothing = accept("#ops", None, None, tenant="t", by=OLGA, now_ms=1)

    assert isinstance(already, Refusal) and "already" == already.why
    assert isinstance(nothing, Refusal) and "not-found" == nothing.why
    assert isinstance(accept("#ops", ACCEPTED, agreed(by=FIRST), tenant="t", by=OLGA, now_ms=1), Agreement)


def test_a_first_contract_is_taken_as_accepted_and_no_other_is() -> None:
    def by(channel: str, written: Contract, known: Mapping[str, Agreed]) -> str | None:
        found = first(channel, written, known, tenant="t", now_ms=1)
        return None if found is None else found.inserts[-1].values["changed_by"]

    assert (FIRST, FIRST) == (by("#ops", ACCEPTED, {}), by("C1", BY_ID, {}))
    assert BESIDE == by("C1", BY_ID, {"#ops": agreed()})
    assert FIRST == by("C1", BY_ID, {"#ops": agreed(None), "C2": agreed(channel="C2")})
    assert FIRST == by("#ops", ACCEPTED, {"#ops": agreed(None), "#data": agreed(channel="#data")})
    assert None is by("#ops", WIDER, {"#ops": agreed()})
