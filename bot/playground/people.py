"""Look-ups every control call makes, each with a sentence when it fails."""

import base64
import binascii

from bot.playground.guard import Refused
from bot.playground.ids import is_ts
from bot.playground.records import Channel, Json, Message, User
from bot.playground.state import Team


def text_of(body: Json, name: str, *, needed: bool = True) -> str:
    value = body.get(name)
    if value is None and not needed:
        return ""
    if not isinstance(value, str) or (needed and not value):
        raise Refused(f"`{name}` is missing, or it is not a text.", 400)
    return value


def flag_of(body: Json, name: str) -> bool:
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise Refused(f"`{name}` is true or false.", 400)
    return value


def attachment(one: object) -> tuple[str, bytes]:
    """Name and content of an attached file, `{name, content_base64}`."""
    if not isinstance(one, dict) or not isinstance(one.get("name"), str) or not one["name"]:
        raise Refused("Every file needs a `name`.", 400)
    try:
        return one["name"], base64.b64decode(one.get("content_base64", ""), validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise Refused(f"The content of {one['name']!r} is not base64.", 400) from None


def person(team: Team, body: Json) -> User:
    """Who acts; the bot acts through the Web API only."""
    wanted = text_of(body, "user")
    user = team.users.get(wanted) or team.user_named(wanted)
    if user is None:
        raise Refused(f"There is no user {wanted!r}; `GET /playground/state` lists them.", 404)
    if user.is_bot:
        raise Refused("The bot acts through the Web API, not through the playground's page.", 409)
    return user


def place(team: Team, body: Json, user: User, *, to_write: bool = True) -> Channel:
    """Where somebody acts: a channel this person is in, or can look into."""
    wanted = text_of(body, "channel")
    channel = team.channels.get(wanted) or team.channel_named(wanted)
    if channel is None or (channel.kind != "channel" and user.id not in channel.members):
        raise Refused(f"{user.name} sees no channel {wanted!r}; `GET /playground/state` lists the channels.", 404)
    if not team.may_see(user.id, channel):
        raise Refused(f"{user.name} is a guest and was not invited to #{channel.name}.", 409)
    if to_write and user.id not in channel.members:
        raise Refused(f"{user.name} is not in #{channel.name}; add them with `POST /playground/members`.", 409)
    if to_write and channel.is_archived:
        raise Refused(f"#{channel.name} is archived; nobody can write there.", 409)
    return channel


def seen_message(team: Team, body: Json, user: User) -> Message:
    """A message this person can see."""
    channel = place(team, body, user, to_write=False)
    ts = text_of(body, "ts")
    message = team.message(channel.id, ts) if is_ts(ts) else None
    if message is None or message.ephemeral_to not in (None, user.id):
        raise Refused(f"{user.name} sees no message {ts!r} in that channel; it may have been deleted.", 409)
    return message
