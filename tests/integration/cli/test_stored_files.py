"""`doctor --artifacts`: every stored file is read; what is damaged is named with its runs; nothing is written."""

import os
import sqlite3
from pathlib import Path

import pytest

from tests.integration.cli.conftest import CommandLine
from tests.integration.cli.waiting import configured, waiting


def files_of(banksman: CommandLine) -> list[Path]:
    return sorted(path for path in (banksman.home / "artifacts" / "sha256").rglob("*") if path.is_file())


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(data)


def test_intact_files_are_counted_and_nothing_is_written(banksman: CommandLine) -> None:
    waiting(configured(banksman))
    before = {path: path.read_bytes() for path in Path(banksman.home).rglob("*") if path.is_file()}

    answer = banksman("doctor", "--artifacts", "--json", code=0).json

    assert (True, 1, 0, []) == (answer["ok"], answer["files"], answer["damaged"], answer["listed"])
    assert {"files": 0, "bytes": 0} == answer["orphaned"]
    assert before == {path: path.read_bytes() for path in Path(banksman.home).rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("damage", "wrong"), [(flip, "no longer has the digest"), (Path.unlink, "is missing")], ids=["turned", "deleted"]
)
def test_a_damaged_file_is_named_with_its_run_and_the_remedy(banksman: CommandLine, damage: object, wrong: str) -> None:
    it = waiting(configured(banksman))
    (path,) = files_of(banksman)
    sha256 = path.parent.name + path.name
    assert callable(damage)
    damage(path)

    said = banksman("doctor", "--artifacts", code=1).out
    answer = banksman("doctor", "--artifacts", "--json", code=1).json

    for part in (sha256[:12], wrong, it.run_id, "'changes.patch'", "0 files intact, 1 damaged", "Restore it"):
        assert part in said, said
    [file] = answer["listed"]
    assert (False, 1, sha256) == (answer["ok"], answer["damaged"], file["sha256"])
    assert wrong in file["wrong"]
    assert [(it.run_id, "changes.patch", "context")] == [
        (each["run_id"], each["name"], each["role"]) for each in file["named_by"]
    ]


def test_files_that_no_run_names_are_counted(banksman: CommandLine) -> None:
    waiting(configured(banksman))
    nobodys = banksman.home / "artifacts" / "sha256" / "ab" / ("c" * 62)
    nobodys.parent.mkdir(exist_ok=True)
    nobodys.write_bytes(b"left by a crash")
    os.utime(nobodys, (1, 1))
    with sqlite3.connect(banksman.database) as connection:
        connection.execute("INSERT INTO blobs (tenant, sha256, size, created_at) VALUES ('main', 'dd', 85, 1)")
    connection.close()

    answer = banksman("doctor", "--artifacts", "--json", code=0).json

    assert {"files": 2, "bytes": 100} == answer["orphaned"]
    assert "2 files older than a day that no run names (100 bytes)" in banksman("doctor", "--artifacts", code=0).out
    assert "2 files older than a day that no run names" in banksman("doctor").out


def test_a_database_that_is_not_there_is_not_made(bare: CommandLine) -> None:
    assert "There is no SQLite database" in bare("doctor", "--artifacts", code=2).err
    assert not bare.home.exists()
