"""Bytes that nothing names go after a day, and after another day for good; nothing that something names ever does.

Writers that store the same bytes again at that very moment are let go beside the collector, at each of its steps and
from a barrier.
"""

import asyncio
import hashlib
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from core.artifacts import FileStore
from core.ids import TENANT
from core.record.changes import Insert
from core.runs import steps
from core.runs.collecting import AGE_S, Collected, Collector, keep
from core.runs.stored import Stored
from core.store.session import Database
from tests.factories import IDS, NOW_MS, FixedClock, an_executing_run, ended, landed, stamp
from tests.invariants import broken

ROUNDS = int(os.environ.get("ROUNDS", "40"))
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
DAY_MS = int(AGE_S * 1000)
BYTES = b"day,visits\n"
SHA = hashlib.sha256(BYTES).hexdigest()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "artifacts"


@pytest.fixture
def objects(root: Path) -> FileStore:
    return FileStore(root)


@pytest.fixture
def collector(database: Database, objects: FileStore) -> Collector:
    return Collector(database, objects, a_day_later())


def a_day_later() -> FixedClock:
    clock = FixedClock()
    clock.advance(DAY_MS + 1)
    return clock


def path_of(root: Path, sha256: str = SHA) -> Path:
    return root / "sha256" / sha256[:2] / sha256[2:]


def age(path: Path, seconds: float = AGE_S + 1) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


async def chunks(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def put(objects: FileStore, data: bytes = BYTES) -> str:
    return (await objects.put(chunks(data), cap_bytes=10_000)).sha256


def blob(sha256: str = SHA, *, size: int = len(BYTES), created_at: int = NOW_MS, tenant: str = TENANT) -> Insert:
    return Insert("blobs", {"tenant": tenant, "sha256": sha256, "size": size, "created_at": created_at})


async def an_orphan(
    database: Database, objects: FileStore, root: Path, data: bytes = BYTES, *, row: bool = True
) -> None:
    """Bytes that were stored a day ago for a change that never landed."""
    sha256 = await put(objects, data)
    age(path_of(root, sha256))
    if row:
        await database.journal.record([blob(sha256, size=len(data))])


async def kept_by_a_run(
    database: Database, objects: FileStore, data: bytes = BYTES, *, now_ms: int = NOW_MS + DAY_MS
) -> str:
    """Store the bytes and land the end of a call that names them, as a worker does; the run."""
    run = await an_executing_run(database)
    sha256 = await put(objects, data)
    file = Stored(IDS.artifact(), "visits.csv", sha256, len(data), "text/csv")
    change = steps.end_call(run, run.calls[0], ended(stored=(file,)), stamp(now_ms))
    await landed(database, change)
    await keep(objects, change)
    return run.run.id


async def rows(database: Database) -> int:
    async with database.read() as connection:
        return int((await connection.execute(text("SELECT count(*) FROM blobs"))).scalar_one())


@pytest.mark.parametrize("row", [True, False], ids=["its change was refused", "its writer died at CP17"])
async def test_an_old_file_that_nothing_names_goes_to_the_trash_and_a_day_later_for_good(
    database: Database, objects: FileStore, root: Path, collector: Collector, row: bool
) -> None:
    await an_orphan(database, objects, root, row=row)

    assert Collected(rows=int(row), files=1) == await collector.tick()
    assert (False, 0) == (await objects.exists(SHA), await rows(database))
    assert Collected() == await collector.tick(), "again changes nothing"
    assert [SHA] == await objects.trashed("", limit=10)

    age(root / "trash" / SHA)
    assert Collected(deleted=1) == await collector.tick()
    assert [] == [path for path in root.rglob("*") if path.is_file()]


async def test_what_is_not_a_day_old_stays(
    database: Database, objects: FileStore, root: Path, collector: Collector
) -> None:
    await an_orphan(database, objects, root)
    await put(objects)

    assert Collected(rows=1) == await collector.tick(), "only the row is old"
    assert await objects.exists(SHA), "somebody stored it a moment ago"

    fresh = Collector(database, objects, FixedClock())
    await an_orphan(database, objects, root)
    assert Collected() == await fresh.tick(), "its row was written a moment ago"
    assert await objects.exists(SHA)


async def test_what_a_run_names_stays_however_old_it_is(
    database: Database, objects: FileStore, root: Path, collector: Collector
) -> None:
    await kept_by_a_run(database, objects, now_ms=NOW_MS)
    age(path_of(root), 400 * AGE_S)

    assert Collected() == await collector.tick()
    assert BYTES == await objects.read(SHA, 100)
    assert 1 == await rows(database)


async def test_bytes_that_two_tenants_stored_stay_while_one_of_them_has_a_row(
    database: Database, objects: FileStore, root: Path, collector: Collector
) -> None:
    await an_orphan(database, objects, root)
    await database.journal.record([blob(tenant="other", created_at=NOW_MS + DAY_MS)])

    assert Collected(rows=1) == await collector.tick()
    assert await objects.exists(SHA)


async def test_many_are_collected_some_at_a_time_and_none_is_left_out(
    database: Database, objects: FileStore, root: Path, collector: Collector
) -> None:
    stored = [await put(objects, b"%d" % n) for n in range(450)]
    for sha256 in stored:
        age(path_of(root, sha256))

    found = [(await collector.tick()).files for _ in range(4)]

    assert [200, 200, 50, 0] == found
    for sha256 in stored:
        age(root / "trash" / sha256)
    assert [200, 200, 50, 0] == [(await collector.tick()).deleted for _ in range(4)]


class Watched(FileStore):
    """A store that lets a test do something right before and right after a file goes to the trash."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.before: Callable[[], Awaitable[object]] | None = None
        self.after: Callable[[], Awaitable[object]] | None = None

    async def trash(self, sha256: str, *, older_than_s: float = 0) -> bool:
        if self.before is not None:
            await self.before()
        done = await super().trash(sha256, older_than_s=older_than_s)
        if self.after is not None:
            await self.after()
        return done


@pytest.mark.parametrize("row", [True, False], ids=["with a row", "without"])
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_writer_between_two_steps_of_the_collector_keeps_its_file(
    database: Database, root: Path, moment: str, row: bool
) -> None:
    objects = Watched(root)
    await an_orphan(database, objects, root, row=row)
    setattr(objects, moment, lambda: kept_by_a_run(database, objects))

    await Collector(database, objects, a_day_later()).tick()

    assert BYTES == await objects.read(SHA, 100)
    assert [] == await broken(database)


async def test_a_row_that_lands_between_file_and_trash_has_its_file_back_in_the_same_pass(
    database: Database, root: Path
) -> None:
    """The writer had stored its file long before, as far as the collector can see: a clock was set forward."""
    objects = Watched(root)
    await an_orphan(database, objects, root, row=False)
    objects.before = lambda: database.journal.record([blob(created_at=NOW_MS + DAY_MS)])

    assert Collected(files=1, restored=1) == await Collector(database, objects, a_day_later()).tick()
    assert BYTES == await objects.read(SHA, 100)


async def test_a_file_in_the_trash_comes_back_when_a_row_names_it_though_its_writer_died(
    database: Database, objects: FileStore, root: Path, collector: Collector
) -> None:
    await kept_by_a_run(database, objects)
    age(path_of(root))
    await objects.trash(SHA)
    age(root / "trash" / SHA)

    assert Collected(restored=1) == await collector.tick(), "it is old enough to be deleted, and is not"
    assert BYTES == await objects.read(SHA, 100)


async def test_the_writer_itself_takes_its_file_out_of_the_trash(
    database: Database, objects: FileStore, root: Path
) -> None:
    run = await an_executing_run(database)
    await put(objects)
    file = Stored(IDS.artifact(), "visits.csv", SHA, len(BYTES), "text/csv")
    change = steps.end_call(run, run.calls[0], ended(stored=(file,)), stamp())
    await landed(database, change)
    await objects.trash(SHA)

    await keep(objects, change)

    assert BYTES == await objects.read(SHA, 100)


@pytest.mark.timeout(300 + ROUNDS)
async def test_a_writer_and_the_collector_at_the_same_moment_lose_nothing(
    database: Database, objects: FileStore, root: Path
) -> None:
    print(f"seed {SEED}")
    rng, found, later_s = random.Random(SEED), Counter[str](), 0.01
    for number in range(ROUNDS):
        data, barrier = b"%d" % number, asyncio.Barrier(2)
        await an_orphan(database, objects, root, data)

        async def collect(barrier: asyncio.Barrier = barrier, later_s: float = later_s) -> Collected:
            collector = Collector(database, objects, a_day_later())
            await barrier.wait()
            await asyncio.sleep(max(0.0, later_s + rng.uniform(-0.002, 0.002)))
            return await collector.tick()

        async def write(data: bytes = data, barrier: asyncio.Barrier = barrier) -> str:
            await barrier.wait()
            return await kept_by_a_run(database, objects, data)

        collected, run_id = await asyncio.gather(collect(), write())

        sha256 = hashlib.sha256(data).hexdigest()
        assert data == await objects.read(sha256, 100), f"run {run_id} lost its file to {collected}"
        found["collected" if collected.rows else "kept"] += 1
        # Towards whoever was first less often, whatever the machine is busy with.
        later_s = later_s * 1.5 + 0.002 if collected.rows else later_s / 1.5
    assert [] == await broken(database)
    assert min(found["collected"], found["kept"]) >= max(1, ROUNDS // 20), found
