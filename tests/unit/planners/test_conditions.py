"""`if:`: CEL, checked before, bounded during, and silent about the data afterwards."""

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.planners.conditions import ConditionError, parse_condition
from core.planners.references import TemplateError

ROOT = Path(__file__).resolve().parents[3]
VALUES = {
    "inputs": {"n": 3, "s": "secret-value", "b": True, "d": "12.50"},
    "steps": {"x": {"status": "succeeded", "error": "", "out": {"rows": [1, 2, 3], "ok": False, "k": {"a": "b"}}}},
}


def holds(text: str, values: Any = VALUES) -> bool:
    return parse_condition(text).holds(values)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("true", True),
        ("inputs.n == 3", True),
        ("inputs.n > 2 && inputs.n <= 3", True),
        ("inputs.s == 'x' || !inputs.b", False),
        ("inputs.b ? inputs.n == 3 : false", True),
        ("steps.x.status == 'succeeded' && size(steps.x.out.rows) == 3", True),
        ("steps.x.out['k'].a == 'b'", True),
        ("steps.x.out.rows[0] == 1", True),
        ("steps.x.out.rows.exists(r, r == 2)", True),
        ("steps.x.out.rows.all(r, r < inputs.n)", False),
        ("steps.x.out.rows.filter(r, r > 1).size() == 2", True),
        ("has(inputs.absent)", False),
        ("has(steps.x.out.ok) && !steps.x.out.ok", True),
        ("inputs.s.startsWith('sec') && inputs.s.contains('-')", True),
        ("inputs.s.matches('^[a-z-]+$')", True),
        ("double(inputs.d) > 12.0", True),
        ("string(inputs.n) == '3'", True),
        ("inputs.s in ['a', 'secret-value']", True),
        ("1 / 0 == 1 || true", True),
        ("type(inputs.n) == int", True),
    ],
)
def test_it_decides(text: str, answer: bool) -> None:
    assert answer is holds(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("inputs.n ==", "not a CEL expression"),
        ("inputs.n = 3", "not a CEL expression"),
        ("a b", "near character 3"),
        ("inputs.n == 3)", "not a CEL expression"),
        ("'open", "not a CEL expression"),
        ("é == 1", "not a CEL expression"),
        ("${{ inputs.n }} == 3", "already an expression"),
        ("true && " * 200 + "true", "longer than 1,000"),
        ("(" * 40 + "true" + ")" * 40, "nested too deep"),
        ("now() > 1", "no function `now`"),
        ("timestamp('2020-01-01T00:00:00Z') == 1", "no function `timestamp`"),
        ("inputs.s.lower() == 'x'", "no function `lower`"),
        ("inputs.s.getDate() == 1", "no function `getDate`"),
        ("inputs.l.map(x)", "`map` needs a variable"),
        ("has(inputs)", "`has` asks whether"),
        ("google.protobuf.Int32Value{value: 1} == 1", "builds a message"),
        (".inputs.n == 3", "builds a message"),
        ("inputs.s.matches('(')", "not a regular expression"),
    ],
)
def test_what_cannot_be_a_condition_is_refused_when_loaded(text: str, words: str) -> None:
    with pytest.raises(TemplateError) as raised:
        parse_condition(text)

    assert words in raised.value.what
    assert raised.value.remedy


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("inputs.s == 12", "different types"),
        ("inputs.n == '3'", "different types"),
        ("inputs.n + inputs.s == 'x'", "different types"),
        ("inputs.absent == 1", "not there"),
        ("steps.x.out.rows[9] == 1", "beyond the end"),
        ("1 / (inputs.n - 3) == 1", "divides by zero"),
        ("int(inputs.s) == 1", "not a number"),
        ("inputs.s", "neither true nor false"),
        ("inputs.n && true", "neither true nor false"),
        ("steps.x.out.rows.all(r, r > 'a')", "different types"),
        ("inputs.s.matches(inputs.s + '(')", "not a regular expression"),
    ],
)
def test_what_cannot_be_decided_is_said_without_the_data(text: str, words: str) -> None:
    with pytest.raises(ConditionError) as raised:
        holds(text)

    assert words in str(raised.value)
    assert "secret-value" not in str(raised.value)


def test_a_number_beyond_what_cel_has_is_said() -> None:
    with pytest.raises(ConditionError, match="do not fit"):
        holds("inputs.n > 1", {"inputs": {"n": 2**70}})


def test_work_is_bounded() -> None:
    nested = "inputs.l.all(a, inputs.l.all(b, inputs.l.all(c, a + b + c >= 0)))"

    with pytest.raises(ConditionError, match="too much work"):
        holds(nested, {"inputs": {"l": list(range(100))}})


def test_nothing_of_the_data_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    assert not holds("inputs.s == 'logged?'")
    assert "secret-value" not in caplog.text


def test_the_interpreters_recursion_limit_is_left_alone() -> None:
    """In a process of its own, because the library changes it only the first time."""
    program = (
        "import sys; from core.planners.conditions import parse_condition; before = sys.getrecursionlimit(); "
        "assert parse_condition('true').holds({}); sys.exit(before != sys.getrecursionlimit())"
    )

    assert 0 == subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode


def test_a_condition_knows_what_it_reads_and_asks() -> None:
    condition = parse_condition(
        "has(inputs.a) && inputs.a == 'x' && steps.s.status == 'failed' && steps.t.out.v[0] > 1"
    )

    assert (("inputs", "a"), ("steps", "s", "status"), ("steps", "t", "out", "v", 0)) == condition.uses
    assert condition.guards("inputs", "a") and condition.guards("steps", "s")
    assert not condition.guards("steps", "t")


def test_variables_of_a_comprehension_are_not_paths() -> None:
    condition = parse_condition("steps.s.out.l.all(inputs2, inputs2.x > 0 && inputs.n > 0)")

    assert (("steps", "s", "out", "l"), ("inputs", "n")) == condition.uses


@settings(max_examples=300, deadline=None)
@given(st.text("inputs.n s'\"()[]{}&|!=<>?:+-*/%0123,ehas_\\\n", max_size=40))
def test_any_text_is_refused_or_answers_or_says_why_not(text: str) -> None:
    try:
        answer = holds(text)
    except (TemplateError, ConditionError) as error:
        assert str(error)
        return
    assert answer in (True, False)
