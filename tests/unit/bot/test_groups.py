"""Roles from Slack user groups: believed for a minute, and missing when Slack cannot say."""

from bot.groups import CACHE_S, Groups
from bot.slack_errors import SlackUnavailable

ROLES = {"S1": frozenset({"approver"}), "S2": frozenset({"operator"})}


class Slack:
    """Answers who is in a group."""

    def __init__(self) -> None:
        self.members = {"S1": ("U1", "U2"), "S2": ("U2",)}
        self.asked: list[str] = []
        self.away = False

    async def __call__(self, group: str) -> tuple[str, ...]:
        self.asked.append(group)
        if self.away:
            raise SlackUnavailable("away")
        return self.members[group]


async def test_members_hold_the_groups_roles() -> None:
    groups = Groups(Slack(), lambda: ROLES)
    assert frozenset({"approver"}) == await groups.roles("U1")
    assert frozenset({"approver", "operator"}) == await groups.roles("U2")
    assert frozenset() == await groups.roles("U3")
    assert {"U1", "U2"} == await groups.holders(frozenset({"approver"}))


async def test_somebody_taken_out_loses_the_role_within_a_minute() -> None:
    slack, now_s = Slack(), [0.0]
    groups = Groups(slack, lambda: ROLES, now_s=lambda: now_s[0])
    assert "approver" in await groups.roles("U1")
    slack.members["S1"] = ()
    assert "approver" in await groups.roles("U1")
    now_s[0] = CACHE_S
    assert "approver" not in await groups.roles("U1")


async def test_a_group_slack_does_not_tell_about_gives_nobody_anything_and_is_asked_again() -> None:
    slack, now_s = Slack(), [0.0]
    groups = Groups(slack, lambda: ROLES, now_s=lambda: now_s[0])
    await groups.roles("U1")
    slack.away, now_s[0] = True, CACHE_S + 1
    assert frozenset() == await groups.roles("U1")
    assert frozenset() == await groups.holders(frozenset({"approver"}))
    slack.away = False
    assert "approver" in await groups.roles("U1")


async def test_where_no_group_gives_roles_slack_is_not_asked() -> None:
    slack = Slack()
    assert frozenset() == await Groups(slack, dict).roles("U1")
    assert [] == slack.asked
