"""CHECKUP.md: what was looked at, how the tests went, what was fixed and what was left, for whoever maintains it.

The same commit and the same tests give the same page: no time, no host, no commit id. It describes the repository
without itself, so that a checkup of a repository that has one changes nothing.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .git import shown
from .whitespace import Fix

NAME = "CHECKUP.md"

_MOST_LANGUAGES = 12
_MOST_LARGE = 5
_MOST_NOTED = 5
_LARGE_BYTES = 100_000


@dataclass(frozen=True)
class Volume:
    """How much there is of one language."""

    files: int = 0
    lines: int = 0
    size: int = 0
    """Bytes."""


@dataclass
class Findings:
    """What a look at the tracked files found."""

    files: int = 0
    links: int = 0
    submodules: int = 0
    size: int = 0
    """Bytes of all files."""
    languages: dict[str, Volume] = field(default_factory=dict)
    large: list[tuple[int, bytes]] = field(default_factory=list)
    """Bytes and path of the larger files."""
    notes: dict[bytes, int] = field(default_factory=dict)
    """How often TODO, FIXME, XXX or HACK stands in a file."""
    fixes: dict[bytes, Fix] = field(default_factory=dict)
    postponed: dict[bytes, Fix] = field(default_factory=dict)
    """Fixes that would make the change too long to be read."""
    left_alone: Counter[str] = field(default_factory=Counter)
    """How many files, by the reason why nothing in them is changed."""
    not_read: int = 0
    """Files beyond what a checkup reads."""

    @property
    def lines_fixed(self) -> int:
        return sum(fix.lines for fix in self.fixes.values())


def write(findings: Findings, tests: Mapping[str, Any] | None) -> str:
    """Return the page."""
    parts = [
        "# Checkup",
        "A look at every tracked file and one run of the tests. Nothing here was changed by hand.",
        *_tests(tests),
        *_fixes(findings),
        *_inventory(findings),
        *_notes(findings),
    ]
    return "\n\n".join(parts) + "\n"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def _tests(tests: Mapping[str, Any] | None) -> list[str]:
    parts = ["## Tests"]
    if tests is None:
        return [*parts, "They were not run."]
    parts.append(_plain(tests["summary"]))
    if tests["command"]:
        parts.append(f"Run with {shown(tests['command'])}, without a network.")
    if tests["failing"]:
        parts.append("\n".join(["Failing:", "", *(f"- {shown(name)}" for name in tests["failing"])]))
        if (unnamed := (tests["failures"] or 0) - len(tests["failing"])) > 0:
            parts.append(f"And {unnamed:,} more.")
    return parts


def _fixes(findings: Findings) -> list[str]:
    parts = ["## Fixes"]
    if findings.fixes:
        parts.append(
            f"White space only: {count(findings.lines_fixed, 'line')} in {count(len(findings.fixes), 'file')}."
        )
        rows = [
            (
                _cell(shown(path)),
                str(fix.trimmed or ""),
                str(fix.blank_removed or ""),
                "yes" if fix.newline_added else "",
            )
            for path, fix in findings.fixes.items()
        ]
        parts.append(_table(("File", "Line ends", "Blank lines at the end", "Newline added"), rows))
    else:
        parts.append("Nothing had to be fixed.")
    if findings.postponed:
        parts.append(
            f"{count(len(findings.postponed), 'more file')} could be fixed the same way, which would make this change "
            "too long to be read. Another checkup after this one goes on with them."
        )
    left = {reason: count(number, "file") for reason, number in sorted(findings.left_alone.items())}
    left["too large, or too many, to be read"] = count(findings.not_read, "file") if findings.not_read else ""
    left["symbolic links, which are not followed"] = f"{findings.links or ''}"
    left["submodules"] = f"{findings.submodules or ''}"
    lines = [f"- {reason}: {number}" for reason, number in left.items() if number]
    if lines:
        parts.append("\n".join(["Left as it is:", "", *lines]))
    return parts


def _inventory(findings: Findings) -> list[str]:
    total = f"{count(findings.files, 'file')}, {_size(findings.size)}."
    parts = ["## What is here", total]
    ordered = sorted(findings.languages.items(), key=lambda item: (-item[1].lines, -item[1].size, item[0]))
    rows = [
        (name, f"{volume.files:,}", f"{volume.lines:,}", _size(volume.size))
        for name, volume in ordered[:_MOST_LANGUAGES]
    ]
    if rows:
        parts.append(_table(("Language", "Files", "Lines", "Size"), rows))
    if len(ordered) > _MOST_LANGUAGES:
        parts.append(f"And {count(len(ordered) - _MOST_LANGUAGES, 'more language')}.")
    large = sorted((item for item in findings.large if item[0] >= _LARGE_BYTES), key=lambda item: (-item[0], item[1]))
    if large:
        lines = [f"- {shown(path)}, {_size(size)}" for size, path in large[:_MOST_LARGE]]
        parts.append("\n".join(["The largest files:", "", *lines]))
    return parts


def _notes(findings: Findings) -> list[str]:
    if not findings.notes:
        return []
    total = sum(findings.notes.values())
    ordered = sorted(findings.notes.items(), key=lambda item: (-item[1], item[0]))
    where = f"{count(total, 'note')} (TODO, FIXME, XXX, HACK) in {count(len(ordered), 'file')}, most of them in:"
    lines = [f"- {shown(path)}, {number:,}" for path, number in ordered[:_MOST_NOTED]]
    return ["## Notes to self", "\n".join([where, "", *lines])]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *rows))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _plain(text: str) -> str:
    """Text that is not read as markup, on one line."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    for mark in "\\*_[]<>|#~":
        line = line.replace(mark, f"\\{mark}")
    return line


def _size(size: int) -> str:
    if size < 1_000:
        return count(size, "byte")
    number, unit = (size / 1_000, "kB") if size < 1_000_000 else (size / 1_000_000, "MB")
    return f"{number:,.1f} {unit}"
