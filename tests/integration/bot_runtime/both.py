"""For modules whose tests are held on both databases: import `database_url`, which stands before the package's own."""

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.databases import empty, sqlite_url


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path, sqlite_template: Path) -> str:
    """A migrated, empty database, once on each."""
    if request.param == "postgres":
        url: str = request.getfixturevalue("migrated_postgres")
        asyncio.run(empty(url))
        return url
    shutil.copy(sqlite_template, tmp_path / "banksman.db")
    return sqlite_url(tmp_path / "banksman.db")
