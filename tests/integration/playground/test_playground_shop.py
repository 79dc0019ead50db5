"""The playground's shop: an incident that a flag ends, and a repository that is the same everywhere."""

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.playground.shop import Shop
from bot.playground.shop_repository import make_repository
from tests.ports import free_port

FLAG = "flags/new-basket"


class Visitor:
    """Somebody who reads the shop and turns its flag."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url, self.http = url, http

    async def read(self, path: str) -> Any:
        async with self.http.get(f"{self.url}/{path}") as answer:
            assert 200 == answer.status
            return await answer.json() if answer.content_type == "application/json" else await answer.text()

    async def turn(self, body: object, **headers: str) -> tuple[int, Any]:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.http.put(f"{self.url}/{FLAG}", json=body, headers=given) as answer:
            return answer.status, await answer.json()


@pytest.fixture
async def visitor(tmp_path: Path) -> AsyncIterator[Visitor]:
    shop = Shop(tmp_path / "shop")
    url = await shop.start(0)
    async with aiohttp.ClientSession() as http:
        yield Visitor(url, http)
    await shop.stop()


async def test_turning_the_flag_off_ends_the_incident_and_is_in_the_log(visitor: Visitor) -> None:
    before = await visitor.read("metrics/checkout")

    status, flag = await visitor.turn({"on": False, "reason": "orders\nfail"})

    after = await visitor.read("metrics/checkout")
    assert ("23.3", 200, False, "0.2") == (before["failed_percent"], status, flag["on"], after["failed_percent"])
    assert flag == await visitor.read(FLAG)
    assert (await visitor.read("logs/checkout")).endswith("new-basket on=false by=operator reason=orders fail\n")
    await visitor.turn({"on": True})
    assert before == await visitor.read("metrics/checkout")


async def test_a_change_with_a_key_that_is_known_is_made_once(visitor: Visitor) -> None:
    first = await visitor.turn({"on": False}, Idempotency_Key="k1")
    await visitor.turn({"on": True}, Idempotency_Key="k2")

    again = await visitor.turn({"on": False}, Idempotency_Key="k1")

    assert first == again
    assert (await visitor.read(FLAG))["on"]


@pytest.mark.parametrize(
    "body", [{}, {"on": "no"}, {"on": 0}, [], {"on": True, "reason": 7}, {"on": True, "reason": "x" * 2001}]
)
async def test_what_is_no_change_is_refused_and_changes_nothing(visitor: Visitor, body: object) -> None:
    log = await visitor.read("logs/checkout")

    status, _ = await visitor.turn(body)

    assert 400 == status
    assert log == await visitor.read("logs/checkout")


async def test_a_foreign_page_cannot_turn_the_flag(visitor: Visitor) -> None:
    status, _ = await visitor.turn({"on": False}, Origin="http://evil.example")

    assert 403 == status
    assert (await visitor.read(FLAG))["on"]


async def test_the_catalogue_names_a_repository_with_a_test_that_fails(visitor: Visitor, tmp_path: Path) -> None:
    repository = Path((await visitor.read(""))["repository"])

    assert [tmp_path / "shop" / "shop.git"] == [repository]
    subprocess.run(["git", "clone", "-q", repository, tmp_path / "clone"], check=True)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", "."],
        cwd=tmp_path / "clone",
        capture_output=True,
        text=True,
    )
    assert "2 passed" in done.stdout and "1 failed" in done.stdout, done.stdout
    assert "ZeroDivisionError" in done.stdout


def test_the_repository_has_the_same_commits_everywhere_and_keeps_what_is_pushed(tmp_path: Path) -> None:
    def head(repository: Path, ref: str = "main") -> str:
        argv = ["git", "-C", str(repository), "rev-parse", ref]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    one, other = make_repository(tmp_path / "one"), make_repository(tmp_path / "other")
    subprocess.run(["git", "-C", str(one), "branch", "fix/it", "main"], check=True)

    assert head(one) == head(other)
    assert one == make_repository(tmp_path / "one")
    assert head(one) == head(one, "fix/it")


async def test_a_team_whose_shop_has_no_port_is_a_team_all_the_same(visitor: Visitor, tmp_path: Path) -> None:
    taken = visitor.url.rsplit(":", 1)[1]
    argv = [sys.executable, "-m", "bot.playground", "--data", str(tmp_path / "team"), "--port", str(free_port())]
    with subprocess.Popen([*argv, "--shop-port", taken], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        first = process.stdout.readline()
        process.terminate()
        said = process.stderr.read().decode()

    assert first.startswith(b"Playground is ready: ")
    assert said.startswith("The shop stays closed: ")
