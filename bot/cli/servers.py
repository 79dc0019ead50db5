"""`banksman mcp list`, `diff` and `accept`: what MCP servers offer, and how that differs from what was accepted.

Servers are asked by a worker's own code, in a process of its own. What is accepted is written beside the configuration;
running bots and workers take it up within seconds.
"""

import asyncio
import difflib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import typer

from bot.blocks.text import one_line
from bot.cli.asking import UsageError
from bot.cli.installation import BadAnswer
from bot.cli.output import BAD, REFUSED, console, print_json
from core.config.accepted import (
    accepted_path,
    changes,
    collisions,
    pin_of,
    reaches_out,
    runs_as_task,
    tool_name,
    write_accepted,
)
from core.config.load import Config, load_config
from core.config.settings import Settings
from core.nearest import did_you_mean

Standing = Literal["accepted", "changed", "new", "gone", "unknown"]

_MARKS: Mapping[Standing, str] = {"accepted": "ok", "changed": "!!", "new": "+ ", "gone": "- ", "unknown": "? "}

_AS_TASK = "runs only as a task, and Banksman makes direct calls"


@dataclass(frozen=True)
class _Offer:
    """One tool: what a server says of it now, and what was accepted."""

    server: str
    own_name: str
    now: Mapping[str, Any] | None
    before: Mapping[str, Any] | None
    answered: bool

    @property
    def standing(self) -> Standing:
        if not self.answered:
            return "unknown"
        if self.now is None:
            return "gone"
        if self.before is None:
            return "new"
        return "accepted" if pin_of(self.now) == pin_of(self.before) else "changed"

    @property
    def name(self) -> str:
        return tool_name(self.server, self.own_name)

    @property
    def only_as_task(self) -> bool:
        """Whether it takes no direct call, so that it is no use to accept it."""
        return self.now is not None and runs_as_task(self.now)

    @property
    def differs(self) -> bool:
        """Whether there is something to accept, or to take out."""
        return self.standing in ("changed", "new", "gone") and not (self.standing == "new" and self.only_as_task)

    def as_json(self, config: Config) -> dict[str, Any]:
        word = config.tool(self.name)
        return {
            "name": self.name,
            "server": self.server,
            "own_name": self.own_name,
            "standing": self.standing,
            "task": self.only_as_task,
            "tier": word.tier,
            "recovery": word.recovery,
            "pin": None if self.now is None else pin_of(self.now),
            "accepted_pin": None if self.before is None else pin_of(self.before),
        }


async def listing(settings: Settings, server: str | None, *, as_json: bool) -> int:
    """Say what every server offers; 1 if one does not answer or something is not as it was accepted."""
    config = load_config(settings.config_path)
    offers, errors = await _offers(settings, config, _named(config, server))
    wrong = bool(errors) or any(each.standing in ("changed", "gone") for each in offers)
    if as_json:
        tools = [each.as_json(config) for each in offers]
        print_json({"ok": not wrong, "file": str(accepted_path(config.path)), "tools": tools, "errors": errors})
        return BAD if wrong else 0
    if not config.servers:
        console.print("No MCP servers. `mcp: {servers: …}` in banksman.yml names them.", markup=False)
    for name, why in errors.items():
        console.print(f"no  {name}: {one_line(why, 500)}", markup=False)
    for each in offers:
        if each.only_as_task:
            console.print(f"no  {each.name}  {_AS_TASK}", markup=False)
            continue
        word = config.tool(each.name)
        tier = word.tier or "no tier, so it asks"
        console.print(f"{_MARKS[each.standing]}  {each.name}  {each.standing} · {tier} · {word.recovery}", markup=False)
    return BAD if wrong else 0


async def difference(settings: Settings, server: str | None, *, as_json: bool) -> int:
    """Show how what servers offer differs from what was accepted; 1 if it does."""
    config = load_config(settings.config_path)
    offers, errors = await _offers(settings, config, _named(config, server))
    differing = [each for each in offers if each.differs]
    if as_json:
        found = [{**each.as_json(config), "now": each.now, "accepted": each.before} for each in differing]
        print_json({"differences": found, "errors": errors})
    else:
        for name, why in errors.items():
            console.print(f"no  {name}: {one_line(why, 500)}", markup=False)
        for each in differing:
            print("\n".join(_shown(each)))
        if not differing and not errors:
            console.print("Everything is as it was accepted.")
    return BAD if differing or errors else 0


async def accept(settings: Settings, wanted: str, *, yes: bool, as_json: bool) -> int:
    """Accept what a server, or one tool of it, says of itself now; shows the difference and asks first."""
    config = load_config(settings.config_path)
    server, _, own_name = wanted.partition("/")
    offers, errors = await _offers(settings, config, _named(config, server))
    if server in errors:
        raise BadAnswer(f"{server} cannot be asked: {errors[server]}")
    chosen = [each for each in offers if not own_name or own_name in (each.own_name, each.name)]
    if not chosen:
        hint = did_you_mean(own_name, [each.own_name for each in offers], noun="It offers")
        raise BadAnswer(f"{server} offers no {one_line(own_name, 80)}. {hint}")
    if both := collisions(server, [each.own_name for each in offers if each.now is not None]):
        one, other = both[0]
        raise BadAnswer(f"{one} and {other} of {server} would both be called {tool_name(server, one)}.")
    left_out = [each for each in chosen if each.only_as_task]
    if left_out and own_name:
        raise BadAnswer(f"{left_out[0].name} {_AS_TASK}.")
    differing = [each for each in chosen if each.differs and not each.only_as_task]
    if differing and not yes:
        for each in differing:
            print("\n".join(_shown(each)), file=sys.stderr)
        if not typer.confirm("Accept this?", err=True):
            return REFUSED
    accepted = {name: dict(tools) for name, tools in config.accepted.items()}
    mine = accepted.setdefault(server, {})
    for each in differing:
        if each.now is None:
            del mine[each.own_name]
        else:
            mine[each.own_name] = each.now
    if differing:
        write_accepted(config.path, accepted)
    if as_json:
        print_json({"accepted": [each.as_json(config) for each in differing], "file": str(accepted_path(config.path))})
        return 0
    for each in differing:
        tier = config.tool(each.name).tier
        done = "removed" if each.now is None else "accepted"
        console.print(f"{done}  {each.name}", markup=False)
        if each.now is not None and tier is None:
            remedy = f"Nothing says what its effect is, so it asks: add `{each.name}: {{tier: …}}` under `tools`."
            console.print(f"    {remedy}", markup=False)
        if each.now is not None and reaches_out(each.now) and not config.servers[server].outside:
            remedy = f"It says that it reaches out, and {server} runs without a network: `network: host` gives it one."
            console.print(f"    {remedy}", markup=False)
    for each in left_out:
        console.print(f"left out  {each.name}  {_AS_TASK}", markup=False)
    if not differing and not left_out:
        console.print("Everything is as it was accepted.")
    return 0


def _named(config: Config, server: str | None) -> list[str]:
    if server is None:
        return list(config.servers)
    if server not in config.servers:
        hint = did_you_mean(server, config.servers, noun="Servers") or "`mcp: {servers: …}` in banksman.yml names them."
        raise UsageError(f"There is no MCP server {one_line(server, 80)}. {hint}")
    return [server]


async def _offers(settings: Settings, config: Config, servers: list[str]) -> tuple[list[_Offer], dict[str, str]]:
    """Every tool that a server offers or that was accepted of it, and why servers do not answer."""
    found = await asyncio.to_thread(_asked, settings, servers) if servers else {}
    errors = {name: str(found[name]["error"]) for name in servers if found[name]["error"] is not None}
    offers = []
    for name in servers:
        now = {each["name"]: each for each in found[name]["tools"]}
        before = config.accepted.get(name, {})
        offers += [
            _Offer(name, own_name, now.get(own_name), before.get(own_name), name not in errors)
            for own_name in sorted({*now, *before})
        ]
    return offers, errors


def _asked(settings: Settings, servers: list[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "worker.servers", *servers]
    environment = {**os.environ, "BANKSMAN_CONFIG": str(settings.config_path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        raise BadAnswer((done.stderr or done.stdout).strip()[-2_000:])
    found: dict[str, Any] = json.loads(done.stdout)["servers"]
    return found


def _shown(offer: _Offer) -> Iterator[str]:
    """A tool's difference, for reading: every character that could deceive is spelled out by JSON."""
    what = f"{offer.standing}"
    if offer.standing == "changed":
        assert offer.before is not None
        assert offer.now is not None
        what += f": {', '.join(changes(offer.before, offer.now))}"
    yield f"{offer.name} ({what})"
    before, now = (_lines(each) for each in (offer.before, offer.now))
    yield from list(difflib.unified_diff(before, now, "accepted", "now", lineterm="", n=2))


def _lines(definition: Mapping[str, Any] | None) -> list[str]:
    return [] if definition is None else json.dumps(definition, indent=2, sort_keys=True).splitlines()
