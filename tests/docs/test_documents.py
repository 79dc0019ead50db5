"""The documents agree with the code, and the checker sees it when they do not."""

import re
from pathlib import Path

import pytest

from core.record import states
from tests.docs.check import ROOT, problems, syntax_problems
from tests.docs.fences import Fence, fence_problems, fences, language_problems, run_by_tests
from tests.docs.names import COMMAND, SETTING, SOURCES, Source, name_problems, section_of

PAGE = """# Tool

## Start `it`

```console
$ make up
Ready
$ make test
```

1. Then:

   ```yaml
   a: 1
   ```

```text
not for running
```

````python
x = "```"
````
"""


def test_the_documents_agree_with_the_code() -> None:
    assert [] == list(problems(ROOT))


def test_the_diagram_of_the_states_is_the_one_in_the_code() -> None:
    assert f"```mermaid\n{states.diagram()}\n```" in (ROOT / "docs/reference/states.md").read_text("utf-8")


@pytest.mark.runs_fence("CONTRIBUTING.md > One example > 1")
def test_the_example_test_is_a_real_one(fence: Fence) -> None:
    assert fence.text in (ROOT / "tests/integration/test_embedded_redis.py").read_text("utf-8")


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.kind)
def test_every_source_of_names_finds_some(source: Source) -> None:
    assert set() != source.names()


def test_blocks_are_found_with_their_language_and_text(page: Path) -> None:
    found = fences(page)

    assert ["README.md > Start it > 1", "README.md > Start it > 2", "README.md > Start it > 3"] == [
        f.key for f in found
    ]
    assert ["console", "yaml", "python"] == [f.language for f in found]
    assert ["a: 1\n", 'x = "```"\n'] == [f.text for f in found[1:]]
    assert ["make up", "make test"] == found[0].commands()


def test_a_block_without_a_language_is_named(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# A\n\n```\nmake up\n```\n\n```text\nfine\n```\n")

    (problem,) = language_problems(tmp_path)

    assert "(line 3) has the language ''" in problem


def test_a_block_that_nothing_runs_is_named(page: Path) -> None:
    first, *others = fences(page)

    (problem,) = fence_problems([first, *others], {f.key: "tests/x.py" for f in others}, {})

    assert "'README.md > Start it > 1' (console, line 5) is run by no test" in problem


def test_an_illustration_needs_a_reason_and_a_block_that_exists() -> None:
    found = [Fence("README.md > 1", "bash", "x\n", 1)]

    assert [] == list(fence_problems(found, {}, {"README.md > 1": "needs a real team"}))
    assert ["'README.md > 1' is called an illustration without a reason"] == list(
        fence_problems(found, {}, {"README.md > 1": "later"})
    )
    assert "is no block of the documents any more" in next(
        fence_problems([], {}, {"README.md > 2": "needs a real team"})
    )


def test_which_test_runs_a_block_is_read_from_its_code(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_it.py").write_text("@pytest.mark.runs_fence('README.md > 1')\ndef test_it(): ...\n")

    assert {"README.md > 1": "tests/test_it.py"} == run_by_tests(tmp_path)


@pytest.mark.parametrize(
    ("language", "text", "complaint"),
    [
        ("python", "x = = 1\n", "is not valid python"),
        ("yaml", "a: [1\n", "is not valid yaml"),
        ("yaml", "a: 1\na: 2\n", "is not valid yaml"),
        ("console", "make up\n", "is a console without a command"),
    ],
)
def test_a_block_that_is_not_its_language_is_named(language: str, text: str, complaint: str) -> None:
    assert complaint in next(syntax_problems(Fence("README.md > 1", language, text, 1)))


def test_a_mentioned_name_must_exist_and_an_existing_one_be_mentioned() -> None:
    source = Source("setting", lambda: {"BANKSMAN_HOME", "BANKSMAN_PORT"}, pattern=SETTING)

    assert [
        "README.md names the setting 'BANKSMAN_HOEM', which does not exist: correct the page",
        "the setting 'BANKSMAN_PORT' is in no document: describe it in README.md or docs/",
    ] == list(name_problems({"README.md": "Set `BANKSMAN_HOME`, not `BANKSMAN_HOEM`. BANKSMAN_PORT"}, (source,)))


def test_a_listed_name_must_exist_and_every_existing_one_be_listed() -> None:
    source = Source("run state", lambda: {"created", "failed"}, page="docs/states.md")

    assert [
        "docs/states.md lists the run state 'queued', which does not exist: correct the page",
        "docs/states.md does not list the run state 'failed': add it",
    ] == list(
        name_problems({"docs/states.md": "| state | |\n|---|---|\n| `created` | a |\n| `queued` | b |"}, (source,))
    )
    assert "docs/states.md is missing" in next(name_problems({}, (source,)))


def test_a_section_ends_at_the_next_heading_that_is_not_inside_a_block() -> None:
    text = "# A\n\n## B `c`\none\n```bash\n# comment\n```\ntwo\n### D\nthree\n"

    assert "\none\n\ntwo\n" == section_of(text, "B c")
    assert "\nthree\n" == section_of(text, "D")
    assert section_of(text, "comment") is None


def test_a_listed_name_is_looked_for_in_its_section_only() -> None:
    source = Source("reason", lambda: {"loop"}, page="p.md", section="Why")

    assert [] == list(name_problems({"p.md": "# X\n| `a` | b |\n## Why\n| `loop` | |\n"}, (source,)))
    assert "has no heading 'Why'" in next(name_problems({"p.md": "# X\n"}, (source,)))


def test_a_source_that_finds_nothing_is_an_error() -> None:
    assert "finds none in the code" in next(name_problems({}, (Source("command", set, pattern=COMMAND),)))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("banksman up", ["up"]),
        ("$ .venv/bin/banksman db upgrade", ["db upgrade"]),
        ("@banksman report", []),
        ("/banksman runs", []),
        ("x && banksman doctor --json", ["doctor"]),
        ("banksman --help", []),
    ],
)
def test_a_command_is_told_from_a_mention(text: str, names: list[str]) -> None:
    assert names == [found["name"] for found in re.finditer(COMMAND, text)]


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A checkout with one document."""
    (tmp_path / "README.md").write_text(PAGE)
    return tmp_path
