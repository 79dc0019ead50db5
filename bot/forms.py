"""The form for what a request did not say: opened by a button, answered by the person who asked, and then the request
itself.

The form holds nothing but the key of the stored message; what is missing is worked out anew each time, so an old form
cannot start something that is no longer possible.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bot import intake
from bot.blocks.elements import Message
from bot.blocks.modals import MissingField, input_errors, inputs_modal, read_inputs
from bot.blocks.refusals import sentence, stale
from bot.intake import Done, Known, Reply, missing_inputs
from bot.messages import Asked, SlackFile, file_in
from bot.office import Office
from bot.slack_errors import SlackError
from core.planners.binding import FieldNeeded, MissingInputs
from core.planners.definition import Playbook
from core.store import inbox, runs

LOOK_WITHIN_S = 1.0
"""For asking Slack about a file; deciding has the rest of the 3 s before the form must be answered."""

_STARTED = "This request has already started; see its thread."
_SLOW = "Slack does not answer right now. Nothing has happened; please press Start again."


@dataclass(frozen=True)
class Filled:
    """What came of a filled form."""

    asked: Asked | None
    """The request it completes."""
    errors: Mapping[str, Any] | None = None
    """What Slack should show in it; `None` lets it close."""
    done: Done | None = None
    said: Message | None = None
    """Why nothing followed, for the person."""


async def open_form(
    office: Office, key: str, *, user: str, trigger_id: str, channel: str | None, thread_ts: str | None
) -> None:
    """Open the form for a stored request, or say privately why not."""
    refused: Message | None = None
    asked = await _asked(office, key)
    if asked is None:
        refused = stale()
    elif asked.user != user:
        refused = sentence("Only the person who asked can fill this in. Mention me yourself to ask for your own run.")
    elif await _has_started(office, asked):
        refused = sentence(_STARTED)
    else:
        match await missing_inputs(office.desk, asked):
            case (Playbook() as playbook, MissingInputs() as missing) if missing.fields:
                view = inputs_modal(playbook.name, _fields(missing), private_metadata=json.dumps({"request": key}))
                await office.show(trigger_id, view, channel=channel, user=user)
                return
            case (Playbook() as playbook, MissingInputs() as missing):
                refused = sentence(missing.sentence(playbook))
            case Reply() as reply:
                refused = sentence(reply.text)
            case _:
                refused = stale()
    await office.tell(channel, user, refused, thread_ts=thread_ts)


async def submit(office: Office, body: Mapping[str, Any]) -> Filled:
    """Take a filled form: say what is wrong with it, or store the completed request."""
    view, user = body["view"], str(body["user"]["id"])
    asked = await _asked(office, _request(view))
    if asked is None or asked.user != user:
        return Filled(None, said=stale())
    if await _has_started(office, asked):
        return Filled(asked, said=sentence(_STARTED))
    needed = await missing_inputs(office.desk, asked)
    if not isinstance(needed, tuple):
        return Filled(asked, said=sentence(needed.text) if isinstance(needed, Reply) else stale())
    playbook, missing = needed
    fields = _fields(missing)
    # What the form asked is in it; the operator may have changed the playbook since.
    if _block_ids(inputs_modal(playbook.name, fields, private_metadata="")) != _block_ids(view):
        return Filled(asked, said=stale())
    submitted = read_inputs(view["state"]["values"], fields)
    if submitted.errors:
        return Filled(asked, input_errors(submitted.errors, fields))
    told = {file["id"]: file for file in _files_in(view["state"]["values"])}
    try:
        async with asyncio.timeout(LOOK_WITHIN_S):
            uploaded = {name: await _file(office, told[file_id]) for name, file_id in submitted.files.items()}
    except (SlackError, TimeoutError):
        return Filled(asked, input_errors({fields[0].name: _SLOW}, fields))
    given = {**(asked.given or {}), **submitted.values, **{name: file.name for name, file in uploaded.items()}}
    complete = replace(asked, files=(*asked.files, *uploaded.values()), given=given)
    again = await missing_inputs(office.desk, complete)
    if isinstance(again, tuple):
        return Filled(asked, _still_wrong(again[1], playbook, fields))
    done = await intake.receive(office.desk, complete, f"view:{view['id']}:{view.get('hash', '')}")
    return Filled(asked, done=done, said=sentence(_STARTED) if isinstance(done, Known) else None)


def _still_wrong(missing: MissingInputs, playbook: Playbook, fields: list[MissingField]) -> dict[str, Any]:
    """Each problem at its field; one that belongs to no field of the form, at the first."""
    names = {field.name for field in fields}
    wrong = {each.spec.name: each.problem or "Please fill this in." for each in missing.fields}
    shown = {name: problem for name, problem in wrong.items() if name in names}
    return input_errors(shown or {fields[0].name: missing.sentence(playbook)}, fields)


async def _has_started(office: Office, asked: Asked) -> bool:
    return await runs.find_by_source(office.desk.database, office.desk.tenant, asked.source_key) is not None


async def _asked(office: Office, key: str) -> Asked | None:
    row = await inbox.find(office.desk.database, office.desk.tenant, key)
    return Asked.from_body(row.body) if row is not None and row.kind == "message" else None


async def _file(office: Office, told: Mapping[str, Any]) -> SlackFile:
    """A file of the form as it was told to us; Slack is asked only about what it left out."""
    if not told.get("name") or not isinstance(told.get("size"), int):
        told = await office.desk.slack.file_info(told["id"])
    return file_in(told)


def _files_in(values: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    answers = [answer for block in values.values() for answer in block.values()]
    return [file for answer in answers for file in answer.get("files") or () if isinstance(file.get("id"), str)]


def _request(view: Mapping[str, Any]) -> str:
    try:
        return str(json.loads(view.get("private_metadata") or "{}").get("request", ""))
    except ValueError:
        return ""


def _block_ids(view: Mapping[str, Any]) -> list[str]:
    return [str(block["block_id"]) for block in view["blocks"] if block["type"] == "input"]


def _fields(missing: MissingInputs) -> list[MissingField]:
    return [_field(needed) for needed in missing.fields]


def _field(needed: FieldNeeded) -> MissingField:
    spec = needed.spec
    description = " ".join(filter(None, (needed.problem, spec.description or f"Expects {spec.expects}.")))
    choices = needed.candidates if spec.type == "file" and needed.candidates else spec.choices
    # A file that is already attached is picked by name; a decimal is typed as text and checked when bound.
    kind = "choice" if choices else "string" if spec.type == "decimal" else spec.type
    return MissingField(spec.name, kind, description, tuple(choices), spec.required, spec.default)
