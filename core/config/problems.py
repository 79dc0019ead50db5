"""What is wrong with a file, as sentences with a place and a remedy.

Everything that reads the operator's YAML collects `Problem`s and raises them together, so that one look at the terminal
is enough to repair a file. Planners use the same form for playbooks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import ConfigError

_SHOWN = 25


@dataclass(frozen=True)
class Problem:
    """One thing to repair."""

    file: str
    """The file as the operator named it."""
    line: int
    """1-based; 0 when the text has no lines a person could look up."""
    column: int
    """1-based; 0 as for `line`."""
    path: str
    """Where inside the document, e.g. `playbooks.report.steps[2].with`; empty for the whole file."""
    what: str
    """What is wrong, one sentence."""
    remedy: str
    """What to write instead."""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        head = f"{where}  {self.path}" if self.path else where
        return f"{head}\n    {self.what}\n    {self.remedy}"


class ConfigProblems(ConfigError):
    """A file cannot be used; `problems` says why, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.file, problem.line, problem.column)))
        """At least one."""
        files = sorted({problem.file for problem in self.problems})
        count = len(self.problems)
        head = f"{', '.join(files)}: {'one problem' if count == 1 else f'{count} problems'}."
        blocks = [str(problem) for problem in self.problems[:_SHOWN]]
        if count > _SHOWN:
            blocks.append(f"… and {count - _SHOWN} more.")
        super().__init__("\n\n".join([head, *blocks]))


def path_text(path: Sequence[str | int]) -> str:
    """Render a path as people write it: `steps[2].with.argv[0]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def excerpt(value: str, limit: int = 60) -> str:
    """Quote a piece of somebody's file for a sentence: one line, bounded, control characters spelled out."""
    flat = "".join(each if each.isprintable() else f"\\u{{{ord(each):x}}}" for each in value[: limit + 1])
    return f'"{flat}"' if len(value) <= limit else f'"{flat[:limit]}…"'
