"""One column: what kind it is, and its statistics, in one pass and without keeping its text.

Numbers and dates are kept as eight bytes per row, aligned with the rows, for the picture needs them; of text only the
counts of its values, up to a limit.
"""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

from .table import SAMPLE_ROWS, Table
from .values import NumberStyle, ReadDate, date_reader, decimal_text, is_missing, number_style

Kind = Literal["number", "date", "text", "empty"]

MAX_DISTINCT = 5000
UNCOUNTED = 32_767
"""Of texts beyond `MAX_DISTINCT`."""
_SHOWN_CHARACTERS = 60
_NAN = math.nan


@dataclass
class Column:
    """A column while it is read, and what it was found to be afterwards."""

    name: str
    number: int
    """Its place, from 1."""
    style: NumberStyle
    read_date: ReadDate | None
    values: array[float] = field(default_factory=lambda: array("d"))
    """One for each row: a number, or seconds since 1970; NaN where there is none."""
    present: int = 0
    missing: int = 0
    understood: int = 0
    """How many cells are a number (or a date)."""
    too_large: int = 0
    stranger: tuple[int, str] | None = None
    """Line and text of the first cell that is not."""
    lowest: str = ""
    highest: str = ""
    counts: list[int] = field(default_factory=list)
    """For each number of a text, how many cells have it."""
    more_distinct: bool = False
    codes: array[int] = field(default_factory=lambda: array("h"))
    """For each row the number of its text among `order`, -1 = missing, or `UNCOUNTED`."""
    read: list[float | None] = field(default_factory=list)
    """For each number of a text, what it was read as."""
    order: dict[str, int] = field(default_factory=dict)
    minimum: float = math.inf
    maximum: float = -math.inf

    def add(self, line: int, cell: str) -> None:
        """Take the next row's cell."""
        if is_missing(cell):
            self.missing += 1
            self.values.append(_NAN)
            self.codes.append(-1)
            return
        self.present += 1
        code = self._count(cell)
        # Most columns repeat themselves, and reading a date is slow.
        if code < len(self.read):
            value = self.read[code]
        else:
            value = self._value(cell)
            if code != UNCOUNTED:
                self.read.append(value)
        if value is None:
            self.stranger = self.stranger or (line, cell)
            self.values.append(_NAN)
        elif math.isinf(value):
            self.understood += 1
            self.too_large += 1
            self.values.append(_NAN)
        else:
            self.understood += 1
            self.values.append(value)
            if value < self.minimum:
                self.minimum, self.lowest = value, cell
            if value > self.maximum:
                self.maximum, self.highest = value, cell

    def _value(self, cell: str) -> float | None:
        if self.read_date is None:
            return self.style.read(cell)
        try:
            return self.read_date(cell)
        except ValueError:
            return None

    def _count(self, cell: str) -> int:
        text = cell if len(cell) <= _SHOWN_CHARACTERS else cell[: _SHOWN_CHARACTERS - 1] + "…"
        code = self.order.get(text, UNCOUNTED)
        if code == UNCOUNTED:
            if len(self.order) >= MAX_DISTINCT:
                self.more_distinct = True
                self.codes.append(UNCOUNTED)
                return UNCOUNTED
            code = self.order[text] = len(self.order)
            self.counts.append(0)
        self.counts[code] += 1
        self.codes.append(code)
        return code

    @property
    def kind(self) -> Kind:
        """Numbers or dates if at least nine in ten cells are."""
        if not self.present:
            return "empty"
        if self.understood >= 0.9 * self.present:
            return "number" if self.read_date is None else "date"
        return "text"

    def top(self, limit: int) -> list[tuple[str, int]]:
        """The most frequent texts with their counts."""
        ranked = sorted(zip(self.order, self.counts, strict=True), key=lambda pair: -pair[1])
        return ranked[:limit]

    @property
    def distinct(self) -> int:
        """How many different values were counted."""
        return len(self.order)

    def numbers(self) -> list[float]:
        """The values that are there."""
        return [value for value in self.values if value == value]

    def note(self) -> str | None:
        """What a reader should know about this column."""
        if self.kind in ("number", "date") and self.stranger:
            line, text = self.stranger
            count = self.present - self.understood
            what = "numbers" if self.kind == "number" else "dates"
            shown = text if len(text) <= 30 else text[:29] + "…"
            cells = "1 cell is not a" if count == 1 else f"{count} cells are not"
            what = what.removesuffix("s") if count == 1 else what
            return f"{self.name}: {cells} {what} and left out (first in line {line}: {shown})."
        if self.kind == "text" and self.understood > 0.3 * self.present and self.read_date is None:
            return f"{self.name}: of {self.present} cells only {self.understood} are numbers, so it is taken as text."
        return None


@dataclass(frozen=True)
class Statistics:
    """Of one column of numbers, as decimal text."""

    count: int
    minimum: str
    maximum: str
    mean: str
    median: str
    stdev: str | None
    """Of a sample; `None` for fewer than two values."""


def profile(table: Table) -> tuple[list[Column], int]:
    """Read all rows; returns the columns and the number of rows."""
    sample = list(islice(table.rows, SAMPLE_ROWS))
    columns = []
    for at, name in enumerate(table.names):
        cells = [row[at] for _, row in sample if not is_missing(row[at])]
        style = number_style(cells)
        numeric = sum(1 for cell in cells if style.read(cell) is not None)
        read_date = date_reader(cells) if numeric < len(cells) or _compact_dates(cells) else None
        columns.append(Column(name, at + 1, style, read_date))
    count = 0
    for rows in (sample, table.rows):
        for line, row in rows:
            count += 1
            for column, cell in zip(columns, row, strict=False):
                column.add(line, cell)
    for column in columns:
        if note := column.note():
            table.notes.append(note)
        if column.kind == "number" and column.too_large:
            table.notes.append(f"{column.name}: {column.too_large} numbers too large to calculate with are left out.")
    return columns, count


def _compact_dates(cells: list[str]) -> bool:
    """Whether numbers such as 20260131 are dates."""
    return bool(cells) and all(len(cell) == 8 and cell[:2] in ("19", "20") and cell.isdecimal() for cell in cells)


def statistics(column: Column) -> Statistics | None:
    """Calculate the statistics of a column of numbers; `None` if no number can be calculated with."""
    numbers = column.numbers()
    if not numbers:
        return None
    # Scaled, so that no sum of very large numbers overflows.
    scale = max(abs(number) for number in numbers) or 1.0
    mean = math.fsum(number / scale for number in numbers) / len(numbers)
    spread = math.fsum((number / scale - mean) ** 2 for number in numbers)
    stdev = math.sqrt(spread / (len(numbers) - 1)) if len(numbers) > 1 else None
    ordered = sorted(numbers)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else ordered[middle - 1] / 2 + ordered[middle] / 2
    return Statistics(
        len(numbers),
        _exact(column, column.lowest),
        _exact(column, column.highest),
        decimal_text(mean * scale),
        decimal_text(median),
        None if stdev is None else decimal_text(stdev * scale),
    )


def _exact(column: Column, cell: str) -> str:
    """A number as it was written, when it has more digits than we calculate with."""
    written = column.style.plain(cell) or cell
    digits = sum(character.isdigit() for character in written)
    value = float(written)
    return written if digits > 15 and "e" not in written.lower() and digits < 40 else decimal_text(value)
