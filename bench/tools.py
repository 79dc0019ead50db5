"""Tools the measurements run: they do nothing, or wait, and say through a probe where they are.

Registered only in the bench's own workers. Declared as an operator would: `bench.gate` has an effect that asks, so a
run that comes to it parks; everything else is free and may be repeated.
"""

import asyncio
import os
from collections.abc import Mapping

from pydantic import BaseModel, Field

from bench.probe import probe
from core.runs.toolbox import DeclaredTool, Toolbox
from core.tools.base import EffectTier, Tool, ToolContext, ToolResult
from core.tools.registry import Arguments, Registry, definition_digest
from core.tools.shell import Shell, ShellArguments

HANG_VARIABLE = "BENCH_HANG"
"""A worker that has it set never comes out of step 5 of `bench.step`."""

HANG_AT = 5
_TIMEOUT_S = 120.0

_BUSY = """
setsid sh -c 'trap "" TERM INT HUP; while :; do :; done' &
while :; do :; done
"""
"""A busy loop and a second one in a session of its own that ignores being asked to stop."""


class Nothing(Arguments):
    """No arguments."""


class Numbered(Arguments):
    """Which step it is."""

    n: int = Field(default=0, description="number of the step")


class Marked(Arguments):
    """What to say."""

    event: str = Field(max_length=40, description="the probe to send")


class Noop:
    """Does nothing, durably."""

    name = "bench.noop"
    description = "Do nothing."

    @property
    def arguments(self) -> type[BaseModel]:
        return Numbered

    async def perform(self, args: BaseModel, context: ToolContext) -> ToolResult:
        assert isinstance(args, Numbered)
        return ToolResult("succeeded", {"n": args.n})


class Said(Arguments):
    """What to answer."""

    text: str = Field(max_length=200, description="what it answers")
    nonce: str = Field(default="", max_length=80, description="something else each time")
    fails: bool = Field(default=False, description="whether it fails with that")


class Echo:
    """Answers what it is told to."""

    name = "bench.echo"
    description = "Answer with a text."

    @property
    def arguments(self) -> type[BaseModel]:
        return Said

    async def perform(self, args: BaseModel, context: ToolContext) -> ToolResult:
        assert isinstance(args, Said)
        return ToolResult("failed", error=args.text) if args.fails else ToolResult("succeeded", {"said": args.text})


class Mark:
    """Sends a probe: the first line of a step's code."""

    name = "bench.mark"
    description = "Send a probe."

    @property
    def arguments(self) -> type[BaseModel]:
        return Marked

    async def perform(self, args: BaseModel, context: ToolContext) -> ToolResult:
        assert isinstance(args, Marked)
        probe(args.event, context.label.run_id)
        return ToolResult("succeeded")


class Gate:
    """Waits for a person, then says that it started."""

    name = "bench.gate"
    description = "Something that needs an approval."

    @property
    def arguments(self) -> type[BaseModel]:
        return Nothing

    async def perform(self, args: BaseModel, context: ToolContext) -> ToolResult:
        probe("resumed", context.label.run_id)
        return ToolResult("succeeded")


class NumberedStep:
    """Says which step it is; step 5 does not come back where `BENCH_HANG` is set."""

    name = "bench.step"
    description = "Send a probe with the step's number."

    @property
    def arguments(self) -> type[BaseModel]:
        return Numbered

    async def perform(self, args: BaseModel, context: ToolContext) -> ToolResult:
        assert isinstance(args, Numbered)
        probe("step", context.label.run_id, args.n)
        if args.n == HANG_AT and os.environ.get(HANG_VARIABLE):
            await context.kill.wait()
            return ToolResult("failed", error="stopped")
        return ToolResult("succeeded", {"n": args.n})


class Sleep:
    """Waits like code that awaits an answer, until it is stopped."""

    name = "bench.sleep"
    description = "Wait until stopped."

    @property
    def arguments(self) -> type[BaseModel]:
        return Nothing

    async def perform(self, args: BaseModel, context: ToolContext) -> ToolResult:
        run_id = context.label.run_id
        probe("in-step", run_id)
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                await context.kill.wait()
        except TimeoutError:
            probe("not-interrupted", run_id)
            return ToolResult("failed", error="nobody stopped it")
        probe("interrupted", run_id)
        return ToolResult("failed", error="stopped")


class Busy:
    """Runs a busy process tree through the `shell` tool, in the sandbox, until it is stopped."""

    name = "bench.busy"
    description = "Keep a process tree busy until stopped."

    @property
    def arguments(self) -> type[BaseModel]:
        return Nothing

    async def perform(self, args: BaseModel, context: ToolContext) -> ToolResult:
        result = await Shell().perform(ShellArguments(argv=["sh", "-c", _BUSY]), context)
        probe("ended", context.label.run_id, result.processes_ended)
        return result


_TIERS: Mapping[str, EffectTier] = {"bench.gate": "compensable"}


def toolbox() -> Toolbox:
    """The bench's tools, each with the word an operator would have given it."""
    tools: list[Tool] = [Noop(), Echo(), Mark(), Gate(), NumberedStep(), Sleep(), Busy()]
    registry = Registry(tools)
    declared = {
        tool.name: DeclaredTool(
            tool=tool,
            digest=definition_digest(tool),
            tier=_TIERS.get(tool.name, "workspace"),
            recovery="idempotent",
            timeout_s=_TIMEOUT_S,
        )
        for tool in tools
    }
    return Toolbox(declared, registry.validate)
