"""Many changes of one budget at once, on PostgreSQL, which has more than one writer."""

import asyncio

import asyncpg
import pytest
from sqlalchemy import make_url

from tests.databases import empty
from tests.integration.worker.conftest import Rig
from tests.integration.worker.test_thinking import at
from tests.vendors import Say, openai_server


@pytest.fixture
def database_url(migrated_postgres: str) -> str:
    """PostgreSQL only: SQLite has one writer."""
    asyncio.run(empty(migrated_postgres))
    return migrated_postgres


async def test_reservations_being_written_do_not_wait_for_each_other(rig: Rig) -> None:
    """Rows of `spend` hold the keys of their budgets until their commit, those of many changes at once."""
    await rig.start()
    async with openai_server(Say("So."), Say("So too.")) as vendor:
        await rig.drive(await rig.ask_agent("Say it.", models=[at(vendor.url)]))
        other = await asyncpg.connect(make_url(rig.database.url).set(drivername="postgresql").render_as_string(False))
        try:
            async with other.transaction():
                held = await other.fetch("SELECT id FROM budgets WHERE scope = 'person' FOR KEY SHARE")
                view = await rig.drive(await rig.ask_agent("Say it.", models=[at(vendor.url)]))
        finally:
            await other.close()

    assert 1 == len(held)
    assert "completed" == view.state, (view.outcome, view.blocked_detail)
