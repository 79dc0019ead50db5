"""The `policy` section and what belongs to it: who decides what, how many of them, and for how long.

Only the shape of what is written is here; what it means is `core.actions.policy`, whether it fits the rest of the file
is checked in `checks.py`.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from core.config.fields import Count, Duration, Kind, Model, Text, durations, matching, wrong

_MINUTE_MS = 60_000
_DAY_MS = 24 * 3_600_000

Tier = Literal["read", "workspace", "compensable", "irreversible", "unclassified"]
RuleName = Annotated[Text, matching(r"[a-z][a-z0-9-]{0,59}", "a rule's name", "two-for-production")]
RoleName = Annotated[Text, matching(r"[a-z][a-z0-9-]{0,39}", "a role", "approver"), Kind("roles")]
PrincipalName = Annotated[
    Text, matching(r"[a-z0-9][a-z0-9._-]{0,63}", "a principal's name", "ana.ruiz"), Kind("principals' names")
]
ToolPattern = Annotated[
    Text,
    matching(r"\*|[a-z][a-z0-9_]{0,39}(\.[a-z0-9_]{1,40}){0,2}(\.\*)?", "a tool's name", "git_push` or `files.*"),
    Kind("tools: `git_push`, `files.*`, `*`"),
]
NamePattern = Annotated[
    Text, matching(r"[A-Za-z0-9._*?-]{1,80}", "a name", "production"), Kind("names; `*` and `?` as for arguments")
]
ArgumentPath = Annotated[
    Text, matching(r"[A-Za-z_][A-Za-z0-9_-]{0,79}(\.[A-Za-z0-9_-]{1,80}){0,5}", "an argument's name", "branch")
]


def _patterns(value: Any) -> Any:
    """One value or several, as texts: rules compare with the text of an argument."""
    values = value if isinstance(value, list) else [value]
    texts = []
    for each in values:
        match each:
            case bool():
                texts.append("true" if each else "false")
            case str() | int():
                texts.append(str(each))
            case _:
                raise wrong("An argument is compared with a text or a number.", "Write `branch: main`, or a list.")
    if not texts:
        raise wrong("This list is empty.", "Write at least one value.")
    return tuple(texts)


Patterns = Annotated[
    tuple[Text, ...], BeforeValidator(_patterns), Kind("a value or a list; `*` and `?` stand for any characters")
]
Quorum = Annotated[Count, Field(ge=1, le=20)]
Expiry = Annotated[Duration, durations(_MINUTE_MS, 30 * _DAY_MS)]


class ApproversWord(Model):
    """Who may decide. Nobody named means that nobody may."""

    roles: tuple[RoleName, ...] = ()
    """Everybody who holds one of these roles."""
    principals: tuple[PrincipalName, ...] = ()
    """People by name."""


class _Matchers(Model):
    tools: tuple[ToolPattern, ...] = ()
    """Tools it is about."""
    tiers: tuple[Tier, ...] = ()
    """Effect tiers it is about, as they are for the call: a GET of `http` is a `read`. `unclassified` are calls of
    tools without a tier."""
    agents: tuple[NamePattern, ...] = ()
    """Playbooks it is about."""
    environments: tuple[NamePattern, ...] = ()
    """Environments it is about, as `tools.<tool>.environment` names them."""
    args: dict[ArgumentPath, Patterns] = Field(default_factory=dict)
    """Arguments of the call, by name (`json.user` for one inside another). Without the argument a rule is not about the
    call; where it is a list, a group or too long to compare, the rule cannot be decided, and denies."""

    @model_validator(mode="after")
    def _is_about_something(self) -> Self:
        if not (self.tools or self.tiers or self.agents or self.environments or self.args):
            raise wrong("This matches every call.", "Say what it is about, or write `tools: ['*']` if you mean all.")
        return self


class Denial(_Matchers):
    """What may never happen. Nothing lifts it."""

    name: RuleName
    """Shown where it decides."""
    reason: Text = ""
    """A sentence for whoever asked."""


class RuleWord(_Matchers):
    """What asks, or may start without asking. A rule that asks goes before one that allows."""

    name: RuleName
    """Shown on the card and in the record."""
    decision: Literal["ask", "allow"]
    """`ask` an approver, or `allow` without one. Where several rules ask, the strictest numbers hold."""
    approvers: ApproversWord | None = None
    """Who may decide. Left out: as for all."""
    quorum: Quorum | None = None
    """How many people must approve. Left out: as for all."""
    expires_ms: Expiry | None = None
    """How long they have. Left out: as for all."""
    use_within_ms: Expiry | None = None
    """How long after the last vote the call may start. Left out: as for all."""
    self_: Literal["allowed", "refused"] = "refused"
    """Whether the person who asked for the run may decide too; never for an effect that cannot be undone."""
    reason: Text = ""
    """A sentence for the card and the record."""

    @model_validator(mode="after")
    def _allowing_asks_nobody(self) -> Self:
        asks = (self.approvers, self.quorum, self.expires_ms, self.use_within_ms)
        if self.decision == "allow" and (any(each is not None for each in asks) or self.self_ == "allowed"):
            what = "This rule allows, so nobody is asked, and it says who and how many are."
            raise wrong(what, "Write `decision: ask`, or remove the rest.")
        if self.self_ == "allowed" and {"irreversible", "unclassified"} & set(self.tiers):
            what = "Nobody may approve an effect of their own that cannot be undone."
            raise wrong(what, "Remove `self: allowed`, or name another tier.")
        return self


class PolicySection(Model):
    """What asks, who decides, and what never happens."""

    approvers: ApproversWord = Field(default_factory=lambda: ApproversWord(roles=("approver",)))
    """Who decides where no rule says otherwise: people with the role `approver` if you do not say."""
    quorum: Quorum = 1
    """How many people must approve."""
    expires_ms: Expiry = _DAY_MS
    """How long they have to decide; then the run is parked and can ask again."""
    use_within_ms: Expiry = 15 * _MINUTE_MS
    """How long after the last vote the call may start."""
    denials: tuple[Denial, ...] = ()
    """Looked at first."""
    rules: tuple[RuleWord, ...] = ()
    """Looked at next; then the tier decides: `read` and `workspace` start, everything else asks."""
