"""A channel's contract as a value: what it lets through, and what makes it another one."""

import pytest

from core.actions.contract import Contract

OPS = Contract("#ops", "triage", ("triage", "repo"), ("files.*", "git_push"), "0.50")


@pytest.mark.parametrize(
    ("tool", "let"),
    [("files.read", True), ("git_push", True), ("git_push.undo", True), ("shell", False), ("files", False)],
)
def test_a_tool_is_let_through_by_name_or_pattern_and_what_undoes_it_with_it(tool: str, let: bool) -> None:
    assert let is (OPS.bars_tool(tool) is None)


def test_what_is_left_out_narrows_nothing_and_an_empty_list_lets_nothing_through() -> None:
    open_, shut = Contract("C1"), Contract("C1", agents=(), tools=())

    assert None is open_.bars_tool("shell") is open_.bars_agent("repo") is open_.budget_micro_usd
    assert "The contract of this channel does not let its runs use `shell`; it names none." == shut.bars_tool("shell")
    assert "`repo` may not be asked for in this channel: its contract names none." == shut.bars_agent("repo")


def test_it_is_stored_and_read_back_whole_and_the_order_of_names_is_no_version() -> None:
    turned = Contract("#ops", "triage", ("repo", "triage"), ("git_push", "files.*"), "0.50")

    assert OPS.digest == turned.digest == Contract.from_json(OPS.to_json()).digest
    assert Contract("C1") == Contract.from_json(Contract("C1").to_json())
    assert Contract("C1", tools=()) == Contract.from_json(Contract("C1", tools=()).to_json())
    assert 4 == len({each.digest for each in (OPS, Contract("#ops"), Contract("#ops", tools=()), Contract("C1"))})
