"""A run's directory: filled from the store, entered without following anything, and removed whatever is in it."""

import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.artifacts import FileStore
from core.errors import ArtifactCorrupt, TerminalError
from core.ids import RunId
from core.tools.workspace import Input, prepare_workspace, remove_workspace

RUN = RunId("run_01")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "workspaces"


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "artifacts")


@pytest.fixture
async def digest(store: FileStore) -> str:
    return await put(store, b"a,b\n1,2\n")


async def put(store: FileStore, data: bytes) -> str:
    async def stream() -> AsyncIterator[bytes]:
        yield data

    return (await store.put(stream(), cap_bytes=1000)).sha256


async def test_inputs_are_placed_under_safe_names(root: Path, store: FileStore, digest: str) -> None:
    names = ["../../x.csv", "sales.csv", "Sales.CSV", "sales.csv", "\u202e", ".env"]

    workspace, placed = await prepare_workspace(root, RUN, [Input(name, digest) for name in names], store)

    assert [
        "inputs/x.csv",
        "inputs/sales.csv",
        "inputs/Sales-2.CSV",
        "inputs/sales-3.csv",
        "inputs/file",
        "inputs/env",
    ] == [item.path for item in placed]
    assert names == [item.name for item in placed]
    assert root / RUN == workspace
    assert [0o700, 0o400] == [stat.S_IMODE(path.stat().st_mode) for path in (workspace, workspace / "inputs/x.csv")]
    assert b"a,b\n1,2\n" == (workspace / "inputs/sales.csv").read_bytes()


async def test_preparing_again_keeps_work_and_puts_inputs_back(root: Path, store: FileStore, digest: str) -> None:
    inputs = [Input("a.csv", digest), Input("b.csv", digest), Input("c.csv", digest)]
    workspace, first = await prepare_workspace(root, RUN, inputs, store)
    (workspace / "result.txt").write_text("work")
    (workspace / "inputs/a.csv").unlink()
    (workspace / "inputs/b.csv").chmod(0o600)
    (workspace / "inputs/b.csv").write_text("changed")
    (workspace / "inputs/c.csv").unlink()
    (workspace / "inputs/c.csv").mkdir()
    (workspace / "inputs/c.csv/below").touch()

    _, second = await prepare_workspace(root, RUN, inputs, store)

    assert first == second
    assert "work" == (workspace / "result.txt").read_text()
    assert {b"a,b\n1,2\n"} == {(workspace / item.path).read_bytes() for item in second}


async def test_a_planted_link_is_not_written_through(root: Path, store: FileStore, digest: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    workspace, _ = await prepare_workspace(root, RUN, [], store)
    (workspace / "inputs").rmdir()
    (workspace / "inputs").symlink_to(outside)

    await prepare_workspace(root, RUN, [Input("a.csv", digest)], store)

    assert [] == list(outside.iterdir())
    assert (workspace / "inputs/a.csv").is_file()


async def test_a_missing_input_is_said_and_not_half_written(root: Path, store: FileStore) -> None:
    with pytest.raises(ArtifactCorrupt):
        await prepare_workspace(root, RUN, [Input("a.csv", "0" * 64)], store)

    assert [] == list((root / RUN / "inputs").iterdir())


@pytest.mark.parametrize("run_id", ["", "..", "../x", "run/1", ".hidden", "Run"])
async def test_only_a_run_id_names_a_workspace(root: Path, store: FileStore, run_id: str) -> None:
    root.mkdir()
    with pytest.raises(TerminalError):
        await prepare_workspace(root, RunId(run_id), [], store)
    with pytest.raises(TerminalError):
        await remove_workspace(root, RunId(run_id))
    assert root.is_dir()


async def test_removal_takes_everything_and_nothing_else(root: Path, store: FileStore, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "keep").touch()
    workspace, _ = await prepare_workspace(root, RUN, [], store)
    other, _ = await prepare_workspace(root, RunId("run_02"), [], store)
    (workspace / "link").symlink_to(outside)
    (workspace / "dangling").symlink_to("nowhere")
    os.mkfifo(workspace / "pipe")
    locked = workspace / "locked" / "deeper"
    locked.mkdir(parents=True)
    (locked / "file").touch(mode=0o000)
    (locked / "out").symlink_to("../../../..")
    locked.chmod(0o000)
    locked.parent.chmod(0o000)
    workspace.chmod(0o000)

    assert await remove_workspace(root, RUN)

    assert [other] == list(root.iterdir())
    assert [outside / "keep"] == list(outside.iterdir())
    assert not await remove_workspace(root, RUN)


async def test_a_very_deep_tree_is_removed(root: Path, store: FileStore) -> None:
    workspace, _ = await prepare_workspace(root, RUN, [], store)
    folder = os.open(workspace, os.O_RDONLY)
    for number in range(3000):
        os.mkdir("d", dir_fd=folder)
        below = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.mkdir(f"beside{number % 3}", dir_fd=folder)
        os.close(folder)
        folder = below
    os.close(folder)

    assert await remove_workspace(root, RUN)

    assert [] == list(root.iterdir())


async def test_a_link_in_place_of_the_workspace_is_only_unlinked(root: Path, store: FileStore, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "keep").touch()
    root.mkdir()
    (root / RUN).symlink_to(outside)

    assert await remove_workspace(root, RUN)

    assert (outside / "keep").exists()
