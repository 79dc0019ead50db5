"""How commands answer: words for people on a terminal, one JSON document for scripts, and the exit codes.

0 done · 1 the thing asked about is bad · 2 usage or configuration · 3 refused.
"""

import asyncio
import json
import logging
import sys
from collections.abc import Coroutine, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bot.blocks.rollback import standing
from bot.blocks.text import one_line, plain
from bot.blocks.words import ago, badge, count, duration, size, title
from bot.cli.installation import BadAnswer, Refused
from core.clock import rfc3339
from core.errors import BanksmanError, ConfigError, SchemaMismatch
from core.ids import short
from core.planners.base import PlanStep
from core.record.freezes import because
from core.record.states import RunState
from core.runs.views import EventView, RunLine, RunView

BAD, USAGE, REFUSED = 1, 2, 3

_MARKS = {"pending": "·", "running": "▸", "done": "✓", "failed": "✗", "skipped": "–"}

console = Console(highlight=False, soft_wrap=True)
"""Long lines stay one line: a terminal folds them itself, and a program that reads them wants them whole."""


def run_command(work: Coroutine[Any, Any, int | None]) -> None:
    """Run a command to its end and leave with its exit code; what went wrong is one message on stderr."""
    try:
        code = asyncio.run(work)
    except (ConfigError, SchemaMismatch) as error:
        complain(error)
        raise typer.Exit(USAGE) from None
    except Refused as error:
        complain(error)
        raise typer.Exit(REFUSED) from None
    except (BadAnswer, BanksmanError) as error:
        complain(error)
        raise typer.Exit(BAD) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except Exception as error:
        from core.store.trouble import in_words  # what a command does not need, it does not wait for

        if (said := in_words(error)) is None:
            raise
        print(said, file=sys.stderr)
        raise typer.Exit(BAD) from None
    raise typer.Exit(code or 0)


def complain(error: BanksmanError) -> None:
    """Say what is wrong and what to do."""
    print(error.user_text, file=sys.stderr)


def print_json(value: Any) -> None:
    """The one JSON document of a `--json` answer."""
    print(json.dumps(value, ensure_ascii=False, indent=2))


def log_to_stderr(level: int = logging.WARNING) -> None:
    """Logs never mix with answers."""
    logging.basicConfig(level=level, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")


def print_runs(lines: Sequence[RunLine], now_ms: int) -> None:
    """A list of runs."""
    if not lines:
        console.print("No runs yet. `banksman run AGENT …` starts one.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("run", "state", "agent", "asked by", "when"):
        table.add_column(column)
    for line in lines:
        why = line.blocked_reason or ("frozen" if line.frozen else "")
        state = line.state.value + (f" ({why})" if why else "")
        table.add_row(
            line.id,
            state,
            escape(title(line.agent, line.rolls_back)),
            escape(line.requester),
            ago(line.created_at_ms, now_ms),
        )
    console.print(table)


def print_run(view: RunView) -> None:
    """One run, whole."""
    _, words = badge(view.state, view.stop)
    console.print(f"[bold]{view.id}[/bold]  {escape(words)}")
    named = title(view.agent, view.undoing.rolls_back)
    console.print(f"agent {escape(named)} · asked by {escape(view.requester)} · {duration(view.duration_ms)}")
    if view.undoing.rolls_back is not None:
        console.print(escape(f"undoes what {view.undoing.rolls_back} did"))
    if view.text:
        console.print(escape(one_line(view.text, 300)))
    for step in view.plan:
        console.print(escape(f"  {_step(step)}"))
    for freeze in view.freezes:
        said = f"❄ frozen by {freeze.by} since {rfc3339(freeze.frozen_at_ms)} ({freeze.scope})"
        console.print(escape(one_line(f"{said}{because(freeze.reason)}", 500)))
    if (wait := view.waiting) is not None:
        seen = f"; last seen: {wait.seen}" if wait.seen else ""
        said = f"waits until {wait.condition}, since {rfc3339(wait.since_ms)}, at most until {rfc3339(wait.until_ms)}"
        console.print(escape(one_line(f"{said}; looked {count(wait.looks, 'time')}{seen}", 800)))
    for sentence in (view.blocked_detail, view.outcome):
        if sentence:
            console.print(escape(plain(sentence, 3000)))
    for artifact in view.artifacts:
        console.print(
            escape(f"  {artifact.role:<7} {artifact.name}  {size(artifact.size)}  sha256:{artifact.sha256[:12]}…")
        )
    for effect in view.undoing.effects:
        console.print(escape(f"  effect  {effect.tool} in step {one_line(effect.step, 60)}: {standing(effect, view)}"))
    if view.undoing.rollback is not None and view.state is not RunState.ROLLED_BACK:
        console.print(escape(f"being rolled back by {view.undoing.rollback.run_id}"))
    if view.stop is not None:
        stop = view.stop
        state = (
            "confirmed"
            if stop.confirmed_at_ms
            else f"not confirmed yet by {', '.join(stop.unconfirmed_hosts) or 'its host'}"
        )
        console.print(escape(f"stop requested by {stop.by}: {state}; {stop.processes_ended} processes ended"))
        for call in stop.calls:
            found = f", says {call.resolved_by}" if call.resolved_by else ""
            late = f"; it answered after the stop ({call.late}), which is not used" if call.late else ""
            console.print(escape(one_line(f"  in flight: {call.tool}: {call.status.value}{found}{late}", 300)))


def print_events(events: Sequence[EventView]) -> None:
    """A run's log."""
    for event in events:
        move = f"{event.from_state or '∅'} → {event.to_state}" if event.to_state else event.type
        console.print(escape(f"{event.seq:>4}  {event.as_json()['at']}  {move:<34}  {event.actor}"))


class Progress:
    """Prints what changed since the last look: one line per step that moved."""

    def __init__(self) -> None:
        self._shown: dict[str, str] = {}
        self._is_named = False

    def show(self, view: RunView) -> None:
        """Print the difference, on stderr so that stdout stays the answer."""
        if not self._is_named:
            self._is_named = True
            self._say(f"accepted as {view.id} ({short(view.id)})")
        for step in view.plan:
            if step.status != "pending" and self._shown.get(step.id) != step.status:
                self._shown[step.id] = step.status
                self._say(_step(step))

    def _say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


def _step(step: PlanStep) -> str:
    note = f" ({one_line(step.note, 200)})" if step.note else ""
    return f"{_MARKS[step.status]} {one_line(step.title, 200)}{note}"
