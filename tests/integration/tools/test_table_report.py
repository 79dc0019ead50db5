"""`table_report` in the real sandbox: right numbers, a picture, and a sentence for every bad table."""

import json
import os
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from core.execution.base import SandboxLevel
from core.tools.base import ToolContext, ToolResult
from core.tools.table_report import TableReport, TableReportArguments
from tests.integration.tools.conftest import Perform

SALES = "region,revenue,cost\nNorth,100,80.5\nSouth,200,90\nNorth,300,\nEast,0.1,70\n"
PROBLEMS = {
    "empty": (b"", "is empty (0 bytes)"),
    "blank": (b"\n\n \n", "only blank lines"),
    "header": (b"a,b\n", "has a header but no rows"),
    "ragged": (b"a,b,c\n1,2,3\n1,2\n1\n1,2,3,4\n5,6,7\n", "3 of 5 rows do not have 3 cells"),
    "long-header": (b"a,b,c,d\n1,2,3\n4,5,6\n7,8,9\n", "names 4 columns, but most rows have 3"),
    "spreadsheet": (b"PK\x03\x04" + b"\0" * 50, "a spreadsheet or ZIP file"),
    "binary": (bytes(range(256)) * 20, "NUL characters"),
    "cut-utf16": ("a,b\n1,2\n".encode("utf-16")[:-1], "or it was cut off"),
    "open-quote": (b'a,b\n1,"x\n' + b"1,2\n" * 3000, "Line 2 opens a quotation mark"),
    "long-cell": (b'a,b\n1,"' + b"x" * 1_100_000 + b'"\n', "more than a million characters"),
    "wide": (",".join(f"c{n}" for n in range(2500)).encode() + b"\n" + b",".join([b"1"] * 2500), "has 2500 columns"),
}


@pytest.fixture
def report(perform: Perform, workspace: Path):  # type: ignore[no-untyped-def]
    async def run(content: str | bytes, name: str = "table.csv", **args: object) -> ToolResult:
        (workspace / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return await perform(TableReport(), path=name, **args)  # type: ignore[no-any-return]

    return run


def picture_size(path: Path) -> tuple[int, int]:
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", data[16:24])  # type: ignore[return-value]


async def test_a_table_becomes_numbers_and_a_picture(report, workspace: Path) -> None:  # type: ignore[no-untyped-def]
    result = await report(SALES, title="Sales $x^{ by region")

    assert ("succeeded", None) == (result.status, result.error)
    revenue = result.out["columns"][1]
    assert {
        "name": "revenue",
        "kind": "number",
        "count": 4,
        "missing": 0,
        "min": "0.1",
        "max": "300",
        "mean": "150.025",
        "median": "150",
        "stdev": "129.060718914",
        "top": [],
    } == revenue
    assert 1 == result.out["columns"][2]["missing"]
    assert result.out["text"].startswith(
        "table.csv: 4 rows, 3 columns\n• region: 3 different values, most often North (2)"
    )
    assert ["chart.png", "summary.md", "summary.json"] == [item.name for item in result.produced]
    assert ["image/png", "text/markdown", "application/json"] == [item.media_type for item in result.produced]
    assert (1500, 840) == picture_size(result.produced[0].path)
    assert "report/chart.png" == result.out["files"]["chart_png"]
    assert all(workspace not in item.path.parents for item in result.produced)
    assert len(json.dumps(result.out)) < 64 * 1024


@pytest.mark.parametrize("problem", PROBLEMS)
async def test_a_bad_table_is_a_sentence_with_a_remedy(report, problem: str) -> None:  # type: ignore[no-untyped-def]
    content, sentence = PROBLEMS[problem]
    result = await report(content)

    assert "failed" == result.status
    assert result.error.startswith("`table.csv` cannot be summarised. ")
    assert sentence in result.error
    assert "Traceback" not in result.error
    assert () == result.produced


async def test_a_table_that_is_too_large_is_refused_before_anything_runs(
    perform: Perform, workspace: Path, context: ToolContext
) -> None:
    (workspace / "big.csv").touch()
    os.truncate(workspace / "big.csv", 60_000_000)

    result = await perform(TableReport(), path="big.csv")

    assert "`big.csv` has 60 MB; at most 50 MB can be used here. Make it smaller or split it." == result.error
    assert [] == list(context.scratch.iterdir())


@pytest.mark.parametrize(
    ("content", "encoding", "delimiter", "mean"),
    [
        ("größe,wert\na,1\nb,2\n".encode("utf-16"), "UTF-16", "comma", "1.5"),
        ("größe,wert\na,1\nb,2\n".encode("utf-16-be"), "UTF-16-BE", "comma", "1.5"),
        ("\ufeffgröße;wert\na;1,5\nb;2,5\n".encode(), "UTF-8 with BOM", "semicolon", "2"),
        ("größe\twert\na\t1\nb\t2\n".encode("latin-1"), "Windows-1252", "tab", "1.5"),
        (b"a|wert\nx|1.234,50\ny|2.000,50\n", "UTF-8", "vertical bar", "1617.5"),
        (b"sep=;\na;wert\nx;$1,000\ny;($3,000)\n", "UTF-8", "semicolon", "-1000"),
    ],
)
async def test_encodings_and_delimiters_are_found(  # type: ignore[no-untyped-def]
    report, content: bytes, encoding: str, delimiter: str, mean: str
) -> None:
    result = await report(content)

    assert (encoding, delimiter, mean) == (
        result.out["encoding"],
        result.out["delimiter"],
        result.out["columns"][1]["mean"],
    )


async def test_a_few_odd_rows_are_left_out_by_line_number(report) -> None:  # type: ignore[no-untyped-def]
    rows = [f"{n},{n * 2}" for n in range(1, 51)]
    rows[9] = "10"
    rows[19] = "20,40,60"
    result = await report("\n".join(["a,b", *rows, "51,abc", ""]))

    assert (49, 2) == (result.out["rows"], result.out["rows_left_out"])
    assert "2 rows were left out, not having 2 cells like the others: lines 11, 21." in result.out["notes"]
    assert "b: 1 cell is not a number and left out (first in line 52: abc)." in result.out["notes"]


async def test_very_large_missing_and_exact_numbers_are_handled(report) -> None:  # type: ignore[no-untyped-def]
    result = await report("name,v\nA,1e300\nB,-2e305\nC,1e400\nD,NaN\nE,9007199254740993\n")

    column = result.out["columns"][1]
    assert (3, 1, "-2e+305", "1e+300") == (column["count"], column["missing"], column["min"], column["max"])


async def test_long_integers_keep_their_digits(report) -> None:  # type: ignore[no-untyped-def]
    result = await report("name,v\nA,12345678901234567890\nB,1\n")

    assert "12345678901234567890" == result.out["columns"][1]["max"]


@pytest.mark.parametrize(
    "content",
    [
        "都市,人口\n東京,13960000\n大阪,8838000\n",
        "الاسم,القيمة\nأحمد,5\nسارة,7\n",
        "x\n5\n",
        "a,b,c\n,,\n1,,\n",
        "id,note\n1,hello\n2,world\n",
        "v\n" + "5\n" * 20,
        "date,v\n" + "".join(f"2026-01-{day:02},{day}\n" for day in range(1, 29)),
        "year,gdp,people\n" + "".join(f"{year},{year * 1e9},{year}\n" for year in range(1990, 2020)),
        ",".join(f"c{n}" for n in range(300)) + "\n" + "\n".join(",".join(["1", "2", "3"] * 100) for _ in range(9)),
        "day,team,n\n" + "".join(f"2026-01-{day:02},{team},{day}\n" for day in range(1, 29) for team in "AB"),
        "1.5,2.5\n2.5,3.5\n3.5,1.5\n",
        "a,a,,a\n1,2,3,4\n5,6,7,8\n",
        "\\$\\frac{,`|`\n$x_1$,1\n$y^{2,2\n",
    ],
)
async def test_every_kind_of_table_gets_a_picture(report, content: str) -> None:  # type: ignore[no-untyped-def]
    result = await report(content)

    assert ("succeeded", None) == (result.status, result.error)
    assert (1500, 840) == picture_size(result.produced[0].path)


async def test_what_was_planted_where_the_results_go_is_not_read(report, workspace: Path) -> None:  # type: ignore[no-untyped-def]
    (workspace / "report").mkdir()
    (workspace / "report/summary.md").symlink_to("/etc/hostname")

    result = await report(SALES)

    assert "failed" == result.status
    assert () == result.produced


async def test_the_table_may_not_be_a_link(perform: Perform, workspace: Path) -> None:
    (workspace / "table.csv").symlink_to("/etc/passwd")

    assert "is a link" in (await perform(TableReport(), path="table.csv")).error


async def test_no_time_is_said_as_such(context: ToolContext, workspace: Path) -> None:
    (workspace / "table.csv").write_text("a,b\n" + "1,2\n" * 500_000)

    result = await TableReport().perform(TableReportArguments(path="table.csv"), replace(context, timeout_s=0.2))

    assert "took too long" in (result.error or "")


def test_these_tests_run_in_a_sandbox(context: ToolContext) -> None:
    assert SandboxLevel.NONE is not context.environment.level
