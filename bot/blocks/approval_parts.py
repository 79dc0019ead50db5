"""What people need to know around an action: who asks and who may decide, what is odd or new, whose votes count.

Shared by the card and the pages, and always outside of the box. Words of agents, tools and people stand as quotations
or behind a label of ours, so that none of them can pass for one of our own lines.
"""

import json
from collections.abc import Mapping, Sequence

from bot.blocks.elements import Block, context, emoji, fixed, line, moment, principal, quote, rich, say, word
from bot.blocks.text import CUT_MARK
from bot.blocks.words import count, duration
from core.actions.reveal import escape
from core.actions.shown import Change
from core.ids import short
from core.record.states import TERMINAL
from core.runs.approval_views import ApprovalView, AskView, VoteView

Known = Mapping[str, str | None]
"""Slack users of people, by principal."""

TITLES: Mapping[str, tuple[str, str]] = {
    "pending": ("raised_hand", "Approval needed"),
    "approved": ("white_check_mark", "Approved"),
    "consumed": ("white_check_mark", "Approved and started"),
    "denied": ("no_entry", "Denied"),
    "expired": ("hourglass", "Expired"),
    "revoked": ("heavy_minus_sign", "Withdrawn"),
    "superseded": ("recycle", "Stale: asked anew"),
}
"""Emoji and words of each status."""

FROZEN = "frozen"
"""How an open question stands whose time stands still."""
_FROZEN_TITLE = ("snowflake", "Frozen: nobody can approve this now")

_CHANGED = 5
_CHANGED_VALUE = 120
_BEFORE_IT_DIFFERS = 20
_NAMES = 8
_VOTES = 6
_GIVEN = 6


def standing(ask: AskView, now_ms: int) -> str:
    """The status as it counts now, even before somebody has written down that time or the run is over."""
    status = ask.approval.status
    if ask.run_state in TERMINAL and status in ("pending", "approved"):
        return "revoked"
    if ask.approval.parked_ms is not None and status in ("pending", "approved"):
        return FROZEN
    return "expired" if status == "pending" and now_ms >= ask.approval.expires_at_ms else status


def title_of(standing: str) -> tuple[str, str]:
    """Emoji and words of how a question stands."""
    return _FROZEN_TITLE if standing == FROZEN else TITLES[standing]


def effect(approval: ApprovalView) -> str:
    """What would be done, in the tool's words; never in the agent's."""
    return approval.sentence.strip() or f"a call of {approval.tool}"


def digits(approval: ApprovalView) -> str:
    """The beginning of the action's digest, as buttons carry it and people compare it."""
    return approval.digest.removeprefix("sha256:")[:16]


def warnings(ask: AskView) -> Block | None:
    """What deserves a second look."""
    if not ask.box.warnings:
        return None
    return rich(*(line(emoji("warning"), word(" "), say(text, bold=True)) for text in ask.box.warnings))


def changes(ask: AskView) -> Block | None:
    """What differs from the question this one replaces."""
    if ask.replaces is None:
        return None
    rows = [line(word("Asked anew. What changed:", bold=True))]
    for change in ask.changed[:_CHANGED]:
        before, after = _apart(change)
        rows.append(line(word("• "), say(change.path, code=True, limit=100), word(": "), before))
        rows.append(line(word("   now "), after))
    if len(ask.changed) > _CHANGED:
        rows.append(line(word(f"… and {count(len(ask.changed) - _CHANGED, 'more difference')}")))
    if not ask.changed:
        rows.append(line(word("nothing but the time: the question before was not decided")))
    return rich(*rows)


def _apart(change: Change) -> tuple[Block, Block]:
    """Both values, shortened so that where they first differ can be seen."""
    before, after = (
        "" if value is None else value.replace("\n", escape("\n")) for value in (change.before, change.after)
    )
    same = 0
    while same < min(len(before), len(after)) and before[same] == after[same]:
        same += 1
    start = same - _BEFORE_IT_DIFFERS if max(len(before), len(after)) > _CHANGED_VALUE else 0

    def shown(value: str | None, text: str) -> Block:
        if value is None:
            return word("nothing")
        return fixed(f"{CUT_MARK} {text[start:]}" if start > 0 else text, _CHANGED_VALUE)

    return shown(change.before, before), shown(change.after, after)


def agents_words(ask: AskView) -> Block:
    """What the plan calls it: somebody else's words."""
    said = line(word("In the agent's own words, which nobody has checked:"))
    given = [line(*from_outside(ask.given))] if ask.given else []
    return rich(said, quote(say(ask.approval.title)), *given)


def from_outside(names: Sequence[str]) -> list[Block]:
    """What a model works from that nobody here has checked, as pieces of a line."""
    more = f" and {len(names) - _GIVEN} more" if len(names) > _GIVEN else ""
    return [word("Works from what came from outside, untrusted: "), say(", ".join(names[:_GIVEN]) + more, limit=300)]


def who(ask: AskView, known: Known) -> Block:
    """Who asks, who may decide, and how many of them."""
    approval = ask.approval
    requester = principal(ask.requester, {ask.requester: ask.requester_slack})
    asked = [word("Asked for by "), requester, word(" with "), say(ask.agent, bold=True, limit=80), word(".")]
    leaves = [word(f"{count(approval.quorum, 'approval')} needed, {len(approval.live)} given. By ")]
    leaves += _approvers(approval, known)
    if not approval.self_ok:
        leaves += [word("; not by "), requester, word(", who asked")]
    return rich(line(*asked), line(*leaves))


def _approvers(approval: ApprovalView, known: Known) -> list[Block]:
    roles, names = sorted(approval.approvers.roles), sorted(approval.approvers.principals)
    leaves: list[Block] = []
    if roles:
        leaves += [word("anybody with the role "), say(" or ".join(roles), bold=True, limit=120)]
    for number, name in enumerate(names[:_NAMES]):
        leaves += [word(", " if number or roles else " "), principal(name, known)]
    if len(names) > _NAMES:
        leaves.append(word(f" and {len(names) - _NAMES} more"))
    if leaves and approval.approvers.within is not None:
        leaves.append(word(", as far as the channel's contract admits them"))
    return leaves or [word("nobody: the policy names no approver")]


def facts(ask: AskView) -> Block:
    """Tool, tier, environment, rule, digest, run and expiry in small print."""
    approval = ask.approval
    environment = json.loads(ask.envelope).get("environment")
    return context(
        word(f"{approval.tool} · {approval.tier}"),
        word(f"· environment {environment}") if isinstance(environment, str) else None,
        word(f"· rule {approval.rule}"),
        word(f"· action {digits(approval)}"),
        word(f"· run {short(approval.run_id)}"),
        *_until(approval),
    )


def _until(approval: ApprovalView) -> tuple[Block, ...]:
    if approval.parked_ms is None:
        return word("· expires"), moment(approval.expires_at_ms)
    return (word(f"· its time stands still, {duration(approval.parked_ms)} left when thawed"),)


def votes(approval: ApprovalView, known: Known, *, most: int = _VOTES) -> Block | None:
    """Who has decided what and when; the latest ones, and how many came before."""
    if not approval.votes:
        return None
    rows: list[Block] = []
    if (hidden := len(approval.votes) - most) > 0:
        rows.append(line(word(f"… {count(hidden, 'earlier vote')}")))
    for vote in approval.votes[-most:]:
        rows.append(_vote(vote, known))
        if vote.reason:
            rows.append(quote(say(vote.reason, limit=200)))
    return rich(*rows)


def _vote(vote: VoteView, known: Known) -> Block:
    done = "approved" if vote.decision == "approve" else "denied"
    if vote.taken_back:
        done += ", and took it back"
    leaves = [principal(vote.voter, known), word(f" {done} · "), moment(vote.at_ms)]
    if vote.via:
        leaves += [word(" · via "), say(vote.via.replace("cli:", "CLI by ", 1), limit=80)]
    return line(*leaves)
