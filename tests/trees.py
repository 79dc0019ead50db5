"""Looking through directories in which others are at work: what goes meanwhile is passed over, as by no `rglob`."""

import os
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path


def found_below(root: Path, pattern: str = "*") -> Iterator[Path]:
    """Everything below a directory whose name fits, directories included."""
    for directory, directories, files in os.walk(root):
        yield from (Path(directory, name) for name in (*directories, *files) if fnmatch(name, pattern))
