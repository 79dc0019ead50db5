"""Keeps a team across restarts: one SQLite file of JSON entities, and the bytes of files beside it.

Every change is written when it happens and is atomic by itself. A crash of the machine (not of the process) may lose
the last moments; a playground is allowed that.
"""

import fcntl
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Storage:
    """A key-value store of JSON entities under `data_dir`, and a directory for file contents; one owner at a time."""

    def __init__(self, data_dir: Path) -> None:
        data_dir.mkdir(parents=True, exist_ok=True)
        self._lock = (data_dir / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise OSError(f"another playground is using {data_dir}; stop it, or name another directory") from None
        self.files_dir = data_dir / "files"
        self.files_dir.mkdir(exist_ok=True)
        self._db = sqlite3.connect(data_dir / "playground.db", isolation_level=None, timeout=5)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS entities (kind TEXT, key TEXT, body TEXT NOT NULL, PRIMARY KEY (kind, key))"
        )

    def put(self, kind: str, key: str, body: dict[str, Any]) -> None:
        """Create or replace one entity."""
        text = json.dumps(body, ensure_ascii=True, separators=(",", ":"))
        upsert = "INSERT INTO entities VALUES (?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body"
        self._db.execute(upsert, (kind, key, text))

    def drop(self, kind: str, key: str) -> None:
        self._db.execute("DELETE FROM entities WHERE kind = ? AND key = ?", (kind, key))

    def load(self, kind: str) -> Iterator[dict[str, Any]]:
        """All entities of a kind, in the order in which they came to be."""
        for (body,) in self._db.execute("SELECT body FROM entities WHERE kind = ? ORDER BY rowid", (kind,)):
            yield json.loads(body)

    def file_path(self, file_id: str) -> Path:
        """Where the bytes of a file are; its own name never reaches the disk."""
        if not file_id.isalnum():
            raise ValueError(f"{file_id!r} is not a file id")
        return self.files_dir / file_id

    def write_file(self, file_id: str, content: bytes) -> None:
        path = self.file_path(file_id)
        part = path.with_suffix(".part")
        part.write_bytes(content)
        part.replace(path)

    def close(self) -> None:
        self._db.close()
        self._lock.close()
