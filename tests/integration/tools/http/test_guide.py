"""docs/guides/http.md works when it is copied, and its tables say what the tool does."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from core.actions.policy import Proposal, parse
from core.config.load import Config, parse_config
from core.planners.base import Act, CallOutcome, PlanRequest
from core.planners.playbook import PlaybookPlanner
from core.tools.catalogue import all_tools
from core.tools.http import Http, HttpArguments
from core.tools.http_probe import ProbedHttp
from core.tools.reach import OutOfReach, Reach, check_name
from core.tools.registry import Registry
from tests.docs.conftest import fence as fence
from tests.docs.fences import Fence
from tests.integration.tools.http.conftest import Allowed, Serve
from tests.integration.tools.http.server import answer

GUIDE = (Path(__file__).resolve().parents[4] / "docs/guides/http.md").read_text("utf-8")
REGISTRY = Registry([Http()])


def config_of(fence: Fence) -> Config:
    return parse_config(fence.text.encode(), path=Path("banksman.yml"))


def table(after: str) -> set[str]:
    """What is quoted in the first column of the table below a line."""
    rows = GUIDE.partition(f"| {after} |")[2].partition("\n\n")[0].splitlines()[2:]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])}


@pytest.mark.runs_fence("docs/guides/http.md > Let it > 1")
@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/v1/deploys", ("allow", "tier:read")),
        ("POST", "/v1/staging/deploys", ("allow", "deploys-to-staging")),
        ("POST", "/v1/staging/../deploys", ("ask", "tier:irreversible")),
        ("POST", "/v1/deploys", ("ask", "tier:irreversible")),
        ("DELETE", "/v1/staging/deploys", ("ask", "tier:irreversible")),
    ],
)
async def test_the_config_decides_as_the_page_says(
    fence: Fence, allowed: Allowed, method: str, path: str, expected: tuple[str, str]
) -> None:
    config = config_of(fence)
    args = REGISTRY.validate("http", {"method": method, "url": f"https://API.example.com{path}"})
    prepared = await Http().prepare(args, allowed(*config.tool("http").network))
    word = config.tool("http")
    found = parse(config.policy_text).decide(
        Proposal("http", word.tier, word.recovery, "deploy", word.environment, prepared.args)
    )

    assert expected == (found.verdict, found.rule)


@pytest.mark.runs_fence("docs/guides/http.md > Let it > 1")
def test_the_config_opens_what_it_names(fence: Fence) -> None:
    reach = Reach(config_of(fence).tool("http").network)

    for host, port in (("api.example.com", 443), ("a.internal.example.com", 8443), ("127.0.0.1", 9200)):
        check_name(reach, host, port)
    for host, port in (("example.com", 443), ("a.internal.example.com", 443), ("127.0.0.1", 9201)):
        with pytest.raises(OutOfReach):
            check_name(reach, host, port)


@pytest.mark.runs_fence("docs/guides/http.md > Use it > 1")
async def test_the_playbook_deploys(fence: Fence, serve: Serve, allowed: Allowed) -> None:
    [source] = config_of(fence).playbooks.values()
    server = serve(answer("200 OK", b'{"version": "1.0"}', Content_Type="application/json"), answer("201 Created"))
    outcomes: list[CallOutcome] = []
    for _ in range(2):
        request = PlanRequest(source.name, source.text, "", {"version": "1.1"}, tuple(outcomes))
        act = PlaybookPlanner().decide(request).move
        assert isinstance(act, Act)
        here: dict[str, Any] = {**act.args, "url": act.args["url"].replace("https://api.example.com", server.url)}
        context = allowed(server.place)
        prepared = await Http().prepare(REGISTRY.validate(act.tool, here), context)
        result = await Http().perform(REGISTRY.validate(act.tool, prepared.args), context)
        assert "succeeded" == result.status
        outcomes.append(CallOutcome(act.step, "succeeded", dict(result.out)))

    first, second = server.requests
    assert ("GET /v1/deploys/current HTTP/1.1", "POST /v1/deploys HTTP/1.1") == (first.line, second.line)
    assert {"version": "1.1", "replaces": "1.0"} == json.loads(second.body)
    assert "asked in Slack" == second.headers["x-reason"]


def test_the_tables_have_every_argument_and_every_field() -> None:
    assert set(HttpArguments.model_fields) == table("argument | is")
    assert {"status", "url", "headers", "text", "json", "bytes", "truncated"} == table("in `out` | is")


@pytest.mark.runs_fence("docs/guides/http.md > A tool of your own > 1")
def test_the_tool_of_ones_own_is_http_with_a_probe_and_its_reading_reads(fence: Fence) -> None:
    config = config_of(fence)
    pay = next(tool for tool in all_tools(config) if tool.name == "pay")
    word = config.tool("pay")

    def decided(method: str) -> tuple[str, str]:
        proposal = Proposal("pay", word.tier, word.recovery, "deploy", "default", {"method": method}, word.uses)
        decision = parse(config.policy_text).decide(proposal)
        return decision.verdict, decision.rule

    assert isinstance(pay, ProbedHttp) and 10.0 == pay.settle_s
    assert ("allow", "tier:read") == decided("GET")
    assert ("ask", "tier:irreversible") == decided("POST")
