"""Parts of a run that several surfaces show: its badge, plan, files, stop and outcome.

Each function takes the read model and returns rich text lines or context blocks; the cards put them together.
"""

from bot.blocks.approval_parts import effect, from_outside
from bot.blocks.elements import Block, context, emoji, line, moment, person, principal, quote, rich, say, word, worded
from bot.blocks.words import REASON_WORDS, badge, count, duration, is_ended, money, size, title
from core.actions.approvals import who_may
from core.budgets import usd_text
from core.ids import short
from core.planners.base import PlanStep, StepStatus
from core.planners.waiting import DONE
from core.record.states import MACHINES, BlockedReason, CallStatus, RunState
from core.runs.views import ArtifactView, CutOff, FreezeView, RunView

TICKS: dict[StepStatus, str] = {"pending": "○", "running": "▸", "done": "✓", "failed": "✗", "skipped": "–"}
"""One glyph per step status; plain characters, so that they line up and need no emoji font."""

_PLAN_LINES = 24
_FILE_LINES = 20
_WAITING = 3
_CUT_OFF = 8
_INSIDE = ("read", "workspace")
"""Tiers of calls that change nothing outside, however they end."""
_FREEZES = 3
_GOES_ROUND = "it goes round in circles"
_UNTIL_THAWED = "Nothing starts until it is thawed, which operators do; what is under way goes on to its end."


def headline(view: RunView) -> Block:
    """State, agent and, while it runs, the step it is at."""
    symbol, words = badge(view.state, view.stop)
    leaves = [emoji(symbol), word(" "), word(words, bold=True), word(" · ")]
    leaves.append(say(title(view.agent, view.undoing.rolls_back), bold=True, limit=80))
    if (step := current_step(view)) is not None and not is_ended(view):
        number = view.plan.index(step) + 1
        leaves += [word(f"\nStep {number} of {len(view.plan)}: "), say(step.title, limit=150)]
    return line(*leaves)


def subject(view: RunView, *, after: str = "") -> list[Block]:
    """Which run a message is about, and whose that is; follows what is the matter with it.

    Args:
        after: Stands behind the run's id.
    """
    return [
        word(" · "),
        say(title(view.agent, view.undoing.rolls_back), bold=True, limit=80),
        word(f" · run {short(view.id)}{after} · for "),
        person(view.requester_slack, view.requester),
    ]


def current_step(view: RunView) -> PlanStep | None:
    """The step being done, or the next one; `None` before there is a plan and after its last step."""
    for wanted in ("running", "pending"):
        for step in view.plan:
            if step.status == wanted:
                return step
    return None


def identity(view: RunView) -> Block:
    """Who asked for which run, and under what it runs."""
    leaves = [
        say(f"Run {short(view.id)} · {view.id} · asked by", limit=200),
        person(view.requester_slack, view.requester),
        moment(view.created_at_ms),
    ]
    if view.sandbox:
        leaves.append(say(f"· sandbox: {view.sandbox}", limit=80))
    if spent := cost(view):
        leaves.append(word(f"· {spent}"))
    if view.turns:
        last = view.turns[-1]
        leaves.append(say(f"· thinks with {last.answered_by or last.requested}", limit=120))
    return context(*leaves)


def cost(view: RunView) -> str:
    """What it has cost of what it may, and with everything it started; empty where nothing costs anything."""
    if view.budget_micro_usd is not None:
        text = f"cost {usd_text(view.cost_micro_usd)} of {usd_text(view.budget_micro_usd)}"
    elif view.cost_micro_usd > 0 or view.tree_cost_micro_usd:
        text = f"cost {money(view.cost_micro_usd)}"
    else:
        return ""
    tree = view.tree_cost_micro_usd
    return text if tree is None else f"{text}, {usd_text(tree)} with what it started"


def wrapping_up(view: RunView, *, ended: bool = False) -> Block | None:
    """Who told it to finish with what it has.

    Args:
        ended: Whether to say so of a run that has ended, too.
    """
    told = view.wrap_up
    if told is None or (is_ended(view) and not ended):
        return None
    who = principal(told.by, {view.requester: view.requester_slack, told.by: told.by_slack})
    return rich(
        line(word("Wrapping up", bold=True), word(" with what it has, as "), who, word(" asked "), moment(told.at_ms))
    )


def given(view: RunView) -> Block | None:
    """What its model works from that came from outside."""
    return context(*from_outside(view.given)) if view.given else None


def contract(view: RunView) -> Block | None:
    """What its channel's contract narrows for it, and the version of it."""
    bound = view.contract
    if bound is None:
        return None
    leaves = [word("Bound by the contract of "), say(bound.channel, limit=80)]
    if bound.tools is not None:
        leaves.append(say(f"· tools: {', '.join(bound.tools) or 'none'}", limit=300))
    if bound.network is not None:
        leaves.append(say(f"· reaches: {', '.join(bound.network) or 'nothing'}", limit=300))
    if bound.budget is not None:
        leaves.append(word(f"· at most ${bound.budget}"))
    if bound.approvers is not None:
        admitted = sorted(bound.approvers.roles) + sorted(bound.approvers.principals)
        leaves.append(say(f"· decided by: {', '.join(admitted) or 'nobody'}", limit=200))
    return context(*leaves, word(f"· {bound.digest[:19]}…"))


def plan(view: RunView, lines: int = _PLAN_LINES) -> Block | None:
    """The plan with its ticks; a long one shows the stretch around the current step and says what it leaves out."""
    if not view.plan:
        return None
    steps, total = view.plan, len(view.plan)
    current = current_step(view)
    at = steps.index(current) if current is not None else total - 1
    first = max(0, min(at - lines // 3, total - lines))
    shown = steps[first : first + lines]
    rows = [_step(step, ended=is_ended(view)) for step in shown]
    if first:
        rows.insert(0, line(word(f"… {count(first, 'earlier step')}")))
    if later := total - first - len(shown):
        rows.append(line(word(f"… {count(later, 'later step')}")))
    return rich(*rows)


def _step(step: PlanStep, *, ended: bool) -> Block:
    # A model may not have said what became of its last step; nothing of a run that has ended is being done.
    status: StepStatus = "pending" if ended and step.status == "running" else step.status
    leaves = [word(f"{TICKS[status]} "), say(step.title, bold=status == "running", limit=120)]
    if step.note:
        leaves += [word(" — "), say(step.note, italic=True, limit=120)]
    return line(*leaves)


def frozen(view: RunView) -> Block | None:
    """The banner of a run that a freeze covers: who froze it, since when and why."""
    if not view.freezes:
        return None
    return rich(*(freeze_line(each, view) for each in view.freezes[:_FREEZES]), line(word(_UNTIL_THAWED)))


def freeze_line(freeze: FreezeView, view: RunView | None = None) -> Block:
    """One freeze as one line."""
    known = {} if view is None else {view.requester: view.requester_slack}
    leaves = [emoji("snowflake"), word(" "), word("Frozen", bold=True), word(" by "), principal(freeze.by, known)]
    leaves += [
        word(" since "),
        moment(freeze.frozen_at_ms),
        word(" ("),
        say(freeze.scope, code=True, limit=80),
        word(")"),
    ]
    if freeze.reason:
        leaves += [word(": "), say(freeze.reason, italic=True, limit=300)]
    return line(*leaves)


def blocked(view: RunView) -> Block | None:
    """Why it cannot go on, and what a person can do about it; a freeze has a banner of its own."""
    if view.state is not RunState.BLOCKED or (view.blocked_reason is BlockedReason.FROZEN and view.freezes):
        return None
    if view.blocked_reason is None:
        words, remedy = "no reason was recorded", "Look at Details, or stop the run."
    else:
        words, remedy = REASON_WORDS[view.blocked_reason]
    if view.goes_round:
        words = _GOES_ROUND
    detail = worded(view.blocked_detail, 600) if view.blocked_detail else [word(remedy)]
    return rich(line(word(f"Blocked because {words}.", bold=True)), quote(*detail))


def waiting(view: RunView) -> Block | None:
    """What it waits to be approved, by whom and how many, and until when; or how long from when it is thawed."""
    parked = any(each.parked_ms is not None for each in view.approvals)
    if view.state is not RunState.WAITING_FOR_APPROVAL and not parked:
        return None
    rows = []
    for approval in [each for each in view.approvals if each.status in ("pending", "approved")][:_WAITING]:
        have = f"{len(approval.live)} of {count(approval.quorum, 'approval')}"
        rows.append(line(word("Asks: ", bold=True), say(effect(approval), limit=300)))
        rows.append(line(say(who_may(approval.approvers), limit=200)))
        if approval.parked_ms is None:
            rows.append(line(word(f"{have}; expires "), moment(approval.expires_at_ms)))
        else:
            rows.append(line(word(f"{have}; its time stands still: {duration(approval.parked_ms)} left when thawed")))
    return rich(*rows) if rows else None


def looking(view: RunView) -> Block | None:
    """What it waits for by itself, since when and until when, and what it saw last."""
    if (wait := view.waiting) is None or is_ended(view):
        return None
    handed_over = wait.condition == DONE
    rows = [
        line(word("Waits for the run it handed work over to", bold=True))
        if handed_over
        else line(word("Waits until ", bold=True), say(wait.condition, code=True, limit=200)),
        line(word("since "), moment(wait.since_ms), word(", at most until "), moment(wait.until_ms)),
    ]
    if wait.looks and not handed_over:
        leaves = [word(f"Looked {count(wait.looks, 'time')}")]
        if wait.next_ms is not None and not view.freezes:
            leaves += [word(", again "), moment(wait.next_ms)]
        if wait.seen:
            leaves += [word("; last seen: "), say(wait.seen, italic=True, limit=300)]
        rows.append(line(*leaves))
    return rich(*rows)


def approvers_of(view: RunView, call_id: str) -> list[Block]:
    """Who approved a call that was started, as mentions or names; empty if nobody was asked or it did not start."""
    known = {view.requester: view.requester_slack}
    used = next((each for each in view.approvals if each.action_id == call_id and each.status == "consumed"), None)
    return [] if used is None else [principal(vote.voter, known) for vote in used.live]


def outcome(view: RunView, limit: int) -> Block | None:
    """What the run says about its end, as a quotation: it is not our word."""
    if not is_ended(view) or not view.outcome:
        return None
    return rich(quote(*worded(view.outcome, limit)))


def stop(view: RunView) -> Block | None:
    """A stop: who asked when, and separately whether it is proved."""
    if (facts := view.stop) is None:
        return None
    known = {view.requester: view.requester_slack}
    asked = [word("Stop requested by "), principal(facts.by, known), word(", "), moment(facts.requested_at_ms)]
    if facts.reason:
        asked += [word(" — "), say(facts.reason, italic=True, limit=200)]
    ended = count(facts.processes_ended, "process", "processes") + " ended"
    if facts.confirmed_at_ms is not None:
        proof = [
            word("Stop confirmed "),
            moment(facts.confirmed_at_ms),
            word(f": {ended}, nothing of it is left running"),
        ]
    elif facts.unconfirmed_hosts:
        hosts = ", ".join(facts.unconfirmed_hosts[:5])
        more = f" and {len(facts.unconfirmed_hosts) - 5} more" if len(facts.unconfirmed_hosts) > 5 else ""
        proof = [word("Not confirmed: no word yet from "), say(hosts + more, limit=200), word(f" ({ended} so far)")]
    else:
        proof = [word(f"Not confirmed yet: {ended} so far")]
    if facts.in_flight:
        proof.append(word(f"; {count(facts.in_flight, 'call was', 'calls were')} in flight"))
    if facts.restarted_hosts:
        proof += [word("; restarted since: "), say(", ".join(facts.restarted_hosts[:5]), limit=200)]
    calls = [_cut_off(call) for call in facts.calls[:_CUT_OFF]]
    if (unshown := len(facts.calls) - len(calls)) > 0:
        calls.append(line(word(f"… and {count(unshown, 'more call')} in flight")))
    return rich(line(*asked), line(*proof), *calls)


def _cut_off(call: CutOff) -> Block:
    """What became of a call that was in flight."""
    if call.resolved_by is not None:
        return line(word("In flight: "), say(call.tool, bold=True, limit=80), *_found_out(call, call.resolved_by))
    if call.late is not None:
        became = f"it answered after the stop ({call.late}); kept, and not used"
    elif call.status is CallStatus.STARTED:
        became = "being ended"
    elif call.tier in _INSIDE:
        became = "ended before it was done; it worked inside the run's own workspace"
    else:
        became = "ended before it was done; whether it had an effect outside is not known"
    return line(word("In flight: "), say(call.tool, bold=True, limit=80), word(f" — {became}"))


def _found_out(call: CutOff, by: str) -> list[Block]:
    """What somebody or a probe said of it afterwards, and what it had said itself."""
    became = {
        CallStatus.SUCCEEDED: "it happened",
        CallStatus.FAILED: "it did not happen",
    }.get(call.status, "whether it happened could not be found out")
    said = [word(f"; it answered after the stop ({call.late}), which is not used")] if call.late is not None else []
    if by in MACHINES:
        return [word(f" — {became} (its probe was asked after the stop)"), *said]
    return [word(f" — {became}, says "), say(by, limit=80), *said]


def ending(view: RunView) -> list[Block]:
    """Who ended it and when, as pieces of small print; empty while it goes on or its stop is not proved."""
    if not is_ended(view) or (view.stop is not None and view.stop.confirmed_at_ms is None):
        return []
    words = badge(view.state, view.stop)[1]
    if view.state is RunState.ROLLED_BACK:
        return [word(words), moment(view.updated_at_ms)]
    at = moment(view.ended_at_ms or view.updated_at_ms)
    if view.stop is None:
        return [word(words), at]
    return [word(f"{words} by"), principal(view.stop.by, {view.requester: view.requester_slack}), at]


def outputs(view: RunView) -> tuple[ArtifactView, ...]:
    """The files a run made, without what it was given."""
    return tuple(artifact for artifact in view.artifacts if artifact.role == "output")


def files(artifacts: tuple[ArtifactView, ...], title: str, lines: int = _FILE_LINES) -> Block | None:
    """Names and sizes; the first ones and how many more."""
    if not artifacts:
        return None
    rows = [line(word(title, bold=True))]
    rows += [line(word("• "), say(file.name, limit=120), word(f" · {size(file.size)}")) for file in artifacts[:lines]]
    if more := len(artifacts) - lines:
        rows += [line(word(f"… and {count(more, 'more file')}"))] if more > 0 else []
    return rich(*rows)


def one_sentence(view: RunView) -> str:
    """The run for a notification; holds foreign text, so it has to pass through `message`."""
    words = badge(view.state, view.stop)[1].lower()
    sentence = f"{title(view.agent, view.undoing.rolls_back)} (run {short(view.id)}): {words}"
    if view.state is RunState.BLOCKED and view.blocked_reason is not None:
        sentence += f" because {_GOES_ROUND if view.goes_round else REASON_WORDS[view.blocked_reason][0]}"
    elif (step := current_step(view)) is not None and not is_ended(view):
        sentence += f", step {view.plan.index(step) + 1} of {len(view.plan)}: {step.title}"
    return sentence
