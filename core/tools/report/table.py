"""Bytes to rows: the encoding, the delimiter, the header, and the rows that do not fit.

What can be read with a doubt is read and the doubt is noted; what cannot be read is a `Problem`, whose text is for the
person who sent the file.
"""

import codecs
import contextlib
import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from .values import ReadDate, date_reader, is_missing, number_style

MAX_COLUMNS = 2000
SAMPLE_ROWS = 1000
_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
_MAX_FIELD = 1 << 20
_MAX_QUOTED_LINES = 1000
_RAGGED_SHARE = 0.2
_NAME_CHARACTERS = 60
_MAGIC = (
    (b"PK\x03\x04", "a spreadsheet or ZIP file"),
    (b"\xd0\xcf\x11\xe0", "an old Excel file"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"%PDF", "a PDF"),
    (b"\x1f\x8b", "a compressed file"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3", "a database"),
)


class Problem(Exception):
    """The table cannot be read; the text says why and what to do."""


@dataclass
class Table:
    """A table whose rows can be read once."""

    names: list[str]
    has_header: bool
    encoding: str
    delimiter: str
    rows: Iterator[tuple[int, list[str]]]
    """Line number and cells, each row with as many cells as there are names."""
    notes: list[str] = field(default_factory=list)
    left_out: list[int] = field(default_factory=list)
    """Lines of the rows that did not fit; complete when `rows` is."""


def delimiter_name(delimiter: str) -> str:
    """What people call it."""
    return _DELIMITERS.get(delimiter, delimiter)


@contextlib.contextmanager
def open_table(path: Path, *, delimiter: str | None = None) -> Iterator[Table]:
    """Open a table and read as much of it as its shape needs; raises `Problem`."""
    with path.open("rb") as opened:
        head = opened.read(1 << 16)
    if not head:
        raise Problem("The file is empty (0 bytes). Export it again and check that it has a header and rows.")
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            raise Problem(f"The file is {kind}, not a table in text form. Save it as CSV and send that.")
    notes: list[str] = []
    encoding = _encoding(path, head, notes)
    with path.open(encoding=encoding, newline="") as text:
        beginning = text.read(1 << 18)
        if "\0" in beginning:
            raise Problem("The file is not text: it contains NUL characters. Save it as CSV in UTF-8 and send that.")
        text.seek(0)
        skipped_lines = 0
        first_line = beginning.split("\n", 1)[0].strip()
        if first_line.lower().startswith("sep=") and len(first_line) == 5:
            delimiter = delimiter or first_line[4]
            text.readline()
            beginning = beginning.partition("\n")[2]
            skipped_lines = 1
        delimiter = delimiter or _delimiter(beginning)
        csv.field_size_limit(_MAX_FIELD)
        yield _shaped(_rows(text, delimiter, skipped_lines), encoding, delimiter, notes)


def _encoding(path: Path, head: bytes, notes: list[str]) -> str:
    for bom, name in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if head.startswith(bom):
            return _checked(path, name)
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if max(even, odd) > len(head) // 8 and min(even, odd) < len(head) // 64 + 1:
        return _checked(path, "utf-16-le" if odd > even else "utf-16-be")
    if _decodes(path, "utf-8"):
        return "utf-8"
    name = "cp1252" if _decodes(path, "cp1252") else "latin-1"
    notes.append("The file is not UTF-8; it was read as Western European (Windows-1252), so check accents and symbols.")
    return name


def _checked(path: Path, encoding: str) -> str:
    if not _decodes(path, encoding):
        raise Problem(
            f"The file says it is {encoding.upper().removesuffix('-SIG')} but is not, or it was cut off. "
            "Save it as CSV in UTF-8 and send that."
        )
    return encoding


def _decodes(path: Path, encoding: str) -> bool:
    try:
        with path.open(encoding=encoding, newline="") as text:
            while text.read(1 << 20):
                pass
    except UnicodeError:
        return False
    return True


def _delimiter(beginning: str) -> str:
    """The delimiter that divides most lines into the same number of cells, and into most."""
    scores = {}
    for candidate in _DELIMITERS:
        counts: Counter[int] = Counter()
        try:
            for number, row in enumerate(csv.reader(io.StringIO(beginning), delimiter=candidate)):
                if row:
                    counts[len(row)] += 1
                if number >= 200:
                    break
        except csv.Error:
            continue
        if counts:
            width, lines = max(counts.items(), key=lambda item: (item[1], item[0]))
            scores[candidate] = (lines / counts.total() if width > 1 else 0.0, width)
    best = max(scores, key=lambda candidate: scores[candidate], default=",")
    return best if scores.get(best, (0.0, 1))[1] > 1 else ","


def _rows(text: Iterable[str], delimiter: str, skipped_lines: int) -> Iterator[tuple[int, list[str]]]:
    """Every row that is not blank, with the number of its first line."""
    reader = csv.reader(text, delimiter=delimiter, skipinitialspace=True)
    while True:
        line = reader.line_num + 1 + skipped_lines
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:
            raise Problem(
                f"Line {line} has a cell of more than a million characters. Most likely a quotation mark "
                "is not closed there: close it, or double the quotation marks inside cells."
            ) from None
        if reader.line_num + skipped_lines - line > _MAX_QUOTED_LINES:
            raise Problem(
                f"Line {line} opens a quotation mark that is not closed for over {_MAX_QUOTED_LINES} lines. "
                "Close it, or double the quotation marks inside cells."
            )
        cells = [cell.strip() for cell in row]
        if any(cells):
            yield line, cells


def _shaped(rows: Iterator[tuple[int, list[str]]], encoding: str, delimiter: str, notes: list[str]) -> Table:
    sample = list(islice(rows, SAMPLE_ROWS))
    if not sample:
        raise Problem("The file has only blank lines. Export it again and check that it has a header and rows.")
    # A stray line before the header must not decide how wide the table is.
    width = max(Counter(len(cells) for _, cells in sample[:200]).items(), key=lambda item: (item[1], item[0]))[0]
    start = next(at for at, (_, cells) in enumerate(sample) if len(cells) >= width or at + 1 == len(sample))
    if start and len(sample) > start + 1:
        notes.append(f"{_lines([line for line, _ in sample[:start]])} before the table {_was(start)} skipped.")
        sample = sample[start:]
    line, first = sample[0]
    while len(first) > width and not first[-1]:
        first = first[:-1]
    has_header = _is_header(first, [cells for _, cells in sample[1:] if len(cells) == width])
    if has_header:
        if len(first) > width:
            raise Problem(
                f"The header in line {line} names {len(first)} columns, but most rows have {width} cells. "
                "Remove the extra names, or fill the missing cells."
            )
        if len(first) < width:
            notes.append(f"The header names {len(first)} of {width} columns; the others are called by their number.")
        sample = sample[1:]
    else:
        notes.append(
            "The first row looks like data, so the columns are called by their number. A header would name them."
        )
        first = []
    if width > MAX_COLUMNS:
        raise Problem(
            f"The table has {width} columns; at most {MAX_COLUMNS} can be summarised. Remove some, or turn it around."
        )
    if not sample:
        raise Problem(
            f"The table has a header but no rows. Its columns are: {_listed(first)}. Export it again with its rows."
        )
    table = Table(_names(first, width), has_header, encoding, delimiter, iter(()), notes)
    table.rows = _fitting(sample, rows, width, table)
    return table


def _fitting(
    sample: list[tuple[int, list[str]]], rest: Iterator[tuple[int, list[str]]], width: int, table: Table
) -> Iterator[tuple[int, list[str]]]:
    """The rows with the right number of cells; empty cells too many at the end do no harm."""
    count = 0
    example = ""
    for rows in (sample, rest):
        for line, cells in rows:
            count += 1
            if len(cells) > width and not any(cells[width:]):
                cells = cells[:width]
            if len(cells) == width:
                yield line, cells
                continue
            table.left_out.append(line)
            example = example or f"line {line} has {len(cells)}"
    left_out = len(table.left_out)
    if left_out > _RAGGED_SHARE * count:
        raise Problem(
            f"{left_out} of {count} rows do not have {width} cells like the others ({example}). Check that the cells "
            f"are divided by a {delimiter_name(table.delimiter)}, and that cells containing one are in quotation marks."
        )
    if left_out:
        table.notes.append(
            f"{left_out} {'row' if left_out == 1 else 'rows'} {_was(left_out)} left out, not having {width} cells like "
            f"the others: {_lines(table.left_out).lower()}."
        )


def _is_header(first: list[str], below: list[list[str]]) -> bool:
    """Whether the first row names the columns: judged by how it differs from what stands below it."""
    votes = 0
    for at, name in enumerate(first):
        column = [cells[at] for cells in below[:100] if at < len(cells) and not is_missing(cells[at])]
        if not name or not column:
            continue
        style = number_style(column)
        numeric = sum(1 for text in column if style.read(text) is not None) > 0.8 * len(column)
        if numeric:
            looks_alike = style.read(name) is not None
            votes += (0 if _is_year(name) else -1) if looks_alike else 1
        elif (reader := date_reader(column)) is not None:
            votes += -1 if _reads(reader, name) else 1
        elif name in column:
            votes -= 1
    if votes:
        return votes > 0
    names = [name for name in first if name]
    numbers = [name for name in names if number_style([name]).read(name) is not None]
    return len(numbers) < len(names) == len(set(names)) and all(map(_is_year, numbers))


def _is_year(name: str) -> bool:
    """Such as 2019, 2020, 2021: likely names of columns full of other numbers."""
    return len(name) == 4 and name.isdecimal()


def _reads(reader: ReadDate, text: str) -> bool:
    try:
        reader(text)
    except ValueError:
        return False
    return True


def _names(header: list[str], width: int) -> list[str]:
    """Names that are short, printable and different from each other."""
    names: list[str] = []
    for number in range(1, width + 1):
        given = header[number - 1] if number <= len(header) else ""
        clean = " ".join("".join(c if c.isprintable() else " " for c in given).split()) or f"column {number}"
        clean = clean if len(clean) <= _NAME_CHARACTERS else clean[: _NAME_CHARACTERS - 1] + "…"
        name, copy = clean, 2
        while name in names:
            name = f"{clean} ({copy})"
            copy += 1
        names.append(name)
    return names


def _listed(names: list[str]) -> str:
    shown = ", ".join(name or "(no name)" for name in names[:10])
    return f"{shown} and {len(names) - 10} more" if len(names) > 10 else shown


def _lines(numbers: list[int]) -> str:
    shown = ", ".join(str(number) for number in numbers[:10])
    more = f" and {len(numbers) - 10} more" if len(numbers) > 10 else ""
    return f"{'Line' if len(numbers) == 1 else 'Lines'} {shown}{more}"


def _was(count: int) -> str:
    return "was" if count == 1 else "were"
