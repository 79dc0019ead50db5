"""`banksman channel list`, `diff` and `accept`: contracts of channels, as the file has them and as they were accepted.

What is accepted is in the database, with who accepted it and when; it holds for whatever is asked for after that.
"""

import difflib
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import typer

from bot.blocks.text import one_line
from bot.cli.asking import UsageError
from bot.cli.installation import Installation, Refused, opened
from bot.cli.output import BAD, REFUSED, console, print_json
from core.actions.agreed import BESIDE, FIRST, Agreed, Standing, all_standings, held, waits
from core.actions.contract import Contract
from core.actions.narrowing import wider
from core.clock import rfc3339
from core.config.settings import Settings
from core.nearest import did_you_mean
from core.record.changes import Refusal
from core.runs import agreeing
from core.runs.commands.agree import may_accept
from core.store import agreements

_MARKS: Mapping[Standing, str] = {"accepted": "ok", "within": "ok", "new": "+ ", "wider": "!!", "removed": "!!"}
_WAITS = ("wider", "removed")
_SAID: Mapping[Standing, str] = {
    "accepted": "as it was accepted",
    "within": "another one than was accepted, within it, so it holds",
    "new": "the first one, which holds; the bot takes it as accepted",
    "wider": "wider than the accepted one, which holds",
    "removed": "not in the file any more; the accepted one holds",
}


@dataclass(frozen=True)
class _Line:
    """One channel."""

    name: str
    standing: Standing
    written: Contract | None
    agreed: Agreed | None

    @property
    def waits(self) -> bool:
        return self.standing in _WAITS

    @property
    def accepted(self) -> Contract | None:
        return None if self.agreed is None else self.agreed.contract

    @property
    def by(self) -> str:
        """Who accepted it, for people."""
        if self.agreed is None:
            return "nobody has accepted anything yet"
        by = {FIRST: "its being the first", BESIDE: "its being the first, so what is agreed by name holds, too"}
        return f"version {self.agreed.version}, by {by.get(self.agreed.by, self.agreed.by)}"

    def as_json(self) -> dict[str, Any]:
        holds = held(self.written, self.agreed)
        parts = () if self.written is None or self.accepted is None else wider(self.written, self.accepted)
        return {
            "channel": self.name,
            "standing": self.standing,
            "wider": list(parts),
            "file": None if self.written is None else self.written.to_json(),
            "holds": None if holds is None else holds.to_json(),
            "accepted": None if self.accepted is None else self.accepted.to_json(),
            "accepted_digest": None if self.accepted is None else self.accepted.digest,
            "version": None if self.agreed is None else self.agreed.version,
            "accepted_by": None if self.agreed is None else self.agreed.by,
            "accepted_at": None if self.agreed is None else rfc3339(self.agreed.at_ms),
        }


async def listing(settings: Settings, *, as_json: bool) -> int:
    """Say how every contract stands; 1 if one waits for an operator."""
    async with opened(settings) as here:
        lines = await _lines(here)
    waiting = any(each.waits for each in lines)
    if as_json:
        print_json({"ok": not waiting, "channels": [each.as_json() for each in lines]})
        return BAD if waiting else 0
    if not lines:
        console.print("No contracts. `channels` in banksman.yml has them.", markup=False)
    for each in lines:
        console.print(f"{_MARKS[each.standing]}  {each.name}  {_SAID[each.standing]} · {each.by}", markup=False)
        if (sentence := waits(each.written, each.agreed)) is not None:
            console.print(f"    {sentence}", markup=False)
    return BAD if waiting else 0


async def difference(settings: Settings, name: str | None, *, as_json: bool) -> int:
    """Show how contracts differ from the accepted ones; 1 if one waits for an operator."""
    async with opened(settings) as here:
        lines = await _lines(here)
    chosen = lines if name is None else [_named(name, lines)]
    differing = [each for each in chosen if each.standing != "accepted"]
    if as_json:
        print_json({"differences": [each.as_json() for each in differing]})
    else:
        for each in differing:
            print("\n".join(_shown(each)))
        if not differing:
            console.print("Everything is as it was accepted.")
    return BAD if any(each.waits for each in differing) else 0


async def accept(settings: Settings, name: str, *, as_name: str | None, yes: bool, as_json: bool) -> int:
    """Accept a channel's contract as the file has it; shows the difference and asks first."""
    async with opened(settings) as here:
        by = here.principal(as_name)
        if (refusal := may_accept(by)) is not None:
            raise Refused(refusal.text)
        found = _named(name, await _lines(here))
        if not yes:
            print("\n".join(_shown(found)), file=sys.stderr)
            if not typer.confirm("Accept this?", err=True):
                return REFUSED
        now_ms = here.clock.wall_ms()
        done = await agreeing.accept(
            here.database, here.tenant, found.name, found.written, found.agreed, by=by, now_ms=now_ms
        )
        if isinstance(done, Refusal):
            raise Refused(done.text)
        if as_json:
            print_json({"accepted": _named(name, await _lines(here, also=name)).as_json()})
        else:
            console.print(done.text, markup=False)
        return 0


async def _lines(here: Installation, *, also: str | None = None) -> list[_Line]:
    written, agreed = here.config.contracts, await agreements.latest(here.database, here.tenant)
    standings = all_standings(written, agreed)
    if also is not None:
        standings.setdefault(also, "accepted")  # that it has none any more
    return [_Line(name, each, written.get(name), agreed.get(name)) for name, each in standings.items()]


def _named(name: str, lines: list[_Line]) -> _Line:
    found = next((each for each in lines if each.name == name), None)
    if found is None:
        hint = did_you_mean(name, [each.name for each in lines], noun="Channels with one")
        raise UsageError(f"There is no contract of {one_line(name, 80)}. {hint}".rstrip())
    return found


def _shown(line: _Line) -> Iterator[str]:
    """A contract's difference, for reading: every character that could deceive is spelled out by JSON."""
    yield f"{line.name} ({_SAID[line.standing]})"
    accepted, written = (_text(each) for each in (line.accepted, line.written))
    yield from difflib.unified_diff(accepted, written, "accepted", "file", lineterm="", n=20)


def _text(contract: Contract | None) -> list[str]:
    return [] if contract is None else json.dumps(contract.to_json(), indent=2, sort_keys=True).splitlines()
