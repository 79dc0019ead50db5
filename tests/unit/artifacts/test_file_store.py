"""The file store: whole or not at all, verified on every read, inside its own tree."""

import asyncio
import errno
import hashlib
import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.artifacts import FileStore, Stored
from core.artifacts.files import _storage_errors
from core.errors import ArtifactCorrupt, ArtifactTooLarge, RetryableError, TerminalError

CAP = 50_000_000


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def collect(stream: AsyncIterator[bytes]) -> bytes:
    return b"".join([part async for part in stream])


def files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def blob_path(root: Path, stored: Stored) -> Path:
    return root / "sha256" / stored.sha256[:2] / stored.sha256[2:]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "artifacts"


@pytest.fixture
def store(root: Path) -> FileStore:
    return FileStore(root)


@given(parts=st.lists(st.binary(max_size=200)))
@settings(max_examples=30, deadline=None)
async def test_what_is_put_comes_back(tmp_path_factory: pytest.TempPathFactory, parts: list[bytes]) -> None:
    store = FileStore(tmp_path_factory.mktemp("store"))

    stored = await store.put(chunks(*parts), cap_bytes=CAP)

    whole = b"".join(parts)
    assert Stored(hashlib.sha256(whole).hexdigest(), len(whole)) == stored
    assert whole == await store.read(stored.sha256, CAP)
    assert whole == await collect(store.open(stored.sha256))


async def test_a_large_stream_crosses_in_pieces(store: FileStore) -> None:
    parts = [bytes([number]) * 1_000_003 for number in range(12)]

    stored = await store.put(chunks(*parts), cap_bytes=CAP)

    assert b"".join(parts) == await collect(store.open(stored.sha256))


async def test_a_file_and_a_descriptor_are_sources_too(store: FileStore, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"hello")

    with source.open("rb") as opened:
        by_descriptor = await store.put(opened.fileno(), cap_bytes=CAP)

    assert by_descriptor == await store.put(source, cap_bytes=CAP)


async def test_storing_twice_is_storing_once(store: FileStore, root: Path) -> None:
    first = await store.put(chunks(b"same"), cap_bytes=CAP)
    second = await store.put(chunks(b"sa", b"me"), cap_bytes=CAP)

    assert first == second
    assert [blob_path(root, first)] == files(root)


async def test_a_file_at_the_cap_fits_and_one_byte_more_leaves_nothing(store: FileStore, root: Path) -> None:
    await store.put(chunks(b"12345"), cap_bytes=5)
    before = files(root)

    with pytest.raises(ArtifactTooLarge, match="larger than 5 bytes"):
        await store.put(chunks(b"123456"), cap_bytes=5)

    assert before == files(root)


async def test_a_source_that_fails_leaves_nothing(store: FileStore, root: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise ConnectionResetError("the sender went away")

    with pytest.raises(ConnectionResetError):
        await store.put(broken(), cap_bytes=CAP)

    assert [] == files(root)


async def test_a_cancelled_put_leaves_nothing(store: FileStore, root: Path) -> None:
    reached = asyncio.Event()

    async def stalled() -> AsyncIterator[bytes]:
        yield b"half"
        reached.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(store.put(stalled(), cap_bytes=CAP))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert [] == files(root)


async def test_bytes_that_changed_are_never_served(store: FileStore, root: Path) -> None:
    stored = await store.put(chunks(b"truth"), cap_bytes=CAP)
    blob_path(root, stored).write_bytes(b"other")
    served = []

    with pytest.raises(ArtifactCorrupt):
        await store.read(stored.sha256, CAP)
    with pytest.raises(ArtifactCorrupt):
        async for part in store.open(stored.sha256):
            served.append(part)  # noqa: PERF401 - what was served before the error counts

    assert [] == served


async def test_storing_again_heals_what_was_damaged(store: FileStore, root: Path) -> None:
    stored = await store.put(chunks(b"truth"), cap_bytes=CAP)
    blob_path(root, stored).write_bytes(b"trut")

    await store.put(chunks(b"truth"), cap_bytes=CAP)

    assert b"truth" == await store.read(stored.sha256, CAP)


async def test_missing_bytes_are_corruption_with_a_sentence(store: FileStore) -> None:
    with pytest.raises(ArtifactCorrupt) as caught:
        await store.read("0" * 64, CAP)

    assert "is missing from the artifact store" in caught.value.user_text
    assert not await store.exists("0" * 64)


@pytest.mark.parametrize("digest", ["../../etc/passwd", "A" * 64, "", "0" * 63, "0" * 64 + "\n"])
async def test_only_a_digest_names_a_blob(store: FileStore, digest: str) -> None:
    with pytest.raises(TerminalError, match="not a SHA-256 digest"):
        await store.exists(digest)


async def test_reading_into_memory_has_a_limit(store: FileStore) -> None:
    stored = await store.put(chunks(b"123456"), cap_bytes=CAP)

    with pytest.raises(ArtifactTooLarge):
        await store.read(stored.sha256, 5)


async def test_only_this_user_may_enter(store: FileStore, root: Path) -> None:
    stored = await store.put(chunks(b"private"), cap_bytes=CAP)

    blob = blob_path(root, stored)
    assert 0o600 == stat.S_IMODE(blob.stat().st_mode)
    assert [0o700] * 3 == [stat.S_IMODE(path.stat().st_mode) for path in (root, blob.parent, blob.parent.parent)]


async def test_links_inside_the_tree_lead_nowhere(store: FileStore, root: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"private")
    digest = hashlib.sha256(b"private").hexdigest()
    home = root / "sha256" / digest[:2]
    home.mkdir(parents=True)
    (home / digest[2:]).symlink_to(secret)

    assert not await store.exists(digest)
    with pytest.raises(RetryableError):
        await store.read(digest, CAP)


async def test_a_linked_directory_is_not_written_through(store: FileStore, root: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    root.mkdir()
    (root / "sha256").symlink_to(elsewhere)

    with pytest.raises(RetryableError):
        await store.put(chunks(b"x"), cap_bytes=CAP)

    assert [] == list(elsewhere.iterdir())
    assert [] == files(root)


async def test_a_pipe_is_not_a_source_and_does_not_hang(store: FileStore, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(TerminalError, match="regular file"):
        await store.put(tmp_path / "pipe", cap_bytes=CAP)


async def test_a_link_is_not_a_source(store: FileStore, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/hostname")

    with pytest.raises(TerminalError):
        await store.put(tmp_path / "link", cap_bytes=CAP)


async def test_trash_takes_bytes_out_of_reach_and_is_emptied_by_age(store: FileStore, root: Path) -> None:
    stored = await store.put(chunks(b"old"), cap_bytes=CAP)

    assert await store.trash(stored.sha256)
    assert not await store.exists(stored.sha256)
    assert not await store.trash(stored.sha256)
    assert [stored.sha256] == await store.trashed("", limit=10)
    assert not await store.drop(stored.sha256, older_than_s=3600)
    assert await store.drop(stored.sha256)
    assert [] == files(root)


async def test_what_was_trashed_can_be_stored_again(store: FileStore) -> None:
    stored = await store.put(chunks(b"again"), cap_bytes=CAP)
    await store.trash(stored.sha256)

    await store.put(chunks(b"again"), cap_bytes=CAP)
    await store.drop(stored.sha256)

    assert b"again" == await store.read(stored.sha256, CAP)


async def test_what_is_taken_out_of_the_trash_is_the_very_bytes_or_stays_there(store: FileStore, root: Path) -> None:
    stored = await store.put(chunks(b"back"), cap_bytes=CAP)
    await store.trash(stored.sha256)
    (root / "trash" / stored.sha256).write_bytes(b"bacq")

    assert not await store.restore(stored.sha256)
    (root / "trash" / stored.sha256).write_bytes(b"back")
    assert await store.restore(stored.sha256)
    assert b"back" == await store.read(stored.sha256, CAP)
    assert not await store.restore(stored.sha256)


async def test_bytes_stored_again_a_moment_ago_do_not_go_to_the_trash(store: FileStore) -> None:
    stored = await store.put(chunks(b"again"), cap_bytes=CAP)

    assert not await store.trash(stored.sha256, older_than_s=60)
    assert await store.exists(stored.sha256)


async def test_old_blobs_are_found_page_by_page(store: FileStore, root: Path) -> None:
    stored = sorted([(await store.put(chunks(b"%d" % n), cap_bytes=CAP)).sha256 for n in range(7)])
    young = stored[3]
    for sha256 in stored:
        if sha256 != young:
            os.utime(root / "sha256" / sha256[:2] / sha256[2:], (0, 0))

    found, after, pages = [], "", 0
    while after is not None:
        page, after = await store.aged(after, older_than_s=60, limit=3)
        found += [blob.sha256 for blob in page]
        pages += 1

    assert [sha256 for sha256 in stored if sha256 != young] == found
    assert 3 == pages
    assert ([], None) == await store.aged(stored[-1], older_than_s=60, limit=3)


@pytest.mark.parametrize(("point", "blobs"), [("CP16", 0), ("CP17", 1)])
async def test_a_crash_leaves_only_temporary_files_or_a_whole_blob(root: Path, point: str, blobs: int) -> None:
    program = f"""
import asyncio, os, signal
from pathlib import Path
from core.artifacts import FileStore

def crash(label):
    if label == {point!r}:
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    async def source():
        yield b"durable"
    await FileStore(Path({str(root)!r}), crashpoint=crash).put(source(), cap_bytes=100)

asyncio.run(main())
"""
    died = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", program], check=False)
    assert -signal.SIGKILL == died.returncode
    digest = hashlib.sha256(b"durable").hexdigest()
    store = FileStore(root)

    assert (1 == blobs) == await store.exists(digest)
    assert 1 - blobs == await store.sweep_temp(older_than_s=0)
    assert blobs == len(files(root))


async def test_the_sweep_spares_the_temporary_files_of_the_living(store: FileStore, root: Path) -> None:
    swept = []

    async def source() -> AsyncIterator[bytes]:
        yield b"x"
        swept.append(await store.sweep_temp(older_than_s=60))

    stored = await store.put(source(), cap_bytes=CAP)

    assert [0] == swept
    assert await store.exists(stored.sha256)


async def test_a_full_disk_is_a_sentence_and_worth_another_try(store: FileStore, root: Path) -> None:
    """The kernel's own refusal: a file-size limit stands in for a disk, as both fail inside `write`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(RetryableError) as caught:
            await store.put(chunks(b"x" * 10_000), cap_bytes=CAP)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, previous)

    assert errno.errorcode[errno.EFBIG] in caught.value.user_text
    assert str(root) not in caught.value.user_text
    assert [] == files(root)


@pytest.mark.parametrize(
    ("code", "sentence"),
    [(errno.ENOSPC, "disk of the artifact store is full"), (errno.EDQUOT, "is full"), (errno.EIO, "(EIO)")],
)
def test_what_a_disk_can_say_is_worth_another_try(code: int, sentence: str) -> None:
    with pytest.raises(RetryableError) as caught, _storage_errors():
        raise OSError(code, "from the kernel", "/secret/place")

    assert sentence in caught.value.user_text
    assert "/secret/place" not in caught.value.user_text
