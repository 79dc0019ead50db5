"""Trials: somebody asks for work, something dies at a crash point meanwhile, and the work has to end as it should.

A trial is one run of one recovery class and one crash point. What ends how is the table of PROTOCOL 2.8; what must
never be is the checker's, after all of them.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from core.crashpoints import LABELS
from core.ids import TENANT
from core.runs import reading
from core.runs.views import RunView
from core.store.session import Database
from tests.acceptance.team import Team
from tests.chaos.rig.configuration import CLASSES, channel
from tests.chaos.rig.installation import Installation
from tests.chaos.rig.mind import AGENTS
from tests.chaos.rig.people import People

SETTLED_WITHIN_S = 300.0
"""How long after the last fault a run may take to end or to say what it waits for: T_recover of P1, and a minute for
machines that do much else."""
FIRED_WITHIN_S = 120.0
ROUNDS = 4
"""How often trials are held at a point that is passed less often than there are runs."""
_LOOK_S = 0.3

BY_CLASS = ("CP13", "CP15", "CP17", "CP19")
"""Points that know of which class the call is that passes them: an order waits for the right one."""
ONE_AT_A_TIME = ("CP14", "CP22")
"""Points where whose call it is shows only in what is under way."""
POINTS = tuple(LABELS)

_AWAY = (DBAPIError, OSError)
"""What a look meets while the database restarts."""
_TO_DO = text(
    "SELECT (SELECT count(*) FROM inbox WHERE processed_at IS NULL) + "
    "(SELECT count(*) FROM outbox WHERE sent_at IS NULL AND dead_at IS NULL AND kind <> 'slack.reminder')"
)
_RUN_OF = text("SELECT id FROM runs WHERE message_ts = :ts AND parent_id IS NULL")


class Unsettled(AssertionError):
    """A run did not come to rest in time, or a crash point was not reached."""


@dataclass
class Trial:
    """One run under one crash point."""

    point: str
    kind: str
    root: str
    """The ts of the message that asked."""
    began_s: float
    settled_s: float | None = None
    ended: str = ""
    said: str = ""
    """What the run said in the end."""


@dataclass
class Field:
    """Where trials are held: an installation, its people, and a way to look into its database."""

    house: Installation
    people: People
    team: Team
    database: Database
    trials: list[Trial] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    _asked: int = 0
    _tags: int = 0

    async def ask(self, what: str) -> str:
        """Have somebody ask for something in the channel whose turn it is; the message's ts."""
        self._asked += 1
        where = channel(self._asked)
        if what not in AGENTS:
            return await self.team.say(f"@banksman {what}", channel=where)
        root = await self.team.say(f"@banksman {what} t{self._asked}", channel=where)
        self.house.mind.requests[root] = f"t{self._asked}"
        return root

    async def run_of(self, root: str) -> RunView | None:
        """The run a message asked for, once there is one."""
        try:
            async with self.database.read() as connection:
                found = (await connection.execute(_RUN_OF, {"ts": root})).scalar()
            return None if found is None else await reading.view(self.database, TENANT, found)
        except _AWAY:
            return None

    async def until(self, look: Any, what: str, *, within_s: float = SETTLED_WITHIN_S) -> Any:
        """Look again and again until there is something to see."""
        deadline = time.monotonic() + within_s
        while True:
            if found := await look():
                return found
            if time.monotonic() > deadline:
                raise Unsettled(f"waited {within_s:.0f} s in vain for {what}\n{self.house.logs()}")
            await asyncio.sleep(_LOOK_S)

    async def settled(self, root: str) -> RunView:
        """Wait until the run of a message has ended, and a stop of it is proved."""

        async def look() -> RunView | None:
            view = await self.run_of(root)
            if view is None or view.ended_at_ms is None or (view.stop and view.stop.confirmed_at_ms is None):
                return None
            return view

        try:
            return await self.until(look, f"the run of {root} to end")
        except Unsettled as error:
            view = await self.run_of(root)
            stands = "there is none" if view is None else f"{view.id} is {view.state}: {view.blocked_detail}"
            raise Unsettled(f"{stands}\n{error}") from error

    async def is_over(self, trial: Trial) -> bool:
        """Whether a trial's run has ended; notes how."""
        view = await self.run_of(trial.root)
        if view is not None and view.ended_at_ms is not None and not trial.ended:
            trial.ended, trial.settled_s = view.state.value, time.monotonic()
        return bool(trial.ended)

    async def at_rest(self) -> None:
        """Wait until nothing that was stored is still to be carried out or said."""

        async def look() -> bool:
            try:
                async with self.database.read() as connection:
                    return not (await connection.execute(_TO_DO)).scalar_one()
            except _AWAY:
                return False

        await self.until(look, "everything stored to be carried out and said")

    async def at(self, point: str, kinds: Sequence[str] = CLASSES) -> None:
        """One trial for each class at one crash point; returns when all have settled and each had its death.

        Raises:
            Unsettled: a run did not come to rest, or nothing passed there.
        """
        if point in ONE_AT_A_TIME and len(kinds) > 1:
            for kind in kinds:
                await self.at(point, (kind,))
            return
        if point == "CP23":
            # Its compensations are of one class: what a push's own undo is.
            if await self._rolled_back() or await self._rolled_back():
                return
            raise Unsettled("CP23 was never passed")
        left = list(kinds)
        for _ in range(ROUNDS):
            left = left[: len(left) - await self._together(point, left)]
            if not left:
                return
        raise Unsettled(f"{point} was passed too seldom: {len(left)} of {len(kinds)} deaths are missing")

    async def _rolled_back(self) -> int:
        """Roll a run of two pushes back, and die between the two compensations; whether that came."""
        self._tags += 1
        trial = Trial("CP23", "reconcilable", await self.ask(f"pushes t{self._tags}"), time.monotonic())
        self.trials.append(trial)
        await self.settled(trial.root)
        order = self.house.order("CP23.kill")

        async def undone() -> bool:
            await self.people.roll_back(trial.root)
            view = await self.run_of(trial.root)
            return view is not None and view.state == "rolled-back"

        await self.until(undone, f"the run of {trial.root} to be rolled back")
        trial.ended, trial.settled_s = "rolled-back", time.monotonic()
        died = not order.exists()
        order.unlink(missing_ok=True)
        self.faults["killed at CP23"] += died
        return died

    async def _together(self, point: str, kinds: Sequence[str]) -> int:
        """Hold trials side by side; how many of the deaths came."""
        named = [f"{point}~{kind}" if point in BY_CLASS else point for kind in kinds]
        orders = [self.house.order(f"{name}.kill.{number}") for number, name in enumerate(named)]
        trials = [Trial(point, kind, await self.ask(kind), time.monotonic()) for kind in kinds]
        if point == "CP22":
            await self._stop_in_flight(trials[0])
        for trial in trials:
            view = await self.settled(trial.root)
            trial.ended, trial.said = view.state.value, view.outcome or ""
            trial.settled_s = time.monotonic()

        async def fired() -> bool:
            return not any(order.exists() for order in orders)

        # What is not bound to a run, such as a pass of the sweeper, may come later.
        if point in ("CP05", "CP24"):
            await self.until(fired, f"{point} to be passed", within_s=FIRED_WITHIN_S)
        deaths = sum(not order.exists() for order in orders)
        for order in orders:
            order.unlink(missing_ok=True)
        self.faults[f"killed at {point}"] += deaths
        self.trials += trials
        return deaths

    async def _stop_in_flight(self, trial: Trial) -> None:
        """Stop a run while its request is at the witness."""
        await self.witness(kind=trial.kind, fault="hang-after", seconds=3.0)

        async def started() -> bool:
            view = await self.run_of(trial.root)
            return view is not None and any(a.step == "effect" and a.status == "started" for a in view.actions)

        await self.until(started, f"the effect of {trial.root} to start", within_s=FIRED_WITHIN_S)

        async def pressed() -> bool:
            return await self.people.kill(trial.root)

        await self.until(pressed, f"a Kill button in {trial.root}", within_s=FIRED_WITHIN_S)

    async def witness(self, **fault: object) -> None:
        """Have something go wrong with the next request of a kind."""
        async with aiohttp.ClientSession() as http, http.post(f"{self.house.witness_url}/faults", json=fault) as done:
            assert 200 == done.status
