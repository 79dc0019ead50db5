"""Reading a database past the product's own queries: what is really in the tables."""

from typing import Any

from sqlalchemy import text

from core.store.session import Database
from core.store.statements import RUN_KEY


async def rows(database: Database, sql: str, **values: Any) -> list[dict[str, Any]]:
    """What a query returns, each row by column name."""
    async with database.read() as connection:
        return [dict(row) for row in (await connection.execute(text(sql), values)).mappings()]


async def count_rows(database: Database, table: str, column: str = "", value: str = "") -> int:
    """How many rows a table has, or how many with that value."""
    where = f" WHERE {column} = :value" if column else ""
    values = {"value": value} if column else {}
    return int((await rows(database, f"SELECT count(*) AS n FROM {table}{where}", **values))[0]["n"])


async def everything_of(database: Database, run_id: str) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table that belongs to a run, in a stable order.

    Blobs and documents belong to nobody: they are named by their content and true whether or not a change lands.
    """
    found = {"runs": await rows(database, "SELECT * FROM runs WHERE id = :id", id=run_id)}
    for table, column in RUN_KEY.items():
        found[table] = await rows(database, f"SELECT * FROM {table} WHERE {column} = :id", id=run_id)
    return {table: sorted(listed, key=repr) for table, listed in found.items()}
