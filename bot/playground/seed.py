"""Who and what is in the team when its data directory is new.

A seed is JSON: `{team: {id, name, domain}, app: {id, bot_user_id, bot_id, name, commands, shortcuts}, users: [{id,
name, real_name?, roles?, is_restricted?, is_admin?, tz?}], channels: [{id, name, is_private?, members?, topic?}],
usergroups: [{id, handle, name, users}], emoji: [names]}`. A command is a name or `{command, should_escape?,
description?, usage_hint?}`, a shortcut `{type: message | global, callback_id, name}`, as in an app's manifest. A
channel without `members` has everyone in it, the bot included.
"""

from typing import Any

Json = dict[str, Any]

DEFAULT_SCOPES = (
    "app_mentions:read", "assistant:write", "channels:history", "channels:join", "channels:read", "chat:write",
    "commands", "files:read", "files:write", "groups:history", "groups:read", "im:history", "im:read",
    "im:write", "mpim:history", "mpim:read", "reactions:read", "reactions:write", "team:read",
    "usergroups:read", "users:read", "users:read.email",
)  # fmt: skip
"""What the app is granted unless the server is started with a list of its own."""

DEFAULT_EVENTS = (
    "agent_session_stopped", "app_home_opened", "app_mention", "app_uninstalled", "channel_archive",
    "channel_unarchive", "file_shared", "member_joined_channel", "member_left_channel", "message.channels",
    "message.groups", "message.im", "reaction_added", "reaction_removed", "tokens_revoked",
)  # fmt: skip
"""The app's event subscriptions unless the server is started with a list of its own."""

DEMO_TEAM: Json = {
    "team": {"id": "T0PLAYGRND", "name": "Playground", "domain": "playground"},
    "app": {
        "id": "A0BANKSMAN",
        "bot_id": "B0BANKSMAN",
        "bot_user_id": "U0BANKSMAN",
        "name": "banksman",
        "commands": ["/banksman"],
        "shortcuts": [],
    },
    "users": [
        {"id": "U0REQUESTER", "name": "requester", "real_name": "Rosa Requester", "roles": ["requester"]},
        {"id": "U0APPROVER", "name": "approver", "real_name": "Anton Approver", "roles": ["approver"]},
        {"id": "U0APPROVER2", "name": "approver2", "real_name": "Bea Approver", "roles": ["approver"]},
        {"id": "U0OPERATOR", "name": "operator", "real_name": "Olu Operator", "roles": ["operator"], "is_admin": True},
        {"id": "U0MEMBER", "name": "member", "real_name": "Mika Member", "roles": []},
        {"id": "U0GUEST", "name": "guest", "real_name": "Gil Guest", "roles": ["guest"], "is_restricted": True},
    ],
    "channels": [
        {"id": "C0OPS", "name": "ops", "topic": "Running things"},
        {"id": "C0DATA", "name": "data", "topic": "Numbers and pictures"},
        {"id": "C0RANDOM", "name": "random", "topic": "Everything else"},
    ],
    "usergroups": [],
    "emoji": [],
}


class SeedError(ValueError):
    """The seed cannot be used; the message says what to change."""


def check_seed(seed: Json) -> None:
    """Refuse a seed that would make a broken team.

    Raises:
        SeedError: With the field and the remedy.
    """
    for part in ("team", "app", "users", "channels"):
        if part not in seed:
            raise SeedError(f"the seed has no {part!r}; it needs team, app, users and channels")
    for field, thing in (("id", "team"), ("name", "team"), ("id", "app"), ("bot_id", "app"), ("bot_user_id", "app")):
        if not isinstance(seed[thing].get(field), str):
            raise SeedError(f"the seed's {thing} needs a text field {field!r}")
    people = {user.get("id") for user in seed["users"]} | {seed["app"]["bot_user_id"]}
    names = [user.get("name") for user in seed["users"]]
    if len(names) != len(set(names)) or None in names or None in people:
        raise SeedError("every user of the seed needs an id and a name of its own")
    if len({channel.get("name") for channel in seed["channels"]}) != len(seed["channels"]):
        raise SeedError("two channels of the seed have the same name; rename one")
    for channel in seed["channels"]:
        strangers = set(channel.get("members", ())) - people
        if not isinstance(channel.get("id"), str) or strangers:
            raise SeedError(
                f"channel {channel.get('name')!r} needs an id, and members that exist (not {sorted(strangers)})"
            )
