"""Two contracts of a channel: in which parts one is wider, and that what holds by both lets nothing more through."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.actions.contract import Contract
from core.actions.narrowing import both, covers_place, covers_tool, wider
from core.actions.policy import Approvers
from core.tools.reach import Bound, OutOfReach, Reach, check_bounds

OPS = Contract("#ops")
ROLES, PEOPLE = Approvers(frozenset({"a", "b"})), Approvers(frozenset({"a"}), frozenset({"ana"}))


@pytest.mark.parametrize(
    ("part", "less", "more"),
    [
        ("agents", (), ("triage",)),
        ("agents", ("triage",), ("repo", "triage")),
        ("tools", ("files.read", "shell"), ("files.*", "shell")),
        ("tools", ("files.*",), ("*",)),
        ("network", ("a.example:443",), ("a.example",)),
        ("network", ("*.b.example", "x.a.example"), ("*.example",)),
        ("network", ("file:/srv/git",), ("*", "file:/srv")),
        ("network", ("a.example",), ("*",)),
        ("budget", "0.50", "1.00"),
        ("budget", "0.00", "0.01"),
        ("approvers", Approvers(frozenset({"a"})), ROLES),
        ("approvers", ROLES.narrowed(PEOPLE), ROLES),
    ],
)
def test_a_part_that_lets_more_through_is_wider_and_the_narrower_one_holds(
    part: str, less: object, more: object
) -> None:
    narrow, wide = (replace(OPS, **{part: each}) for each in (less, more))  # type: ignore[arg-type]

    for one, other in ((narrow, wide), (narrow, OPS), (wide, OPS)):
        assert ((part,), ()) == (wider(other, one), wider(one, other))
        assert one.digest == both(one, other).digest == both(other, one).digest
    assert () == wider(narrow, narrow)
    assert narrow == both(narrow, narrow)


def test_what_neither_covers_is_let_through_by_neither() -> None:
    one = Contract(
        "#ops", "triage", ("triage", "repo"), ("files.*", "shell"), "0.50", ROLES, ("a.example", "b.example")
    )
    other = Contract(
        "#ops", "repo", ("repo", "report"), ("files.read", "http"), "0.20", PEOPLE, ("*.example", "b.example")
    )
    found = both(one, other)

    assert ("agents", "tools", "network", "budget", "approvers") == wider(replace(one, network=("c.test",)), other)
    assert (("repo",), ("files.read",), "0.20") == (found.agents, found.tools, found.budget)
    assert found.agent is None, "its own default may not be asked for any more"
    assert found.approvers is not None and found.approvers.admits("ana", frozenset({"b"}))
    assert not found.approvers.admits("ben", frozenset({"b"}))


def test_another_default_is_no_wider_contract() -> None:
    assert () == wider(replace(OPS, agent="triage"), replace(OPS, agent="repo"))
    assert "triage" == both(replace(OPS, agent="triage"), replace(OPS, agent="repo")).agent
    assert None is both(OPS, replace(OPS, agent="repo")).agent


@pytest.mark.parametrize(
    ("place", "other", "covered"),
    [
        ("A.example", "a.EXAMPLE", True),
        ("*.example", "example", False),
        ("*.example", "badexample", False),
        ("a.example", "*.a.example", False),
        ("a.example:443", "a.example", False),
        ("a.example:443", "a.example:8443", False),
        ("*.example:443", "*.a.example:443", True),
        ("[::1]", "[::1]:80", True),
        ("[::1]:80", "[::1]", False),
        ("file:/srv", "file:/srv/a", True),
        ("file:/srv/", "file:/srv", True),
        ("file:/srv", "file:/srv2", False),
        ("file:/Srv", "file:/srv", False),
        ("file:/", "file:/etc", True),
        ("file:/", "*", False),
        ("*", "file:/", False),
        ("a.example", "*", False),
    ],
)
def test_a_place_covers_another_as_it_is_written(place: str, other: str, covered: bool) -> None:
    assert covered is covers_place(place, other)


TOOLS = ("shell", "files.*", "files.read", "mcp.notes.*", "mcp.notes.do", "mcp.*", "*")
PLACES = ("a.example", "a.example:443", "*.example", "*.example:443", "b.a.example:80", "*.a.example", "*", "file:/srv")
HOSTS = ("a.example:443", "a.example:80", "b.a.example:443", "b.a.example:80", "example:443", "c.test:443")
CALLED = ("shell", "files.read", "files.write", "mcp.notes.do", "mcp.other.do", "http")


def some(names: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...] | None]:
    return st.none() | st.lists(st.sampled_from(names), max_size=3).map(tuple)


CONTRACTS = st.builds(
    Contract,
    channel=st.just("#ops"),
    agent=st.none() | st.sampled_from(("a", "b")),
    agents=some(("a", "b", "c")),
    tools=some(TOOLS),
    budget=st.none() | st.sampled_from(("0.10", "0.50", "2.00")),
    approvers=st.none()
    | st.builds(Approvers, st.frozensets(st.sampled_from("ab")), st.frozensets(st.sampled_from(("ana", "ben")))),
    network=some(PLACES),
)


def lets(contract: Contract) -> set[str]:
    """Everything of a small world that a contract lets through."""
    reach = Reach(bounds=() if contract.network is None else (Bound("It", contract.network),))
    found = {f"agent {each}" for each in "abc" if contract.bars_agent(each) is None}
    found |= {f"tool {each}" for each in CALLED if contract.bars_tool(each) is None}
    for host in HOSTS:
        try:
            check_bounds(reach, host)
        except OutOfReach:
            continue
        found.add(f"host {host}")
    most = contract.budget_micro_usd
    found |= {f"spend {each}" for each in (100_000, 500_000, 2_000_000, 3_000_000) if most is None or each <= most}
    for who in ("ana", "ben", "cat"):
        for roles in (frozenset[str](), frozenset("a"), frozenset("b")):
            if contract.approvers is None or contract.approvers.admits(who, roles):
                found.add(f"vote {who} {sorted(roles)}")
    return found


@given(CONTRACTS, CONTRACTS)
def test_what_holds_by_both_lets_nothing_through_that_one_of_them_does_not(one: Contract, other: Contract) -> None:
    found = both(one, other)

    assert lets(found) <= lets(one) & lets(other)
    assert found.agent is None or found.bars_agent(found.agent) is None
    if not wider(one, other):
        assert lets(one) <= lets(other)
        assert one == replace(found, agent=one.agent)


@given(st.sampled_from(TOOLS), st.sampled_from(TOOLS))
def test_a_pattern_that_covers_another_lets_through_all_that_it_does(pattern: str, other: str) -> None:
    if covers_tool(pattern, other):
        assert lets(Contract("#ops", tools=(other,))) <= lets(Contract("#ops", tools=(pattern,)))
