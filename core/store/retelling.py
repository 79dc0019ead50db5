"""What must hold of any history and no query can say: hashes, digests, and that the log alone tells what the rows say.

Pure: a check takes rows and yields a line for each thing that breaks it, beginning with an id. Who reads the rows, a
batch at a time, is `examining.py`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.actions.envelope import digest, idempotency_key, read_back
from core.actions.shown import box
from core.errors import TerminalError
from core.record.events import GENESIS, event_hash

Row = Mapping[Any, Any]
STRANGE = (KeyError, TypeError, ValueError, AttributeError, RecursionError)
"""What reading JSON raises that is not what we write."""


class Chains:
    """I2: every event's hash is that of its body, says the same as its columns, and links to the one before.

    Rows come ordered by tenant, stream and seq.
    """

    def __init__(self) -> None:
        self._stream: tuple[str, str] | None = None
        self._end = (0, GENESIS, 0)

    def broken(self, row: Row) -> Iterator[str]:
        """What is wrong with the next event."""
        stream = row["tenant"], row["stream"]
        if stream != self._stream:
            self._stream, self._end = stream, (0, GENESIS, 0)
        seq, prev_hash, at_ms = self._end
        name = f"{row['stream']} {row['seq']}"
        if _body(row["body"]) != _said(row):
            yield f"{name}: its columns and its body disagree"
        if row["hash"] != event_hash(row["body"].encode("utf-8", "surrogatepass")):
            yield f"{name}: its hash is not that of its body"
        if (row["seq"], row["prev_hash"]) != (seq + 1, prev_hash) or row["at"] < at_ms:
            yield f"{name}: does not follow {seq}"
        self._end = row["seq"], row["hash"], row["at"]


def _body(text: str) -> Any:
    try:
        return json.loads(text)
    except STRANGE:
        return None


def _said(row: Row) -> dict[str, Any]:
    return {
        "v": 1,
        "tenant": row["tenant"],
        "stream": row["stream"],
        "seq": row["seq"],
        "at": row["at"],
        "type": row["type"],
        "from": row["from_state"],
        "to": row["to_state"],
        "actor": {"kind": row["actor_kind"], "id": row["actor_id"]},
        "model": row["model_version"],
        "policy": row["policy_version"],
        "fence": row["fence"],
        "evidence": _body(row["evidence"]),
        "prev_hash": row["prev_hash"],
    }


@dataclass
class Fold:
    """I40: a run as its log alone tells it."""

    tenant: str
    run_id: str
    state: str | None = None
    fence: int = 0
    killed_fence: int | None = None
    calls: dict[str, str] = field(default_factory=dict)
    """Call → status."""
    attempts: dict[str, int] = field(default_factory=dict)
    actions: dict[str, str] = field(default_factory=dict)
    """Call → action digest."""
    approvals: dict[str, frozenset[str]] = field(default_factory=dict)
    """Question → the statuses it may have: when a vote is taken back, the rows alone know whether enough are left."""

    def add(self, row: Row) -> None:
        """Take in the next event; one that says nothing we know changes nothing."""
        if row["type"] == "state":
            self.state = row["to_state"]
        self.fence = max(self.fence, row["fence"])
        for said in _body(row["evidence"]) or ():
            try:
                self._take(row["type"], said)
            except STRANGE:
                continue

    def _take(self, type_: str, said: Mapping[str, Any]) -> None:
        match type_:
            case "call-proposed":
                self.calls[said["call"]], self.actions[said["call"]] = "intent", said["action"]
            case "call-started":
                self.calls[said["call"]], self.attempts[said["call"]] = "started", said["attempt"]
            case "call-retried" if "in_ms" in said:
                self.calls[said["call"]] = "intent"
            case "call-ended" | "call-resolved" if "call" in said:
                self.calls[said["call"]] = said["status"]
            case "question-answered":
                self.calls[said["call"]] = "succeeded"
            case "call-canceled":
                self.calls[said["call"]] = "canceled"
            case "approval-asked":
                self.approvals[said["approval"]] = frozenset({"pending"})
            case "approval-decided":
                self.approvals[said["approval"]] = frozenset({said["status"]})
            case "approval-voted" if said["decision"] == "taken-back":
                self.approvals[said["approval"]] |= {"pending"}
            case "approval-consumed":
                self.approvals[said["approval"]] = frozenset({"consumed"})
            case "stop-requested" if "fence" in said:
                self.killed_fence = said["fence"]

    def differs(self, run: Row | None, calls: Sequence[Row], approvals: Sequence[Row]) -> Iterator[str]:
        """Where the rows say something else."""
        if run is None:
            yield f"{self.run_id}: it has a log and no row"
            return
        if run["state"] != self.state:
            yield f"{self.run_id}: it is {run['state']}, by its log {self.state}"
        if run["killed_fence"] != self.killed_fence or run["fence"] < self.fence:
            yield f"{self.run_id}: its fences are not those of its log"
        rows = {row["id"]: row for row in calls}
        for call_id in sorted({*rows, *self.calls}):
            row, status = rows.get(call_id), self.calls.get(call_id)
            if row is None or row["status"] != status or row["attempts"] != self.attempts.get(call_id, 0):
                yield f"{call_id}: it is {row and row['status']}, by the log {status}"
            elif row["action_digest"] != self.actions.get(call_id):
                yield f"{call_id}: its action is not the one of the log"
        asked = {row["id"]: row["status"] for row in approvals}
        for approval_id in sorted({*asked, *self.approvals}):
            statuses = self.approvals.get(approval_id, frozenset())
            if asked.get(approval_id) not in statuses:
                yield f"{approval_id}: it is {asked.get(approval_id)}, by the log {' or '.join(sorted(statuses))}"


def broken_call(row: Row) -> Iterator[str]:
    """I13: the stored bytes of an action have the digests that are stored beside them, and so has its result."""
    data = row["envelope"].encode("utf-8", "surrogatepass")
    envelope = read_back(data)
    if row["action_digest"] != digest(data):
        yield f"{row['id']}: its action digest is not that of its bytes"
    if envelope is None:
        yield f"{row['id']}: its stored action is not in a form this program knows"
        return
    inside = envelope.tenant, envelope.run, envelope.step, envelope.ordinal, envelope.generation, envelope.tool
    beside = tuple(row[name] for name in ("tenant", "run_id", "step", "ordinal", "generation", "tool"))
    if inside != beside or row["effect_digest"] != envelope.effect_digest():
        yield f"{row['id']}: its action is not the one its row names"
    key = idempotency_key(
        tenant=row["tenant"],
        run=row["run_id"],
        step=row["step"],
        ordinal=row["ordinal"],
        generation=row["generation"],
        action_digest=row["action_digest"],
    )
    if row["idem_key"] != key:
        yield f"{row['id']}: its idempotency key is not that of its action"
    if row["result_digest"] is not None and row["result_digest"] != digest((row["result_json"] or "").encode()):
        yield f"{row['id']}: its result is not the one that was recorded"


def broken_document(row: Row) -> Iterator[str]:
    """I19: what a run pinned is stored under its digest."""
    if row["digest"] != digest(row["body"].encode("utf-8", "surrogatepass")):
        yield f"{row['kind']} {row['digest']}: its digest is not that of its text"


def broken_votes(approval: Row, envelope: str, votes: Sequence[Row], inputs: Mapping[str, bytes]) -> Iterator[str]:
    """I15: every vote that counts was given on the whole text of exactly this action.

    Args:
        approval: The question.
        envelope: The stored bytes of its action.
        votes: The votes that count.
        inputs: What the action carries, by SHA-256.
    """
    try:
        shown = box(envelope.encode("utf-8", "surrogatepass"), inputs).digest
    except (*STRANGE, TerminalError):
        shown = "nothing: the action cannot be shown"
    for vote in votes:
        if vote["seen_digest"] != shown:
            yield f"{approval['id']}: {vote['voter']} has seen another text than that of this action"
