"""Looks at a living database for anything that must not be: every rule of `invariants.py` and `retelling.py`, on one
moment of it, without writing anything.

Rows and files are read in batches, so a large history takes time and not memory. What was not looked at is said, never
counted as good.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, Table, select, text

from core.artifacts import ObjectStore
from core.clock import Clock
from core.errors import ArtifactCorrupt, BanksmanError
from core.store.invariants import INVARIANTS, NOT_HERE, Invariant, times
from core.store.readonly import Look, Row, TooSlow
from core.store.retelling import Chains, Fold, broken_call, broken_document, broken_votes
from core.store.tables import approvals, artifacts, documents, events, runs, tool_calls, votes

MOST_SHOWN = 5
BATCH = 500
MOST_FILE_BYTES = 4 << 30
"""How much of the artifact store is read; the newest files first."""
_MOST_INPUT_BYTES = 200_000
_RUNS_AT_ONCE = 50
_HASHED = 100_000
"""Digests remembered so that a file many runs have is read once."""

Verdict = Literal["ok", "violated", "not-checked"]

_TAMPERED = "The log or a row was changed outside of Banksman. Keep a copy of the database, and trust no backup since."
_FILES = "The artifact store lost or changed a file. It is never handed out; restore it from a backup."
_SEEN = "A vote counts that was given on something else. Look at what the call did, freeze its agent, and report it."


@dataclass(frozen=True)
class Examined:
    """What came of one rule."""

    id: str
    sentence: str
    verdict: Verdict
    offending: tuple[str, ...] = ()
    """The first few things that break it, each beginning with an id."""
    more: bool = False
    """Whether there are more."""
    why: str = ""
    """Why it was not, or not wholly, checked."""
    remedy: str = ""
    """What a violation means, and what to do."""
    answerable: bool = True
    """Whether this database could have answered."""


async def examine(look: Look, objects: ObjectStore, clock: Clock, boot_id: str) -> list[Examined]:
    """Check every rule; takes as long as reading the whole history."""
    parameters = await _times(look, clock, boot_id)
    found = [await _query(look, rule, parameters if rule.timed else {}) for rule in INVARIANTS]
    found += await _logs(look)
    found.append(await _walk("I13", "stored actions have the digests that were approved", _TAMPERED, _calls(look)))
    found.append(await _walk("I15", "who approved had seen exactly this", _SEEN, _votes(look, objects)))
    found.append(await _walk("I19", "what runs pinned has its digest", _TAMPERED, _documents(look)))
    found.append(await _files(look, objects))
    found += [Examined(*rule, answerable=False) for rule in _not_here()]
    return sorted(found, key=lambda one: int(one.id[1:]))


def _not_here() -> Iterable[tuple[str, str, Verdict, tuple[str, ...], bool, str]]:
    for id_, sentence, why in NOT_HERE:
        yield id_, sentence, "not-checked", (), False, why


async def _times(look: Look, clock: Clock, boot_id: str) -> dict[str, int | str]:
    if look.dialect == "sqlite":
        return times(now_ms=clock.wall_ms(), lease_ms=clock.boot_ms(), boot_id=boot_id)
    (row,) = await look.rows(text("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now"))
    return times(now_ms=row["now"], lease_ms=row["now"], boot_id="")


async def _query(look: Look, rule: Invariant, parameters: dict[str, int | str]) -> Examined:
    wanted = {name: value for name, value in parameters.items() if f":{name}" in rule.sql}
    try:
        rows = await look.first(rule.sql, wanted, MOST_SHOWN + 1)
    except TooSlow:
        return _too_slow(rule.id, rule.sentence, look)
    return _judged(rule.id, rule.sentence, rule.means, [" ".join(str(part) for part in row.values()) for row in rows])


def _judged(id_: str, sentence: str, remedy: str, lines: Sequence[str], why: str = "") -> Examined:
    if not lines:
        return Examined(id_, sentence, "ok", why=why)
    return Examined(id_, sentence, "violated", tuple(lines[:MOST_SHOWN]), len(lines) > MOST_SHOWN, why, remedy)


def _too_slow(id_: str, sentence: str, look: Look) -> Examined:
    why = f"it takes longer than {look.statement_s:.0f} s here; allow more with --within, or look at a restored copy"
    return Examined(id_, sentence, "not-checked", why=why)


async def _walk(id_: str, sentence: str, remedy: str, lines: AsyncIterator[str]) -> Examined:
    """Judge what a walk over rows yields; enough is enough."""
    found: list[str] = []
    try:
        async with aclosing(lines) as each:  # type: ignore[type-var]
            async for line in each:
                found.append(line)
                if len(found) > MOST_SHOWN:
                    break
    except TooSlow as slow:
        return Examined(id_, sentence, "not-checked", why=str(slow) or "a batch of rows could not be read in time")
    return _judged(id_, sentence, remedy, found)


async def _logs(look: Look) -> list[Examined]:
    """Both walks over the log in one."""
    chains, folds = Chains(), _Folds(look)
    broken: list[str] = []
    sentences = "each event has the hash of what it says", "the log alone tells what the rows say"
    try:
        async for batch in look.all_of(events, batch=BATCH):
            for row in batch:
                if len(broken) <= MOST_SHOWN:
                    broken += chains.broken(row)
                await folds.add(row)
        await folds.finish()
    except TooSlow:
        return [_too_slow(id_, said, look) for id_, said in zip(("I2", "I40"), sentences, strict=True)]
    return [
        _judged("I2", sentences[0], _TAMPERED, broken),
        _judged("I40", sentences[1], _TAMPERED, folds.broken),
    ]


class _Folds:
    """Runs rebuilt from their logs, compared with their rows some at a time."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._done: list[Fold] = []
        self._now: Fold | None = None
        self.broken: list[str] = []

    async def add(self, row: Row) -> None:
        """Take in the next event."""
        if self._now is None or (self._now.tenant, self._now.run_id) != (row["tenant"], row["stream"]):
            if self._now is not None:
                self._done.append(self._now)
            if len(self._done) >= _RUNS_AT_ONCE:
                await self._compare()
            self._now = Fold(row["tenant"], row["stream"])
        self._now.add(row)

    async def finish(self) -> None:
        """Compare what is left."""
        if self._now is not None:
            self._done.append(self._now)
        await self._compare()

    async def _compare(self) -> None:
        folds, self._done = self._done, []
        if len(self.broken) > MOST_SHOWN or not folds:
            return
        ids = [fold.run_id for fold in folds]
        found = await self._look.rows(_only(runs, "tenant id state fence killed_fence").where(runs.c.id.in_(ids)))
        rows = {(row["tenant"], row["id"]): row for row in found}
        columns = "tenant run_id id status attempts action_digest"
        calls = await self._grouped(_only(tool_calls, columns).where(tool_calls.c.run_id.in_(ids)))
        columns = "tenant run_id id status"
        asked = await self._grouped(_only(approvals, columns).where(approvals.c.run_id.in_(ids)))
        for fold in folds:
            key = fold.tenant, fold.run_id
            self.broken += fold.differs(rows.get(key), calls.get(key, []), asked.get(key, []))

    async def _grouped(self, statement: Select[Any]) -> dict[tuple[str, str], list[Row]]:
        found: dict[tuple[str, str], list[Row]] = {}
        for row in await self._look.rows(statement):
            found.setdefault((row["tenant"], row["run_id"]), []).append(row)
        return found


def _only(table: Table, names: str) -> Select[Any]:
    return select(*(table.c[name] for name in names.split()))


async def _calls(look: Look) -> AsyncIterator[str]:
    async for batch in look.all_of(tool_calls, batch=BATCH // 5):
        for row in batch:
            for line in broken_call(row):
                yield line
    where: ColumnElement[bool] = approvals.c.action_digest != tool_calls.c.action_digest
    joined = (approvals.c.tenant == tool_calls.c.tenant) & (approvals.c.call_id == tool_calls.c.id)
    for row in await look.rows(select(approvals.c.id).join(tool_calls, joined).where(where).limit(MOST_SHOWN + 1)):
        yield f"{row['id']}: it is about another action than its call"


async def _documents(look: Look) -> AsyncIterator[str]:
    async for batch in look.all_of(documents, batch=BATCH // 5):
        for row in batch:
            for line in broken_document(row):
                yield line


async def _votes(look: Look, objects: ObjectStore) -> AsyncIterator[str]:
    counted = approvals.c.status.in_(("approved", "consumed")) & (approvals.c.kind == "ask")
    async for batch in look.all_of(approvals, counted, batch=BATCH // 10):
        calls = await look.rows(
            select(tool_calls.c.tenant, tool_calls.c.id, tool_calls.c.envelope).where(
                tool_calls.c.id.in_([row["call_id"] for row in batch])
            )
        )
        envelopes = {(row["tenant"], row["id"]): row["envelope"] for row in calls}
        live = (votes.c.decision == "approve") & votes.c.revoked_at.is_(None)
        given = await look.rows(select(votes).where(live, votes.c.approval_id.in_([row["id"] for row in batch])))
        for row in batch:
            mine = [v for v in given if (v["tenant"], v["approval_id"]) == (row["tenant"], row["id"])]
            envelope = envelopes.get((row["tenant"], row["call_id"]), "")
            for line in broken_votes(row, envelope, mine, await _inputs(look, objects, row)):
                yield line


async def _inputs(look: Look, objects: ObjectStore, approval: Row) -> dict[str, bytes]:
    """What the action carries; what is missing shows as a text that nobody has seen."""
    carried = await look.rows(
        select(artifacts.c.sha256).where(
            artifacts.c.tenant == approval["tenant"],
            artifacts.c.call_id == approval["call_id"],
            artifacts.c.role == "context",
            artifacts.c.size <= _MOST_INPUT_BYTES,
        )
    )
    found = {}
    for row in carried:
        try:
            found[row["sha256"]] = await objects.read(row["sha256"], _MOST_INPUT_BYTES)
        except ArtifactCorrupt:
            continue
    return found


async def _files(look: Look, objects: ObjectStore) -> Examined:
    """Every file that a run has, read and hashed, the newest first, up to a bound."""
    id_, sentence = "I19", "each file is in the artifact store, with the digest it was stored under"
    broken: list[str] = []
    seen = read_bytes = 0
    newest = select(artifacts.c.sha256, artifacts.c.size, artifacts.c.id).order_by(artifacts.c.id.desc()).limit(BATCH)
    before: str | None = None
    hashed: set[str] = set()
    try:
        while rows := await look.rows(newest if before is None else newest.where(artifacts.c.id < before)):
            for row in rows:
                if read_bytes + row["size"] > MOST_FILE_BYTES or len(broken) > MOST_SHOWN:
                    why = f"only the newest {seen} files were read, {read_bytes} bytes"
                    return _judged(id_, sentence, _FILES, broken, why)
                seen += 1
                if row["sha256"] in hashed:
                    continue
                read_bytes += row["size"]
                if len(hashed) > _HASHED:
                    hashed.clear()
                hashed.add(row["sha256"])
                try:
                    async for _ in objects.open(row["sha256"]):
                        pass
                except ArtifactCorrupt as error:
                    broken.append(f"{row['id']}: {error.user_text}")
            before = rows[-1]["id"]
    except TooSlow:
        return _too_slow(id_, sentence, look)
    except BanksmanError as error:
        return Examined(id_, sentence, "not-checked", why=error.user_text)
    return _judged(id_, sentence, _FILES, broken)
