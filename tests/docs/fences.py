"""The code blocks of the documents, and what becomes of each.

Every block a reader could copy (`console`, `bash`, `python`, `yaml`) either runs in a test or is named below as an
illustration, with the reason why it cannot run. What is not to be copied says so by its language (`text`, `mermaid`);
a block without one could be anything, so it is a mistake. A block is known by its document, its nearest heading and
its number under that heading, as in `README.md > Try it > 1`.

A test runs a block by saying `@pytest.mark.runs_fence("README.md > Try it > 1")` and taking the fixture `fence`,
whose text is what the document says at that moment.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LANGUAGES = frozenset({"console", "bash", "python", "yaml"})

NOT_CODE = frozenset({"text", "mermaid"})
"""What stands in these is read, not run."""

ILLUSTRATIONS: dict[str, str] = {
    "README.md > Try it > 3": "the suite cannot run itself from inside itself",
    "docs/guides/chaos.md > Planted bugs > 1": "it takes minutes; the suite plants three of them by its own tests",
    "docs/guides/chaos.md > Under fire: the chaos suite > 1": "it takes half an hour; the suite runs its short form",
    "docs/guides/mcp.md > One from npm > 1": "it takes npm, which the suite does without",
    "docs/operations.md > Health > 1": "a part of a manifest for a cluster that no test has",
}
"""Blocks that no test runs: key to the reason."""

_OPENING = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,}|~{3,}) *(?P<language>[\w+-]*)")
_HEADING = re.compile(r"^#{1,6} +(?P<text>.+?) *#*$")


@dataclass(frozen=True)
class Fence:
    """One code block."""

    key: str
    language: str
    text: str
    """Without the indentation of the fence; ends in a newline unless empty."""
    line: int
    """Of the opening fence."""

    def commands(self) -> list[str]:
        """The lines a reader types: in `console` those after the prompt, in `bash` all but comments."""
        lines = self.text.splitlines()
        if self.language == "console":
            return [line[2:].strip() for line in lines if line.startswith("$ ")]
        return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]

    def answers(self) -> list[str]:
        """The lines of a `console` that the computer writes."""
        return [line for line in self.text.splitlines() if self.language == "console" and not line.startswith("$ ")]


def documents(root: Path) -> list[Path]:
    """README.md, the other pages at the root and everything in docs/."""
    return [*sorted(root.glob("*.md")), *sorted((root / "docs").rglob("*.md"))]


def fences(root: Path) -> list[Fence]:
    """Every block of every document in a language a reader could run."""
    return [
        fence
        for path in documents(root)
        for fence in _fences_of(path.relative_to(root).as_posix(), path.read_text("utf-8"))
        if fence.language in LANGUAGES
    ]


def language_problems(root: Path) -> Iterator[str]:
    """Yield a sentence for each block that does not say what it is."""
    known = ", ".join(sorted(LANGUAGES | NOT_CODE))
    for path in documents(root):
        for fence in _fences_of(path.relative_to(root).as_posix(), path.read_text("utf-8")):
            if fence.language not in LANGUAGES | NOT_CODE:
                yield f"{fence.key!r} (line {fence.line}) has the language {fence.language!r}: write one of {known}"


def _fences_of(document: str, text: str) -> Iterator[Fence]:
    heading, number, lines = "", 0, text.splitlines()
    at = 0
    while at < len(lines):
        if found := _HEADING.match(lines[at]):
            heading, number = found["text"].replace("`", ""), 0
        elif found := _OPENING.match(lines[at]):
            start, indent, ticks = at, len(found["indent"]), found["ticks"]
            body: list[str] = []
            at += 1
            while at < len(lines) and not re.fullmatch(rf" *{ticks[0]}{{{len(ticks)},}} *", lines[at]):
                body.append(lines[at][min(indent, len(lines[at]) - len(lines[at].lstrip())) :])
                at += 1
            # Blocks that nobody runs have no number of their own, or adding one would rename those that follow.
            number += found["language"] in LANGUAGES
            key = " > ".join(filter(None, (document, heading, str(number))))
            yield Fence(key, found["language"], "".join(f"{line}\n" for line in body), start + 1)
        at += 1


def run_by_tests(root: Path) -> dict[str, str]:
    """Read from the tests' own code which blocks they run: key to the test file. Nothing is imported."""
    found = {}
    for path in sorted((root / "tests").rglob("test_*.py")):
        text = path.read_text("utf-8")
        if "runs_fence" not in text:
            continue
        for node in ast.walk(ast.parse(text, str(path))):
            match node:
                case ast.Call(func=ast.Attribute(attr="runs_fence"), args=[ast.Constant(value=str(key))]):
                    found[key] = path.relative_to(root).as_posix()
    return found


def fence_problems(found: list[Fence], run: dict[str, str], illustrations: dict[str, str]) -> Iterator[str]:
    """Yield a sentence for each block that is neither run nor explained, is both, or is no longer there."""
    keys = [fence.key for fence in found]
    for fence in found:
        if keys.count(fence.key) > 1:
            yield f"{fence.key!r} names two blocks: give one of their headings another text"
        if fence.key not in run and fence.key not in illustrations:
            yield (
                f"{fence.key!r} ({fence.language}, line {fence.line}) is run by no test: mark one with "
                f"@pytest.mark.runs_fence, or name it in ILLUSTRATIONS (tests/docs/fences.py) with the reason"
            )
        if fence.key in run and fence.key in illustrations:
            yield f"{fence.key!r} is run by {run[fence.key]}: take it out of ILLUSTRATIONS"
    for key in sorted({*run, *illustrations} - set(keys)):
        yield f"{key!r} is no block of the documents any more: correct or remove it in {run.get(key, 'ILLUSTRATIONS')}"
    for key, reason in illustrations.items():
        if len(reason.split()) < 3:
            yield f"{key!r} is called an illustration without a reason"
