"""Whether the parts of the operator's file fit each other: names that mean something, questions somebody can answer."""

from collections.abc import Iterator, Mapping, Sequence

from core.config.document import Document, Path_
from core.config.models import ConfigFile
from core.config.problems import Problem
from core.config.rules import ApproversWord
from core.nearest import did_you_mean

_NOBODY = ("probe", "recovery")
"""As `core.record.states.MACHINES`."""


def policy_problems(document: Document, content: ConfigFile) -> Iterator[Problem]:
    """Mistakes of the policy, the groups and the tools' credentials, each where it stands."""
    yield from _names(document, content)
    yield from _reserved(document, content)
    yield from _questions(document, content)
    for channel, contract in content.channels.items():
        if contract.approvers is not None:
            yield from _unknown_people(document, content, ["channels", channel], contract.approvers)
    yield from _own_effects(document, content)
    yield from _credentials(document, content)


def _own_effects(document: Document, content: ConfigFile) -> Iterator[Problem]:
    """Rules that would let a requester approve what cannot be undone; where a pattern takes in more, calls decide."""
    for number, rule in enumerate(content.policy.rules):
        for tool in rule.tools if rule.self_ == "allowed" else ():
            word = content.tools.get(tool)
            if word is not None and word.tier in ("irreversible", None):
                is_what = "has no tier" if word.tier is None else "is irreversible"
                what = f"`{tool}` {is_what}, and nobody may approve an effect of their own that cannot be undone."
                yield document.problem(["policy", "rules", number, "self"], what, "Remove `self: allowed`.")


def _credentials(document: Document, content: ConfigFile) -> Iterator[Problem]:
    for tool, word in content.tools.items():
        seen: set[str] = set()
        for number, credential in enumerate(word.credentials):
            place: list[str | int] = ["tools", tool, "credentials", number]
            if credential.secret not in content.secrets:
                remedy = did_you_mean(credential.secret, content.secrets, noun="Secrets")
                what = f"There is no secret `{credential.secret}`."
                yield document.problem([*place, "secret"], what, remedy or "Add it under `secrets`.")
            host = credential.host.lower().removesuffix(".")
            if host in seen:
                what = f"`{tool}` has a secret for `{credential.host}` already."
                yield document.problem([*place, "host"], what, "Keep one of the two.")
            seen.add(host)


def _reserved(document: Document, content: ConfigFile) -> Iterator[Problem]:
    for name in _NOBODY:
        if name in content.principals:
            what = f"`{name}` stands in the record for what no person has found out."
            yield document.problem(["principals", name], what, "Give this person another name.", at_key=True)


def _names(document: Document, content: ConfigFile) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for kind, entries in (("denials", content.policy.denials), ("rules", content.policy.rules)):
        named: Sequence[str] = [each.name for each in entries]
        for number, name in enumerate(named):
            if name in seen:
                what = f"There are two rules named `{name}`; the first is in `policy.{seen[name]}`."
                yield document.problem(["policy", kind, number, "name"], what, "Rename one of them.")
            seen.setdefault(name, kind)


def _questions(document: Document, content: ConfigFile) -> Iterator[Problem]:
    """Every place that asks people: whether there is somebody, and enough of them. Each mistake is said where it is."""
    policy = content.policy
    at_all = bool(policy.model_fields_set & {"approvers", "quorum"})
    if at_all:
        yield from _unknown_people(document, content, ["policy"], policy.approvers)
        yield from _too_few(document, content, ["policy"], policy.approvers, policy.quorum)
    for number, rule in enumerate(policy.rules):
        if rule.decision != "ask":
            continue
        approvers = rule.approvers or policy.approvers
        place: Path_ = ["policy", "rules", number]
        if rule.approvers is not None or not at_all:
            yield from _unknown_people(document, content, place, approvers)
        if rule.approvers is not None or rule.quorum is not None or not at_all:
            yield from _too_few(document, content, place, approvers, rule.quorum or policy.quorum)


def _unknown_people(
    document: Document, content: ConfigFile, place: Path_, approvers: ApproversWord
) -> Iterator[Problem]:
    place = [*place, "approvers"]
    if not approvers.roles and not approvers.principals:
        yield document.problem(place, "Nobody is named here, so nobody could decide.", "Name roles or principals.")
    for name in approvers.principals:
        if name not in content.principals:
            remedy = did_you_mean(name, content.principals, noun="Principals")
            yield document.problem(place, f"There is no principal `{name}`.", remedy or "Add one under `principals`.")
    held = {*_holders(content), *_from_groups(content)}
    for role in approvers.roles:
        if role not in held:
            what = f"Nobody holds the role `{role}`, so nobody could decide."
            remedy = f"Give it to somebody: `roles: [{role}]` under `principals` or `groups`."
            yield document.problem(place, what, remedy)


def _too_few(
    document: Document, content: ConfigFile, place: Path_, approvers: ApproversWord, quorum: int
) -> Iterator[Problem]:
    if _from_groups(content) & set(approvers.roles):
        return  # how many people a Slack group has is not known here
    held = _holders(content)
    voters = content.principals.keys() & set(approvers.principals)
    voters |= {name for role in approvers.roles for name in held.get(role, ())}
    if voters and len(voters) < quorum:  # nobody at all is another mistake, which is said
        what = f"{quorum} approvals are needed here, and only {len(voters)} could be given."
        yield document.problem([*place, "quorum"], what, "Lower `quorum`, or name more people who may decide.")


def _from_groups(content: ConfigFile) -> set[str]:
    return {role for group in content.groups.values() for role in group.roles}


def _holders(content: ConfigFile) -> Mapping[str, set[str]]:
    held: dict[str, set[str]] = {}
    for name, person in content.principals.items():
        for role in person.roles:
            held.setdefault(role, set()).add(name)
    return held
