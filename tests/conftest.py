"""What every test gets: real servers, a closed network, an environment without our settings, no quiet skips.

Servers start once per test process, before the first test's clock runs, and only when a collected test asks for them.
The seed of the random order is in pytest's header; `make test ARGS="--randomly-seed=N"` repeats an order.
"""

import itertools
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import redis
from hypothesis import settings

from bot.cli.embedded import EmbeddedRedis
from tests import skips
from tests.network import NetworkGuard
from tests.servers import PostgresServer

ACCEPTANCE_TIMEOUT_S = 600
"""Whole processes and a browser on two cores."""

_LONGEST = ("test_every_point.py", "test_kills.py", "test_handing_over.py", "test_deaths.py")
"""Files of minutes each; a file is one process' work."""

_OUR_SETTINGS = ("BANKSMAN_", "SLACK_")
_KEYS = ("ANTHROPIC_", "AWS_", "GEMINI_", "GOOGLE_", "OPENAI_")
"""What the vendors' libraries look for by themselves."""
_NO_AWS = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
"""Nothing of this machine is AWS's."""

_GUARD = NetworkGuard()
_redis = pytest.StashKey[tuple[EmbeddedRedis, "TemporaryDirectory[str]"]]()
_postgres = pytest.StashKey[PostgresServer]()
_numbers = itertools.count(1)


def pytest_configure() -> None:
    """Forget a developer's own settings and tokens, and let a slow machine be slow: no property test has a deadline."""
    for name in [name for name in os.environ if name.startswith(_OUR_SETTINGS + _KEYS)]:
        del os.environ[name]
    os.environ.update(_NO_AWS)
    settings.register_profile("banksman", deadline=None, print_blob=True)
    settings.load_profile("banksman")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # After the shuffle: what lasts longest comes first, for at the end there would be nothing left to do beside it.
    items.sort(key=lambda item: item.path.name not in _LONGEST)
    acceptance = Path(__file__).parent / "acceptance"
    for item in items:
        if acceptance in item.path.parents and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(ACCEPTANCE_TIMEOUT_S))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start what the collected tests need outside of any test's time limit."""
    if session.config.option.collectonly or _is_controller(session.config):
        return
    asked = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    if "redis_server" in asked:
        _redis_of(session.config)
    if "postgres_server" in asked:
        _postgres_of(session.config)


def pytest_unconfigure(config: pytest.Config) -> None:
    if (running := config.stash.get(_redis, None)) is not None:
        running[0].stop()
        running[1].cleanup()
    if (server := config.stash.get(_postgres, None)) is not None:
        server.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that skips for a reason not in `tests/skips.py`."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not skips.is_allowed(reason):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} skipped itself: {reason!r} is not a reason in tests/skips.py"
    return report


@pytest.fixture(autouse=True)
def closed_network() -> Iterator[NetworkGuard]:
    """No test leaves this machine, not even through code that swallows the refusal."""
    _GUARD.attempts.clear()
    yield _GUARD
    assert [] == _GUARD.attempts, "the test tried to leave this machine"


@pytest.fixture(scope="session")
def redis_server(pytestconfig: pytest.Config) -> EmbeddedRedis:
    """This test process's own Redis."""
    return _redis_of(pytestconfig)


@pytest.fixture
def redis_url(redis_server: EmbeddedRedis) -> str:
    """A real Redis with nothing in it."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> PostgresServer:
    """This test process's own PostgreSQL; databases are made in it by name."""
    return _postgres_of(pytestconfig)


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> str | None:
    """The database that `postgres_url` copies; `None` = an empty one. Overridden where a schema is wanted."""
    return None


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, postgres_template: str | None) -> Iterator[str]:
    """The address of a database of this test alone."""
    name = f"test_{next(_numbers)}"
    yield postgres_server.create_database(name, postgres_template)
    postgres_server.drop(name)


def _is_controller(config: pytest.Config) -> bool:
    """Whether this process only hands tests to others."""
    return bool(getattr(config.option, "numprocesses", None)) and not hasattr(config, "workerinput")


def _redis_of(config: pytest.Config) -> EmbeddedRedis:
    if _redis not in config.stash:
        directory = TemporaryDirectory(prefix="banksman-redis-")
        config.stash[_redis] = (EmbeddedRedis.start(Path(directory.name)), directory)
    return config.stash[_redis][0]


def _postgres_of(config: pytest.Config) -> PostgresServer:
    if _postgres not in config.stash:
        config.stash[_postgres] = PostgresServer.start()
    return config.stash[_postgres]
