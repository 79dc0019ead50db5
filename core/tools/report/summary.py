"""Writes down what was found: `summary.json` for programs, `summary.md` for people.

Numbers are decimal text in both, so that nothing changes them on the way.
"""

from collections.abc import Sequence
from typing import Any

from .columns import Column, statistics
from .table import Table, delimiter_name
from .values import day

TOP_VALUES = 5
_ENCODINGS = {"utf-8-sig": "UTF-8 with BOM", "cp1252": "Windows-1252", "latin-1": "ISO 8859-1"}


def summarize(
    table: Table, columns: Sequence[Column], rows: int, *, source: str, picture: tuple[str, str]
) -> dict[str, Any]:
    """Return the whole summary as JSON data."""
    return {
        "version": 1,
        "source": source,
        "encoding": _ENCODINGS.get(table.encoding, table.encoding.upper()),
        "delimiter": delimiter_name(table.delimiter),
        "has_header": table.has_header,
        "rows": rows,
        "rows_left_out": len(table.left_out),
        "columns": [_described(column) for column in columns],
        "notes": list(table.notes),
        "picture": {"title": picture[0], "caption": picture[1]},
    }


def _described(column: Column) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": column.name,
        "kind": column.kind,
        "count": column.present,
        "missing": column.missing,
    }
    if column.kind == "number" and (found := statistics(column)):
        described |= {
            "count": found.count,
            "min": found.minimum,
            "max": found.maximum,
            "mean": found.mean,
            "median": found.median,
            "stdev": found.stdev,
        }
    elif column.kind == "date":
        moments = column.numbers()
        described |= {"min": day(min(moments)).isoformat(), "max": day(max(moments)).isoformat()}
    if column.kind in ("text", "date"):
        described["distinct"] = column.distinct
        described["distinct_is_exact"] = not column.more_distinct
    if column.kind == "text":
        described["top"] = [{"value": text, "count": count} for text, count in column.top(TOP_VALUES)]
    return described


def markdown(summary: dict[str, Any]) -> str:
    """Return the summary for people."""
    lines = [
        f"# {_cell(summary['source'])}",
        "",
        f"{summary['rows']:,} rows, {len(summary['columns'])} columns ({summary['encoding']}, {summary['delimiter']}).",
    ]
    if numbers := [column for column in summary["columns"] if column["kind"] == "number"]:
        heads: tuple[str, ...] = ("column", "count", "missing", "min", "max", "mean", "median", "stdev")
        rows = [[column["name"], *(column.get(head) for head in heads[1:])] for column in numbers]
        lines += ["", "## Numbers", "", *_table(heads, rows)]
    if dates := [column for column in summary["columns"] if column["kind"] == "date"]:
        heads = ("column", "count", "missing", "from", "to")
        rows = [[column[key] for key in ("name", "count", "missing", "min", "max")] for column in dates]
        lines += ["", "## Dates", "", *_table(heads, rows)]
    if texts := [column for column in summary["columns"] if column["kind"] == "text"]:
        heads = ("column", "count", "missing", "different values", "most frequent")
        lines += ["", "## Text", "", *_table(heads, [_text_row(column) for column in texts])]
    if empty := [column["name"] for column in summary["columns"] if column["kind"] == "empty"]:
        lines += ["", f"Without any value: {', '.join(map(_cell, empty))}."]
    if summary["notes"]:
        lines += ["", "## Notes", "", *(f"- {_cell(note)}" for note in summary["notes"])]
    return "\n".join([*lines, ""])


def _text_row(column: dict[str, Any]) -> list[Any]:
    distinct = f"{column['distinct']}" if column["distinct_is_exact"] else f"more than {column['distinct']}"
    top = ", ".join(f"{item['value']} ({item['count']})" for item in column["top"])
    return [column["name"], column["count"], column["missing"], distinct, top]


def _table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    written = [[_cell("" if value is None else value) for value in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in (list(heads), ["---"] * len(heads), *written)]


def _cell(value: object) -> str:
    """Text that stays inside its cell and is not read as markup."""
    text = " ".join(str(value).split())
    for mark in "\\`*_[]<>|#~":
        text = text.replace(mark, f"\\{mark}")
    return text
