"""`banksman run`: ask for a run without Slack, by the same code path, and wait for its end if told to."""

import asyncio
import mimetypes
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bot.cli.installation import BadAnswer, Installation, Refused, opened
from bot.cli.output import Progress, print_json, print_run
from core.artifacts import display_name, sniff_media_type
from core.config.agents import UnknownAgent, choose
from core.config.settings import Settings
from core.errors import ConfigError
from core.ids import RunId
from core.planners.binding import Attachment, Bound, MissingInputs, bind_inputs
from core.planners.compile import compile_playbooks
from core.planners.definition import Playbook
from core.record.changes import Landed
from core.record.rows import ArtifactRow
from core.record.states import TERMINAL, RunState
from core.runs import reading
from core.runs.accepting import limits_of
from core.runs.collecting import keep
from core.runs.commands.request import Pinned, Request, accept, repeated
from core.runs.views import RunView
from core.store import runs
from core.tools.workspace import input_path

WATCH_S = 0.2
LONGEST_KEY = 200


class UsageError(ConfigError):
    """The command line asks for something that cannot be (exit code 2)."""


async def ask(
    settings: Settings,
    agent: str,
    text: str,
    *,
    inputs: Sequence[str],
    files: Sequence[Path],
    key: str | None,
    as_name: str | None,
    wait: bool,
    as_json: bool,
) -> int:
    """Request a run; 0 once it is accepted, or with `wait` once it completed, 1 if it ended otherwise."""
    async with opened(settings) as here:
        if key is not None and not 1 <= len(key) <= LONGEST_KEY:
            raise UsageError(f"`--key` takes 1 to {LONGEST_KEY} characters; this has {len(key)}.")
        who = here.principal(as_name)
        playbook = _playbook(here, agent)
        bound = _bound(here, playbook, text, inputs, files)
        run_id = here.ids.run()
        source = here.config.playbooks[playbook.name]
        resolved, rows = await _stored(here, run_id, bound, files)
        request = Request(
            tenant=here.tenant,
            source_key=f"cli:{key}" if key else f"cli:{run_id}",
            agent=playbook.name,
            document=Pinned(source.kind, source.text),
            policy=Pinned("policy", here.config.policy_text),
            text=text,
            inputs=resolved,
            requester=who,
            files=rows,
            loaded=True,
            limits=limits_of(here.config, source),
        )
        run_id = await _accepted(here, request, run_id)
        await here.doorbell.ring(run_id, 0)
        view = await (_ended(here, run_id, quiet=as_json) if wait else reading.view(here.database, here.tenant, run_id))
        assert view is not None
        if as_json:
            print_json(view.full_json())
        elif wait:
            print_run(view)
        else:
            print(view.id)
        return 0 if not wait or view.state is RunState.COMPLETED else 1


def _playbook(here: Installation, agent: str) -> Playbook:
    chosen = choose(here.config, None, agent)
    if isinstance(chosen, UnknownAgent):
        raise UsageError(chosen.sentence)
    return compile_playbooks(here.config.playbooks.values())[chosen.agent]


def _bound(here: Installation, playbook: Playbook, text: str, inputs: Sequence[str], files: Sequence[Path]) -> Bound:
    attached = []
    for path in files:
        if not path.is_file():
            raise UsageError(f"There is no file {path}. Give `--file` the path of an existing file.")
        attached.append(Attachment(path.name, mimetypes.guess_type(path.name)[0] or "", path.stat().st_size))
    given = named_values(inputs, option="--input ", what="input ")
    bound = bind_inputs(playbook, text, attached, given, max_file_bytes=here.config.limits.upload_bytes)
    if isinstance(bound, MissingInputs):
        raise UsageError(bound.sentence(playbook, cli=True))
    return bound


def named_values(items: Sequence[str], *, option: str = "", what: str = "") -> dict[str, str]:
    """Read `name=value` arguments.

    Args:
        items: As typed.
        option: The option they are given with, for the sentence, such as `--input `; empty for plain arguments.
        what: What a name is called, for the sentence, such as `input `.

    Raises:
        UsageError: one has no name or no `=`, or a name is given twice.
    """
    given: dict[str, str] = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise UsageError(f"`{option}{item}` is not of the form name=value.")
        if name in given:
            raise UsageError(f"{f'The {what}' if what else ''}`{name}` is given twice. Give it once.")
        given[name] = value
    return given


async def _stored(
    here: Installation, run_id: RunId, bound: Bound, files: Sequence[Path]
) -> tuple[dict[str, Any], tuple[ArtifactRow, ...]]:
    """Store the bound files and point the inputs at them."""
    resolved: dict[str, Any] = {}
    rows: list[ArtifactRow] = []
    used: set[str] = set()
    for name, value in bound.inputs.items():
        if not (isinstance(value, Mapping) and "attachment" in value):
            resolved[name] = value
            continue
        path = files[value["attachment"]]
        stored = await here.objects.put(path, cap_bytes=here.config.limits.upload_bytes)
        shown = display_name(path.name)
        with path.open("rb") as file:
            media_type = sniff_media_type(shown, file.read(512))
        rows.append(
            ArtifactRow(
                tenant=here.tenant,
                id=here.ids.artifact(),
                run_id=run_id,
                role="input",
                name=shown,
                sha256=stored.sha256,
                size=stored.size,
                media_type=media_type,
                created_at=here.clock.wall_ms(),
            )
        )
        resolved[name] = {
            "name": shown,
            "path": input_path(shown, used),
            "sha256": stored.sha256,
            "size": stored.size,
            "media_type": media_type,
        }
    return resolved, tuple(rows)


async def _accepted(here: Installation, request: Request, run_id: RunId) -> RunId:
    cap = here.config.limits.runs_per_person
    underway = await runs.listed(here.database, here.tenant, requester=request.requester.id, open_only=True, limit=200)
    existing = await runs.find_by_source(here.database, here.tenant, request.source_key)
    if existing is None and len(underway) >= cap:
        raise Refused(f"You have {cap} runs under way, which is the most one person may have. Stop one or wait for it.")
    change = accept(request, run_id=run_id, salt=here.ids.salt(), now_ms=here.clock.wall_ms())
    answer = await here.database.journal.commit(change)
    if isinstance(answer, Landed):
        await keep(here.objects, change)
        return run_id
    existing = await runs.find_by_source(here.database, here.tenant, request.source_key)
    if existing is None:
        raise BadAnswer(f"The run was not accepted ({answer.why}). Try again.")
    refusal = repeated(request, existing)
    if refusal is not None:
        raise Refused(refusal.text)
    return RunId(existing.run.id)


async def _ended(here: Installation, run_id: str, *, quiet: bool) -> RunView:
    """Watch a run until it ends or only a person can help it."""
    progress = Progress()
    while True:
        view = await reading.view(here.database, here.tenant, run_id)
        assert view is not None
        if not quiet:
            progress.show(view)
        if view.state in TERMINAL or view.state is RunState.BLOCKED:
            return view
        await asyncio.sleep(WATCH_S)
