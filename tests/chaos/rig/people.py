"""What people do meanwhile: ask, approve, answer truthfully what they are asked, and click again when nothing happens.

They see only what Slack shows. One look at the team serves everybody.
"""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from sqlalchemy.exc import DBAPIError

from tests.acceptance.team import BOT, Team, button, user, words
from tests.chaos.rig.installation import Installation

Json = dict[str, Any]

LOOK_S = 0.5
LOOKED_S = 3.0
"""How long a person looks for something before saying that it did not happen."""
PATIENCE_S = 6.0
"""How long a person waits for a click to show before clicking again."""


@dataclass
class People:
    """Everybody who clicks."""

    house: Installation
    team: Team
    answers: Counter[str] = field(default_factory=Counter)
    """What was clicked, how often."""
    unwanted: set[str] = field(default_factory=set)
    """Roots of threads whose run somebody stops."""
    _clicked: dict[str, float] = field(default_factory=dict)
    _doubted: dict[str, float] = field(default_factory=dict)
    """When somebody first looked for a call in doubt, and did not find it."""
    messages: list[Json] = field(default_factory=list)

    async def live(self) -> None:
        """Look and click until canceled."""
        while True:
            try:
                self.messages = (await self.team.state())["messages"]
                for message in self.messages:
                    await self._look(message)
            except (AssertionError, OSError, aiohttp.ClientError, DBAPIError):
                self.answers["not taken"] += 1  # the page moved on between the look and the click, or a look failed
            await asyncio.sleep(LOOK_S)

    def thread(self, root: str) -> list[Json]:
        """The messages of one thread, as last seen."""
        return [each for each in self.messages if root in (each["ts"], each["thread_ts"])]

    async def _look(self, message: Json) -> None:
        root = message["thread_ts"] or message["ts"]
        if message["user"] != BOT or message["ephemeral_to"]:
            return
        if message["channel"].startswith("D"):
            return
        if root in self.unwanted and (pressed := button(message, "Kill")) is not None and "Running" in words(message):
            await self._click(message, pressed, "operator", "kill")
        elif (pressed := button(message, "Approve")) is not None:
            await self._click(message, pressed, "approver", "approve")
        elif (ran := button(message, "It ran")) is not None and (other := button(message, "It did not run")):
            call = str(ran["value"]).partition(":")[2]
            since_s = self._doubted.setdefault(call, time.monotonic())
            if (happened := await self.house.happened(call, surely=time.monotonic() - since_s >= LOOKED_S)) is None:
                return
            await self._click(message, ran if happened else other, "requester", "it ran" if happened else "it did not")
        elif (again := button(message, "Ask again")) is not None:
            await self._click(message, again, "requester", "ask again")

    async def _click(self, message: Json, pressed: Json, by: str, what: str) -> None:
        value = f"{pressed['action_id']} {pressed.get('value')}"
        now = time.monotonic()
        if now - self._clicked.get(value, -PATIENCE_S) < PATIENCE_S:
            return
        self._clicked[value] = now
        self.answers[what] += 1
        place = {"user": user(by), "channel": message["channel"], "ts": message["ts"]}
        await self.team.act("actions", **place, action_id=pressed["action_id"], value=pressed.get("value"))

    async def roll_back(self, root: str) -> bool:
        """Click Roll back in a thread, if there is such a button."""
        for message in self.thread(root):
            if message["user"] == BOT and (pressed := button(message, "Roll back")) is not None:
                await self._click(message, pressed, "requester", "roll back")
                return True
        return False

    async def kill(self, root: str, by: str = "operator") -> bool:
        """Click Kill on a thread's card, if there is one with that button."""
        for message in self.thread(root):
            if message["user"] == BOT and (pressed := button(message, "Kill")) is not None:
                await self._click(message, pressed, by, "kill")
                return True
        return False
