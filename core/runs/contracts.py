"""What the contract of its channel means for a run: its word comes before the policy's, and only ever says no.

A call has to be let through by the contract the run pinned when it was accepted, and by the one its channel has now:
a wider contract is for the runs that come after it, a narrower one holds at once. Runs below another one pin what
that one has pinned. A rollback is bound by none, for it takes back what was allowed.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import reduce
from typing import Any

from core.actions.contract import Contract
from core.actions.policy import Approvers, Decision
from core.planners.waiting import DELEGATE
from core.planners.waiting import TOOL as WAIT
from core.record.rows import Snapshot
from core.runs import allowance
from core.runs.proposals import proposal
from core.runs.rulebook import Rulebook
from core.runs.toolbox import DeclaredTool
from core.tools.ask import TOOL as ASK
from core.tools.reach import Bound, Reach

RULE = "channel:"
"""Begins the name of the rule that decided, where a contract did; no rule of the operator has a colon."""

_OURS = (ASK, WAIT, DELEGATE)
"""They reach nothing: to ask people, to wait, and to hand work over to a run that is bound by the same contract."""


def decide(snapshot: Snapshot, tool: DeclaredTool, args: Mapping[str, Any], rules: Rulebook) -> Decision:
    """What holds for a call: the policy's word, unless a contract forbids it."""
    word = rules.policy.decide(proposal(snapshot.run, tool, args))
    barred = forbidden(snapshot, tool.tool.name, rules)
    if barred is None:
        # Each once: another contract with the same approvers must not make another question of it.
        wanted = dict.fromkeys(each.approvers for each in _bound(snapshot, rules) if each.approvers is not None)
        return replace(word, approvers=reduce(Approvers.narrowed, wanted, word.approvers))
    contract, why = barred
    return replace(word, verdict="deny", rule=f"{RULE}{contract.channel}", why=why)


def forbidden(snapshot: Snapshot, tool: str, rules: Rulebook) -> tuple[Contract, str] | None:
    """The contract that keeps the run from calling this tool, with the sentence; `None` if none does."""
    run = snapshot.run
    for contract in _bound(snapshot, rules):
        barred = None if tool in _OURS else contract.bars_tool(tool)
        if run.parent_id is None:
            barred = contract.bars_agent(run.agent) or barred
        if barred is not None:
            return contract, barred
    return None


def reach(snapshot: Snapshot, tool: DeclaredTool, rules: Rulebook) -> Reach:
    """Where a tool may go for this run: where the operator lets it, within what the contracts let through."""
    bounds = dict.fromkeys(
        Bound(each.subject, each.network) for each in _bound(snapshot, rules) if each.network is not None
    )
    return replace(tool.reach, bounds=tuple(bounds))


def _bound(snapshot: Snapshot, rules: Rulebook) -> list[Contract]:
    """The contracts a run is bound by: the one it has pinned, and the one that holds now if that is another."""
    run, pinned = snapshot.run, allowance.of(snapshot).contract
    if run.rolls_back is not None:
        return []
    now = rules.contract(run.channel, None if pinned is None else pinned.channel)
    found = [each for each in (pinned, now) if each is not None]
    return found[:1] if len({each.digest for each in found}) == 1 else found
