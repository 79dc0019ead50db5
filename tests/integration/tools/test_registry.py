"""The registry: what may be registered, which arguments fit, and what a definition's digest covers."""

from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from core.errors import ConfigError
from core.tools.base import ToolContext, ToolResult
from core.tools.catalogue import standard_tools
from core.tools.registry import Arguments, InvalidArguments, Registry, UnknownTool, definition_digest


class Part(Arguments):
    """A part."""

    size: int = Field(ge=1)


class Everything(Arguments):
    """Arguments of each kind."""

    text: str = Field(max_length=10, description="what to say")
    number: int = 1
    flag: bool = False
    items: list[Annotated[str, Field(max_length=5)]] = Field(default=[])
    parts: list[Part] = Field(default=[])


class Example:
    """A tool to register."""

    def __init__(
        self, name: str = "example", description: str = "Says something.", arguments: type[BaseModel] = Everything
    ) -> None:
        self.name = name
        self.description = description
        self._arguments = arguments

    @property
    def arguments(self) -> type[BaseModel]:
        return self._arguments

    async def perform(self, args: BaseModel, context: ToolContext) -> ToolResult:
        return ToolResult("succeeded")


def nested(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


def test_arguments_become_typed() -> None:
    args = Registry([Example()]).validate("example", {"text": "hi", "items": ["a"], "parts": [{"size": 2}]})

    assert Everything(text="hi", items=["a"], parts=[Part(size=2)]) == args


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ({}, "`example` needs `text`: what to say."),
        ({"text": 5}, "`text` of `example` must be text, not `5`."),
        ({"text": "hi", "number": "5"}, "`number` of `example` must be a whole number, not `5`."),
        ({"text": "hi", "flag": "yes"}, "`flag` of `example` must be true or false, not `yes`."),
        ({"text": "hi", "items": "a"}, "`items` of `example` must be a list, not `a`."),
        ({"text": "hi", "items": ["a", None]}, "`items[1]` of `example` must be text, not `null`."),
        ({"text": "hi", "parts": [{"size": 0}]}, "`parts[0].size` of `example` is `0`: input should be greater than"),
        ({"text": "hi", "parts": [{}]}, "`example` needs `parts[0].size`."),
        ({"text": "hi", "nmber": 5}, "`example` has no argument `nmber`; did you mean `number`?"),
        ({"text": "hi", "zzz": 5}, "it takes `text`, `number`, `flag`, `items`, `parts`."),
        ({"text": "x" * 11}, "`text` of `example` is `xxxxxxxxxxx`: string should have at most 10 characters."),
        ({"text": "hi", "number": 1.5}, "floating-point number; write it as a string"),
        ({"text": "hi", "number": 2**53}, "integer beyond"),
        ({"text": "a\0b"}, "contains a NUL character"),
        ({"text": "\ud800"}, "half of a character"),
        ({"text": "hi", "items": nested(40)}, "nested more than 32 levels deep"),
        ({"text": "x" * 70_000}, "at most 65536"),
        ({"text": "hi", "größe": 1}, "keys are ASCII text"),
        ({"text": "hi", "items": {1, 2}}, "which JSON does not have"),
    ],
)
def test_arguments_that_do_not_fit_are_explained(args: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        Registry([Example()]).validate("example", args)

    assert sentence in caught.value.user_text
    assert "pydantic" not in caught.value.user_text
    assert len(caught.value.user_text) < 1000


def test_many_complaints_are_bounded() -> None:
    with pytest.raises(InvalidArguments, match=r"And 16 more\."):
        Registry([Example()]).validate("example", {f"x{number}": 1 for number in range(20)})


def test_an_unknown_tool_names_its_neighbour() -> None:
    with pytest.raises(UnknownTool, match=r"There is no tool `exmple`\. Did you mean `example`\?"):
        Registry([Example()]).get("exmple")
    with pytest.raises(UnknownTool, match="There are: example"):
        Registry([Example()]).get("zzz")


class Open(BaseModel):
    """Accepts anything."""

    text: str


class Holder(Arguments):
    """Closed, with something open in it."""

    inner: Open


@pytest.mark.parametrize(
    ("tools", "sentence"),
    [
        ([Example(), Example()], "Two tools are called `example`"),
        ([Example(name="Ex ample")], "must look like"),
        ([Example(description="")], "needs a description"),
        ([Example(arguments=Open)], "accept undeclared or converted values in Open"),
        ([Example(arguments=Holder)], "accept undeclared or converted values in Open"),
    ],
)
def test_a_careless_tool_is_refused(tools: list[Example], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        Registry(tools)


def test_the_digest_covers_name_description_and_schema() -> None:
    digests = {
        definition_digest(tool)
        for tool in (
            Example(),
            Example(name="other"),
            Example(description="Says something else."),
            Example(arguments=Part),
        )
    }

    assert 4 == len(digests)
    assert definition_digest(Example()) == definition_digest(Example())
    assert all(digest.startswith("sha256:") for digest in digests)


def test_the_tools_that_come_with_us_can_be_registered() -> None:
    assert {"shell", "files.read", "files.write", "files.list", "files.delete", "artifact", "table_report"} <= set(
        Registry(standard_tools(1000)).names()
    )
