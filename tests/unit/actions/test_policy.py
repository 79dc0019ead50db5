"""What may start, what asks, what never happens: decided by the operator's words alone, and always decided."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.actions.envelope import digest
from core.actions.policy import Approvers, Decision, PolicyError, Proposal, parse

ASK_TWO = {"name": "two", "decision": "ask", "tools": ["git_push"], "quorum": 2}


def policy(*rules: dict[str, Any], denials: list[dict[str, Any]] | None = None, **more: Any) -> str:
    return json.dumps({"policy": {"rules": list(rules), "denials": denials or [], **more}})


def decided(text: str, tool: str = "git_push", tier: str | None = "compensable", **fields: Any) -> Decision:
    values: dict[str, Any] = {"recovery": "opaque", "agent": "checkup", "environment": "default", "args": {}}
    return parse(text).decide(Proposal(tool, tier, **(values | fields)))


@pytest.mark.parametrize(
    ("tier", "verdict", "rule"),
    [
        ("read", "allow", "tier:read"),
        ("workspace", "allow", "tier:workspace"),
        ("compensable", "ask", "tier:compensable"),
        ("irreversible", "ask", "tier:irreversible"),
        (None, "ask", "unclassified"),
    ],
)
def test_without_rules_the_tier_decides(tier: str | None, verdict: str, rule: str) -> None:
    found = decided("{}", tier=tier)
    assert (verdict, rule) == (found.verdict, found.rule)
    assert (1, 86_400_000, 900_000, False) == (found.quorum, found.expires_ms, found.use_within_ms, found.self_ok)
    assert Approvers(frozenset({"approver"})) == found.approvers


def test_a_denial_is_lifted_by_nothing() -> None:
    allow = {"name": "go", "decision": "allow", "tools": ["*"]}
    found = decided(policy(ASK_TWO, allow, denials=[{"name": "no", "tools": ["git_*"], "reason": "Not here."}]))
    assert ("deny", "no", "Not here.") == (found.verdict, found.rule, found.why)


def test_a_rule_that_asks_goes_before_one_that_allows_wherever_it_stands() -> None:
    allow = {"name": "go", "decision": "allow", "tools": ["git_push"]}
    assert "two" == decided(policy(allow, ASK_TWO)).rule
    assert "allow" == decided(policy(allow)).verdict


def test_where_several_rules_ask_the_strictest_holds() -> None:
    hour = {"name": "hour", "decision": "ask", "tools": ["*"], "expires_ms": 3_600_000, "self_": "allowed"}
    named = {"roles": ["release"], "principals": ["ana"]}
    found = decided(policy(hour | {"approvers": named}, ASK_TWO | {"use_within_ms": 60_000}))
    assert ("hour", 2, 3_600_000, False) == (found.rule, found.quorum, found.expires_ms, found.self_ok)
    assert 60_000 == found.use_within_ms
    assert Approvers(frozenset({"release"}), frozenset({"ana"})) == found.approvers


def test_the_requester_may_decide_only_where_the_rule_says_so_and_it_can_be_undone() -> None:
    rule = {"name": "self", "decision": "ask", "tools": ["git_push"], "self_": "allowed"}
    assert decided(policy(rule)).self_ok
    assert decided(policy(rule), tier="workspace").self_ok
    assert not decided(policy(rule), tier="irreversible").self_ok
    assert not decided(policy(rule), tier=None).self_ok


@pytest.mark.parametrize(
    ("matcher", "fits"),
    [
        ({"tools": ["git_*"]}, True),
        ({"tools": ["http"]}, False),
        ({"tiers": ["compensable"]}, True),
        ({"tiers": ["irreversible"]}, False),
        ({"agents": ["checkup"]}, True),
        ({"environments": ["production"]}, False),
        ({"args": {"branch": ["release/*"]}}, True),
        ({"args": {"branch": ["main", "release/?.0"]}}, True),
        ({"args": {"branch": ["release"]}}, False),
        ({"args": {"branch": ["release/[1].0"]}}, False),
        ({"args": {"force": ["true"], "count": ["3"]}}, True),
        ({"args": {"options.dry": ["false"]}}, True),
        ({"args": {"missing": ["*"]}}, False),
        ({"args": {"nothing": ["*"]}}, False),
        ({"args": {"options.missing": ["*"]}}, False),
        ({"args": {"branch": ["RELEASE/*"]}}, False),
        ({"args": {"branch": ["*"], "count": ["3"]}}, True),
        ({"args": {"branch": ["*"], "count": ["4"]}}, False),
        ({"environments": ["d?fault"], "agents": ["check*"]}, True),
        ({"tools": ["git_push"], "agents": ["other"]}, False),
    ],
)
def test_every_matcher_of_a_rule_must_fit(matcher: dict[str, Any], fits: bool) -> None:
    args = {"branch": "release/1.0", "force": True, "count": 3, "options": {"dry": False}, "nothing": None}
    found = decided(policy({"name": "it", "decision": "allow", **matcher}), args=args)
    assert ("allow" if fits else "ask") == found.verdict


UNDECIDABLE = [["a"], {"b": 1}, "x" * 5000, 1.5, float("nan"), 2**53, 10**5000, b"main", ()]


@pytest.mark.parametrize("value", UNDECIDABLE, ids=lambda value: repr(value)[:9] if value != 10**5000 else "huge")
@pytest.mark.parametrize("decision", ["ask", "allow"])
def test_what_cannot_be_decided_is_denied(value: Any, decision: str) -> None:
    rule = {"name": "odd", "decision": decision, "tools": ["git_push"], "args": {"branch": ["main"]}}
    found = decided(policy(rule), args={"branch": value})
    assert ("deny", "odd") == (found.verdict, found.rule)
    assert "The rule cannot be decided: the argument `branch` " in found.why


@pytest.mark.parametrize("value", [[{"user": "root"}], '{"user": "root"}', 1])
def test_an_argument_inside_of_what_is_no_group_cannot_be_decided(value: Any) -> None:
    """A list of groups is not the same as no argument: a denial must not be stepped around by another shape."""
    found = decided(policy(denials=[{"name": "no-root", "args": {"json.user": ["root"]}}]), args={"json": value})
    assert ("deny", "no-root") == (found.verdict, found.rule)
    assert "the argument `json` is no group" in found.why


def test_a_rule_that_is_surely_about_another_call_need_not_be_decided() -> None:
    odd = {"a": [1], "b": "no"}
    for args in ({"a": ["x"], "b": ["yes"]}, {"b": ["yes"], "a": ["x"]}):
        assert "ask" == decided(policy({"name": "r", "decision": "allow", "args": args}), args=odd).verdict
    assert "ask" == decided(policy(denials=[{"name": "r", "tools": ["http"], "args": {"a": ["x"]}}]), args=odd).verdict


def test_an_undecidable_rule_counts_where_it_stands_in_the_order() -> None:
    odd = {"tools": ["git_push"], "args": {"branch": ["main"]}}
    allow, ask = {"name": "go", "decision": "allow", **odd}, {"name": "q", "decision": "ask", **odd}
    args: dict[str, Any] = {"branch": []}

    assert ("ask", "two") == rule_of(policy(ASK_TWO, allow), args=args), "an allowance is not looked at any more"
    assert ("deny", "q") == rule_of(policy(ASK_TWO, ask), args=args), "it could have been the stricter one"
    denials: list[dict[str, Any]] = [{"name": "no", "tools": ["*"]}, {"name": "odd", **odd}]
    assert ("deny", "no") == rule_of(policy(ask, denials=denials), args=args)
    assert ("deny", "odd") == rule_of(policy(ASK_TWO, denials=denials[1:]), args=args)


def rule_of(text: str, **fields: Any) -> tuple[str, str]:
    found = decided(text, **fields)
    return found.verdict, found.rule


@pytest.mark.parametrize(
    ("method", "tier", "verdict"),
    [
        ("GET", "irreversible", "allow"),
        ("HEAD", "compensable", "allow"),
        ("POST", "irreversible", "ask"),
        ("GET", None, "ask"),
    ],
)
def test_a_classified_http_call_that_only_reads_is_a_read(method: str, tier: str | None, verdict: str) -> None:
    found = decided("{}", tool="http", tier=tier, args={"method": method})
    assert verdict == found.verdict
    assert (found.recovery == "pure") == (verdict == "allow")


def test_everything_that_was_looked_at_is_explained() -> None:
    text = policy(
        ASK_TWO, {"name": "go", "decision": "allow", "tools": ["http"]}, denials=[{"name": "no", "agents": ["x"]}]
    )
    lines = parse(text).explain(Proposal("git_push", "compensable", "opaque", "checkup", "default", {}))
    assert [("no", False), ("two", True), ("go", False)] == [(line.rule, line.matched) for line in lines]
    assert "the agent is `checkup`" == lines[0].why


def test_what_cannot_be_decided_is_explained_by_what_comes_of_it() -> None:
    odd = {"tools": ["git_push"], "args": {"branch": ["main"]}}
    ask, allow = {"name": "q", "decision": "ask", **odd}, {"name": "go", "decision": "allow", **odd}
    proposal = Proposal("git_push", "compensable", "opaque", "checkup", "default", {"branch": []})

    (line,) = parse(policy(allow)).explain(proposal)
    assert (True, "it cannot be decided: the argument `branch` is a list or a group, so it denies") == (
        line.matched,
        line.why,
    )
    lines = parse(policy(ASK_TWO, allow)).explain(proposal)
    assert [("two", True), ("go", False)] == [(line.rule, line.matched) for line in lines]
    assert lines[1].why.endswith(", which no longer counts")
    lines = parse(policy(ask, ASK_TWO)).explain(proposal)
    assert [
        ("q", "it cannot be decided: the argument `branch` is a list or a group, so it denies"),
        ("two", "everything matches"),
    ] == [(line.rule, line.why) for line in lines]


def test_the_reason_of_a_rule_is_the_sentence_of_the_decision() -> None:
    ask = {"name": "a", "decision": "ask", "tools": ["git_push"], "reason": "Production takes two."}
    assert "Production takes two." == decided(policy(ask)).why
    assert "It may." == decided(policy(ask | {"decision": "allow", "reason": "It may."})).why
    assert "A rule asks." == decided(policy(ask | {"reason": ""})).why


def test_a_tool_without_a_tier_can_be_named_by_that() -> None:
    denials = [{"name": "unknown", "tiers": ["unclassified"]}]
    assert ("deny", "unknown") == rule_of(policy(denials=denials), tier=None)
    assert ("ask", "tier:compensable") == rule_of(policy(denials=denials))


def test_a_rule_about_a_tier_is_about_the_tier_of_the_call() -> None:
    denials = [{"name": "no-harm", "tiers": ["irreversible"]}]
    for method, verdict in (("GET", "allow"), ("POST", "deny"), ("get", "deny"), (["GET"], "deny"), (None, "deny")):
        found = decided(policy(denials=denials), tool="http", tier="irreversible", args={"method": method})
        assert verdict == found.verdict, method


def test_the_version_is_the_digest_of_the_text() -> None:
    assert digest(b"{}") == parse("{}").digest


NO_POLICIES = [
    "",
    "{",
    "[]",
    '"x"',
    "1",
    '{"polcy": {}}',
    '{"policy": []}',
    '{"policy": {"quorums": 2}}',
    '{"policy": {"quorum": 0}}',
    '{"policy": {"quorum": true}}',
    '{"policy": {"quorum": "2"}}',
    '{"policy": {"expires_ms": 1.5}}',
    '{"policy": {"approvers": ["approver"]}}',
    '{"policy": {"approvers": {"roles": "approver"}}}',
    '{"policy": {"approvers": {"role": ["approver"]}}}',
    '{"policy": {"rules": {}}}',
    '{"policy": {"rules": [{}]}}',
    '{"policy": {"rules": [1]}}',
    '{"policy": {"rules": [{"name": "a", "tools": ["x"]}]}}',
    '{"policy": {"rules": [{"name": "a", "decision": "deny", "tools": ["x"]}]}}',
    '{"policy": {"rules": [{"name": "", "decision": "allow", "tools": ["x"]}]}}',
    '{"policy": {"rules": [{"name": "a", "decision": "allow", "tools": "x"}]}}',
    '{"policy": {"rules": [{"name": "a", "decision": "allow", "tools": [1]}]}}',
    '{"policy": {"rules": [{"name": "a", "decision": "allow", "tools": ["x"], "hours": ["9-17"]}]}}',
    '{"policy": {"rules": [{"name": "a", "decision": "ask", "tools": ["x"], "self_": true}]}}',
    '{"policy": {"rules": [{"name": "a", "decision": "ask", "tools": ["x"], "quorum": -1}]}}',
    '{"policy": {"denials": [{"name": "a", "args": {"x": "1"}}]}}',
    '{"policy": {"denials": [{"name": "a", "args": {"x": []}}]}}',
    '{"policy": {"denials": [{"name": "a", "tools": ["x"], "quorum": 2}]}}',
]


@pytest.mark.parametrize("text", NO_POLICIES)
def test_a_text_that_is_no_policy_is_refused_in_a_sentence(text: str) -> None:
    """Nothing is passed over: what a rule does not understand might have kept it from a call."""
    with pytest.raises(
        PolicyError, match=r"^This is not a policy: .+\. It was changed, or another version wrote it; ."
    ):
        parse(text)


NAMES = st.sampled_from(["git_push", "http", "files.read"])
RULES = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["a", "b", "c"]),
        "decision": st.sampled_from(["ask", "allow"]),
        "tools": st.lists(st.sampled_from(["git_push", "http", "*", "files.*"]), max_size=2),
        "quorum": st.sampled_from([None, 1, 2, 3]),
        "args": st.dictionaries(
            st.sampled_from(["x", "y", "x.y"]), st.lists(st.sampled_from(["1", "*", "?"]), min_size=1), max_size=2
        ),
        "expires_ms": st.sampled_from([None, 60_000, 3_600_000]),
        "self_": st.sampled_from(["allowed", "refused"]),
    }
)
ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.just("x" * 5000)),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=5,
)
ARGS = st.dictionaries(st.sampled_from(["x", "y", "method", "x.y"]), st.one_of(ANYTHING, st.sampled_from(["1", "GET"])))
TIERS = st.sampled_from(["read", "workspace", "compensable", "irreversible", "strange", None])
DENIALS = RULES.map(lambda rule: {name: rule[name] for name in ("name", "tools", "args")})


@given(st.lists(RULES, max_size=4), st.lists(DENIALS, max_size=2), NAMES, TIERS, ARGS)
def test_it_is_always_decided_and_always_the_same(rules: Any, denials: Any, tool: str, tier: Any, args: Any) -> None:
    text = policy(*rules, denials=denials)
    found = decided(text, tool, tier, args=args)
    assert found == decided(text, tool, tier, args=dict(reversed(args.items())))
    assert found.verdict in ("allow", "ask", "deny") and found.quorum >= 1 and found.why.endswith(".")


@given(st.lists(RULES, max_size=4), st.lists(DENIALS, max_size=2), NAMES, TIERS, ARGS)
def test_the_explanation_names_the_rule_that_decided(rules: Any, denials: Any, tool: str, tier: Any, args: Any) -> None:
    named = [rule | {"name": f"r{number}"} for number, rule in enumerate(rules)]
    text = policy(*named, denials=[each | {"name": f"d{number}"} for number, each in enumerate(denials)])
    found = decided(text, tool, tier, args=args)
    lines = parse(text).explain(Proposal(tool, tier, "opaque", "checkup", "default", args))

    assert len(rules) + len(denials) == len(lines)
    matched = [line.rule for line in lines if line.matched]
    assert found.rule in matched if matched else found.rule.startswith(("tier:", "unclassified"))
    if found.verdict == "allow":
        assert {"allow"} >= {line.decision for line in lines if line.matched}


@given(st.lists(RULES, max_size=4), st.lists(DENIALS, min_size=1, max_size=3), NAMES, TIERS, ARGS)
def test_no_set_of_rules_lifts_a_denial(rules: Any, denials: Any, tool: str, tier: Any, args: Any) -> None:
    alone = decided(policy(denials=denials), tool, tier, args=args)
    together = decided(policy(*rules, denials=denials), tool, tier, args=args)
    if alone.verdict == "deny":
        assert ("deny", alone.rule) == (together.verdict, together.rule)


STRICTNESS = {"allow": 0, "ask": 1, "deny": 2}


@given(st.lists(RULES, max_size=3), RULES, NAMES, TIERS, ARGS)
def test_one_more_rule_that_allows_weakens_no_question(rules: Any, more: Any, tool: str, tier: Any, args: Any) -> None:
    """A question of a rule stays what it is; only the default of a tier gives way."""
    before = decided(policy(*rules), tool, tier, args=args)
    after = decided(policy(*rules, more | {"decision": "allow"}), tool, tier, args=args)
    if before.verdict == "ask" and before.rule in {rule["name"] for rule in rules}:
        assert before == after
    if before.verdict == "deny":
        assert "deny" == after.verdict


@given(st.lists(RULES, max_size=3), RULES, NAMES, TIERS, ARGS)
def test_one_more_rule_that_asks_weakens_nothing(rules: Any, more: Any, tool: str, tier: Any, args: Any) -> None:
    named = {f"r{number}": rule | {"name": f"r{number}"} for number, rule in enumerate(rules)}
    before = decided(policy(*named.values()), tool, tier, args=args)
    after = decided(policy(*named.values(), more | {"decision": "ask"}), tool, tier, args=args)
    rule = named.get(before.rule)
    if before.verdict == "deny" and rule is not None and rule["decision"] == "allow":
        # An allowance that cannot be decided denies only as long as nobody is asked.
        assert after.verdict in ("ask", "deny")
        return
    assert STRICTNESS[after.verdict] >= STRICTNESS[before.verdict]
    if before.verdict == after.verdict == "ask" and rule is not None:
        assert after.quorum >= before.quorum and after.expires_ms <= before.expires_ms
        assert before.self_ok or not after.self_ok


def test_an_empty_set_of_approvers_admits_nobody() -> None:
    assert not Approvers().admits("ana", frozenset({"approver", "operator"}))
    assert Approvers(principals=frozenset({"ana"})).admits("ana", frozenset())
    both = Approvers(frozenset({"b", "a"}), frozenset({"c"}))
    assert {"roles": ["a", "b"], "principals": ["c"]} == both.to_json()
    assert both == Approvers.from_json(both.to_json())
    assert Approvers() == Approvers.from_json({})


@pytest.mark.parametrize(
    "found", [{"roles": "approver"}, {"roles": [1]}, {"everybody": True}, ["approver"], "approver"]
)
def test_a_set_of_approvers_that_is_none_is_refused(found: Any) -> None:
    with pytest.raises(PolicyError):
        Approvers.from_json(found)
