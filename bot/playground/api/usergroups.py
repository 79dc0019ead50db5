"""usergroups.*: groups of people, defined by the seed."""

from bot.playground import wire
from bot.playground.api.call import ApiError, Call, Family
from bot.playground.records import Json

family = Family()


@family.method("usergroups.list", scopes=("usergroups:read",), tier=2)
async def listing(call: Call) -> Json:
    team = call.services.team
    with_disabled, with_users = call.flag("include_disabled"), call.flag("include_users")
    found = [one for one in team.usergroups.values() if one.is_enabled or with_disabled]
    return {"usergroups": [wire.usergroup(team, one, with_users=with_users) for one in found]}


@family.method("usergroups.users.list", scopes=("usergroups:read",), tier=2)
async def users(call: Call) -> Json:
    group = call.services.team.usergroups.get(call.needed("usergroup"))
    if group is None or (not group.is_enabled and not call.flag("include_disabled")):
        raise ApiError("no_such_subteam")
    return {"users": list(group.users)}
