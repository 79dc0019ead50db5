"""`policy check` and `policy explain`: whether a file can be used, what in it is doubtful, and what decides a call."""

from pathlib import Path

import pytest

from tests.integration.cli.conftest import ROOT, CommandLine
from tests.integration.cli.waiting import ARGS, configured, waiting

TEAM = """\
principals:
  ana: {roles: [approver]}
  ben: {roles: [approver, release]}
tools:
  git_push: {tier: compensable, environment: production}
  http: {tier: irreversible}
  shell: {tier: workspace}
playbooks:
  - name: checkup
    steps:
      - {id: look, title: Look, tool: shell, with: {argv: [ls]}}
    summary: Done.
"""
RULES = (
    TEAM
    + """\
policy:
  denials:
    - {name: never-main, tools: [git_push], args: {branch: [main, "release/*"]}, reason: main is protected.}
  rules:
    - name: two-for-production
      decision: ask
      environments: [production]
      approvers: {roles: [release], principals: [ana]}
      quorum: 2
      expires: 2h
      use-within: 10m
      reason: Production takes two.
    - {name: own-posts, decision: ask, tools: [http], args: {json.user: "team-*"}}
    - {name: free-hosts, decision: allow, tools: [http], args: {method: POST, url: "https://free.example.com/*"}}
"""
)


@pytest.fixture
def rules(bare: CommandLine, tmp_path: Path) -> CommandLine:
    """A home without a database whose configuration has rules."""
    (tmp_path / "rules.yml").write_text(RULES)
    bare.settings["BANKSMAN_CONFIG"] = str(tmp_path / "rules.yml")
    return bare


# --- check ----------


def test_the_shipped_file_has_nothing_doubtful(bare: CommandLine) -> None:
    answer = bare.real("policy", "check", code=0)

    assert answer.out.startswith(f"ok  {ROOT / 'banksman.yml'}: ")
    assert "policy sha256:" in answer.out
    assert "!!" not in answer.out
    assert not bare.home.exists()


def test_a_good_file_is_ok_with_the_digest_runs_will_pin(rules: CommandLine, tmp_path: Path) -> None:
    answer = rules("policy", "check", "--json", code=0)

    assert (True, [], []) == (answer.json["ok"], answer.json["problems"], answer.json["warnings"])
    assert answer.json["policy_digest"].startswith("sha256:")
    assert f"{answer.json['policy_digest']}\n" in rules("policy", "check", str(tmp_path / "rules.yml"), code=0).out
    (tmp_path / "more.yml").write_text(RULES + "limits: {steps: 7}\n")
    other = rules("policy", "check", str(tmp_path / "more.yml"), "--json", code=0).json
    assert answer.json["policy_digest"] == other["policy_digest"], "only what decides counts"


def test_a_bad_file_is_usage_with_every_problem_its_line_and_remedy(bare: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "bad.yml"
    path.write_text(
        TEAM
        + "policy:\n  rules:\n"
        + "    - {name: a, decision: maybe, tools: [git_push]}\n"
        + "    - {name: b, decision: ask, tools: [git_push], qourum: 2}\n"
        + "    - {name: c, decision: ask}\n"
    )

    answer = bare("policy", "check", str(path), code=2)
    found = bare("policy", "check", str(path), "--json", code=2).json

    assert "" == answer.out
    assert all(f"{path}:{line}:" in answer.err for line in (15, 16, 17)), answer.err
    assert "Did you mean `quorum`?" in answer.err
    assert (False, None) == (found["ok"], found["policy_digest"])
    assert [15, 16, 17] == sorted({each["line"] for each in found["problems"]})
    assert all(each["what"] and each["remedy"] and each["file"] == str(path) for each in found["problems"])


def test_a_playbook_nobody_can_run_is_a_problem_too(bare: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "bad.yml").write_text(TEAM.replace("tool: shell", "tool: shel"))

    assert "Did you mean `shell`?" in bare("policy", "check", str(tmp_path / "bad.yml"), code=2).err
    assert "/nowhere.yml" in bare("policy", "check", "/nowhere.yml", code=2).err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            "policy:\n  denials: [{name: never, tools: ['*']}]\n"
            "  rules: [{name: a, decision: ask, tools: [git_push]}]\n",
            "The rule `a` never decides: `never` decides before it.",
        ),
        (
            "policy:\n  denials: [{name: never, tools: [git_push], args: {branch: 'm*'}}]\n"
            "  rules: [{name: a, decision: ask, tools: [git_push], args: {branch: [main, 'my-*']}}]\n",
            "The rule `a` never decides: `never` decides before it.",
        ),
        (
            "policy:\n  rules:\n    - {name: a, decision: allow, tools: [git_push]}\n"
            "    - {name: all, decision: ask, tiers: [compensable]}\n",
            "The rule `a` never decides: `all` decides before it.",
        ),
        (
            "policy:\n  rules:\n    - {name: all, decision: ask, tools: ['*']}\n"
            "    - {name: a, decision: ask, tools: [http], approvers: {principals: [ana]}}\n",
            "The `approvers` of the rule `a` never count: `all` asks before it, and says who may.",
        ),
        (
            "policy: {rules: [{name: a, decision: ask, tools: [git_pusch]}]}\n",
            "is about no call of this installation. There is no tool `git_pusch`. Did you mean `git_push`?",
        ),
        (
            "policy: {rules: [{name: a, decision: ask, agents: [chekup]}]}\n",
            "There is no playbook `chekup`. Did you mean `checkup`?",
        ),
        (
            "policy: {rules: [{name: a, decision: ask, tools: [shell], environments: [production]}]}\n",
            "The rule `a` is about no call of this installation.",
        ),
        (
            "groups: {T0123456789/S0123456789: {roles: [oncall]}}\npolicy: {approvers: {roles: [oncall]}, quorum: 2}\n",
            "comes also from Slack (T0123456789/S0123456789); who and how many are in it cannot be checked here.",
        ),
    ],
)
def test_what_can_be_used_and_is_hardly_meant_is_said(bare: CommandLine, tmp_path: Path, more: str, said: str) -> None:
    (tmp_path / "doubtful.yml").write_text(TEAM + more)

    answer = bare("policy", "check", str(tmp_path / "doubtful.yml"), code=0)

    assert said in answer.out, answer.out
    assert 1 == answer.out.count("!!"), answer.out


@pytest.mark.parametrize(
    "more",
    [
        # Another argument, a narrower pattern, another tool: each still has something left to decide.
        "policy:\n  denials: [{name: never, tools: [git_push], args: {branch: main}}]\n"
        "  rules: [{name: a, decision: ask, tools: [git_push]}]\n",
        "policy:\n  denials: [{name: never, tools: [git_push], args: {branch: 'ma?n'}}]\n"
        "  rules: [{name: a, decision: ask, tools: [git_push], args: {branch: 'ma*n'}}]\n",
        "policy:\n  denials: [{name: never, tools: [http]}]\n  rules: [{name: a, decision: ask, tools: ['*']}]\n",
        # A reading call is of another tier than the tool's own.
        "policy:\n  rules:\n    - {name: all, decision: ask, tiers: [irreversible]}\n"
        "    - {name: a, decision: allow, tools: [http]}\n",
    ],
)
def test_a_rule_that_may_decide_is_not_doubted(bare: CommandLine, tmp_path: Path, more: str) -> None:
    (tmp_path / "fine.yml").write_text(TEAM + more)

    assert [] == bare("policy", "check", str(tmp_path / "fine.yml"), "--json", code=0).json["warnings"]


def test_nobody_to_ask_and_a_tool_without_a_tier_are_doubtful(bare: CommandLine, tmp_path: Path) -> None:
    lonely = TEAM.replace("roles: [approver]", "roles: []").replace("[approver, release]", "[]")
    (tmp_path / "lonely.yml").write_text(lonely.replace("  shell: {tier: workspace}\n", ""))

    warnings = bare("policy", "check", str(tmp_path / "lonely.yml"), "--json", code=0).json["warnings"]

    assert 2 == len(warnings), warnings
    assert any("`shell` has no tier, so every call of it asks." in each for each in warnings)
    assert any("Nobody may decide what is asked by default." in each for each in warnings)


# --- explain ----------


def inline(rules: CommandLine, *more: str, agent: str = "checkup", tool: str = "git_push") -> dict[str, object]:
    answer = rules("policy", "explain", "--tool", tool, "--agent", agent, *more, "--json", code=0)
    assert not rules.home.exists(), "no database is needed, and none is made"
    return dict(answer.json)


def test_a_denial_decides_and_is_named(rules: CommandLine) -> None:
    said = inline(rules, "--arg", "branch=main")

    assert ("deny", "never-main", "main is protected.") == (said["verdict"], said["rule"], said["why"])
    assert (None, None, []) == (said["approvers"], said["quorum"], said["people"])


def test_what_asks_says_who_how_many_and_for_how_long(rules: CommandLine) -> None:
    said = inline(rules, "--arg", "branch=topic")

    assert ("ask", "two-for-production", "compensable") == (said["verdict"], said["rule"], said["tier"])
    assert ({"roles": ["release"], "principals": ["ana"]}, ["ana", "ben"]) == (said["approvers"], said["people"])
    assert (2, 2 * 3_600_000, 600_000, False) == tuple(
        said[key] for key in ("quorum", "expires_ms", "use_within_ms", "self_ok")
    )
    looked: list[dict[str, object]] = said["rules"]  # type: ignore[assignment]
    assert ["never-main", "two-for-production", "own-posts", "free-hosts"] == [each["rule"] for each in looked]
    assert [False, True, False, False] == [each["matched"] for each in looked]
    assert all(each["why"] for each in looked)


def test_an_environment_and_a_nested_argument_can_be_given(rules: CommandLine) -> None:
    staging = inline(rules, "--arg", "branch=topic", "--environment", "staging")
    nested = inline(rules, "--arg", "json.user=team-a", "--arg", "method=POST", tool="http")

    assert ("ask", "tier:compensable", "staging") == (staging["verdict"], staging["rule"], staging["environment"])
    assert ("own-posts", {"json": {"user": "team-a"}, "method": "POST"}) == (nested["rule"], nested["args"])


def test_reading_over_http_is_free_and_a_rule_may_allow(rules: CommandLine) -> None:
    reading = inline(rules, "--arg", "method=GET", tool="http")
    free = inline(rules, "--arg", "method=POST", "--arg", "url=https://free.example.com/a", tool="http")

    assert ("allow", "tier:read", "read") == (reading["verdict"], reading["rule"], reading["tier"])
    assert ("allow", "free-hosts") == (free["verdict"], free["rule"])


def test_people_get_it_in_words(rules: CommandLine) -> None:
    answer = rules.real(
        "policy", "explain", "--tool", "git_push", "--arg", "branch=topic", "--agent", "checkup", code=0
    )

    for line in (
        "ask    `git_push` (compensable) by `checkup` in `production`",
        "rule   two-for-production: Production takes two.",
        "may    It is for people with the role release, and ana. By name: ana, ben.",
        "needs  2 approvals; whoever asked for the run may not decide",
        "time   2 h 00 min to decide, then 10 min 00 s to start",
        "  · deny  never-main: the argument `branch` is another",
        "  ✓ ask   two-for-production: everything matches",
    ):
        assert line in answer.out.splitlines(), answer.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Name a stored action"),
        (("abcdef", "--tool", "http"), "Name a stored action"),
        (("--tool", "http"), "`--tool NAME --agent NAME`"),
        (("--agent", "checkup"), "`--tool NAME --agent NAME`"),
        (("--tool", "git_pusch", "--agent", "checkup"), "Did you mean `git_push`?"),
        (("--tool", "git_push", "--agent", "chekup"), "Did you mean `checkup`?"),
        (("--tool", "http", "--agent", "checkup", "--arg", "method"), "is not of the form name=value"),
        (("--tool", "http", "--agent", "checkup", "--arg", "a=1", "--arg", "a=2"), "given twice"),
        (("--tool", "http", "--agent", "checkup", "--arg", "a=1", "--arg", "a.b=2"), "has a value already"),
        (("--tool", "http", "--agent", "checkup", "--arg", "a.b=1", "--arg", "a=2"), "given twice"),
    ],
)
def test_a_call_that_cannot_be_understood_is_usage(rules: CommandLine, arguments: tuple[str, ...], said: str) -> None:
    answer = rules("policy", "explain", *arguments, code=2)

    assert "" == answer.out
    assert said in answer.err


def test_a_stored_action_is_explained_by_its_approval_or_its_call(banksman: CommandLine) -> None:
    team = configured(banksman)
    it = waiting(team)
    before = team("policy", "check", "--json", code=0).json["policy_digest"]
    configured(team, quorum=2)

    by_approval = team("policy", "explain", it.approval_id[-6:], "--json", code=0).json
    by_call = team("policy", "explain", it.call_id, "--json", code=0).json

    assert by_approval == by_call
    action = by_approval["action"]
    assert (it.approval_id, it.call_id, it.run_id) == tuple(action[key] for key in ("approval_id", "call_id", "run_id"))
    assert ("pushes", before) == (action["rule"], action["policy_digest"])
    assert ("ask", "pushes", 2) == tuple(by_approval[key] for key in ("verdict", "rule", "quorum"))
    assert ARGS == by_approval["args"]
    words = team("policy", "explain", it.call_id, code=0).out
    assert f"it was proposed under another policy: {before}" in words


def test_a_damaged_action_is_not_explained(banksman: CommandLine) -> None:
    team = configured(banksman)
    it = waiting(team)
    team.tamper("UPDATE tool_calls SET envelope = 'x'")

    assert "cannot be read: it was changed" in team("policy", "explain", it.approval_id, code=1).err


# --- tools by another name ----------

OWN = """\
tools:
  pay:
    uses: http
    tier: irreversible
    recovery: reconcilable
    network: [a.example.com]
    probe: {url: "https://b.example.com/{key}"}
  gti_push: {tier: read}
principals:
  ana: {roles: [approver]}
playbooks:
  - name: checkup
    steps:
      - {id: look, title: Look, tool: pay, with: {method: GET, url: "https://a.example.com/"}}
    summary: Done.
"""


def test_an_own_tool_is_used_by_playbooks_and_explained_by_what_it_is(bare: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "own.yml").write_text(OWN)
    bare.settings["BANKSMAN_CONFIG"] = str(tmp_path / "own.yml")
    call = ("policy", "explain", "--tool", "pay", "--agent", "checkup", "--arg")

    warnings = bare("policy", "check", "--json", code=0).json["warnings"]
    reading = bare(*call, "method=GET", "--json", code=0).json
    posting = bare(*call, "method=POST", "--json", code=0).json

    assert 2 == len(warnings)
    assert "`gti_push` is no tool. Did you mean `git_push`?" in warnings[1]
    assert "The probe of `pay` cannot ask https://b.example.com/{key}." in warnings[0]
    assert ("pay", "http", "read", "pure") == tuple(reading[name] for name in ("tool", "uses", "tier", "recovery"))
    assert ("irreversible", "reconcilable", "ask") == tuple(posting[name] for name in ("tier", "recovery", "verdict"))
    assert "`pay`, which is `http`, (irreversible)" in bare(*call, "method=POST", code=0).out
    assert "`gti_push` is no tool" in bare("doctor", "--json", code=1).out
