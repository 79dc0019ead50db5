"""Both databases, migrated and empty for each test (`tests/databases.py`)."""

from tests.databases import database, database_url, migrated_postgres, sqlite_template

__all__ = ["database", "database_url", "migrated_postgres", "sqlite_template"]
