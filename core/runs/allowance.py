"""What a run may use and has used (money, tokens, steps, tool calls, time), what its thread was told of that, whether
it is to wrap up, and the contract of its channel.

Pure. Money is taken out of budgets that many runs share before it is spent (`turns`); the other caps are the run's
alone, so looking at its own rows before each step is enough.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from core.actions.contract import Contract
from core.budgets import usd_text
from core.config.quantities import duration_text
from core.planners.base import Act, Finish, GiveUp, Think
from core.planners.waiting import DELEGATE
from core.record.rows import Snapshot, TurnRow, dumps

Unit = Literal["money", "tokens", "steps", "calls", "time"]

UNITS: tuple[Unit, ...] = get_args(Unit)

Lack = Literal["money", "tokens", "steps", "calls", "time", "shared"]
"""What a run may be blocked for want of; `shared` = money in a budget that no button raises."""

NEARLY = 80
"""Percent of a cap at which the thread is told."""


@dataclass(frozen=True)
class WrapUp:
    """Somebody told the run to finish with what it has."""

    by: str
    by_slack: str | None
    at_ms: int
    answers: int
    """Answers of its model that came, or were under way, before it could be told."""


@dataclass(frozen=True)
class Allowance:
    """What a run remembers of its caps."""

    caps: Mapping[Unit, int] = field(default_factory=dict)
    """On what is not money; time in milliseconds."""
    warned: Mapping[str, int] = field(default_factory=dict)
    """By unit, or by id of a shared budget: the cap of which the thread was told last that it is nearly used up."""
    short: Lack | None = None
    """What there was not enough of when it was blocked last."""
    wrap_up: WrapUp | None = None
    contract: Contract | None = None
    """Of the channel it was asked for in, as it was then."""

    def to_json(self) -> str:
        """As the run's row holds it."""
        body: dict[str, Any] = {name: dict(value) for name in ("caps", "warned") if (value := getattr(self, name))}
        if self.short is not None:
            body["short"] = self.short
        if self.wrap_up is not None:
            body["wrap_up"] = vars(self.wrap_up)
        if self.contract is not None:
            body["contract"] = self.contract.to_json()
        return dumps(body)


@dataclass(frozen=True)
class Usage:
    """How much of one cap is used."""

    unit: Unit
    used: int
    cap: int

    @property
    def is_nearly_spent(self) -> bool:
        return self.used * 100 >= self.cap * NEARLY

    @property
    def is_spent(self) -> bool:
        return self.used >= self.cap

    @property
    def text(self) -> str:
        """For people: `$0.85 of $1.00`, `34 of 40 tool calls`."""
        return f"{_amount(self.unit, self.used)} of {amount(self.unit, self.cap)}"


def allowance(text: str) -> Allowance:
    """Read what a row holds."""
    body = json.loads(text)
    told, contract = body.get("wrap_up"), body.get("contract")
    return Allowance(
        body.get("caps", {}),
        body.get("warned", {}),
        body.get("short"),
        None if told is None else WrapUp(**told),
        None if contract is None else Contract.from_json(contract),
    )


def of(snapshot: Snapshot) -> Allowance:
    """What this run remembers of its caps."""
    return allowance(snapshot.run.allowance_json)


def amount(unit: Unit, value: int) -> str:
    """An amount for people: `$1.00`, `40 tool calls`, `30m`."""
    noun = {"tokens": " tokens", "steps": " steps", "calls": " tool calls"}.get(unit, "")
    return f"{_amount(unit, value)}{noun.removesuffix('s') if value == 1 else noun}"


def _amount(unit: Unit, value: int) -> str:
    match unit:
        case "money":
            return usd_text(value)
        case "time":
            return duration_text(max(0, value) // 1000 * 1000)
        case _:
            return f"{value:,}"


def steps_taken(snapshot: Snapshot) -> int:
    """Steps of the run, and of those it has handed work over to."""
    ended = (json.loads(call.result_json or "{}") for call in snapshot.calls if call.tool == DELEGATE)
    return snapshot.run.steps + sum(int(out.get("steps", 0)) for out in ended)


def usages(snapshot: Snapshot, now_ms: int) -> tuple[Usage, ...]:
    """How much of each cap of the run is used, money first."""
    run, caps = snapshot.run, of(snapshot).caps
    used: dict[Unit, int] = {
        "tokens": sum(_tokens(turn) for turn in snapshot.turns),
        "steps": steps_taken(snapshot),
        "calls": len(snapshot.calls),
        "time": max(0, now_ms - run.created_at),
    }
    money = () if not run.budget_micro_usd else (Usage("money", run.cost_micro_usd, run.budget_micro_usd),)
    return (*money, *(Usage(unit, used[unit], caps[unit]) for unit in UNITS if unit in caps))


def _tokens(turn: TurnRow) -> int:
    """What a turn counts, by the rule for money: what was not, or cannot have been, reported is all it may take."""
    if turn.status in ("failed", "refused"):
        return turn.reserved_tokens if turn.cost_micro_usd > 0 else 0
    reported = turn.input_tokens + turn.output_tokens
    if turn.status != "answered" or min(turn.input_tokens, turn.output_tokens) < 0 or reported == 0:
        return turn.reserved_tokens
    return min(reported, turn.reserved_tokens)


def over(snapshot: Snapshot, move: Act | Think | Finish | GiveUp, now_ms: int, *, tokens: int = 0) -> Usage | None:
    """The cap that keeps the run from its next step, if one does; ending is always allowed.

    So are the few turns in which a run wraps up, however long it took until then: they are how it ends.

    Args:
        tokens: What the step may take at most.
    """
    if not isinstance(move, Act | Think):
        return None
    ending = isinstance(move, Think) and of(snapshot).wrap_up is not None
    for usage in usages(snapshot, now_ms):
        match usage.unit:
            case "steps" | "time" if usage.is_spent and not ending:
                return usage
            case "calls" if isinstance(move, Act) and usage.is_spent:
                return usage
            case "tokens" if isinstance(move, Think) and usage.used + tokens > usage.cap:
                return usage
    return None


def nearly_spent(snapshot: Snapshot, now_ms: int) -> tuple[Usage, ...]:
    """The caps of which the thread has to be told that they are nearly used up."""
    warned = of(snapshot).warned
    return tuple(
        usage for usage in usages(snapshot, now_ms) if usage.is_nearly_spent and warned.get(usage.unit, -1) != usage.cap
    )


def told(snapshot: Snapshot, caps: Mapping[str, int]) -> str:
    """`allowance_json` once the thread is told of these caps, by unit or id of a shared budget."""
    before = of(snapshot)
    return replace(before, warned={**before.warned, **caps}).to_json()


def raised(snapshot: Snapshot, unit: Unit, cap: int) -> str:
    """`allowance_json` once this cap is another one."""
    before = of(snapshot)
    return replace(before, caps={**before.caps, unit: cap}, short=None).to_json()


def wrapping_up(snapshot: Snapshot, wrap_up: WrapUp) -> str:
    """`allowance_json` of a run that is to finish with what it has."""
    return replace(of(snapshot), wrap_up=wrap_up).to_json()


def short_of(snapshot: Snapshot, what: Lack | None) -> str:
    """`allowance_json` of a run that is blocked for want of this; `None` = it is not any more."""
    return replace(of(snapshot), short=what).to_json()
