"""What a configuration may say and probably does not mean: rules that never decide, questions nobody may answer.

Everything here can be used; mistakes that cannot are `core.config.checks`. A rule is tried on every call this
installation can make, by tool, playbook and environment; arguments are compared pattern by pattern, so a sentence here
is true, and a silent file may still hold a rule that another one covers in a roundabout way.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import product

from core.actions.approvals import who_may
from core.actions.policy import Approvers, Policy, Proposal, Rule, effective, parse
from core.config.load import Config
from core.config.models import ToolWord
from core.config.people import doubtful_people
from core.config.servers import PREFIX
from core.errors import TerminalError
from core.nearest import did_you_mean
from core.planners.definition import Playbook
from core.planners.vendors.connections import missing
from core.tools import http_url
from core.tools.catalogue import call_names, tool_names
from core.tools.reach import Reach, check_name

_METHODS = ("GET", "POST")
"""One that only reads, one that does not: what the effective tier of a call may depend on."""
_ANY = "\ufffc"
"""Stands for what a wildcard of another pattern takes: a character no pattern names."""


def doubts(config: Config, playbooks: Iterable[Playbook]) -> Iterator[str]:
    """Sentences about a configuration that can be used, each with what to do."""
    policy = parse(config.policy_text)
    calls = list(_calls(config))
    for rule in policy.rules:
        about = [call for call in calls if _is_about(rule, call)]
        if not about:
            yield f"The rule `{rule.name}` is about no call of this installation. {_nearest(rule, config)}".rstrip()
        elif before := _before(policy, rule, about):
            listed = " and ".join(f"`{name}`" for name in before)
            yield f"The rule `{rule.name}` never decides: {listed} decides before it. Remove it, or narrow the other."
        elif rule.decision == "ask" and rule.approvers is not None and (before := _before(policy, rule, about, "ask")):
            listed = " and ".join(f"`{name}`" for name in before)
            yield f"The `approvers` of the rule `{rule.name}` never count: {listed} asks before it, and says who may."
    yield from _unclassified(config, playbooks)
    yield from doubtful_tools(config)
    yield from doubtful_models(config)
    yield from _unanswerable(config, policy)
    yield from doubtful_people(config)


def _calls(config: Config) -> Iterator[Proposal]:
    """Every call there can be, but for its arguments."""
    for tool, agent, method in product(
        sorted({*call_names(config), *config.tools}), config.playbooks or ("any",), _METHODS
    ):
        word = config.tool(tool)
        yield Proposal(tool, word.tier, word.recovery, agent, word.environment, {"method": method}, word.uses)


def _is_about(rule: Rule, call: Proposal) -> bool:
    return replace(rule, args={}).mismatch(call, effective(call)[0]) is None


def _before(policy: Policy, rule: Rule, about: Sequence[Proposal], *also: str) -> list[str]:
    """Rules that together decide every call this one is about, so that it never does; none if it does.

    Args:
        also: A kind of rules to count beside those that always go first.
    """
    earlier = {"deny": ("deny",), "ask": ("deny", *also), "allow": ("deny", "ask")}[rule.decision]
    place = policy.rules.index(rule)
    stronger = [
        other
        for number, other in enumerate(policy.rules)
        if other.decision in earlier and (other.decision != rule.decision or number < place)
    ]
    found: dict[str, None] = {}
    for call in about:
        name = next((each.name for each in stronger if _is_about(each, call) and _args_covered(each, rule)), None)
        if name is None:
            return []
        found[name] = None
    return list(found)


def _args_covered(wide: Rule, narrow: Rule) -> bool:
    """Whether every call whose arguments fit `narrow` fits `wide` too."""
    given: Mapping[str, tuple[str, ...]] = narrow.args or {}
    return all(
        path in given and all(any(_contains(pattern, each) for pattern in patterns) for each in given[path])
        for path, patterns in (wide.args or {}).items()
    )


def _contains(wide: str, narrow: str) -> bool:
    """Whether every text that fits `narrow` fits `wide`; where in doubt, no."""
    if wide == narrow:
        return True
    if "?" in wide and ("?" in narrow or "*" in narrow):
        return False
    sample = narrow.replace("*", _ANY).replace("?", _ANY)
    return fnmatchcase(sample, wide.replace("[", "[[]"))


def _nearest(rule: Rule, config: Config) -> str:
    """Which of its names there is none of."""
    known = (
        (rule.tools, sorted({*call_names(config), *config.tools}), "tool", "Tools"),
        (rule.agents, list(config.playbooks), "playbook", "Playbooks"),
        (
            rule.environments,
            sorted({config.tool(tool).environment for tool in tool_names(config)}),
            "environment",
            "There is",
        ),
    )
    for patterns, names, what, noun in known:
        missing = [each for each in patterns if not any(_contains(each, name) for name in names)]
        if missing and len(missing) == len(patterns):
            return f"There is no {what} `{missing[0]}`. {did_you_mean(missing[0], names, noun=noun)}"
    return "No tool of these has such a tier or environment."


def _unclassified(config: Config, playbooks: Iterable[Playbook]) -> Iterator[str]:
    for tool in sorted(frozenset[str]().union(*(playbook.tools for playbook in playbooks))):
        if config.tool(tool).tier is None:
            yield f"`{tool}` has no tier, so every call of it asks. Write `{tool}: {{tier: …}}` under `tools`."


def doubtful_tools(config: Config) -> Iterator[str]:
    """Words on tools that nobody has, and probes that would be kept from asking."""
    names = call_names(config)
    for server in config.servers:
        if not any(name.startswith(f"{PREFIX}{server}.") for name in names):
            yield f"No tool of the MCP server `{server}` has been accepted. `banksman mcp accept {server}` shows them."
    for name, word in config.tools.items():
        if name not in names and name.startswith(PREFIX):
            server = name.split(".")[1]
            yield f"`{name}` has not been accepted. `banksman mcp accept {server}` shows what its server offers."
        elif name not in names:
            guess = did_you_mean(name, names, noun="There are")
            yield f"`{name}` is no tool. {guess} For a tool of your own say which one it is: `uses: http`."
        if word.probe is not None and word.probe.url is not None and (why := _unreachable(word, word.probe.url)):
            yield f"The probe of `{name}` cannot ask {word.probe.url}. {why}"


def doubtful_models(config: Config) -> Iterator[str]:
    """Models that cannot be asked from here."""
    for name, word in config.models.items():
        if (why := missing(word.provider)) is not None:
            yield f"The model `{name}` cannot be asked: {why}."


def _unreachable(word: ToolWord, url: str) -> str | None:
    try:
        address = http_url.read(url.replace("{key}", "key"))
        check_name(Reach(tuple(word.network)), address.host, address.port)
    except TerminalError as error:
        return error.user_text
    return None


def _unanswerable(config: Config, policy: Policy) -> Iterator[str]:
    """Questions whose answer depends on what this file does not say."""
    asked = {policy.approvers: "by default"}
    for rule in policy.rules:
        if rule.decision == "ask" and rule.approvers is not None:
            asked.setdefault(rule.approvers, f"by the rule `{rule.name}`")
    for approvers, where in asked.items():
        groups = _groups(config, approvers)
        people = [name for name, person in config.principals.items() if approvers.admits(name, frozenset(person.roles))]
        if groups:
            listed = ", ".join(groups)
            unknown = "who and how many are in it cannot be checked here"
            yield f"Who decides {where} comes also from Slack ({listed}); {unknown}."
        elif not people:
            yield f"Nobody may decide what is asked {where}. {who_may(approvers)} Give the role to somebody."


def _groups(config: Config, approvers: Approvers) -> list[str]:
    return sorted(name for name, group in config.groups.items() if approvers.roles & frozenset(group.roles))
