"""Context is loaded: what the bot could read for a run is stored, and what it could not is said.

Only the bot can read Slack, so it alone moves a run from `created`. What could not be read in time is named in the
event; if an input needs it the run blocks at once, with the remedy, instead of failing half way.
"""

from collections.abc import Mapping
from typing import Any

from core.actions.envelope import salted
from core.principals import Actor
from core.record.changes import RunChange
from core.record.rows import ArtifactRow, Snapshot, dumps
from core.record.states import DUE_NOW, BlockedReason, RunState
from core.runs.draft import Draft


def loaded(
    snapshot: Snapshot,
    *,
    inputs: Mapping[str, Any],
    artifacts: tuple[ArtifactRow, ...],
    unread: Mapping[str, str],
    needed: str | None,
    now_ms: int,
    authors: tuple[str, ...] = (),
) -> RunChange:
    """Describe the move to `context-loaded`.

    Args:
        inputs: The run's inputs with every file resolved to a stored artifact.
        unread: What could not be read, by Slack id, and a word why.
        needed: A sentence, if an input needs something unread: the run blocks with it.
        authors: Principals whose messages are input of the run.
    """
    run = snapshot.run
    draft = Draft(snapshot, Actor.system("bot:context"))
    evidence: list[Mapping[str, Any]] = [
        {"artifact": item.id, "role": item.role, "digest": salted(run.salt, item.sha256)} for item in artifacts
    ]
    evidence += [{"unread": slack_id, "why": why} for slack_id, why in unread.items()]
    draft.move(RunState.CONTEXT_LOADED, *evidence)
    draft.run |= {"inputs_json": dumps(dict(inputs)), "due_at": DUE_NOW, "wake": run.wake + 1}
    draft.run |= {"authors_json": dumps(list(authors))}
    for item in artifacts:
        blob = {"tenant": run.tenant, "sha256": item.sha256, "size": item.size, "created_at": now_ms}
        draft.insert("blobs", blob)
        draft.insert("artifacts", {name: getattr(item, name) for name in item.__dataclass_fields__})
    if needed is not None:
        draft.block(BlockedReason.DEPENDENCY_DOWN, needed)
    return draft.seal(now_ms=now_ms)


def unloadable(snapshot: Snapshot, reason: str, now_ms: int) -> RunChange:
    """End a run whose context is bad in a way no waiting mends (the file is not what the playbook takes)."""
    draft = Draft(snapshot, Actor.system("bot:context"))
    draft.end(RunState.FAILED, reason, {"reason": salted(snapshot.run.salt, reason)}, now_ms=now_ms)
    return draft.seal(now_ms=now_ms)
