"""`repo_tests` in the real sandbox: what is found, how it is run, and what is said of how it went."""

import asyncio
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from core.tools.base import ToolContext, ToolResult
from core.tools.repository import RepoCheckup, RepoTests, SuiteArguments
from tests.integration.tools.checkup.conftest import Repo
from tests.integration.tools.conftest import Perform
from tests.patience import PATIENCE_S

PASSING = "def test_one():\n    assert 1\n\n\ndef test_two():\n    assert 2\n"
FAILING = "def test_one():\n    assert 1\n\n\ndef test_two():\n    assert 1 == 2\n"

UNITTEST = """\
import unittest


class T(unittest.TestCase):
    def test_a(self):
        pass

    def test_b(self):
        self.fail('no')

    @unittest.skip('not now')
    def test_c(self):
        pass
"""


@pytest.fixture
def run(perform: Perform, repo: Repo):  # type: ignore[no-untyped-def]
    async def tests(files: dict[str, str | bytes]) -> ToolResult:
        repo.commit(files)  # type: ignore[arg-type]
        result: ToolResult = await perform(RepoTests(), path="repo")
        assert ("succeeded", None) == (result.status, result.error)
        assert len(json.dumps(result.out, ensure_ascii=False).encode()) < 40 * 1024
        assert b"" == repo.git("status", "--porcelain", "--ignored")
        return result

    return tests


async def test_passing_tests_are_counted(run) -> None:  # type: ignore[no-untyped-def]
    result = await run({"test_it.py": PASSING})

    assert "2 passed (pytest)." == result.out["summary"]
    tail = result.out.pop("tail")
    assert {
        "framework": "pytest",
        "command": "python -m pytest -q -p no:cacheprovider --verbosity=-1 -rfE --color=no",
        "ran": True,
        "passed": True,
        "timed_out": False,
        "exit_code": 0,
        "tests": 2,
        "failures": 0,
        "failing": [],
        "summary": "2 passed (pytest).",
        "truncated": False,
    } == result.out
    [whole] = result.produced
    assert ("tests.txt", tail) == (whole.name, whole.path.read_text())
    assert "2 passed in" in tail


async def test_failing_tests_are_an_answer_with_their_names(run) -> None:  # type: ignore[no-untyped-def]
    result = await run({"tests/test_it.py": FAILING})

    assert "1 passed, 1 failed (pytest)." == result.out["summary"]
    assert ["tests/test_it.py::test_two"] == result.out["failing"]
    assert (True, False, 1, 2, 1) == tuple(
        result.out[key] for key in ("ran", "passed", "exit_code", "tests", "failures")
    )


async def test_a_module_that_is_not_installed_is_named(run) -> None:  # type: ignore[no-untyped-def]
    result = await run({"tests/test_it.py": "import flask\n\n\ndef test_it():\n    pass\n"})

    assert (
        "1 could not run (pytest). Not installed here: `flask`; the sandbox has no network to install anything from."
    ) == result.out["summary"]
    assert (True, False, 0, 1) == tuple(result.out[key] for key in ("ran", "passed", "tests", "failures"))
    assert ["tests/test_it.py"] == result.out["failing"]


async def test_a_conftest_that_cannot_be_loaded_is_explained(run) -> None:  # type: ignore[no-untyped-def]
    result = await run({"conftest.py": "import redis\n", "test_it.py": PASSING})

    assert (
        "The tests were not run: pytest could not be started. "
        "Not installed here: `redis`; the sandbox has no network to install anything from."
    ) == result.out["summary"]
    assert (False, False, 4) == (result.out["ran"], result.out["passed"], result.out["exit_code"])
    assert "addopts" not in result.out["command"]


async def test_a_missing_network_is_named(run) -> None:  # type: ignore[no-untyped-def]
    code = "import urllib.request\n\n\ndef test_it():\n    urllib.request.urlopen('http://example.com')\n"
    result = await run({"test_it.py": code})

    assert "Something wanted to use the network, which the sandbox does not have." in result.out["summary"]


async def test_options_of_plugins_that_are_not_here_are_done_without(run) -> None:  # type: ignore[no-untyped-def]
    result = await run({"pytest.ini": "[pytest]\naddopts = --cov=x -n auto\n", "test_it.py": PASSING})

    assert "2 passed (pytest)." == result.out["summary"]
    assert result.out["command"].endswith(" -o addopts=")


async def test_numbers_are_found_although_the_repository_asks_for_silence(run) -> None:  # type: ignore[no-untyped-def]
    result = await run({"pyproject.toml": '[tool.pytest.ini_options]\naddopts = "-qq"\n', "test_it.py": FAILING})

    assert (2, 1) == (result.out["tests"], result.out["failures"])


async def test_a_package_below_src_can_be_imported(run) -> None:  # type: ignore[no-untyped-def]
    test = "from pack import VALUE\n\n\ndef test_it():\n    assert VALUE == 1\n"
    result = await run({"src/pack/__init__.py": "VALUE = 1\n", "tests/test_it.py": test})

    assert "1 passed (pytest)." == result.out["summary"]
    assert result.out["command"].startswith("PYTHONPATH=src python -m pytest")


async def test_unittest_is_used_where_nothing_asks_for_pytest(run) -> None:  # type: ignore[no-untyped-def]
    result = await run({"tests/test_it.py": UNITTEST, "tests/__init__.py": ""})

    assert "1 passed, 1 failed, 1 skipped (unittest)." == result.out["summary"]
    assert "python -m unittest discover -v -s tests -t ." == result.out["command"]
    assert ["test_b (tests.test_it.T.test_b)"] == result.out["failing"]


async def test_a_makefile_has_a_target_for_tests(run) -> None:  # type: ignore[no-untyped-def]
    result = await run({"Makefile": ".PHONY: test\nall:\n\ttrue\ntest: all\n\t@echo fine\n"})

    assert ("make", "make test", "The tests (make) passed.") == (
        result.out["framework"],
        result.out["command"],
        result.out["summary"],
    )


async def test_a_failing_makefile_keeps_its_exit_code(run) -> None:  # type: ignore[no-untyped-def]
    result = await run({"Makefile": "test:\n\t@echo bad; exit 3\n"})

    assert "The tests (make) failed with exit code 2." == result.out["summary"]
    assert (True, False) == (result.out["ran"], result.out["passed"])


async def test_numbers_are_read_through_a_makefile(run) -> None:  # type: ignore[no-untyped-def]
    result = await run(
        {"Makefile": "test:\n\t@python -m pytest -q -p no:cacheprovider checks.py\n", "checks.py": FAILING}
    )

    assert "1 passed, 1 failed (make)." == result.out["summary"]


@pytest.mark.skipif(shutil.which("npm", path="/usr/local/bin:/usr/bin:/bin") is None, reason="there is no npm here")
async def test_npm_runs_what_package_json_says(run) -> None:  # type: ignore[no-untyped-def]
    test = "const test = require('node:test');\ntest('good', () => {});\ntest('bad', () => { throw Error('no'); });\n"
    package = json.dumps({"name": "x", "version": "1.0.0", "scripts": {"test": "node --test"}})
    result = await run({"package.json": package, "test/a.test.js": test})

    assert "npm test" == result.out["command"]
    assert (True, False) == (result.out["ran"], result.out["passed"])
    assert result.out["failures"], result.out["tail"]


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"README.md": "Hi\n"}, "No tests were found."),
        ({"tests/data.txt": "Hi\n"}, "No tests were found."),
        ({"Makefile": ".PHONY: test\ntest := 1\nlatest:\n\ttrue\n"}, "No tests were found."),
        (
            {"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'},
            "No tests were found.",
        ),
        ({"package.json": "[" * 100_000}, "No tests were found."),
        ({"conftest.py": ""}, "The tests were not run: pytest found nothing to run. The end of its output says more."),
        (
            {"Cargo.toml": "[package]\n"},
            "The tests were not run. Its tests are run with `cargo`, which the sandbox does not have.",
        ),
    ],
)
async def test_no_tests_are_said_as_such(run, files: dict[str, str | bytes], sentence: str) -> None:  # type: ignore[no-untyped-def]
    result = await run(files)

    assert sentence == result.out["summary"]
    assert (False, False) == (result.out["ran"], result.out["passed"])


async def test_a_suite_that_hangs_is_ended_and_reported(context: ToolContext, repo: Repo) -> None:
    repo.commit({"test_it.py": "import time\n\n\ndef test_a():\n    pass\n\n\ndef test_b():\n    time.sleep(600)\n"})

    result = await RepoTests().perform(SuiteArguments(path="repo"), replace(context, timeout_s=20))

    assert "succeeded" == result.status
    assert (True, False, True, None) == tuple(result.out[key] for key in ("ran", "passed", "timed_out", "exit_code"))
    assert "The tests (pytest) took too long and were ended; until then 1 passed." in result.out["summary"]
    assert "test_it.py:9: KeyboardInterrupt" in result.out["tail"]


async def test_a_suite_that_ignores_being_asked_is_ended_all_the_same(context: ToolContext, repo: Repo) -> None:
    code = "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(600)\n"
    repo.commit({"conftest.py": code})

    result = await RepoTests().perform(SuiteArguments(path="repo"), replace(context, timeout_s=10))

    assert (
        "The tests (pytest) took too long and were ended. Give the step more time if they need it."
        == (result.out["summary"])
    )


async def test_a_suite_is_ended_at_once_when_the_run_is_stopped(context: ToolContext, repo: Repo) -> None:
    repo.commit({"conftest.py": "import time\nopen('../started', 'w').close()\ntime.sleep(600)\n"})
    call = asyncio.create_task(RepoTests().perform(SuiteArguments(path="repo"), context))
    async with asyncio.timeout(PATIENCE_S):
        while not (context.workspace / "started").exists():  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.02)
    context.kill.set()

    result = await call

    assert ("failed", "Working on `repo` was stopped.") == (result.status, result.error)


async def test_a_suite_that_needs_too_much_memory_is_reported(run) -> None:  # type: ignore[no-untyped-def]
    result = await run(
        {"test_it.py": "def test_it():\n    x = [bytearray(1 << 26) for _ in range(60)]\n    assert x\n"}
    )

    assert not result.out["passed"]
    assert "It used more than 1 GiB of memory and was stopped." in result.out["summary"]


@pytest.mark.parametrize("tool", [RepoTests(), RepoCheckup()], ids=lambda tool: tool.name)
@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("nowhere", "`nowhere` does not exist in the workspace; `files.list` shows what is there."),
        ("..", "`..` leads out of the workspace; `..` is not allowed in a path."),
        ("/etc", "`/etc` is an absolute path; write it relative to the workspace, e.g. `data/x.csv`."),
        ("link", "`link` is a link or lies behind one; only real files and directories can be used."),
    ],
)
async def test_a_path_that_cannot_be_used_is_a_sentence(
    perform: Perform, workspace: Path, tool: RepoTests, path: str, sentence: str
) -> None:
    (workspace / "link").symlink_to("/usr")

    result = await perform(tool, path=path)

    assert ("failed", sentence) == (result.status, result.error)
