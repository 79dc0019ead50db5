"""Homes for parts that run as processes of their own, on both databases."""

from pathlib import Path

import pytest

from tests.databases import database_url, migrated_postgres, sqlite_template

__all__ = ["database_url", "migrated_postgres", "sqlite_template"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"
