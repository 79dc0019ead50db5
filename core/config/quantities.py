"""Durations and sizes as people write them: `60s`, `1h30m`, `50MB`, `1GiB`.

A bare number is refused, because nobody remembers its unit a year later.
"""

import re

_DURATION_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)")
_SIZE = re.compile(r"([0-9]{1,12}) ?(B|KB|MB|GB|KiB|MiB|GiB)")
_SIZE_BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def parse_duration_ms(text: str) -> int | None:
    """Read e.g. `250ms`, `60s`, `1h30m`; `None` if `text` is no duration."""
    at = 0
    total = 0
    smallest = 10**9
    while match := _DURATION.match(text, at):
        unit = _DURATION_MS[match[2]]
        if unit >= smallest:
            return None
        smallest = unit
        total += int(match[1]) * unit
        at = match.end()
    return total if at == len(text) and at > 0 else None


def parse_size_bytes(text: str) -> int | None:
    """Read e.g. `50MB` (10^6) or `1GiB` (2^30); `None` if `text` is no size."""
    match = _SIZE.fullmatch(text)
    return int(match[1]) * _SIZE_BYTES[match[2]] if match else None


def duration_text(ms: int) -> str:
    """Render milliseconds in the largest units that keep them exact: 5400000 is `1h30m`."""
    if ms == 0:
        return "0s"
    parts = []
    for unit, size in sorted(_DURATION_MS.items(), key=lambda item: -item[1]):
        count, ms = divmod(ms, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def size_text(count: int) -> str:
    """Render bytes in the largest unit that keeps them exact: 50000000 is `50MB`."""
    for unit, size in sorted(_SIZE_BYTES.items(), key=lambda item: -item[1]):
        if count and count % size == 0:
            return f"{count // size}{unit}"
    return f"{count}B"
