"""Getting an act ready to be decided on: policy's word, exact arguments, and everything mutable resolved.

Done twice for an action people approve: before they are asked, and right before it starts, where any difference voids
what they said. Writes nothing but the bytes of inputs, which are named by their content.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from core.actions.shown import box
from core.clock import Clock
from core.errors import BanksmanError, RetryableError, TerminalError
from core.planners.base import Act
from core.record.rows import ApprovalRow, CallRow, Snapshot, dumps
from core.runs import contracts
from core.runs.calls import Bench, context_of, removed
from core.runs.proposals import Proposed
from core.runs.rulebook import Rulebook
from core.runs.run_again import with_fresh_approval
from core.runs.starting import Verdict, may_start
from core.runs.stored import Stored
from core.runs.toolbox import DeclaredTool
from core.secrets import MissingSecret
from core.store import approvals, people
from core.store.session import Database
from core.tools.ask import TOOL as ASK
from core.tools.base import Prepared, Preparing
from core.tools.reach import check_bounds

MOST_INPUT_BYTES = 200_000
"""All inputs of an action together: more than a person would read."""


def decided(snapshot: Snapshot, act: Act, tool: DeclaredTool, rules: Rulebook) -> Proposed:
    """What policy and the channel's contract say of an act as the planner gave it."""
    decision = with_fresh_approval(snapshot, act.step, contracts.decide(snapshot, tool, act.args, rules))
    return Proposed(act, tool, decision)


def needs_a_look(proposed: Proposed) -> bool:
    """Whether something has to be looked up before the act can be written down."""
    prepares = isinstance(proposed.tool.tool, Preparing)
    return proposed.decision.verdict == "ask" or prepares or proposed.act.tool == ASK


async def prepared(
    snapshot: Snapshot, proposed: Proposed, *, call_id: str, workspace: Path, kill: asyncio.Event, bench: Bench
) -> Proposed:
    """Check the arguments and let the tool resolve what is mutable.

    Returns:
        The act ready to be written down, or with the `failure` for which it cannot be.

    Raises:
        RetryableError: something it has to look at does not answer right now.
        MissingSecret: a credential it needs is not there.
    """
    act, tool, rules = proposed.act, proposed.tool, bench.rules()
    if proposed.decision.verdict == "deny":
        return proposed
    try:
        args = rules.toolbox.validate(tool.tool, act.args)
        if not isinstance(tool.tool, Preparing):
            _refuse_secrets(dumps(dict(act.args)).encode(), bench)
            return proposed
        timeout_s = act.timeout_s or tool.timeout_s
        context = context_of(
            snapshot, tool, call_id=call_id, key="", workspace=workspace, timeout_s=timeout_s, kill=kill, bench=bench
        )
        try:
            found = await tool.tool.prepare(args, context)
        finally:
            await removed(context.scratch_path)
        for place in found.network:
            if not place.startswith("file:"):  # a path is looked at by whoever resolves it
                check_bounds(context.outside.reach, place)
        rules.toolbox.validate(tool.tool, found.args)
        _refuse_secrets(dumps(dict(found.args)).encode(), bench)
        inputs = await _stored(found, bench)
    except (RetryableError, MissingSecret):
        raise
    except BanksmanError as error:
        return Proposed(act, tool, proposed.decision, failure=error.user_text)
    # Policy looks at what would really run, not at what was asked for.
    word = contracts.decide(snapshot, tool, found.args, rules)
    decision = with_fresh_approval(snapshot, act.step, word)
    return Proposed(act, tool, decision, found, inputs)


def act_of(call: CallRow) -> Act:
    """The stored call as the act it came from; its arguments are already exact."""
    return Act(call.step, call.tool, json.loads(call.envelope)["args"], call.title, call.timeout_ms / 1000)


async def with_room(proposed: Proposed, database: Database, tenant: str, bench: Bench) -> Proposed:
    """Add what asking needs: the question's id, and how many wait for the same people already."""
    if proposed.decision.verdict != "ask" or proposed.failure is not None:
        return proposed
    approvers = dumps(proposed.decision.approvers.to_json())
    waiting = await approvals.open_asks(database, tenant, approvers)
    id_ = bench.ids.new("apr")
    return replace(proposed, approval_id=id_, open_asks=waiting, most_open_asks=bench.most_open_asks)


async def before_start(
    snapshot: Snapshot,
    call: CallRow,
    approval: ApprovalRow,
    *,
    workspace: Path,
    kill: asyncio.Event,
    bench: Bench,
    database: Database,
    clock: Clock,
) -> Verdict:
    """Derive everything the approval is about anew, and decide whether the call may start.

    Looking takes time. What is decided by is what holds when that is over: the policy, the tools, the hour.

    Raises:
        RetryableError: something that has to be looked at does not answer right now.
        MissingSecret: a credential it needs is not there any more.
    """
    rules, act = bench.rules(), act_of(call)
    tool = rules.toolbox.find(call.tool)
    proposed = None
    if tool is not None:
        proposed = await prepared(
            snapshot, decided(snapshot, act, tool, rules), call_id=call.id, workspace=workspace, kill=kill, bench=bench
        )
    votes = snapshot.votes_on(approval.id)
    standings = await people.standings(database, call.tenant, [vote.voter for vote in votes])
    rules = bench.rules()
    if proposed is not None:
        changed = rules.toolbox.find(call.tool)
        proposed = None if changed is None else replace(proposed, tool=changed)
    return may_start(
        snapshot,
        call,
        approval,
        proposed,
        shown_digest=None if proposed is None else _shown_digest(call, proposed),
        standings=standings,
        rules=rules,
        now_ms=clock.wall_ms(),
    )


def _shown_digest(call: CallRow, proposed: Proposed) -> str | None:
    found = proposed.prepared
    inputs = {} if found is None else {hashlib.sha256(item.data).hexdigest(): item.data for item in found.inputs}
    try:
        return box(call.envelope, inputs).digest
    except BanksmanError:
        return None


async def _stored(found: Prepared, bench: Bench) -> tuple[Stored, ...]:
    if sum(len(item.data) for item in found.inputs) > MOST_INPUT_BYTES:
        raise TerminalError(
            f"what it would do is more than {MOST_INPUT_BYTES:,} bytes to read, which nobody would; split it"
        )
    stored = []
    for item in found.inputs:
        _refuse_secrets(item.data, bench)
        done = await bench.objects.put(_once(item.data), cap_bytes=MOST_INPUT_BYTES)
        stored.append(Stored(bench.ids.artifact(), item.name, done.sha256, done.size, item.media_type))
    return tuple(stored)


def _refuse_secrets(data: bytes, bench: Bench) -> None:
    if bench.redactor.redact_bytes(data) != data:
        raise TerminalError(
            "it contains something that looks like a secret, which may not be shown, so nobody can approve it"
        )


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
