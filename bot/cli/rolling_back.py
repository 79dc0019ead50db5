"""`banksman rollback`: have a run undone from a terminal, with the same checks as the button."""

from functools import partial

from bot.cli.installation import BadAnswer, Refused, opened
from bot.cli.looking import named
from core.actions.policy import parse
from core.config.settings import Settings
from core.record.changes import Refusal
from core.runs.commands.request import Limits
from core.runs.commands.rollback import Asked, roll_back
from core.store.lane import Target
from core.tools.catalogue import undoings


async def rollback(settings: Settings, wanted: str, *, as_name: str | None, reason: str) -> int:
    """Create the run that undoes another one; 3 if that is refused."""
    async with opened(settings) as here:
        run_id, limits = await named(here, wanted), here.config.limits
        policy = parse(here.config.policy_text)
        caps = Limits(limits.steps, limits.run_time_ms)
        asked = Asked(run_id, here.principal(as_name), reason, policy, caps, undoings(here.config.uses))
        child_id, now_ms = here.ids.run(), here.clock.wall_ms()
        decide = partial(roll_back, asked=asked, child_id=child_id, salt=here.ids.salt(), now_ms=now_ms)
        answer = await here.database.journal.command(here.tenant, Target(run_id=run_id), decide)
        if isinstance(answer, Refusal):
            raise BadAnswer(answer.text) if answer.why == "not-found" else Refused(answer.text)
        await here.doorbell.ring(child_id, 0)
        await here.doorbell.announce("delivery", run_id)
        print(answer.text)
        return 0
