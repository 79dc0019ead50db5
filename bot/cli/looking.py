"""`banksman runs`, `show`, `events`: reading, for people and for scripts."""

from bot.cli.installation import BadAnswer, Installation, opened
from bot.cli.output import print_events, print_json, print_run, print_runs
from core.config.settings import Settings
from core.record.states import RunState
from core.runs import reading
from core.store import runs


async def list_runs(settings: Settings, *, state: RunState | None, limit: int, as_json: bool) -> int:
    """The newest runs."""
    async with opened(settings) as here:
        lines = await reading.lines(here.database, here.tenant, state=state, limit=limit)
        if as_json:
            print_json([line.as_json() for line in lines])
        else:
            print_runs(lines, here.clock.wall_ms())
        return 0


async def show(settings: Settings, wanted: str, *, as_json: bool) -> int:
    """One run."""
    async with opened(settings) as here:
        view = await reading.view(here.database, here.tenant, await named(here, wanted))
        assert view is not None
        if as_json:
            print_json(view.full_json())
        else:
            print_run(view)
        return 0


async def events(settings: Settings, wanted: str, *, as_json: bool) -> int:
    """A run's log."""
    async with opened(settings) as here:
        found = await reading.log(here.database, here.tenant, await named(here, wanted))
        if as_json:
            print_json([event.as_json() for event in found])
        else:
            print_events(found)
        return 0


async def named(here: Installation, wanted: str) -> str:
    """The run somebody typed the id of, or its last characters.

    Raises:
        BadAnswer: there is none, or more than one.
    """
    found = await runs.resolve(here.database, here.tenant, wanted)
    if not found:
        raise BadAnswer(
            f"There is no run {wanted!r}. `banksman runs` lists them; the last 6 characters of an id are enough."
        )
    if len(found) > 1:
        raise BadAnswer(f"{len(found)} runs end in {wanted!r}. Write more of the id; `banksman runs` lists them.")
    return found[0]
