"""The reference pages and the shipped configuration agree with the code."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from bot.playground.seed import DEMO_TEAM
from core.config import load_config
from core.config import reference as config_reference
from core.config.models import ConfigFile
from core.config.settings import VARIABLES
from core.planners import reference as playbook_reference
from core.planners.agents import read_agent
from core.planners.base import Act, CallOutcome, Finish, PlanRequest
from core.planners.compile import InputFields, PlaybookFields, StepFields, SummaryFields
from core.planners.conditions import parse_condition
from core.planners.playbook import PlaybookPlanner, compile_playbooks
from core.planners.references import template
from core.tools.catalogue import all_tools, standard_tools
from core.tools.registry import Registry

ROOT = Path(__file__).resolve().parents[3]
AGENTS = {"triage", "repo", "triage-live", "repo-live"}


@pytest.mark.parametrize(
    ("name", "page"),
    [("config.md", config_reference.page()), ("playbooks.md", playbook_reference.page())],
    ids=["config", "playbooks"],
)
def test_the_page_is_the_one_the_code_writes(name: str, page: str) -> None:
    assert page == (ROOT / "docs/reference" / name).read_text("utf-8")


def test_the_config_page_names_every_field_and_variable() -> None:
    page = (ROOT / "docs/reference/config.md").read_text("utf-8")
    models: list[type[BaseModel]] = [ConfigFile, *(model for _, model in config_reference.SECTIONS)]
    names = [field.alias for model in models for field in model.model_fields.values()]

    assert [] == [name for name in [*names, *(each.name for each in VARIABLES)] if f"| `{name}` |" not in page]


@pytest.mark.parametrize(
    "model",
    [
        ConfigFile,
        *(model for _, model in config_reference.SECTIONS),
        PlaybookFields,
        InputFields,
        StepFields,
        SummaryFields,
    ],
    ids=lambda model: model.__name__,
)
def test_every_field_has_a_sentence(model: type[BaseModel]) -> None:
    assert [] == [name for name, field in model.model_fields.items() if not (field.description or "").endswith(".")]


def test_the_shipped_file_is_read_and_its_playbooks_understood() -> None:
    config = load_config(ROOT / "banksman.yml")
    tools = Registry(all_tools(config))

    books = compile_playbooks(config.playbooks.values(), tools=tools.names())

    assert {"report", "runaway", "checkup"} == set(books) - AGENTS
    assert AGENTS < set(books)
    assert {"requester", "approver", "approver2", "operator", "member", "guest"} == set(config.principals)
    assert set(tools.names()) - {"git_push.undo"} == set(config.tools)
    asking = {
        (book.name, step.tool)
        for book in books.values()
        for step in book.steps
        if config.tool(step.tool).tier not in ("read", "workspace")
    }
    assert {("checkup", "git_push")} == asking, "only the push asks"


def test_the_shipped_agents_differ_in_what_they_think_with() -> None:
    config = load_config(ROOT / "banksman.yml")
    agents = {name: read_agent(config.playbooks[name].text) for name in AGENTS}

    assert {
        "triage": "script:triage-script",
        "repo": "script:repo-script",
        "triage-live": "anthropic:claude-sonnet-4-5",
        "repo-live": "anthropic:claude-sonnet-4-5",
    } == {name: agent.models[0].label for name, agent in agents.items()}
    for scripted in ("triage", "repo"):
        one, live = agents[scripted], agents[f"{scripted}-live"]
        assert (one.instructions, one.artifacts, one.calls) == (live.instructions, live.artifacts, live.calls)
        assert set(one.tools) < set(live.tools)


@pytest.mark.parametrize("name", ["triage", "repo"])
def test_every_turn_of_a_shipped_script_can_be_said(name: str) -> None:
    config = load_config(ROOT / "banksman.yml")
    tools = Registry(all_tools(config))
    agent = read_agent(config.playbooks[name].text)
    ids = [call["id"] for turn in agent.models[0].turns for call in turn.get("calls", ()) if "id" in call]
    known = set(ids)
    assert len(ids) == len(known)

    for turn in agent.models[0].turns:
        paths = [reference.path for _, reference, _ in template(turn.get("text", "")).references()]
        if "if" in turn:
            paths += parse_condition(turn["if"]).uses
        for call in turn.get("calls", ()):
            assert call["tool"] in agent.tools
            tools.validate(call["tool"], call["with"])
            paths += [reference.path for _, reference, _ in template(call["with"]).references()]
        assert {("steps", True)} >= {(path[0], path[1] in known) for path in paths}, turn


@pytest.mark.parametrize("name", ["report", "runaway"])
def test_the_shipped_playbooks_give_their_tools_what_these_take(name: str) -> None:
    config = load_config(ROOT / "banksman.yml")
    tools = Registry(standard_tools(config.limits.artifact_bytes))
    file = {"name": "a.csv", "path": "inputs/a.csv", "sha256": "0", "size": 9, "media_type": "text/csv"}
    inputs = {"data": file} if name == "report" else {}
    history: list[CallOutcome] = []
    while True:
        request = PlanRequest(name, config.playbooks[name].text, "", inputs, tuple(history))
        move = PlaybookPlanner().decide(request).move
        if not isinstance(move, Act):
            break
        tools.validate(move.tool, move.args)
        history.append(CallOutcome(move.step, "succeeded", {"text": "a.csv: 5 rows, 2 columns"}))

    assert Finish("a.csv: 5 rows, 2 columns" if name == "report" else "It ended by itself.") == move


def test_the_demonstrations_people_are_the_playgrounds() -> None:
    config = load_config(ROOT / "banksman.yml")

    assert {f"{DEMO_TEAM['team']['id']}/{user['id']}": user["name"] for user in DEMO_TEAM["users"]}.items() >= {
        (person.slack[0], name) for name, person in config.principals.items()
    }
