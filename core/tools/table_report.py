"""The `table_report` tool: a CSV becomes numbers and a picture.

Here are the border and the checks; reading, calculating and drawing are a program of their own (`core/tools/report/`)
that runs in the sandbox with the tool environment's Python. What comes back from there was in reach of other people's
code, so it is copied out, checked and bounded before anything of it is believed.
"""

import asyncio
import json
import zipfile
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError, field_validator

from core.errors import RetryableError, TerminalError
from core.execution.base import ProcessResult, discard_files
from core.names import display_name
from core.tools import beneath
from core.tools.base import Produced, ToolContext, ToolResult
from core.tools.program import FromSandbox, readable_text, run_program
from core.tools.registry import Arguments

MAX_TABLE_BYTES = 50_000_000
OUT_COLUMNS = 40
"""More columns than this are in `summary.json` only."""
TEXT_CHARACTERS = 2500

_PROGRAM = Path(__file__).with_name("report")
_START = "import sys\nfrom report.main import main\nsys.exit(main())\n"
_PROBLEM = 3
_OUTPUTS = {
    "chart.png": ("image/png", 5_000_000),
    "summary.md": ("text/markdown", 5_000_000),
    "summary.json": ("application/json", 5_000_000),
}
_PNG = b"\x89PNG\r\n\x1a\n"

Number = Annotated[str, Field(max_length=64, pattern=r"^-?[0-9][0-9.eE+-]*$")]


class TableReportArguments(Arguments):
    """A table to summarise."""

    path: str = Field(max_length=1024, description="a CSV file in the workspace, e.g. `inputs/sales.csv`")
    title: str | None = Field(default=None, max_length=120, description="title of the picture")
    delimiter: str | None = Field(default=None, description="what divides the cells, when it is not found by itself")
    into: str = Field(default="report", max_length=512, description="directory in the workspace for the three files")

    @field_validator("delimiter")
    @classmethod
    def _is_one_character(cls, delimiter: str | None) -> str | None:
        if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n' or delimiter.isalnum()):
            raise ValueError("one character is expected, such as `;`")
        return delimiter


class _Top(FromSandbox):
    value: str = Field(max_length=80)
    count: int = Field(ge=0)


class _Column(FromSandbox):
    name: str = Field(max_length=80)
    kind: Literal["number", "date", "text", "empty"]
    count: int = Field(ge=0)
    missing: int = Field(ge=0)
    min: str | None = Field(default=None, max_length=64)
    max: str | None = Field(default=None, max_length=64)
    mean: Number | None = None
    median: Number | None = None
    stdev: Number | None = None
    distinct: int | None = Field(default=None, ge=0)
    top: list[_Top] = Field(default=[], max_length=20)


class _Picture(FromSandbox):
    title: str = Field(max_length=500)
    caption: str = Field(max_length=1000)


class _Summary(FromSandbox):
    encoding: str = Field(max_length=40)
    delimiter: str = Field(max_length=40)
    rows: int = Field(ge=0)
    rows_left_out: int = Field(ge=0)
    columns: list[_Column] = Field(min_length=1, max_length=2000)
    notes: list[Annotated[str, Field(max_length=1000)]] = Field(max_length=5000)
    picture: _Picture


class TableReport:
    """Summarises a table; what is wrong with one is said in a sentence."""

    name = "table_report"
    description = "Summarise a CSV file: statistics of every column and one picture."
    keeps = len(_OUTPUTS)

    @property
    def arguments(self) -> type[BaseModel]:
        return TableReportArguments

    async def perform(self, args: BaseModel, context: ToolContext) -> ToolResult:
        assert isinstance(args, TableReportArguments)
        try:
            source = await asyncio.to_thread(_prepare, args, context)
            asked = {
                "path": args.path,
                "into": args.into,
                "source": source,
                "title": args.title,
                "delimiter": args.delimiter,
            }
            program = context.scratch / "report.pyz"
            result = await run_program(
                context,
                ("python", "-I", str(program)),
                stdin=json.dumps(asked).encode(),
                readable=(program,),
            )
            if isinstance(result, ToolResult):
                return result
            try:
                return await asyncio.to_thread(_answer, args, context, source, result)
            finally:
                discard_files(result)
        except TerminalError as error:
            return ToolResult("failed", error=error.user_text)
        except RetryableError as error:
            return ToolResult("failed-safe", error=error.user_text)


def _prepare(args: TableReportArguments, context: ToolContext) -> str:
    """Check what can be checked before a process is started; returns what people call the table."""
    beneath.refuse_protected(args.into)
    if not beneath.parts_of(args.into):
        raise beneath.PathRefused("`into` must name a directory below the workspace, e.g. `report`.")
    with beneath.open_regular(context.workspace, args.path, max_bytes=MAX_TABLE_BYTES):
        pass
    with zipfile.ZipFile(context.scratch / "report.pyz", "w") as packed:
        packed.writestr("__main__.py", _START)
        for module in sorted(_PROGRAM.glob("*.py")):
            packed.writestr(f"report/{module.name}", module.read_bytes())
    return display_name(args.path)


def _answer(args: TableReportArguments, context: ToolContext, source: str, result: ProcessResult) -> ToolResult:
    if result.ended != "exited" or result.exit_code != 0:
        return ToolResult("failed", error=_complaint(source, result), processes_ended=result.processes_ended)
    produced = []
    for name, (media_type, max_bytes) in _OUTPUTS.items():
        copy = context.scratch / name
        beneath.copy_out(context.workspace, f"{args.into}/{name}", copy, max_bytes=max_bytes)
        produced.append(Produced(name, copy, media_type))
    if not (context.scratch / "chart.png").read_bytes().startswith(_PNG):
        return ToolResult("failed", error="The picture that was drawn is no PNG file. Please try again.")
    try:
        summary = _Summary.model_validate_json((context.scratch / "summary.json").read_bytes())
    except ValidationError:
        return ToolResult("failed", error="The summary that was written cannot be read. Please try again.")
    return ToolResult("succeeded", _out(args, source, summary), tuple(produced), processes_ended=result.processes_ended)


def _complaint(source: str, result: ProcessResult) -> str:
    """The sentence for the thread: the program's own if it has one."""
    name = beneath.shown(source)
    if result.ended == "exited" and result.exit_code == _PROBLEM:
        try:
            problem = json.loads(result.stdout)["problem"]
        except (ValueError, KeyError, TypeError):
            problem = None
        if isinstance(problem, str):
            return f"{name} cannot be summarised. {readable_text(problem.encode(errors='replace'))[:1000]}"
    if result.ended == "killed":
        return f"Summarising {name} was stopped."
    if result.ended == "timed-out":
        return f"Summarising {name} took too long and was stopped. Give the step more time, or remove rows or columns."
    if result.ended == "limit":
        return f"Summarising {name} needed too much: {result.limit or result.detail} Remove rows or columns."
    if result.ended == "not-started":
        return f"The program that summarises tables could not be started: {result.detail}"
    return (
        f"Summarising {name} failed for a reason this tool does not know ({result.detail}) "
        "Please send the file to whoever runs this installation."
    )


def _out(args: TableReportArguments, source: str, summary: _Summary) -> dict[str, Any]:
    columns = [column.model_dump(exclude_none=True) for column in summary.columns[:OUT_COLUMNS]]
    notes = [_bounded(note, 300) for note in summary.notes[:10]]
    return {
        "source": source,
        "rows": summary.rows,
        "rows_left_out": summary.rows_left_out,
        "column_count": len(summary.columns),
        "columns": [{**column, "top": column.get("top", [])[:3]} for column in columns],
        "encoding": summary.encoding,
        "delimiter": summary.delimiter,
        "notes": notes,
        "picture": summary.picture.model_dump(),
        "files": {name.replace(".", "_"): f"{args.into}/{name}" for name in _OUTPUTS},
        "text": _text(source, summary, notes),
    }


def _text(source: str, summary: _Summary, notes: list[str]) -> str:
    """A few lines for the thread: what is in the table, the numbers, what to be careful about."""
    lines = [f"{source}: {_count(summary.rows, 'row')}, {_count(len(summary.columns), 'column')}"]
    for column in summary.columns:
        if (line := _line(column)) and sum(map(len, lines)) < TEXT_CHARACTERS - 500:
            lines.append(line)
    if len(lines) - 1 < len(summary.columns):
        lines.append(f"… {_count(len(summary.columns) - len(lines) + 1, 'more column')} in summary.md")
    return _bounded("\n".join([*lines, *(f"Note: {note}" for note in notes[:3])]), TEXT_CHARACTERS)


def _line(column: _Column) -> str:
    missing = f", {column.missing} missing" if column.missing else ""
    match column.kind:
        case "number" if column.mean is not None:
            return f"• {column.name}: mean {column.mean}, median {column.median}, {column.min} to {column.max}{missing}"
        case "date":
            return f"• {column.name}: {column.min} to {column.max}{missing}"
        case "text":
            top = ", ".join(f"{item.value} ({item.count})" for item in column.top[:3])
            return f"• {column.name}: {_count(column.distinct or 0, 'different value')}, most often {top}{missing}"
        case _:
            return f"• {column.name}: no values"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _bounded(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: characters - 1] + "…"
