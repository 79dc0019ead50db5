"""A conversation with a model, in words of our own: what it is told, what it may ask for, what it answered.

Every answer is stored whole and read back by any worker, so its form is versioned. What a vendor needs beside it to go
on (signatures, ids of its own) travels as `raw`, which only `core.planners.model` understands.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Json = Any
"""A JSON value: its shape is the tool's or the vendor's."""

PLAN = "plan"
"""The tool that publishes the plan; it performs nothing."""

MOST_CHARACTERS = 64
"""Of a tool's name, for the vendors that take the fewest."""

FORMAT = 1
"""Of a stored answer."""

MAX_CALLS = 16
"""Tool calls of one answer that are carried out; more are refused by name."""

MOST_ASKED = 256
"""Tool calls at which an answer is no longer read."""

MAX_ANSWER_BYTES = 1_000_000
"""A stored answer is never larger: one that is counts as garbage."""


def spelled(name: str) -> str:
    """A tool's name as every vendor takes it: no dots, and 64 characters at most."""
    flat = name.replace(".", "-")
    if len(flat) <= MOST_CHARACTERS:
        return flat
    end = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{flat[: MOST_CHARACTERS - 9]}-{end}"


@dataclass(frozen=True)
class ToolSpec:
    """A tool as a model sees it."""

    name: str
    """As the model has to write it: `files-read` for `files.read`."""
    description: str
    schema: Mapping[str, Json]
    tool: str
    """Our name of it."""


@dataclass(frozen=True)
class AskedCall:
    """A call a model asks for."""

    id: str
    """The vendor's, or ours where it gave none or one twice."""
    tool: str
    """By our name."""
    args: Mapping[str, Json]
    refusal: str = ""
    """Why it is not carried out, if so; the model is told."""


@dataclass(frozen=True)
class PlanItem:
    """A line of the plan a model published."""

    title: str
    status: Literal["pending", "running", "done", "failed", "skipped"]


@dataclass(frozen=True)
class Answer:
    """What a model answered in one turn."""

    n: int
    """The turn's number."""
    text: str
    calls: tuple[AskedCall, ...]
    plan: tuple[PlanItem, ...] | None
    """The plan as it published it in this turn; `None` = it did not."""
    model: str
    """Which model says it answered."""
    input_tokens: int
    output_tokens: int
    raw: Json = None

    def to_bytes(self) -> bytes:
        """As it is stored."""
        body = {
            "format": FORMAT,
            "n": self.n,
            "text": self.text,
            "calls": [
                {"id": call.id, "tool": call.tool, "args": dict(call.args), "refusal": call.refusal}
                for call in self.calls
            ],
            "plan": None if self.plan is None else [{"title": item.title, "status": item.status} for item in self.plan],
            "model": self.model,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "raw": self.raw,
        }
        return json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()

    @staticmethod
    def from_bytes(data: bytes) -> "Answer":
        """Read a stored answer back.

        Raises:
            ValueError: it is none, or of a form this version does not know.
        """
        body = json.loads(data)
        if not isinstance(body, dict) or body.get("format") != FORMAT:
            raise ValueError("this answer has a form this version does not know")
        calls = tuple(AskedCall(each["id"], each["tool"], each["args"], each["refusal"]) for each in body["calls"])
        plan = body["plan"]
        return Answer(
            body["n"],
            body["text"],
            calls,
            None if plan is None else tuple(PlanItem(each["title"], each["status"]) for each in plan),
            body["model"],
            body["input_tokens"],
            body["output_tokens"],
            body["raw"],
        )


@dataclass(frozen=True)
class Told:
    """Something said to the model."""

    text: str


@dataclass(frozen=True)
class Returned:
    """What came of one of its calls."""

    call_id: str
    tool: str
    content: str
    ok: bool


@dataclass(frozen=True)
class Prompt:
    """Everything a model is given for one turn."""

    instructions: str
    said: tuple[Told | Answer | Returned, ...]
    """In order; what comes back for the calls of an answer follows it at once."""
    tools: tuple[ToolSpec, ...]

    def to_bytes(self) -> bytes:
        """The whole prompt as bytes, at least as many as it has tokens; equal prompts have equal bytes."""
        said: list[Json] = []
        for each in self.said:
            match each:
                case Told(text):
                    said.append({"told": text})
                case Answer():
                    said.append({"answer": json.loads(each.to_bytes())})
                case Returned(call_id, tool, content, ok):
                    said.append({"returned": call_id, "tool": tool, "content": content, "ok": ok})
        tools = [{"name": tool.name, "description": tool.description, "schema": tool.schema} for tool in self.tools]
        body = {"instructions": self.instructions, "said": said, "tools": tools}
        return json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
