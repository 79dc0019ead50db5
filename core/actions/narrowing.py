"""Which of two contracts lets less through, part by part, and what both let through.

A part of one is within a part of the other if each name of it is covered by one of the other's. That is looked at name
by name and in writing, so where it cannot be seen, a part counts as wider: then somebody is asked, and nothing is let
through that only one of the two names. Pure.
"""

from collections.abc import Callable
from dataclasses import replace
from fnmatch import fnmatchcase

from core.actions.contract import Contract
from core.actions.policy import Approvers

Names = tuple[str, ...] | None
"""A part that is a list; `None` narrows nothing."""


def wider(one: Contract, other: Contract) -> tuple[str, ...]:
    """The parts in which the first lets through what the second does not, as the file names them."""
    parts = {
        "agents": _within(one.agents, other.agents, _same),
        "tools": _within(one.tools, other.tools, covers_tool),
        "network": _within(one.network, other.network, covers_place),
        "budget": _cheaper(one, other) is one,
        "approvers": _admits_less(one.approvers, other.approvers),
    }
    return tuple(name for name, is_within in parts.items() if not is_within)


def both(one: Contract, other: Contract) -> Contract:
    """What holds where two contracts do: of each part the narrower one. The channel and the default are the first's."""
    agents = _narrower(one.agents, other.agents, _same)
    barred = agents is not None and one.agent not in agents
    return replace(
        one,
        agent=None if barred else one.agent,
        agents=agents,
        tools=_narrower(one.tools, other.tools, covers_tool),
        network=_narrower(one.network, other.network, covers_place),
        budget=_cheaper(one, other).budget,
        approvers=_stricter(one.approvers, other.approvers),
    )


def covers_tool(pattern: str, name: str) -> bool:
    """Whether every tool that is called by the second is called by the first; only `*` at the end is a wildcard."""
    return pattern == name or ("*" in pattern and fnmatchcase(name, pattern))


def covers_place(place: str, other: str) -> bool:
    """Whether every place that the second names is named by the first, as they are written."""
    place, other = place.casefold() if ":/" not in place else place, other.casefold() if ":/" not in other else other
    if place == other:
        return True
    if other.startswith("file:"):
        return place.startswith("file:") and f"{other}/".startswith(f"{place.removesuffix('/')}/")
    if place == "*":
        return True
    if other == "*" or place.startswith("file:"):
        return False
    (wide, host, port), (also_wide, name, at) = _parts(place), _parts(other)
    if port not in ("", at):
        return False
    if wide:
        return name.endswith(f".{host}") or (also_wide and name == host)
    return not also_wide and name == host


def _parts(place: str) -> tuple[bool, str, str]:
    """A host's place as (whether what is below it is meant, host, port or nothing)."""
    wide, rest = place.startswith("*."), place.removeprefix("*.")
    host, _, port = rest.partition("]:") if rest.startswith("[") else rest.partition(":")
    return wide, host.removesuffix("]").removeprefix("["), port


def _same(one: str, other: str) -> bool:
    return one == other


def _within(names: Names, of: Names, covers: Callable[[str, str], bool]) -> bool:
    if of is None:
        return True
    return names is not None and all(any(covers(each, name) for each in of) for name in names)


def _narrower(one: Names, other: Names, covers: Callable[[str, str], bool]) -> Names:
    if _within(one, other, covers):
        return one
    if _within(other, one, covers):
        return other
    assert one is not None
    assert other is not None
    mine = {name for name in one if any(covers(each, name) for each in other)}
    return tuple(sorted(mine | {name for name in other if any(covers(each, name) for each in one)}))


def _cheaper(one: Contract, other: Contract) -> Contract:
    mine, most = one.budget_micro_usd, other.budget_micro_usd
    return one if most is None or (mine is not None and mine <= most) else other


def _admits_less(one: Approvers | None, other: Approvers | None) -> bool:
    if other is None or one == other:
        return True
    if one is None or other.within is not None:
        return False
    return one.roles <= other.roles and one.principals <= other.principals


def _stricter(one: Approvers | None, other: Approvers | None) -> Approvers | None:
    if _admits_less(one, other):
        return one
    if _admits_less(other, one):
        return other
    assert one is not None
    assert other is not None
    return one.narrowed(other)
