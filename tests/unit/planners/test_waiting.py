"""What a wait looks for: the condition on a look, what it reads beside it, and how a model asks for one."""

from typing import Any

import pytest

from core.config.problems import ConfigProblems
from core.planners.base import Act
from core.planners.conditions import parse_condition
from core.planners.dialogue import Answer, AskedCall
from core.planners.references import TemplateError
from core.planners.thinking import usable
from core.planners.waiting import Wait, asked_wait, judged, read_by, sees_failures
from tests.unit.planners.books import book, decide, done

POLL = """
inputs:
  wanted: {type: string, default: v2}
steps:
  - {id: begin, tool: http}
  - id: poll
    tool: http
    with: {url: "https://x/${{ steps.begin.out.id }}"}
    wait-until:
      condition: look.out.version == inputs.wanted && look.out.of == steps.begin.out.id
      deadline: 2h
      every: 10s
"""


def test_a_step_that_waits_takes_along_what_its_condition_reads_beside_the_look() -> None:
    turn = decide(POLL, done("begin", id="7", log="x" * 1000))

    read = {"inputs": {"wanted": "v2"}, "steps": {"begin": {"out": {"id": "7"}}}}
    condition = "look.out.version == inputs.wanted && look.out.of == steps.begin.out.id"
    wait = Wait(condition, 7_200_000, 10_000, read)
    assert Act("poll", "http", {"url": "https://x/7"}, "Poll", None, wait) == turn.move
    assert judged(condition, read, status="succeeded", out={"version": "v2", "of": "7"}).holds
    assert not judged(condition, read, status="succeeded", out={"version": "v1", "of": "7"}).holds


@pytest.mark.parametrize(
    ("condition", "complaint"),
    [
        ("look.state == 'done'", "no `look.state`"),
        ("steps.poll.out.done", "has not run"),
        ("look.status == 'skipped'", "never 'skipped'"),
        ("later == 1", "no `later`"),
    ],
)
def test_a_condition_that_reads_what_is_not_there_is_refused_when_it_is_loaded(condition: str, complaint: str) -> None:
    with pytest.raises(ConfigProblems, match=complaint):
        book(f'steps: [{{id: poll, tool: http, wait-until: {{condition: "{condition}", deadline: 1m}}}}]')


def test_looks_are_known_only_where_a_step_waits() -> None:
    with pytest.raises(ConfigProblems, match="There is no `look` here"):
        book('steps: [{id: poll, tool: http, if: "look.out.x"}]')


def test_what_was_seen_names_the_fields_the_condition_reads() -> None:
    condition = "look.out.state == 'done' && size(look.out.rows) > 2 && look.out.n > 1"
    seen = judged(condition, {}, status="succeeded", out={"state": "at  work\n", "rows": [1], "n": 3, "other": "z"})

    assert not seen.holds
    assert '`look.out.state` is "at work", `look.out.rows` is a list of 1, `look.out.n` is 3' == seen.text


def test_a_condition_that_cannot_be_decided_yet_does_not_hold() -> None:
    seen = judged("look.out.state == 'done'", {}, status="succeeded", out={})

    assert not seen.holds
    assert "test it first with `has(…)`" in seen.text


def test_a_condition_may_wait_for_a_failure() -> None:
    gone = "look.status == 'failed' && look.error.contains('404')"

    assert sees_failures(gone) and not sees_failures("look.out.done")
    assert judged(gone, {}, status="failed", out={}, error="it said 404").holds
    assert not judged(gone, {}, status="failed", out={}, error="it said 500").holds


def test_what_is_absent_stays_absent_in_what_a_condition_reads() -> None:
    condition = parse_condition("has(steps.a.out.x) && inputs.n > 1 && steps.a.out.list[0] == 'b'")
    values = {"inputs": {"n": 2, "m": 3}, "steps": {"a": {"out": {"list": ["b", "c"]}, "status": "succeeded"}}}

    assert {"inputs": {"n": 2}, "steps": {"a": {"out": {"list": ["b", "c"]}}}} == read_by(condition, values)


ASKED = {"tool": "git-read", "args": {"ref": "main"}, "condition": "look.out.sha != 'a'", "deadline_s": 600}


def test_a_model_waits_with_one_of_its_tools_by_the_name_it_knows() -> None:
    answer = Answer(1, "", (AskedCall("a", "wait_until", ASKED),), None, "m", 1, 1)

    (call,) = usable(answer, {"git.read", "wait_until", "plan"}).calls

    assert ("", "git.read") == (call.refusal, call.args["tool"])
    asked = asked_wait(call.args, {"git.read": "git.read"})
    assert ("git.read", {"ref": "main"}, Wait("look.out.sha != 'a'", 600_000, 5_000)) == (
        asked.tool,
        asked.args,
        asked.wait,
    )


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"tool": "nothing"}, "none of your tools"),
        ({"tool": "wait_until"}, "none of your tools"),
        ({"tool": "ask"}, "none of your tools"),
        ({"args": [1]}, "by name"),
        ({"condition": "look.out.x =="}, "not a CEL expression"),
        ({"condition": "inputs.x == 1"}, "no `inputs.x`"),
        ({"deadline_s": 0}, "whole number of seconds"),
        ({"deadline_s": True}, "whole number of seconds"),
        ({"deadline_s": 10**9}, "whole number of seconds"),
        ({"until": "x"}, "takes no `until`"),
    ],
)
def test_a_wait_that_makes_no_sense_is_refused_by_name_and_never_carried_out(
    wrong: dict[str, Any], complaint: str
) -> None:
    answer = Answer(1, "", (AskedCall("a", "wait_until", ASKED | wrong),), None, "m", 1, 1)

    (call,) = usable(answer, {"git.read", "wait_until", "ask", "plan"}).calls

    assert complaint in call.refusal
    with pytest.raises(TemplateError):
        asked_wait(ASKED | wrong, {"git-read": "git.read"})
