"""Probes reach their collector, whichever process or thread sends them."""

import asyncio
import os
import time

import pytest

from bench import probe as probing
from bench.probe import VARIABLE, Collector, probe


@pytest.fixture(autouse=True)
def no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


async def test_a_probe_sent_before_or_after_asking_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with Collector() as collector:
        monkeypatch.setenv(VARIABLE, str(collector.path))
        asked = asyncio.create_task(collector.wait("step", "run_b", n=5, within_s=5))
        before_ns = time.monotonic_ns()
        for number in (4, 5):
            await asyncio.to_thread(probe, "step", "run_b", number)

        later = await asked
        again = await collector.wait("step", "run_b", n=5, pid=os.getpid(), within_s=5)

    assert before_ns <= later.at_ns <= time.monotonic_ns()
    assert later == again
    assert 2 == collector.count("step")


async def test_a_probe_that_does_not_fit_is_not_taken_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    with Collector() as collector:
        monkeypatch.setenv(VARIABLE, str(collector.path))
        probe("step", "run_a", 5)

        with pytest.raises(TimeoutError):
            await collector.wait("step", "run_b", within_s=0.05)


def test_without_a_collector_a_probe_goes_nowhere() -> None:
    probe("step", "run_a")

    assert VARIABLE not in os.environ


@pytest.fixture(autouse=True)
def close_the_sender(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setattr(probing, "_sender", None)
    yield
    if probing._sender is not None:
        probing._sender.close()
