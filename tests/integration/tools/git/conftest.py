"""A shop to read from and push to, and a run in a real database that the child looks up."""

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from core.execution.base import CallLabel
from core.store.session import Database
from core.tools.base import ToolContext
from core.tools.reach import Reach
from tests.databases import database as database
from tests.databases import database_url as database_url
from tests.databases import migrated_postgres as migrated_postgres
from tests.databases import sqlite_template as sqlite_template
from tests.databases import sqlite_url
from tests.factories import a_created_run
from tests.integration.tools.conftest import context as context
from tests.integration.tools.conftest import environment as environment
from tests.integration.tools.conftest import workspace as workspace
from tests.integration.tools.git.places import Place, copied, make_shop


@pytest.fixture(scope="session")
def shop_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("shop")
    make_shop(directory)
    return directory


@pytest.fixture(scope="session")
def with_a_run(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> tuple[Path, CallLabel]:
    """A database with a run, and the label of a call of it."""
    path = tmp_path_factory.mktemp("with-a-run") / "banksman.db"
    shutil.copy(sqlite_template, path)

    async def stored() -> CallLabel:
        database = Database(sqlite_url(path))
        run = (await a_created_run(database)).run
        await database.close()
        return CallLabel(run.tenant, run.id, "call_1", run.fence)

    return path, asyncio.run(stored())


@pytest.fixture
def place(tmp_path: Path, context: ToolContext, shop_template: Path, with_a_run: tuple[Path, CallLabel]) -> Place:
    path, label = with_a_run
    shutil.copy(path, tmp_path / "banksman.db")
    public = tmp_path / "public"
    public.mkdir()
    copied(shop_template, public)
    outside = replace(
        context.outside, database_url=sqlite_url(tmp_path / "banksman.db"), reach=Reach((f"file:{public}",))
    )
    return Place(public / "shop.git", public / "dev", replace(context, label=label, outside=outside, timeout_s=30))
