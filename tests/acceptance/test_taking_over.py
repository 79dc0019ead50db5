"""A worker is killed: its neighbours go on at once, with nothing of it left, and do not wait for its lease."""

import json

from core.execution.labels import is_supervisor, labelled
from core.execution.processes import Process
from core.ids import TENANT
from tests.acceptance.crew import Crew, crew, lives, suspend
from tests.acceptance.house import until

__all__ = ["crew"]

ALONE = """
import fcntl, os, pathlib, time
own = open("own", "w")
try:
    fcntl.flock(own, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("beside another one", flush=True)
    raise SystemExit
if os.fork() == 0:
    os.setsid()
    time.sleep(600)
while not pathlib.Path("go").exists():
    time.sleep(0.05)
print("alone", flush=True)
"""
"""Holds a lock as long as it lives, and so does a child of its that left the session."""

CONFIG = f"""\
tools:
  shell: {{tier: workspace, recovery: idempotent}}

sandbox: {{level: auto, unsandboxed: refused}}

playbooks:
  - name: alone
    title: A call that sees whether another attempt of it is alive
    steps:
      - id: wait
        title: Wait
        tool: shell
        with: {{argv: [python, -c, {json.dumps(ALONE)}]}}
    summary: "${{{{ steps.wait.out.stdout }}}}"
"""


def with_the_playbook(crew: Crew) -> Crew:
    (crew.home / "alone.yml").write_text(CONFIG)
    crew.settings["BANKSMAN_CONFIG"] = str(crew.home / "alone.yml")
    return crew


def under_way(run_id: str, *, other_than: int = 0) -> tuple[int, dict[Process, int]]:
    """Wait for the whole tree of an attempt; its fence and its processes with theirs."""

    def look() -> tuple[int, dict[Process, int]] | None:
        found = {process: label.fence for process, label in labelled(run_id=run_id).items()}
        fences = set(found.values())
        # What outlives its supervisor for a moment carries marks alone, which have no fence to tell.
        whole = len(fences) == 1 and not fences & {0, other_than} and len(found) >= 3
        return (fences.pop(), found) if whole else None

    return until(look, f"the call of {run_id}")


def let_go(crew: Crew, run_id: str) -> None:
    (crew.home / "workspaces" / TENANT / run_id / "go").touch()


def test_a_neighbour_goes_on_before_the_lease_could_run_out(crew: Crew) -> None:
    with_the_playbook(crew)
    first = crew.worker("first")
    run_id = crew.ask("alone")
    fence, _ = under_way(run_id)
    crew.worker("second")

    first.kill()

    again, _ = under_way(run_id, other_than=fence)
    assert fence + 1 == again
    assert crew.deaths(), "the lease ran out before anybody noticed"
    let_go(crew, run_id)
    shown = crew.reaches(run_id, "completed", "failed", "blocked")
    assert "alone" == shown["run"]["outcome"].strip(), shown
    assert [("succeeded", 2)] == [(call["status"], call["attempts"]) for call in shown["actions"]]


def test_the_worker_that_comes_after_it_goes_on_at_once(crew: Crew) -> None:
    with_the_playbook(crew)
    first = crew.worker("first")
    run_id = crew.ask("alone")
    fence, _ = under_way(run_id)

    first.kill()
    crew.worker("second")

    under_way(run_id, other_than=fence)
    assert crew.deaths(), "the lease ran out before anybody noticed"
    let_go(crew, run_id)
    crew.reaches(run_id, "completed")


def test_no_attempt_starts_beside_what_outlived_its_worker_and_ignores_its_supervisor(crew: Crew) -> None:
    with_the_playbook(crew)
    first = crew.worker("first")
    run_id = crew.ask("alone")
    fence, processes = under_way(run_id)
    # A supervisor that stands still ends nothing, and as long as it lives the kernel does not do it either.
    (supervisor,) = (process for process in processes if is_supervisor(process))
    suspend(supervisor.pid)
    crew.worker("second")

    first.kill()

    under_way(run_id, other_than=fence)
    assert not lives(supervisor)
    let_go(crew, run_id)
    shown = crew.reaches(run_id, "completed", "failed", "blocked")
    assert "alone" == shown["run"]["outcome"].strip(), shown
