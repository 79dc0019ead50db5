"""`banksman doctor --artifacts`: is every stored file that a run names still what it was.

Needs the database and the artifact store, neither Redis nor Slack nor a usable configuration. Writes nothing.
"""

from dataclasses import dataclass, field

from rich.markup import escape

from bot.blocks.words import count
from bot.cli.output import BAD, USAGE, console, print_json
from core.artifacts import REMEDY, FileStore, megabytes
from core.clock import SystemClock
from core.config.settings import Settings
from core.runs.collecting import AGE_S
from core.store import schema
from core.store.readonly import Look, TooSlow, looking
from core.store.stored_files import Hashed, Orphaned, hashed, orphaned

MOST_LISTED = 1_000
"""Damaged files that are listed; the others are only counted."""

_MOST_WALKED = 1_000_000


async def check(settings: Settings, *, within_s: float, as_json: bool) -> int:
    """Read all files; 0 if all are intact, 1 if one is not, 2 if not all could be looked at.

    Args:
        within_s: How long one look at the database may take.

    Raises:
        ConfigError: the database is not there, or cannot be reached.
        SchemaMismatch: it is not this version's.
    """
    objects, disturbed = FileStore(settings.artifacts_dir), True
    while disturbed:
        async with looking(settings.database_url, statement_s=within_s) as look:
            await schema.check_read_only(look)
            found = await _read(look, objects)
            disturbed = look.was_disturbed()
    ok = not found.damaged and not found.slow
    if as_json:
        orphaned_shape = {"files": found.orphaned.files, "bytes": found.orphaned.size}
        counted = {"files": found.files, "bytes": found.size, "damaged": found.damaged}
        print_json({"ok": ok, **counted, "listed": _shapes(found.listed), "orphaned": orphaned_shape})
    else:
        _say(found)
    return BAD if found.damaged else 0 if ok else USAGE


@dataclass
class _Found:
    files: int = 0
    size: int = 0
    damaged: int = 0
    listed: list[Hashed] = field(default_factory=list)
    orphaned: Orphaned = field(default_factory=Orphaned)
    slow: bool = False


async def _read(look: Look, objects: FileStore) -> _Found:
    found = _Found()
    try:
        async for file in hashed(look, objects):
            found.files, found.size = found.files + 1, found.size + file.size
            found.damaged += bool(file.wrong)
            if file.wrong and len(found.listed) < MOST_LISTED:
                found.listed.append(file)
        found.orphaned = await orphans(look, objects, most=_MOST_WALKED)
    except TooSlow:
        found.slow = True
    return found


async def orphans(look: Look, objects: FileStore, *, most: int) -> Orphaned:
    """What the sweeper is going to collect."""
    return await orphaned(look, objects, older_than_s=AGE_S, most=most, now_ms=SystemClock().wall_ms())


def sentence(found: Orphaned) -> str:
    """Say how much nothing names."""
    if not found.files:
        return "every file older than a day is named by a run"
    at_least = "at least " if found.at_least else ""
    files = count(found.files, "file")
    return f"{at_least}{files} older than a day that no run names ({megabytes(found.size)}), to be collected"


def _say(found: _Found) -> None:
    for file in found.listed:
        console.print(f"[red]no[/]  {file.sha256[:12]}… {escape(file.wrong)}")
        for row in file.named_by:
            console.print(f"      {row['run_id']}: {escape(repr(row['name']))} ({row['role']})")
        if file.more:
            console.print("      and more runs")
    intact = found.files - found.damaged
    console.print(f"{count(intact, 'file')} intact, {found.damaged} damaged; {megabytes(found.size)} in all.")
    console.print(sentence(found.orphaned).capitalize() + ".")
    if found.damaged:
        console.print(REMEDY)
    if found.slow:
        console.print("Not all was looked at: the database takes longer than allowed. Allow more with --within.")


def _shapes(files: list[Hashed]) -> list[dict[str, object]]:
    return [
        {
            "sha256": file.sha256,
            "size": file.size,
            "wrong": file.wrong,
            "named_by": [{name: row[name] for name in ("id", "run_id", "role", "name")} for row in file.named_by],
        }
        for file in files
    ]
