"""Who somebody is: the operator's names for Slack users and for users of a machine.

E-mail is never an identity, two names for one Slack user are a refusal, and whoever the file does not name has no
roles. What a role may do is decided where it is used.
"""

from dataclasses import dataclass

from core.config.load import Config
from core.nearest import did_you_mean
from core.principals import Principal


@dataclass(frozen=True)
class NotRecognised:
    """Nobody may act on this; `sentence` tells the person why and what to do."""

    sentence: str


def principal_for_slack(config: Config, team: str, user: str) -> Principal | NotRecognised:
    """Find who a Slack user is.

    Args:
        team: The user's own team, which in shared channels is not always the channel's.

    Returns:
        The configured principal; `slack:TEAM/USER` without roles if there is none; a refusal if there are several.
    """
    wanted = f"{team}/{user}"
    names = sorted(name for name, person in config.principals.items() if wanted in person.slack)
    match names:
        case []:
            return Principal(f"slack:{wanted}", slack_user=user)
        case [name]:
            return Principal(name, frozenset(config.principals[name].roles), slack_user=user)
        case _:
            listed = ", ".join(f"`{name}`" for name in names)
            return NotRecognised(
                f"I cannot tell who you are: {config.path.name} gives your Slack user to {listed}. "
                f"Ask the operator to keep `{wanted}` in one of them."
            )


def principal_for_cli(
    config: Config, *, os_user: str, uid: int, host: str, as_name: str | None
) -> Principal | NotRecognised:
    """Find who acts on a command line.

    Args:
        os_user: The name that belongs to `uid` in the system's user database, not what the environment claims.
        as_name: What `--as` says.

    Returns:
        `cli:<os user>@<host>` without roles unless `as_name` names a principal open to this user. Then that principal,
        with `via` saying from where.
    """
    if as_name is None:
        return Principal(f"cli:{os_user}@{host}")
    person = config.principals.get(as_name)
    if person is None:
        allowed = sorted(name for name, each in config.principals.items() if each.open_to(os_user))
        guess = did_you_mean(as_name, allowed, noun="You may act as")
        return NotRecognised(f"{config.path.name} names no principal `{as_name}`. {guess}".rstrip())
    if not person.open_to(os_user):
        return NotRecognised(
            f"`{os_user}` may not act as `{as_name}` on the command line. "
            f"Add `cli: [{os_user}]` to `principals.{as_name}` in {config.path.name}, or do it in Slack."
        )
    slack_user = person.slack[0].partition("/")[2] if len(person.slack) == 1 else None
    return Principal(as_name, frozenset(person.roles), slack_user=slack_user, via=f"cli:{uid}@{host}")


def group_roles(config: Config, team: str) -> dict[str, frozenset[str]]:
    """Roles of the members of each Slack user group of a team, by the group's id."""
    found = {}
    for name, group in config.groups.items():
        at, _, group_id = name.partition("/")
        if at == team:
            found[group_id] = frozenset(group.roles)
    return found


def doubtful_people(config: Config) -> tuple[str, ...]:
    """Say which Slack users the file gives to more than one principal; `doctor` shows it."""
    owners: dict[str, list[str]] = {}
    for name, person in config.principals.items():
        for each in dict.fromkeys(person.slack):
            owners.setdefault(each, []).append(name)
    return tuple(
        f"{config.path.name} gives the Slack user {user} to {', '.join(sorted(names))}, so that user is always refused."
        for user, names in owners.items()
        if len(names) > 1
    )
