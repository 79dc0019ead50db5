"""Which playbook a message asks for."""

from pathlib import Path

import pytest

from core.config import Channel, Chosen, Config, UnknownAgent, choose, parse_config

DATA = Channel("C0DATA", "data")
OPS = Channel("C0OPS", "ops")


@pytest.fixture
def config() -> Config:
    text = b"""
channels: {"#data": {agent: report}, C0OPS: {agent: tidy}, "#ops": {agent: report}}
playbooks: [{name: report}, {name: tidy}, {name: runaway}]
"""
    return parse_config(text, path=Path("banksman.yml"))


@pytest.mark.parametrize(
    ("channel", "text", "agent", "rest"),
    [
        (OPS, "report last week", "report", "last week"),
        (DATA, "  Report: a=1  ", "report", "a=1"),
        (DATA, "runaway", "runaway", ""),
        (DATA, "what happened?", "report", "what happened?"),
        (DATA, "", "report", ""),
        (Channel("C1", "#data"), "x", "report", "x"),
        (OPS, "x", "tidy", "x"),
        (None, "tidy now\nplease", "tidy", "now\nplease"),
    ],
)
def test_a_first_word_wins_then_the_channels_own(
    config: Config, channel: Channel | None, text: str, agent: str, rest: str
) -> None:
    chosen = choose(config, channel, text)

    assert isinstance(chosen, Chosen)
    assert (agent, rest) == (chosen.agent, chosen.rest)


def test_a_channels_own_playbook_carries_a_hint_that_another_may_be_meant(config: Config) -> None:
    chosen = choose(config, DATA, "runawy now")

    assert isinstance(chosen, Chosen)
    assert "Did you mean `runaway`?" in chosen.hint
    named = choose(config, DATA, "report")
    assert isinstance(named, Chosen) and named.hint == ""


@pytest.mark.parametrize(
    ("channel", "text", "words"),
    [
        (Channel("C9", "random"), "reprot x", "There is no playbook `reprot`. Did you mean `report`?"),
        (Channel("C9", "random"), "zzz", "Playbooks: `report`, `tidy`, `runaway`."),
        (Channel("C9", "random"), "  ", "Say what to run. Playbooks: `report`"),
        (Channel("D9", ""), "hello", "There is no playbook `hello`."),
        (None, "zzz", "There is no playbook `zzz`."),
    ],
)
def test_what_nobody_knows_gets_a_sentence_with_names(
    config: Config, channel: Channel | None, text: str, words: str
) -> None:
    unknown = choose(config, channel, text)

    assert isinstance(unknown, UnknownAgent)
    assert words in unknown.sentence


def test_without_any_playbook_the_sentence_says_where_to_add_one() -> None:
    unknown = choose(parse_config(b"tools: {}", path=Path("x/banksman.yml")), DATA, "report")

    assert isinstance(unknown, UnknownAgent)
    assert "Add one under `playbooks` in banksman.yml" in unknown.sentence


def test_a_strange_word_is_shown_without_its_formatting(config: Config) -> None:
    unknown = choose(config, None, "`x`\u202e" + "y" * 500)

    assert isinstance(unknown, UnknownAgent)
    assert "`x" + "y" * 10 in unknown.sentence and "\u202e" not in unknown.sentence
    assert len(unknown.sentence) < 200


@pytest.fixture
def bound() -> Config:
    text = b"""
channels: {"#ops": {agent: tidy, agents: [tidy, report]}, "#shut": {agents: []}}
playbooks: [{name: report}, {name: tidy}, {name: runaway}]
"""
    return parse_config(text, path=Path("banksman.yml"))


def test_only_what_the_channels_contract_names_may_be_asked_for(bound: Config) -> None:
    refused = choose(bound, OPS, "runaway now")

    assert UnknownAgent("`runaway` may not be asked for in #ops: its contract names `tidy`, `report`.") == refused
    assert Chosen("report", "now") == choose(bound, OPS, "report now")
    assert Chosen("runaway", "now") == choose(bound, DATA, "runaway now") == choose(bound, None, "runaway now")


def test_nobody_is_offered_what_the_contract_forbids(bound: Config) -> None:
    hinted, shut = choose(bound, OPS, "runawy now"), choose(bound, Channel("C8", "shut"), "hello")

    assert isinstance(hinted, Chosen) and "runaway" not in hinted.hint and "report" in hinted.hint
    assert isinstance(shut, UnknownAgent) and "runaway" not in shut.sentence
