"""The arithmetic of the rows: percentiles, rates and differences, pure."""

from collections.abc import Sequence

NS_PER_MS = 1_000_000


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie, linear between neighbours.

    Raises:
        ValueError: there are no values, or `share` is not a share.
    """
    if not values or not 0 <= share <= 1:
        raise ValueError(f"no percentile {share} of {len(values)} values")
    ordered = sorted(values)
    place = (len(ordered) - 1) * share
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def latencies(durations_ns: Sequence[int]) -> dict[str, float]:
    """`n` and the usual figures in milliseconds; only `n` when nothing was measured."""
    if not durations_ns:
        return {"n": 0}
    ms = [duration / NS_PER_MS for duration in durations_ns]
    return {
        "n": len(ms),
        "p50_ms": round(percentile(ms, 0.5), 3),
        "p99_ms": round(percentile(ms, 0.99), 3),
        "min_ms": round(min(ms), 3),
        "max_ms": round(max(ms), 3),
    }


def rate(count: int, duration_ns: int) -> float:
    """How many a second."""
    return round(count * 1e9 / duration_ns, 1)


def per_1000(before: float, after: float, count: int) -> float:
    """What each thousand of `count` added."""
    return round((after - before) / count * 1000, 2)
