"""Reading the operator's file and the playbooks it names into one frozen `Config`.

Playbooks stay documents here: `core.planners.playbook` compiles them, because configuration lies below planners.
Watching the file for changes is the caller's work; a file that cannot be used raises and changes nothing.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from core.actions.contract import Contract
from core.actions.policy import Approvers
from core.config.accepted import Accepted, accepted_path, pin_of, read_accepted
from core.config.builtin import UNDO
from core.config.checks import policy_problems
from core.config.document import Document, canonical_json, parse_document, read_document
from core.config.fields import validated
from core.config.language import BudgetsWord, ModelWord
from core.config.models import (
    ChannelContract,
    ConfigFile,
    GroupWord,
    Limits,
    Person,
    Sandbox,
    SecretReference,
    ToolWord,
)
from core.config.own_tools import own_tool_problems
from core.config.problems import ConfigProblems, Problem
from core.config.rules import ApproversWord, PolicySection
from core.config.servers import ServerWord, server_problems
from core.config.thinkers import pinned_agent, with_delegates
from core.nearest import did_you_mean

_UNLISTED = ToolWord()


@dataclass(frozen=True)
class PlaybookSource:
    """A playbook as written: named and placed, not yet understood."""

    name: str
    document: Document
    kind: Literal["playbook", "agent"] = "playbook"
    """An agent stands beside the playbooks: people ask for both in the same way."""
    pinned: str | None = None
    """For an agent: it and the models it may think with, as canonical JSON."""

    @property
    def text(self) -> str:
        """What a run pins: canonical JSON, which `compile_pinned` or `read_agent` reads back."""
        return self.document.canonical() if self.pinned is None else self.pinned

    @property
    def digest(self) -> str:
        return _sha256(self.text)


@dataclass(frozen=True)
class Config:
    """One state of the operator's file."""

    path: Path
    digest: str
    """`sha256:…` of the canonical content, playbook files included: comments and layout do not count."""
    principals: Mapping[str, Person]
    groups: Mapping[str, GroupWord]
    policy: PolicySection
    channels: Mapping[str, ChannelContract]
    tools: Mapping[str, ToolWord]
    sandbox: Sandbox
    limits: Limits
    secrets: Mapping[str, SecretReference]
    """Where each secret is; a relative `file` is relative to the directory of `path`. See `redaction.py`."""
    playbooks: Mapping[str, PlaybookSource]
    """Everything people may ask for by name, agents included, in the order of the file."""
    models: Mapping[str, ModelWord]
    budgets: BudgetsWord
    servers: Mapping[str, ServerWord]
    """MCP servers by name."""
    accepted: Accepted
    """What was accepted of them; of servers that are gone too."""
    files: tuple[Path, ...] = ()
    """Every file it was read from, or would be if it were there."""

    def tool(self, name: str) -> ToolWord:
        """The operator's word on a tool; one that is not listed has no tier and is `opaque`.

        What takes a tool's effect back (`git_push.undo`) has that tool's word, unless it is listed itself.
        """
        if (own := self.tools.get(name)) is not None:
            return own
        word = self.tools.get(name.removesuffix(UNDO), _UNLISTED)
        return word if word.uses is None else word.model_copy(update={"uses": None})

    @property
    def uses(self) -> Mapping[str, str]:
        """The operator's own tools, and the one that comes with Banksman behind each."""
        return {name: word.uses for name, word in self.tools.items() if word.uses is not None}

    @cached_property
    def contracts(self) -> Mapping[str, Contract]:
        """What holds in channels, by `#name` or id as the file has them."""
        return {
            channel: Contract(
                channel, word.agent, word.agents, word.tools, word.budget, _approvers(word.approvers), word.network
            )
            for channel, word in self.channels.items()
        }

    @cached_property
    def policy_text(self) -> str:
        """What decides whether a call may run, as runs pin it: the word on every tool and all rules, as canonical JSON.

        Who holds which role is not in it: that is looked up when somebody decides. The order of rules counts, for the
        first one is named and says who is asked; the order of names inside a rule or a tool does not.
        """
        tools = {name: word.model_dump(mode="json") for name, word in self.tools.items()}
        return canonical_json(_in_order({"policy": self.policy.model_dump(mode="json"), "tools": tools}))

    @cached_property
    def policy_digest(self) -> str:
        """`sha256:…` of `policy_text`."""
        return _sha256(self.policy_text)


def uses_in(policy_text: str) -> Mapping[str, str]:
    """The operator's own tools as a pinned `policy_text` has them, and the tool behind each; in any other text none."""
    try:
        tools: Mapping[str, Mapping[str, Any]] = json.loads(policy_text)["tools"]
        return {name: word["uses"] for name, word in tools.items() if word.get("uses") is not None}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def load_config(path: Path) -> Config:
    """Read the file at `path` and the playbook files it names.

    Raises:
        ConfigProblems: with every mistake of every file.
    """
    return _config(path, read_document(path))


def parse_config(data: bytes, *, path: Path) -> Config:
    """Read bytes as if they stood at `path`, which need not exist; raises as `load_config` does."""
    return _config(path, parse_document(data, file=str(path)))


def config_files(path: Path) -> tuple[Path, ...]:
    """The file at `path` and the playbook files it names, whether or not they can be used or are there."""
    try:
        return (path, accepted_path(path), *_named_files(path, read_document(path)))
    except ConfigProblems:
        return (path, accepted_path(path))


def _config(path: Path, document: Document) -> Config:
    problems: list[Problem] = []
    content: ConfigFile | None = None
    try:
        content = validated(ConfigFile, document, without=("playbooks", "agents"))
    except ConfigProblems as error:
        problems += error.problems
    playbooks = _playbooks(path, document, problems)
    if content is not None:
        _agents(path, document, content, playbooks, problems)
    if content is not None:
        problems += _unknown_agents(document, content, playbooks)
        problems += policy_problems(document, content)
        problems += own_tool_problems(document, content)
        problems += server_problems(document, content.mcp, content.tools, content.secrets)
    accepted: Accepted = {}
    try:
        accepted = read_accepted(path)
    except ConfigProblems as error:
        problems += error.problems
    if problems or content is None:
        raise ConfigProblems(problems)
    plain = {**document.plain(), "playbooks": [source.text for source in playbooks.values()]}
    if accepted:
        plain["accepted"] = {
            server: {own_name: pin_of(each) for own_name, each in tools.items()} for server, tools in accepted.items()
        }
    return Config(
        path=path,
        digest=_sha256(canonical_json(plain)),
        principals=MappingProxyType(content.principals),
        groups=MappingProxyType(content.groups),
        policy=content.policy,
        channels=MappingProxyType(content.channels),
        tools=MappingProxyType(content.tools),
        sandbox=content.sandbox,
        limits=content.limits,
        secrets=MappingProxyType(content.secrets),
        playbooks=MappingProxyType(playbooks),
        models=MappingProxyType(content.models),
        budgets=content.budgets,
        servers=MappingProxyType(content.mcp.servers),
        accepted=accepted,
        files=(path, accepted_path(path), *_named_files(path, document)),
    )


def _playbooks(path: Path, document: Document, problems: list[Problem]) -> dict[str, PlaybookSource]:
    found: dict[str, PlaybookSource] = {}
    for entry in _entries(document, "playbooks", problems):
        try:
            source = _named(path, entry, "playbook")
        except ConfigProblems as error:
            problems += error.problems
            continue
        if first := found.get(source.name):
            line = first.document.root.line
            what = f"There are two playbooks named `{source.name}`; the first is at {first.document.file}:{line}."
            problems.append(source.document.problem(["name"], what, "Rename one of them."))
            continue
        found[source.name] = source
    return found


def _agents(
    path: Path, document: Document, content: ConfigFile, found: dict[str, PlaybookSource], problems: list[Problem]
) -> None:
    """Add the agents to what people may ask for."""
    for entry in _entries(document, "agents", problems):
        try:
            named = _named(path, entry, "agent")
            source = PlaybookSource(named.name, named.document, "agent", pinned_agent(path, named.document, content))
        except ConfigProblems as error:
            problems += error.problems
            continue
        if source.name in found:
            what = f"There is another {found[source.name].kind} named `{source.name}`."
            problems.append(source.document.problem(["name"], what, "Rename one of them."))
            continue
        found[source.name] = source
    of_agents = {name: source for name, source in found.items() if source.kind == "agent"}
    for name, source in of_agents.items():
        try:
            found[name] = replace(source, pinned=with_delegates(source, of_agents, content))
        except ConfigProblems as error:
            problems += error.problems


def _entries(document: Document, section: str, problems: list[Problem]) -> list[Document]:
    """The entries of a list at the top of the file."""
    root = document.root.value
    node = root.get(section) if isinstance(root, Mapping) else None
    if node is None:
        return []
    if not isinstance(node.value, tuple):
        remedy = f"Begin each {section.removesuffix('s')} with `- name: …` or `- file: …`."
        problems.append(document.problem([section], f"`{section}` is a list.", remedy))
        return []
    return [document.part([section, index]) for index in range(len(node.value))]


def _named_files(path: Path, document: Document) -> list[Path]:
    plain = document.plain()
    named: list[Any] = []
    for section, field in (("playbooks", "file"), ("agents", "file"), ("agents", "instructions-file")):
        entries = plain.get(section) if isinstance(plain, dict) else None
        if isinstance(entries, list):
            named += [entry.get(field) for entry in entries if isinstance(entry, dict)]
    models = plain.get("models") if isinstance(plain, dict) else None
    if isinstance(models, dict):
        named += [word.get("script") for word in models.values() if isinstance(word, dict)]
    return [path.parent / name for name in named if isinstance(name, str) and name]


def _named(path: Path, entry: Document, kind: str) -> PlaybookSource:
    """An entry with its name, read from the file it names if it names one."""
    fields = entry.root.value
    if not isinstance(fields, Mapping):
        raise ConfigProblems([entry.problem([], f"This is not {_a(kind)}.", "Write `- name: …` or `- file: …`.")])
    if "file" in fields:
        name = fields["file"].value
        if not isinstance(name, str) or not name:
            raise ConfigProblems([entry.problem(["file"], "`file` is a path.", f"Write `- file: {kind}s/name.yml`.")])
        if len(fields) > 1:
            remedy = f"Keep `file` alone here, or write the {kind} out without it."
            raise ConfigProblems(
                [entry.problem([], f"{_a(kind).capitalize()} read from a file has no other fields here.", remedy)]
            )
        shown = path.parent / name
        try:
            entry = read_document(shown, shown_as=str(shown))
        except ConfigProblems as error:
            if error.problems[0].line == 0:
                raise ConfigProblems(
                    [entry.problem(["file"], f"{shown}: {each.what}", each.remedy) for each in error.problems]
                ) from None
            raise
        fields = entry.root.value
    written = fields.get("name") if isinstance(fields, Mapping) else None
    if written is None or not isinstance(written.value, str) or not written.value:
        remedy = "Begin it with `name: …`: small letters, digits and dashes."
        raise ConfigProblems([entry.problem(["name"] if written else [], f"This {kind} has no name.", remedy)])
    return PlaybookSource(written.value, entry)


def _a(kind: str) -> str:
    return f"an {kind}" if kind == "agent" else f"a {kind}"


def _unknown_agents(document: Document, content: ConfigFile, playbooks: Mapping[str, PlaybookSource]) -> list[Problem]:
    problems = []
    for channel, contract in content.channels.items():
        named: list[tuple[list[str | int], str]] = [
            (["agents", at], each) for at, each in enumerate(contract.agents or ())
        ]
        if contract.agent is not None:
            named.append((["agent"], contract.agent))
        for at, name in named:
            if name not in playbooks:
                remedy = did_you_mean(name, playbooks, noun="Playbooks") or "Add one under `playbooks`."
                problems.append(document.problem(["channels", channel, *at], f"There is no playbook `{name}`.", remedy))
        if contract.agent is not None and contract.agents is not None and contract.agent not in contract.agents:
            what = f"A mention would run `{contract.agent}`, which `agents` does not let be asked for here."
            remedy = f"Add `{contract.agent}` to `agents`, or name another `agent`."
            problems.append(document.problem(["channels", channel, "agent"], what, remedy))
    return problems


def _approvers(word: ApproversWord | None) -> Approvers | None:
    return None if word is None else Approvers(frozenset(word.roles), frozenset(word.principals))


def _in_order(value: Any) -> Any:
    """The same with every list of names sorted, each name once."""
    match value:
        case dict():
            return {key: _in_order(each) for key, each in value.items()}
        case list() if all(isinstance(each, str) for each in value):
            return sorted(set(value))
        case list():
            return [_in_order(each) for each in value]
        case _:
            return value


def _sha256(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
