"""Links between the documents: what they point to is there, down to the heading.

Addresses outside of the repository are not looked at: no test leaves this machine.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\((?P<target>[^()\s]+)\)")
_SCHEME = re.compile(r"[a-z][a-z+.-]*:")
_FENCED = re.compile(r"^ *(```+|~~~+).*?^ *\1 *$", re.MULTILINE | re.DOTALL)
_CODE_SPAN = re.compile(r"(`+).+?\1")
_HEADING = re.compile(r"^#+ +(?P<text>.+?) *$", re.MULTILINE)


def link_problems(root: Path, texts: dict[str, str]) -> Iterator[str]:
    """Yield a sentence for each link that leads nowhere.

    Args:
        root: Of the repository; links are relative to their document.
        texts: Path relative to the root, to the document's text.
    """
    for document, text in texts.items():
        for found in _LINK.finditer(_CODE_SPAN.sub("", _FENCED.sub("", text))):
            target = found["target"]
            if _SCHEME.match(target):
                continue
            name, _, heading = target.partition("#")
            path = root / document if not name else (root / document).parent / name
            if not path.resolve().is_relative_to(root.resolve()) or not path.exists():
                yield f"{document} links to {target!r}, which does not exist: correct the link"
            elif heading and heading not in _anchors(path.read_text("utf-8")):
                yield f"{document} links to {target!r}, but that page has no such heading: correct the link"


@cache
def _anchors(text: str) -> frozenset[str]:
    """The headings as addresses: lower case, without punctuation, spaces as hyphens."""
    return frozenset(
        re.sub(r"[^\w\- ]", "", found["text"].casefold()).replace(" ", "-")
        for found in _HEADING.finditer(_FENCED.sub("", text))
    )
