"""Runs asked for in a channel with a contract: what it forbids is refused, then and later, to whoever plans."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import select

from core.actions.contract import Contract
from core.actions.policy import Approvers
from core.config.load import parse_config
from core.execution.base import ProcessSpec
from core.execution.outside import outside_environment
from core.ids import TENANT
from core.principals import Principal
from core.record.changes import Decided, Refusal
from core.runs import allowance, reading
from core.runs.toolbox import DeclaredTool
from core.store.tables import runs
from core.tools.base import Prepared, ToolContext, ToolResult
from core.tools.reach import check_name
from tests.integration.tools.http.server import Server, answer
from tests.integration.worker.conftest import Probe, Rig, agent_document, step, succeed
from tests.integration.worker.voting import BEN, vote
from tests.invariants import broken
from worker.wiring import toolbox

LOOKS = Contract("#ops", tools=("look",))
BARRED = "The contract of #ops does not let its runs use `shell`; it names `look`."


@pytest.fixture
async def shell(rig: Rig) -> Probe:
    rig.tool("look", succeed, tier="read", recovery="pure")
    rig.tool("delegate", succeed, tier="read")
    probe = rig.tool("shell", succeed, tier="workspace")
    await rig.start()
    return probe


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(answer("200 OK", b"there"))
    yield server
    server.close()


class Declaring(Probe):
    """A tool that says before anybody is asked where it will connect to."""

    async def prepare(self, args: BaseModel, context: ToolContext) -> Prepared:
        return Prepared({}, "Pay", network=("pay.example:443",))


async def test_a_playbook_calls_only_what_the_contract_names(rig: Rig, shell: Probe) -> None:
    run_id = await rig.ask(step("a", "look"), step("b", "shell"), contract=LOOKS)
    shown = await rig.drive(run_id)

    assert ("failed", True) == (shown.state, BARRED in str(shown.outcome))
    assert ["succeeded", "canceled"] == [each.status for each in shown.actions]
    assert [] == shell.contexts
    assert [] == await broken(rig.database)


async def test_a_model_is_told_what_the_contract_forbids_and_goes_on(rig: Rig, shell: Probe) -> None:
    turns: list[dict[str, Any]] = [
        {"calls": [{"id": "a", "tool": "shell"}]},
        {"calls": [{"tool": "look"}]},
        {"text": "It said: ${{ steps.a.error }}"},
    ]
    more: dict[str, Any] = {"tools": ("look", "shell"), "channel": "C1", "contract": LOOKS}
    run_id = await rig.ask_agent("Go.", models=[{"turns": turns}], **more)
    shown = await rig.drive(run_id)

    assert ("completed", True) == (shown.state, BARRED in str(shown.outcome))
    assert [] == shell.contexts


async def test_a_run_pins_the_contract_by_digest_and_shows_it(rig: Rig, shell: Probe) -> None:
    run_id = await rig.ask(step("a", "look"), contract=LOOKS)
    shown = await rig.drive(run_id)
    created = (await reading.log(rig.database, TENANT, run_id))[0]

    assert rig.station is not None
    document = await rig.station.documents.find(TENANT, LOOKS.digest)
    assert document is not None and LOOKS == Contract.from_json(json.loads(document.body))
    assert {"contract": LOOKS.digest} in [dict(each) for each in created.evidence]
    assert LOOKS.digest == shown.full_json()["run"]["contract"]["digest"]


async def test_a_wider_contract_is_not_for_runs_that_were_accepted_before_it(rig: Rig, shell: Probe) -> None:
    rig.contracts = {"#ops": Contract("#ops")}
    run_id = await rig.ask(step("b", "shell"), contract=LOOKS)

    assert "failed" == (await rig.drive(run_id)).state
    assert [] == shell.contexts


@pytest.mark.parametrize("at", ["#ops", "C1"])
async def test_a_narrower_contract_holds_at_the_next_start(rig: Rig, shell: Probe, at: str) -> None:
    run_id = await rig.ask(step("b", "shell"), contract=Contract("#ops"))
    rig.contracts = {at: Contract(at, tools=("look",))}

    assert "does not let its runs use `shell`" in str((await rig.drive(run_id)).outcome)
    assert [] == shell.contexts


async def test_what_a_channel_no_longer_lets_be_asked_for_starts_nothing_more(rig: Rig, shell: Probe) -> None:
    run_id = await rig.ask(step("b", "shell"), contract=Contract("#ops"))
    rig.contracts = {"#ops": Contract("#ops", agents=("other",))}

    assert "`probe` may not be asked for in #ops" in str((await rig.drive(run_id)).outcome)
    assert [] == shell.contexts


async def test_an_approved_call_does_not_start_once_the_contract_forbids_it(rig: Rig) -> None:
    push = rig.tool("push", succeed, tier="compensable")
    await rig.start()
    run_id = await rig.ask(step("b", "push"), contract=Contract("#ops"))
    await rig.drive(run_id)
    await vote(rig, run_id, BEN)
    rig.contracts = {"#ops": LOOKS}
    shown = await rig.drive(run_id)

    assert "failed" == shown.state
    assert [] == push.contexts
    assert [] == await broken(rig.database)


async def test_a_run_below_is_bound_by_the_contract_of_the_one_above(rig: Rig, shell: Probe) -> None:
    counts = [{"calls": [{"id": "a", "tool": "shell"}]}, {"text": "${{ steps.a.error }}"}]
    counter = agent_document(models=[{"turns": counts}], tools=("shell",), name="counter", budget="0.40")
    turns = [{"calls": [{"tool": "delegate", "with": {"agent": "counter", "request": "Go."}}]}, {"text": "Done."}]
    more: dict[str, Any] = {"tools": ("look", "shell"), "delegates": {"counter": counter}}
    run_id = await rig.ask_agent("Go.", models=[{"turns": turns}], channel="C1", contract=LOOKS, **more)
    await rig.drive(run_id)
    async with rig.database.read() as connection:
        below = (await connection.execute(select(runs.c.id).where(runs.c.parent_id == run_id))).scalar_one()
    shown = await rig.drive(below)

    assert LOOKS == allowance.of(await rig.row(below)).contract
    assert BARRED in str(shown.outcome)
    assert [] == shell.contexts


@pytest.mark.parametrize(("came_of_it", "ends"), [("failed-safe", "failed"), ("unknown", "unknown")])
async def test_a_call_is_not_tried_again_once_the_contract_forbids_it(rig: Rig, came_of_it: Any, ends: str) -> None:
    async def narrow(probe: Probe, context: ToolContext) -> ToolResult:
        rig.contracts = {"#ops": LOOKS}
        return ToolResult(came_of_it, error="it was refused", retry_after_s=0)

    probe = rig.tool("shell", narrow, tier="workspace", recovery="idempotent")
    await rig.start()
    run_id = await rig.ask(step("a", "shell"), contract=Contract("#ops"))
    await rig.drive(run_id)
    await rig.drive(run_id)

    (call,) = (await rig.row(run_id)).calls
    assert (ends, 1, 1) == (call.status, call.attempts, len(probe.contexts))
    assert f"it is not tried again: {BARRED}" in str(call.error)
    assert [] == await broken(rig.database)


ON_CALL = Contract("#ops", approvers=Approvers(frozenset({"on-call"})))
CAROL = Principal("carol", frozenset({"approver", "on-call"}))


async def test_whoever_decides_has_to_be_admitted_by_the_policy_and_the_contract(rig: Rig) -> None:
    push = rig.tool("push", succeed, tier="compensable")
    await rig.start()
    run_id = await rig.ask(step("b", "push"), contract=ON_CALL)
    await rig.drive(run_id)
    refused = await vote(rig, run_id, BEN)

    assert isinstance(refused, Refusal) and "the role on-call" in refused.text
    assert isinstance(await vote(rig, run_id, CAROL), Decided)
    assert "completed" == (await rig.drive(run_id)).state
    assert 1 == len(push.contexts)
    assert [] == await broken(rig.database)


async def test_an_approval_holds_while_another_contract_asks_the_same_people(rig: Rig) -> None:
    push = rig.tool("push", succeed, tier="compensable")
    await rig.start()
    run_id = await rig.ask(step("b", "push"), contract=ON_CALL)
    await rig.drive(run_id)
    await vote(rig, run_id, CAROL)
    rig.contracts = {"#ops": replace(ON_CALL, budget="0.10")}

    assert "completed" == (await rig.drive(run_id)).state
    assert 1 == len(push.contexts)


async def test_an_approval_is_void_once_the_contract_asks_others(rig: Rig) -> None:
    push = rig.tool("push", succeed, tier="compensable")
    await rig.start()
    run_id = await rig.ask(step("b", "push"), contract=Contract("#ops"))
    await rig.drive(run_id)
    await vote(rig, run_id, BEN)
    rig.contracts = {"#ops": ON_CALL}

    assert "waiting-for-approval" == (await rig.drive(run_id)).state
    assert [] == push.contexts
    await vote(rig, run_id, CAROL)
    assert "completed" == (await rig.drive(run_id)).state
    assert [] == await broken(rig.database)


REACHES = Contract("#ops", network=("*.example.org:443", "api.example.com"))
BEYOND = "The contract of #ops does not let its runs reach {}; it names `*.example.org:443`, `api.example.com`."


async def reaching(probe: Probe, context: ToolContext) -> ToolResult:
    """Goes nowhere, and fails unless it may go to the host it is named after."""
    check_name(context.outside.reach, probe.name, 443)
    return ToolResult("succeeded")


async def test_a_tool_reaches_only_what_the_contract_names(rig: Rig) -> None:
    rig.tool("api.example.com", reaching, tier="read")
    beyond = rig.tool("example.org", reaching, tier="read")
    await rig.start()
    run_id = await rig.ask(step("a", "api.example.com"), step("b", "example.org"), contract=REACHES)
    shown = await rig.drive(run_id)

    assert ["succeeded", "failed"] == [each.status for each in shown.actions]
    assert BEYOND.format("example.org:443") in str(shown.outcome)
    assert 1 == len(beyond.contexts)
    assert REACHES == shown.contract and {"api.example.com", "*.example.org:443"} == set(
        shown.full_json()["run"]["contract"]["network"]
    )
    assert [] == await broken(rig.database)


async def test_a_narrower_network_holds_at_the_next_start_and_a_wider_one_does_not(rig: Rig) -> None:
    rig.tool("api.example.com", reaching, tier="read")
    await rig.start()
    wide = Contract("#ops", network=("*",))
    narrowed = await rig.ask(step("a", "api.example.com"), contract=wide)
    rig.contracts = {"#ops": Contract("#ops", network=())}
    assert "it names no place." in str((await rig.drive(narrowed)).outcome)

    widened = await rig.ask(step("a", "api.example.com"), contract=Contract("#ops", network=()))
    rig.contracts = {"#ops": wide}
    assert "it names no place." in str((await rig.drive(widened)).outcome)


@pytest.mark.parametrize("approved", [False, True], ids=["before it is asked about", "once it is approved"])
async def test_what_would_be_connected_to_is_looked_at_before_people_are_asked_and_again_before_it_starts(
    rig: Rig, approved: bool
) -> None:
    pay = Declaring("pay", succeed)
    rig.tools["pay"] = DeclaredTool(pay, "sha256:pay", "irreversible", "idempotent", 5)
    await rig.start()
    run_id = await rig.ask(step("a", "pay"), contract=Contract("#ops") if approved else REACHES)
    if approved:
        assert "waiting-for-approval" == (await rig.drive(run_id)).state
        await vote(rig, run_id, BEN)
        rig.contracts = {"#ops": REACHES}
    shown = await rig.drive(run_id)

    assert ("failed", True) == (shown.state, BEYOND.format("pay.example:443") in str(shown.outcome))
    assert [] == pay.contexts
    assert int(approved) == len(shown.approvals)
    assert [] == await broken(rig.database)


async def test_a_program_without_a_sandbox_is_not_started_where_a_contract_says_what_is_reached(rig: Rig) -> None:
    async def starts(probe: Probe, context: ToolContext) -> ToolResult:
        spec = ProcessSpec(argv=("true",), workspace=context.workspace, label=context.label)
        return ToolResult("failed", error=(await context.environment.run(spec)).detail)

    rig.tool("shell", starts)
    await rig.start()
    shown = await rig.drive(await rig.ask(step("a", "shell"), contract=REACHES))

    assert "A program without a sandbox has this machine's network" in str(shown.outcome)


async def test_a_request_is_held_to_the_contract_as_it_is_when_it_leaves(rig: Rig, server: Server) -> None:
    word = f'tools: {{http: {{tier: read, recovery: pure, network: ["{server.place}"]}}}}'
    config = parse_config(word.encode(), path=Path("banksman.yml"))
    rig.toolbox, rig.policy = toolbox(config), config.policy_text
    (rig.home / "spool").mkdir()
    rig.outside = outside_environment(rig.home / "spool", rig.home / "fences")
    await rig.start()
    get = {"with": {"method": "GET", "url": f"{server.url}/a"}}
    let = await rig.ask(step("a", "http", **get), contract=Contract("#ops", network=(server.place,)))
    assert "completed" == (await rig.drive(let)).state
    elsewhere = Contract("#ops", network=("127.0.0.1:1",))
    barred = await rig.ask(step("a", "http", **get), contract=elsewhere)

    assert f"does not let its runs reach {server.place}" in str((await rig.drive(barred)).outcome)
    assert 1 == len(server.requests)
