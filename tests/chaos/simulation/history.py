"""One history: what happens next, what must be so after every step, and that all comes to rest at the end."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from core.store.retelling import Chains
from tests.chaos.simulation import people, working
from tests.chaos.simulation.house import MINUTE_MS, WORKERS
from tests.chaos.simulation.store import Memory
from tests.chaos.simulation.world import Broken, Choose, World
from tests.invariants import INVARIANTS

Action = Callable[[World], Awaitable[None]]

ACTIONS: Mapping[str, tuple[Action, int]] = {
    "go-on": (working.go_on, 22),
    "claim": (working.claim, 8),
    "renew": (working.renew, 3),
    "crash": (working.crash, 3),
    "break-off": (working.break_off, 1),
    "stray": (working.stray, 1),
    "ask": (people.ask, 5),
    "load": (people.load, 2),
    "vote": (people.vote, 3),
    "vote-open": (people.vote_on_an_open_one, 12),
    "take-back": (people.take_a_vote_back, 2),
    "stop": (people.stop, 2),
    "freeze": (people.freeze, 2),
    "thaw": (people.thaw, 3),
    "policy": (people.change_policy, 2),
    "stand": (people.stand, 2),
    "answer": (people.answer_a_question, 3),
    "settle": (people.settle, 3),
    "again": (people.again, 3),
    "undo": (people.undo, 4),
    "wait": (people.wait, 9),
    "jump": (people.jump, 1),
    "sweep": (people.sweep, 4),
    "report": (people.report, 3),
}
"""Everything that can happen, and how often it does among the rest."""

WEIGHTED = tuple(name for name, (_, weight) in ACTIONS.items() for _ in range(weight))
_ROUNDS = 60
"""How long everything may take to come to rest."""


class History:
    """A world and its loop."""

    def __init__(self, choose: Choose) -> None:
        self._loop = asyncio.new_event_loop()
        self.world = World(choose, Memory())
        self._chains: dict[str, Chains] = {}
        self._events = 0
        self._judged = (0, 0)
        self._wait(self._begin())
        self.judge()

    def do(self, name: str) -> None:
        """Let one thing happen, and judge.

        Raises:
            Broken: something is not as it must be.
        """
        self.world.step += 1
        self.world.reached[f"rule-{name}"] += 1
        self._wait(ACTIONS[name][0](self.world))
        if self._judged != (now := self._extent()):
            self._judged = now
            self.judge()

    def judge(self) -> None:
        """Compare everything there is with the invariants and the model."""
        world = self.world
        look = world.database.look
        found = [name for name, sql in INVARIANTS if look.execute(sql).fetchone() is not None]
        rows = look.execute("SELECT rowid AS nr, * FROM events WHERE rowid > ? ORDER BY rowid", (self._events,))
        for row in rows.fetchall():
            self._events = row["nr"]
            found += self._chains.setdefault(row["stream"], Chains()).broken(row)
        world.model.look(world.seen())
        if found or world.model.wrong:
            raise Broken("; ".join(found + world.model.wrong))

    def rest(self) -> None:
        """Let everything that is due happen, without trouble, until nothing is.

        Raises:
            Broken: something never comes to rest, or rests where nobody can help it.
        """
        self._wait(self._rest())

    def help(self) -> None:
        """Let people do whatever they are asked for, and have everything that ended rolled back."""
        self._wait(self._helped())

    def close(self) -> None:
        """Count what was reached, and let go."""
        world = self.world
        sql = "SELECT from_state, to_state, count(*) AS n FROM events WHERE type = 'state' AND from_state IS NOT NULL"
        for row in world.database.look.execute(f"{sql} GROUP BY from_state, to_state"):
            world.reached[f"{row['from_state']} -> {row['to_state']}"] += row["n"]
        self._wait(world.database.close())
        self._loop.close()

    def _extent(self) -> tuple[int, int]:
        """Grows with everything that is written and everything that happens."""
        return self.world.database.look.total_changes, len(self.world.outside.effects)

    def _wait(self, work: Awaitable[None]) -> None:
        self._loop.run_until_complete(work)

    async def _begin(self) -> None:
        for name in WORKERS:
            await working.register(self.world, name)
        for _ in range(2):
            await people.ask(self.world)

    async def _rest(self) -> None:
        world = self.world
        world.clock.jump_wall(-world.offset_ms)
        world.offset_ms = 0
        for _ in range(_ROUNDS):
            world.step += 1
            await people.passes(world, MINUTE_MS)
            for name in WORKERS:
                await working.register(world, name)
            await people.sweep(world)
            while world.every("SELECT id FROM runs WHERE state = 'created'"):
                await people.load(world)
            for name in WORKERS:
                await working.claim(world, name)
                for _ in range(200):
                    if not world.slices[name]:
                        break
                    await working.advance(world, world.slices[name][0])
                else:
                    raise Broken(f"{name} is never done with {world.slices[name][0].run.run.id}")
                for run_id in world.every("SELECT id FROM runs WHERE killed_at IS NOT NULL"):
                    await people.reported(world, run_id, name, stubborn=False)
            self.judge()
            if not (restless := self._restless()):
                return
        raise Broken(f"after {_ROUNDS} minutes without trouble: {'; '.join(restless)}")

    async def _helped(self) -> None:
        world = self.world
        await people.thaw_everything(world)
        self.judge()
        for _ in range(4):
            world.step += 1
            await people.answer_everything(world)
            self.judge()
            await self._rest()

    def _restless(self) -> list[str]:
        """What is neither over, nor waits for somebody who knows what for."""
        found = []
        for row in self.world.database.look.execute(
            "SELECT id, state, blocked_reason, killed_at, stop_confirmed_at, (SELECT count(*) FROM approvals a "
            "WHERE a.run_id = runs.id AND a.status = 'pending' AND a.expires_at > ?) AS open FROM runs",
            (self.world.now_ms,),
        ):
            run = f"{row['id']} is {row['state']}"
            if row["killed_at"] is not None and row["stop_confirmed_at"] is None:
                found.append(f"the stop of {row['id']} is not confirmed")
            match row["state"]:
                case "completed" | "failed" | "canceled" | "rolled-back":
                    pass
                case "waiting-for-approval" if row["open"]:
                    pass
                case "blocked" if row["blocked_reason"] is not None:
                    pass
                case _:
                    found.append(run)
        return found
