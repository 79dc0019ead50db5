"""The `ask` tool: a question to people, with typed answers.

It performs nothing. A call of it waits as an intent while the run is blocked with the question; who answers and how it
is shown is decided above. Here is only what may be asked, and what an answer has to look like.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator

from core.errors import TerminalError
from core.planners.definition import InputSpec
from core.planners.inputs import NotAccepted, accept
from core.tools.base import ToolContext, ToolResult
from core.tools.registry import Arguments

TOOL = "ask"

_MOST_FIELDS = 10
_FIELD = r"^[a-z][a-z0-9_]{0,39}$"


class AskField(Arguments):
    """One thing to answer."""

    type: Literal["string", "integer", "decimal", "boolean", "choice"] = "string"
    title: str = Field(default="", max_length=200, description="what is asked for, in a few words")
    choices: list[Annotated[str, Field(min_length=1, max_length=70)]] = Field(default=[], max_length=100)
    required: bool = True

    @model_validator(mode="after")
    def _choices_belong_to_a_choice(self) -> "AskField":
        if (self.type == "choice") != bool(self.choices):
            raise ValueError("`choices` goes with the type `choice`, and with no other")
        if len(set(self.choices)) != len(self.choices):
            raise ValueError("every choice may stand there once")
        return self


class AskArguments(Arguments):
    """A question."""

    question: str = Field(min_length=1, max_length=2_000, description="the question, as people read it")
    choices: list[Annotated[str, Field(min_length=1, max_length=70)]] = Field(
        default=[], max_length=100, description="for one answer out of several; the answer is in `out.answer`"
    )
    fields: dict[Annotated[str, Field(pattern=_FIELD)], AskField] = Field(
        default={}, max_length=_MOST_FIELDS, description="for several typed answers, by name; each is in `out.<name>`"
    )

    @model_validator(mode="after")
    def _one_way_to_answer(self) -> "AskArguments":
        if self.choices and self.fields:
            raise ValueError("write either `choices` or `fields`")
        if len(set(self.choices)) != len(self.choices):
            raise ValueError("every choice may stand there once")
        return self


class Ask:
    """Asks people."""

    name = TOOL
    description = "Ask people in the run's thread a question; the run waits for the answer."

    @property
    def arguments(self) -> type[BaseModel]:
        return AskArguments

    async def perform(self, args: BaseModel, context: ToolContext) -> ToolResult:
        """Never called: the call ends with the answer."""
        return ToolResult("failed", error="A question is answered by people; it cannot be performed.")


def answers_wanted(args: Mapping[str, Any]) -> dict[str, InputSpec]:
    """What has to be answered, by name; `args` are stored arguments of `ask`."""
    asked = AskArguments.model_validate(dict(args))
    if asked.fields:
        return {
            name: InputSpec(name, field.type, field.required, description=field.title, choices=tuple(field.choices))
            for name, field in asked.fields.items()
        }
    kind: Literal["choice", "string"] = "choice" if asked.choices else "string"
    return {"answer": InputSpec("answer", kind, True, choices=tuple(asked.choices))}


def accepted(args: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The answer as typed values.

    Raises:
        TerminalError: with a sentence for every answer that is missing or does not fit.
    """
    wanted = answers_wanted(args)
    problems = [f"`{name}` was not asked for" for name in given if name not in wanted]
    values: dict[str, Any] = {}
    for name, spec in wanted.items():
        value = given.get(name)
        if value is None or value == "":
            if spec.required:
                problems.append(f"`{name}` is missing: it expects {spec.expects}")
            continue
        try:
            values[name] = accept(spec, value)
        except NotAccepted as error:
            problems.append(str(error))
    if problems:
        raise TerminalError("; ".join(problems) + ".")
    return values
