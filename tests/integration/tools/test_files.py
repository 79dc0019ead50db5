"""The `files.*` and `artifact` tools against what sandboxed code can plant in a workspace."""

import asyncio
import os
import socket
import stat
from pathlib import Path

import pytest

from core.tools import beneath
from core.tools.artifact import Artifact
from core.tools.files import DeleteFile, ListFiles, ReadFile, WriteFile
from tests.integration.tools.conftest import Perform
from tests.patience import PATIENCE_S

SECRET = "outside the workspace"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    path = tmp_path / "outside"
    path.mkdir()
    (path / "secret.txt").write_text(SECRET)
    return path


async def test_what_is_written_can_be_read_listed_and_deleted(perform: Perform, workspace: Path) -> None:
    written = await perform(WriteFile(), path="notes/./today.md", content="größe\n")
    read = await perform(ReadFile(), path="notes/today.md")
    listed = await perform(ListFiles(), recursive=True)
    deleted = await perform(DeleteFile(), path="notes/today.md")

    assert {"path": "notes/today.md", "size": 8, "created": True} == written.out
    assert {"text": "größe\n", "size": 8, "truncated": False} == read.out
    assert [
        {"path": "notes", "kind": "directory", "size": 0},
        {"path": "notes/today.md", "kind": "file", "size": 8},
    ] == listed.out["entries"]
    assert "succeeded" == deleted.status
    assert not (workspace / "notes/today.md").exists()


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../outside/secret.txt", "a/../../outside/secret.txt", "..", "", ".", "x" * 1024, "dir/\0"]
)
async def test_no_path_leads_out(perform: Perform, outside: Path, path: str) -> None:
    if "\0" in path:
        with pytest.raises(beneath.PathRefused):
            beneath.parts_of(path)
        return
    for tool, more in ((ReadFile(), {}), (WriteFile(), {"content": "x"}), (DeleteFile(), {}), (Artifact(), {})):
        result = await perform(tool, path=path, **more)
        assert "failed" == result.status, tool.name
        assert result.error

    assert SECRET == (outside / "secret.txt").read_text()


async def test_planted_links_are_not_followed(perform: Perform, workspace: Path, outside: Path) -> None:
    (workspace / "file").symlink_to(outside / "secret.txt")
    (workspace / "folder").symlink_to(outside)

    for path in ("file", "folder/secret.txt"):
        for tool in (ReadFile(), Artifact()):
            result = await perform(tool, path=path)
            assert "is a link or lies behind one" in result.error
    assert "failed" == (await perform(WriteFile(), path="folder/new.txt", content="x")).status
    assert "failed" == (await perform(DeleteFile(), path="folder/secret.txt")).status
    assert "failed" == (await perform(ListFiles(), path="folder")).status
    assert ["secret.txt"] == [path.name for path in outside.iterdir()]


async def test_writing_replaces_a_link_and_not_what_it_points_to(
    perform: Perform, workspace: Path, outside: Path
) -> None:
    (workspace / "file").symlink_to(outside / "secret.txt")

    result = await perform(WriteFile(), path="file", content="mine")

    assert "succeeded" == result.status
    assert SECRET == (outside / "secret.txt").read_text()
    assert not (workspace / "file").is_symlink()


async def test_hard_links_are_neither_read_nor_written_through(
    perform: Perform, workspace: Path, outside: Path
) -> None:
    os.link(outside / "secret.txt", workspace / "file")

    for tool in (ReadFile(), Artifact()):
        assert "second name" in (await perform(tool, path="file")).error
    await perform(WriteFile(), path="file", content="mine")

    assert SECRET == (outside / "secret.txt").read_text()


async def test_pipes_sockets_and_directories_are_refused_without_waiting(perform: Perform, workspace: Path) -> None:
    os.mkfifo(workspace / "pipe")
    (workspace / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(workspace / "socket"))

        async with asyncio.timeout(PATIENCE_S):
            results = [await perform(ReadFile(), path=name) for name in ("pipe", "socket", "folder")]

    assert ["pipe, socket or device", "pipe, socket or device", "is a directory"] == [
        next(part for part in ("pipe, socket or device", "is a directory") if part in result.error)
        for result in results
    ]


async def test_protected_places_are_not_written(perform: Perform, workspace: Path) -> None:
    for path in (".git/hooks/pre-commit", ".git/config", "banksman.yml", ".banksman/x", ".git"):
        result = await perform(WriteFile(), path=path, content="#!/bin/sh\n")
        assert "is protected" in result.error
    assert [] == list(workspace.iterdir())


async def test_a_name_in_the_way_is_a_sentence(perform: Perform, workspace: Path) -> None:
    (workspace / "folder").mkdir()
    (workspace / "file").write_text("x")

    assert "is a directory" in (await perform(WriteFile(), path="folder", content="x")).error
    assert "is a directory" in (await perform(DeleteFile(), path="folder")).error
    assert "not a directory" in (await perform(WriteFile(), path="file/x", content="x")).error
    assert "exists already" in (await perform(WriteFile(), path="file", content="x", overwrite=False)).error
    assert "does not exist" in (await perform(ReadFile(), path="nothing")).error
    assert ["file", "folder"] == sorted(path.name for path in workspace.iterdir())


async def test_names_that_are_no_text_are_listed_all_the_same(perform: Perform, workspace: Path) -> None:
    (workspace / os.fsdecode(b"\xff\x01name")).touch()
    (workspace / "link").symlink_to("/etc")

    result = await perform(ListFiles())

    assert ["link", "other"] != [entry["kind"] for entry in result.out["entries"]]
    assert {("link", "link"), ("\ufffd\ufffdname", "file")} == {
        (entry["path"], entry["kind"]) for entry in result.out["entries"]
    }


async def test_long_listings_are_cut(perform: Perform, workspace: Path) -> None:
    for number in range(600):
        (workspace / f"{number:04}").touch()

    result = await perform(ListFiles())

    assert (500, True) == (len(result.out["entries"]), result.out["truncated"])


async def test_a_long_text_is_shortened_and_a_binary_is_refused(perform: Perform, workspace: Path) -> None:
    (workspace / "long.txt").write_text("line\n" * 100_000)
    (workspace / "binary").write_bytes(b"\0" * 10)
    (workspace / "huge").touch()
    os.truncate(workspace / "huge", 20_000_000)

    assert (await perform(ReadFile(), path="long.txt")).out["truncated"]
    assert "not a text file" in (await perform(ReadFile(), path="binary")).error
    assert "has 20 MB; at most 10 MB" in (await perform(ReadFile(), path="huge")).error


async def test_an_artifact_is_a_copy_out_of_reach(perform: Perform, workspace: Path) -> None:
    (workspace / "out").mkdir()
    (workspace / "out/plot.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 100)

    result = await perform(Artifact(), path="out/plot.png", name="../Q3\u202e plot.png")
    (workspace / "out/plot.png").write_bytes(b"changed")

    [produced] = result.produced
    assert ("Q3 plot.png", "image/png", 108) == (produced.name, produced.media_type, result.out["size"])
    assert 108 == produced.path.stat().st_size
    assert workspace not in produced.path.parents
    assert 0o600 == stat.S_IMODE(produced.path.stat().st_mode)


async def test_an_artifact_has_a_cap(perform: Perform, workspace: Path) -> None:
    (workspace / "big").write_bytes(b"x" * 11)

    assert "at most 10 bytes" in (await perform(Artifact(cap_bytes=10), path="big")).error


async def test_a_directory_swapped_for_a_link_while_we_look_leads_nowhere(
    perform: Perform, workspace: Path, outside: Path
) -> None:
    """Somebody keeps swapping; whatever is read, it is never what lies outside."""
    real = workspace / "real"
    real.mkdir()
    (real / "secret.txt").write_text("inside")
    (workspace / "link").symlink_to(outside)
    stop = asyncio.Event()

    def swap() -> None:
        while not stop.is_set():
            for name in ("real", "link"):
                (workspace / name).rename(workspace / "here")
                (workspace / "here").rename(workspace / name)

    swapping = asyncio.create_task(asyncio.to_thread(swap))
    try:
        texts = [(await perform(ReadFile(), path="here/secret.txt")).out.get("text") for _ in range(200)]
    finally:
        stop.set()
        await swapping

    assert SECRET not in texts
