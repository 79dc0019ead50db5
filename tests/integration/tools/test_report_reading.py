"""The part of `table_report` that reads: whatever the bytes are, there is a table or a sentence, never a traceback."""

import csv
import io
import math
import statistics as reference
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.tools.report.choose import choose
from core.tools.report.columns import Column, profile, statistics
from core.tools.report.summary import markdown, summarize
from core.tools.report.table import Problem, Table, open_table
from core.tools.report.values import date_reader, decimal_text, number_style

shared_folder = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
DAYS = [date(2026, 1, 1) + timedelta(days=number) for number in range(20)]
Write = Callable[[str | bytes], Path]

cells = st.one_of(
    st.text(max_size=12),
    st.integers().map(str),
    st.floats().map(str),
    st.dates().map(str),
    st.sampled_from(
        ["", "NaN", "1e999", "1,5", "1.234,5", "$5", "(3)", '"', "a,b", "\n", "12%", "−7", "2026-02-30", "0x1f"]
    ),
)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(content: str | bytes) -> Path:
        path = tmp_path / "table.csv"
        path.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
        return path

    return to_file


def read(path: Path) -> tuple[Table, list[Column], int]:
    with open_table(path) as table:
        columns, rows = profile(table)
    return table, columns, rows


def only(path: Path, number: int = 1) -> Column:
    return read(path)[1][number]


@given(st.binary(max_size=400))
@shared_folder
def test_any_bytes_are_a_table_or_a_sentence(write: Write, data: bytes) -> None:
    try:
        table, columns, rows = read(write(data))
    except Problem as problem:
        assert str(problem).endswith(".")
        return
    assert len(table.names) == len(columns) == len(set(table.names))
    assert all(rows == len(column.values) == column.present + column.missing for column in columns)


@given(st.lists(st.lists(cells, min_size=1, max_size=5), min_size=1, max_size=20), st.sampled_from(",;\t|"))
@shared_folder
def test_any_table_can_be_described(write: Write, rows: list[list[str]], delimiter: str) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(rows)
    try:
        table, columns, count = read(write(text.getvalue()))
    except Problem as problem:
        assert str(problem).endswith(".")
        return
    if count:
        picture = choose(columns, count)
        assert picture.series
        summary = summarize(table, columns, count, source="table.csv", picture=("title", "caption"))
        assert markdown(summary).startswith("# table.csv")


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=60))
@shared_folder
def test_statistics_are_the_textbooks(write: Write, numbers: list[float]) -> None:
    column = only(write("n,v\n" + "".join(f"x{at},{number!r}\n" for at, number in enumerate(numbers))))

    found = statistics(column)

    assert found is not None
    assert len(numbers) == found.count
    for said, exact in (
        (found.minimum, min(numbers)),
        (found.maximum, max(numbers)),
        (found.median, reference.median_low(numbers) / 2 + reference.median_high(numbers) / 2),
    ):
        assert math.isclose(float(said), exact, rel_tol=1e-11, abs_tol=5e-324)
    assert found.stdev is not None
    if max(map(abs, numbers)) < 1e150:
        slack = 1e-9 * max(map(abs, numbers))
        assert math.isclose(float(found.mean), reference.fmean(numbers), rel_tol=1e-9, abs_tol=slack)
        assert math.isclose(float(found.stdev), reference.stdev(numbers), rel_tol=1e-6, abs_tol=slack)


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["1", "-2.5", "+3", ".5", "1e3"], [1, -2.5, 3, 0.5, 1000]),
        (["1,234", "12,345.6", "7"], [1234, 12345.6, 7]),
        (["1,5", "2,25", "3"], [1.5, 2.25, 3]),
        (["1.234,5", "12.345", "7,0"], [1234.5, 12345, 7]),
        (["1 234,5", "12\u00a0345,0"], [1234.5, 12345]),
        (["1'234.50", "2’000.00"], [1234.5, 2000]),
        (["$1,000.50", "-$5", "€ 7"], [1000.5, -5, 7]),
        (["(1,000)", "(2.5)", "(3"], [-1000, -2.5, None]),
        (["12%", "7.5 %", "%"], [12, 7.5, None]),
        (["100 USD", "EUR 5"], [100, 5]),
        (["−7", "1-2", "1.2.3", "1e", "٣", "0x1f", "1_000"], [-7, None, None, None, None, None, None]),
    ],
)
def test_numbers_are_read_as_people_write_them(cells: list[str], numbers: list[float | None]) -> None:
    style = number_style(cells)

    assert numbers == [style.read(cell) for cell in cells]


@pytest.mark.parametrize(
    ("cells", "first"),
    [
        (["2026-01-31", "2026-02-01"], date(2026, 1, 31)),
        (["31.01.2026", "01.02.2026"], date(2026, 1, 31)),
        (["01/31/2026", "02/01/2026"], date(2026, 1, 31)),
        (["31/01/2026", "01/02/2026"], date(2026, 1, 31)),
        (["2026-01-31T10:00:00Z", "2026-02-01T10:00:00+02:00"], date(2026, 1, 31)),
        (["2026-01-31 10:00", "2026-02-01 11:30"], date(2026, 1, 31)),
        (["Jan 31, 2026", "Feb 1, 2026"], date(2026, 1, 31)),
        (["2026-01", "2026-02"], date(2026, 1, 1)),
        (["20260131", "20260201"], date(2026, 1, 31)),
    ],
)
def test_dates_are_read_as_people_write_them(cells: list[str], first: date) -> None:
    reader = date_reader(cells)

    assert reader is not None
    assert (first - date(1970, 1, 1)).days == reader(cells[0]) // 86_400


@pytest.mark.parametrize("cells", [["abc", "def"], ["12", "13"], ["2026", "2027"], ["1.5", "2.5"], ["a-1", "b-2"], []])
def test_what_is_no_date_is_not_read_as_one(cells: list[str]) -> None:
    assert date_reader(cells) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (0.1 + 0.2, "0.3"),
        (1e20, "100000000000000000000"),
        (1e300, "1e+300"),
        (1.5e-9, "1.5e-9"),
    ],
)
def test_numbers_are_written_as_people_do(value: float, text: str) -> None:
    assert text == decimal_text(value)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a,b\n1,2\n", ["a", "b"]),
        ("1,2\n3,4\n", ["column 1", "column 2"]),
        ("name,2024,2025\nx,1,2\ny,3,4\n", ["name", "2024", "2025"]),
        ("a,,a\n1,2,3\n", ["a", "column 2", "a (2)"]),
        ("Sales of 2025\n\na,b\n1,2\n3,4\n", ["a", "b"]),
        ("x\ny\nz\n", ["x"]),
        ("a,b,\n1,2,\n3,4,\n", ["a", "b", "column 3"]),
        ("a\u202e\x07,b\n1,2\n", ["a", "b"]),
    ],
)
def test_the_header_is_found(write: Write, text: str, names: list[str]) -> None:
    with open_table(write(text)) as table:
        assert names == table.names


def test_lines_are_counted_as_an_editor_does(write: Write) -> None:
    table, _, _ = read(write('sep=;\na;b\n"x\ny";1\n\n2\n' + "3;4\n" * 20))

    assert [6] == table.left_out


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("day,v\n" + "".join(f"{DAYS[n]},{n * n}\n" for n in range(20)), "lines"),
        ("day,v,w\n" + "".join(f"{DAYS[n]},{n * n},{n * n * 1000}\n" for n in range(20)), "panels"),
        ("day,t,v\n" + "".join(f"{DAYS[n // 2]},{'ab'[n % 2]},{n * n}\n" for n in range(40)), "split-lines"),
        ("team,v\nA,1\nB,2\n", "bars"),
        ("v\n3\n5\n4\n", "histograms"),
        ("answer\nyes\nno\nyes\n", "frequencies"),
        ("id,word\n1,a\n2,b\n3,c\n", "completeness"),
    ],
)  # fmt: skip
def test_the_picture_suits_the_table(write: Write, text: str, kind: str) -> None:
    _, columns, rows = read(write(text))

    assert kind == choose(columns, rows).kind
