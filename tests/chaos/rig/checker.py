"""What must never be so, looked for after the fire: in the database, in the world outside, and between the two.

The rules of PROTOCOL 3 that a database can answer are those operators have too (`core.store.examining`); the others
compare it with the witness' ledger, with what Slack holds, and with the processes of this host. Each violation is a
line that begins with the rule's id.
"""

import contextlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from core.actions.envelope import canonical
from core.artifacts import FileStore
from core.clock import SystemClock, boot_id
from core.execution.labels import labelled
from core.store.examining import examine
from core.store.readonly import looking
from core.store.session import Database
from tests.acceptance.team import BOT, button, cards, words
from tests.chaos.rig.configuration import CANARY, CHANNELS, channel
from tests.chaos.rig.installation import Installation
from tests.trees import found_below

Json = dict[str, Any]
Row = Mapping[str, Any]

AFTER_STOP_MS = 1_000
"""A request that had left before the stop may reach the other side this much later."""
CLOCK_SLACK_MS = 50
UNKNOWN = -1
"""The fence of an effect whose client was gone before it could be asked."""
MOST_RSS_MB = 400

ELSEWHERE = {
    "I33": "once the signed log exists",
    "I41": "once the signed log exists",
    "I44": "tests/security/ingress: this rig speaks Socket Mode",
}
"""Rules that this rig does not put to the test, and why."""


_TRANSITIONS = (
    "SELECT from_state, to_state, count(*) AS times FROM events "
    "WHERE from_state IS NOT NULL AND to_state IS NOT NULL GROUP BY from_state, to_state"
)


@dataclass(frozen=True)
class History:
    """Everything there is to judge."""

    runs: Sequence[Row]
    calls: Mapping[str, Row]
    attempts: Sequence[Row]
    votes: Sequence[Row]
    approvals: Mapping[str, Row]
    late: Sequence[Row]
    spend: Sequence[Row]
    effects: Sequence[Json]
    messages: Sequence[Json]


async def history(house: Installation, messages: Sequence[Json]) -> History:
    """Read it."""
    database = Database(house.database_url)
    tables = ("runs", "tool_calls", "call_attempts", "votes", "approvals", "late_results", "spend")
    try:
        async with database.read() as connection:
            rows = {name: (await connection.execute(text(f"SELECT * FROM {name}"))).mappings().all() for name in tables}
    finally:
        await database.close()
    return History(
        rows["runs"],
        {row["id"]: row for row in rows["tool_calls"]},
        rows["call_attempts"],
        rows["votes"],
        {row["id"]: row for row in rows["approvals"]},
        rows["late_results"],
        rows["spend"],
        await house.effects(),
        messages,
    )


async def transitions(house: Installation) -> Counter[str]:
    """How often each transition was made."""
    database = Database(house.database_url)
    try:
        async with database.read() as connection:
            rows = await connection.execute(text(_TRANSITIONS))
            return Counter({f"{row.from_state} -> {row.to_state}": row.times for row in rows})
    finally:
        await database.close()


async def violations(house: Installation, seen: History, *, steady: bool = True) -> list[str]:
    """A line for each thing that must not be; empty if all is well.

    Args:
        steady: Whether the wall clock never jumped: else what only compares times is left out (PROTOCOL 3).
    """
    found = [line for rule in (*OUTSIDE, *(TIMED if steady else ())) for line in rule(seen)]
    found += [line async for line in _inside(house) if steady or line.split()[0] not in BY_THE_CLOCK]
    found += _leaks(house, seen)
    found += _left(seen)
    found += _unpaid(house, seen)
    found += _sizes(house)
    return found


async def _inside(house: Installation) -> Any:
    async with looking(house.database_url, statement_s=30) as look:
        objects = FileStore(house.home / "artifacts")
        for one in await examine(look, objects, SystemClock(), boot_id()):
            if one.verdict == "violated":
                yield f"{one.id} {one.sentence}: {one.offending}"
            elif one.verdict == "not-checked" and one.answerable:
                yield f"{one.id} could not be checked: {one.why}"


def _of_started_calls(seen: History) -> Iterator[str]:
    for effect in seen.effects:
        call = seen.calls.get(effect["call"])
        if effect["kind"] == "pure" and not effect["call"]:
            continue
        if call is None or call["started_at"] is None:
            yield f"I11 an effect without a started call: {effect}"
        elif effect["kind"] != "pure" and (call["idem_key"], call["run_id"]) != (effect["key"], effect["run"]):
            yield f"I11 an effect under another call's key: {effect}"


def _once(seen: History) -> Iterator[str]:
    counted = Counter(effect["key"] for effect in seen.effects if effect["kind"] != "pure")
    yield from (f"I10 the key {key} took effect {times} times" for key, times in counted.items() if times > 1)


def _under_an_attempts_fence(seen: History) -> Iterator[str]:
    for effect in seen.effects:
        fences = {row["fence"] for row in seen.attempts if row["call_id"] == effect["call"]}
        if effect["fence"] != UNKNOWN and effect["fence"] not in fences:
            yield f"I12 an effect under no attempt's fence: {effect}"


def _under_a_fence_that_holds(seen: History) -> Iterator[str]:
    for effect in seen.effects:
        for row in (row for row in seen.attempts if row["call_id"] == effect["call"]):
            if row["fence"] > effect["fence"] != UNKNOWN and row["started_at"] + CLOCK_SLACK_MS < effect["came"]:
                yield f"I12 an effect under fence {effect['fence']} after {row['fence']} had started: {effect}"


def _with_its_votes(seen: History) -> Iterator[str]:
    for effect in seen.effects:
        call = seen.calls.get(effect["call"])
        if call is None or not call["needs_approval"]:
            continue
        approval = seen.approvals.get(call["approval_id"])
        if approval is None:
            yield f"I13 an effect that asks and was not asked about: {effect}"
        elif len(_given(seen, approval)) < approval["quorum"]:
            yield f"I15 an effect with too few votes: {effect}"


def _after_its_votes(seen: History) -> Iterator[str]:
    for effect in seen.effects:
        approval = seen.approvals.get(seen.calls.get(effect["call"], {}).get("approval_id"))
        given = [] if approval is None else _given(seen, approval)
        if approval is None or len(given) < approval["quorum"]:
            continue
        if given[approval["quorum"] - 1] > effect["came"] + CLOCK_SLACK_MS:
            yield f"I42 an effect before its last needed vote: {effect}"


def _given(seen: History, approval: Row) -> list[int]:
    """When each vote for it was given that still counts."""
    return sorted(
        row["at"]
        for row in seen.votes
        if row["approval_id"] == approval["id"] and row["decision"] == "approve" and row["revoked_at"] is None
    )


def _not_after_a_stop(seen: History) -> Iterator[str]:
    stopped = {row["id"]: row["killed_at"] for row in seen.runs if row["killed_at"] is not None}
    for effect in seen.effects:
        if effect["came"] > stopped.get(effect["run"], effect["came"]) + AFTER_STOP_MS:
            yield f"I8 an effect after its run was stopped: {effect}"


def _what_is_said_is_so(seen: History) -> Iterator[str]:
    """A call says what the world says; where nobody knows, it says that."""
    done = {effect["call"] for effect in seen.effects}
    for call in seen.calls.values():
        if not call["tool"].startswith("outside.") or call["recovery"] == "pure":
            continue
        if call["status"] == "succeeded" and call["id"] not in done:
            yield f"truth: {call['id']} ({call['tool']}) succeeded and nothing happened"
        if call["status"] in ("failed", "canceled") and call["id"] in done:
            why = call["error"] or "nobody says why"
            yield f"truth: {call['id']} ({call['tool']}) is {call['status']} and it happened ({why})"


def _bytes_that_were_read(seen: History) -> Iterator[str]:
    for effect in seen.effects:
        call = seen.calls.get(effect["call"])
        if call is not None and effect["kind"] != "pure":
            args = json.loads(call["envelope"])["args"]
            if canonical(args["json"]).decode() != effect["body"]:
                yield f"I36 the witness got other bytes than were approved: {effect}"


def _everybody_was_answered(seen: History) -> Iterator[str]:
    of_run = Counter(row["message_ts"] for row in seen.runs if row["parent_id"] is None)
    yield from (f"I26 the message {ts} has {times} runs" for ts, times in of_run.items() if ts and times > 1)
    ours = {channel(number) for number in range(CHANNELS)}
    by_thread: dict[str, list[Json]] = {}
    for message in seen.messages:
        by_thread.setdefault(message["thread_ts"] or message["ts"], []).append(message)
    for root, thread in by_thread.items():
        if thread[0]["channel"] not in ours or not any(each["user"] != BOT for each in thread):
            continue
        if not any(each["user"] == BOT for each in thread):
            yield f"I38 the message {root} has no answer"
        children = sum(row["parent_id"] is not None and row["thread_ts"] == root for row in seen.runs)
        live = [card for card in cards(thread) if button(card, "Kill") is not None]
        if len(cards(thread)) > 1 + children:
            yield f"I38 the thread {root} has {len(cards(thread))} cards"
        if len(live) > 1 + children:
            yield f"I38 the thread {root} has {len(live)} live cards"


def _everything_has_come_to_rest(seen: History) -> Iterator[str]:
    resting = {"completed", "failed", "canceled", "rolled-back", "waiting-for-approval", "blocked"}
    for row in seen.runs:
        if row["state"] not in resting:
            yield f"I39 {row['id']} is {row['state']} long after the last fault"
        if row["killed_at"] is not None and row["stop_confirmed_at"] is None:
            yield f"I34 the stop of {row['id']} is not confirmed"


OUTSIDE = (
    _of_started_calls,
    _once,
    _under_an_attempts_fence,
    _with_its_votes,
    _what_is_said_is_so,
    _bytes_that_were_read,
    _everybody_was_answered,
    _everything_has_come_to_rest,
)
"""The rules that need the world outside."""

TIMED = (_under_a_fence_that_holds, _after_its_votes, _not_after_a_stop)
"""Those of them that compare times of this host's wall clock."""

BY_THE_CLOCK = ("I14", "I27", "I28", "I29", "I30")
"""Rules of the database that do."""


def _leaks(house: Installation, seen: History) -> Iterator[str]:
    """The secret stands nowhere but with the witness."""
    if any(CANARY in words(message) for message in seen.messages):
        yield "I35 the secret stands in Slack"
    kept = found_below(house.home / "artifacts")
    for path in (*(house.home / "logs").glob("*.log"), *kept, house.home / "banksman.db"):
        with contextlib.suppress(FileNotFoundError):  # what nobody refers to may be collected just now
            if path.is_file() and CANARY.encode() in path.read_bytes():
                yield f"I35 the secret stands in {path.relative_to(house.home)}"
    for rows in (seen.runs, seen.calls.values(), seen.attempts, seen.late):
        if any(CANARY in str(value) for row in rows for value in row.values()):
            yield "I35 the secret stands in the database"


def _unpaid(house: Installation, seen: History) -> Iterator[str]:
    """No answer a model has begun is free, whoever was gone by then."""
    spent: Counter[str] = Counter()
    for row in seen.spend:
        if row["budget_id"].startswith("run:"):
            spent[row["run_id"]] += row["reserved"] if row["settled"] is None else row["settled"]
    for run in seen.runs:
        charged, said = house.mind.charged[house.mind.requests.get(run["message_ts"], "")], spent[run["id"]]
        if charged > said:
            yield f"truth: the model charged {run['id']} {charged} micro-USD, and it says that it spent {said}"


def _left(seen: History) -> Iterator[str]:
    """Nothing of a run that is over is alive."""
    over = {row["id"] for row in seen.runs if row["state"] in ("completed", "failed", "canceled", "rolled-back")}
    for process, label in labelled().items():
        if label.run_id in over:
            yield f"I34 process {process.pid} of {label.run_id} is alive"


def _sizes(house: Installation) -> Iterator[str]:
    for name in house.parts:
        if (pid := house.pid(name)) is not None and (size := rss_mb(pid)) > MOST_RSS_MB:
            yield f"I43 {name} has grown to {size} MB"


def rss_mb(pid: int) -> int:
    """Resident memory of a process; 0 if it is gone."""
    try:
        with open(f"/proc/{pid}/statm") as file:  # noqa: PTH123
            return int(file.read().split()[1]) * 4096 >> 20
    except OSError:
        return 0
