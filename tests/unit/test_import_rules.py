"""The tree keeps the import rules, and a planted violation of each is caught."""

import ast
from pathlib import Path

import pytest

from tests.unit.import_rules import ROOT, read_tree, violations

PLANTED = {
    "core imports bot": ("core/runs/engine.py", "from bot.app import main", "core imports bot.app"),
    "core imports worker": ("core/queue.py", "import worker.main", "core imports worker.main"),
    "bot imports worker": ("bot/app.py", "from worker import main", "bot imports worker"),
    "worker imports bot": ("worker/main.py", "import bot", "worker imports bot"),
    "code imports tests": ("core/ids.py", "from tests import factories", "what ships does not depend on what tries it"),
    "tools import runs": ("core/tools/files.py", "from core.runs.engine import drive", "which stands above it"),
    "execution imports tools": ("core/execution/base.py", "import core.tools.base", "which stands above it"),
    "store imports execution": ("core/store/journal.py", "from core.execution import base", "which stands above it"),
    "record imports store": ("core/record/events.py", "from core.store import tables", "which stands above it"),
    "planners import store": ("core/planners/base.py", "from core import store", "which stands above it"),
    "actions import record": ("core/actions/policy.py", "from core.record import states", "which stands above it"),
    "config imports planners": ("core/config.py", "from core.planners import base", "which stands above it"),
    "secrets import config": ("core/secrets.py", "from core.config import Settings", "which stands above it"),
    "errors import principals": ("core/errors.py", "from .principals import Principal", "which stands above it"),
    "ids import artifacts": ("core/ids.py", "import core.artifacts", "which stands above it"),
    "an import inside a function": ("core/ids.py", "def f():\n    from core import runs", "which stands above it"),
    "an import for types only": (
        "core/ids.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import core.store",
        "which stands above it",
    ),
    "an import by name": (
        "core/ids.py",
        "import importlib\nimportlib.import_module('core.store')",
        "which stands above it",
    ),
    "a room without a place": ("core/attic/box.py", "x = 1", "has no place in CORE_ORDER"),
    "core's map imports": ("core/__init__.py", "from core import ids", "imports nothing of it"),
    "slack_sdk outside bot": ("worker/main.py", "from slack_sdk.web import WebClient", "only bot may"),
    "slack_bolt outside bot": ("core/queue.py", "import slack_bolt", "only bot may"),
    "arq in bot": ("bot/app.py", "from arq import create_pool", "only core.queue and worker may"),
    "arq elsewhere in core": ("core/runs/sweeper.py", "import arq", "only core.queue and worker may"),
    "the LLM library elsewhere": (
        "core/planners/base.py",
        "import pydantic_ai",
        "only core.planners.model and core.planners.vendors may",
    ),
    "mcp elsewhere": ("core/tools/registry.py", "from mcp import Client", "only core.tools.mcp.client may"),
    "sqlalchemy outside store": ("core/runs/views.py", "from sqlalchemy import select", "only core.store may"),
    "sqlite3 outside store": ("bot/delivery/outbox.py", "import sqlite3", "only core.store and bot.playground may"),
    "asyncpg outside store": ("bot/cli/doctor.py", "import asyncpg", "only core.store may"),
    "alembic outside store": ("bot/cli/db.py", "from alembic import command", "only core.store may"),
    "an SQL string outside store": ("worker/main.py", "q = 'SELECT id FROM runs'", "an SQL statement"),
    "a commit outside store": ("core/runs/engine.py", "async def f(s):\n    await s.commit()", "to the journal"),
    "a pure module reads the clock": (
        "core/record/events.py",
        "from datetime import UTC, datetime\nat = datetime.now(UTC)",
        "uses datetime.datetime.now",
    ),
    "a pure module refers to the clock": (
        "core/record/events.py",
        "import datetime as dt\nmake = dt.datetime.utcnow",
        "uses datetime.datetime.utcnow",
    ),
    "a pure module opens a file": ("core/audit/verify.py", "x = open('f')", "uses open()"),
    "a pure module takes the clock port": ("core/budgets.py", "from core.clock import Clock", "this module is pure"),
    "a pure module takes the clock as a module": ("core/loops.py", "from core import clock", "this module is pure"),
    "the playground imports bot": ("bot/playground/app.py", "from bot.slack import Client", "nothing of ours"),
    "the playground imports core": ("bot/playground/app.py", "from core import ids", "nothing of ours"),
    "the playground climbs out": ("bot/playground/app.py", "from .. import slack", "nothing of ours"),
    "somebody imports the playground": ("bot/cli/up.py", "from bot.playground import app", "start it as a process"),
    "blocks import the store": ("bot/blocks/home.py", "from core.store import tables", "take a read model"),
    "the bot runs a tool": ("bot/listeners/views.py", "from core.execution import sandbox", "run in the worker"),
    "the worker names a Slack token": ("worker/main.py", "name = 'SLACK_BOT_TOKEN'", "it holds no Slack token"),
}
PURE_FILES = (
    "core/record/events.py", "core/runs/steps.py", "core/runs/commands/kill.py", "core/actions/envelope.py",
    "core/actions/policy.py", "core/actions/approvals.py", "core/store/settle.py", "core/budgets.py", "core/loops.py",
    "core/audit/verify.py", "bot/blocks/run_card.py",
)  # fmt: skip
# What rules let through: the same words in the places they belong to.
ALLOWED = (
    ("core/runs/engine.py", "from core.tools import base\nfrom core.store import journal\nfrom core import ids"),
    ("core/queue.py", "import arq\nfrom core.errors import BanksmanError"),
    ("core/store/journal.py", "import sqlalchemy\nq = 'SELECT id FROM runs'\nasync def f(s):\n    await s.commit()"),
    ("core/store/migrations/env.py", "from alembic import context"),
    ("core/planners/model.py", "import pydantic_ai"),
    ("core/tools/mcp/client.py", "from mcp import Client"),
    ("core/clock.py", "from datetime import UTC, datetime\nat = datetime.now(UTC)\nimport time"),
    ("bot/app.py", "import slack_bolt\nfrom slack_sdk.web import WebClient"),
    ("bot/playground/app.py", "from bot.playground import state\nfrom . import ids"),
    ("bot/playground/state.py", "x = 'Please SELECT one FROM the list below'"),
    ("bot/playground/ids.py", "import random"),
    ("core/runs/commands/kill.py", "from core.clock import rfc3339\nfrom pathlib import PurePosixPath"),
    ("bot/blocks/home.py", "from datetime import datetime\nfrom core.runs.views import Run\nx = datetime.min"),
    ("worker/main.py", "import arq\nimport os\nfrom core.runs import engine"),
    ("core/runs/views.py", "from core.runs import steps\nx = 1"),
)  # fmt: skip


def test_the_tree_keeps_the_rules() -> None:
    assert [] == violations(ROOT)


def test_the_tree_is_really_read() -> None:
    names = {module.name for module in read_tree(ROOT)}

    assert {"core.errors", "bot.cli.embedded", "worker"} <= names


@pytest.mark.parametrize(("file", "code", "complaint"), PLANTED.values(), ids=PLANTED.keys())
def test_a_planted_violation_is_caught(tmp_path: Path, file: str, code: str, complaint: str) -> None:
    _plant(tmp_path, file, code)

    assert any(sentence.startswith(f"{file}:") and complaint in sentence for sentence in violations(tmp_path))


@pytest.mark.parametrize("file", PURE_FILES)
@pytest.mark.parametrize("module", ["time", "random", "secrets", "uuid", "os", "asyncio", "socket", "subprocess"])
def test_a_pure_module_may_not_import(tmp_path: Path, file: str, module: str) -> None:
    _plant(tmp_path, file, f"import {module}")

    assert [f"{file}:1: imports {module}; this module is pure, take the value as an argument"] == violations(tmp_path)


def test_two_rooms_of_one_floor_may_not_import_each_other(tmp_path: Path) -> None:
    _plant(tmp_path, "core/artifacts.py", "from core.secrets import redact")
    _plant(tmp_path, "core/secrets.py", "import core.artifacts")

    assert [
        "core/artifacts.py:1: core.artifacts imports core.secrets, which leads back to core.artifacts"
    ] == violations(tmp_path)


@pytest.mark.parametrize(("file", "code"), ALLOWED)
def test_what_the_rules_allow_is_let_through(tmp_path: Path, file: str, code: str) -> None:
    ast.parse(code)
    _plant(tmp_path, file, code)

    assert [] == violations(tmp_path)


def _plant(root: Path, file: str, code: str) -> None:
    """Write a file, with the empty modules it may mean around it so that `from core import store` is a module."""
    for package in ("bot", "bot/playground", "core", "core/store", "core/runs", "worker"):
        (root / package).mkdir(parents=True, exist_ok=True)
        (root / package / "__init__.py").touch()
    for module in ("core/ids.py", "core/clock.py", "bot/slack.py"):
        (root / module).touch()
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{code}\n")
