"""The house a history happens in: who is there, which tools there are, and what the operator's policies say.

Policies are written twice: as the product reads them, and in the few words the model judges by.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from core.actions.envelope import digest
from core.actions.policy import parse
from core.principals import Principal
from core.runs.commands.request import Pinned
from core.runs.rulebook import Rulebook
from core.runs.toolbox import DeclaredTool, Toolbox
from core.tools.base import EffectTier, RecoveryClass
from tests.factories import NoArguments, StillTool

DAY_MS = 24 * 3600 * 1000
MINUTE_MS = 60_000
KEY_LIFE_MS = 2 * DAY_MS
"""How long the outside world remembers an idempotency key."""
TIMEOUT_MS = 60_000
SETTLE_MS = 30_000
"""How long after its time limit a request may still arrive."""
LEASE_MS = 10_000
MOST_ATTEMPTS = 4
WORKERS = ("w1", "w2", "w3")

APPROVER = frozenset({"approver"})
PEOPLE = {
    "ana": Principal("ana"),
    "alex": Principal("alex", APPROVER),
    "ben": Principal("ben", APPROVER),
    "cat": Principal("cat", APPROVER),
    "mia": Principal("mia"),
    "omar": Principal("omar", frozenset({"operator"})),
    "gus": Principal("gus", APPROVER, external=True),
}
REQUESTERS = ("ana", "ana", "alex")


@dataclass(frozen=True)
class Kind:
    """One tool as operator, outside world and model know it."""

    tier: EffectTier
    recovery: RecoveryClass

    @property
    def acts(self) -> bool:
        """Whether it does anything outside."""
        return self.tier not in ("read", "workspace")


TOOLS: Mapping[str, Kind] = {
    "look": Kind("read", "pure"),
    "build": Kind("workspace", "opaque"),
    "note": Kind("compensable", "idempotent"),
    "push": Kind("compensable", "reconcilable"),
    "push.undo": Kind("compensable", "reconcilable"),
    "pay": Kind("irreversible", "opaque"),
    "ask": Kind("read", "pure"),
}


def _text(*rules: Mapping[str, Any], **more: Any) -> str:
    return json.dumps({"policy": {"rules": list(rules), "expires_ms": 60 * MINUTE_MS} | more})


_FREE = {"name": "notes", "decision": "allow", "tools": ["note", "look", "build", "ask"]}
_TWO = {"name": "two", "decision": "ask", "tools": ["pay"], "quorum": 2}
_ASKS = {"look": 0, "build": 0, "ask": 0, "note": 1, "push": 1, "push.undo": 1, "pay": 1}

POLICIES: Mapping[str, tuple[str, Mapping[str, int | None]]] = {
    "plain": (_text(), _ASKS),
    "two": (_text(_FREE, _TWO), {**_ASKS, "note": 0, "pay": 2}),
    "two-again": (_text(_FREE, _TWO, use_within_ms=5 * MINUTE_MS), {**_ASKS, "note": 0, "pay": 2}),
    "never": (_text(denials=[{"name": "never", "tools": ["pay"]}]), {**_ASKS, "pay": None}),
}
"""By name: the text, and by tool how many people have to agree (0 = nobody is asked, `None` = it is forbidden)."""


@dataclass(frozen=True)
class Named(StillTool):
    """A tool that is only decided about."""

    name: str = ""  # type: ignore[misc]


class Undone(Named):
    """One whose effect another takes back."""

    @property
    def undo(self) -> Named:
        return Named("push.undo")

    def undo_args(self, args: Mapping[str, Any], out: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"of": args["n"]}


def _validate(name: str, args: Mapping[str, Any]) -> BaseModel:
    return NoArguments()


UNDOINGS = {"push": Undone("push")}


def _declared(name: str, kind: Kind) -> DeclaredTool:
    life_s = KEY_LIFE_MS / 1000 if kind.recovery == "idempotent" else None
    return DeclaredTool(Named(name), digest(name.encode()), kind.tier, kind.recovery, TIMEOUT_MS / 1000, life_s)


TOOLBOX = Toolbox({name: _declared(name, kind) for name, kind in TOOLS.items()}, _validate)
RULEBOOKS: Mapping[str, Rulebook] = {
    name: Rulebook(Pinned("policy", text), parse(text), TOOLBOX, {}) for name, (text, _) in POLICIES.items()
}
BY_DIGEST = {rules.pinned.digest: name for name, rules in RULEBOOKS.items()}
