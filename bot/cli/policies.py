"""`banksman policy check` and `policy explain`: the operator's rules, before and after they decide.

Checking reads one file and nothing else. Explaining applies the rules that hold now to one call: a stored one, or one
written on the command line, which needs no database. What a rule means is `core.actions.policy`'s word.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bot.blocks.text import one_line
from bot.blocks.words import count, duration
from bot.cli.asking import UsageError
from bot.cli.doubts import doubts
from bot.cli.installation import BadAnswer, Installation, opened
from bot.cli.output import USAGE, print_json
from core.actions.approvals import who_may
from core.actions.policy import Decision, Line, Policy, Proposal, parse
from core.config.load import Config, load_config
from core.config.problems import ConfigProblems
from core.config.settings import Settings
from core.nearest import did_you_mean
from core.planners.compile import compile_playbooks
from core.record.rows import CallRow, Snapshot
from core.store import approvals, runs
from core.tools.catalogue import call_names, tool_names


@dataclass(frozen=True)
class Inline:
    """A call as it is written on the command line."""

    tool: str | None
    args: Sequence[str]
    agent: str | None
    environment: str | None

    @property
    def is_given(self) -> bool:
        return bool(self.tool or self.args or self.agent or self.environment)


@dataclass(frozen=True)
class _Stored:
    """A call that was looked up."""

    run: Snapshot
    call: CallRow
    approval_id: str | None

    def as_json(self) -> dict[str, Any]:
        asked = self.run.approval(self.approval_id)
        return {
            "approval_id": self.approval_id,
            "call_id": self.call.id,
            "run_id": self.run.run.id,
            "digest": self.call.action_digest,
            "policy_digest": json.loads(self.call.envelope).get("policy"),
            "rule": None if asked is None else asked.rule,
        }


async def check(settings: Settings, file: Path | None, *, as_json: bool) -> int:
    """Read a configuration; 0 if it can be used, with what looks doubtful in it, 2 with every problem if not."""
    path = file or settings.config_path
    try:
        config = load_config(path)
        playbooks = compile_playbooks(config.playbooks.values(), tools=tool_names(config))
    except ConfigProblems as error:
        if not as_json:
            raise
        print_json(_checked(path, problems=[asdict(problem) for problem in error.problems]))
        return USAGE
    warnings = list(doubts(config, playbooks.values()))
    if as_json:
        print_json(_checked(path, config, warnings=warnings))
        return 0
    policy = parse(config.policy_text)
    rules = count(len(config.policy.denials), "denial"), count(len(config.policy.rules), "rule")
    print(f"ok  {path}: {' and '.join(rules)}, {count(len(playbooks), 'playbook')}")
    print(f"    policy {policy.digest}")
    for warning in warnings:
        print(f"!!  {warning}")
    return 0


def _checked(
    path: Path,
    config: Config | None = None,
    *,
    problems: Sequence[Mapping[str, Any]] = (),
    warnings: Sequence[str] = (),
) -> dict[str, Any]:
    return {
        "ok": config is not None,
        "file": str(path),
        "policy_digest": None if config is None else parse(config.policy_text).digest,
        "problems": list(problems),
        "warnings": list(warnings),
    }


async def explain(settings: Settings, wanted: str | None, inline: Inline, *, as_json: bool) -> int:
    """Say what the policy that holds now makes of a call, and every rule it looked at."""
    if (wanted is not None) == inline.is_given:
        what = (
            "Name a stored action (an approval or a call), or write one: `--tool NAME --agent NAME --arg name=value`."
        )
        raise UsageError(what)
    if wanted is None:
        config = load_config(settings.config_path)
        _explained(config, _written(config, inline), None, as_json=as_json)
        return 0
    async with opened(settings) as here:
        stored = await _looked_up(here, wanted)
        _explained(here.config, _proposed(here.config, stored), stored, as_json=as_json)
        return 0


def _written(config: Config, inline: Inline) -> Proposal:
    """The call on the command line; names nobody knows are refused, for every verdict on them would mislead."""
    tools = sorted({*call_names(config), *config.tools})
    if inline.tool is None or inline.agent is None:
        raise UsageError("Say which tool and which playbook: `--tool NAME --agent NAME`.")
    if inline.tool not in tools:
        raise UsageError(f"There is no tool `{inline.tool}`. {did_you_mean(inline.tool, tools, noun='Tools')}")
    if inline.agent not in config.playbooks:
        guess = did_you_mean(inline.agent, config.playbooks, noun="Playbooks")
        raise UsageError(f"There is no playbook `{inline.agent}`. {guess}".rstrip())
    word = config.tool(inline.tool)
    environment = inline.environment or word.environment
    return Proposal(
        inline.tool, word.tier, word.recovery, inline.agent, environment, _arguments(inline.args), word.uses
    )


def _arguments(items: Sequence[str]) -> dict[str, Any]:
    """`--arg branch=main --arg json.user=ana`: texts, as rules compare them; a dot leads into a group."""
    args: dict[str, Any] = {}
    for item in items:
        path, equals, value = item.partition("=")
        names = path.split(".")
        if not equals or not all(names):
            raise UsageError(f"`--arg {item}` is not of the form name=value.")
        at = args
        for name in names[:-1]:
            at = at.setdefault(name, {})
            if not isinstance(at, dict):
                raise UsageError(f"`--arg {item}` leads into `{name}`, which has a value already.")
        if names[-1] in at:
            raise UsageError(f"The argument `{path}` is given twice. Give it once.")
        at[names[-1]] = value
    return args


async def _looked_up(here: Installation, wanted: str) -> _Stored:
    """The call of an approval (by its id or the end of it), or a call by its whole id."""
    text = wanted.strip().lower()
    run_id, approval_id = await runs.run_of_call(here.database, here.tenant, text), None
    if run_id is None:
        found = await approvals.resolve(here.database, here.tenant, text)
        if len(found) > 1:
            raise UsageError(f"Several approvals end in {wanted!r}: {', '.join(found)}. Write more of the id.")
        row = await approvals.find(here.database, here.tenant, found[0]) if found else None
        if row is None:
            raise BadAnswer(
                f"There is no approval or call {wanted!r}. `banksman pending` lists approvals, "
                "`banksman show RUN --json` the calls of a run; of a call, write the whole id."
            )
        run_id, approval_id = row.run_id, row.id
    snapshot = await runs.snapshot(here.database, here.tenant, run_id)
    assert snapshot is not None
    if approval_id is None:
        asked = [row for row in snapshot.approvals if row.call_id == text]
        return _Stored(snapshot, snapshot.call(text), asked[-1].id if asked else None)
    asked_row = snapshot.approval(approval_id)
    assert asked_row is not None
    return _Stored(snapshot, snapshot.call(asked_row.call_id), approval_id)


def _proposed(config: Config, stored: _Stored) -> Proposal:
    """The stored call as it would be decided now: its own arguments, the operator's present word on its tool."""
    call = stored.call
    word = config.tool(call.tool)
    try:
        args = json.loads(call.envelope)["args"]
    except (ValueError, KeyError, TypeError) as error:
        raise BadAnswer(
            f"The stored action of {call.id} cannot be read: it was changed. `banksman approval show` says more."
        ) from error
    return Proposal(call.tool, word.tier, word.recovery, stored.run.run.agent, word.environment, args, word.uses)


def _explained(config: Config, proposal: Proposal, stored: _Stored | None, *, as_json: bool) -> None:
    policy = parse(config.policy_text)
    decision, lines = policy.decide(proposal), policy.explain(proposal)
    who = sorted(
        name
        for name, person in config.principals.items()
        if decision.verdict == "ask" and decision.approvers.admits(name, frozenset(person.roles))
    )
    if as_json:
        print_json(_as_json(policy, proposal, decision, lines, who, stored))
    else:
        _print(policy, proposal, decision, lines, who, stored)


def _as_json(
    policy: Policy,
    proposal: Proposal,
    decision: Decision,
    lines: Sequence[Line],
    who: Sequence[str],
    stored: _Stored | None,
) -> dict[str, Any]:
    asks = decision.verdict == "ask"
    return {
        "policy_digest": policy.digest,
        "action": None if stored is None else stored.as_json(),
        "tool": proposal.tool,
        "uses": proposal.uses,
        "agent": proposal.agent,
        "environment": proposal.environment,
        "args": dict(proposal.args),
        "tier": decision.tier,
        "recovery": decision.recovery,
        "verdict": decision.verdict,
        "rule": decision.rule,
        "why": decision.why,
        "approvers": decision.approvers.to_json() if asks else None,
        "people": list(who),
        "quorum": decision.quorum if asks else None,
        "expires_ms": decision.expires_ms if asks else None,
        "use_within_ms": decision.use_within_ms if asks else None,
        "self_ok": decision.self_ok if asks else None,
        "rules": [
            {"rule": line.rule, "decision": line.decision, "matched": line.matched, "why": line.why} for line in lines
        ],
    }


def _print(
    policy: Policy,
    proposal: Proposal,
    decision: Decision,
    lines: Sequence[Line],
    who: Sequence[str],
    stored: _Stored | None,
) -> None:
    tool = f"`{proposal.tool}`" + (f", which is `{proposal.uses}`," if proposal.uses else "")
    about = f"{tool} ({decision.tier}) by `{proposal.agent}` in `{proposal.environment}`"
    print(f"{decision.verdict:<6} {_flat(about)}")
    print(f"rule   {_flat(decision.rule)}: {_flat(decision.why)}")
    if decision.verdict == "ask":
        named = f" By name: {', '.join(who)}." if who else ""
        print(f"may    {_flat(who_may(decision.approvers) + named)}")
        own = "may decide too" if decision.self_ok else "may not decide"
        print(f"needs  {count(decision.quorum, 'approval')}; whoever asked for the run {own}")
        print(f"time   {duration(decision.expires_ms)} to decide, then {duration(decision.use_within_ms)} to start")
    for line in lines:
        mark = "✓" if line.matched else "·"
        print(f"  {mark} {line.decision:<5} {_flat(line.rule)}: {_flat(line.why)}")
    if not lines:
        print("  no rule of yours; the tier decides")
    print(f"policy {policy.digest}")
    if stored is not None and (then := stored.as_json())["policy_digest"] != policy.digest:
        print(f"       it was proposed under another policy: {_flat(then['policy_digest'])}")


def _flat(text: object) -> str:
    return one_line(str(text), 500)
