"""Houses for whole-process tests: one per database for the session, and new ones for tests that break theirs.

A test that could have either database has one of them, the same each time; `make test DATABASES=both` has both.
"""

import itertools
import os
import shutil
import zlib
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tests.acceptance.house import House, homes
from tests.acceptance.team import Team
from tests.servers import PostgresServer

_DATABASES = ("sqlite", "postgres")

_standing: list[House] = []
_shared: dict[str, House] = {}
"""Houses that several tests use, by database."""
_numbers = itertools.count(1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out each test's other database. What depends on the database is held on both where no process is needed."""
    if os.environ.get("DATABASES") == "both":
        return
    of: dict[str, dict[str, pytest.Item]] = {}
    for item in items:
        if Path(__file__).parent in item.path.parents:
            for name in _DATABASES:
                if name in getattr(getattr(item, "callspec", None), "params", {}).values():
                    of.setdefault(item.nodeid.replace(name, ""), {})[name] = item
    left_out = [
        found[_DATABASES[zlib.crc32(test.encode()) % 2]] for test, found in of.items() if len(found) == len(_DATABASES)
    ]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put what the processes wrote under a failed test."""
    report = yield
    if report.failed:
        report.sections += [(f"the house in {house.home}", house.logs()) for house in _standing]
    return report


class Builder(Protocol):
    """Starts a new house."""

    def __call__(self, database: str = "sqlite", /, *, home: Path | None = None, **settings: str) -> House:
        """Start it, in a home that exists if one is given."""
        ...


def _built(
    postgres: Callable[[], PostgresServer], database: str, settings: dict[str, str], home: Path | None = None
) -> House:
    if database == "postgres":
        name = f"house_{next(_numbers)}"
        settings = {"BANKSMAN_DATABASE_URL": postgres().create_database(name), **settings}
    house = House.start(home or homes("house"), **settings)
    _standing.append(house)
    return house


def _torn_down(house: House) -> None:
    try:
        house.stop()
    finally:
        _standing.remove(house)
        shutil.rmtree(house.home, ignore_errors=True)


@pytest.fixture
def new_house(postgres_server: PostgresServer) -> Iterator[Builder]:
    """Starts houses of this test alone; each is stopped afterwards, and nothing of it may be left."""
    built: list[House] = []

    def build(database: str = "sqlite", /, *, home: Path | None = None, **settings: str) -> House:
        built.append(_built(lambda: postgres_server, database, settings, home))
        return built[-1]

    yield build
    for house in built:
        _torn_down(house)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> Generator[None, None, None]:
    """Take the shared houses down as soon as no test here comes next: even idle they take time from the others."""
    yield
    if nextitem is None or Path(__file__).parent not in nextitem.path.parents:
        while _shared:
            _torn_down(_shared.popitem()[1])


@pytest.fixture(scope="session")
def shared_houses(postgres_server: PostgresServer) -> Callable[[str], House]:
    """One house per database, started when first asked for."""

    def find(database: str) -> House:
        if database not in _shared:
            _shared[database] = _built(lambda: postgres_server, database, {})
        return _shared[database]

    return find


@pytest.fixture(params=["sqlite", "postgres"])
def house(request: pytest.FixtureRequest, shared_houses: Callable[[str], House]) -> House:
    """A house that other tests use too, once on each database."""
    return shared_houses(request.param)


@pytest.fixture
def sqlite_house(shared_houses: Callable[[str], House]) -> House:
    """A house that other tests use too."""
    return shared_houses("sqlite")


@pytest.fixture
async def team(request: pytest.FixtureRequest) -> AsyncIterator[Team]:
    """The people of the house the test uses."""
    name = next(name for name in ("house", "sqlite_house") if name in request.fixturenames)
    async with Team(request.getfixturevalue(name).url) as people:
        yield people
