"""What became of a git command, and what an effect answers about it.

What went wrong is told from what git says, for it says it in no other way; its words are those of `LC_ALL=C`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Answer = dict[str, Any]

_MOST_SAID = 500
_BUSY = (
    *("could not resolve", "connection refused", "failed to connect", "couldn't connect", "timed out", "timeout"),
    *("connection reset", "unreachable", "no route to host", "early eof", "unexpected disconnect", "hung up"),
    *("error: 500", "error: 502", "error: 503", "error: 504", "error: 429", "connection closed by"),
)
_NO_ENTRY = (
    *("authentication failed", "permission denied", "could not read username", "terminal prompts disabled"),
    *("error: 401", "error: 403"),
)
_NOT_THERE = ("not found", "does not exist", "does not appear to be a git repository", "error: 404", "error: 410")
_QUOTED = re.compile("'[^'\\n]*'")
_MOVED = re.compile(r"error: 30[12378]|unable to update url base|redirection")
_FAULTS = (
    (
        "dubious ownership",
        "it belongs to another user of this machine than the one who runs Banksman, so it is not used",
    ),
    (
        "host key verification failed",
        "its ssh key is not known here: the operator adds it to known_hosts, or uses https",
    ),
    ("certificate verif", "its certificate is not one that this machine trusts"),
    ("certificate problem", "its certificate is not one that this machine trusts"),
)


@dataclass(frozen=True)
class Done:
    """How a git command ended."""

    code: int | None
    """`None`: it took too long and was ended."""
    out: bytes
    err: str

    @property
    def ok(self) -> bool:
        return self.code == 0

    @property
    def text(self) -> str:
        return self.out.decode(errors="replace")

    @property
    def signs(self) -> str:
        """What it said, for looking for signs in it: without what it quotes, such as the address."""
        return _QUOTED.sub("''", self.err.lower())

    @property
    def last(self) -> str:
        """The last thing it said."""
        lines = [line.strip() for line in self.err.splitlines() if line.strip()]
        return lines[-1][:_MOST_SAID] if lines else "git said nothing"


def succeeded(out: Mapping[str, Any] | None = None) -> Answer:
    """The answer of what went well."""
    return {"status": "succeeded", "out": dict(out or {}), "error": None}


def refused(why: str) -> Answer:
    """The answer of what cannot be done, however often it is tried."""
    return {"status": "failed", "out": {}, "error": why}


def later(why: str) -> Answer:
    """The answer of what may be done another time; nothing has happened."""
    return {"status": "failed-safe", "out": {}, "error": why}


def broken(done: Done, what: str) -> Answer:
    """A command of our own failed: in time it is a fault of the repository, else not."""
    return later(f"{what}: it took too long") if done.code is None else refused(f"{what}: {done.last}")


def failed(done: Done) -> Answer:
    """What went wrong with the address, as a sentence with the remedy where there is one; nothing has happened."""
    if done.code is None:
        return later("the repository did not answer in time")
    said = done.signs
    for sign, why in _FAULTS:
        if sign in said:
            return refused(f"the repository cannot be used: {why}")
    if _MOVED.search(said):
        return refused("the repository is at another address now; write that one (often it ends with .git)")
    if any(sign in said for sign in _NO_ENTRY):
        return refused("the repository does not let us in; the operator can give the tool `credentials` for its host")
    if any(sign in said for sign in _NOT_THERE):
        return refused("there is no repository at that address, or not for us to see")
    if any(sign in said for sign in _BUSY):
        return later(f"the repository does not answer: {done.last}")
    return refused(f"git could not do that: {done.last}")
