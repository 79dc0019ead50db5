"""What came with a request beside its words: the thread before it, links in it. Frozen when the run was accepted.

Each is an artifact of the run, made by whoever accepted it and read back by every slice. All of it is from outside, and
says so wherever it is shown: to the model, on the card, to approvers.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from core.artifacts import ObjectStore
from core.record.rows import ArtifactRow, Snapshot

THREAD, LINKS = "thread.json", "links.json"

THREAD_MESSAGES = 200
THREAD_BYTES = 100_000
"""The newest messages that fit; how many are left out is said."""

MOST_LINKS = 20
_MOST_LINK = 2_000
_LINK = re.compile(r"https?://[^\s<>\"'`|]+")

_LABELS: Mapping[str, str] = {
    THREAD: "The thread before it, the newest message last",
    LINKS: "Links in it, which nobody has opened",
}


def thread(messages: Sequence[Mapping[str, Any]]) -> bytes:
    """The messages before a request as they are kept, the oldest first; if some do not fit, first how many."""
    kept: list[str] = []
    size = 0
    for message in list(reversed(messages))[:THREAD_MESSAGES]:
        line = json.dumps(dict(message), ensure_ascii=False, sort_keys=True)
        size += len(line.encode()) + 2
        if size > THREAD_BYTES:
            break
        kept.append(line)
    return _list(kept[::-1], len(messages) - len(kept))


def links(text: str) -> bytes | None:
    """The links of a request as they are kept; `None` if it has none."""
    found = list(dict.fromkeys(each.rstrip(".,;:!?)]}") for each in _LINK.findall(text)))
    if not found:
        return None
    kept = [link for link in found if len(link) <= _MOST_LINK][:MOST_LINKS]
    return _list([json.dumps(link, ensure_ascii=False) for link in kept], len(found) - len(kept))


async def read(snapshot: Snapshot, objects: ObjectStore) -> str:
    """All of it as the model is told it.

    Raises:
        ArtifactCorrupt: one of them is damaged.
        RetryableError: the store does not answer right now.
    """
    parts = []
    for artifact in _kept(snapshot.artifacts):
        data = await objects.read(artifact.sha256, max(artifact.size, 1))
        parts.append(f"{_LABELS[artifact.name]}:\n{data.decode(errors='replace')}")
    return "\n\n".join(parts)


def given(snapshot: Snapshot) -> tuple[str, ...]:
    """What a model works from that came from outside, in words of ours and names of others."""
    if not snapshot.run.thinks:
        return ()
    names = [artifact.name for artifact in snapshot.artifacts if artifact.role == "input"]
    found = {artifact.name for artifact in _kept(snapshot.artifacts)}
    names += [word for name, word in ((THREAD, "the thread before it"), (LINKS, "links")) if name in found]
    others = [row for row in snapshot.steers if row.used_by is not None and row.author != snapshot.run.requester]
    return (*names, *(["replies of others"] if others else []))


def _kept(artifacts: Sequence[ArtifactRow]) -> list[ArtifactRow]:
    kept = [each for each in artifacts if each.role == "context" and each.call_id is None and each.name in _LABELS]
    return sorted(kept, key=lambda each: each.name, reverse=True)


def _list(lines: Sequence[str], left_out: int) -> bytes:
    head = [json.dumps({"left_out": left_out})] if left_out else []
    return "[\n {}\n]".format(",\n ".join([*head, *lines])).encode()
