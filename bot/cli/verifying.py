"""Checking one approval from its document alone: every digest recomputed, every claim compared. Pure.

A document is what `evidence.collected` takes out of an installation and `approval show --json` prints, so checking one
needs neither database nor network. Nothing is repaired and nothing is trusted: what does not fit is said.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.cli.installation import BadAnswer
from core.actions.envelope import Envelope, digest, read_back
from core.actions.shown import Box, ShownMismatch, box
from core.errors import TerminalError

VERSION = 1
STRANGE = (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError, TerminalError)
"""What reading bytes raises that are not what they should be."""


@dataclass(frozen=True)
class Check:
    """One thing that was recomputed."""

    name: str
    """`action`, `effect`, `inputs`, `box`, `question`, `votes`, `seen` or `log`."""
    ok: bool
    said: str
    """A sentence: what holds, or what does not."""

    def as_json(self) -> dict[str, Any]:
        """One entry of `checks`."""
        return {"check": self.name, "ok": self.ok, "said": self.said}


@dataclass(frozen=True)
class Verified:
    """What came of it."""

    checks: tuple[Check, ...]
    box: Box | None
    """The text generated anew from the stored bytes; `None` if it cannot be."""

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)

    @property
    def broken(self) -> tuple[Check, ...]:
        """What does not hold."""
        return tuple(check for check in self.checks if not check.ok)

    @property
    def broken_action(self) -> tuple[Check, ...]:
        """What does not hold of the action itself, whoever has voted on it."""
        return tuple(check for check in self.broken if check.name not in ("votes", "seen", "log"))


def completed(document: Mapping[str, Any], result: Verified) -> dict[str, Any]:
    """The document with what was recomputed."""
    text = None
    if result.box is not None:
        text = {"text": result.box.text, "digest": result.box.digest, "warnings": list(result.box.warnings)}
    checks = [check.as_json() for check in result.checks]
    return {**document, "box": text, "ok": result.ok, "checks": checks}


def verified(document: Mapping[str, Any]) -> Verified:
    """Recompute everything from the envelope and the inputs in the document; pure.

    Raises:
        BadAnswer: it is not such a document.
    """
    try:
        if document["v"] != VERSION:
            raise BadAnswer(f"The document is of version {document['v']!r}; this program reads {VERSION}.")
        data = base64.b64decode(document["action"]["envelope_base64"], validate=True)
        shown = _box(document, data)
        return Verified(tuple(_checks(document, data, shown)), shown if isinstance(shown, Box) else None)
    except (*STRANGE, binascii.Error) as error:
        raise BadAnswer(f"This is not what `banksman approval show --json` prints: {error!r}.") from error


def _checks(document: Mapping[str, Any], data: bytes, shown: Box | str) -> Iterator[Check]:
    approval, action = document["approval"], document["action"]
    computed = digest(data)
    yield _same("action", "The action digest", computed, action["digest"], approval["digest"])
    envelope = read_back(data)
    if envelope is None:
        yield Check("effect", False, "The stored action is not in a form this program knows.")
    else:
        effects = (action["effect_digest"], approval["effect_digest"])
        yield _same("effect", "The effect digest", envelope.effect_digest(), *effects)
    yield _inputs_check(envelope, action["inputs"])
    yield _box_check(document, shown)
    if envelope is not None:
        yield _question_check(envelope, approval)
    yield _votes_check(approval)
    for vote in approval["votes"]:
        yield _seen_check(vote, shown)
    yield _log_check(document)


def _same(name: str, what: str, computed: str, *stored: str) -> Check:
    for each in stored:
        if each != computed:
            return Check(name, False, f"{what} is {computed}, but {each} is what is stored.")
    return Check(name, True, f"{what} is {computed}, as stored.")


def _inputs_check(envelope: Envelope | None, inputs: Sequence[Mapping[str, Any]]) -> Check:
    given = [(item["ref"], item["sha256"]) for item in inputs]
    if envelope is None:
        return Check("inputs", False, "What the action carries cannot be told.")
    if given != [(item["ref"], item["sha256"]) for item in envelope.inputs]:
        return Check("inputs", False, "What the action carries is not what it names.")
    for item in inputs:
        if item["base64"] is None:
            return Check("inputs", False, f"What the action carries ({item['ref']}) is missing or changed.")
        found = hashlib.sha256(base64.b64decode(item["base64"], validate=True)).hexdigest()
        if found != item["sha256"]:
            return Check("inputs", False, f"What the action carries ({item['ref']}) has the digest sha256:{found}.")
    many = "nothing beyond its arguments" if not inputs else f"{len(inputs)} inputs, each with its digest"
    return Check("inputs", True, f"The action carries {many}.")


def _box_check(document: Mapping[str, Any], shown: Box | str) -> Check:
    if isinstance(shown, str):
        return Check("box", False, f"The action cannot be shown: {shown}")
    said = document.get("box", ...)
    if said is not ... and (said is None or (said["text"], said["digest"]) != (shown.text, shown.digest)):
        return Check("box", False, f"The text in the document is not what the action says; that is {shown.digest}.")
    return Check("box", True, f"The text that is shown has the digest {shown.digest}.")


def _question_check(envelope: Envelope, approval: Mapping[str, Any]) -> Check:
    """What the row says of the action, against the action's own bytes."""
    pairs = (
        ("run", envelope.run, approval["run_id"]),
        ("tool", envelope.tool, approval["tool"]),
        ("tier", envelope.tier, approval["tier"]),
        ("quorum", envelope.quorum, approval["quorum"]),
        ("policy", envelope.policy, approval["policy_digest"]),
    )
    for name, inside, beside in pairs:
        if inside != beside:
            said = f"The question's {name} is {beside!r}, but the action that was asked about says {inside!r}."
            return Check("question", False, said)
    return Check("question", True, "The question is about this run, tool, tier, quorum and policy.")


def _votes_check(approval: Mapping[str, Any]) -> Check:
    status, quorum = approval["status"], approval["quorum"]
    live = [vote for vote in approval["votes"] if not vote["taken_back"]]
    approved = {vote["voter"] for vote in live if vote["decision"] == "approve"}
    denied = {vote["voter"] for vote in live if vote["decision"] == "deny"}
    if approval["kind"] == "ask" and status in ("approved", "consumed") and len(approved) < quorum:
        return Check("votes", False, f"It is {status}, but {len(approved)} of {quorum} needed votes are there.")
    if status == "denied" and not denied:
        return Check("votes", False, "It is denied, but nobody has denied it.")
    return Check("votes", True, f"It is {status}: {len(approved)} of {quorum} votes for it, {len(denied)} against.")


def _seen_check(vote: Mapping[str, Any], shown: Box | str) -> Check:
    seen, who = vote["seen_digest"], vote["voter"]
    if not isinstance(shown, Box):
        return Check("seen", False, f"What {who} has seen ({seen}) cannot be compared.")
    if seen != shown.digest:
        return Check("seen", False, f"{who} has seen {seen}, which is not the text of this action.")
    return Check("seen", True, f"{who} has seen exactly this text.")


def _log_check(document: Mapping[str, Any]) -> Check:
    """The rows against the run's chained events, which are written in the same commits and never changed."""
    approval = document["approval"]
    asked: list[tuple[str, int]] = []
    voted: dict[str, tuple[str, str]] = {}
    statuses = {"pending"}
    for entry in document["log"]:
        said = entry["evidence"]
        match entry["type"], said.get("decision"):
            case "approval-asked", _:
                asked.append((said["action"], said["quorum"]))
            case "approval-voted", "taken-back":
                statuses |= {"pending"}  # if it was one too few then; how many there were is in the rows
            case "approval-voted", decision:
                voted[entry["actor"].removeprefix("human:").partition(" via ")[0]] = decision, said["seen"]
            case "approval-decided", _:
                statuses = {said["status"]}
            case "approval-consumed", _:
                statuses = {"consumed"}
    if asked != [(approval["digest"], approval["quorum"])]:
        return Check("log", False, "The run's log says that something else was asked.")
    rows = {vote["voter"]: (vote["decision"], vote["seen_digest"]) for vote in approval["votes"]}
    if rows != voted:
        names = ", ".join(sorted(name for name in {*rows, *voted} if rows.get(name) != voted.get(name)))
        return Check("log", False, f"The run's log has other votes than the question ({names}).")
    if approval["status"] not in statuses:
        return Check(
            "log", False, f"It is {approval['status']}; by the run's log it is {' or '.join(sorted(statuses))}."
        )
    return Check("log", True, "The run's log has the same question and the same votes.")


def _box(document: Mapping[str, Any], data: bytes) -> Box | str:
    given = [item for item in document["action"]["inputs"] if item["base64"] is not None]
    inputs = {item["sha256"]: base64.b64decode(item["base64"], validate=True) for item in given}
    try:
        return box(data, inputs)
    except ShownMismatch as error:
        return error.user_text
    except STRANGE:
        return "it is not an action."
