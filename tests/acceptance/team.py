"""What people do in the demo team, and what they see there, through the playground's HTTP surface."""

import asyncio
import base64
import io
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import aiohttp

from tests.acceptance.house import SOON_S

Json = dict[str, Any]
T = TypeVar("T")

BOT = "U0BANKSMAN"
DATA = "C0DATA"
OPS = "C0OPS"

RUN_DETAILS = "run_details"
"""Action id of the Details button of a run's card."""

_POLL_S = 0.1


def user(name: str) -> str:
    """Slack id of one of the demo's people."""
    return f"U0{name.upper()}"


def words(value: Any) -> str:
    """Everything a message or view says, its blocks included, as one text."""
    match value:
        case Mapping():
            return " ".join(words(item) for key, item in value.items() if key not in ("files", "reactions"))
        case list():
            return " ".join(words(item) for item in value)
        case str():
            return value
        case _:
            return ""


class Team:
    """Use as `async with Team(url) as team`."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def __aenter__(self) -> "Team":
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SOON_S))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def act(self, what: str, **body: Any) -> Json:
        """`POST /playground/WHAT`; fails unless the playground takes it."""
        # Large bodies go as a stream: aiohttp warns about one that blocks the loop.
        data, headers = io.BytesIO(json.dumps(body).encode()), {"Content-Type": "application/json"}
        async with self._http.post(f"{self._url}/playground/{what}", data=data, headers=headers) as answer:
            text = await answer.text()
            assert 200 == answer.status, text
            return dict(await answer.json())

    async def say(
        self,
        text: str,
        *files: tuple[str, bytes],
        by: str = "requester",
        channel: str = DATA,
        thread: str | None = None,
    ) -> str:
        """Write a message; `@banksman` in it is a mention. Its ts."""
        attached = [{"name": name, "content_base64": self.encoded(data)} for name, data in files]
        body: Json = {"user": user(by), "channel": channel, "text": text, "files": attached}
        if thread is not None:
            body["thread_ts"] = thread
        return str((await self.act("messages", **body))["ts"])

    @staticmethod
    def encoded(data: bytes) -> str:
        """Bytes as the playground takes them."""
        return base64.b64encode(data).decode()

    async def views(self, of: str) -> list[str]:
        """Ids of the modals somebody has open."""
        return [view["id"] for view in (await self.state())["views"] if view["user"] == user(of)]

    async def view(self, of: str, *, new: Sequence[str] = ()) -> Json:
        """Wait for a modal of somebody.

        Args:
            new: Ids of modals that were open before.
        """
        deadline = time.monotonic() + SOON_S
        while True:
            everything = (await self.state())["views"]
            views = [view for view in everything if view["user"] == user(of) and view["id"] not in new]
            if views:
                return dict(views[-1])
            assert time.monotonic() < deadline, f"no modal opened for {of}"
            await asyncio.sleep(_POLL_S)

    async def is_heard(self) -> None:
        """Wait until the bot is connected; what is said before that is delivered again only a minute later."""
        deadline = time.monotonic() + SOON_S
        while not (await self.state())["connections"]:
            assert time.monotonic() < deadline, "the bot does not connect"
            await asyncio.sleep(_POLL_S)

    async def state(self) -> Json:
        """`GET /playground/state`."""
        async with self._http.get(f"{self._url}/playground/state") as answer:
            assert 200 == answer.status
            return dict(await answer.json())

    async def thread(self, root: str) -> list[Json]:
        """A thread's messages, the root first, in the order they were posted."""
        everything = (await self.state())["messages"]
        mine = [message for message in everything if root in (message["ts"], message["thread_ts"])]
        return sorted(mine, key=lambda message: float(message["ts"]))

    async def until(self, root: str, look: Callable[[list[Json]], T | None], what: str) -> T:
        """Look at a thread again and again until there is something to see."""
        deadline = time.monotonic() + SOON_S
        while True:
            thread = await self.thread(root)
            found = look(thread)
            if found:
                return found
            seen = "\n".join(
                f"{message['user']} {message['ephemeral_to'] or ''}: {words(message)}" for message in thread
            )
            assert time.monotonic() < deadline, f"waited {SOON_S:.0f} s in vain for {what}; the thread:\n{seen}"
            await asyncio.sleep(_POLL_S)

    async def session(self, root: str, status: str) -> None:
        """Wait for a thread's agent session to say this."""
        deadline = time.monotonic() + SOON_S
        while status not in (seen := [one["status"] for one in await self._sessions() if one["thread_ts"] == root]):
            assert time.monotonic() < deadline, f"the session does not say {status} but {seen}"
            await asyncio.sleep(_POLL_S)

    async def _sessions(self) -> list[Json]:
        return list((await self.state())["sessions"])

    async def private(self, to: str, *having: str) -> Json:
        """Wait for any private message to somebody that says all of this."""
        deadline = time.monotonic() + SOON_S
        while True:
            mine = [each for each in (await self.state())["messages"] if each["ephemeral_to"] == user(to)]
            for each in mine:
                if all(text in words(each) for text in having):
                    return dict(each)
            assert time.monotonic() < deadline, f"{to} was not told {having} but {[words(each) for each in mine]}"
            await asyncio.sleep(_POLL_S)

    async def card(self, root: str, *having: str) -> Json:
        """Wait for the run's card to say all of this."""
        return await self.until(
            root,
            lambda thread: next((card for card in cards(thread) if all(text in words(card) for text in having)), None),
            f"a card with {having}",
        )

    async def told(self, root: str, text: str, to: str, *, times: int = 1) -> Json:
        """Wait for a private message to somebody, the last of so many."""

        def look(thread: list[Json]) -> Json | None:
            found = [each for each in thread if each["ephemeral_to"] == user(to) and text in words(each)]
            return found[times - 1] if len(found) >= times else None

        return await self.until(root, look, f"{to} to be told {text!r}")

    async def answered(self, root: str, *having: str) -> Json:
        """Wait for a public answer of the bot that says all of this."""
        return await self.until(
            root,
            lambda thread: next(
                (each for each in said(thread) if all(text in words(each) for text in having)),
                None,
            ),
            f"an answer with {having}",
        )

    async def click(self, card: Json, label: str, by: str) -> Json:
        """Press a message's button."""
        pressed = button(card, label)
        assert pressed is not None, f"there is no button {label!r}"
        return await self.act(
            "actions",
            user=user(by),
            channel=card["channel"],
            ts=card["ts"],
            action_id=pressed["action_id"],
            value=pressed.get("value"),
        )

    async def decide(self, asks: Json, label: str, by: str) -> None:
        """Press Approve on a card; where it is too long for one, on the last page of what it shows."""
        if button(asks, label) is not None:
            await self.click(asks, label, by=by)
            return
        view = await self._last_page(asks, by)
        if view.get("submit") is not None:
            await self.act("views", user=user(by), view_id=view["id"], values={})
            return
        # The form offers nothing to somebody who may not decide, or not any more.
        await self.put_away(view["id"], by)
        await self.forge(asks, by)

    async def put_away(self, view_id: str, by: str) -> None:
        """Close a modal, so that it is not in the way of whoever comes next."""
        await self.act("views", user=user(by), view_id=view_id, values={}, close=True)

    async def forge(self, asks: Json, by: str) -> None:
        """Click Approve on a card that does not, or no longer, offer it."""
        value = (button(asks, "Deny") or {})["value"]
        body = {"user": user(by), "channel": asks["channel"], "ts": asks["ts"], "forge": True}
        await self.act("actions", **body, action_id="approval_approve", value=value)

    async def _last_page(self, asks: Json, by: str) -> Json:
        before = await self.views(by)
        await self.click(asks, "Details", by=by)
        shown = await self.view(by, new=before)
        while (turn := button(shown["view"], "Next")) is not None:
            action = {"action_id": turn["action_id"], "value": turn["value"]}
            await self.act("views", user=user(by), view_id=shown["id"], values={}, action=action)
            shown = await self._turned(by, shown)
        return {"id": shown["id"], **shown["view"]}

    async def _turned(self, by: str, before: Json) -> Json:
        deadline = time.monotonic() + SOON_S
        while (shown := await self.view(by))["view"] == before["view"]:
            assert time.monotonic() < deadline, "the page does not turn"
            await asyncio.sleep(_POLL_S)
        return shown

    async def submit(self, form: Json, text: str, by: str) -> None:
        """Fill the one field of a form and send it."""
        [(block, element)] = [
            (each["block_id"], each["element"]) for each in form["view"]["blocks"] if each["type"] == "input"
        ]
        values = {block: {element["action_id"]: {"type": element["type"], "value": text}}}
        await self.act("views", user=user(by), view_id=form["id"], values=values)

    async def fetch(self, url: str) -> bytes:
        """The bytes of a file of the team."""
        async with self._http.get(url) as answer:
            assert 200 == answer.status
            return await answer.read()


def said(thread: list[Json]) -> list[Json]:
    """The bot's public messages."""
    return [message for message in thread if message["user"] == BOT and not message["ephemeral_to"]]


def cards(thread: list[Json]) -> list[Json]:
    """The bot's messages with a run's Details button: cards, of which a run has one."""
    return [message for message in said(thread) if (button(message, "Details") or {}).get("action_id") == RUN_DETAILS]


def button(message: Json, label: str) -> Json | None:
    """A message's button by the beginning of its label."""
    for block in message["blocks"] or ():
        for element in block.get("elements", ()):
            if element.get("type") == "button" and element["text"]["text"].startswith(label):
                return dict(element)
    return None


async def read_pages(team: Team, asks: Json, by: str) -> str:
    """Everything an approver can read of an action, page by page."""
    before = await team.views(by)
    await team.click(asks, "Details", by=by)
    shown = await team.view(by, new=before)
    texts = [words(shown["view"])]
    while (turn := button(shown["view"], "Next")) is not None:
        action = {"action_id": turn["action_id"], "value": turn["value"]}
        await team.act("views", user=user(by), view_id=shown["id"], values={}, action=action)
        shown = await team._turned(by, shown)
        texts.append(words(shown["view"]))
    await team.put_away(shown["id"], by)
    return "\n".join(texts)


def run_of(card: Json) -> str:
    """The run a card is about."""
    details = button(card, "Details")
    assert details is not None
    return str(details["value"])
