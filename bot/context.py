"""Context: what only the bot can read for a run is stored before any worker sees it.

Files and the thread so far become artifacts with digests; the run moves on when they are durable. What cannot be read
within the time is named in the event, and if an input needs it the run says so and waits for a person instead of
failing half way.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.desk import Desk
from bot.slack_errors import SlackError
from core.artifacts import display_name, sniff_media_type
from core.config.people import NotRecognised
from core.crashpoints import crashpoint
from core.errors import StoreTrouble, TerminalError
from core.record.changes import Landed, Refused, RunChange
from core.record.rows import ArtifactRow, Snapshot
from core.record.states import RunState
from core.runs import material
from core.runs.collecting import keep
from core.runs.commands.load import loaded, unloadable
from core.runs.draft import delivery
from core.store import runs
from core.tools.workspace import input_path

log = logging.getLogger(__name__)

READ_WITHIN_S = 60.0

_HEAD_BYTES = 512


@dataclass
class _Found:
    inputs: dict[str, Any]
    artifacts: list[ArtifactRow] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)
    needed: list[str] = field(default_factory=list)
    authors: set[str] = field(default_factory=set)
    """Principals whose messages the run works from: they do not decide what it may do."""


async def load(desk: Desk, run_id: str) -> bool:
    """Store a created run's context and move it on.

    Returns:
        `False` = somebody else did, or it was stopped meanwhile.

    Raises:
        StoreTrouble: our own disk is full or fails; nothing is lost, try again.
    """
    snapshot = await runs.snapshot(desk.database, desk.tenant, run_id)
    if snapshot is None or snapshot.run.run_state is not RunState.CREATED:
        return False
    found = _Found(dict(snapshot.run.inputs))
    try:
        async with asyncio.timeout(READ_WITHIN_S):
            await _files(desk, snapshot, found)
            await _thread(desk, snapshot, found)
            await _links(desk, snapshot, found)
    except TimeoutError:
        _give_up_unread(found)
    except StoreTrouble as error:
        await _say_unstored(desk, snapshot, error)
        raise
    except TerminalError as error:
        change = unloadable(snapshot, error.user_text, desk.clock.wall_ms())
        return isinstance(await desk.database.journal.commit(change), Landed)
    moved = await _moved_on(desk, snapshot, found)
    if moved is None:
        return False
    await keep(desk.objects, moved)
    crashpoint("CP04")
    await desk.doorbell.ring(run_id, moved.run["wake"])
    return True


async def _moved_on(desk: Desk, snapshot: Snapshot, found: _Found) -> RunChange | None:
    """Commit what was found; somebody may have written to the run meanwhile, or stopped it (`None`)."""
    while True:
        change = loaded(
            snapshot,
            inputs=found.inputs,
            artifacts=tuple(found.artifacts),
            unread=found.unread,
            needed=" ".join(found.needed) or None,
            authors=tuple(sorted(found.authors)),
            now_ms=desk.clock.wall_ms(),
        )
        answer = await desk.database.journal.commit(change)
        if isinstance(answer, Landed):
            return change
        now = await runs.snapshot(desk.database, desk.tenant, snapshot.run.id)
        if answer != Refused("stale") or now is None or now.run.run_state is not RunState.CREATED:
            return None
        snapshot = now


async def _say_unstored(desk: Desk, snapshot: Snapshot, error: StoreTrouble) -> None:
    """Tell the thread, once, what its run waits for; it is tried again until there is room or somebody stops it."""
    run = snapshot.run
    if run.channel is not None:
        text = f"What came with your request cannot be stored yet. {error.user_text} Your run goes on by itself then."
        place = (run.team, run.channel, run.thread_ts)
        body, now_ms = {"text": text}, desk.clock.wall_ms()
        row = delivery(run.tenant, run.id, *place, "slack.reply", f"unstored:{run.id}", body, now_ms)
        await desk.database.journal.record([row])


async def _files(desk: Desk, snapshot: Snapshot, found: _Found) -> None:
    used: set[str] = set()
    for name, value in snapshot.run.inputs.items():
        if not (isinstance(value, Mapping) and "slack_file" in value):
            continue
        try:
            row = await _store(desk, snapshot, value)
        except SlackError as error:
            log.warning("a file could not be read: %s", error, extra={"action": "file_unread", "run": snapshot.run.id})
            _note_unread(found, name, value, type(error).__name__)
            continue
        found.artifacts.append(row)
        found.inputs[name] = {
            "name": row.name,
            "path": input_path(row.name, used),
            "sha256": row.sha256,
            "size": row.size,
            "media_type": row.media_type,
        }


async def _store(desk: Desk, snapshot: Snapshot, value: Mapping[str, Any]) -> ArtifactRow:
    info = await desk.slack.file_info(value["slack_file"])
    url = info.get("url_private_download") or info.get("url_private")
    if not isinstance(url, str):
        raise TerminalError(
            f"The file {value['name']!r} has no bytes Slack would give us (it is {info.get('mode', 'external')}). "
            "Upload it as a file."
        )
    head = bytearray()

    async def stream() -> AsyncIterator[bytes]:
        async for chunk in desk.slack.download(url, cap_bytes=desk.config.limits.upload_bytes):
            if len(head) < _HEAD_BYTES:
                head.extend(chunk[: _HEAD_BYTES - len(head)])
            yield chunk

    stored = await desk.objects.put(stream(), cap_bytes=desk.config.limits.upload_bytes)
    shown = display_name(str(value["name"]))
    return _row(desk, snapshot, "input", shown, stored.sha256, stored.size, sniff_media_type(shown, bytes(head)))


async def _thread(desk: Desk, snapshot: Snapshot, found: _Found) -> None:
    """What was said in the thread before the request, for runs that were asked for inside one."""
    run = snapshot.run
    if run.channel is None or run.thread_ts is None or run.message_ts in (None, run.thread_ts):
        return
    said: list[dict[str, Any]] = []
    try:
        said += [
            {name: message.get(name) for name in ("ts", "user", "bot_id", "text")} | _files_of(message)
            async for message in desk.slack.replies(run.channel, run.thread_ts)
            if str(message.get("ts")) < str(run.message_ts)
        ]
    except SlackError as error:
        found.unread[f"thread:{run.thread_ts}"] = type(error).__name__
        return
    for user in {str(message["user"]) for message in said if message["user"] and not message["bot_id"]}:
        who = await desk.identity.principal(user)
        by = f"slack:{desk.me.team}/{user}" if isinstance(who, NotRecognised) else who.id
        found.authors.add(by)
        for message in said:
            if message["user"] == user and not message["bot_id"]:
                message["by"] = by
    await _keep(desk, snapshot, found, material.THREAD, material.thread(said))


async def _links(desk: Desk, snapshot: Snapshot, found: _Found) -> None:
    """The links of a request to a model, as text: nobody opens them here."""
    kept = material.links(snapshot.run.text) if snapshot.run.thinks else None
    if kept is not None:
        await _keep(desk, snapshot, found, material.LINKS, kept)


async def _keep(desk: Desk, snapshot: Snapshot, found: _Found, name: str, body: bytes) -> None:
    async def once() -> AsyncIterator[bytes]:
        yield body

    stored = await desk.objects.put(once(), cap_bytes=len(body))
    found.artifacts.append(_row(desk, snapshot, "context", name, stored.sha256, stored.size, "application/json"))


def _files_of(message: Mapping[str, Any]) -> dict[str, Any]:
    """Names of the files that came with an earlier message; they are not fetched."""
    names = [display_name(str(file.get("name") or "file")) for file in message.get("files") or ()]
    return {"files": names} if names else {}


def _row(desk: Desk, snapshot: Snapshot, role: str, name: str, sha256: str, size: int, media_type: str) -> ArtifactRow:
    return ArtifactRow(
        tenant=snapshot.run.tenant,
        id=desk.ids.artifact(),
        run_id=snapshot.run.id,
        role=role,
        name=name,
        sha256=sha256,
        size=size,
        media_type=media_type,
        created_at=desk.clock.wall_ms(),
    )


def _note_unread(found: _Found, name: str, value: Mapping[str, Any], why: str) -> None:
    found.unread[str(value["slack_file"])] = why
    found.needed.append(
        f"The file {value['name']!r} for the input `{name}` could not be read from Slack. "
        "Stop this run and ask again with the file."
    )


def _give_up_unread(found: _Found) -> None:
    for name, value in found.inputs.items():
        if isinstance(value, Mapping) and "slack_file" in value:
            _note_unread(found, name, value, "took longer than 60 s")
