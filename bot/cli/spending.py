"""`banksman budget` and `wrap-up`: what a run may use, and that it is to finish with what it has, from a terminal."""

from dataclasses import dataclass
from functools import partial

from bot.cli.asking import UsageError
from bot.cli.deciding import carried_out
from bot.cli.installation import opened
from bot.cli.looking import named
from core.actions.policy import parse
from core.budgets import micro_usd
from core.config.quantities import parse_duration_ms
from core.config.settings import Settings
from core.runs.allowance import Unit
from core.runs.commands.fund import allow_more
from core.runs.commands.wrap_up import wrap_up
from core.store.lane import Target


@dataclass(frozen=True)
class More:
    """What a run is to have more of, as it was typed."""

    money: str | None
    tokens: int | None
    steps: int | None
    calls: int | None
    time: str | None

    def amounts(self) -> dict[Unit, int]:
        """By unit, in micro-USD and milliseconds where they have one.

        Raises:
            UsageError: one of them is no amount, or there is none.
        """
        found: dict[Unit, int | None] = {"tokens": self.tokens, "steps": self.steps, "calls": self.calls}
        wanted: dict[Unit, int] = {unit: more for unit, more in found.items() if more is not None}
        if self.money is not None:
            wanted["money"] = micro_usd(self.money) or 0
            if not wanted["money"]:
                raise UsageError(f"`{self.money}` is not an amount of money. Write dollars, e.g. 0.50.")
        if self.time is not None:
            wanted["time"] = parse_duration_ms(self.time) or 0
            if not wanted["time"]:
                raise UsageError(f"`{self.time}` is not a duration. Write a number with its unit, e.g. 30m.")
        if not wanted:
            raise UsageError("Say how much more: `--add 0.50` dollars, `--tokens`, `--steps`, `--calls` or `--time`.")
        return wanted


async def add(settings: Settings, wanted: str, more: More, *, as_name: str | None) -> int:
    """Let a run spend more on models, or use more of what else it has a cap on."""
    amounts = more.amounts()
    async with opened(settings) as here:
        run_id, who = await named(here, wanted), here.principal(as_name)
        approvers = parse(here.config.policy_text).approvers
        for unit, amount in amounts.items():
            command = partial(
                allow_more,
                run_id=run_id,
                by=who,
                approvers=approvers,
                unit=unit,
                add=amount,
                seen=None,
                now_ms=here.clock.wall_ms(),
            )
            print((await carried_out(here, Target(run_id=run_id), command)).text)
        return 0


async def finish(settings: Settings, wanted: str, *, as_name: str | None) -> int:
    """Have a run finish with what it has."""
    async with opened(settings) as here:
        run_id, who = await named(here, wanted), here.principal(as_name)
        policy = parse(here.config.policy_text)
        command = partial(wrap_up, run_id=run_id, by=who, policy=policy, now_ms=here.clock.wall_ms())
        print((await carried_out(here, Target(run_id=run_id), command)).text)
        return 0
