"""A real worker's driver on both databases, as the worker's own tests have it."""

from tests.databases import database, database_url, migrated_postgres, sqlite_template
from tests.integration.worker.conftest import rig

__all__ = ["database", "database_url", "migrated_postgres", "rig", "sqlite_template"]
