"""Did you mean: the one place that guesses which known name somebody wanted.

Used by every sentence that refuses an unknown name, whether it stands in a file, in the environment or in a message.
"""

from collections.abc import Iterable
from difflib import SequenceMatcher

_CLOSE_ENOUGH = 0.6
_MANY = 12


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name most like `name`, or `None` if none is close.

    Case, dashes and underscores do not count; equally close names are settled by the order of `known`.
    """
    wanted = _folded(name)
    best: str | None = None
    best_ratio = _CLOSE_ENOUGH
    for candidate in known:
        folded = _folded(candidate)
        ratio = 1.0 if folded == wanted else SequenceMatcher(None, wanted, folded, autojunk=False).ratio()
        if ratio > best_ratio or (ratio == best_ratio and best is None):
            best, best_ratio = candidate, ratio
    return best


def did_you_mean(name: str, known: Iterable[str], *, noun: str = "Known") -> str:
    """Return a remedy: the nearest name as a question, else the list of known names, else an empty string."""
    names = list(known)
    if (guess := nearest(name, names)) is not None:
        return f"Did you mean `{guess}`?"
    if not names:
        return ""
    shown = ", ".join(f"`{each}`" for each in names[:_MANY])
    rest = f" and {len(names) - _MANY} more" if len(names) > _MANY else ""
    return f"{noun}: {shown}{rest}."


def _folded(name: str) -> str:
    return name[:200].casefold().replace("_", "-")
