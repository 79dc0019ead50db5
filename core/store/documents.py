"""Playbooks and policies by content: what a run pinned can be read for as long as the run can."""

from collections import OrderedDict
from dataclasses import dataclass

from sqlalchemy import select

from core.store.session import Database
from core.store.tables import documents

_REMEMBERED = 64


@dataclass(frozen=True)
class Document:
    """A pinned text."""

    kind: str
    body: str


class Documents:
    """Reads pinned texts and remembers the last ones: content under a digest never changes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: OrderedDict[tuple[str, str], Document] = OrderedDict()

    async def find(self, tenant: str, digest: str) -> Document | None:
        """The text with that digest, if the tenant has it."""
        key = (tenant, digest)
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        found = await find(self._database, tenant, digest)
        if found is not None:
            self._known[key] = found
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return found


async def find(database: Database, tenant: str, digest: str) -> Document | None:
    """The text with that digest, if the tenant has it."""
    statement = select(documents.c.kind, documents.c.body).where(
        documents.c.tenant == tenant, documents.c.digest == digest
    )
    async with database.read() as connection:
        row = (await connection.execute(statement)).one_or_none()
    return None if row is None else Document(row.kind, row.body)
