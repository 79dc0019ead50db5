"""The operator's file: every mistake in a sentence with its place, every default as documented."""

from pathlib import Path

import pytest

from core.config import Config, ConfigProblems, load_config, parse_config
from core.config.problems import Problem

MISTAKES = {
    "an unknown field": ("tolls: {}", "tolls", "`tolls` is not a setting here.", "Did you mean `tools`?"),
    "an unknown inner field": ("sandbox: {memroy: 1GB}", "sandbox.memroy", "not a setting", "`memory`"),
    "an underscore for a dash": ("limits: {run_time: 1h}", "limits.run_time", "not a setting", "`run-time`"),
    "an unknown tier": ("tools: {shell: {tier: writes}}", "tools.shell.tier", '"writes"', "`irreversible`"),
    "a tier nearly right": ("tools: {shell: {tier: reed}}", "tools.shell.tier", '"reed"', "`read`"),
    "an unknown recovery": ("tools: {shell: {recovery: maybe}}", "tools.shell.recovery", '"maybe"', "`opaque`"),
    "a timeout without unit": ("tools: {shell: {timeout: 60}}", "tools.shell.timeout", "not a duration", "60s"),
    "a timeout too long": ("tools: {shell: {timeout: 31m}}", "tools.shell.timeout", "31m is out", "to 30m"),
    "a key-ttl without keys": ("tools: {shell: {key-ttl: 24h}}", "tools.shell", "`opaque`", "idempotent"),
    "a tool's name": ("tools: {'Sh ell': {}}", "tools.Sh ell", "not a tool's name", "files.read"),
    "a number as text": ("limits: {steps: '5'}", "limits.steps", '"5" is not a whole number', "without quotes"),
    "a truth value for a number": ("limits: {steps: true}", "limits.steps", "`true` is not a whole", "5"),
    "too few steps": ("limits: {steps: 0}", "limits.steps", "`0` is too small", "at least 1"),
    "a file larger than its run": ("limits: {artifact: 1GB}", "limits", "`artifact`", "`run-artifacts`"),
    "a size without unit": ("limits: {upload: 50}", "limits.upload", "`50` is not a size", "50MB"),
    "a list for fields": ("principals: [ana]", "principals", "A list stands where fields", "name: value"),
    "nothing for fields": ("principals:", "principals", "Nothing stands", "remove it"),
    "a text for a list": ("principals: {ana: {roles: approver}}", "principals.ana.roles", "list", "[one, two]"),
    "a principal like a Slack user": ("principals: {'slack:T1/U1': {}}", "slack:T1/U1", "principal's name", "ana"),
    "a Slack user without team": ("principals: {a: {slack: [U012345]}}", "principals.a.slack[0]", "its team", "/U"),
    "an e-mail for a Slack user": ("principals: {a: {slack: [a@b.c]}}", "principals.a.slack[0]", "its team", "/U"),
    "cli: true": ("principals: {ana: {cli: true}}", "principals.ana.cli", "neither `any` nor", "cli: [ana]"),
    "cli: a star": ("principals: {ana: {cli: ['*']}}", "principals.ana.cli", "no user", "cli: any"),
    "a channel without #": ("channels: {data: {}}", "channels.data", "not a channel", '"#data"'),
    "a secret with two sources": ("secrets: {A: {env: X, file: z}}", "secrets.A", "two sources", "either"),
    "a secret without source": ("secrets: {A: {}}", "secrets.A", "no source", "either"),
    "a secret's value": ("secrets: {A: hunter2}", "secrets.A", "stands where fields", "name: value"),
    "a secret in a name of ours": ("secrets: {A: {env: BANKSMAN_A}}", "secrets.A", "such names are ours", "Rename"),
    "unsandboxed: true": ("sandbox: {unsandboxed: true}", "sandbox.unsandboxed", "`true` is not possible", "allowed"),
    "playbooks by name": ("playbooks: {a: {}}", "playbooks", "`playbooks` is a list", "- name"),
    "a playbook that is a text": ("playbooks: [report]", "playbooks[0]", "not a playbook", "- name"),
    "a playbook without name": ("playbooks: [{steps: []}]", "playbooks[0]", "has no name", "name: …"),
    "a file and more": ("playbooks: [{file: a.yml, name: b}]", "playbooks[0]", "no other fields", "`file` alone"),
    "a playbook file that is missing": ("playbooks: [{file: a.yml}]", "playbooks[0].file", "does not exist", "Create"),
    "two playbooks of one name": ("playbooks: [{name: a}, {name: a}]", "playbooks[1].name", "two playbooks", "Rename"),
    "a channel's unknown playbook": ("channels: {'#x': {agent: reprot}}\nplaybooks: [{name: report}]",
                                     "channels.#x.agent", "no playbook `reprot`", "`report`"),
    "an unknown playbook in a contract": (
        "channels: {'#x': {agents: [report, tydi]}}\nplaybooks: [{name: report}, {name: tidy}]",
        "channels.#x.agents[1]", "no playbook `tydi`", "`tidy`"),
    "a channel's own playbook outside of its contract": (
        "channels: {'#x': {agent: tidy, agents: [report]}}\nplaybooks: [{name: report}, {name: tidy}]",
        "channels.#x.agent", "which `agents` does not let be asked for", "Add `tidy`"),
    "a contract's budget that is no money": (
        "channels: {'#x': {budget: a lot}}", "channels.#x.budget", "not an amount of money", "dollars"),
}  # fmt: skip


def read(text: str, directory: Path = Path("nowhere")) -> Config:
    return parse_config(text.encode(), path=directory / "banksman.yml")


def problems_of(text: str) -> tuple[Problem, ...]:
    with pytest.raises(ConfigProblems) as raised:
        read(text)
    return raised.value.problems


@pytest.mark.parametrize(("text", "path", "what", "remedy"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_with_place_and_remedy(text: str, path: str, what: str, remedy: str) -> None:
    (found,) = problems_of(f"# one\n{text}\n")

    assert found.path.endswith(path)
    assert what in found.what
    assert remedy in found.remedy
    assert found.line >= 2 and found.column >= 1


def test_mistakes_of_several_sections_come_together() -> None:
    found = problems_of("tools: {shell: {tier: x}}\nlimits: {stps: 1}\nplaybooks: [{}]\n")

    assert [1, 2, 3] == [problem.line for problem in found]


def test_a_secret_value_in_the_wrong_place_is_not_repeated_at_length() -> None:
    (found,) = problems_of(f"secrets: {{A: {'x' * 500}}}\n")

    assert len(found.what) < 120


def test_an_almost_empty_file_has_the_documented_defaults() -> None:
    config = read("principals: {}\n")

    assert ("auto", "refused", 2**30, 128) == (
        config.sandbox.level,
        config.sandbox.unsandboxed,
        config.sandbox.memory_bytes,
        config.sandbox.processes,
    )
    limits = config.limits
    assert (86_400_000, 4) == (limits.run_time_ms, limits.attempts)
    assert (50_000_000, 200_000_000, 200) == (
        limits.artifact_bytes,
        limits.run_artifacts_bytes,
        limits.run_artifact_count,
    )


def test_a_tool_that_is_not_listed_has_no_tier_and_is_opaque() -> None:
    config = read("tools: {shell: {tier: workspace, recovery: idempotent, timeout: 5m, key-ttl: 24h}}\n")

    assert (None, "opaque", 60.0, None) == _word(config, "mail")
    assert ("workspace", "idempotent", 300.0, 86_400.0) == _word(config, "shell")


def test_what_takes_an_effect_back_has_its_tools_word_unless_it_has_one_of_its_own() -> None:
    config = read("tools: {git_push: {tier: compensable, recovery: reconcilable, timeout: 2m, network: [git.test]}}\n")
    assert config.tool("git_push") is config.tool("git_push.undo")
    own = read("tools: {git_push: {tier: compensable}, git_push.undo: {tier: irreversible, timeout: 9s}}\n")
    assert ("irreversible", "opaque", 9.0, None) == _word(own, "git_push.undo")
    assert (None, "opaque", 60.0, None) == _word(own, "mail.undo")
    named = read("tools: {ship: {uses: git_push, tier: compensable, recovery: reconcilable}}\n").tool("ship.undo")
    assert ("compensable", None) == (named.tier, named.uses)


def _word(config: Config, tool: str) -> tuple[str | None, str, float, float | None]:
    word = config.tool(tool)
    return word.tier, word.recovery, word.timeout_s, word.key_ttl_s


def test_a_secret_is_only_a_place() -> None:
    secrets = read("secrets: {A: {env: TOKEN}, B: {file: keys/b}}\n").secrets

    assert {"A": ("TOKEN", None), "B": (None, "keys/b")} == {name: (at.env, at.file) for name, at in secrets.items()}


def test_the_digest_follows_the_content_not_the_layout() -> None:
    one, same = read("limits: {steps: 5}\n"), read("# comment\nlimits:\n  steps: 5\n")
    other = read("limits: {steps: 6}\n")

    assert one.digest == same.digest != other.digest
    assert one.digest.startswith("sha256:") and len(one.digest) == 71


def test_the_policy_digest_follows_the_word_on_tools_only() -> None:
    one = read("tools: {shell: {tier: workspace}}\n")
    same = read("tools: {shell: {tier: workspace, timeout: 1m}}\nlimits: {steps: 5}\n")
    other = read("tools: {shell: {tier: read}}\n")

    assert one.policy_digest == same.policy_digest != other.policy_digest


def test_a_playbook_file_is_read_beside_the_config_and_named_in_its_mistakes(tmp_path: Path) -> None:
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "a.yml").write_text("name: alpha\nsteps: []\n")
    (tmp_path / "banksman.yml").write_text("playbooks: [{file: books/a.yml}, {name: beta}]\n")

    config = load_config(tmp_path / "banksman.yml")

    assert ["alpha", "beta"] == list(config.playbooks)
    assert '{"name":"alpha","steps":[]}' == config.playbooks["alpha"].text
    assert str(tmp_path / "books/a.yml") == config.playbooks["alpha"].document.file

    (tmp_path / "books" / "a.yml").write_text("name: alpha\nsteps: no\n")
    with pytest.raises(ConfigProblems) as raised:
        load_config(tmp_path / "banksman.yml")
    assert f"{tmp_path / 'books/a.yml'}:2:8" in str(raised.value)


def test_the_digest_sees_playbook_files(tmp_path: Path) -> None:
    (tmp_path / "banksman.yml").write_text("playbooks: [{file: a.yml}]\n")
    digests = set()
    for steps in ("[]", "[1]"):
        (tmp_path / "a.yml").write_text(f"name: a\nsteps: {steps}\n")
        digests.add(load_config(tmp_path / "banksman.yml").digest)

    assert 2 == len(digests)
