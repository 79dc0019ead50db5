"""`banksman doctor --invariants`: does everything hold that must, in a database that is in use.

Needs the database and the artifact store, neither Redis nor Slack nor a usable configuration. Writes nothing.
"""

from dataclasses import asdict
from typing import Any

from rich.markup import escape

from bot.cli.output import BAD, USAGE, console, print_json
from core.artifacts import FileStore
from core.clock import SystemClock, boot_id
from core.config.settings import Settings
from core.store import schema
from core.store.examining import Examined, examine
from core.store.readonly import looking

_MARKS = {"ok": "[green]ok[/]", "violated": "[red]no[/]", "not-checked": "[yellow]--[/]"}


async def check(settings: Settings, *, within_s: float, as_json: bool) -> int:
    """Look at everything; 0 if all holds, 1 if something does not, 2 if one could not look at all of it.

    Args:
        within_s: How long one look may take.

    Raises:
        ConfigError: the database is not there, or cannot be reached.
        SchemaMismatch: it is not this version's.
    """
    disturbed = True
    while disturbed:
        async with looking(settings.database_url, statement_s=within_s) as look:
            await schema.check_read_only(look)
            found = await examine(look, FileStore(settings.artifacts_dir), SystemClock(), boot_id())
            disturbed = look.was_disturbed()
    code = _code(found)
    if as_json:
        print_json({"ok": code == 0, **_counts(found), "invariants": [_shape(one) for one in found]})
    else:
        for one in found:
            _say(one)
        counts = _counts(found)
        console.print(
            f"{counts['holding']} hold, {counts['violated']} do not, {counts['not_checked']} were not checked."
        )
    return code


def _code(found: list[Examined]) -> int:
    if any(one.verdict == "violated" for one in found):
        return BAD
    return USAGE if any(one.verdict == "not-checked" and one.answerable for one in found) else 0


def _counts(found: list[Examined]) -> dict[str, int]:
    verdicts = [one.verdict for one in found]
    return {name.replace("-", "_"): verdicts.count(verdict) for name, verdict in _NAMES}


_NAMES: tuple[tuple[str, Any], ...] = (("holding", "ok"), ("violated", "violated"), ("not-checked", "not-checked"))


def _shape(one: Examined) -> dict[str, Any]:
    return {name: value for name, value in asdict(one).items() if name != "answerable"}


def _say(one: Examined) -> None:
    why = f" ({one.why})" if one.why else ""
    console.print(f"{_MARKS[one.verdict]}  {one.id:<4}{escape(one.sentence + why)}")
    for line in one.offending:
        console.print(f"          {escape(line)}")
    if one.more:
        console.print("          and more")
    if one.remedy:
        console.print(f"          {escape(one.remedy)}")
