"""users.*: people and where they are."""

from bot.playground import wire
from bot.playground.api.call import ApiError, Call, Family
from bot.playground.api.conversations import wanted_kinds
from bot.playground.api.paging import page
from bot.playground.records import Json

family = Family()


@family.method("users.info", scopes=("users:read",), tier=4)
async def info(call: Call) -> Json:
    return {"user": _visible(call, wire.user(call.services.team, call.user()))}


@family.method("users.list", scopes=("users:read",), tier=2)
async def listing(call: Call) -> Json:
    team = call.services.team
    people, cursor = page(call, list(team.users.values()))
    return {
        "members": [_visible(call, wire.user(team, one)) for one in people],
        "cache_ts": int(team.now()),
        "response_metadata": {"next_cursor": cursor},
    }


def _visible(call: Call, body: Json) -> Json:
    """E-mail addresses need a scope of their own."""
    if "users:read.email" not in call.services.settings.scopes:
        body["profile"].pop("email", None)
    return body


@family.method("users.lookupByEmail", scopes=("users:read.email",))
async def lookup_by_email(call: Call) -> Json:
    email = call.needed("email")
    team = call.services.team
    for one in team.users.values():
        body = wire.user(team, one)
        if body["profile"].get("email") == email:
            return {"user": body}
    raise ApiError("users_not_found")


@family.method("users.conversations", scopes=("channels:read", "groups:read", "im:read", "mpim:read"))
async def conversations(call: Call) -> Json:
    team = call.services.team
    person = call.text("user") or call.bot
    if person not in team.users:
        raise ApiError("user_not_found")
    kinds = wanted_kinds(call)
    without_archived = call.flag("exclude_archived")
    found = [
        one
        for one in team.channels.values()
        if one.kind in kinds
        and person in one.members
        and not (without_archived and one.is_archived)
        and (one.kind == "channel" or call.bot in one.members)
    ]
    channels, cursor = page(call, found)
    return {"channels": [wire.channel(team, one) for one in channels], "response_metadata": {"next_cursor": cursor}}
