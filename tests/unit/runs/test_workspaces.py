"""Working directories: made and filled once, and never silently replaced by an empty one."""

from pathlib import Path

import pytest

from core.artifacts import FileStore
from core.errors import TerminalError
from core.record.rows import dumps
from core.runs.workspaces import Workspaces
from tests.factories import call_row, run_row, snapshot


@pytest.fixture
def objects(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "objects")


@pytest.fixture
def workspaces(tmp_path: Path, objects: FileStore) -> Workspaces:
    return Workspaces(tmp_path / "workspaces", objects)


async def test_the_first_call_finds_the_inputs_and_the_next_what_the_first_left(
    workspaces: Workspaces, objects: FileStore, tmp_path: Path
) -> None:
    (tmp_path / "given").write_bytes(b"a,b\n1,2\n")
    stored = await objects.put(tmp_path / "given", cap_bytes=100)
    given = {"file": {"name": "sales.csv", "sha256": stored.sha256}, "month": "March"}
    run = snapshot(run_row(inputs_json=dumps(given)))
    path = await workspaces.ready(run)
    assert b"a,b\n1,2\n" == (path / "inputs" / "sales.csv").read_bytes()
    (path / "half.txt").write_text("done so far")
    assert path == await workspaces.ready(run) == workspaces.path("main", run.run.id)
    assert "done so far" == (path / "half.txt").read_text()


async def test_a_run_does_not_go_on_without_the_files_its_earlier_calls_made(workspaces: Workspaces) -> None:
    run = run_row(workspace_host="host-1")
    with pytest.raises(TerminalError, match="working directory is not on this host but on host-1"):
        await workspaces.ready(snapshot(run, call_row(run, status="succeeded")))
    assert await workspaces.ready(snapshot(run, call_row(run, status="failed")))


async def test_a_directory_is_removed_once_and_a_missing_one_is_no_error(workspaces: Workspaces) -> None:
    run = snapshot()
    assert [] == workspaces.here()
    await workspaces.ready(run)
    assert [("main", run.run.id)] == workspaces.here()
    for _ in range(2):
        await workspaces.remove("main", run.run.id)
    assert [] == workspaces.here()
