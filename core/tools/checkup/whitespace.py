"""The fixes of one file: white space at the ends of lines, the newline at the end, and blank lines after it.

A fix must not change what a program does or a page shows. So a line inside a string that spans lines keeps its end, as
does every line where only a parser of that language could tell; what is left is what nobody can see.
"""

import io
import re
import tokenize
from dataclasses import dataclass

from .editorconfig import NO_WISHES, Wishes
from .languages import OTHER, language_of, suffix_of

_PROSE = frozenset({"md", "markdown", "mdx", "mdown", "mkd", "rmd", "qmd"})
"""Two spaces at the end of a line break it there."""

_PAIRED = {
    b"`": "js jsx mjs cjs ts tsx vue svelte go astro",
    b'"': "rs rb pl pm php sql lua ps1 el lisp clj scm r jl hs ml erl ex exs",
}
"""A mark that opens and closes text: an odd number of it on one line means that some text goes on to the next."""
_BLOCKS = {
    r"\"\"\"|'''|@\"": "toml kt kts scala swift java cs groovy gradle graphql dart jl ex exs",
    r"<<|@['\"]\r?\n": "sh bash zsh ksh rb pl pm php tf ps1",
    r"<(?:pre|textarea)\b|xml:space|<!\[CDATA\[": "html htm xml vue svelte xhtml",
    r"R\"[^(\n]*\(": "c cc cpp cxx h hh hpp",
    r"\[=*\[": "lua",
}
"""Where this stands, text over several lines may begin."""
_MARK_OF = {suffix: mark for mark, suffixes in _PAIRED.items() for suffix in suffixes.split()}
_BLOCK_OF = {suffix: re.compile(text.encode()) for text, suffixes in _BLOCKS.items() for suffix in suffixes.split()}
_YAML_TEXT = re.compile(rb"[|>][-+0-9]*[ \t]*(?:#.*)?\r?$", re.MULTILINE)
"""A value that goes on for lines; even the newline at its end may be part of it."""
_HERE_DOCUMENT = re.compile(rb"<<-?~?\s?['\"\\]?[A-Za-z_]")
"""In a file whose name says nothing: a script, a Dockerfile."""


@dataclass(frozen=True)
class Fix:
    """A file made tidy."""

    data: bytes
    trimmed: int
    """Lines that lost white space at their end."""
    newline_added: bool
    blank_removed: int
    """Blank lines at the end that are gone."""

    @property
    def lines(self) -> int:
        return self.trimmed + self.newline_added + self.blank_removed


def tidy(path: str, data: bytes, wishes: Wishes = NO_WISHES) -> Fix | str | None:
    """Fix a text file.

    Args:
        data: UTF-8 without a NUL.
        wishes: What the repository asks to leave as it is.

    Returns:
        The fix, `None` if there is nothing to do, or why the file is left alone, as a plural phrase.
    """
    if not data.strip() or (suffix_of(path) in ("yml", "yaml") and _YAML_TEXT.search(data)):
        return None
    windows = data.count(b"\r\n")
    if data.count(b"\r") != windows or windows not in (0, data.count(b"\n")):
        return "with line ends of more than one kind"
    end = b"\r\n" if windows else b"\n"
    lines = data.split(end)
    newline_added = lines[-1] != b""
    if not newline_added:
        lines.pop()
    body = len(lines)
    while not lines[body - 1].strip(b" \t"):
        body -= 1
    if lines[body - 1].rstrip(b" \t").endswith(b"\\"):
        return None  # the last line goes on, into nothing or into the blank ones
    # White space after the last newline alone is a blank line too, and no newline is missing before it.
    newline_added = newline_added and body == len(lines)
    if newline_added and (wishes.last_newline or (body == 1 and language_of(path) == OTHER)):
        return None  # such as VERSION: programs read the whole of it
    loose = [number for number in range(body) if lines[number][-1:] in (b" ", b"\t")]
    kept = _kept(path, data, lines) if loose and not wishes.line_ends else range(len(lines))
    trimmed = 0
    for number in loose:
        bare = lines[number].rstrip(b" \t")
        if number not in kept and not bare.endswith(b"\\"):
            lines[number] = bare
            trimmed += 1
    fixed = end.join(lines[:body]) + end
    return None if fixed == data else Fix(fixed, trimmed, newline_added, len(lines) - body)


def _kept(path: str, data: bytes, lines: list[bytes]) -> range | set[int]:
    """The lines, from 0, that keep their ends."""
    everything = range(len(lines))
    suffix = suffix_of(path)
    if suffix in _PROSE:
        return everything
    if suffix in ("py", "pyi"):
        return _in_python_strings(data, everything)
    mark = _MARK_OF.get(suffix)
    if mark and any(line.count(mark) % 2 for line in lines):
        return everything
    block = _BLOCK_OF.get(suffix) or (None if suffix else _HERE_DOCUMENT)
    return everything if block and block.search(data) else set()


def _in_python_strings(data: bytes, everything: range) -> range | set[int]:
    found: set[int] = set()
    try:
        for token in tokenize.generate_tokens(io.StringIO(data.decode("utf-8-sig")).readline):
            if token.start[0] != token.end[0]:
                found.update(range(token.start[0] - 1, token.end[0] - 1))
    except (tokenize.TokenError, SyntaxError, ValueError, RecursionError):
        return everything
    return found
