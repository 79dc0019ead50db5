"""The effect that reads what would be pushed: every commit of it, in full, as text.

The text is made from a bare repository of ours, without anything that a repository can say about how it wants to be
shown: no attributes, no filters, no renames, no replaced objects, no configuration.
"""

import datetime
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from core.tools.git.answers import Answer, broken, refused, succeeded
from core.tools.git.command import Git
from core.tools.git.fetching import looked
from core.tools.git.sending import rehearsed
from core.tools.git.taking import take

MOST_TEXT_BYTES = 200_000
"""More than a person would read."""
MOST_COMMITS = 200

_PERSON = re.compile(r"(.*) ([1-9][0-9]{0,10}|0) ([+-])([0-9]{2})([0-9]{2})")
_NAMES = {"author": "Author", "committer": "Committer"}
_DIFF = (
    *("diff-tree", "-r", "--root", "--no-commit-id", "--patch", "--binary", "--full-index", "--no-color"),
    *("--no-ext-diff", "--no-textconv", "--no-renames", "--unified=3", "--inter-hunk-context=0"),
    *("--diff-algorithm=myers", "--no-indent-heuristic", "--ignore-submodules=none", "--submodule=short"),
    *("--src-prefix=a/", "--dst-prefix=b/", "--no-relative", "-O/dev/null"),
)


class _Unreadable(Exception):
    """It cannot be shown, and why."""


def review(args: Mapping[str, Any], secrets: Mapping[str, str], _key: str, timeout_s: float) -> Answer:
    """Look at the address, take the commit, and write down what pushing it would add.

    Args:
        args: `route`; `branch`; `commit`; `pack`, the file with its objects; `repository`, a directory that is made;
            `text`, a file that is written.

    Returns:
        In `out`: `base` and `taken` as `fetching.look`, and, if the branch is free, `commits` (how many).
    """
    git = Git(args["route"], secrets, timeout_s)
    found = looked(git, args["branch"])
    if found["status"] != "succeeded" or found["out"]["taken"] is not None:
        return found
    base = found["out"]["base"]
    if (problem := take(git, {**args, "base": base})) is not None:
        return problem
    span = [args["commit"]] if base is None else [args["commit"], f"^{base}"]
    listed = git.own("-C", args["repository"], "rev-list", "--reverse", "--topo-order", *span, "--")
    if not listed.ok:
        return broken(listed, "what the workspace holds cannot be read")
    commits = listed.text.split()
    if not commits:
        return refused("there is nothing to push: the other side has all of it")
    try:
        if len(commits) > MOST_COMMITS:
            raise _too_much(f"{len(commits):,} commits, and at most {MOST_COMMITS} are asked about at once")
        _write(git, args["repository"], commits, Path(args["text"]))
    except _Unreadable as error:
        return refused(str(error))
    # Nobody is asked for what the other side would not take.
    rehearsal = rehearsed(git, args)
    if rehearsal["status"] != "succeeded":
        return rehearsal
    return succeeded({**found["out"], "commits": len(commits)})


def _write(git: Git, bare: str, commits: list[str], to: Path) -> None:
    room = MOST_TEXT_BYTES
    with to.open("wb") as file:
        for commit in commits:
            for part in _text(git, bare, commit, room):
                room -= len(part)
                if room < 0:
                    raise _too_much(f"more than {MOST_TEXT_BYTES:,} bytes")
                file.write(part)


def _text(git: Git, bare: str, commit: str, room: int) -> Iterator[bytes]:
    """One commit: its head, its message, its patch against its first parent."""
    stored = _printed(git, room, "-C", bare, "cat-file", "commit", commit)
    head, _, message = stored.partition(b"\n\n")
    lines = head.split(b"\n")
    parents = [line.split(b" ")[1].decode() for line in lines if line.startswith(b"parent ")]
    yield f"commit {commit}\n".encode()
    yield b"".join(_head_line(line) for line in lines if not line.startswith(b"tree ")) or b""
    if not parents:
        yield b"parent (none: this begins a history)\n"
    if len(parents) > 1:
        yield b"A merge: what follows is everything that it changes in its first parent.\n"
    yield b"\n" + b"".join(b"    " + line + b"\n" for line in message.removesuffix(b"\n").split(b"\n")) + b"\n"
    patch = _printed(git, room, "-C", bare, *_DIFF, *([parents[0]] if parents else []), commit)
    yield (patch or b"(it changes no file)\n") + b"\n"


def _head_line(line: bytes) -> bytes:
    """A line of a commit's head; times are written for people where that loses nothing."""
    name, _, rest = line.decode("utf-8", "surrogateescape").partition(" ")
    found = _PERSON.fullmatch(rest) if name in _NAMES else None
    if found is None:
        return line + b"\n"
    who, seconds, sign, hours, minutes = found.groups()
    ahead = datetime.timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == "-" else 1)
    try:
        when = datetime.datetime.fromtimestamp(int(seconds), datetime.timezone(ahead))
    except (ValueError, OverflowError):
        return line + b"\n"
    text = f"{_NAMES[name]}: {who}, {when:%Y-%m-%d %H:%M:%S} {sign}{hours}{minutes}\n"
    return text.encode("utf-8", "surrogateescape")


def _printed(git: Git, most: int, *command: str) -> bytes:
    """What a command prints; raises `_Unreadable` rather than read more than would be shown."""
    with git.start(*command) as process:
        assert process.stdout is not None
        data = b""
        while len(data) <= most and (block := os.read(process.stdout.fileno(), 1 << 16)):
            data += block
        if len(data) > most:
            process.kill()
            raise _too_much(f"more than {MOST_TEXT_BYTES:,} bytes")
    if process.returncode != 0:
        raise _Unreadable(f"what would be pushed cannot be read (git {command[2]}: {process.returncode})")
    return data


def _too_much(what: str) -> _Unreadable:
    return _Unreadable(f"what would be pushed is too large to be read: {what}; split it")
