"""A stored file that is damaged or gone is not worked with: the run stops there, says which file, and goes on once
it is back. Really damaged: a byte of the file is turned, or the file deleted.
"""

import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from core.artifacts import FileStore
from core.ids import TENANT, Ids
from core.metrics import REGISTRY
from core.principals import Principal
from core.record.changes import Decided
from core.record.rows import ArtifactRow
from core.runs.commands.again import ask_again
from core.runs.commands.kill import kill
from core.runs.commands.request import Limits, Pinned, Request, accept
from core.runs.toolbox import DeclaredTool
from core.store.lane import Target
from core.tools.base import Prepared, PreparedInput, Produced, ToolContext, ToolResult
from tests.integration.worker.conftest import AnyArguments, Probe, Rig, step, succeed
from tests.integration.worker.voting import vote
from tests.invariants import broken

CSV = b"day,visits\n2026-03-01,120\n"
PATCH = b"-old\n+new\n"


def flip(path: Path) -> None:
    """Turn the lowest bit of the last byte."""
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


DAMAGES = [
    pytest.param(flip, "no longer has the digest it was stored under", id="a byte turned"),
    pytest.param(Path.unlink, "is missing from the artifact store", id="deleted"),
]


def path_of(rig: Rig, sha256: str) -> Path:
    return rig.home / "artifacts" / "sha256" / sha256[:2] / sha256[2:]


async def chunks(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def put(rig: Rig, data: bytes) -> str:
    return (await FileStore(rig.home / "artifacts").put(chunks(data), cap_bytes=10_000)).sha256


async def with_a_file(rig: Rig, *steps_: dict[str, Any]) -> tuple[str, str]:
    """Ask for a run that is given a file; the run and the file's digest."""
    ids, now_ms, sha256 = Ids(rig.clock), rig.clock.wall_ms(), await put(rig, CSV)
    run_id = ids.run()
    file = ArtifactRow(TENANT, ids.artifact(), run_id, "input", "visits.csv", sha256, len(CSV), "text/csv", now_ms)
    given = {"name": file.name, "path": "inputs/visits.csv", "sha256": sha256, "size": file.size}
    takes = {"data": {"type": "file", "extensions": ["csv"]}}
    body = {"name": "probe", "inputs": takes, "steps": list(steps_), "summary": "It is done."}
    request = Request(
        tenant=TENANT,
        source_key=f"test:{run_id}",
        agent="probe",
        document=Pinned("playbook", json.dumps(body)),
        policy=Pinned("policy", "{}"),
        text="",
        inputs={"data": {**given, "media_type": "text/csv"}},
        requester=Principal("ana"),
        loaded=True,
        limits=Limits(steps=20),
        files=(file,),
    )
    await rig.database.journal.commit(accept(request, run_id=run_id, salt=ids.salt(), now_ms=now_ms))
    return run_id, sha256


async def reads_its_file(probe: Probe, context: ToolContext) -> ToolResult:
    """Answers what it was given to work with."""
    return ToolResult("succeeded", {"read": (context.workspace / "inputs" / "visits.csv").read_text()})


async def let_go_on(rig: Rig, run_id: str) -> None:
    """What *Ask again* does."""
    decide = partial(ask_again, run_id=run_id, by=Principal("ana"), now_ms=rig.clock.wall_ms())
    done = await rig.database.journal.command(TENANT, Target(run_id=run_id), decide)
    assert isinstance(done, Decided), done


def seen() -> float:
    return REGISTRY.get_sample_value("banksman_artifacts_damaged_total") or 0.0


def stands_still(shown: Any, what: str) -> None:
    assert ("blocked", "artifact-integrity") == (shown.state, shown.blocked_reason), shown.outcome
    said = str(shown.blocked_detail)
    for part in ("'visits.csv'", what, "Restore it from a backup", "stored again", "ask again, or stop"):
        assert part in said, said


@pytest.mark.parametrize("recovery", ["pure", "idempotent", "opaque"])
@pytest.mark.parametrize(("damage", "what"), DAMAGES)
async def test_a_call_does_not_start_on_a_damaged_input_and_goes_on_when_it_is_back(
    rig: Rig, damage: Callable[[Path], None], what: str, recovery: Any
) -> None:
    probe = rig.tool("work", reads_its_file, recovery=recovery)
    await rig.start()
    run_id, sha256 = await with_a_file(rig, step("one", "work"))
    damage(path_of(rig, sha256))
    before = seen()

    stands_still(await rig.drive(run_id), what)
    assert ([], 1) == (probe.contexts, seen() - before)

    await let_go_on(rig, run_id)
    stands_still(await rig.drive(run_id), what)
    await put(rig, CSV)
    await let_go_on(rig, run_id)
    shown = await rig.drive(run_id)

    assert ("completed", 1) == (shown.state, len(probe.contexts)), shown
    assert [] == await broken(rig.database)


async def test_nobody_is_asked_about_an_action_that_would_work_on_a_damaged_input(rig: Rig) -> None:
    probe = rig.tool("push", reads_its_file, tier="compensable")
    await rig.start()
    run_id, sha256 = await with_a_file(rig, step("one", "push"))
    flip(path_of(rig, sha256))

    shown = await rig.drive(run_id)

    stands_still(shown, "no longer has the digest")
    assert ((), []) == (shown.approvals, probe.contexts)
    await put(rig, CSV)
    await let_go_on(rig, run_id)
    assert "waiting-for-approval" == (await rig.drive(run_id)).state


async def test_an_approved_call_does_not_start_on_a_damaged_input_and_is_asked_about_anew(rig: Rig) -> None:
    probe = rig.tool("push", reads_its_file, tier="compensable")
    await rig.start()
    run_id, sha256 = await with_a_file(rig, step("one", "push"))
    await rig.drive(run_id)
    await vote(rig, run_id)
    flip(path_of(rig, sha256))

    shown = await rig.drive(run_id)

    stands_still(shown, "no longer has the digest")
    assert (["superseded"], []) == ([approval.status for approval in shown.approvals], probe.contexts)
    await put(rig, CSV)
    await let_go_on(rig, run_id)
    assert "waiting-for-approval" == (await rig.drive(run_id)).state
    await vote(rig, run_id)
    assert ("completed", 1) == ((await rig.drive(run_id)).state, len(probe.contexts))
    assert [] == await broken(rig.database)


class Patching:
    """A tool that carries a patch; it answers with the one that was approved."""

    name = "patch"
    description = "Carries a patch."

    def __init__(self) -> None:
        self.performed = 0

    @property
    def arguments(self) -> type[BaseModel]:
        return AnyArguments

    async def prepare(self, args: BaseModel, context: ToolContext) -> Prepared:
        carried = PreparedInput("change.patch", PATCH)
        return Prepared({"n": 1}, "Apply one patch", inputs=(carried,))

    async def perform(self, args: BaseModel, context: ToolContext) -> ToolResult:
        self.performed += 1
        return ToolResult("succeeded", {})


async def test_an_approved_patch_that_was_damaged_is_derived_anew_and_stored_again(rig: Rig) -> None:
    tool = Patching()
    rig.tools["patch"] = DeclaredTool(tool, "sha256:patch", "compensable", "opaque", 5)
    await rig.start()
    run_id = await rig.ask(step("one", "patch"))
    await rig.drive(run_id)
    await vote(rig, run_id)
    [file] = (await rig.row(run_id)).artifacts
    flip(path_of(rig, file.sha256))

    shown = await rig.drive(run_id)

    assert ("completed", 1) == (shown.state, tool.performed), shown
    assert PATCH == path_of(rig, file.sha256).read_bytes()


async def test_a_run_that_stands_still_for_a_damaged_file_can_be_stopped(rig: Rig) -> None:
    rig.tool("work", succeed)
    await rig.start()
    run_id, sha256 = await with_a_file(rig, step("one", "work"))
    flip(path_of(rig, sha256))
    await rig.drive(run_id)

    decide = partial(kill, run_id=run_id, by=Principal("ana"), reason="", now_ms=rig.clock.wall_ms())
    await rig.database.journal.command(TENANT, Target(run_id=run_id), decide)

    shown = await rig.look(run_id)
    assert ("canceled", ["canceled"]) == (shown.state, [action.status for action in shown.actions])
    assert [] == await broken(rig.database)


async def leaves_a_file(probe: Probe, context: ToolContext) -> ToolResult:
    """Makes a file that has to be kept."""
    path = context.workspace / "out.txt"
    path.write_text("made")
    return ToolResult("succeeded", {}, produced=(Produced("out.txt", path, "text/plain"),))


async def driven_to_its_end(rig: Rig, run_id: str) -> Any:
    """Drive until only a person can help, or it is over; what is to be repeated is due at once here."""
    for _ in range(8):
        shown = await rig.drive(run_id)
        if shown.state in ("blocked", "completed", "failed"):
            break
    return shown


@pytest.mark.parametrize("recovery", ["pure", "idempotent"])
async def test_a_call_whose_file_cannot_be_stored_is_repeated_then_waits_and_goes_on_when_it_can(
    rig: Rig, recovery: Any
) -> None:
    probe = rig.tool("work", leaves_a_file, recovery=recovery)
    await rig.start()
    run_id = await rig.ask(step("one", "work"))
    in_the_way = rig.home / "artifacts" / "tmp"
    in_the_way.parent.mkdir()
    in_the_way.touch()

    shown = await driven_to_its_end(rig, run_id)
    assert ("blocked", "dependency-down", 4) == (shown.state, shown.blocked_reason, len(probe.contexts)), shown
    assert "The artifact store could not be used (ENOTDIR)" in str(shown.blocked_detail)
    assert "ask again" in str(shown.blocked_detail)

    await let_go_on(rig, run_id)
    shown = await driven_to_its_end(rig, run_id)
    assert ("blocked", 5) == (shown.state, len(probe.contexts)), "one more try for one more word"
    in_the_way.unlink()
    await let_go_on(rig, run_id)
    shown = await driven_to_its_end(rig, run_id)

    assert ("completed", 6, ["out.txt"]) == (shown.state, len(probe.contexts), [file.name for file in shown.artifacts])
    assert 1 == len({context.idempotency_key for context in probe.contexts})
    assert [] == await broken(rig.database)


async def test_an_opaque_call_whose_file_cannot_be_stored_is_not_repeated(rig: Rig) -> None:
    probe = rig.tool("work", leaves_a_file, recovery="opaque")
    await rig.start()
    run_id = await rig.ask(step("one", "work"))
    (rig.home / "artifacts").mkdir()
    (rig.home / "artifacts" / "tmp").touch()

    shown = await driven_to_its_end(rig, run_id)

    assert ("blocked", "ambiguous-effect", 1) == (shown.state, shown.blocked_reason, len(probe.contexts))
    assert "could not be used (ENOTDIR)" in str(shown.blocked_detail)
    assert () == shown.artifacts


async def test_an_input_that_cannot_be_placed_is_waited_for(rig: Rig) -> None:
    probe = rig.tool("work", reads_its_file, recovery="opaque")
    await rig.start()
    run_id, _ = await with_a_file(rig, step("one", "work"))
    in_the_way = rig.home / "workspaces" / TENANT
    in_the_way.touch()

    shown = await driven_to_its_end(rig, run_id)
    assert ("blocked", "dependency-down", 0) == (shown.state, shown.blocked_reason, len(probe.contexts)), shown
    assert "The disk of the runs' working directories could not be used (" in str(shown.blocked_detail)

    in_the_way.unlink()
    await let_go_on(rig, run_id)
    assert ("completed", 1) == ((await driven_to_its_end(rig, run_id)).state, len(probe.contexts))
