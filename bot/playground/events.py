"""The events an app is told, and which subscription and scope each needs.

https://docs.slack.dev/reference/events
"""

from bot.playground import wire
from bot.playground.ids import new_id
from bot.playground.records import Channel, Json, Message
from bot.playground.state import Team

_SCOPES = {
    "app_mention": ("app_mentions:read",),
    "message.channels": ("channels:history",),
    "message.groups": ("groups:history",),
    "message.im": ("im:history",),
    "reaction_added": ("reactions:read",),
    "reaction_removed": ("reactions:read",),
    "member_joined_channel": ("channels:read", "groups:read"),
    "member_left_channel": ("channels:read", "groups:read"),
    "channel_archive": ("channels:read",),
    "channel_unarchive": ("channels:read",),
    "file_shared": ("files:read",),
}


def subscription(team: Team, event: Json) -> tuple[str, tuple[str, ...]]:
    """The name an app subscribes to for this event, and the scopes of which one must be granted (none: no scope)."""
    name = str(event["type"])
    if name == "message":
        channel = team.channels[event["channel"]]
        name = f"message.{'groups' if channel.kind == 'group' else 'im' if channel.kind == 'im' else 'channels'}"
    return name, _SCOPES.get(name, ())


def wrap(team: Team, event: Json, verification_token: str) -> Json:
    """The `event_callback` around an event."""
    return {
        "token": verification_token,
        "team_id": team.id,
        "context_team_id": team.id,
        "context_enterprise_id": None,
        "api_app_id": team.app_id,
        "event": event,
        "type": "event_callback",
        "event_id": new_id("Ev", 11),
        "event_time": int(str(event["event_ts"]).partition(".")[0]),
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": team.id,
                "user_id": team.bot_user_id,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": False,
        "event_context": f"4-{new_id('EC', 24)}",
    }


def message_posted(team: Team, message: Message) -> Json:
    body = wire.message(team, message, in_thread=False)
    place = {"channel": message.channel, "event_ts": message.ts, "channel_type": team.channels[message.channel].kind}
    return {**body, **place}


def mention(team: Team, message: Message) -> Json:
    """The `app_mention` twin of a message; same `ts`, another `event_id`."""
    body = wire.message(team, message, in_thread=False)
    body.pop("subtype", None)
    body.pop("parent_user_id", None)
    return {**body, "type": "app_mention", "channel": message.channel, "event_ts": message.ts}


def message_changed(team: Team, message: Message, previous: Json) -> Json:
    ts = team.timestamps.next()
    return {
        "type": "message",
        "subtype": "message_changed",
        "message": wire.message(team, message),
        "previous_message": previous,
        "channel": message.channel,
        "hidden": True,
        "ts": ts,
        "event_ts": ts,
        "channel_type": team.channels[message.channel].kind,
    }


def message_deleted(team: Team, message: Message, previous: Json) -> Json:
    ts = team.timestamps.next()
    return {
        "type": "message",
        "subtype": "message_deleted",
        "previous_message": previous,
        "channel": message.channel,
        "hidden": True,
        "deleted_ts": message.ts,
        "ts": ts,
        "event_ts": ts,
        "channel_type": team.channels[message.channel].kind,
    }


def reaction(team: Team, message: Message, user: str, name: str, *, added: bool) -> Json:
    return {
        "type": "reaction_added" if added else "reaction_removed",
        "user": user,
        "reaction": name,
        "item": {"type": "message", "channel": message.channel, "ts": message.ts},
        "item_user": message.user,
        "event_ts": team.timestamps.next(),
    }


def membership(team: Team, channel: Channel, user: str, inviter: str | None, *, joined: bool) -> Json:
    event = {
        "type": "member_joined_channel" if joined else "member_left_channel",
        "user": user,
        "channel": channel.id,
        "channel_type": "G" if channel.is_private else "C",
        "team": team.id,
        "event_ts": team.timestamps.next(),
    }
    return {**event, "inviter": inviter} if inviter else event


def home_opened(team: Team, user: str, channel: Channel, tab: str) -> Json:
    event: Json = {
        "type": "app_home_opened",
        "user": user,
        "channel": channel.id,
        "tab": tab,
        "event_ts": team.timestamps.next(),
    }
    home = team.homes.get(user)
    if tab == "home" and home is not None:
        event["view"] = wire.view(team, home)
    return event


def file_shared(team: Team, file_id: str, channel: str, user: str) -> Json:
    return {
        "type": "file_shared",
        "file_id": file_id,
        "user_id": user,
        "file": {"id": file_id},
        "channel_id": channel,
        "event_ts": team.timestamps.next(),
    }


def plain(team: Team, kind: str, **fields: object) -> Json:
    """An event that is only its own fields."""
    return {"type": kind, **fields, "event_ts": team.timestamps.next()}
