"""The audit log's format: what an event says, its canonical bytes and the hash that chains it to the one before.

Events hold ids, states, digests and numbers, never a person's or a tool's text (of such text only salted digests). Each
run is a stream of its own, so its chain needs no lock beyond the run row. The format is versioned and final: `v` 1.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from core.actions.envelope import canonical
from core.principals import Actor
from core.record.states import RunState

GENESIS = "0" * 64
"""`prev_hash` of a stream's first event."""

_VERSION = 1
_DOMAIN = b"\0event-v1"

EVENT_TYPES: Mapping[str, str] = {
    "state": "the run moved from one state to another",
    "model-asked": "a model was about to be asked, and the most that can cost was taken out of its budgets",
    "model-answered": "a model's answer was stored, and what it cost settled",
    "model-failed": "a model brought no usable answer, and what that cost was settled",
    "model-lost": "nobody knows what came of a request to a model; it is charged at its reserve",
    "budget-raised": "somebody let the run spend more, or use more of what else it has a cap on",
    "wrap-up-asked": "somebody told the run to finish with what it has",
    "call-proposed": "a tool call was planned and its action stored",
    "call-started": "an attempt of a tool call began; from here something may be happening outside",
    "call-ended": "an attempt ended and its result was recorded",
    "call-retried": "an attempt ended without effect or without result, and the call will be tried again",
    "call-canceled": "a planned call was withdrawn before it started",
    "approval-asked": "people were asked whether one exact action may be performed",
    "approval-voted": "somebody voted on an action, on what they had been shown",
    "approval-decided": "a question to approvers was closed: approved, denied, expired, revoked or superseded",
    "approval-consumed": "the call an approval was given for started, and the approval can never be used again",
    "reply-stored": "somebody wrote in the thread of the run, and it was stored: to be taken up, or to be asked about",
    "reply-decided": "somebody who may said whether a reply of somebody else is taken up",
    "replies-set": "somebody set whose replies count",
    "question-asked": "the run asked people something and waits for the answer",
    "question-answered": "somebody answered what the run had asked",
    "call-resolved": "a person or a probe looked and said whether a call of unknown outcome had happened",
    "policy-changed": "the operator's policy changed, and from here on the run is decided by the new one",
    "run-frozen": "an operator's freeze covers the run: nothing of it starts until that is thawed",
    "run-thawed": "a freeze that covered the run was thawed",
    "rollback-asked": "somebody asked to have the run rolled back, and the run that does it was created",
    "rollback-ended": "a rollback of the run ended without having done everything; it can be asked for again",
    "late-result": "a result arrived after its attempt had lost the run; it is kept and never applied",
    "stop-requested": "somebody asked the run to stop, and the fence was raised",
    "stop-reported": "a host said what it found of the stopped run, and what it ended",
    "stop-confirmed": "every host that held the run reported that no process of it is left",
}
"""Every event type and what it records."""


@dataclass(frozen=True)
class ChainHead:
    """The end of a stream: what the next event links to."""

    seq: int = 0
    hash: str = GENESIS
    at_ms: int = 0


@dataclass(frozen=True)
class EventDraft:
    """An event before it is linked into its stream."""

    type: str
    actor: Actor
    policy_version: str
    from_state: RunState | None = None
    to_state: RunState | None = None
    model_version: str | None = None
    evidence: tuple[Mapping[str, Any], ...] = ()
    """Facts by id and digest, e.g. `{"call": "call_…", "status": "succeeded"}`."""


@dataclass(frozen=True)
class Event:
    """A sealed event: its canonical bytes and its hash."""

    tenant: str
    stream: str
    seq: int
    at_ms: int
    draft: EventDraft
    fence: int
    prev_hash: str
    body: str
    hash: str


def seal(
    head: ChainHead, drafts: Iterable[EventDraft], *, tenant: str, stream: str, fence: int, at_ms: int
) -> tuple[tuple[Event, ...], ChainHead]:
    """Link drafts to the end of a stream, in order; time never goes backwards within a stream."""
    events = []
    for draft in drafts:
        at_ms = max(at_ms, head.at_ms)
        body = canonical(
            {
                "v": _VERSION,
                "tenant": tenant,
                "stream": stream,
                "seq": head.seq + 1,
                "at": at_ms,
                "type": draft.type,
                "from": draft.from_state.value if draft.from_state else None,
                "to": draft.to_state.value if draft.to_state else None,
                "actor": {"kind": draft.actor.kind, "id": draft.actor.id},
                "model": draft.model_version,
                "policy": draft.policy_version,
                "fence": fence,
                "evidence": [dict(item) for item in draft.evidence],
                "prev_hash": head.hash,
            }
        )
        event = Event(tenant, stream, head.seq + 1, at_ms, draft, fence, head.hash, body.decode(), event_hash(body))
        events.append(event)
        head = ChainHead(event.seq, event.hash, at_ms)
    return tuple(events), head


def event_hash(body: bytes) -> str:
    """Hash of an event's canonical bytes, hex."""
    return hashlib.sha256(_DOMAIN + body).hexdigest()
