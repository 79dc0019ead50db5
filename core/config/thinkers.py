"""What a run of an agent pins: the agent with its instructions, and every model it may think with."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from core.config.document import Document, canonical_json, read_document
from core.config.language import price_parts
from core.config.models import ConfigFile
from core.config.problems import ConfigProblems
from core.nearest import did_you_mean

DELEGATE = "delegate"
"""The tool by which an agent hands work over."""

MAX_INSTRUCTIONS = 100_000
"""Bytes of a file with instructions."""


def pinned_agent(path: Path, document: Document, content: ConfigFile) -> str:
    """The agent of a document as its runs pin it.

    Args:
        path: The operator's file: paths in the document are relative to it.

    Raises:
        ConfigProblems: it names a model, a secret or a file that is not there.
    """
    plain = document.plain()
    fields: dict[str, Any] = dict(plain) if isinstance(plain, dict) else {}
    fields.setdefault("budget", content.budgets.run)
    written = fields.pop("instructions-file", None)
    if isinstance(written, str):
        if "instructions" in fields:
            what = "This agent has instructions already."
            raise _problem(document, "instructions-file", what, "Keep one of the two.")
        fields["instructions"] = _instructions(path, document, written)
    name = fields.get("model")
    if not isinstance(name, str) or name not in content.models:
        remedy = did_you_mean(str(name or ""), content.models, noun="Models") or "Add one under `models`."
        raise _problem(
            document, "model", f"There is no model `{name}`." if name else "This agent has no model.", remedy
        )
    chain = [name, *content.models[name].fallback]
    models = [_model(path, document, each, content) for each in chain]
    return canonical_json({"agent": fields, "models": models, "caps": content.budgets.caps.amounts()})


class Agent(Protocol):
    """An agent as it was read."""

    @property
    def name(self) -> str: ...
    @property
    def document(self) -> Document: ...
    @property
    def text(self) -> str: ...


def with_delegates(agent: Agent, agents: Mapping[str, Agent], content: ConfigFile) -> str:
    """What runs of an agent pin, with the agents it may hand work over to as they are now.

    Args:
        agents: Every agent, as `pinned_agent` made it.

    Raises:
        ConfigProblems: it names one that is not there, or the operator has not said that work may be handed over.
    """
    body = json.loads(agent.text)
    names = body["agent"].get("delegates")
    if not isinstance(names, list) or not names:
        return agent.text
    word = content.tools.get(DELEGATE)
    if word is None or word.tier != "read" or word.recovery not in ("pure", "idempotent"):
        remedy = f"Write `{DELEGATE}: {{tier: read, recovery: idempotent}}` under `tools`."
        raise _problem(agent.document, "delegates", f"The tool `{DELEGATE}` may not start a run here.", remedy)
    body["delegates"] = {}
    for index, name in enumerate(names):
        other = agents.get(name) if isinstance(name, str) else None
        if other is None or name == agent.name:
            what = "An agent hands no work over to itself." if other is not None else f"There is no agent `{name}`."
            others = [each for each in agents if each != agent.name]
            remedy = did_you_mean(str(name), others, noun="Agents") or "Add it under `agents`."
            raise ConfigProblems([agent.document.problem(["delegates", index], what, remedy)])
        said = json.loads(other.text)["agent"]
        about = said.get("description") or said.get("title") or name
        body["delegates"][name] = {"document": other.text, "about": about}
    return canonical_json(body)


def _model(path: Path, document: Document, name: str, content: ConfigFile) -> Mapping[str, Any]:
    word = content.models.get(name)
    if word is None:
        what = f"The model it falls back to, `{name}`, is not there."
        raise _problem(document, "model", what, "Correct `fallback` of its model.")
    if word.secret is not None and word.secret not in content.secrets:
        what = f"The key of the model `{name}` is the secret `{word.secret}`, which is not there."
        raise _problem(document, "model", what, "Add it under `secrets`.")
    turns: list[Any] = []
    if word.script is not None:
        try:
            read = read_document(path.parent / word.script, shown_as=str(path.parent / word.script)).plain()
        except ConfigProblems as error:
            first = error.problems[0]
            raise _problem(document, "model", f"Its script: {first.what}", first.remedy) from None
        if not isinstance(read, list) or not all(isinstance(turn, dict) for turn in read):
            raise _problem(document, "model", "Its script is no list of turns.", "Write one `- text: …` for each turn.")
        turns = read
    return {
        "name": name,
        "provider": word.provider,
        "model": word.model,
        "url": word.url,
        "secret": word.secret,
        "version": word.version,
        "window": word.window,
        "max_output": word.max_output,
        "price": price_parts(word.price),
        "timeout_ms": word.timeout_ms,
        "turns": turns,
    }


def _instructions(path: Path, document: Document, name: str) -> str:
    try:
        with (path.parent / name).open("rb") as file:
            data = file.read(MAX_INSTRUCTIONS + 1)
        text = data.decode()
    except (OSError, UnicodeDecodeError) as error:
        what = f"The instructions cannot be read: {error}."
        raise _problem(document, "instructions-file", what, "Name a text file.") from None
    if len(data) > MAX_INSTRUCTIONS:
        what = f"The instructions have more than {MAX_INSTRUCTIONS:,} bytes."
        raise _problem(document, "instructions-file", what, "Shorten them.")
    return text


def _problem(document: Document, field: str, what: str, remedy: str) -> ConfigProblems:
    return ConfigProblems([document.problem([field], what, remedy)])
