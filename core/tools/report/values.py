"""One cell of a table: whether something is there, and which number or date it is.

How numbers and dates are written is decided once for a column, from a sample, so that `1.234` or `03/04/2026` means
the same in every row.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

_MISSING = frozenset(
    [
        "-",
        "--",
        "–",
        "—",
        ".",
        "?",
        "na",
        "n/a",
        "n.a.",
        "#n/a",
        "nan",
        "null",
        "none",
        "nil",
        "#value!",
        "#div/0!",
        "#ref!",
        "#name?",
        "#num!",
    ]
) | {""}
_PLAIN = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,5})?", re.ASCII)
_GROUPED = {
    ".": re.compile(r"[-+]?\d{1,3}(?:[,'’ \u00a0\u202f]\d{3})+(?:\.\d+)?", re.ASCII),
    ",": re.compile(r"[-+]?\d{1,3}(?:[.'’ \u00a0\u202f]\d{3})+(?:,\d+)?|[-+]?\d+,\d+(?:[eE][-+]?\d{1,5})?", re.ASCII),
}
_DRESSED = re.compile(
    r"(\(?)([-+−]?)\s?(?:[$€£¥₹]\s?|[A-Z]{3}\s)?"
    r"([-+]?[\d.,'’ \u00a0\u202f]*\d\.?(?:[eE][-+]?\d{1,5})?)"
    r"\s?(%|[$€£¥₹]|[A-Z]{3})?(\)?)"
)
_COMMA_ONLY = re.compile(
    r"[-+]?\d+,(?:\d{1,2}|\d{4,})|[-+]?\d{1,3}(?:[.'’ \u00a0\u202f]\d{3})+,\d+|[-+]?0,\d+", re.ASCII
)
_POINT = re.compile(
    r"[-+]?\d*\.(?:\d{1,2}|\d{4,})|[-+]?\d{1,3}(?:[,'’ \u00a0\u202f]\d{3})+\.\d+|[-+]?\d{1,3}(?:,\d{3})+|[-+]?0\.\d+",
    re.ASCII,
)
_GROUPS = {".": re.compile("[,'’ \u00a0\u202f]"), ",": re.compile("[.'’ \u00a0\u202f]")}

_DATE_FORMATS = (
    "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%d.%m.%Y", "%d-%m-%Y", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%y", "%m/%d/%y",
    "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y", "%d-%b-%y", "%b %Y", "%B %Y", "%Y-%m", "%m/%Y",
    "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M:%S",
    "%Y/%m/%d %H:%M", "%Y/%m/%d %H:%M:%S",
)  # fmt: skip
_LOOKS_LIKE_A_DATE = re.compile(r"(?=.*\d)(?=.*[-/.\s\d])[\w/.,:+ -]{4,40}")

ReadDate = Callable[[str], float]
"""Seconds since 1970; raises `ValueError`."""


@dataclass(frozen=True)
class NumberStyle:
    """How a column writes its numbers."""

    decimal: str = "."

    def read(self, text: str) -> float | None:
        """Return the number, infinite if it is too large to calculate with, or `None` if it is none."""
        if self.decimal == "." and _PLAIN.fullmatch(text):
            return float(text)
        written = self.plain(text)
        return None if written is None else float(written)

    def plain(self, text: str) -> str | None:
        """Return the number the way Python writes it, without grouping, currency or percent sign."""
        dressed = _DRESSED.fullmatch(text)
        if not dressed or bool(dressed[1]) != bool(dressed[5]):
            return None
        bare = dressed[3]
        if _GROUPED[self.decimal].fullmatch(bare):
            bare = _GROUPS[self.decimal].sub("", bare).replace(",", ".")
        elif not _PLAIN.fullmatch(bare):
            return None
        negative = bool(dressed[1]) or dressed[2] in ("-", "−")
        return f"-{bare}" if negative and not bare.startswith("-") else bare


def is_missing(text: str) -> bool:
    """Whether a cell says that nothing is there."""
    return text.lower() in _MISSING


def number_style(sample: Sequence[str]) -> NumberStyle:
    """Decide from the cells of one column whether its decimal sign is a comma."""
    commas = sum(1 for text in sample if _COMMA_ONLY.fullmatch(text.strip("$€£%() ")))
    points = sum(1 for text in sample if _POINT.fullmatch(text.strip("$€£%() ")))
    return NumberStyle("," if commas > points else ".")


def date_reader(sample: Sequence[str]) -> ReadDate | None:
    """Decide from the cells of one column how its dates are written; `None` if they are no dates."""
    cells = [text for text in sample if text][:200]
    if not cells or sum(1 for text in cells if _LOOKS_LIKE_A_DATE.fullmatch(text)) < 0.9 * len(cells):
        return None
    candidates: list[ReadDate] = [] if all(text.isdecimal() for text in cells) else [_read_iso]
    candidates += [_reader(form) for form in _DATE_FORMATS if form != "%Y%m%d" or all(len(text) == 8 for text in cells)]
    best, hits = max(((reader, _hits(reader, cells)) for reader in candidates), key=lambda pair: pair[1])
    return best if hits >= 0.9 * len(cells) else None


def decimal_text(value: float) -> str:
    """Write a number as people do: 12 significant digits at most, an exponent only where zeros would fill the line."""
    if value == 0:
        return "0"
    if value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    rounded = Decimal(f"{value:.12g}").normalize()
    return f"{rounded:f}" if -7 < rounded.adjusted() < 21 else f"{rounded:e}".lower()


def _hits(reader: ReadDate, cells: Sequence[str]) -> int:
    count = 0
    for text in cells:
        try:
            reader(text)
            count += 1
        except ValueError:
            pass
    return count


def _read_iso(text: str) -> float:
    if len(text) == 7:
        raise ValueError(text)
    return _seconds(datetime.fromisoformat(text))


def _reader(form: str) -> ReadDate:
    return lambda text: _seconds(datetime.strptime(text, form))


def _seconds(moment: datetime) -> float:
    if not 1 < moment.year < 9999:
        raise ValueError(moment)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def day(seconds: float) -> date:
    """The UTC day of a moment."""
    return datetime.fromtimestamp(seconds, UTC).date()
