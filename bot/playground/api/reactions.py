"""reactions.*: emoji under messages."""

from bot.playground import wire
from bot.playground.api.call import ApiError, Call, Family
from bot.playground.emoji import is_known
from bot.playground.records import Channel, Json, Message

family = Family()

MAX_DISTINCT = 50
MAX_PER_PERSON = 23


def check_new(message: Message, user: str, name: str, custom: frozenset[str]) -> str | None:
    """Slack's name for why this reaction cannot be added, or `None`."""
    if not is_known(name, custom):
        return "invalid_name"
    if user in message.reactions.get(name, ()):
        return "already_reacted"
    if name not in message.reactions and len(message.reactions) >= MAX_DISTINCT:
        return "too_many_emoji"
    if sum(user in people for people in message.reactions.values()) >= MAX_PER_PERSON:
        return "too_many_reactions"
    return None


def _item(call: Call) -> tuple[Channel, Message]:
    if not call.text("channel") or not call.text("timestamp"):
        raise ApiError("no_item_specified")
    channel = call.channel()
    timestamp = call.text("timestamp")
    message = call.message(channel, timestamp)
    if call.bot not in channel.members:
        raise ApiError("not_in_channel")
    return channel, message


@family.method("reactions.add", scopes=("reactions:write",))
async def add(call: Call) -> Json:
    name = (call.needed("name")).strip(":")
    channel, message = _item(call)
    if channel.is_archived:
        raise ApiError("is_archived")
    problem = check_new(message, call.bot, name, call.services.team.custom_emoji)
    if problem is not None:
        raise ApiError(problem)
    call.services.activity.react(message, call.bot, name)
    return {}


@family.method("reactions.remove", scopes=("reactions:write",), tier=2)
async def remove(call: Call) -> Json:
    name = (call.needed("name")).strip(":")
    _, message = _item(call)
    if not is_known(name, call.services.team.custom_emoji):
        raise ApiError("invalid_name")
    if call.bot not in message.reactions.get(name, ()):
        raise ApiError("no_reaction")
    call.services.activity.unreact(message, call.bot, name)
    return {}


@family.method("reactions.get", scopes=("reactions:read",))
async def get(call: Call) -> Json:
    channel, message = _item(call)
    team = call.services.team
    body = {**wire.message(team, message), "permalink": wire.permalink(team, message)}
    return {"type": "message", "channel": channel.id, "message": body}
