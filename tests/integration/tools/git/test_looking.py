"""The last look before an effect, and what a child that ends early tells."""

import asyncio
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from core.ids import TENANT
from core.principals import Principal
from core.runs.commands.kill import kill
from core.store.lane import Target
from core.store.last_look import WITHIN_S, still_ours
from core.store.session import Database
from core.tools.effects import run_effect
from tests.databases import sqlite_url
from tests.factories import a_claimed_run, a_created_run, a_worker
from tests.integration.tools.git.places import Place


async def test_a_run_is_ours_until_it_is_taken_over_or_stopped(database: Database, database_url: str) -> None:
    looked = partial(_looked, database_url)
    run = (await a_created_run(database)).run
    assert await looked(run.id, 0)
    assert not await looked("run_of_nobody", 0)
    await a_worker(database)
    claimed = (await a_claimed_run(database)).run
    assert await looked(claimed.id, claimed.fence)
    assert not await looked(claimed.id, claimed.fence - 1)

    stop = partial(kill, run_id=run.id, by=Principal("ana"), reason="", now_ms=1)
    await database.journal.command(TENANT, Target(run_id=run.id), stop)
    assert not await looked(run.id, 0)
    assert not await looked(run.id, 1)


async def _looked(database_url: str, run_id: str, fence: int) -> bool:
    return await asyncio.to_thread(still_ours, database_url, TENANT, run_id, fence)


@pytest.mark.parametrize(
    "url", ["sqlite+aiosqlite:////nonexistent/x.db", "postgresql+asyncpg://a:b@127.0.0.1:1/x", "mysql://x/y", ""]
)
def test_a_database_that_does_not_answer_is_an_error(url: str) -> None:
    began_s = time.monotonic()
    with pytest.raises(Exception, match=r".+"):
        still_ours(url, TENANT, "run_1", 0)
    assert time.monotonic() - began_s < WITHIN_S + 3


def test_looking_loads_neither_sqlalchemy_nor_alembic() -> None:
    code = "import sys, core.store.last_look as _; print([m for m in ('sqlalchemy', 'alembic') if m in sys.modules])"
    root = Path(__file__).resolve().parents[4]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert "[]" == done.stdout.strip()


def taken_over(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE runs SET fence = fence + 1")


def stopped(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE runs SET killed_at = 1")


def lost(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("happens", [taken_over, stopped, lost])
async def test_nothing_is_pushed_once_the_run_is_no_longer_ours(place: Place, happens: object, tmp_path: Path) -> None:
    place.cloned()
    prepared = await place.prepare()
    before = place.branches()
    happens(tmp_path / "banksman.db")  # type: ignore[operator]
    result = await place.push(prepared)
    assert "failed-safe" == result.status
    assert before == place.branches()


async def test_a_child_that_dies_after_its_look_leaves_it_unknown(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.cloned()
    prepared = await place.prepare()
    monkeypatch.setenv("CHAOS", "CP14")
    result = await place.push(prepared)
    assert ("unknown", "it ended without saying how (while it was under way)") == (result.status, result.error)
    monkeypatch.delenv("CHAOS")
    assert "not-happened" == (await place.probe(prepared)).found


async def test_a_child_that_dies_before_its_look_has_done_nothing(place: Place) -> None:
    result = await run_effect(place.attempt(), "no_such_effect", {})
    assert "failed-safe" == result.status
    stopped_before = place.attempt()
    stopped_before.kill.set()
    result = await run_effect(stopped_before, "git_look", {})
    assert ("failed-safe", "it was stopped (before anything was sent)") == (result.status, result.error)


async def test_a_push_without_time_is_not_begun(place: Place) -> None:
    place.cloned()
    prepared = await place.prepare()
    result = await place.push(prepared, timeout_s=4.0)
    assert "failed-safe" == result.status
    assert "fix" not in place.branches()


async def test_an_address_of_sqlite_may_have_options(place: Place, tmp_path: Path) -> None:
    label = place.context.label
    url = sqlite_url(tmp_path / "banksman.db") + "?timeout=3"
    assert still_ours(url, label.tenant, label.run_id, label.fence)
