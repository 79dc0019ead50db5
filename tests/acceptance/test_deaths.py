"""Processes that die, freeze or vanish: the run is finished by whoever is left, and nothing is done twice."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import redis

from core.execution.labels import labelled
from core.ids import TENANT
from core.runs.leases import LEASE_S
from tests.acceptance.conftest import Builder
from tests.acceptance.house import House, is_listening, until
from tests.acceptance.team import Team, cards, run_of, said, words
from tests.acceptance.test_story import CSV

GATED = """\
tools:
  files.write: {tier: workspace, recovery: idempotent}
  shell: {tier: workspace, recovery: idempotent}

sandbox: {level: auto, unsandboxed: refused}

playbooks:
  - name: gated
    title: A call that waits for a file to appear
    steps:
      - {id: first, title: Write something, tool: files.write, with: {path: first.txt, content: first}}
      - id: gate
        title: Wait at the gate
        tool: shell
        with: {argv: [sh, -c, "while [ ! -e go ]; do sleep 0.05; done; echo through"]}
      - {id: last, title: Count, tool: shell, with: {argv: [cat, first.txt]}}
    summary: "${{ steps.gate.out.stdout }} ${{ steps.last.out.stdout }}"
"""


@pytest.fixture
def gated(tmp_path: Path) -> str:
    """A configuration whose run waits in its second call until `open_gate`."""
    (tmp_path / "gated.yml").write_text(GATED)
    return str(tmp_path / "gated.yml")


def open_gate(house: House, run_id: str) -> None:
    """Let the second call end."""
    (house.home / "workspaces" / TENANT / run_id / "go").touch()


def at_the_gate(house: House, run_id: str, *, fence: int | None = None) -> int:
    """Wait until the second call has a process, under another fence than the given one; its fence."""

    def look() -> int | None:
        if [step["status"] for step in house.show(run_id)["plan"][1:2]] != ["running"]:
            return None  # or it has no plan yet
        fences = {label.fence for label in labelled(run_id=run_id).values()}
        # What outlives its supervisor for a moment carries marks alone, which have no fence to tell.
        return fences.pop() if len(fences) == 1 and not fences & {0, fence} else None

    return until(look, f"{run_id} to wait at the gate")


def is_finished_once(house: House, run_id: str) -> None:
    """The run completed, its finished call was done once, the interrupted one repeated under its key."""
    shown = house.reaches(run_id, "completed", "failed", "blocked")
    assert "completed" == shown["run"]["state"], shown
    assert "through\n first" == shown["run"]["outcome"].strip()
    assert [("first", 1), ("gate", 2), ("last", 1)] == [(call["step"], call["attempts"]) for call in shown["actions"]]
    assert {"succeeded"} == {call["status"] for call in shown["actions"]}
    log = house.log(run_id)
    assert 4 == sum(event["type"] == "call-started" for event in log)
    assert 3 == sum(event["type"] == "call-ended" for event in log)
    assert sorted(event["fence"] for event in log) == [event["fence"] for event in log]


def test_another_worker_finishes_what_a_killed_one_had_in_hand(new_house: Builder, gated: str) -> None:
    house = new_house("postgres", BANKSMAN_CONFIG=gated)
    run_id = house.ask("gated")
    first = at_the_gate(house, run_id)
    house.another_worker()
    with house.frozen():  # so that nobody starts the first one again
        os.kill(house.part("worker"), signal.SIGKILL)
        at_the_gate(house, run_id, fence=first)

        open_gate(house, run_id)

        is_finished_once(house, run_id)


async def test_a_bot_and_a_worker_that_are_killed_come_back_and_nothing_happens_twice(
    new_house: Builder, gated: str
) -> None:
    house = new_house(BANKSMAN_CONFIG=gated)
    async with Team(house.url) as team:
        root = await team.say("@banksman gated")
        running = await team.card(root, "Running", "✓", "▸", "○")
        run_id = run_of(running)
        first = at_the_gate(house, run_id)

        for part in ("worker", "bot"):
            os.kill(house.part(part), signal.SIGKILL)
        at_the_gate(house, run_id, fence=first)
        open_gate(house, run_id)

        is_finished_once(house, run_id)
        done = await team.card(root, "Completed")
        assert running["ts"] == done["ts"]
        assert (1, 3) == (words(running).count("✓"), words(done).count("✓"))
        await team.answered(root, "through", "no effects outside")
        thread = await team.thread(root)
        assert 1 == len(cards(thread))
        assert 2 == len(said(thread)), [words(each) for each in said(thread)]
    for part in ("worker", "bot"):
        assert f"The {part} ended; starting it again." in house.output.read_text()
        assert str(house.part(part)) == house.run_file["parts"][part]


def test_a_worker_that_wakes_up_late_changes_nothing(new_house: Builder, gated: str) -> None:
    house = new_house(BANKSMAN_CONFIG=gated)
    run_id = house.ask("gated")
    first = at_the_gate(house, run_id)
    second = house.another_worker()
    late = house.part("worker")
    os.kill(late, signal.SIGSTOP)
    asleep_since_s = time.monotonic()
    try:
        at_the_gate(house, run_id, fence=first)
        open_gate(house, run_id)
        is_finished_once(house, run_id)
        before = _told(house, run_id)
        # Longer than its lease: after everybody else has gone on.
        time.sleep(max(0.0, 1.2 * LEASE_S - (time.monotonic() - asleep_since_s)))
    finally:
        os.kill(late, signal.SIGCONT)

    # With the second one gone, whatever is done now is done by the one that woke up, or by its successor.
    second.terminate()
    second.wait(60)
    other = house.ask("gated")
    at_the_gate(house, other)
    open_gate(house, other)
    house.reaches(other, "completed")

    assert before == _told(house, run_id)


def _told(house: House, run_id: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The run and its log without what came too late: that is kept, and never applied."""
    shown = house.show(run_id)
    # When the row was last written; keeping what came too late writes it.
    del shown["run"]["updated_at"]
    for action in shown["actions"]:
        del action["late_results"]
    return shown, [event for event in house.log(run_id) if event["type"] != "late-result"]


async def test_runs_go_on_while_redis_is_dead_and_what_was_killed_comes_back(new_house: Builder) -> None:
    house = new_house()
    async with Team(house.url) as team:
        with house.frozen():  # so that nobody starts Redis again
            os.kill(house.redis(), signal.SIGKILL)
            root = await team.say("@banksman report", ("visits.csv", CSV))
            stopped = house.ask("runaway")
            house.working(stopped)
            house.cli("kill", stopped)

            await team.card(root, "Completed")
            await team.answered(root, "no effects outside", "3 files")
            until(lambda: house.show(stopped)["stop"]["confirmed_at"], "the stop to be confirmed")
            assert {} == labelled(run_id=stopped)
            assert not answers(house)

        until(lambda: answers(house), "Redis to come back under its address")
        root = await team.say("@banksman report", ("visits.csv", CSV))
        await team.card(root, "Completed")
        await team.answered(root, "no effects outside", "3 files")
        before = await team.thread(root)

        os.kill(house.part("bot.playground"), signal.SIGKILL)

        until(lambda: is_listening(house.port) and house.part("bot.playground"), "the playground to come back")
        assert before == await team.thread(root)
        await team.is_heard()
        again = await team.say("@banksman report", ("visits.csv", CSV))
        await team.answered(again, "no effects outside", "3 files")


def answers(house: House) -> bool:
    """Whether the house's Redis is there."""
    with redis.Redis.from_url(house.run_file["redis_url"]) as client:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False


def test_nothing_is_left_when_it_is_stopped_in_the_middle_of_a_call(new_house: Builder) -> None:
    house = new_house()
    run_id = house.ask("runaway")
    house.working(run_id)

    assert 0 == house.stop()

    assert {} == labelled(run_id=run_id)
    assert "executing" == house.show(run_id)["run"]["state"], "the run waits for the next start"


def test_nothing_is_left_when_it_is_killed(new_house: Builder) -> None:
    house = new_house()
    house.remember()

    os.kill(house.process.pid, signal.SIGKILL)
    house.process.wait()

    until(lambda: not house.left(), "everything to end by itself")
