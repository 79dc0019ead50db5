"""chat.*: posting, updating, deleting."""

from bot.playground import richtext, wire
from bot.playground.api.call import ApiError, Call, Family
from bot.playground.records import Channel, Json, Message
from bot.playground.state import copy_json

family = Family()

POST_TEXT_LIMIT = 40_000
"""Characters; Slack cuts a longer text off and posts the rest."""
UPDATE_TEXT_LIMIT_BYTES = 4_000
"""`chat.update` counts bytes after escaping, and refuses."""
MARKDOWN_TEXT_LIMIT = 12_000
MAX_ATTACHMENTS = 100


def content(call: Call) -> tuple[str, list[Json] | None, list[Json] | None]:
    """Text, blocks and attachments of a call; `None` for what was not given.

    Raises:
        ApiError: Nothing to say, or blocks that Slack refuses.
    """
    text = call.text("text") or ""
    blocks = call.blocks()
    markdown = call.text("markdown_text")
    if markdown is not None:
        if text or blocks is not None:
            raise ApiError("markdown_text_conflict")
        if len(markdown) > MARKDOWN_TEXT_LIMIT:
            raise ApiError("msg_too_long")
        text, blocks = markdown, [{"type": "markdown", "text": markdown, "block_id": "markdown"}]
    attachments = call.json("attachments", error="invalid_attachments")
    if attachments is not None and not isinstance(attachments, list):
        raise ApiError("invalid_attachments")
    if attachments is not None and len(attachments) > MAX_ATTACHMENTS:
        raise ApiError("too_many_attachments")
    return text, blocks, copy_json(attachments) if attachments is not None else None


def target(call: Call) -> Channel:
    """Where to post: a conversation id, a channel name, or a user id, which means the direct message.

    Raises:
        ApiError: `channel_not_found`, `not_in_channel`, `is_archived`, `cannot_dm_bot`.
    """
    team = call.services.team
    wanted = call.needed("channel")
    if wanted in team.users:
        if team.users[wanted].is_bot:
            raise ApiError("cannot_dm_bot")
        channel = team.dm_with(wanted)
        if channel is None:
            call.require_scope("im:write", "chat:write")
            channel = team.open_dm(wanted)
    else:
        found = team.channel_named(wanted)
        if found is None or (found.kind != "channel" and call.bot not in found.members):
            raise ApiError("channel_not_found")
        channel = found
    if channel.is_archived:
        raise ApiError("is_archived")
    if call.bot not in channel.members:
        public = channel.kind == "channel" and "chat:write.public" in call.services.settings.scopes
        if not public:
            raise ApiError("not_in_channel")
    return channel


def root_of(call: Call, channel: Channel) -> str | None:
    """The thread to reply in.

    Raises:
        ApiError: `thread_ts` is itself a reply, which Slack warns of without saying what then happens.

    Returns:
        `None` also when the root does not exist: Slack says ok and posts the reply to the channel, out of any thread.
        An app notices by the `thread_ts` that is missing in the answer.
    """
    thread_ts = call.ts("thread_ts")
    root = call.services.team.message(channel.id, thread_ts) if thread_ts is not None else None
    if root is None:
        return None
    if root.thread_ts is not None or root.ephemeral_to is not None:
        raise ApiError("cannot_reply_to_message")
    return root.ts


@family.method("chat.postMessage", scopes=("chat:write",), tier=3)
async def post_message(call: Call) -> Json:
    channel = target(call)
    text, blocks, attachments = content(call)
    if not text and not blocks and not attachments:
        raise ApiError("no_text")
    if len(text) > POST_TEXT_LIMIT:
        text = text[:POST_TEXT_LIMIT]
        call.warnings.append("message_truncated")
    thread_ts = root_of(call, channel)
    team = call.services.team
    message = Message(
        channel.id,
        team.timestamps.next(),
        call.bot,
        text or fallback_text(blocks or []),
        blocks or [],
        attachments or [],
        thread_ts=thread_ts,
        subtype="thread_broadcast" if thread_ts and call.flag("reply_broadcast") else None,
        metadata=call.metadata() or None,
        from_app=True,
    )
    call.services.activity.post(message)
    return {"channel": channel.id, "ts": message.ts, "message": wire.message(team, message, with_metadata=True)}


def fallback_text(blocks: list[Json]) -> str:
    """The text Slack derives from blocks when an app gave none."""
    for block in blocks:
        text = block.get("text")
        if isinstance(text, dict):
            return str(text["text"])
        if isinstance(text, str):
            return text
    return "This content can't be displayed."


@family.method("chat.update", scopes=("chat:write",), tier=3)
async def update(call: Call) -> Json:
    team = call.services.team
    channel = call.channel()
    message = call.message(channel, call.ts("ts") or call.needed("ts"))
    if message.user != call.bot:
        raise ApiError("cant_update_message")
    if channel.is_archived:
        raise ApiError("is_inactive")
    if (channel.id, message.ts) in team.streams:
        raise ApiError("streaming_state_conflict")
    text, blocks, attachments = content(call)
    if "text" not in call.args and "markdown_text" not in call.args and blocks is None and attachments is None:
        raise ApiError("no_text")
    if call.text("markdown_text") is None and richtext.stored_bytes(text) > UPDATE_TEXT_LIMIT_BYTES:
        raise ApiError("msg_too_long")
    metadata = call.metadata()
    if not text and "text" in call.args and not (message.blocks if blocks is None else blocks) and not attachments:
        raise ApiError("no_text")
    call.services.activity.change(
        message,
        text=text if "text" in call.args or call.text("markdown_text") else message.text,
        # Without `blocks` the old ones stay; an empty list removes them.
        blocks=message.blocks if blocks is None else blocks,
        attachments=message.attachments if attachments is None else attachments,
        metadata=message.metadata if metadata is None else metadata or None,
        streamed=False,
        edited={"user": call.bot, "ts": team.timestamps.next()},
    )
    return {
        "channel": channel.id,
        "ts": message.ts,
        "text": message.text,
        "message": wire.message(team, message, with_metadata=True),
    }


@family.method("chat.delete", scopes=("chat:write",), tier=3)
async def delete(call: Call) -> Json:
    channel = call.channel()
    message = call.message(channel, call.ts("ts") or call.needed("ts"))
    if message.user != call.bot:
        raise ApiError("cant_delete_message")
    call.services.activity.delete(message)
    return {"channel": channel.id, "ts": message.ts}


@family.method("chat.postEphemeral", scopes=("chat:write",), tier=4)
async def post_ephemeral(call: Call) -> Json:
    team = call.services.team
    channel = target(call)
    reader = call.needed("user")
    if reader not in team.users or reader not in channel.members:
        raise ApiError("user_not_in_channel")
    text, blocks, attachments = content(call)
    if not text and not blocks and not attachments:
        raise ApiError("no_text")
    message = Message(
        channel.id,
        team.timestamps.next(),
        call.bot,
        text[:POST_TEXT_LIMIT] or fallback_text(blocks or []),
        blocks or [],
        attachments or [],
        thread_ts=root_of(call, channel),
        ephemeral_to=reader,
        from_app=True,
    )
    call.services.activity.post(message)
    return {"message_ts": message.ts}


@family.method("chat.getPermalink", tier=4)
async def get_permalink(call: Call) -> Json:
    channel = call.channel()
    message = call.message(channel, call.ts("message_ts") or call.needed("message_ts"))
    return {"channel": channel.id, "permalink": wire.permalink(call.services.team, message)}
