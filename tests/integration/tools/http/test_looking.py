"""What may still be done for a run that was stopped: looking, and nothing else."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from core.tools.base import ToolContext
from core.tools.effects import EFFECTS, LOOKS, READY
from core.tools.http import HttpArguments
from core.tools.http_probe import ProbedHttp
from core.tools.http_send import look
from tests.integration.tools.http.conftest import Allowed, Serve
from tests.integration.tools.http.server import answer

GET = {"method": "GET"}


def stopped(run_row: Path, *, fence: int) -> None:
    with closing(sqlite3.connect(run_row)) as database, database:
        database.execute("UPDATE runs SET killed_at = 1, fence = ?", (fence,))


def after_stop(context: ToolContext) -> ToolContext:
    label = replace(context.label, run_id="look_call")
    return replace(context, label=label, looks_after=context.label.run_id, idempotency_key="v1.key")


@pytest.mark.parametrize(("method", "effect"), [("POST", "http"), ("GET", "http"), ("POST", "http_look")])
async def test_what_could_change_something_is_not_sent_any_more(
    serve: Serve, allowed: Allowed, run_row: Path, method: str, effect: str
) -> None:
    server = serve(answer("200 OK"))
    context = after_stop(allowed(server.place))
    stopped(run_row, fence=context.label.fence)
    tool = ProbedHttp("pay", url=f"{server.url}/{{key}}", settle_s=0)

    done = await tool.sent(HttpArguments.model_validate({"method": method, "url": server.url}), context, effect)

    assert done.status in ("failed", "failed-safe"), done
    assert [] == server.requests


@pytest.mark.parametrize(("killed", "fence", "sent"), [(True, 0, True), (True, 1, False), (False, 0, False)])
async def test_a_look_needs_the_very_stop_it_follows(
    serve: Serve, allowed: Allowed, run_row: Path, killed: bool, fence: int, sent: bool
) -> None:
    server = serve(answer("200 OK"))
    context = after_stop(allowed(server.place))
    if killed:
        stopped(run_row, fence=context.label.fence + fence)
    tool = ProbedHttp("pay", url=f"{server.url}/{{key}}", settle_s=0)

    done = await tool.sent(HttpArguments.model_validate(GET | {"url": server.url}), context, "http_look")

    assert (1 if sent else 0, sent) == (len(server.requests), done.status == "succeeded")


def test_looks_are_effects_that_make_nothing_ready() -> None:
    assert EFFECTS.keys() >= LOOKS
    assert not LOOKS & READY.keys()
    refused = look({"request": {"method": "DELETE"}}, {}, "", 1.0)
    assert "failed" == refused["status"]
