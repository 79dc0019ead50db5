"""The rule behind BANKSMAN_PORT."""

import errno
import socket
from collections.abc import Iterator

import pytest

from bot.cli import ports
from bot.cli.ports import claim_port
from core.errors import ConfigError


@pytest.fixture
def taken() -> Iterator[int]:
    """A port some other program listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def free() -> int:
    """A port nobody had a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.mark.parametrize("is_set", [True, False])
def test_a_free_port_is_the_one_opened_and_on_loopback_only(free: int, is_set: bool) -> None:
    with claim_port(free, is_set=is_set) as claimed:
        assert ("127.0.0.1", free) == claimed.getsockname()


def test_unset_takes_the_next_free_port_when_the_usual_one_is_busy(taken: int) -> None:
    with claim_port(taken, is_set=False) as claimed:
        assert taken < claimed.getsockname()[1] <= taken + ports.SEARCH_WIDTH


def test_unset_takes_any_port_when_all_near_the_usual_one_are_busy(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "SEARCH_WIDTH", 1)
    with claim_port(taken, is_set=False) as claimed:
        assert taken != claimed.getsockname()[1]


def test_a_named_busy_port_is_refused_with_the_remedy(taken: int) -> None:
    with pytest.raises(ConfigError, match=rf"BANKSMAN_PORT is {taken}, and another program .* unset it"):
        claim_port(taken, is_set=True)


def test_a_port_only_root_may_open_is_refused_with_the_remedy(free: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", denied)
    with pytest.raises(ConfigError, match="Set BANKSMAN_PORT to 1024 or above"):
        claim_port(free, is_set=True)


def test_two_claims_never_get_the_same_port(free: int) -> None:
    with claim_port(free, is_set=False) as first, claim_port(free, is_set=False) as second:
        assert first.getsockname()[1] != second.getsockname()[1]


def test_the_claimed_socket_already_answers(free: int) -> None:
    with claim_port(free, is_set=True) as claimed, socket.create_connection(claimed.getsockname(), timeout=5):
        pass
