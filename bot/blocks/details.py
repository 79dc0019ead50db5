"""The Details modal: everything of one run that does not belong on its card.

A snapshot, said so; opening it again shows the newest. The whole record, for machines, is `banksman show` and
`banksman events`.
"""

from collections.abc import Sequence

from bot.blocks import facts, rollback
from bot.blocks.approval_parts import TITLES, digits, effect, votes
from bot.blocks.bounds import VIEW_TITLE
from bot.blocks.elements import Block, context, divider, line, moment, prose, quote, rich, say, unparsed, word
from bot.blocks.words import count, duration
from bot.surface import CallbackId
from core.ids import short
from core.runs.approval_views import ApprovalView
from core.runs.views import ActionView, EventView, RunView

_LATE = 2
_ACTIONS = 20
_EVENTS = 15
_FILES = 20
_APPROVALS = 5
_VOTES = 3


def run_details(view: RunView, events: Sequence[EventView], *, now_ms: int) -> Block:
    """Build the view for `views.open`.

    Args:
        view: The run as it is now.
        events: Its log, oldest first; only the last ones are shown.
        now_ms: When the snapshot was taken.

    Returns:
        A modal without inputs; its `private_metadata` is the run id.
    """
    inputs = tuple(artifact for artifact in view.artifacts if artifact.role != "output")
    blocks = [
        rich(facts.headline(view)),
        facts.identity(view),
        facts.given(view),
        facts.contract(view),
        rollback.of_another(view),
        _asked(view),
        facts.blocked(view),
        facts.wrapping_up(view),
        facts.stop(view),
        facts.outcome(view, 2000),
        facts.plan(view, lines=40),
        facts.files(facts.outputs(view), "Files it made", _FILES),
        facts.files(inputs, "Files it was given", _FILES),
        rollback.progress(view) or rollback.undoable(view),
        divider(),
        _actions(view),
        *_approvals(view),
        _events(events),
        context(
            say(f"Took {duration(view.duration_ms)}; as of"), moment(now_ms), word("Open Details again for the newest.")
        ),
    ]
    return {
        "type": "modal",
        "callback_id": CallbackId.RUN_DETAILS,
        "title": unparsed(f"Run {short(view.id)}", VIEW_TITLE),
        "close": unparsed("Close", VIEW_TITLE),
        "private_metadata": view.id,
        "blocks": [block for block in blocks if block is not None],
    }


def _asked(view: RunView) -> Block | None:
    if not view.text.strip():
        return None
    return rich(line(word("Asked", bold=True)), quote(prose(view.text, 1000)))


def _actions(view: RunView) -> Block:
    if not view.actions:
        return rich(line(word("No tool has been called yet.")))
    hidden = max(len(view.actions) - _ACTIONS, 0)
    rows = [line(word(count(len(view.actions), "tool call"), bold=True))]
    if hidden:
        rows.append(line(word(f"… {count(hidden, 'earlier call')}")))
    rows += [_action(action) for action in view.actions[hidden:]]
    return rich(*rows)


def _action(action: ActionView) -> Block:
    leaves = [
        say(action.tool, bold=True, limit=60),
        word(" in "),
        say(action.step, limit=60),
        word(f": {action.status.value}, {count(action.attempts, 'attempt')}, "),
        say(f"{action.tier}, {action.recovery}", limit=60),
        word(", digest "),
        say(action.digest.removeprefix("sha256:")[:16], code=True),
    ]
    if action.error:
        leaves += [word(" — "), say(action.error, italic=True, limit=200)]
    for late in action.late[-_LATE:]:
        leaves += [word("; an attempt that had lost the run said "), say(late.status, limit=40), word(" at ")]
        leaves.append(moment(late.at_ms))
        leaves.append(word(", which is kept and not used"))
    return line(*leaves)


def _approvals(view: RunView) -> list[Block | None]:
    """What was asked of whom and who decided, the newest questions last."""
    if not view.approvals:
        return []
    hidden = max(len(view.approvals) - _APPROVALS, 0)
    first = [word(count(len(view.approvals), "approval asked for", "approvals asked for"), bold=True)]
    if hidden:
        first.append(word(f", the last {_APPROVALS} of them"))
    blocks: list[Block | None] = [rich(line(*first))]
    for approval in view.approvals[hidden:]:
        blocks.append(rich(line(*_approval(approval))))
        blocks.append(votes(approval, {view.requester: view.requester_slack}, most=_VOTES))
    return blocks


def _approval(approval: ApprovalView) -> list[Block]:
    have = f"{len(approval.live)} of {count(approval.quorum, 'approval')}"
    return [
        word(f"{TITLES[approval.status][1]}: "),
        say(effect(approval), limit=200),
        word(f" · {have} · rule "),
        say(approval.rule, limit=60),
        word(" · action "),
        say(digits(approval), code=True),
        word(" · asked "),
        moment(approval.asked_at_ms),
    ]


def _events(events: Sequence[EventView]) -> Block:
    if not events:
        return rich(line(word("No events.")))
    shown = events[-_EVENTS:]
    rows = [line(word(f"Last {count(len(shown), 'event')} of {events[-1].seq}", bold=True))]
    for event in shown:
        leaves = [word(f"{event.seq} "), moment(event.at_ms, "{time_secs}"), word(" "), say(event.type, limit=60)]
        if event.to_state is not None:
            leaves += [word(" → "), say(event.to_state, limit=40)]
        leaves += [word(" by "), say(event.actor, limit=60)]
        rows.append(line(*leaves))
    return rich(*rows)
