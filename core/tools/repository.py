"""The tools `repo_tests` and `repo_checkup`: how a repository's tests go, and a branch with what could be tidied.

Here are the borders and the sentences; looking, running and writing are a program of their own (`core/tools/checkup/`)
that runs in the sandbox. The repository is other people's code, and so is everything that comes back: it is checked
and bounded before anything of it is believed. Cloning and pushing are tools of their own.
"""

import asyncio
import json
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError, field_validator

from core.errors import RetryableError, TerminalError
from core.execution.base import Limits, ProcessResult, discard_files
from core.tools import beneath
from core.tools.base import Produced, ToolContext, ToolResult
from core.tools.program import FromSandbox, readable_text, run_program
from core.tools.registry import Arguments

TAIL_CHARACTERS = 6_000
MOST_NAMES = 30
PAGE_CHARACTERS = 100_000

_PROGRAM = Path(__file__).with_name("checkup")
_START = "import sys\nfrom checkup.main import main\nsys.exit(main())\n"
_PROBLEM = 3
_LIMITS = Limits(processes=256, open_files=1024, max_output_bytes=24_000_000)
_SPARE_S = 10.0
"""How long before the call's own end a suite that hangs is ended, so that there is time to say so."""
_HEX = r"^(?:[0-9a-f]{40}|[0-9a-f]{64})$"

Name = Annotated[str, Field(max_length=160)]
Count = Annotated[int, Field(ge=0, le=2**53 - 1)]


class SuiteReport(Arguments):
    """How a repository's tests went: what `repo_tests` answers and `repo_checkup` writes down."""

    framework: str = Field(max_length=20, description="what they are run with; `none` if there are none")
    command: str = Field(max_length=300, description="how they were run")
    ran: bool = Field(description="whether any test ran")
    passed: bool = Field(description="whether they ran and none failed")
    timed_out: bool = Field(description="whether they were ended because they took too long")
    exit_code: int | None = Field(description="of the test runner, if it ended by itself")
    tests: Count | None = Field(description="how many there were, if the runner said so")
    failures: Count | None = Field(description="how many of them failed or broke, if the runner said so")
    failing: list[Name] = Field(max_length=MOST_NAMES, description="names of those that failed")
    summary: str = Field(max_length=1_000, description="one sentence")
    tail: str = Field(max_length=TAIL_CHARACTERS, description="the end of what was printed")
    truncated: bool = Field(description="whether there was more than `tail`")


class SuiteArguments(Arguments):
    """A repository whose tests are run."""

    path: str = Field(max_length=1024, description="directory of the repository in the workspace, e.g. `repo`")


class CheckupArguments(Arguments):
    """A repository to tidy."""

    path: str = Field(max_length=1024, description="directory of the repository in the workspace, e.g. `repo`")
    tests: SuiteReport | None = Field(default=None, description="what `repo_tests` answered, for the page")
    base: str | None = Field(
        default=None, pattern=_HEX, description="the commit to begin from; else what is checked out"
    )
    branch: str | None = Field(
        default=None, max_length=200, description="name of the new branch; else one of the run's"
    )

    @field_validator("branch")
    @classmethod
    def _is_a_name(cls, branch: str | None) -> str | None:
        if branch is not None and (not branch or branch.startswith("-") or not branch.isprintable() or " " in branch):
            raise ValueError("the name of a branch is expected, such as `tidy/white-space`")
        return branch


class _Found(FromSandbox):
    framework: str = Field(max_length=20)
    command: str = Field(max_length=300)
    missing: str = Field(max_length=300)


class _Ended(FromSandbox):
    command: str = Field(max_length=300)
    exit_code: int | None = Field(ge=0, le=255)
    signal: int | None = Field(ge=0, le=255)
    timed_out: bool
    tests: Count | None
    failed: Count
    errors: Count
    skipped: Count
    failing: list[Name] = Field(max_length=MOST_NAMES)
    needed_network: bool
    missing_modules: list[Annotated[str, Field(max_length=80)]] = Field(max_length=5)


class _Written(FromSandbox):
    branch: str = Field(max_length=200)
    commit: str = Field(pattern=_HEX)
    base: str = Field(pattern=_HEX)
    changed: bool
    files_fixed: Count
    lines_fixed: Count
    postponed: Count
    page: str = Field(max_length=PAGE_CHARACTERS)


class RepoTests:
    """Runs a repository's tests. Tests that fail are an answer, not a failure of the call."""

    name = "repo_tests"
    description = "Find out how a repository's tests are run and run them, without a network."

    @property
    def arguments(self) -> type[BaseModel]:
        return SuiteArguments

    async def perform(self, args: BaseModel, context: ToolContext) -> ToolResult:
        assert isinstance(args, SuiteArguments)
        seconds = max(context.timeout_s / 2, context.timeout_s - _SPARE_S)
        asked = {"do": "tests", "path": args.path, "seconds": seconds}
        return await _asked(args.path, asked, context, _test_result)


class RepoCheckup:
    """Makes a branch with fixes and a page; the same again when it is asked again."""

    name = "repo_checkup"
    description = "Tidy the white space of a repository and describe its state in CHECKUP.md, on a new branch."
    keeps = 1

    @property
    def arguments(self) -> type[BaseModel]:
        return CheckupArguments

    async def perform(self, args: BaseModel, context: ToolContext) -> ToolResult:
        assert isinstance(args, CheckupArguments)
        asked = {
            "do": "write",
            "path": args.path,
            "base": args.base,
            "branch": args.branch or f"banksman/checkup-{context.label.run_id[-8:]}",
            "tests": None if args.tests is None else args.tests.model_dump(exclude={"tail"}),
        }
        return await _asked(args.path, asked, context, lambda *ended: _written(args.tests, *ended))


async def _asked(path: str, asked: Mapping[str, Any], context: ToolContext, answer: Any) -> ToolResult:
    """Run the program on a repository and turn how that ended into the call's result, by `answer`."""
    try:
        program = await asyncio.to_thread(_prepare, path, context)
        argv = ("python", "-I", str(program))
        stdin = json.dumps(asked).encode()
        result = await run_program(context, argv, stdin=stdin, readable=(program,), limits=_LIMITS)
        if isinstance(result, ToolResult):
            return result
        try:
            ended: ToolResult = await asyncio.to_thread(_checked, path, context, result, answer)
            return ended
        finally:
            discard_files(result)
    except TerminalError as error:
        return ToolResult("failed", error=error.user_text)
    except RetryableError as error:
        return ToolResult("failed-safe", error=error.user_text)


def _prepare(path: str, context: ToolContext) -> Path:
    """Check what can be checked before a process is started, and pack the program."""
    beneath.list_entries(context.workspace, path, recursive=False, max_entries=1)
    program = context.scratch / "checkup.pyz"
    with zipfile.ZipFile(program, "w") as packed:
        packed.writestr("__main__.py", _START)
        for module in sorted(_PROGRAM.glob("*.py")):
            packed.writestr(f"checkup/{module.name}", module.read_bytes())
    return program


def _checked(path: str, context: ToolContext, result: ProcessResult, answer: Any) -> ToolResult:
    """What is the same for both: what ended the program before it could answer, and problems it names."""
    name = beneath.shown(path)
    if result.ended == "killed":
        return _failed(result, f"Working on {name} was stopped.")
    if result.ended == "not-started":
        return _failed(result, f"The program that works on repositories could not be started: {result.detail}")
    answers = _answers(result.stdout)
    if answers and isinstance(problem := answers[-1].get("problem"), str):
        return _failed(result, readable_text(problem.encode(errors="replace"))[:1_000])
    try:
        done: ToolResult | None = answer(context, result, answers)
    except ValidationError:
        done = None
    if done is not None:
        return done
    said = readable_text(result.stderr)[-300:].strip().rpartition("\n")[2]
    return _failed(
        result,
        f"Working on {name} failed for a reason this tool does not know ({result.detail} {said}) "
        "Please show the run to whoever runs this installation.",
    )


def _failed(result: ProcessResult, error: str) -> ToolResult:
    return ToolResult("failed", error=error, processes_ended=result.processes_ended)


def _answers(stdout: bytes) -> list[dict[str, Any]]:
    """The documents the program printed, a line each; what others printed among them is passed over."""
    found = []
    for line in stdout.splitlines()[:100]:
        try:
            document = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(document, dict):
            found.append(document)
    return found


def _test_result(context: ToolContext, result: ProcessResult, answers: list[dict[str, Any]]) -> ToolResult | None:
    if not answers:
        return None
    found = _Found.model_validate(answers[0])
    ended = _Ended.model_validate(answers[1]) if len(answers) > 1 else None
    if ended is None and found.framework != "none" and not found.missing and result.ended == "exited":
        return None
    whole = context.scratch / "tests.txt"
    if result.stderr_file is not None:
        shutil.move(result.stderr_file, whole)
    else:
        whole.write_bytes(result.stderr)
    text = readable_text(_end_of(whole))
    report = _report(found, ended, result, text, result.stderr_bytes)
    produced = (Produced("tests.txt", whole, "text/plain"),) if result.stderr_bytes else ()
    return ToolResult("succeeded", report.model_dump(), produced, processes_ended=result.processes_ended)


def _report(found: _Found, ended: _Ended | None, result: ProcessResult, text: str, size: int) -> SuiteReport:
    tail = (
        text if len(text) <= TAIL_CHARACTERS else text[-TAIL_CHARACTERS:].partition("\n")[2] or text[-TAIL_CHARACTERS:]
    )
    tests = failures = None
    if ended is not None and (ended.tests is not None or ended.errors):
        tests, failures = ended.tests or 0, ended.failed + ended.errors
    started = found.framework != "none" and not found.missing
    ran = started and not (ended is not None and _nothing_ran(found, ended))
    return SuiteReport(
        framework=_clean(found.framework),
        command=_clean(ended.command if ended else found.command),
        ran=ran,
        passed=ran and ended is not None and ended.exit_code == 0 and not failures,
        timed_out=ended.timed_out if ended else result.ended == "timed-out",
        exit_code=ended.exit_code if ended else None,
        tests=tests,
        failures=failures,
        failing=[_clean(name) for name in ended.failing] if ended else [],
        summary=_summary(found, ended, result, ran)[:1_000],
        tail=tail,
        truncated=len(tail) < len(text) or size > len(text.encode()),
    )


def _nothing_ran(found: _Found, ended: _Ended) -> bool:
    """Whether the runner started and found nothing to run, or did not understand what it was told."""
    if ended.timed_out or ended.errors or ended.failed:
        return False
    return ended.tests == 0 or (found.framework == "pytest" and ended.exit_code in (4, 5))


def _summary(found: _Found, ended: _Ended | None, result: ProcessResult, ran: bool) -> str:
    """One or two sentences: how it went, and what may be the reason."""
    name = _clean(found.framework)
    if name == "none":
        return "No tests were found."
    if found.missing:
        return f"The tests were not run. {_clean(found.missing)}"
    if ended is None or result.ended == "limit":
        return f"The tests ({name}) did not end by themselves. {_clean(result.limit or result.detail)}"
    if ended.timed_out:
        said = f"; until then {_numbers(ended)}" if ended.tests else ""
        return f"The tests ({name}) took too long and were ended{said}. Give the step more time if they need it."
    if not ran:
        what = "could not be started" if ended.exit_code == 4 else "found nothing to run"
        return f"The tests were not run: {name} {what}.{_reason(ended) or ' The end of its output says more.'}"
    if ended.tests is None and not ended.errors:
        how = "passed" if ended.exit_code == 0 else f"failed with exit code {ended.exit_code}"
        how = how if ended.signal is None else f"were ended by the signal {ended.signal}"
        return f"The tests ({name}) {how}.{_reason(ended)}"
    return f"{_numbers(ended)} ({name}).{_reason(ended)}"


def _numbers(ended: _Ended) -> str:
    passed = (ended.tests or 0) - ended.failed - ended.skipped
    parts = [f"{ended.failed} failed" if ended.failed else "", f"{ended.errors} could not run" if ended.errors else ""]
    parts = [f"{passed} passed" if ended.tests else "", *parts, f"{ended.skipped} skipped" if ended.skipped else ""]
    return ", ".join(part for part in parts if part)


def _reason(ended: _Ended) -> str:
    """What may have made them fail that is no fault of theirs."""
    if ended.exit_code == 0:
        return ""
    if ended.missing_modules:
        names = ", ".join(beneath.shown(module) for module in ended.missing_modules)
        return f" Not installed here: {names}; the sandbox has no network to install anything from."
    return " Something wanted to use the network, which the sandbox does not have." if ended.needed_network else ""


def _written(
    tests: SuiteReport | None, context: ToolContext, result: ProcessResult, answers: list[dict[str, Any]]
) -> ToolResult | None:
    if result.ended == "timed-out":
        return _failed(result, "The checkup took too long and was stopped. Give the step more time.")
    if result.ended == "limit":
        return _failed(result, f"The checkup needed too much: {result.limit or result.detail}")
    if result.ended != "exited" or result.exit_code != 0 or not answers:
        return None
    written = _Written.model_validate(answers[-1])
    page = context.scratch / "CHECKUP.md"
    page.write_text(written.page, encoding="utf-8")
    out = written.model_dump(exclude={"page", "postponed"})
    out |= {"summary": _said(written, tests), "tests_passed": tests is not None and tests.passed}
    return ToolResult(
        "succeeded", out, (Produced("CHECKUP.md", page, "text/markdown"),), processes_ended=result.processes_ended
    )


def _said(written: _Written, tests: SuiteReport | None) -> str:
    if not written.changed:
        first = "Nothing to fix, and CHECKUP.md is up to date; there is nothing to push."
    elif written.files_fixed:
        lines, files = _count(written.lines_fixed, "line"), _count(written.files_fixed, "file")
        first = f"White space fixed in {lines} of {files}, and CHECKUP.md written, on {beneath.shown(written.branch)}."
    else:
        first = f"Nothing to fix; CHECKUP.md written on {beneath.shown(written.branch)}."
    if written.postponed:
        first += f" {_count(written.postponed, 'more file')} can follow in another checkup."
    if tests is None:
        return first
    return f"{first} {'Tests: ' if tests.summary[:1].isdigit() else ''}{tests.summary}"


def _end_of(path: Path) -> bytes:
    with path.open("rb") as opened:
        opened.seek(max(0, path.stat().st_size - 8 * TAIL_CHARACTERS))
        return opened.read()


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _clean(text: str) -> str:
    """Text of others on one line."""
    return " ".join(readable_text(text.encode(errors="replace")).split())
