"""Repositories behind https: one address, one secret, no redirects, and an honest word on what became of a push."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.secrets import SecretRef, SystemSecrets
from core.tools.git.fetching import look
from core.tools.reach import Credential, Reach
from tests.integration.tools.git.places import Place, git
from tests.integration.tools.git.server import GitServer
from tests.integration.tools.http import certificate

PASSWORD = "a-long-password-of-the-bot"


@pytest.fixture(scope="session")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate.write(tmp_path_factory.mktemp("tls"), "localhost", "127.0.0.1", "shop.invalid")


@pytest.fixture
def server(place: Place, trusted: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[GitServer]:
    git(place.shop, "config", "http.receivepack", "true")
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted[0]))
    started = GitServer(place.shop.parent, trusted)
    yield started
    started.close()


@pytest.fixture
def there(place: Place, server: GitServer) -> Callable[..., Place]:
    """The place with tools that may reach the server."""

    def reaching(password: str = "") -> Place:
        outside = replace(
            place.context.outside,
            reach=Reach(
                (f"localhost:{server.port}",), (Credential("localhost", "BOT", user="bot"),) if password else ()
            ),
            secret_refs={"BOT": SecretRef("BOT", "env", "BOT")},
            secrets=SystemSecrets({"BOT": password}),
        )
        return replace(place, context=replace(place.context, outside=outside))

    return reaching


def url(server: GitServer, name: str = "shop.git") -> str:
    return f"https://localhost:{server.port}/{name}"


async def test_a_repository_is_read_and_pushed_with_the_operators_secret(
    server: GitServer, there: Callable[..., Place]
) -> None:
    server.password = PASSWORD
    place = there(PASSWORD)
    place.cloned()
    read = await place.read(url=url(server), path="again")
    assert ("succeeded", url(server)) == (read.status, read.out["url"])
    prepared = await place.prepare(url=url(server))
    assert ({"ref": "BOT", "host": "localhost"},) == prepared.creds
    assert (f"localhost:{server.port}",) == prepared.network
    assert "succeeded" == (await place.push(prepared)).status
    assert prepared.args["commit"] == place.branches()["fix"]
    assert PASSWORD not in str(server.seen) + (place.workspace / "again" / ".git" / "config").read_text()
    undone = await place.undo(url=url(server), branch="fix", commit=prepared.args["commit"])
    assert "succeeded" == undone.status
    assert "fix" not in place.branches()


@pytest.mark.parametrize("password", ["", "a-wrong-password"])
async def test_who_is_not_let_in_is_told_what_is_missing(
    server: GitServer, there: Callable[..., Place], password: str
) -> None:
    server.password = PASSWORD
    result = await there(password).read(url=url(server))
    assert "failed" == result.status
    assert "the operator can give the tool `credentials`" in result.error


async def test_a_repository_that_is_not_there_and_one_that_moved(
    server: GitServer, there: Callable[..., Place]
) -> None:
    missing = await there().read(url=url(server, "none.git"))
    assert ("failed", "there is no repository at that address, or not for us to see") == (missing.status, missing.error)
    server.fault = "redirect"
    server.seen.clear()
    moved = await there().read(url=url(server))
    assert "failed" == moved.status
    assert "at another address now" in moved.error
    assert not any("elsewhere" in request for request in server.seen)


async def test_a_server_that_is_not_trusted_or_not_there_is_said(
    server: GitServer, there: Callable[..., Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, address = there(), url(server)
    monkeypatch.delenv("SSL_CERT_FILE")
    untrusted = await place.read(url=address)
    assert "failed" == untrusted.status
    assert "certificate is not one that this machine trusts" in untrusted.error


async def test_a_server_that_is_away_is_tried_again_later(
    place: Place, there: Callable[..., Place], trusted: tuple[Path, Path]
) -> None:
    gone = GitServer(place.shop.parent, trusted)
    gone.close()
    outside = replace(place.context.outside, reach=Reach((f"127.0.0.1:{gone.port}",)))
    place = replace(place, context=replace(place.context, outside=outside))
    for address in (f"https://127.0.0.1:{gone.port}/shop.git", f"ssh://git@127.0.0.1:{gone.port}/shop.git"):
        result = await place.read(url=address)
        assert "failed-safe" == result.status
        assert "does not answer" in result.error


@pytest.mark.parametrize(
    ("fault", "status", "arrived"),
    [("error", "failed", False), ("cut-before", "unknown", False), ("cut-after", "unknown", True)],
)
async def test_a_push_whose_answer_is_lost_is_unknown_until_somebody_looks(
    server: GitServer, there: Callable[..., Place], fault: str, status: str, arrived: bool
) -> None:
    place = there()
    place.cloned()
    prepared = await place.prepare(url=url(server))
    server.fault = fault  # type: ignore[assignment]
    assert status == (await place.push(prepared)).status
    assert arrived == ("fix" in place.branches())
    server.fault = ""
    assert ("happened" if arrived else "not-happened") == (await place.probe(prepared)).found


async def test_a_push_that_the_other_side_would_not_take_is_not_asked_about(
    server: GitServer, there: Callable[..., Place]
) -> None:
    place = there()
    place.cloned()
    git(place.shop, "config", "http.receivepack", "false")
    with pytest.raises(Exception, match="does not let us in"):
        await place.prepare(url=url(server))


def test_a_name_leads_to_the_address_that_was_checked(
    server: GitServer, trusted: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    route = {
        "scheme": "https",
        "url": f"https://shop.invalid:{server.port}/shop.git",
        "host": "shop.invalid",
        "port": server.port,
        "addresses": ["127.0.0.1"],
        "ca": str(trusted[0]),
    }
    answer = look({"route": route, "branch": "other"}, {}, "", 10)
    assert ("succeeded", "main") == (answer["status"], answer["out"]["head"])
    assert answer["out"]["taken"] == answer["out"]["base"]
