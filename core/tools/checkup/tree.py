"""The tracked files of one commit, as stored: paths are bytes, links and submodules are entries, not places."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .git import Problem, Repository, shown

Kind = Literal["file", "link", "submodule"]

_KINDS: dict[bytes, Kind] = {b"100644": "file", b"100755": "file", b"120000": "link", b"160000": "submodule"}
_ATTRIBUTES = ("text", "whitespace", "linguist-generated", "linguist-vendored")
_HANDS_OFF = {
    **dict.fromkeys((b"text", b"whitespace"), (b"unset",)),
    **dict.fromkeys((b"linguist-generated", b"linguist-vendored"), (b"set", b"true")),
}


@dataclass(frozen=True)
class Entry:
    """One tracked path."""

    path: bytes
    mode: str
    object_id: str
    size: int
    """Bytes, of files; else 0."""
    kind: Kind


def base_of(repository: Repository, path: str, wanted: str | None) -> str:
    """Find the commit to work on: the one that was asked for, or the one that is checked out.

    Raises:
        Problem: There is none.
    """
    found = repository.ask("rev-parse", "--verify", "--quiet", f"{wanted or 'HEAD'}^{{commit}}")
    if found is None and wanted:
        raise Problem(f"{shown(path)} has no commit {shown(wanted)}. Leave `base` out to use the one checked out.")
    if found is None:
        raise Problem(f"{shown(path)} has no commit yet. Commit something to it, then ask again.")
    return found.decode()


def entries(repository: Repository, commit: str) -> list[Entry]:
    """Every tracked path of a commit, in git's order, which is the same for the same commit."""
    found = []
    for record in repository.run("ls-tree", "-r", "-z", "-l", "--full-tree", commit).split(b"\0"):
        if not record:
            continue
        facts, _, path = record.partition(b"\t")
        mode, _, object_id, size = facts.split()
        kind = _KINDS.get(mode, "file")
        found.append(Entry(path, mode.decode(), object_id.decode(), int(size) if size.isdigit() else 0, kind))
    return found


def hands_off(repository: Repository, commit: str, paths: Sequence[bytes]) -> set[bytes]:
    """The paths that the repository's own `.gitattributes` call binary, generated, vendored or free in white space."""
    if not paths:
        return set()
    repository.run("read-tree", commit)
    answer = repository.run("check-attr", "--cached", "-z", "--stdin", *_ATTRIBUTES, given=b"\0".join([*paths, b""]))
    words = answer.split(b"\0")
    triples = zip(words[0::3], words[1::3], words[2::3], strict=False)
    return {path for path, name, value in triples if value in _HANDS_OFF.get(name, ())}


def can_be_written(path: bytes) -> bool:
    """Whether a path is one that git would check out; a hostile tree may hold others."""
    return all(part not in (b"", b".", b"..") and part.lower() != b".git" for part in path.split(b"/"))
