"""Write to a run under way: what somebody says is stored, asked about if it is not the requester's, and noted aloud.

A reply changes what the model is told next and nothing else. It approves nothing, denies nothing, stops nothing, and
what waits for approval stays exactly what it was. Letting a parked run go on is a button; the form behind it takes a
text along.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from core.actions.envelope import digest, salted
from core.principals import Actor, Principal
from core.record.changes import Decided, Refusal
from core.record.rows import RunRow, Snapshot
from core.record.states import TERMINAL, BlockedReason, RunState
from core.runs.commands.again import go_on
from core.runs.draft import Draft

MOST_BYTES = 8_000
"""Of one reply."""

MOST_REPLIES = 30
"""Of the requester or an operator to one run, and of all others together, so that nobody can use up what is for those:
every one stays in the prompt, word for word.
"""

Steering = Literal["off", "ask", "auto"]
MODES: tuple[Steering, ...] = ("off", "ask", "auto")

_DECIDES = re.compile(r"(i )?(approve|approved|deny|denied|reject|rejected)( it| this)?")
_AGREES = re.compile(r"(yes|yep|ok|okay|sure|go|go ahead|do it|lgtm|no|nope|don't|dont)( please)?")
_STOPS = re.compile(r"(kill|cancel|abort)( it| this)?")

_BUTTONS = "Nothing that is written approves or denies anything. Use the buttons on the card of the action."


@dataclass(frozen=True)
class Said:
    """What somebody wrote to a run."""

    run_id: str
    source: str
    """What the message is known by: Slack's timestamp, or the form's id."""
    by: Principal
    text: str
    at_ms: int
    """When it was written."""
    files: int = 0
    """How many came with it; they are not taken along."""
    lets_go_on: bool = False
    """Whether it was written to have a run that goes round in circles go on."""

    @property
    def id(self) -> str:
        return f"{self.run_id}:{self.source}"


def steer(runs: Sequence[Snapshot], *, said: Said, now_ms: int) -> Decided | Refusal:
    """Store what somebody wrote, unless it is nothing a run can use.

    Returns:
        `Decided` without changes for a message that is stored already.
    """
    snapshot = _find(runs, said.run_id)
    if snapshot is None:
        return Refusal("not-found", f"There is no run {said.run_id}.")
    run, text = snapshot.run, said.text.strip()
    if any(row.id == said.id for row in snapshot.steers):
        return Decided((), "")
    refusal = _unusable(snapshot, said, text)
    if refusal is not None:
        return refusal
    trusted = may_settle(run, said.by)
    if said.lets_go_on and not (trusted and is_stuck(run)):
        return Refusal("already", f"Run {run.id} does not wait for this, or not for you: it is {run.state}.")
    taken = trusted or run.steering == "auto"
    draft = Draft(snapshot, Actor.of(said.by))
    draft.insert(
        "steers",
        {
            "tenant": run.tenant,
            "id": said.id,
            "run_id": run.id,
            "author": said.by.id,
            "slack_user": said.by.slack_user,
            "text": text,
            "digest": digest(text.encode()),
            "at": said.at_ms,
            "status": "taken" if taken else "asked",
            "noted_at": now_ms if taken else None,
        },
    )
    draft.fact("reply-stored", {"reply": said.id, "text": salted(run.salt, text), "taken": taken})
    if said.lets_go_on:
        go_on(draft, "steered")
    if taken:
        draft.deliver("slack.reply", f"noted:{said.id}", {"text": _noted(draft, said)})
    else:
        draft.deliver("slack.steer", f"steer:{said.id}", {"reply_id": said.id})
    return Decided((draft.seal(now_ms=now_ms),), "")


def settle_reply(
    runs: Sequence[Snapshot], *, reply_id: str, by: Principal, take: bool, now_ms: int
) -> Decided | Refusal:
    """Say whether a reply that was asked about is taken up."""
    found = next(((each, row) for each in runs for row in each.steers if row.id == reply_id), None)
    if found is None:
        return Refusal("not-found", "This message is not known here.")
    snapshot, row = found
    run = snapshot.run
    if by.external or not may_settle(run, by):
        return Refusal("not-allowed", "Only the person who asked for this run, or an operator, can say so.")
    if row.status != "asked":
        done = "taken up" if row.status == "taken" else "left"
        return Refusal("already", f"This was {done} already, by {row.decided_by}.")
    if run.run_state in TERMINAL:
        return Refusal("ended", f"Run {run.id} is over: it is {run.state}.")
    draft = Draft(snapshot, Actor.of(by))
    values = {"status": "taken" if take else "left", "decided_by": by.id, "noted_at": now_ms if take else None}
    draft.update("steers", {"id": row.id}, values)
    draft.fact("reply-decided", {"reply": row.id, "taken": take})
    if take:
        draft.deliver("slack.reply", f"noted:{row.id}", {"text": _noted(draft, None)})
    return Decided((draft.seal(now_ms=now_ms),), "It is taken up with the next step." if take else "It is left.")


def set_steering(runs: Sequence[Snapshot], *, run_id: str, by: Principal, to: str, now_ms: int) -> Decided | Refusal:
    """Say whose replies count in a run."""
    snapshot = _find(runs, run_id)
    mode = next((each for each in MODES if each == to), None)
    if snapshot is None:
        return Refusal("not-found", f"There is no run {run_id}.")
    run = snapshot.run
    if mode is None:
        return Refusal("invalid", f"Say whose replies count: {', '.join(MODES[:-1])} or {MODES[-1]}.")
    if by.external or not may_settle(run, by):
        return Refusal("not-allowed", "Only the person who asked for this run, or an operator, can say so.")
    if not run.thinks:
        return Refusal("invalid", f"Run {run.id} follows a playbook, which takes no replies.")
    if run.run_state in TERMINAL:
        return Refusal("ended", f"Run {run.id} is over: it is {run.state}.")
    draft = Draft(snapshot, Actor.of(by))
    draft.run["steering"] = mode
    draft.fact("replies-set", {"from": run.steering, "to": mode})
    means = {
        "off": "Nobody's replies are taken up",
        "ask": "Your replies are taken up, and you are asked about those of others",
        "auto": "Replies of every member of this team are taken up",
    }[mode]
    return Decided((draft.seal(now_ms=now_ms),), f"{means} in run {run.id} from now on.")


def may_settle(run: RunRow, by: Principal) -> bool:
    """Whose word counts at once: the person who asked for the run, and operators."""
    return not by.external and (by.id == run.requester or by.is_operator)


def is_stuck(run: RunRow) -> bool:
    """Whether a model goes round in circles and a person has to tell it something."""
    return run.thinks and run.blocked_reason == BlockedReason.LOOP


def _find(runs: Sequence[Snapshot], run_id: str) -> Snapshot | None:
    return next((snapshot for snapshot in runs if snapshot.run.id == run_id), None)


def _unusable(snapshot: Snapshot, said: Said, text: str) -> Refusal | None:
    run, size = snapshot.run, len(text.encode())
    if said.by.external:
        return Refusal("not-allowed", "Guests and people from other organisations cannot steer runs here.")
    if not run.thinks:
        return Refusal("invalid", f"Run {run.id} follows a playbook, which takes no replies.")
    if run.run_state in TERMINAL:
        return Refusal("ended", f"Run {run.id} was over before this reached it, so it was not taken up.")
    if run.steering == "off" and not said.lets_go_on:
        return Refusal(
            "not-allowed", "Replies in this thread are not taken up: whoever asked for the run has turned that off."
        )
    if (words := _decision_in(snapshot, text)) is not None:
        return Refusal("invalid", words)
    if not text:
        return Refusal("invalid", "Only the text of a reply is taken up, and this one has none.")
    if size > MOST_BYTES:
        said_so = f"Your reply has {size:,} bytes, and {MOST_BYTES:,} is the most that is taken up"
        return Refusal("invalid", f"{said_so}, so nothing of it was. Say it in fewer words.")
    if _counted(snapshot, said.by) >= MOST_REPLIES:
        whose = "of yours" if may_settle(run, said.by) else "of others than who asked for it"
        return Refusal(
            "invalid", f"This run has {MOST_REPLIES} replies {whose}, which is the most; this one is not kept."
        )
    return None


def _counted(snapshot: Snapshot, by: Principal) -> int:
    """How many replies count against another one of this person."""
    if may_settle(snapshot.run, by):
        return sum(row.author == by.id for row in snapshot.steers)
    return sum(row.author != snapshot.run.requester for row in snapshot.steers)


def _decision_in(snapshot: Snapshot, text: str) -> str | None:
    """What to say to somebody who takes writing for deciding."""
    plain = " ".join(text.casefold().split()).strip(" .!:+")
    asked = any(approval.status == "pending" for approval in snapshot.approvals)
    if _DECIDES.fullmatch(plain) or (asked and _AGREES.fullmatch(plain)):
        return _BUTTONS
    if _STOPS.fullmatch(plain):
        return "This stops nothing. Press Kill on the card, or write exactly `stop`."
    return None


def _noted(draft: Draft, said: Said | None) -> str:
    """What is said in the thread, once, as things are now."""
    run, state = draft.snapshot.run, draft.state
    parts = ["Noted. It is taken up with the next step."]
    if state is RunState.WAITING_FOR_APPROVAL:
        parts.append("What waits for approval stays as it is.")
    elif state is RunState.BLOCKED and run.blocked_reason == BlockedReason.QUESTION:
        parts = ["Noted for its next step. Its question is answered with Answer… alone."]
    elif state is RunState.BLOCKED:
        parts = ["Noted for its next step. It still waits for what it is blocked by."]
    if said is not None and said.by.id != run.requester:
        parts.append("Whoever writes to a run does not approve what it asks for from then on.")
    if said is not None and said.files:
        parts.append("Files that come with a reply are not taken along.")
    return " ".join(parts)
