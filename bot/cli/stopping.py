"""`banksman kill`: stop runs from a terminal, with the same checks as the button; needs neither Slack nor Redis."""

from functools import partial

from bot.cli.asking import UsageError
from bot.cli.installation import BadAnswer, Installation, Refused, opened
from bot.cli.looking import named
from core.actions.policy import parse
from core.config.settings import Settings
from core.record.changes import Refusal
from core.runs.commands.kill import kill
from core.store import runs
from core.store.lane import Target


async def stop(
    settings: Settings, wanted: str | None, *, agent: str | None, everything: bool, as_name: str | None, reason: str
) -> int:
    """Stop one run, all runs of an agent, or all runs; 3 if any of them was refused."""
    if sum((wanted is not None, agent is not None, everything)) != 1:
        raise UsageError("Say what to stop: a run, or `--agent NAME`, or `--all`.")
    async with opened(settings) as here:
        if wanted is not None:
            print(await _stop(here, await named(here, wanted), as_name, reason))
            return 0
        rows = await runs.listed(here.database, here.tenant, agent=agent, open_only=True, limit=200)
        if not rows:
            raise BadAnswer("Nothing is under way" + (f" for {agent}." if agent else "."))
        refused = 0
        for row in rows:
            try:
                print(await _stop(here, row.id, as_name, reason))
            except Refused as error:
                refused += 1
                print(f"{row.id}: {error.user_text}")
        return 3 if refused else 0


async def _stop(here: Installation, run_id: str, as_name: str | None, reason: str) -> str:
    by, policy = here.principal(as_name), parse(here.config.policy_text)
    decide = partial(kill, run_id=run_id, by=by, reason=reason, policy=policy, now_ms=here.clock.wall_ms())
    answer = await here.database.journal.command(here.tenant, Target(run_id=run_id), decide)
    if isinstance(answer, Refusal):
        raise Refused(answer.text)
    await here.doorbell.announce("stop", run_id)
    await here.doorbell.announce("delivery", run_id)
    return answer.text
