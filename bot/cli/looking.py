"""`banksman runs`, `show`, `events`, `pending`, `approval show`: reading, for people and for scripts."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from bot.blocks.text import one_line, plain
from bot.blocks.words import duration
from bot.cli import evidence, verifying
from bot.cli.asking import UsageError
from bot.cli.installation import BadAnswer, Installation, opened
from bot.cli.output import BAD, console, print_events, print_json, print_run, print_runs
from core.actions.approvals import who_may
from core.actions.policy import Approvers
from core.actions.shown import Box
from core.config.settings import Settings
from core.record.states import RunState
from core.runs import asking, reading
from core.runs.approval_views import ApprovalView
from core.runs.views import RunView
from core.store import approvals, runs

MOST_DOCUMENT_BYTES = 50_000_000


async def list_runs(settings: Settings, *, state: RunState | None, limit: int, as_json: bool) -> int:
    """The newest runs."""
    async with opened(settings) as here:
        lines = await reading.lines(here.database, here.tenant, state=state, limit=limit)
        if as_json:
            print_json([line.as_json() for line in lines])
        else:
            print_runs(lines, here.clock.wall_ms())
        return 0


async def show(settings: Settings, wanted: str, *, as_json: bool) -> int:
    """One run."""
    async with opened(settings) as here:
        view = await reading.view(here.database, here.tenant, await named(here, wanted))
        assert view is not None
        if as_json:
            print_json(view.full_json())
        else:
            print_run(view)
            _print_asked(view, here.clock.wall_ms())
        return 0


async def events(settings: Settings, wanted: str, *, as_json: bool) -> int:
    """A run's log."""
    async with opened(settings) as here:
        found = await reading.log(here.database, here.tenant, await named(here, wanted))
        if as_json:
            print_json([event.as_json() for event in found])
        else:
            print_events(found)
        return 0


async def pending(settings: Settings, *, limit: int, as_json: bool) -> int:
    """Questions that wait for approvers, the longest waiting first."""
    async with opened(settings) as here:
        found = await asking.pending(here.database, here.tenant, limit=limit)
        if as_json:
            print_json([{**view.as_json(), "agent": of.run.agent, "requester": of.run.requester} for view, of in found])
            return 0
        if not found:
            print("Nothing waits for approval.")
            return 0
        table = Table(box=None, pad_edge=False, header_style="bold")
        for title in ("approval", "run", "what", "tier", "votes", "expires in", "who may"):
            # The id is what a command takes, so it stays whole however narrow the terminal is.
            table.add_column(title, no_wrap=title == "approval", min_width=30 if title == "approval" else None)
        now_ms = here.clock.wall_ms()
        for view, of in found:
            votes = f"{len(view.live)} of {view.quorum}"
            cells = (view.id, of.run.id, _sentence(view), view.tier, votes, _left(view, now_ms), _who(view.approvers))
            table.add_row(*(escape(one_line(cell, 200)) for cell in cells))
        console.print(table)
        return 0


async def show_approval(settings: Settings, wanted: str, *, as_json: bool) -> int:
    """One exact action with its votes, every digest recomputed; 1 if anything does not fit."""
    async with opened(settings) as here:
        document = await evidence.collected(here, await wanted_approval(here, wanted))
        return _answered(document, as_json=as_json)


async def show_document(path: Path, *, as_json: bool) -> int:
    """The same from a file that `approval show --json` wrote; neither database nor network."""
    return _answered(_read(path), as_json=as_json)


async def named(here: Installation, wanted: str) -> str:
    """The run somebody typed the id of, or its last characters.

    Raises:
        BadAnswer: there is none, or more than one.
    """
    found = await runs.resolve(here.database, here.tenant, wanted)
    if not found:
        raise BadAnswer(
            f"There is no run {wanted!r}. `banksman runs` lists them; the last 6 characters of an id are enough."
        )
    if len(found) > 1:
        raise BadAnswer(f"{len(found)} runs end in {wanted!r}. Write more of the id; `banksman runs` lists them.")
    return found[0]


async def wanted_approval(here: Installation, wanted: str) -> str:
    """The approval somebody typed the id of, or its last characters.

    Raises:
        BadAnswer: there is none.
        UsageError: there are several.
    """
    found = await approvals.resolve(here.database, here.tenant, wanted)
    if not found:
        raise BadAnswer(
            f"There is no approval {wanted!r}. `banksman pending` lists those that wait; "
            "the last 6 characters of an id are enough."
        )
    if len(found) > 1:
        listed = ", ".join(found)
        raise UsageError(f"Several approvals end in {wanted!r}: {listed}. Write more of the id.")
    return found[0]


def print_action(document: Mapping[str, Any], box: Box, *, to_stderr: bool = False) -> None:
    """The exact action, whole; nothing between the two lines but the text whose digest a vote records."""
    stream = sys.stderr if to_stderr else sys.stdout
    approval, run = document["approval"], document["run"]

    def say(text: str) -> None:
        print(text, file=stream)

    say(
        f"{_flat(approval['id'])} · run {_flat(run['id'])} of {_flat(run['agent'])}, asked by {_flat(run['requester'])}"
    )
    if approval["sentence"]:
        say(f"In the tool's words: {_flat(approval['sentence'])}")
    for each in document["changed"]:
        say(f"Changed since {_flat(document['replaces'])}: {_flat(each['path'])}")
        say(f"    before: {_flat(each['before'])}")
        say(f"    now:    {_flat(each['after'])}")
    for warning in box.warnings:
        say(f"Look closely: {warning}")
    say("──── the exact action ────")
    print(box.text, end="", file=stream)
    say(f"──── {box.digest} ────")
    stream.flush()


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MOST_DOCUMENT_BYTES:
            raise BadAnswer(f"{path} is larger than {MOST_DOCUMENT_BYTES:,} bytes, which no approval is.")
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}. Give `--file` an existing file.") from error
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadAnswer(f"{path} is not JSON: {error}.") from error
    if not isinstance(document, dict):
        raise BadAnswer(f"{path} is not what `banksman approval show --json` prints.")
    return document


def _answered(document: dict[str, Any], *, as_json: bool) -> int:
    """Print an approval and say loudly what does not fit."""
    result = verifying.verified(document)
    if as_json:
        print_json(verifying.completed(document, result))
    else:
        try:
            _print_approval(document, result)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadAnswer(f"This is not what `banksman approval show --json` prints: {error!r}.") from error
    if result.ok:
        return 0
    print("MISMATCH. Do not rely on this approval; what is stored has been changed:", file=sys.stderr)
    for check in result.broken:
        print(f"  {check.name}: {_flat(check.said)}", file=sys.stderr)
    return BAD


def _print_approval(document: Mapping[str, Any], result: verifying.Verified) -> None:
    approval = document["approval"]
    if result.box is not None:
        print_action(document, result.box)
    may = who_may(Approvers.from_json(approval["approvers"]))
    print(f"status   {_flat(approval['status'])}")
    print(f"asked    {_flat(approval['asked_at'])} by the rule {_flat(approval['rule'])}")
    print(f"expires  {_flat(approval['expires_at'])}")
    print(f"may      {_flat(may)} {_flat(approval['quorum'])} needed.")
    if approval["superseded_by"]:
        print(f"newer    {_flat(approval['superseded_by'])} asks this anew")
    for vote in approval["votes"]:
        via = f" via {_flat(vote['via'])}" if vote["via"] else ""
        back = ", taken back" if vote["taken_back"] else ""
        reason = f": {_flat(vote['reason'])}" if vote["reason"] else ""
        print(f"vote     {_flat(vote['voter'])} {_flat(vote['decision'])}{via} at {_flat(vote['at'])}{back}{reason}")
    for check in result.checks:
        print(f"{'ok      ' if check.ok else 'MISMATCH'} {_flat(check.said)}")


def _print_asked(view: RunView, now_ms: int) -> None:
    """What a run has asked people, below the run itself."""
    for approval in view.approvals:
        left = f"; time left: {_left(approval, now_ms)}" if approval.status == "pending" else ""
        votes = f"{len(approval.live)} of {approval.quorum} votes"
        print(f"  asked   {approval.id}  {approval.status} ({votes}{left})  {_flat(_sentence(approval))}")
    if view.question is not None:
        print(f"  asks    {view.question.call_id}  {plain(view.question.question, 2_000)}")
        for name, spec in view.question.wanted.items():
            print(f"          {name}=…  {_flat(spec.expects)}  {_flat(spec.description)}".rstrip())


def _sentence(view: ApprovalView) -> str:
    return view.sentence or (f"{view.tool} ({view.title})" if view.title else view.tool)


def _left(view: ApprovalView, now_ms: int) -> str:
    if view.parked_ms is not None:
        return f"frozen, {duration(view.parked_ms)} when thawed"
    return duration(view.expires_at_ms - now_ms) if view.expires_at_ms > now_ms else "overdue"


def _who(approvers: Approvers) -> str:
    return ", ".join([*(f"role {role}" for role in sorted(approvers.roles)), *sorted(approvers.principals)]) or "nobody"


def _flat(value: object) -> str:
    """Somebody's text on one line, unable to do anything to a terminal."""
    return one_line(str(value), 1_000)
