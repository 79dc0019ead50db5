"""The model the agents of the installation think with. It speaks OpenAI's interface and knows only what it is sent.

It does what its instructions say, one call an answer, and ends. Whatever it has begun to answer it has to be paid for;
what it charged stands here, apart from what Banksman says it spent, by the word a request is known by (`t17`).
"""

import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from tests.chaos.rig.configuration import CLASSES, PRICE, agent, effect
from tests.vendors import Say, openai_server

_PLACE = re.compile(r"http://127\.0\.0\.1:(\d+)/(\w+)")
_TAG = re.compile(r"\bt\d+\b")
_USAGE = (100, 20)
_COST_MICRO_USD = round(sum(tokens * price for tokens, price in zip(_USAGE, PRICE, strict=True)))
_MOST_TROUBLES = 4
"""More at once would use up all attempts of one answer: that is `blocked (model-error)`, and people's to end."""

AGENTS = tuple(agent(kind) for kind in CLASSES)


@dataclass
class Mind:
    """The model, and what goes wrong with it."""

    url: str = ""
    charged: Counter[str] = field(default_factory=Counter)
    """Micro-USD for answers that were begun, by the request's word."""
    requests: dict[str, str] = field(default_factory=dict)
    """The word of a request, by the ts of its message."""
    troubles: list[dict[str, Any]] = field(default_factory=list)
    """What the next answers are instead: fields of `Say`."""

    def goes_wrong(self, times: int, **how: Any) -> None:
        """Have the next answers go wrong."""
        self.troubles = [*self.troubles, *({**how} for _ in range(times))][:_MOST_TROUBLES]

    def answers(self, body: dict[str, Any]) -> Say:
        """What it says to a request."""
        say = replace(_thought(body["messages"]), usage=_USAGE, **(self.troubles.pop(0) if self.troubles else {}))
        if say.status == 200 and not say.drops:
            self.charged[_words(body["messages"], _TAG)] += _COST_MICRO_USD
        return say


def _thought(messages: list[dict[str, Any]]) -> Say:
    """One thing after the other, by how much it has done; what came of it changes nothing."""
    port, kind = _PLACE.search(str(messages[0]["content"])).groups()  # type: ignore[union-attr]
    calls = (
        ("files-write", {"path": "note.txt", "content": "before"}),
        (f"outside-{kind}", effect(kind, int(port))),
        ("artifact", {"path": "note.txt"}),
    )
    done = sum(message["role"] == "tool" for message in messages)
    return Say(calls=[calls[done]]) if done < len(calls) else Say("done")


def _words(messages: list[dict[str, Any]], what: re.Pattern[str]) -> str:
    return next(
        found[0]
        for message in messages
        if message["role"] == "user" and (found := what.search(str(message["content"])))
    )


@asynccontextmanager
async def thinking() -> AsyncIterator[Mind]:
    """A model on a free port of this machine."""
    mind = Mind()
    async with openai_server(answering=mind.answers) as vendor:
        mind.url = vendor.url
        yield mind
