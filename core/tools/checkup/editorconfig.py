"""What a repository's `.editorconfig` files say about white space: only where they ask to leave it as it is.

Sections match as editors match them: `*`, `**`, `?`, `[…]`, `{a,b}` and `{1..9}`, relative to the file's own
directory; a later section wins over an earlier one, a deeper file over a higher one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

NAME = b".editorconfig"
MOST_FILES = 50
MOST_BYTES = 50_000

_LEAVE_ENDS, _LEAVE_NEWLINE = "trim_trailing_whitespace", "insert_final_newline"
_LONGEST_PATTERN = 200


@dataclass(frozen=True)
class Wishes:
    """What is to stay as it is in one file."""

    line_ends: bool = False
    last_newline: bool = False


NO_WISHES = Wishes()


class Rules:
    """The files of one commit.

    Args:
        files: Path and content of each, paths relative to the repository.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = [_parsed(path, files[path]) for path in sorted(files, key=lambda path: path.count("/"))]

    def wishes(self, path: str) -> Wishes:
        """What is to stay as it is in the file at `path`."""
        found: dict[str, str] = {}
        for folder, is_root, sections in self._files:
            if not path.startswith(folder):
                continue
            if is_root:
                found.clear()
            for pattern, settings in sections:
                if pattern.fullmatch(path[len(folder) :]):
                    found.update(settings)
        return Wishes(found.get(_LEAVE_ENDS) == "false", found.get(_LEAVE_NEWLINE) == "false")


_Section = tuple[re.Pattern[str], dict[str, str]]


def _parsed(path: str, data: bytes) -> tuple[str, bool, list[_Section]]:
    sections: list[_Section] = []
    is_root = False
    for line in data.decode("utf-8-sig", errors="replace").splitlines():
        text = line.strip()
        if text.startswith("[") and text.endswith("]"):
            sections.append((_pattern(text[1:-1]), {}))
            continue
        name, equals, value = (part.strip().lower() for part in text.partition("="))
        if not equals or name.startswith(("#", ";")):
            continue
        if sections:
            sections[-1][1][name] = value
        elif name == "root":
            is_root = value == "true"
    return path[: -len(NAME)], is_root, sections


def _pattern(glob: str) -> re.Pattern[str]:
    """A section's name as a pattern; one that makes no sense matches nothing."""
    anywhere = "" if "/" in glob.rstrip("/") else "(?:.*/)?"
    try:
        return re.compile(anywhere + _translated(glob.removeprefix("/")[:_LONGEST_PATTERN]), re.DOTALL)
    except re.error:
        return re.compile(r"(?!)")


def _translated(glob: str) -> str:
    out = ""
    depth = place = 0
    balanced = glob.count("{") == glob.count("}")
    while place < len(glob):
        character = glob[place]
        place += 1
        if glob.startswith("**", place - 1):
            out, place = out + ".*", place + 1
        elif character == "*":
            out += "[^/]*"
        elif character == "?":
            out += "[^/]"
        elif character == "\\" and place < len(glob):
            out, place = out + re.escape(glob[place]), place + 1
        elif character == "[" and (end := glob.find("]", place)) > place:
            inside = glob[place:end].replace("\\", "\\\\").replace("[", "\\[")
            out += f"[^{inside[1:]}]" if inside.startswith("!") and len(inside) > 1 else f"[{inside}]"
            place = end + 1
        elif balanced and (numbers := re.match(r"\{([-+]?\d+)\.\.([-+]?\d+)\}", glob[place - 1 :])):
            out, place = out + r"[-+]?\d+", place - 1 + numbers.end()
        elif balanced and character == "{":
            out, depth = out + "(?:", depth + 1
        elif depth and character == "}":
            out, depth = out + ")", depth - 1
        elif depth and character == ",":
            out += "|"
        else:
            out += re.escape(character)
    return out
