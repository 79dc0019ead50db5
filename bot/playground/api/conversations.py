"""conversations.*: channels, their members, their messages."""

from bot.playground import wire
from bot.playground.api.call import ApiError, Call, Family
from bot.playground.api.paging import page
from bot.playground.records import Channel, Json, Message
from bot.playground.state import ts_key

family = Family()

_READ = ("channels:read", "groups:read", "im:read", "mpim:read")
_HISTORY = ("channels:history", "groups:history", "im:history", "mpim:history")
_TYPES = {"public_channel": "channel", "private_channel": "group", "im": "im", "mpim": "mpim"}


@family.method("conversations.info", scopes=_READ)
async def info(call: Call) -> Json:
    channel = call.channel()
    call.require_scope(f"{channel.scope_family}:read")
    team = call.services.team
    return {"channel": wire.channel(team, channel, with_count=call.flag("include_num_members"))}


def wanted_kinds(call: Call) -> set[str]:
    """The kinds of conversation asked for, each of which needs its scope."""
    names = call.listing("types") or ["public_channel"]
    for name in names:
        if name not in _TYPES:
            raise ApiError("invalid_types")
        family_name = {"public_channel": "channels", "private_channel": "groups"}.get(name, name)
        call.require_scope(f"{family_name}:read")
    return {_TYPES[name] for name in names}


@family.method("conversations.list", scopes=_READ, tier=2)
async def listing(call: Call) -> Json:
    kinds = wanted_kinds(call)
    without_archived = call.flag("exclude_archived")
    team = call.services.team
    found = [
        one
        for one in team.channels.values()
        if one.kind in kinds
        and not (without_archived and one.is_archived)
        and (one.kind == "channel" or call.bot in one.members)
    ]
    channels, cursor = page(call, found)
    bodies = [wire.channel(team, one, with_count=True) for one in channels]
    return {"channels": bodies, "response_metadata": {"next_cursor": cursor}}


@family.method("conversations.members", scopes=_READ, tier=4)
async def members(call: Call) -> Json:
    channel = call.channel()
    call.require_scope(f"{channel.scope_family}:read")
    people, cursor = page(call, channel.members)
    return {"members": people, "response_metadata": {"next_cursor": cursor}}


def _between(call: Call, messages: list[Message]) -> list[Message]:
    """Those inside `oldest` and `latest`, whose ends count only when `inclusive`."""
    oldest, latest = call.ts("oldest"), call.ts("latest")
    inclusive = call.flag("inclusive")
    out = []
    for one in messages:
        at = ts_key(one.ts)
        if oldest is not None and (at < ts_key(oldest) or (at == ts_key(oldest) and not inclusive)):
            continue
        if latest is not None and (at > ts_key(latest) or (at == ts_key(latest) and not inclusive)):
            continue
        out.append(one)
    return out


@family.method("conversations.history", scopes=_HISTORY)
async def history(call: Call) -> Json:
    channel = call.readable_channel()
    team = call.services.team
    timeline = [
        one
        for one in team.messages_in(channel.id)
        if one.ephemeral_to is None and (one.thread_ts is None or one.subtype == "thread_broadcast")
    ]
    found = _between(call, timeline)[::-1]
    messages, cursor = page(call, found)
    with_metadata = call.flag("include_all_metadata")
    body: Json = {
        "messages": [wire.message(team, one, with_metadata=with_metadata) for one in messages],
        "has_more": bool(cursor),
        "pin_count": 0,
        "channel_actions_ts": None,
        "channel_actions_count": 0,
    }
    return {**body, "response_metadata": {"next_cursor": cursor}} if cursor else body


@family.method("conversations.replies", scopes=_HISTORY)
async def replies(call: Call) -> Json:
    channel = call.readable_channel()
    team = call.services.team
    ts = call.ts("ts") or call.needed("ts")
    root = team.message(channel.id, ts)
    if root is not None and root.thread_ts is not None:
        root = team.message(channel.id, root.thread_ts)
    if root is None or root.ephemeral_to is not None:
        raise ApiError("thread_not_found")
    # The root comes first on every page of Slack's; here it belongs to the first page.
    found = [root, *(one for one in _between(call, team.replies_to(root)))]
    messages, cursor = page(call, found, default=1000)
    with_metadata = call.flag("include_all_metadata")
    body: Json = {
        "messages": [wire.message(team, one, with_metadata=with_metadata) for one in messages],
        "has_more": bool(cursor),
    }
    return {**body, "response_metadata": {"next_cursor": cursor}} if cursor else body


@family.method("conversations.open", scopes=("im:write", "mpim:write"))
async def open_dm(call: Call) -> Json:
    team = call.services.team
    wanted = call.text("channel")
    if wanted:
        channel = team.channels.get(wanted)
        if channel is None or not channel.is_im:
            raise ApiError("channel_not_found")
        return {"no_op": True, "already_open": True, "channel": _opened(call, channel)}
    people = call.listing("users")
    if not people:
        raise ApiError("users_list_not_supplied")
    if any(one not in team.users for one in people):
        raise ApiError("user_not_found")
    if any(team.users[one].is_bot for one in people):
        raise ApiError("cannot_dm_bot")
    if len(people) > 1:
        # Group direct messages need a scope of their own, which no playground grants.
        raise ApiError("missing_scope", needed="mpim:write", provided=",".join(call.services.settings.scopes))
    existing = team.dm_with(people[0])
    if existing is None and call.flag("prevent_creation"):
        raise ApiError("channel_not_found")
    channel = existing or team.open_dm(people[0])
    extra = {"no_op": True, "already_open": True} if existing else {}
    return {**extra, "channel": _opened(call, channel)}


def _opened(call: Call, channel: Channel) -> Json:
    return wire.channel(call.services.team, channel) if call.flag("return_im") else {"id": channel.id}


@family.method("conversations.join", scopes=("channels:join",))
async def join(call: Call) -> Json:
    channel = call.channel()
    if channel.kind != "channel":
        raise ApiError("method_not_supported_for_channel_type")
    if channel.is_archived:
        raise ApiError("is_archived")
    if call.bot in channel.members:
        call.warnings.append("already_in_channel")
    call.services.activity.join(channel, call.bot)
    return {"channel": wire.channel(call.services.team, channel)}


@family.method("conversations.leave", scopes=("channels:write", "channels:manage", "groups:write", "channels:join"))
async def leave(call: Call) -> Json:
    channel = call.channel()
    if channel.is_im:
        raise ApiError("method_not_supported_for_channel_type")
    if call.bot not in channel.members:
        raise ApiError("not_in_channel")
    call.services.activity.leave(channel, call.bot)
    return {}
