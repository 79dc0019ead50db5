"""Who somebody is: by the operator's names and nothing else."""

from pathlib import Path

import pytest

from core.config import Config, NotRecognised, doubtful_people, parse_config, principal_for_cli, principal_for_slack
from core.config.people import group_roles
from core.principals import Principal


@pytest.fixture
def config() -> Config:
    text = b"""
principals:
  ana: {roles: [approver, payments], slack: [T1AA/U1AA, T2AA/U2AA], cli: [anna]}
  olu: {roles: [operator], slack: [T1AA/U3AA], cli: any}
  bob: {slack: [T1AA/U1BB]}
  rob: {slack: [T1AA/U1BB]}
"""
    return parse_config(text, path=Path("banksman.yml"))


def cli(config: Config, as_name: str | None, os_user: str = "anna") -> Principal | NotRecognised:
    return principal_for_cli(config, os_user=os_user, uid=1000, host="box", as_name=as_name)


def test_a_slack_user_is_the_principal_that_lists_it(config: Config) -> None:
    expected = Principal("ana", frozenset({"approver", "payments"}), slack_user="U2AA")

    assert expected == principal_for_slack(config, "T2AA", "U2AA")


def test_the_same_user_id_in_another_team_is_somebody_else(config: Config) -> None:
    assert Principal("slack:T2AA/U1AA", slack_user="U1AA") == principal_for_slack(config, "T2AA", "U1AA")


def test_an_unknown_slack_user_has_no_roles(config: Config) -> None:
    assert Principal("slack:T1AA/U9AA", frozenset(), slack_user="U9AA") == principal_for_slack(config, "T1AA", "U9AA")


def test_two_names_for_one_slack_user_are_a_refusal_that_names_both(config: Config) -> None:
    refused = principal_for_slack(config, "T1AA", "U1BB")

    assert isinstance(refused, NotRecognised)
    assert "`bob`, `rob`" in refused.sentence and "T1AA/U1BB" in refused.sentence
    assert ("banksman.yml gives the Slack user T1AA/U1BB to bob, rob, so that user is always refused.",) == (
        doubtful_people(config)
    )


def test_without_as_the_command_line_is_the_os_user_without_roles(config: Config) -> None:
    assert Principal("cli:anna@box") == cli(config, None)


def test_as_a_principal_that_lists_the_os_user(config: Config) -> None:
    found = cli(config, "ana")

    assert isinstance(found, Principal)
    assert ("ana", "cli:1000@box", frozenset({"approver", "payments"})) == (found.id, found.via, found.roles)


def test_cli_any_is_open_to_everybody(config: Config) -> None:
    found = cli(config, "olu", "mallory")

    assert isinstance(found, Principal)
    assert found.is_operator
    assert ("U3AA", "cli:1000@box") == (found.slack_user, found.via)


@pytest.mark.parametrize(
    ("as_name", "os_user", "words"),
    [
        ("ana", "mallory", "`mallory` may not act as `ana`"),
        ("bob", "anna", "Add `cli: [anna]` to `principals.bob`"),
        ("anna", "anna", "Did you mean `ana`?"),
        ("slack:T1AA/U1AA", "anna", "names no principal"),
        ("", "anna", "names no principal"),
    ],
)
def test_as_somebody_else_is_refused(config: Config, as_name: str, os_user: str, words: str) -> None:
    refused = cli(config, as_name, os_user)

    assert isinstance(refused, NotRecognised)
    assert words in refused.sentence


def test_the_roles_of_a_slack_group_hold_in_its_team_only() -> None:
    text = b"groups: {T1AA/S1AA: {roles: [approver, release]}, T1AA/S2AA: {}, T2AA/S1AA: {roles: [operator]}}"
    config = parse_config(text, path=Path("banksman.yml"))

    assert {"S1AA": frozenset({"approver", "release"}), "S2AA": frozenset()} == group_roles(config, "T1AA")
    assert {"S1AA": frozenset({"operator"})} == group_roles(config, "T2AA")
    assert {} == group_roles(config, "T1A")
