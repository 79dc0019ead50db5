"""A channel's contract as a value: what it lets through, and what makes it another one."""

import pytest

from core.actions.approvals import who_may
from core.actions.contract import Contract
from core.actions.policy import Approvers

ON_CALL = Approvers(frozenset({"on-call"}))
OPS = Contract("#ops", "triage", ("triage", "repo"), ("files.*", "git_push"), "0.50", ON_CALL, ("a.example", "*.b"))


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
    turned = Contract(
        "#ops", "triage", ("repo", "triage"), ("git_push", "files.*"), "0.50", ON_CALL, ("*.b", "a.example")
    )

    assert OPS.digest == turned.digest == Contract.from_json(OPS.to_json()).digest
    assert Contract("C1") == Contract.from_json(Contract("C1").to_json())
    assert Contract("C1", tools=()) == Contract.from_json(Contract("C1", tools=()).to_json())
    assert 4 == len({each.digest for each in (OPS, Contract("#ops"), Contract("#ops", tools=()), Contract("C1"))})


def test_narrowed_approvers_have_to_be_admitted_by_each_and_are_stored_whole() -> None:
    both = Approvers(frozenset({"approver"})).narrowed(Approvers(frozenset({"on-call"}), frozenset({"ben"})))
    all_three = both.narrowed(Approvers())

    assert both.admits("cat", frozenset({"approver", "on-call"})) and both.admits("ben", frozenset({"approver"}))
    assert not both.admits("cat", frozenset({"approver"})) and not both.admits("ben", frozenset({"on-call"}))
    assert not all_three.admits("ben", frozenset({"approver", "on-call"}))
    assert all_three == Approvers.from_json(all_three.to_json())
    assert "as far as the channel's contract admits them. It is for people with the role on-call, and ben." in who_may(
        both
    )
