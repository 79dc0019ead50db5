"""Which picture suits a table: decided from the columns alone, before anything is drawn.

A line over time or another rising column; else bars for groups; else how numbers are distributed; else which texts are
frequent. There is always one, for a table with a row.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .columns import Column

MAX_LINES = 4
MAX_PANELS = 4
MAX_BARS = 15
_IDENTIFIER = re.compile(
    r"(?:.*[_\s-])?(?:id|uuid|key|nr|no|number|index|zip|postcode|plz|phone|row)|#|unnamed.*", re.IGNORECASE
)
_YEAR = re.compile(r"year|jahr|año|année|yr", re.IGNORECASE)
_FAR_APART = 8
"""Numbers whose sizes differ by more than this do not share an axis."""

PictureKind = Literal["lines", "panels", "split-lines", "bars", "histograms", "frequencies", "completeness"]


@dataclass(frozen=True)
class Picture:
    """What to draw."""

    kind: PictureKind
    series: tuple[Column, ...]
    """The numbers to show; for frequencies, the one column of text."""
    x: Column | None = None
    group: Column | None = None
    more: int = 0
    """How many columns of numbers are not shown."""


def choose(columns: Sequence[Column], rows: int) -> Picture:
    """Return the picture that suits the table."""
    numbers = [column for column in columns if _is_interesting(column, rows)]
    axis = _axis(columns, rows)
    series = [column for column in numbers if column is not axis]
    if axis is not None and series:
        group = _few_groups(columns)
        if group is not None and _repeats(axis):
            return Picture("split-lines", (series[0],), axis, group, len(series) - 1)
        lines = tuple(series[:MAX_LINES])
        return Picture("panels" if _far_apart(lines) else "lines", lines, axis, None, len(series) - len(lines))
    category = _category(columns, rows)
    if category is not None and numbers:
        alike = tuple(numbers[:3])
        shared = alike if category.distinct <= 8 and not _far_apart(alike) else alike[:1]
        return Picture("bars", shared, None, category, len(numbers) - len(shared))
    if numbers:
        panels = tuple(numbers[:MAX_PANELS])
        return Picture("histograms", panels, more=len(numbers) - len(panels))
    repeated = [column for column in columns if column.kind == "text" and 0 < column.distinct < column.present]
    if repeated:
        # The column that says most by its counts: few values, each frequent.
        return Picture("frequencies", (min(repeated, key=lambda column: abs(column.distinct - 6)),))
    return Picture("completeness", tuple(columns[:30]))


def _is_interesting(column: Column, rows: int) -> bool:
    """A column of numbers that measures something, rather than naming or counting the rows."""
    if column.kind != "number" or column.lowest == "":
        return False
    if _IDENTIFIER.fullmatch(column.name):
        return False
    return not (rows > 2 and _counts_rows(column))


def _counts_rows(column: Column) -> bool:
    steps = {round(after - before, 9) for before, after in zip(column.values[:200], column.values[1:200], strict=False)}
    return steps == {1.0}


def _axis(columns: Sequence[Column], rows: int) -> Column | None:
    """The column a line runs along: the first of dates; else a year, or a first column that only rises."""
    if rows < 3:
        return None
    dates = [column for column in columns if column.kind == "date" and column.distinct > 2]
    if dates:
        return dates[0]
    for column in columns:
        if column.kind == "number" and _YEAR.search(column.name) and column.distinct > 2 and _all_years(column):
            return column
    first = columns[0]
    if first.kind == "number" and not first.missing and len(columns) > 1 and _rises(first):
        return first
    return None


def _all_years(column: Column) -> bool:
    return all(math.isnan(value) or (1000 < value < 3000 and value.is_integer()) for value in column.values)


def _rises(column: Column) -> bool:
    return all(before < after for before, after in zip(column.values, column.values[1:], strict=False))


def _repeats(axis: Column) -> bool:
    return axis.distinct < 0.7 * axis.present


def _few_groups(columns: Sequence[Column]) -> Column | None:
    groups = [
        column for column in columns if column.kind == "text" and 2 <= column.distinct <= 6 and not column.missing
    ]
    return groups[0] if groups else None


def _category(columns: Sequence[Column], rows: int) -> Column | None:
    """The text to draw bars for: few groups if there are, else a name for each of few rows."""
    texts = [column for column in columns if column.kind == "text" and column.distinct > 1 and not column.more_distinct]
    groups = [column for column in texts if column.distinct <= min(30, max(2, rows // 2))]
    if groups:
        return groups[0]
    return next((column for column in texts if rows <= 60 and column.distinct == column.present), None)


def _far_apart(series: Sequence[Column]) -> bool:
    sizes = [max(abs(column.minimum), abs(column.maximum)) for column in series]
    sizes = [size for size in sizes if size > 0]
    return bool(sizes) and max(sizes) > _FAR_APART * min(sizes)
