"""Arguments of tools over MCP are checked against a schema that somebody else wrote, and it can do no harm."""

import time
from typing import Any

import pytest

from core.config.accepted import AcceptedTool
from core.config.servers import ServerWord
from core.tools.mcp.tool import McpTool
from core.tools.registry import InvalidArguments, Registry

STRICT = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "maxLength": 3},
        "n": {"type": "integer"},
        "pattern": {"type": "string"},
        "of": {"$ref": "#/$defs/Kind"},
    },
    "required": ["text"],
    "$defs": {"Kind": {"enum": ["a", "b"]}},
}


def checked(schema: Any, **args: Any) -> Any:
    word = ServerWord.model_validate({"command": ["x"]})
    tool = McpTool(AcceptedTool("s", "do", {"name": "do", "inputSchema": schema}), word)
    return Registry([tool]).validate("mcp.s.do", args)


def test_arguments_that_fit_are_passed_on_as_they_are() -> None:
    args = {"text": "abc", "n": 3, "pattern": "(", "of": "a"}

    assert args == checked(STRICT, **args).root


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({}, "'text' is a required property"),
        ({"text": "abcd"}, "`text`: 'abcd' is too long"),
        ({"text": "a", "n": "3"}, "`n`: '3' is not of type 'integer'"),
        ({"text": "a", "of": "c"}, "`of`: 'c' is not one of"),
        ({"text": "a", "txet": "b"}, "'txet' was unexpected"),
        ({"text": "a", "n": 1.5}, "cannot be used"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_with_a_sentence(args: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidArguments, match=r"mcp\.s\.do") as raised:
        checked(STRICT, **args)

    assert said in str(raised.value)


def test_what_a_schema_opens_stays_open() -> None:
    assert {"x": 1} == checked({"type": "object", "additionalProperties": True}, x=1).root


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"x": {"$ref": "http://127.0.0.1:1/schema.json"}}},
        {"type": "object", "properties": {"x": {"$ref": "file:///etc/passwd"}}},
        {"type": "object", "properties": {"x": {"$ref": "#/$defs/none"}}},
        {"type": "object", "properties": {"x": {"$ref": "#/properties/x"}}},
        {"type": "object", "properties": {"x": {"minLength": "many"}}},
        {"type": "object", "properties": []},
        {"type": 7},
    ],
)
def test_a_schema_that_makes_no_sense_or_leads_elsewhere_takes_nothing(schema: Any) -> None:
    with pytest.raises(InvalidArguments):
        checked(schema, x="a")


def test_a_pattern_without_end_is_not_looked_for() -> None:
    schema = {"type": "object", "properties": {"x": {"type": "string", "pattern": "^(a+)+$"}}}
    began_s = time.monotonic()

    checked(schema, x="a" * 60 + "!")

    assert time.monotonic() - began_s < 5
