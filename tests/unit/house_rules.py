"""Rules about files as such: their length, their names, and what no committed text may contain.

Run by `make check` as `python -m tests.unit.house_rules` and proved by `test_house_rules.py`.
"""

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[2]
MAX_LINES = 500
MAX_MEDIAN_LINES = 200
LINE_LIMITED = {".py", ".js", ".css", ".html", ".yml", ".toml", ".sh", ".mako"}
VAGUE_NAMES = {"utils.py", "util.py", "helpers.py", "helper.py", "manager.py", "common.py", "misc.py"}

# Spelled from the end, or this file would break its own rule.
_REGISTRIES = [
    backwards[::-1]
    for backwards in (
        *("moc.sjmpn", "moc.gkpnray", "oi.setarc", "gro.ipyp", "gro.detsohnohtyp"),
        *("gro.sjmpn", "gro.adnocana", "gro.smegybur", "gro.naibed.bed", "gro.naibed.ytiruces"),
        *("gro.gnalog.yxorp",),
    )
]
_REGISTRY = re.compile("|".join(re.escape(host) for host in _REGISTRIES), re.IGNORECASE)
_MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:work/\w|root/\w|root/\.\w|home/\w+/|Users/\w+/|var/folders/)")


def problems(root: Path, files: Iterable[str]) -> Iterator[str]:
    """Yield a sentence with its remedy for each broken rule.

    Args:
        root: The checkout.
        files: Paths below it, with `/`, of what is or would be committed.
    """
    lengths: list[int] = []
    for name in sorted(files):
        path = root / name
        if not path.is_file():  # deleted in the working tree
            continue
        if path.name in VAGUE_NAMES:
            yield f"{name}: says nothing about what is inside; name the file after the one thing it owns"
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue  # a picture
        lines = text.splitlines()
        if path.suffix in LINE_LIMITED:
            if len(lines) > MAX_LINES:
                yield f"{name}: {len(lines)} lines, at most {MAX_LINES}; split it where it has two reasons to change"
            if path.suffix == ".py" and lines:
                lengths.append(len(lines))
        for number, line in enumerate(lines, 1):
            if found := _REGISTRY.search(line):
                yield f"{name}:{number}: names the package registry host {found.group()}; remove the address"
            if found := _MACHINE_PATH.search(line):
                yield f"{name}:{number}: names a path of one machine ({found.group()}…); make it relative or a setting"
    if lengths and median(lengths) > MAX_MEDIAN_LINES:
        yield f"the median Python file has {median(lengths):.0f} lines, at most {MAX_MEDIAN_LINES}; split the longest"


def committed_files(root: Path) -> list[str]:
    """Tracked files and those git would add."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return [name for name in listing.split("\0") if name]


def main() -> int:
    found = list(problems(ROOT, committed_files(ROOT)))
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
