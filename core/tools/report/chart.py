"""Draws the picture that was chosen: one PNG, readable in a chat window and on a phone.

Text is never read as a formula, and a name the fonts here cannot write is replaced by one they can.
"""

import math
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .choose import MAX_BARS, Picture
from .columns import Column
from .series import bucketed, by_group, grouped_means, sorted_points
from .values import decimal_text

if "XDG_CACHE_HOME" not in os.environ:
    # matplotlib wants a place to keep what it finds out about fonts.
    os.environ.setdefault("MPLCONFIGDIR", tempfile.mkdtemp(prefix="matplotlib-"))

import matplotlib  # type: ignore[import-not-found]

matplotlib.use("Agg")

from matplotlib import dates, font_manager, ticker
from matplotlib.figure import Figure  # type: ignore[import-not-found]

_COLORS = ("#2563eb", "#ea580c", "#059669", "#9333ea", "#dc2626", "#64748b")
_INK, _GREY, _GRID = "#1f2937", "#6b7280", "#e5e7eb"
_SIZE_INCHES = (10, 5.6)
_DPI = 150
_MARKED_POINTS = 40
_FALLBACKS = (
    "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans JP", "Noto Sans SC", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei",
    "IPAexGothic", "IPAGothic", "Droid Sans Fallback", "Arial Unicode MS", "Noto Sans", "Noto Sans Devanagari",
    "Noto Sans Thai", "Noto Sans Arabic", "Noto Sans Hebrew", "FreeSans", "Unifont", "Symbola", "Noto Emoji",
)  # fmt: skip

Axes = Any
"""matplotlib's, which has no types where this is checked."""


@dataclass
class Drawn:
    """What the picture shows, in words."""

    title: str
    caption: str
    notes: list[str] = field(default_factory=list)


def draw(picture: Picture, *, source: str, rows: int, title: str | None, target: Path) -> Drawn:
    """Draw the picture into `target` and say what it shows."""
    fonts = _Fonts()
    style = {
        "font.family": fonts.families,
        "text.parse_math": False,
        "axes.edgecolor": _GRID,
        "axes.labelcolor": _GREY,
        "xtick.color": _GREY,
        "ytick.color": _GREY,
        "axes.titlecolor": _INK,
        "axes.unicode_minus": False,
    }
    with matplotlib.rc_context(style):
        figure = Figure(figsize=_SIZE_INCHES, dpi=_DPI, facecolor="white", layout="constrained")
        figure.get_layout_engine().set(w_pad=0.16, h_pad=0.14)
        own_title, what = _DRAWERS[picture.kind](figure, picture, fonts)
        shown = fonts.writable(title or own_title, own_title)
        rows_text = f"{rows:,} {'row' if rows == 1 else 'rows'}"
        more = f"{picture.more} more columns of numbers in the summary" if picture.more else ""
        caption = " · ".join(part for part in (fonts.writable(source, "the table"), rows_text, what, more) if part)
        figure.suptitle(_cut(shown, 80), x=0.016, ha="left", fontsize=15, fontweight="bold", color=_INK)
        figure.supxlabel(_cut(caption, 130), x=0.016, ha="left", fontsize=9, color=_GREY)
        figure.savefig(target, format="png")
    notes = []
    if fonts.missed:
        notes.append("Some names use characters the picture's fonts lack; there they are called by their number.")
    return Drawn(title or own_title, what, notes)


class _Fonts:
    """Which characters can be written here."""

    def __init__(self) -> None:
        installed = {entry.name for entry in font_manager.fontManager.ttflist}
        self.families = ["DejaVu Sans", *(name for name in _FALLBACKS if name in installed)]
        self._characters: set[int] = set()
        for family in self.families:
            self._characters |= set(font_manager.get_font(font_manager.findfont(family)).get_charmap())
        self.missed = False

    def writable(self, text: str, otherwise: str) -> str:
        """Return `text` if it can be written, else `otherwise`."""
        plain = "".join(character if character.isprintable() else " " for character in text)
        if all(ord(character) in self._characters for character in plain):
            return plain
        self.missed = True
        return otherwise

    def name(self, column: Column) -> str:
        """A column's name, or its number if the name cannot be written."""
        return self.writable(column.name, f"column {column.number}")

    def names(self, columns: Sequence[Column]) -> str:
        """Several names as in a sentence."""
        names = [self.name(column) for column in columns]
        return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _lines(figure: Figure, picture: Picture, fonts: _Fonts) -> tuple[str, str]:
    axes = figure.subplots()
    _tidy(axes)
    what = ""
    for column, color in zip(picture.series, _COLORS, strict=False):
        what = _line(axes, picture, column, color, fonts.name(column), what)
    _along(axes, picture, fonts)
    if len(picture.series) > 1:
        _legend(axes)
    return _over(picture, fonts), what


def _panels(figure: Figure, picture: Picture, fonts: _Fonts) -> tuple[str, str]:
    rows = figure.subplots(len(picture.series), 1, sharex=True, squeeze=False)
    what = ""
    for axes, column, color in zip(rows[:, 0], picture.series, _COLORS, strict=False):
        _tidy(axes)
        what = _line(axes, picture, column, color, "", what)
        axes.set_title(_cut(fonts.name(column), 60), loc="left", fontsize=10)
        axes.yaxis.set_major_locator(ticker.MaxNLocator(4))
    _along(rows[-1, 0], picture, fonts)
    return _over(picture, fonts), what


def _split_lines(figure: Figure, picture: Picture, fonts: _Fonts) -> tuple[str, str]:
    assert picture.x is not None
    assert picture.group is not None
    axes = figure.subplots()
    _tidy(axes)
    what = ""
    column = picture.series[0]
    for number, (label, x, y) in enumerate(by_group(picture.x, column, picture.group)):
        xs, ys, _, _, kind = bucketed(x, y, is_time=picture.x.kind == "date")
        shown = fonts.writable(label, f"group {number + 1}")
        axes.plot(
            _moments(picture.x, xs), ys, color=_COLORS[number % len(_COLORS)], label=_cut(shown, 24), **_marks(xs)
        )
        what = what or kind
    _along(axes, picture, fonts)
    axes.set_ylabel(_cut(fonts.name(column), 40))
    _legend(axes)
    return f"{_over(picture, fonts)}, by {fonts.name(picture.group)}", what


def _line(axes: Axes, picture: Picture, column: Column, color: str, label: str, said: str) -> str:
    assert picture.x is not None
    x, y = sorted_points(picture.x, column)
    xs, ys, low, high, what = bucketed(x, y, is_time=picture.x.kind == "date")
    moments = _moments(picture.x, xs)
    if low is not None and high is not None and len(picture.series) <= 2:
        axes.fill_between(moments, low, high, color=color, alpha=0.13, linewidth=0)
        what = f"{what}, shaded from lowest to highest"
    axes.plot(moments, ys, color=color, label=_cut(label, 30), **_marks(xs))
    return said or what


def _marks(points: Sequence[float]) -> dict[str, Any]:
    few = {"marker": "o", "markersize": 4.5} if len(points) <= _MARKED_POINTS else {}
    return {"linewidth": 2, "solid_capstyle": "round", **few}


def _bars(figure: Figure, picture: Picture, fonts: _Fonts) -> tuple[str, str]:
    assert picture.group is not None
    axes = figure.subplots()
    labels, means, more, averaged = grouped_means(picture.group, picture.series, MAX_BARS)
    _horizontal(axes, [fonts.writable(label, f"value {number + 1}") for number, label in enumerate(labels)])
    thick = _thickness(len(labels)) / len(means)
    for number, (column, lengths, color) in enumerate(zip(picture.series, means, _COLORS, strict=False)):
        places = [at + (number - (len(means) - 1) / 2) * thick for at in range(len(labels))]
        axes.barh(places, lengths, height=thick * 0.92, color=color, label=_cut(fonts.name(column), 30))
        if len(means) == 1:
            _lengths(axes, lengths)
    if len(means) > 1:
        _legend(axes)
    else:
        axes.set_xlabel(_cut(fonts.name(picture.series[0]), 40))
    said = [f"mean for each {fonts.name(picture.group)}" if averaged else "", f"{more} more not shown" if more else ""]
    title = f"{fonts.names(picture.series)} by {fonts.name(picture.group)}"
    return title, ", ".join(part for part in said if part)


def _frequencies(figure: Figure, picture: Picture, fonts: _Fonts) -> tuple[str, str]:
    column = picture.series[0]
    axes = figure.subplots()
    top = column.top(MAX_BARS)
    _horizontal(axes, [fonts.writable(label, f"value {number + 1}") for number, (label, _) in enumerate(top)])
    lengths = [float(count) for _, count in top]
    axes.barh(range(len(top)), lengths, height=_thickness(len(lengths)), color=_COLORS[0])
    _lengths(axes, lengths)
    axes.set_xlabel("rows")
    more = column.distinct - len(top)
    return f"Most frequent: {fonts.name(column)}", f"{more:,} more values not shown" if more > 0 else ""


def _completeness(figure: Figure, picture: Picture, fonts: _Fonts) -> tuple[str, str]:
    axes = figure.subplots()
    columns = picture.series[:MAX_BARS]
    _horizontal(axes, [fonts.name(column) for column in columns])
    lengths = [float(column.present) for column in columns]
    axes.barh(range(len(columns)), lengths, height=_thickness(len(lengths)), color=_COLORS[0])
    _lengths(axes, lengths)
    axes.set_xlabel("cells that are filled")
    return "Filled cells in each column", ""


def _histograms(figure: Figure, picture: Picture, fonts: _Fonts) -> tuple[str, str]:
    count = len(picture.series)
    across = {1: 1, 3: 3}.get(count, 2)
    grid = figure.subplots(math.ceil(count / across), across, squeeze=False)
    for place in grid.flat[count:]:
        place.set_visible(False)
    for axes, column, color in zip(grid.flat, picture.series, _COLORS, strict=False):
        _tidy(axes)
        numbers = column.numbers()
        # Counted in units of the largest, or very large numbers would overflow while the bins are made.
        largest = max(abs(column.minimum), abs(column.maximum))
        scale = largest if largest > 1e100 else 1.0
        bins = min(30, max(5, math.ceil(2 * len(numbers) ** (1 / 3))))
        axes.hist([number / scale for number in numbers], bins=bins, color=color, edgecolor="white", linewidth=0.8)
        unit = f" (in {decimal_text(scale)})" if scale != 1.0 else ""
        axes.set_title(_cut(fonts.name(column), 40) + unit, loc="left", fontsize=10 if count > 1 else 12)
        axes.xaxis.set_major_formatter(ticker.FuncFormatter(_short_number))
        axes.xaxis.set_major_locator(ticker.MaxNLocator(6))
        axes.yaxis.set_major_locator(ticker.MaxNLocator(5, integer=True))
    return (
        f"How {fonts.names(picture.series)} {'is' if count == 1 else 'are'} distributed",
        "rows in each range of values",
    )


_DRAWERS: dict[str, Callable[[Figure, Picture, _Fonts], tuple[str, str]]] = {
    "lines": _lines,
    "panels": _panels,
    "split-lines": _split_lines,
    "bars": _bars,
    "histograms": _histograms,
    "frequencies": _frequencies,
    "completeness": _completeness,
}


def _tidy(axes: Axes) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="y", color=_GRID, linewidth=0.9)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=9)
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(_short_number))


def _horizontal(axes: Axes, labels: Sequence[str]) -> None:
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="x", color=_GRID, linewidth=0.9)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=9.5)
    axes.set_yticks(range(len(labels)), [_cut(label, 32) for label in labels], color=_INK)
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(_short_number))
    axes.margins(x=0.1)


def _thickness(count: int) -> float:
    """Of bars, that few of them do not fill the picture."""
    return 0.76 * min(1.0, (count + 1) / 6)


def _lengths(axes: Axes, lengths: Sequence[float]) -> None:
    for at, length in enumerate(lengths):
        axes.annotate(
            _short_number(length),
            (length, at),
            xytext=(-4 if length < 0 else 4, 0),
            textcoords="offset points",
            va="center",
            ha="right" if length < 0 else "left",
            fontsize=9,
            color=_INK,
        )


def _legend(axes: Axes) -> None:
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=4,
        frameon=False,
        fontsize=9.5,
        labelcolor=_INK,
        borderaxespad=0.2,
    )


def _along(axes: Axes, picture: Picture, fonts: _Fonts) -> None:
    assert picture.x is not None
    if picture.x.kind == "date":
        locator = dates.AutoDateLocator(minticks=4, maxticks=9)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
        return
    axes.xaxis.set_major_locator(ticker.MaxNLocator(9, integer=True))
    whole = all(value.is_integer() and 1000 < value < 3000 for value in picture.x.numbers())
    axes.xaxis.set_major_formatter(ticker.FuncFormatter((lambda value, _: f"{value:.0f}") if whole else _short_number))
    axes.set_xlabel(_cut(fonts.name(picture.x), 40))


def _moments(x: Column, values: Sequence[float]) -> list[Any]:
    if x.kind != "date":
        return list(values)
    return [datetime.fromtimestamp(value, UTC) for value in values]


def _short_number(value: float, _position: object = None) -> str:
    for size, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= 1e15:
            return f"{value:.2g}"
        if abs(value) >= size:
            return f"{value / (1e3 if unit == 'k' else size):.4g}{unit}"
    return f"{value:,.0f}" if value == round(value) else f"{value:,.4g}"


def _over(picture: Picture, fonts: _Fonts) -> str:
    assert picture.x is not None
    return f"{fonts.names(picture.series)} over {fonts.name(picture.x)}"


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: characters - 1] + "…"
