"""A real bot in front of a real playground, both in this process, and what people do and see there.

No worker: a run goes where a test puts it, by the changes a worker would commit.
"""

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from sqlalchemy import select

from bot.app import serve
from bot.delivery.limits import Limits
from bot.playground import Playground
from bot.wiring import Bot, assembled
from core.artifacts import FileStore
from core.clock import SystemClock
from core.config.settings import Settings
from core.ids import TENANT, Ids
from core.planners.base import PlanStep
from core.principals import Actor
from core.record.changes import Landed
from core.record.rows import RunRow, Snapshot, dumps
from core.record.states import BlockedReason, RunState
from core.runs.allowance import Allowance
from core.runs.draft import Draft
from core.store import runs
from core.store.session import Database
from core.store.tables import outbox
from tests.patience import PATIENCE_S

Json = dict[str, Any]
BOT = "U0BANKSMAN"
CSV = b"month,sales\njan,1\nfeb,2\n"

CONFIG = """
principals:
  requester: {slack: [T0PLAYGRND/U0REQUESTER]}
  operator: {roles: [operator], slack: [T0PLAYGRND/U0OPERATOR]}
  approver: {roles: [approver], slack: [T0PLAYGRND/U0APPROVER]}
  approver2: {roles: [approver], slack: [T0PLAYGRND/U0APPROVER2]}
channels:
  "#data": {agent: report, agents: [report, greet, idle]}
tools:
  files.list: {tier: read, recovery: pure}
limits: {runs-per-person: 20}
playbooks:
  - name: report
    title: Report on a table
    inputs:
      data: {type: file, description: the table, extensions: [csv], media: [text/csv]}
    steps:
      - {id: look, title: Look, tool: files.list, with: {path: .}}
  - name: greet
    title: Greet somebody
    inputs:
      times: {type: integer, description: how often}
      who: {type: string, description: whom}
    steps:
      - {id: look, title: Look, tool: files.list, with: {path: .}}
  - name: idle
    title: Do nothing
    steps:
      - {id: look, title: Look, tool: files.list, with: {path: .}}
"""


async def poll(look: Callable[[], Any], what: str = "it", within_s: float = PATIENCE_S) -> Any:
    """The first truthy answer of `look` (plain or async), asked until the deadline."""
    loop = asyncio.get_running_loop()
    until = loop.time() + within_s
    while True:
        found = look()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return found
        assert loop.time() < until, f"waited {within_s} s for {what}"
        await asyncio.sleep(0.02)


def words(message: Json) -> str:
    """Everything a message says, as one text."""

    def texts(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["text"]] if isinstance(value.get("text"), str) else []
            return own + [text for key, inner in value.items() if key != "text" or own == [] for text in texts(inner)]
        if isinstance(value, list):
            return [text for inner in value for text in texts(inner)]
        return []

    return " ".join([message.get("text") or "", *texts(message.get("blocks") or [])])


def has_button(message: Json, label: str) -> bool:
    """Whether a message has a button with this label."""
    elements = [each for block in message["blocks"] if block["type"] == "actions" for each in block["elements"]]
    return any(each["type"] == "button" and each["text"]["text"] == label for each in elements)


def attached(name: str, content: bytes = CSV) -> Json:
    """A file as the playground takes it with a message or in a form."""
    return {"name": name, "content_base64": base64.b64encode(content).decode()}


class Team:
    """The people of one playground, and what they see."""

    def __init__(self, playground: Playground, session: aiohttp.ClientSession) -> None:
        self.playground = playground
        self._session = session

    async def do(self, name: str, /, **body: Any) -> Json:
        url, sent = f"{self.playground.base_url}/playground/{name}", io.BytesIO(json.dumps(body).encode())
        async with self._session.post(url, data=sent, headers={"Content-Type": "application/json"}) as response:
            answer: Json = await response.json()
            assert response.status == 200, answer
            return answer

    async def say(self, text: str, *, user: str = "U0REQUESTER", channel: str = "C0DATA", **more: Any) -> str:
        """Post as a person; the timestamp."""
        return str((await self.do("messages", user=user, channel=channel, text=text, **more))["ts"])

    async def click(self, message: Json, action_id: str, *, user: str = "U0REQUESTER") -> Json:
        return await self.do("actions", user=user, channel=message["channel"], ts=message["ts"], action_id=action_id)

    async def click_late(self, message: Json, action_id: str, *, user: str = "U0REQUESTER") -> Json:
        """Click what `message` offered when it was read, whatever stands there by now."""
        rows = [block["elements"] for block in message["blocks"] if block["type"] == "actions"]
        (value,) = {each["value"] for row in rows for each in row if each["action_id"] == action_id}
        where = {"channel": message["channel"], "ts": message["ts"], "action_id": action_id}
        return await self.do("actions", user=user, forge=True, value=value, **where)

    async def offers_nothing(self, message: Json) -> Json:
        """Wait until there is nothing left to press in a message; the message then."""

        async def bare() -> Json | None:
            now = await self.message(message["ts"])
            return None if any(block["type"] == "actions" for block in now["blocks"]) else now

        return dict(await poll(bare, "a message without buttons"))

    async def choose(self, message: Json, action_id: str, value: str, *, user: str = "U0REQUESTER") -> Json:
        """Pick an option of a menu."""
        where = {"channel": message["channel"], "ts": message["ts"], "action_id": action_id, "value": value}
        return await self.do("actions", user=user, **where)

    async def command(self, text: str, *, user: str = "U0REQUESTER", channel: str = "C0DATA") -> Json:
        return await self.do("commands", user=user, channel=channel, command="/banksman", text=text)

    async def fault(self, kind: str, **more: Any) -> None:
        await self.do("faults", kind=kind, **more)

    async def state(self) -> Json:
        async with self._session.get(f"{self.playground.base_url}/playground/state") as response:
            state: Json = await response.json()
            return state

    async def heard(self, text: str = "", *, user: str | None = None) -> list[Json]:
        """What the bot said with this text in it: aloud, or privately to `user`; oldest first."""
        said = [one for one in (await self.state())["messages"] if one["user"] == BOT and text in words(one)]
        return [one for one in said if one["ephemeral_to"] == user]

    async def hears(self, text: str, *, user: str | None = None) -> Json:
        """Wait until the bot says it."""
        found = await poll(lambda: self.heard(text, user=user), f"the bot to say {text!r}")
        return dict(found[0])

    async def cards(self) -> list[Json]:
        return [one for one in await self.heard() if has_button(one, "Details")]

    async def card(self) -> Json:
        """Wait for the only card."""
        found = await poll(self.cards, "a card")
        assert len(found) == 1, [words(one) for one in found]
        return dict(found[0])

    async def views(self, user: str = "U0REQUESTER") -> list[Json]:
        return [one for one in (await self.state())["views"] if one["user"] == user]

    async def submit(self, view: Json, values: Json, *, user: str = "U0REQUESTER") -> Json:
        return await self.do("views", user=user, view_id=view["id"], values=values)

    async def direct(self, user: str = "U0REQUESTER") -> str:
        return str((await self.do("dm", user=user))["channel"])

    async def message(self, ts: str) -> Json:
        return next(one for one in (await self.state())["messages"] if one["ts"] == ts)


class Running:
    """A bot that serves."""

    def __init__(self, bot: Bot, task: "asyncio.Task[None]", stop: asyncio.Event) -> None:
        self.bot = bot
        self._task = task
        self._stop = stop

    async def end(self) -> None:
        """As on SIGTERM."""
        self._stop.set()
        await self._task


class House:
    """One installation: a home directory, a database, a playground, and any number of bots."""

    def __init__(self, home: Path, database_url: str, redis_url: str, playground: Playground) -> None:
        self.home = home
        home.mkdir(exist_ok=True)
        (home / "banksman.yml").write_text(CONFIG)
        self.environ = {
            "BANKSMAN_HOME": str(home),
            "BANKSMAN_CONFIG": str(home / "banksman.yml"),
            "BANKSMAN_DATABASE_URL": database_url,
            "BANKSMAN_REDIS_URL": redis_url,
            "SLACK_BOT_TOKEN": "xoxb-playground",
            "SLACK_APP_TOKEN": "xapp-playground",
            "SLACK_API_URL": playground.api_url,
        }
        self.settings = Settings.from_env(self.environ, cwd=home)
        self.database = Database(database_url)
        self.objects = FileStore(self.settings.artifacts_dir)
        self.ids = Ids(SystemClock())
        self._playground = playground
        self._bots: list[Running] = []

    async def start_bot(self) -> Running:
        """Start one more bot and wait until Slack has its connection."""
        wanted = self._playground.services.socket.count + 1
        stop = asyncio.Event()
        ready: asyncio.Future[Bot] = asyncio.get_running_loop().create_future()

        async def live() -> None:
            async with assembled(self.settings, limits=Limits(channel_interval_s=0.05)) as bot:
                ready.set_result(bot)
                await serve(bot, stop=stop)

        task = asyncio.create_task(live())
        await poll(lambda: ready.done() or task.done(), "the bot to be assembled")
        if task.done():
            await task
        running = Running(await ready, task, stop)
        self._bots.append(running)
        await poll(lambda: self._playground.services.socket.count >= wanted, "the bot's connection")
        return running

    async def close(self) -> None:
        for bot in self._bots:
            await bot.end()
        await self.database.close()

    async def runs(self) -> list[RunRow]:
        """All runs, oldest first."""
        return (await runs.listed(self.database, TENANT))[::-1]

    async def run(self, state: RunState | None = RunState.CONTEXT_LOADED) -> RunRow:
        """Wait for the only run, and for it to be in `state`."""

        async def look() -> list[RunRow]:
            found = await self.runs()
            assert len(found) <= 1, found
            return [row for row in found if state is None or row.run_state is state]

        found: list[RunRow] = await poll(look, f"a run that is {state}")
        return found[0]

    async def change(self, run_id: str, write: Callable[[Draft], None]) -> None:
        """Commit what a worker would: `write` fills a draft of the run as it is now."""
        while True:
            snapshot = await self.snapshot(run_id)
            draft = Draft(snapshot, Actor.system("worker:test"))
            write(draft)
            if isinstance(await self.database.journal.commit(draft.seal(now_ms=SystemClock().wall_ms())), Landed):
                return

    async def open_rows(self) -> list[Any]:
        """What is still to be said."""
        async with self.database.read() as connection:
            statement = select(outbox).where(outbox.c.sent_at.is_(None), outbox.c.dead_at.is_(None))
            return list((await connection.execute(statement)).all())

    async def all_said(self) -> None:
        """Wait until there is nothing left to say."""

        async def nothing_left() -> bool:
            return not await self.open_rows()

        await poll(nothing_left, "the outbox to be empty")

    async def nearly_spends(self, run_id: str) -> None:
        """The run has used most of its money, and both of its steps; its thread is told."""

        def nearly(draft: Draft) -> None:
            draft.move(RunState.PLANNING)
            draft.run |= {"budget_micro_usd": 1_000_000, "cost_micro_usd": 850_000, "steps": 2}
            draft.run["allowance_json"] = Allowance({"steps": 2}, {"money": 1_000_000}, "steps").to_json()
            draft.offer("slack.budget", f"nearly-spent:{run_id}:money=1000000", {})

        await self.change(run_id, nearly)

    async def snapshot(self, run_id: str) -> Snapshot:
        found = await runs.snapshot(self.database, TENANT, run_id)
        assert found is not None
        return found

    async def works(self, run_id: str, title: str = "Think") -> None:
        """The run gets a plan and works on its first step."""

        def write(draft: Draft) -> None:
            if draft.state is RunState.CONTEXT_LOADED:
                draft.move(RunState.PLANNING)
            else:
                draft.fact("step")
            draft.run["plan_json"] = dumps([_step(title)])

        await self.change(run_id, write)

    async def blocks(self, run_id: str) -> None:
        await self.change(run_id, lambda draft: draft.block(BlockedReason.DEPENDENCY_DOWN, "The moon is away."))

    async def completes(self, run_id: str, *files: str) -> None:
        """The run ends well and leaves files, all in one change, as when its last step ends it."""
        stored = await self.objects.put(_once(CSV), cap_bytes=1000)

        def write(draft: Draft) -> None:
            now_ms = SystemClock().wall_ms()
            draft.insert(
                "blobs", {"tenant": TENANT, "sha256": stored.sha256, "size": stored.size, "created_at": now_ms}
            )
            if draft.state is RunState.CONTEXT_LOADED:
                draft.move(RunState.PLANNING)
            draft.end(RunState.COMPLETED, "All done.", now_ms=now_ms)
            for name in files:
                artifact = self.ids.artifact()
                row: Json = {"tenant": TENANT, "id": artifact, "run_id": run_id, "role": "output", "name": name}
                row |= {"sha256": stored.sha256, "size": stored.size, "media_type": "text/csv", "created_at": now_ms}
                draft.insert("artifacts", row)
                draft.deliver("slack.file", f"file:{artifact}", {"artifact_id": artifact})

        await self.change(run_id, write)


def _step(title: str) -> Json:
    step = PlanStep("look", title, "running")
    return {name: getattr(step, name) for name in step.__dataclass_fields__}


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


@asynccontextmanager
async def opened_playground(data: Path, **options: Any) -> AsyncIterator[Playground]:
    """A playground without rate limits and with quick retries, unless asked for otherwise."""
    quick: Json = {"limits": False, "retry_delays_s": (0.0, 0.3, 0.3, 5.0), "trigger_ttl_s": 60.0}
    playground = Playground(data, **(quick | options))
    await playground.start()
    try:
        yield playground
    finally:
        await playground.stop()
