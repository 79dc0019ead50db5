"""Strategies for any text, number and id, and the one moment and run that tests agree on."""

from typing import Any

from hypothesis import strategies as st

NOW_MS = 1_800_000_000_000
RUN_ID = "run_01kb2x9v7n4m8q3z5t6w0yabcd"

_EXTREMES = ["", " ", "\n" * 50, "<!channel>", "\ud800", "x" * 3500, "😀" * 1700, "&<>" * 1200]
# Anything: control characters, astral planes, half surrogates, very long.
texts = st.one_of(
    st.text(alphabet=st.characters(), max_size=12),
    st.integers(0, len(_EXTREMES) - 1).map(_EXTREMES.__getitem__),
)
numbers = st.integers(min_value=-(2**53), max_value=2**53)
counts = st.integers(min_value=0, max_value=2**40)
run_ids = st.text(alphabet="0123456789abcdefghjkmnpqrstvwxyz", min_size=26, max_size=26).map(lambda tail: f"run_{tail}")
users = st.one_of(st.none(), st.just("U0ROSA"), texts)


def lists(items: st.SearchStrategy[Any], most: int = 28) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(items, max_size=most).map(tuple)
