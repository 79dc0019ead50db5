"""The test process reaches this machine and nothing else."""

import asyncio
import contextlib
import socket

import pytest

from tests.network import NetworkClosed, NetworkGuard

ELSEWHERE = "192.0.2.1"  # reserved for documentation: nobody is there


def test_connecting_elsewhere_raises(closed_network: NetworkGuard) -> None:
    with closed_network.attempts_expected(), socket.socket() as client, pytest.raises(NetworkClosed, match=ELSEWHERE):
        client.connect((ELSEWHERE, 80))


async def test_asyncio_connecting_elsewhere_raises(closed_network: NetworkGuard) -> None:
    with closed_network.attempts_expected(), pytest.raises(NetworkClosed, match=ELSEWHERE):
        await asyncio.open_connection(ELSEWHERE, 80)


def test_a_datagram_to_elsewhere_raises(closed_network: NetworkGuard) -> None:
    with (
        closed_network.attempts_expected(),
        socket.socket(type=socket.SOCK_DGRAM) as client,
        pytest.raises(NetworkClosed),
    ):
        client.sendto(b"?", (ELSEWHERE, 53))


def test_looking_up_a_name_elsewhere_raises(closed_network: NetworkGuard) -> None:
    with closed_network.attempts_expected(), pytest.raises(NetworkClosed, match=r"example\.com"):
        socket.getaddrinfo("example.com", 443)


def test_a_swallowed_refusal_is_remembered(closed_network: NetworkGuard) -> None:
    with closed_network.attempts_expected(), socket.socket() as client:
        with contextlib.suppress(Exception):
            client.connect((ELSEWHERE, 80))
        assert [f"socket.connect {ELSEWHERE!r}"] == closed_network.attempts


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.9.9.9"])
def test_this_machine_stays_reachable(host: str) -> None:
    with socket.create_server(("", 0)) as server, socket.create_connection((host, server.getsockname()[1]), timeout=5):
        pass
