"""The policy section: what is refused, what is left to the operator, and what of it a run pins."""

import json
from pathlib import Path
from typing import Any

import pytest

from core.actions.policy import parse
from core.config import Config, ConfigProblems, parse_config
from core.config.problems import Problem
from core.runs.commands.request import Pinned

TEAM = """\
principals:
  ana: {roles: [approver]}
  ben: {roles: [approver, release]}
tools:
  git_push: {tier: compensable}
  pay: {tier: irreversible}
  odd: {}
"""
ASK = "name: a, decision: ask, tools: [git_push]"

MISTAKES = {
    "a decision that is none": ("rules: [{name: a, decision: deny, tools: [pay]}]", "decision", '"deny"', "`ask`"),
    "no decision": ("rules: [{name: a, tools: [pay]}]", "rules[0].decision", "missing", "Add `decision: …`"),
    "no name": ("denials: [{tools: [pay]}]", "denials[0].name", "missing", "Add `name: …`"),
    "an unknown matcher": ("denials: [{name: a, tool: [pay]}]", "denials[0].tool", "not a setting", "`tools`"),
    "a denial that asks": ("denials: [{name: a, tools: [pay], quorum: 2}]", "quorum", "not a setting", "Possible here"),
    "no matcher in a rule": ("rules: [{name: a, decision: allow}]", "rules[0]", "matches every call", "tools: ['*']"),
    "no matcher in a denial": ("denials: [{name: a}]", "denials[0]", "matches every call", "tools: ['*']"),
    "a matcher that is empty": ("denials: [{name: a, tools: []}]", "denials[0]", "matches every call", "tools: ['*']"),
    "two rules of one name": (f"rules: [{{{ASK}}}, {{{ASK}}}]", "rules[1].name", "two rules named `a`", "Rename"),
    "a rule named as a denial": (f"denials: [{{name: a, tools: [pay]}}]\n  rules: [{{{ASK}}}]", "rules[0].name",
                                 "`policy.denials`", "Rename"),
    "a name for shouting": ("denials: [{name: A!, tools: [pay]}]", "name", "not a rule's name", "two-for-production"),
    "an unknown tier": ("denials: [{name: a, tiers: [irreversable]}]", "tiers[0]", "not possible", "`irreversible`"),
    "a pattern inside a tool": ("denials: [{name: a, tools: ['git_*']}]", "tools[0]", "not a tool's name", "files.*"),
    "an argument that is a group": ("denials: [{name: a, args: {x: {y: 1}}}]", "args.x", "a text or a number", "list"),
    "an argument that is nothing": ("denials: [{name: a, args: {x: }}]", "args.x", "a text or a number", "list"),
    "an argument without values": ("denials: [{name: a, args: {x: []}}]", "args.x", "empty", "at least one"),
    "an argument's name": ("denials: [{name: a, args: {'x y': 1}}]", "args.x y", "not an argument's name", "branch"),
    "a quorum of nobody": ("quorum: 0", "policy.quorum", "`0` is too small", "at least 1"),
    "a quorum of a crowd": (f"rules: [{{{ASK}, quorum: 21}}]", "rules[0].quorum", "too large", "at most 20"),
    "more approvals than people": ("quorum: 3", "policy.quorum", "3 approvals are needed here, and only 2", "Lower"),
    "more approvals than a rule's people": (f"rules: [{{{ASK}, approvers: {{roles: [release]}}, quorum: 2}}]",
                                            "rules[0].quorum", "only 1 could", "Lower"),
    "more approvals than everybody's people": (f"rules: [{{{ASK}, quorum: 3}}]", "rules[0].quorum", "only 2", "Lower"),
    "a role nobody holds": ("approvers: {roles: [finance]}", "policy.approvers", "Nobody holds the role", "[finance]"),
    "a rule's role nobody holds": (f"rules: [{{{ASK}, approvers: {{roles: [finance]}}}}]", "rules[0].approvers",
                                   "Nobody holds the role `finance`", "`groups`"),
    "somebody nobody knows": ("approvers: {principals: [anna]}", "approvers", "no principal `anna`", "`ana`"),
    "nobody at all": ("approvers: {}", "policy.approvers", "Nobody is named here", "Name roles"),
    "an hour too short": ("expires: 59s", "policy.expires", "59s is out of range", "from 1m to 30d"),
    "a month too long": (f"rules: [{{{ASK}, use-within: 31d}}]", "use-within", "31d is out of range", "from 1m"),
    "a time without unit": ("use-within: 15", "policy.use-within", "not a duration", "30m"),
    "self for a tier": ("rules: [{name: a, decision: ask, tiers: [irreversible], self: allowed}]", "rules[0]",
                        "cannot be undone", "Remove `self: allowed`"),
    "self for no tier": ("rules: [{name: a, decision: ask, tiers: [unclassified], self: allowed}]", "rules[0]",
                         "cannot be undone", "Remove `self: allowed`"),
    "self for a tool": ("rules: [{name: a, decision: ask, tools: [pay], self: allowed}]", "rules[0].self",
                        "`pay` is irreversible", "Remove"),
    "self for a tool without tier": ("rules: [{name: a, decision: ask, tools: [odd], self: allowed}]", "rules[0].self",
                                     "`odd` has no tier", "Remove"),
    "self: true": (f"rules: [{{{ASK}, self: true}}]", "rules[0].self", "`true` is not possible", "`allowed`"),
    "who may allow": ("rules: [{name: a, decision: allow, tools: [pay], quorum: 2}]", "rules[0]", "nobody is asked",
                      "decision: ask"),
}  # fmt: skip

TOOLS = {
    "a secret nobody named": ("credentials: [{host: a.com, secret: TOKN}]", "credentials[0].secret", "no secret `TOKN`",
                              "`TOKEN`"),
    "two secrets for one host": ("credentials: [{host: a.com, secret: TOKEN}, {host: A.com., secret: TOKEN}]",
                                 "credentials[1].host", "for `A.com.` already", "Keep one"),
    "a credential for a port": ("credentials: [{host: 'a.com:443', secret: TOKEN}]", "host", "not a host", "api."),
    "a header with a line in it": ('credentials: [{host: a.com, secret: TOKEN, header: "A\\nB"}]', "header", "header",
                                   "Authorization"),
    "a scheme with a line in it": ('credentials: [{host: a.com, secret: TOKEN, scheme: "A\\nB"}]', "scheme", "scheme",
                                   "Bearer"),
    "a user with a colon": ("credentials: [{host: a.com, secret: TOKEN, user: 'a:b'}]", "user", "user", "token"),
    "an address with its scheme": ("network: ['https://a.com']", "network[0]", "not a place", "api.example.com"),
    "a path that is not absolute": ("network: ['file:srv']", "network[0]", "not a place", "file:/srv/git"),
    "a path with a detour": ("network: ['file:/srv/../etc']", "network[0]", "takes a detour", "file:/srv/git"),
    "a star inside": ("network: ['a.*.com']", "network[0]", "not a place", "*.example.com"),
    "a port that is none": ("network: ['a.com:70000']", "network[0]", "70000 is no port", "65535"),
    "an environment for several": ("environment: 'prod*'", "environment", "not an environment", "production"),
}  # fmt: skip


def read(text: str) -> Config:
    return parse_config(text.encode(), path=Path("nowhere/banksman.yml"))


def problems_of(text: str) -> tuple[Problem, ...]:
    with pytest.raises(ConfigProblems) as raised:
        read(text)
    return raised.value.problems


@pytest.mark.parametrize(("text", "path", "what", "remedy"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_of_the_policy_is_named_with_place_and_remedy(text: str, path: str, what: str, remedy: str) -> None:
    (found,) = problems_of(f"{TEAM}policy:\n  {text}\n")

    assert found.path.endswith(path), found
    assert what in found.what, found
    assert remedy in found.remedy, found
    assert found.line >= 9 and found.column >= 1


@pytest.mark.parametrize(("text", "path", "what", "remedy"), TOOLS.values(), ids=TOOLS)
def test_a_mistake_of_a_tools_reach_is_named_with_place_and_remedy(
    text: str, path: str, what: str, remedy: str
) -> None:
    (found,) = problems_of(f"secrets: {{TOKEN: {{env: TOKEN}}}}\ntools:\n  http:\n    {text}\n")

    assert found.path.endswith(path), found
    assert what in found.what, found
    assert remedy in found.remedy, found
    assert found.line == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("groups: {T0123: {roles: [a]}}", "not a Slack user group with its team"),
        ("groups: {T0123/U0456: {roles: [a]}}", "not a Slack user group with its team"),
        ("groups: {T0123/S0456: {roles: [A!]}}", "not a role"),
        ("groups: {T0123/S0456: {rolls: [a]}}", "`rolls` is not a setting here"),
    ],
)
def test_a_mistake_of_a_group_is_named(text: str, said: str) -> None:
    (found,) = problems_of(f"{text}\n")

    assert said in found.what and found.remedy and found.line == 1


def test_a_rule_that_asks_whom_the_default_does_not_know_is_a_mistake() -> None:
    (found,) = problems_of(f"principals: {{ana: {{}}}}\npolicy: {{rules: [{{{ASK}}}]}}\n")

    assert ("Nobody holds the role `approver`, so nobody could decide.", 2) == (found.what, found.line)


def test_a_contract_that_asks_whom_nobody_knows_is_a_mistake() -> None:
    (role, name) = problems_of('channels: {"#ops": {approvers: {roles: [on-call], principals: [ana]}}}\n')

    assert {"There is no principal `ana`.", "Nobody holds the role `on-call`, so nobody could decide."} == {
        role.what,
        name.what,
    }
    assert "channels.#ops.approvers" == role.path


def test_a_mistake_of_the_default_is_said_once_and_not_for_every_rule() -> None:
    rules = f"rules: [{{{ASK}, quorum: 2}}, {{name: b, decision: ask, tools: [pay]}}]"

    (found,) = problems_of(f"{TEAM}policy: {{approvers: {{roles: [finance]}}, {rules}}}\n")

    assert "policy.approvers" == found.path


@pytest.mark.parametrize(
    "text",
    [
        # Rules may be there before the tool, the playbook or the environment is.
        "policy: {denials: [{name: a, tools: [not_yet], agents: [nobody], environments: [moon]}]}",
        # How many people a Slack group has is not known here, and they may be enough.
        "groups: {T0123/S0456: {roles: [finance]}}\npolicy: {approvers: {roles: [finance]}, quorum: 5}",
        "groups: {T0123/S0456: {roles: [release]}}\npolicy: {approvers: {roles: [release]}, quorum: 5}",
        # Where the pattern takes in what cannot be undone, the call decides.
        "policy: {rules: [{name: a, decision: ask, tools: ['*'], self: allowed}]}",
        "policy: {rules: [{name: a, decision: allow, tiers: [irreversible], agents: ['weekly-*']}]}",
        "policy: {approvers: {principals: [ana]}}",
        "policy: {}",
    ],
)
def test_what_may_be_meant_is_no_mistake(text: str) -> None:
    parse(read(f"{TEAM}{text}\n").policy_text)


def test_a_file_without_a_policy_needs_nobody_who_approves() -> None:
    assert 1 == parse(read("limits: {steps: 5}\n").policy_text).quorum


@pytest.mark.parametrize(
    "place",
    ["*", "a.com", "*.a.com", "a.com:8080", "127.0.0.1:1", "[::1]:443", "[::1]", "file:/", "file:/srv/git", "file:/a/"],
)
def test_a_place_a_tool_may_reach_is_carried_as_written(place: str) -> None:
    assert (place,) == read(f"tools: {{http: {{network: ['{place}']}}}}\n").tool("http").network


def test_a_tools_credential_is_only_a_name() -> None:
    config = read(
        "secrets: {TOKEN: {env: TOKEN}}\n"
        "tools: {http: {environment: production, credentials: [{host: a.com, secret: TOKEN, scheme: ''}]}}\n"
    )
    word = config.tool("http")
    (credential,) = word.credentials

    assert ("a.com", "TOKEN", "Authorization", "", None) == (
        credential.host,
        credential.secret,
        credential.header,
        credential.scheme,
        credential.user,
    )
    assert ("production", "default") == (word.environment, config.tool("shell").environment)


FULL = """\
# Comments and layout do not count.
policy:
  quorum: 2
  approvers:
    principals: [ben, ana]
    roles: [release, approver]
  expires: 60m
  denials:
    - {tools: [pay, git_push], name: never, args: {branch: [main, "release/*"], n: [3, true]}}
  rules:
    - {name: one, decision: ask, tiers: [irreversible, compensable], self: refused}
    - {name: two, decision: allow, agents: [b, a]}
"""
SAME = """\
policy:
  rules:
    - {tiers: [compensable, irreversible, compensable], decision: ask, name: one}
    - {name: two, agents: [a, b], decision: allow}
  denials:
    - name: never
      args: {n: ["true", "3"], branch: ["release/*", main]}
      tools: [git_push, pay]
  expires: 1h
  approvers: {roles: [approver, release], principals: [ana, ben]}
  quorum: 2
  use-within: 15m
"""


def test_two_ways_to_write_one_policy_have_one_digest() -> None:
    assert read(TEAM + FULL).policy_text == read(TEAM + SAME).policy_text
    assert read(TEAM + FULL).digest != read(TEAM + SAME).digest, "the whole file's digest keeps the order"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("quorum: 2", "quorum: 1"),
        ("expires: 1h", "expires: 2h"),
        ("[git_push, pay]", "[git_push]"),
        ("decision: ask", "decision: allow"),
        ("name: never", "name: seldom"),
        ("principals: [ana, ben]", "principals: [ana]"),
        ("tools: [git_push, pay]", "tools: [git_push, pay]\n      reason: No."),
    ],
)
def test_every_word_of_the_policy_counts(old: str, new: str) -> None:
    assert old in SAME
    assert read(TEAM + SAME).policy_digest != read(TEAM + SAME.replace(old, new)).policy_digest


def test_the_order_of_rules_counts_for_the_first_says_who_is_asked() -> None:
    one, two = "{name: one, decision: ask, tools: [pay]}", "{name: two, decision: ask, tools: [pay]}"
    texts = {
        read(f"{TEAM}policy: {{rules: [{first}, {then}]}}\n").policy_text for first, then in ((one, two), (two, one))
    }

    assert 2 == len(texts)


@pytest.mark.parametrize(
    "word",
    [
        "tier: irreversible",
        "tier: compensable, environment: production",
        "tier: compensable, network: [a.com]",
        "tier: compensable, credentials: [{host: a.com, secret: TOKEN}]",
    ],
)
def test_every_word_on_a_tool_counts(word: str) -> None:
    secrets = "secrets: {TOKEN: {env: TOKEN}}\n"
    before = read(f"{secrets}tools: {{git_push: {{tier: compensable}}}}\n")

    assert before.policy_digest != read(f"{secrets}tools: {{git_push: {{{word}}}}}\n").policy_digest


def test_people_limits_and_channels_are_not_pinned() -> None:
    more = "groups: {T0123/S0456: {roles: [release]}}\nlimits: {steps: 7}\nsandbox: {level: bwrap}\n"
    others = TEAM.replace("ana: {roles: [approver]}", "ana: {roles: [approver, operator], cli: any}\n  cat: {}")
    config = read(TEAM + SAME)

    assert config.policy_digest == read(others + SAME + more).policy_digest
    assert "cli" not in config.policy_text and "steps" not in config.policy_text


def test_what_a_run_pins_is_what_decides_with_the_same_digest() -> None:
    config = read(TEAM + FULL)
    policy = parse(config.policy_text)

    assert policy.digest == Pinned("policy", config.policy_text).digest == config.policy_digest
    assert ["never", "one", "two"] == [rule.name for rule in policy.rules]
    assert (2, 3_600_000, 900_000) == (policy.quorum, policy.expires_ms, policy.use_within_ms)
    assert {"branch": ("main", "release/*"), "n": ("3", "true")} == policy.rules[0].args


def test_every_field_of_a_rule_reaches_the_decision() -> None:
    rule = (
        "{name: r, decision: ask, tools: [git_push], tiers: [compensable], agents: [a], environments: [e],"
        " args: {x.y: 1}, approvers: {principals: [ana]}, quorum: 1, expires: 2m, use-within: 3m, self: allowed,"
        " reason: Because.}"
    )
    (found,) = parse(read(f"{TEAM}policy: {{rules: [{rule}]}}\n").policy_text).rules
    values: dict[str, Any] = {name: getattr(found, name) for name in found.__dataclass_fields__}

    assert found.approvers is not None
    assert {"roles": [], "principals": ["ana"]} == found.approvers.to_json()
    assert {
        "name": "r",
        "decision": "ask",
        "tools": ("git_push",),
        "tiers": ("compensable",),
        "agents": ("a",),
        "environments": ("e",),
        "args": {"x.y": ("1",)},
        "approvers": found.approvers,
        "quorum": 1,
        "expires_ms": 120_000,
        "use_within_ms": 180_000,
        "self_ok": True,
        "reason": "Because.",
    } == values


def test_the_pinned_text_is_canonical() -> None:
    text = read(TEAM + FULL).policy_text

    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
