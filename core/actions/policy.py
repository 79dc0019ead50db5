"""Policy: whether a proposed effect may start, decided from what the operator wrote down and nothing else.

Effects are gated, not tools: reading and working inside the run's own directory never ask; what changes the world
outside asks; what the operator did not classify asks too. Hard denials come first and nothing lifts them, then the
rules that ask, then those that allow, then the default of the tier. What cannot be decided is denied. Pure: the text
comes from `core.config`, who somebody is and who has voted is decided elsewhere.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, Literal

from core.actions.envelope import digest
from core.errors import TerminalError

Verdict = Literal["allow", "ask", "deny"]

UNCLASSIFIED = "unclassified"
"""The effective tier of a tool the operator did not classify."""

DAY_MS = 24 * 3_600_000
EXPIRES_MS = DAY_MS
USE_WITHIN_MS = 15 * 60_000

_ORDER: tuple[Verdict, ...] = ("deny", "ask", "allow")
"""Kinds of rules in the order they count."""
_CAN_BE_UNDONE = ("read", "workspace", "compensable")
"""Tiers whose effects a requester may be let decide about."""

_READING = {"http": ("method", ("GET", "HEAD"))}
"""Calls of a classified tool that only read, by an argument: the platform's own knowledge, no claim of the tool."""

_MOST_CHARACTERS = 4_096
"""A longer value is not matched: nobody meant a pattern for it."""
_MOST_NUMBER = 2**53 - 1
"""A larger number has no text that every reader writes alike; no action can hold one either."""


class PolicyError(TerminalError):
    """The text is no policy; the message is a sentence."""


class Unevaluable(Exception):
    """A rule cannot be decided for this call; the message says why."""


@dataclass(frozen=True)
class Approvers:
    """Who may decide: holders of a role, and people by name. An empty set admits nobody."""

    roles: frozenset[str] = frozenset()
    principals: frozenset[str] = frozenset()
    within: "Approvers | None" = None
    """Who has to admit them as well: a channel's contract narrows what the policy says."""

    def admits(self, principal_id: str, roles: frozenset[str]) -> bool:
        """Whether somebody with these roles may decide."""
        admitted = principal_id in self.principals or bool(self.roles & roles)
        return admitted and (self.within is None or self.within.admits(principal_id, roles))

    def narrowed(self, by: "Approvers") -> "Approvers":
        """The same, for those whom `by` admits, too."""
        return replace(self, within=by if self.within is None else self.within.narrowed(by))

    def to_json(self) -> dict[str, Any]:
        """The set as it is stored with a question."""
        own: dict[str, Any] = {"roles": sorted(self.roles), "principals": sorted(self.principals)}
        return own if self.within is None else own | {"within": self.within.to_json()}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "Approvers":
        """Read what `to_json` wrote; what is left out admits nobody.

        Raises:
            PolicyError: it is something else.
        """
        reading = _Reading("the approvers", found, ("roles", "principals", "within"))
        within = reading.get("within")
        return cls(
            frozenset(reading.texts("roles")),
            frozenset(reading.texts("principals")),
            None if within is None else cls.from_json(within),
        )


@dataclass(frozen=True)
class Proposal:
    """What is to be decided about."""

    tool: str
    tier: str | None
    """As the operator declared it; `None` = not classified."""
    recovery: str
    agent: str
    environment: str
    args: Mapping[str, Any]
    uses: str | None = None
    """The tool that comes with Banksman behind it, if it goes by a name of the operator's."""


@dataclass(frozen=True)
class Decision:
    """What policy says, and the rule that said it."""

    verdict: Verdict
    rule: str
    tier: str
    """The effective tier."""
    recovery: str
    approvers: Approvers
    quorum: int
    expires_ms: int
    """How long people have to decide."""
    use_within_ms: int
    """How long after the last vote the call may start."""
    self_ok: bool
    """Whether the requester may decide too."""
    why: str
    """A sentence for people."""


@dataclass(frozen=True)
class Rule:
    """One rule of the operator. Every matcher that is there must match."""

    name: str
    decision: Verdict
    tools: tuple[str, ...] = ()
    tiers: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    args: Mapping[str, tuple[str, ...]] | None = None
    approvers: Approvers | None = None
    quorum: int | None = None
    expires_ms: int | None = None
    use_within_ms: int | None = None
    self_ok: bool = False
    reason: str = ""

    def mismatch(self, proposal: Proposal, tier: str) -> str | None:
        """Why the rule is not about this call; `None` if it is.

        Raises:
            Unevaluable: an argument it looks at has no text to compare, and nothing else says that it does not match.
        """
        for what, patterns, value in (
            ("tool", self.tools, proposal.tool),
            ("tier", self.tiers, tier),
            ("agent", self.agents, proposal.agent),
            ("environment", self.environments, proposal.environment),
        ):
            if patterns and not any(_fits(value, pattern) for pattern in patterns):
                return f"the {what} is `{value}`"
        undecided: Unevaluable | None = None
        for path, patterns in (self.args or {}).items():
            try:
                found = _value(proposal.args, path)
            except Unevaluable as error:
                undecided = undecided or error
                continue
            if found is None:
                return f"there is no argument `{path}`"
            if not any(_fits(found, pattern) for pattern in patterns):
                return f"the argument `{path}` is another"
        if undecided is not None:
            raise undecided
        return None


@dataclass(frozen=True)
class Line:
    """One rule as it was looked at."""

    rule: str
    decision: Verdict
    matched: bool
    why: str


@dataclass(frozen=True)
class Policy:
    """All rules, in the order they count."""

    text: str
    rules: tuple[Rule, ...]
    approvers: Approvers
    quorum: int
    expires_ms: int
    use_within_ms: int

    @cached_property
    def digest(self) -> str:
        """The policy's version."""
        return digest(self.text.encode())

    def decide(self, proposal: Proposal) -> Decision:
        """Decide about a call; total, and the same for the same call."""
        tier, recovery = effective(proposal)
        for verdict in _ORDER:
            matched, undecided = [], None
            for rule in self._of(verdict):
                try:
                    if rule.mismatch(proposal, tier) is None:
                        matched.append(rule)
                except Unevaluable as error:
                    undecided = undecided or (rule, error)
            if undecided is not None and not (verdict == "deny" and matched):
                rule, reason = undecided
                return self._decision("deny", rule.name, tier, recovery, why=f"The rule cannot be decided: {reason}.")
            if not matched:
                continue
            match verdict:
                case "ask":
                    return self._asked(matched, tier, recovery)
                case "deny":
                    why = matched[0].reason or "The operator forbids it."
                case _:
                    why = matched[0].reason or "A rule allows it."
            return self._decision(verdict, matched[0].name, tier, recovery, why=why)
        return self._default(tier, recovery)

    def explain(self, proposal: Proposal) -> tuple[Line, ...]:
        """Every rule in the order it is looked at, and why it is about this call or not.

        One that is about the call does not decide if another kind of rules has decided before.
        """
        tier, _ = effective(proposal)
        lines = []
        decided = False
        for verdict in _ORDER:
            settles = False
            for rule in self._of(verdict):
                try:
                    mismatch = rule.mismatch(proposal, tier)
                    matched, why = mismatch is None, mismatch or "everything matches"
                except Unevaluable as error:
                    matched, why = not decided, f"it cannot be decided: {error}"
                    why += ", which no longer counts" if decided else ", so it denies"
                settles = settles or matched
                lines.append(Line(rule.name, rule.decision, matched, why))
            decided = decided or settles
        return tuple(lines)

    def deciders(self, agent: str) -> tuple[Approvers, ...]:
        """Everybody who may be asked about what this agent wants to do."""
        own = [rule for rule in self._of("ask") if not rule.agents or any(_fits(agent, each) for each in rule.agents)]
        return (self.approvers, *(rule.approvers for rule in own if rule.approvers is not None))

    def _of(self, verdict: str) -> Iterator[Rule]:
        return (rule for rule in self.rules if rule.decision == verdict)

    def _default(self, tier: str, recovery: str) -> Decision:
        match tier:
            case "read" | "workspace":
                return self._decision("allow", f"tier:{tier}", tier, recovery, why="It changes nothing outside.")
            case "compensable" | "irreversible":
                return self._decision("ask", f"tier:{tier}", tier, recovery, why=f"It is {tier}.")
            case _:
                why = "The operator has not said what its effect is."
                return self._decision("ask", UNCLASSIFIED, tier, recovery, why=why)

    def _asked(self, rules: list[Rule], tier: str, recovery: str) -> Decision:
        """Where several rules ask, the strictest of each holds; who may decide is the first one's word."""
        first = rules[0]
        return Decision(
            verdict="ask",
            rule=first.name,
            tier=tier,
            recovery=recovery,
            approvers=first.approvers or self.approvers,
            quorum=max(rule.quorum or self.quorum for rule in rules),
            expires_ms=min(rule.expires_ms or self.expires_ms for rule in rules),
            use_within_ms=min(rule.use_within_ms or self.use_within_ms for rule in rules),
            self_ok=all(rule.self_ok for rule in rules) and tier in _CAN_BE_UNDONE,
            why=first.reason or "A rule asks.",
        )

    def _decision(self, verdict: Verdict, rule: str, tier: str, recovery: str, *, why: str) -> Decision:
        return Decision(
            verdict, rule, tier, recovery, self.approvers, self.quorum, self.expires_ms, self.use_within_ms, False, why
        )


def effective(proposal: Proposal) -> tuple[str, str]:
    """The tier and the recovery class that hold for this call."""
    reading = _READING.get(proposal.uses or proposal.tool)
    if proposal.tier is not None and reading is not None and proposal.args.get(reading[0]) in reading[1]:
        return "read", "pure"
    return proposal.tier or UNCLASSIFIED, proposal.recovery


def parse(text: str) -> Policy:
    """Read a policy as runs pin it: `policy_text` of `core.config`.

    Nothing is passed over: a matcher this version does not know would make a rule about more than it says.

    Raises:
        PolicyError: it is not one.
    """
    try:
        found = json.loads(text)
    except ValueError as error:
        raise _broken(f"it is not JSON ({error})") from error
    whole = _Reading("the policy", found, ("policy", "tools"))
    section = _Reading("the policy", whole.get("policy", {}), _SECTION)
    rules = [_rule(each, "deny") for each in section.items("denials")]
    rules += [_rule(each, None) for each in section.items("rules")]
    approvers = section.get("approvers")
    return Policy(
        text=text,
        rules=tuple(rules),
        approvers=Approvers(frozenset({"approver"})) if approvers is None else Approvers.from_json(approvers),
        quorum=section.count("quorum") or 1,
        expires_ms=section.count("expires_ms") or EXPIRES_MS,
        use_within_ms=section.count("use_within_ms") or USE_WITHIN_MS,
    )


def _rule(found: Any, decision: Verdict | None) -> Rule:
    """One entry of `rules`, or of `denials` if the decision is given."""
    about = f"the rule `{found['name']}`" if isinstance(found, Mapping) and "name" in found else "a rule"
    reading = _Reading(about, found, _MATCHERS if decision else (*_MATCHERS, *_ASKING))
    if decision is None:
        said = reading.get("decision")
        if said not in ("ask", "allow"):
            raise _broken(f"{about} neither asks nor allows")
        decision = "ask" if said == "ask" else "allow"
    args = _Reading(f"`args` of {about}", reading.get("args", {}))
    approvers = reading.get("approvers")
    own = reading.get("self_", "refused")
    if own not in ("allowed", "refused"):
        raise _broken(f"`self_` of {about} is neither `allowed` nor `refused`")
    return Rule(
        name=reading.text("name"),
        decision=decision,
        tools=reading.texts("tools"),
        tiers=reading.texts("tiers"),
        agents=reading.texts("agents"),
        environments=reading.texts("environments"),
        args={path: args.some_texts(path) for path in args.found},
        approvers=None if approvers is None else Approvers.from_json(approvers),
        quorum=reading.count("quorum"),
        expires_ms=reading.count("expires_ms"),
        use_within_ms=reading.count("use_within_ms"),
        self_ok=own == "allowed",
        reason=reading.get("reason", "") and reading.text("reason"),
    )


class _Reading:
    """Takes values out of a mapping, each of the kind it has to be."""

    def __init__(self, what: str, found: Any, known: Sequence[str] | None = None) -> None:
        if not isinstance(found, Mapping):
            raise _broken(f"{what} is no group of fields")
        unknown = [str(name) for name in found if known is not None and name not in known]
        if unknown:
            raise _broken(f"{what} has the unknown field `{unknown[0]}`")
        self._what = what
        self.found: Mapping[str, Any] = found

    def get(self, name: str, default: Any = None) -> Any:
        value = self.found.get(name)
        return default if value is None else value

    def text(self, name: str) -> str:
        value = self.get(name)
        if not isinstance(value, str) or not value:
            raise _broken(f"`{name}` of {self._what} is no text")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        value = self.items(name)
        if not all(isinstance(each, str) for each in value):
            raise _broken(f"`{name}` of {self._what} is no list of texts")
        return value

    def some_texts(self, name: str) -> tuple[str, ...]:
        value = self.texts(name)
        if not value:
            raise _broken(f"`{name}` of {self._what} is empty")
        return value

    def items(self, name: str) -> tuple[Any, ...]:
        value = self.get(name, [])
        if not isinstance(value, list | tuple):
            raise _broken(f"`{name}` of {self._what} is no list")
        return tuple(value)

    def count(self, name: str) -> int | None:
        value = self.get(name)
        if value is not None and (type(value) is not int or value < 1):
            raise _broken(f"`{name}` of {self._what} is no number above zero")
        return value


_MATCHERS = ("name", "tools", "tiers", "agents", "environments", "args", "reason")
_ASKING = ("decision", "approvers", "quorum", "expires_ms", "use_within_ms", "self_")
_SECTION = ("approvers", "quorum", "expires_ms", "use_within_ms", "denials", "rules")


def _broken(what: str) -> PolicyError:
    return PolicyError(
        f"This is not a policy: {what}. It was changed, or another version wrote it; "
        "check the file with `banksman policy check` and run every part in the same version."
    )


def _fits(text: str, pattern: str) -> bool:
    """Whether a pattern fits: `*` and `?` stand for any characters, everything else for itself."""
    return fnmatchcase(text, pattern.replace("[", "[[]"))


def _value(args: Mapping[str, Any], path: str) -> str | None:
    """The text of an argument by its dotted name; `None` if it is not there.

    Raises:
        Unevaluable: it, or what it should be inside of, is of another kind than whoever wrote the rule had in mind.
    """
    found: Any = args
    parts = path.split(".")
    for depth, part in enumerate(parts):
        if not isinstance(found, Mapping):
            raise Unevaluable(f"the argument `{'.'.join(parts[:depth])}` is no group")
        found = found.get(part)
        if found is None:
            return None
    match found:
        case bool():
            return "true" if found else "false"
        case str():
            if len(found) > _MOST_CHARACTERS:
                raise Unevaluable(f"the argument `{path}` has more than {_MOST_CHARACTERS} characters")
            return found
        case int():
            if abs(found) > _MOST_NUMBER:
                raise Unevaluable(f"the argument `{path}` is too large a number")
            return str(found)
        case float():
            raise Unevaluable(f"the argument `{path}` is a fraction")
        case _:
            raise Unevaluable(f"the argument `{path}` is a list or a group")
