"""One approval with everything it rests on, taken out of an installation as one document.

What is stored is taken as it is, damaged or not; whether it holds together is `verifying`'s to say, from the document
alone.
"""

import base64
import json
from typing import Any

from bot.cli.installation import BadAnswer, Installation
from bot.cli.verifying import STRANGE, VERSION
from core.actions.shown import changes
from core.errors import BanksmanError
from core.record.rows import ApprovalRow, CallRow, Snapshot
from core.runs import reading
from core.runs.approval_views import approval_view
from core.runs.preparing import MOST_INPUT_BYTES
from core.store import approvals, runs


async def collected(here: Installation, approval_id: str) -> dict[str, Any]:
    """Everything of one approval as `approval show --json` prints it, but for the checks.

    Raises:
        BadAnswer: there is none of that id, or its rows cannot be read at all.
    """
    row = await approvals.find(here.database, here.tenant, approval_id)
    found = None if row is None else await runs.snapshot(here.database, here.tenant, row.run_id)
    approval = None if found is None else found.approval(approval_id)
    if found is None or approval is None:
        raise BadAnswer(f"There is no approval {approval_id}. `banksman pending` lists those that wait.")
    call = found.call(approval.call_id)
    try:
        view = approval_view(found, approval).as_json()
    except STRANGE as error:
        raise BadAnswer(f"The stored rows of {approval_id} are damaged and cannot be read: {error!r}.") from error
    before = next((other for other in found.approvals if other.superseded_by == approval.id), None)
    asked = {"kind": approval.kind, "self_ok": bool(approval.self_ok), "policy_digest": approval.policy_digest}
    run = found.run
    return {
        "v": VERSION,
        "approval": {**view, **asked, "effect_digest": approval.effect_digest},
        "run": {"id": run.id, "state": run.state, "agent": run.agent, "requester": run.requester},
        "action": {
            "digest": call.action_digest,
            "effect_digest": call.effect_digest,
            "envelope_base64": _encoded(call.envelope.encode("utf-8", "surrogatepass")),
            "inputs": await _inputs(here, call),
        },
        "replaces": None if before is None else before.id,
        "changed": _changed(found, before, call),
        "log": await _log(here, approval),
    }


async def _inputs(here: Installation, call: CallRow) -> list[dict[str, Any]]:
    """What the action names beyond its arguments, with the bytes; those that are not intact are left out."""
    try:
        named = [(str(item["ref"]), str(item["sha256"])) for item in json.loads(call.envelope)["inputs"]]
    except STRANGE:
        return []
    found = []
    for ref, sha256 in named:
        try:
            data: str | None = _encoded(await here.objects.read(sha256, MOST_INPUT_BYTES))
        except BanksmanError:
            data = None
        found.append({"ref": ref, "sha256": sha256, "base64": data})
    return found


async def _log(here: Installation, approval: ApprovalRow) -> list[dict[str, Any]]:
    """The run's events about this approval."""
    found = []
    for event in await reading.log(here.database, here.tenant, approval.run_id):
        said = [dict(item) for item in event.evidence if item.get("approval") == approval.id]
        if said and event.type.startswith("approval-"):
            shape = event.as_json()
            found.append({name: shape[name] for name in ("seq", "at", "type", "actor", "hash")} | {"evidence": said[0]})
    return found


def _changed(found: Snapshot, before: ApprovalRow | None, call: CallRow) -> list[dict[str, str | None]]:
    if before is None:
        return []
    try:
        different = changes(found.call(before.call_id).envelope, call.envelope)
    except STRANGE:
        return []
    return [{"path": each.path, "before": each.before, "after": each.after} for each in different]


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()
