"""Accepted contracts as rows: the last version counts, of two who accept at once one is refused, nothing is lost."""

import asyncio

import pytest
from sqlalchemy import delete, select

from core.actions.agreed import BESIDE, FIRST
from core.actions.contract import Contract
from core.actions.policy import Approvers
from core.errors import BanksmanError
from core.ids import TENANT
from core.principals import Principal
from core.record.changes import Refusal
from core.runs import agreeing
from core.runs.commands.agree import Agreement
from core.store import agreements
from core.store.session import Database
from core.store.tables import contracts, documents
from tests.invariants import broken

OPS = Contract("#ops", "triage", ("triage",), ("look",), "0.50", Approvers(frozenset({"on-call"})), ("a.example",))
WIDER = Contract("#ops", budget="1.00")
OLGA = Principal("olga", frozenset({"operator"}), via="cli:1000@host")


async def first(database: Database, *written: Contract, now_ms: int = 1) -> None:
    await agreeing.note_first(database, TENANT, {each.channel: each for each in written}, now_ms=now_ms)


async def test_a_first_contract_is_read_back_whole_and_a_changed_one_is_no_first_one(database: Database) -> None:
    await first(database, OPS)
    await first(database, WIDER, now_ms=2)

    (found,) = (await agreements.latest(database, TENANT)).values()
    assert (1, FIRST, 1, OPS) == (found.version, found.by, found.at_ms, found.contract)
    assert {} == await agreements.latest(database, "another")
    assert [] == await broken(database)


async def test_what_an_operator_accepts_counts_from_then_on_and_the_versions_before_stay(database: Database) -> None:
    await first(database, OPS)
    for written, channel in ((WIDER, "#ops"), (None, "#ops"), (OPS, "#ops")):
        seen = (await agreements.latest(database, TENANT)).get(channel)
        done = await agreeing.accept(database, TENANT, channel, written, seen, by=OLGA, now_ms=5)
        assert isinstance(done, Agreement), done
        found = (await agreements.latest(database, TENANT))[channel]
        assert (written, "olga via cli:1000@host") == (found.contract, found.by)

    async with database.read() as connection:
        rows = (await connection.execute(select(contracts).order_by(contracts.c.version))).all()
    assert [(1, OPS.digest), (2, WIDER.digest), (3, "none"), (4, OPS.digest)] == [
        (row.version, row.digest) for row in rows
    ]


async def test_of_two_who_accept_what_they_saw_at_once_one_is_refused(database: Database) -> None:
    await first(database, OPS)
    seen = (await agreements.latest(database, TENANT))["#ops"]
    written = [Contract("#ops", budget=f"{number}.00") for number in range(1, 5)]
    done = await asyncio.gather(
        *(agreeing.accept(database, TENANT, "#ops", each, seen, by=OLGA, now_ms=5) for each in written)
    )

    (landed,) = [each for each, end in zip(written, done, strict=True) if isinstance(end, Agreement)]
    assert ["already"] * 3 == [each.why for each in done if isinstance(each, Refusal)]
    assert landed == (await agreements.latest(database, TENANT))["#ops"].contract


async def test_bots_that_see_a_first_contract_at_once_write_it_down_once(database: Database) -> None:
    await asyncio.gather(*(first(database, OPS, Contract("C1")) for _ in range(4)))
    await first(database, OPS, Contract("C1"), Contract("C2"))

    found = await agreements.latest(database, TENANT)
    assert {"#ops": (1, FIRST), "C1": (1, FIRST), "C2": (1, BESIDE)} == {
        name: (each.version, each.by) for name, each in found.items()
    }


async def test_an_accepted_contract_whose_text_is_gone_is_not_taken_for_none(database: Database) -> None:
    await first(database, OPS)
    async with database.begin() as connection:
        await connection.execute(delete(documents))

    with pytest.raises(BanksmanError, match="The accepted contract of #ops is not among the documents any more"):
        await agreements.latest(database, TENANT)
