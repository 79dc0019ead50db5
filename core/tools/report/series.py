"""Points for a picture: sorted, averaged where many fall together, and few enough to be seen."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence

from .columns import UNCOUNTED, Column

MAX_POINTS = 750
"""More than this cannot be told apart."""
BUCKETS = 250
_SPANS = (
    (1.0, "for each second"),
    (60.0, "for each minute"),
    (3600.0, "for each hour"),
    (86_400.0, "for each day"),
    (7 * 86_400.0, "for each week"),
    (30 * 86_400.0, "for each 30 days"),
    (365 * 86_400.0, "for each 365 days"),
)

Points = tuple[list[float], list[float]]
Band = list[float] | None


def sorted_points(x: Column, y: Column) -> Points:
    """The rows that have both, in the order of `x`."""
    pairs = sorted((a, b) for a, b in zip(x.values, y.values, strict=False) if a == a and b == b)
    return [a for a, _ in pairs], [b for _, b in pairs]


def by_group(x: Column, y: Column, group: Column) -> list[tuple[str, list[float], list[float]]]:
    """The points of each group, the largest group first."""
    chosen = [text for text, _ in group.top(6)]
    result = []
    for text in chosen:
        code = group.order[text]
        pairs = sorted(
            (a, b) for a, b, c in zip(x.values, y.values, group.codes, strict=False) if c == code and a == a and b == b
        )
        if pairs:
            result.append((text, [a for a, _ in pairs], [b for _, b in pairs]))
    return result


def bucketed(
    x: Sequence[float], y: Sequence[float], *, is_time: bool
) -> tuple[list[float], list[float], Band, Band, str]:
    """Average what has the same `x`, and, where there is more than can be seen, what is near.

    Args:
        is_time: Whether `x` is seconds since 1970, so that what is near is an hour, a day, a week.

    Returns:
        x, mean, lowest and highest (`None` if nothing was averaged), and what was done in words.
    """
    if not x:
        return [], [], None, None, ""
    edges, what = _starts(x, is_time)
    if len(edges) == len(x):
        return list(x), list(y), None, None, ""
    xs, means, low, high = [], [], [], []
    for start, end in zip(edges, [*edges[1:], len(x)], strict=False):
        part = y[start:end]
        xs.append(x[start])
        means.append(_mean(part))
        low.append(min(part))
        high.append(max(part))
    return xs, means, low, high, what


def _starts(x: Sequence[float], is_time: bool) -> tuple[list[int], str]:
    """Where each bucket starts, and what a bucket is in words."""
    equal = [at for at in range(len(x)) if not at or x[at] != x[at - 1]]
    if len(equal) <= MAX_POINTS:
        return equal, "" if len(equal) == len(x) else "mean of rows at the same point"
    span = x[-1] - x[0]
    width, what = span / BUCKETS, ""
    if is_time:
        width, what = next(((size, name) for size, name in _SPANS if span <= size * BUCKETS), _SPANS[-1])
    starts, last = [0], math.floor(x[0] / width)
    for at in range(1, len(x)):
        if (bucket := math.floor(x[at] / width)) != last:
            starts.append(at)
            last = bucket
    return starts, f"mean {what}" if what else f"mean of about {math.ceil(len(x) / len(starts)):,} rows for each point"


def grouped_means(
    group: Column, series: Sequence[Column], limit: int
) -> tuple[list[str], list[list[float]], int, bool]:
    """The mean of each series in each group, the largest first.

    Returns:
        Group names, means for each series, how many groups were left out, and whether any group had more than one row.
    """
    totals = [[0.0] * group.distinct for _ in series]
    counts = [[0] * group.distinct for _ in series]
    for total, count, column in zip(totals, counts, series, strict=False):
        scale = _scale(column.values)
        for code, value in zip(group.codes, column.values, strict=False):
            if 0 <= code < UNCOUNTED and value == value:
                total[code] += value / scale
                count[code] += 1
        total[:] = [(part / number) * scale if number else math.nan for part, number in zip(total, count, strict=False)]
    first = totals[0]
    ranked = sorted(
        (code for code in range(group.distinct) if first[code] == first[code]), key=lambda code: -first[code]
    )
    shown = ranked[:limit]
    names = list(group.order)
    means = [[0.0 if math.isnan(total[code]) else total[code] for code in shown] for total in totals]
    return [names[code] for code in shown], means, len(ranked) - len(shown), max(map(max, counts)) > 1


def _scale(values: array[float]) -> float:
    largest = max((abs(value) for value in values if value == value), default=1.0)
    return largest if largest > 1e100 else 1.0


def _mean(part: Sequence[float]) -> float:
    scale = max(abs(value) for value in part) or 1.0
    return math.fsum(value / scale for value in part) / len(part) * scale
