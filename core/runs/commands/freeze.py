"""Freeze and thaw: operators bring starts to a standstill, and let them go on.

The freeze itself is a row of its own, and from its commit on nothing it covers starts. What follows for each run (its
parked clocks, its way back) is decided run by run in `follow`, on locked rows; `core.runs.freezing` goes through them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from core.clock import rfc3339
from core.principals import Actor, Principal
from core.record.changes import Decided, Insert, Refusal
from core.record.freezes import FreezeChange, FreezeRow, Frozen, Scope, because, covering, named, sentence
from core.record.rows import Snapshot
from core.record.states import TERMINAL, BlockedReason, RunState
from core.runs import halts
from core.runs.draft import Draft, delivery

MOST_REASON = 1_000


def freeze(
    found: FreezeRow | None, *, tenant: str, what: Frozen, id_: str, by: Principal, reason: str, now_ms: int
) -> FreezeChange | Refusal:
    """Open a freeze, if `by` may and that is not frozen already.

    Args:
        found: The open freeze of exactly this, if there is one.
    """
    if (refusal := may_freeze(by)) is not None:
        return refusal
    if found is not None:
        who, since = found.frozen_by, rfc3339(found.frozen_at)
        return Refusal("already", f"{_named(what)} is already frozen by {who} since {since}{because(found.reason)}.")
    row = FreezeRow(tenant, id_, what.scope.value, what.id, Actor.of(by).id, reason.strip()[:MOST_REASON], now_ms)
    text = f"{_named(what)} is frozen. Nothing of it starts until it is thawed; what is under way goes on to its end."
    return FreezeChange(row, text, _said(row, "frozen", now_ms))


def thaw(found: FreezeRow | None, *, what: Frozen, by: Principal, reason: str, now_ms: int) -> FreezeChange | Refusal:
    """End a freeze, if `by` may and there is one."""
    if (refusal := may_freeze(by)) is not None:
        return refusal
    if found is None:
        return Refusal("ended", f"{_named(what)} is not frozen, so there is nothing to thaw.")
    row = replace(found, thawed_at=max(now_ms, found.frozen_at), thawed_by=Actor.of(by).id)
    text = f"{_named(what)} is thawed{because(reason)}. What no other freeze covers goes on."
    return FreezeChange(row, text, _said(row, "thawed", now_ms, reason.strip()[:MOST_REASON]))


def may_freeze(by: Principal) -> Refusal | None:
    """Who may freeze and thaw: operators of this house."""
    if by.external:
        return Refusal("not-allowed", "Guests and people from other organisations cannot freeze or thaw anything here.")
    if not by.is_operator:
        return Refusal(
            "not-allowed", "Only an operator can freeze or thaw. Ask one of them; anybody can stop their run."
        )
    return None


def follow(
    runs: Sequence[Snapshot],
    *,
    run_id: str,
    version: int,
    opened: Sequence[FreezeRow],
    ended: Sequence[FreezeRow],
    notes: Mapping[str, str],
    held_at: int | None,
    now_ms: int,
) -> Decided | Refusal:
    """Bring one run in line with the freezes there are, and write down which began and which ended to cover it.

    Args:
        version: Of the run when `notes` were read; a run that has moved on has to be looked at again.
        opened: Open freezes.
        ended: Thawed ones.
        notes: What its log says of each: `frozen`, `held` or `thawed`.
        held_at: When it was last brought to a standstill, by its log.
    """
    opened = not_ended(opened, notes)
    snapshot = next((snapshot for snapshot in runs if snapshot.run.id == run_id), None)
    if snapshot is None or snapshot.run.run_state in TERMINAL:
        return Refusal("ended", f"Run {run_id} is over.")
    if snapshot.run.version != version:
        return Refusal("already", f"Run {run_id} has moved on.")
    over = standing(opened, snapshot, notes)
    thawed = [each for each in ended if notes.get(each.id) in ("frozen", "held")]
    draft = Draft(snapshot, Actor.system("sweeper"))
    told: Sequence[FreezeRow] = ()
    if snapshot.run.run_state is RunState.WAITING_FOR_APPROVAL and over:
        tools = sorted(halts.open_tools(snapshot.calls))
        halts.hold(draft, over, tool=tools[0] if tools else None)
        told = over
    elif halts.is_held(draft) and not over:
        halts.let_go(draft, max(thawed, key=_thawed_at, default=None), held_at=held_at, now_ms=now_ms)
    elif halts.is_held(draft) and snapshot.run.blocked_detail != sentence(over[0]):
        draft.run |= {"blocked_detail": sentence(over[0])}
    fresh = [each for each in over if each not in told and notes.get(each.id) not in ("frozen", "held")]
    for each in fresh:
        draft.fact("run-frozen", {"freeze": each.id}, actor=halts.frozen_by(each))
    for each in thawed:
        draft.fact("run-thawed", {"freeze": each.id}, actor=halts.thawed_by(each))
    if not (told or fresh or thawed or draft.run):
        return Refusal("already", f"Run {run_id} is as it should be.")
    return Decided((draft.seal(now_ms=now_ms),), "followed")


def not_ended(opened: Sequence[FreezeRow], notes: Mapping[str, str]) -> list[FreezeRow]:
    """Without those the run's log says are thawed: a freeze never opens again, so whoever read them was too early."""
    return [each for each in opened if notes.get(each.id) != "thawed"]


def standing(opened: Sequence[FreezeRow], snapshot: Snapshot, notes: Mapping[str, str]) -> tuple[FreezeRow, ...]:
    """The open freezes a run stands under, the earliest first.

    One of a tool covers a run while a call of that tool is open, and a run it has brought to a standstill until it
    ends: the call that was refused is written down nowhere else.
    """
    over = covering(opened, snapshot.run, halts.open_tools(snapshot.calls))
    if snapshot.run.blocked_reason == BlockedReason.FROZEN:
        over += tuple(each for each in opened if notes.get(each.id) == "held" and each not in over)
    return tuple(sorted(over, key=lambda each: (each.frozen_at, each.id)))


def _thawed_at(row: FreezeRow) -> int:
    return row.thawed_at or 0


def _named(what: Frozen) -> str:
    words = named(what)
    return words[0].upper() + words[1:]


def _said(row: FreezeRow, word: str, now_ms: int, reason: str = "") -> tuple[Insert, ...]:
    """The one message in a channel that is frozen or thawed."""
    if row.what.scope is not Scope.CHANNEL:
        return ()
    body = {"freeze_id": row.id, "word": word, "channel": row.scope_id, "reason": reason}
    key = f"freeze:{row.id}:{word}"
    return (delivery(row.tenant, None, None, row.scope_id, None, "slack.freeze", key, body, now_ms),)
