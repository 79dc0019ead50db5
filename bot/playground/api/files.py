"""files.*: uploads in two calls with a POST of the bytes between, and looking files up.

The bytes themselves come and go in `files_http.py`.
"""

from bot.playground import wire
from bot.playground.api.call import ApiError, Call, Family, invalid_arguments
from bot.playground.api.chat import root_of, target
from bot.playground.records import Channel, File, Json, Message

family = Family()

MAX_FILE_BYTES = 1_000_000_000


@family.method("files.getUploadURLExternal", scopes=("files:write",), tier=4)
async def get_upload_url(call: Call) -> Json:
    name = call.needed("filename")
    call.needed("length")
    length = call.number("length", default=0, most=MAX_FILE_BYTES + 1)
    if length > MAX_FILE_BYTES:
        raise ApiError("file_upload_size_restricted")
    alt_text = call.text("alt_txt") or ""
    if len(alt_text) > 1000:
        raise ApiError("alt_txt_too_large")
    file = call.services.activity.new_file(name, call.bot, length, alt_text=alt_text)
    return {"upload_url": f"{call.base_url}/upload/v1/{file.id}", "file_id": file.id}


@family.method("files.completeUploadExternal", scopes=("files:write",), tier=4)
async def complete_upload(call: Call) -> Json:
    listed = call.json("files", error="invalid_arguments")
    if not isinstance(listed, list) or not listed:
        raise invalid_arguments("missing required field: files")
    files = [_uploaded(call, one) for one in listed]
    channels = _destinations(call)
    threads = [root_of(call, channel) for channel in channels]
    lost = call.services.faults.strike("lose_upload", method=call.method) is not None
    team = call.services.team
    comment = call.text("initial_comment") or ""
    blocks = None if comment else call.blocks()
    for file, entry in zip(files, listed, strict=True):
        file.title = str(entry.get("title") or file.name)
        file.is_complete, file.is_lost = True, lost
        team.save_file(file)
    for channel, thread_ts in zip(channels, threads, strict=True):
        message = Message(
            channel.id,
            team.timestamps.next(),
            call.bot,
            comment,
            blocks or [],
            thread_ts=thread_ts,
            subtype="file_share",
            files=[file.id for file in files],
            from_app=True,
        )
        if not lost:
            call.services.activity.share_later(message, delay_s=call.services.settings.file_share_delay_s)
    return {"files": [wire.file(team, file) for file in files]}


def _uploaded(call: Call, entry: object) -> File:
    """A file whose bytes are here and which was not completed before."""
    file_id = entry.get("id") if isinstance(entry, dict) else None
    file = call.services.team.files.get(str(file_id))
    if file is None or file.user != call.bot or not file.is_uploaded or file.is_complete:
        raise ApiError("file_not_found")
    return file


def _destinations(call: Call) -> list[Channel]:
    wanted = [call.text("channel_id")] if call.text("channel_id") else call.listing("channels")
    if call.text("thread_ts") and len(wanted) != 1:
        raise invalid_arguments("thread_ts needs exactly one channel")
    channels = []
    for one in wanted:
        try:
            channels.append(target(Call(call.services, call.method, {"channel": one}, call.base_url)))
        except ApiError as problem:
            # This method has names of its own for what chat.postMessage calls otherwise.
            own = {"channel_not_found": "invalid_channel", "not_in_channel": "posting_to_channel_denied"}
            raise ApiError(own.get(problem.error, problem.error)) from None
    return channels


def _visible(call: Call) -> File:
    """A file the bot may see: its own, or one shared where it is a member."""
    team = call.services.team
    file = team.files.get(call.needed("file"))
    if file is None or not file.is_complete or file.is_lost or not call.services.team.bot_sees(file):
        raise ApiError("file_not_found")
    return file


@family.method("files.info", scopes=("files:read",), tier=4)
async def info(call: Call) -> Json:
    file = _visible(call)
    return {"file": wire.file(call.services.team, file), "comments": [], "response_metadata": {"next_cursor": ""}}


@family.method("files.list", scopes=("files:read",), tier=3)
async def listing(call: Call) -> Json:
    team = call.services.team
    channel, user = call.text("channel"), call.text("user")
    if channel and channel not in team.channels:
        raise ApiError("channel_not_found")
    if user and user not in team.users:
        raise ApiError("user_not_found")
    oldest, latest = call.moment("ts_from", default=0), call.moment("ts_to", default=float("inf"))
    found = [
        one
        for one in sorted(team.files.values(), key=lambda file: -file.created)
        if one.is_complete
        and not one.is_lost
        and team.bot_sees(one)
        and (not channel or channel in one.shares)
        and (not user or user == one.user)
        and oldest <= one.created <= latest
    ]
    count = call.number("count", default=100)
    number = call.number("page", default=1, most=10**6)
    paging = {"count": count, "total": len(found), "page": number, "pages": -(-len(found) // count)}
    shown = found[(number - 1) * count : number * count]
    return {"files": [wire.file(team, one) for one in shown], "paging": paging}


@family.method("files.delete", scopes=("files:write",), tier=3)
async def delete(call: Call) -> Json:
    file = _visible(call)
    if file.user != call.bot:
        raise ApiError("cant_delete_file")
    team = call.services.team
    file.is_lost = True
    team.save_file(file)
    for channel_id, stamps in file.shares.items():
        for ts in stamps:
            message = team.message(channel_id, ts)
            if message is not None:
                call.services.activity.change(message, files=[one for one in message.files if one != file.id])
    return {}
