"""chat.startStream, chat.appendStream, chat.stopStream: a message that grows while it is read.

One that is not stopped ends by itself after some minutes, and takes nothing more then.
"""

import asyncio
from typing import Any

from bot.playground import wire
from bot.playground.api.call import ApiError, Call, Family
from bot.playground.api.chat import root_of, target
from bot.playground.blockkit import InvalidBlocks, check_blocks
from bot.playground.records import Channel, Json, Message, Stream

family = Family()

APPEND_LIMIT = 12_000


def _stream(call: Call) -> tuple[Channel, Message]:
    channel = call.channel()
    message = call.message(channel, call.ts("ts") or call.needed("ts"))
    if message.user != call.bot:
        raise ApiError("message_not_owned_by_app")
    if (channel.id, message.ts) not in call.services.team.streams:
        raise ApiError("message_not_in_streaming_state")
    return channel, message


def _grow(call: Call, message: Message) -> None:
    """Add text and chunks of this call to the message."""
    markdown = call.text("markdown_text") or ""
    if len(markdown) > APPEND_LIMIT:
        raise ApiError("msg_too_long")
    chunks = call.json("chunks", error="invalid_chunks") or []
    if not isinstance(chunks, list):
        raise ApiError("invalid_chunks")
    if markdown and chunks:
        raise ApiError("markdown_text_conflict")
    text, blocks = message.text + markdown, list(message.blocks)
    for chunk in chunks:
        text = _chunk(call, chunk, text, blocks)
    call.services.activity.change(message, text=text, blocks=blocks)


def _chunk(call: Call, chunk: Any, text: str, blocks: list[Json]) -> str:
    kind = chunk.get("type") if isinstance(chunk, dict) else None
    if kind == "markdown_text" and isinstance(chunk.get("text"), str):
        return text + str(chunk["text"])
    if kind == "plan_update" and isinstance(chunk.get("title"), str):
        plan = next((one for one in blocks if one["type"] == "plan"), None)
        if plan is None:
            blocks.append({"type": "plan", "block_id": "plan", "title": chunk["title"], "tasks": []})
        else:
            plan["title"] = chunk["title"]
        return text
    if kind == "task_update" and isinstance(chunk.get("id"), str) and isinstance(chunk.get("title"), str):
        _task(blocks, chunk)
        return text
    if kind == "blocks" and isinstance(chunk.get("blocks"), list):
        try:
            blocks.extend(check_blocks(chunk["blocks"], call.services.file_known()))
        except InvalidBlocks as problem:
            raise ApiError("invalid_blocks", errors=problem.problems) from None
        return text
    raise ApiError("invalid_chunks")


def _task(blocks: list[Json], chunk: Json) -> None:
    task = {
        "type": "task_card",
        "task_id": chunk["id"],
        "title": chunk["title"],
        "status": chunk.get("status", "pending"),
    }
    for key in ("details", "output"):
        if chunk.get(key):
            section = {"type": "rich_text_section", "elements": [{"type": "text", "text": str(chunk[key])}]}
            task[key] = {"type": "rich_text", "elements": [section]}
    if chunk.get("sources"):
        task["sources"] = chunk["sources"]
    plan = next((one for one in blocks if one["type"] == "plan"), None)
    tasks = plan["tasks"] if plan is not None else blocks
    for at, one in enumerate(tasks):
        if one.get("task_id") == chunk["id"]:
            tasks[at] = {**one, **task}
            return
    tasks.append(task if plan is not None else {**task, "block_id": f"task-{chunk['id']}"[:255]})


@family.method("chat.startStream", scopes=("chat:write",), tier=2)
async def start(call: Call) -> Json:
    channel = target(call)
    thread_ts = root_of(call, channel)
    if thread_ts is None:
        raise ApiError("invalid_thread_ts")
    if not channel.is_im:
        if not call.text("recipient_user_id"):
            raise ApiError("missing_recipient_user_id")
        if not call.text("recipient_team_id"):
            raise ApiError("missing_recipient_team_id")
    team = call.services.team
    ts = team.timestamps.next()
    message = Message(channel.id, ts, call.bot, thread_ts=thread_ts, from_app=True, streamed=True)
    stream = Stream(channel.id, message.ts, call.text("task_display_mode") or "timeline")
    team.streams[channel.id, message.ts] = stream
    call.services.activity.post(message)
    team.feed.publish("stream", open=True, **stream.as_json())
    call.services.outbound.spawn(_expire(call, stream))
    _grow(call, message)
    return {"channel": channel.id, "ts": message.ts}


async def _expire(call: Call, stream: Stream) -> None:
    await asyncio.sleep(call.services.settings.stream_ttl_s)
    call.services.team.end_stream(stream)


@family.method("chat.appendStream", scopes=("chat:write",), tier=4)
async def append(call: Call) -> Json:
    channel, message = _stream(call)
    if not call.text("markdown_text") and not call.args.get("chunks"):
        raise ApiError("no_text")
    _grow(call, message)
    return {"channel": channel.id, "ts": message.ts}


@family.method("chat.stopStream", scopes=("chat:write",), tier=2)
async def stop(call: Call) -> Json:
    channel, message = _stream(call)
    blocks = call.blocks() or []
    metadata = call.metadata()
    _grow(call, message)
    team = call.services.team
    call.services.activity.change(message, blocks=[*message.blocks, *blocks], metadata=metadata or message.metadata)
    team.end_stream(team.streams[channel.id, message.ts])
    return {"channel": channel.id, "ts": message.ts, "message": wire.message(team, message)}
