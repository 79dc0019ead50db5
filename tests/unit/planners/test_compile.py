"""A playbook is understood as a whole or refused with every sentence about what is wrong with it."""

import pytest

from core.config import ConfigProblems
from core.config.problems import Problem
from core.errors import TerminalError
from core.planners.playbook import compile_pinned, compile_playbook
from tests.unit.planners.books import STEPS, book, source_of

MAYBE = "inputs: {n: {type: integer, required: false}}\nsteps: [{id: a, tool: shell, if: %s}]"
SHAKY = "steps: [{id: a, tool: shell, on-failure: continue}, {id: b, tool: shell, %s}]"


def two(second: str, inputs: str = "") -> str:
    """Two steps, the second with more fields; inputs as in `n: {type: integer}`."""
    head = f"inputs: {{{inputs}}}\n" if inputs else ""
    return f"{head}steps: [{{id: a, tool: shell}}, {{id: b, tool: shell, {second}}}]"


def arg(value: str, inputs: str = "") -> str:
    """A second step with one argument."""
    return two(f"with: {{x: '{value}'}}", inputs)


def having(inputs: str) -> str:
    return f"inputs: {{{inputs}}}\n{STEPS}"


X = "steps[1].with.x"
IF = "steps[1].if"
FORM: list[tuple[str, str, str, str]] = [
    ("title: x", "steps", "`steps` is missing", "Add `steps"),
    ("steps: []", "steps", "empty", "at least one"),
    (f"{STEPS}\non-failures: []", "on-failures", "not a setting", "`on-failure`"),
    ("steps: [{id: a, tool: shell, args: {}}]", "steps[0].args", "not a setting", "`with`"),
    ("steps: [{id: a}]", "steps[0].tool", "missing", "Add"),
    ("steps: [{id: a, tool: shel}]", "steps[0].tool", "no tool `shel`", "`shell`"),
    ("steps: [{id: a, tool: shell}, {id: a, tool: shell}]", "steps[1].id", "two steps `a`", "Rename"),
    ("steps: [{id: a-b, tool: shell}]", "steps[0].id", "not a name", "row_count"),
    ("steps: [{id: in, tool: shell}]", "steps[0].id", "condition language", "another"),
    (two("timeout: 2h"), "steps[1].timeout", "2h is out", "to 30m"),
    (two("on-failure: ignore"), "steps[1].on-failure", '"ignore"', "`continue`"),
    (two("with: [x]"), "steps[1].with", "A list stands where fields", "name: value"),
    (two("with: {'${{ inputs.x }}': 1}"), "steps[1].with.${{ inputs.x }}", "cannot stand here", "value"),
    (having("in: {type: string}"), "inputs.in", "condition language", "another"),
    (having("n: {type: number}"), "inputs.n.type", '"number"', "Write one of"),
    (having("n: {type: integer, choices: [a, b]}"), "inputs.n.choices", "no meaning", "choice"),
    (having("n: {type: choice, choices: [a]}"), "inputs.n", "at least two", "choices"),
    (having("n: {type: integer, minimum: 2, maximum: 1}"), "inputs.n.minimum", "larger", "Swap"),
    (having("n: {type: integer, default: many}"), "inputs.n.default", 'whole number, not "many"', "a whole"),
    (having("n: {type: integer, maximum: 3, default: 4}"), "inputs.n.default", "at most 3, not 4", "at most 3"),
    (having("n: {type: file, default: a.csv}"), "inputs.n.default", "no default", "required: false"),
    (having("n: {type: string, default: a, required: true}"), "inputs.n.required", "cannot be", "Remove"),
    (having("n: {type: file, extensions: [.csv]}"), "inputs.n.extensions[0]", "file extension", "csv"),
]
REFERENCES: list[tuple[str, str, str, str]] = [
    (arg("${{ inputs"), X, "not closed", "}}"),
    (arg("${{ 1 + 1 }}"), X, "not a reference", "`if`"),
    (arg("${{ inputs.repos }}", "repo: {type: string}"), X, "no input `repos`", "`repo`"),
    (arg("${{ steps.z.out.x }}"), X, "no step `z`", "`a`"),
    (arg("${{ steps.b.out.x }}"), X, "`b` has not run", "before this one"),
    ("steps: [{id: a, tool: shell, with: {x: '${{ steps.b.out.y }}'}}, {id: b, tool: shell}]",
     "steps[0].with.x", "`b` has not run", "move it up"),
    (arg("${{ steps.a.rows }}"), X, "no `steps.a.rows`", "`steps.a.out.rows`"),
    (arg("${{ steps.a.statsu }}"), X, "no `steps.a.statsu`", "`status`"),
    (arg("${{ steps.a }}"), X, "not a value", "out.field"),
    (arg("${{ input.x }}"), X, "no `input`", "`inputs`"),
    (arg("${{ inputs }}"), X, "names no input", "inputs.name"),
    (arg("${{ inputs.n.x }}", "n: {type: integer}"), X, "has no fields", "`inputs.n`"),
    (arg("${{ inputs.f.pth }}", "f: {type: file}"), X, "no `inputs.f.pth`", "`path`"),
    (arg("see ${{ inputs.f }}", "f: {type: file}"), X, "a file, not text", ".path"),
    (arg("see ${{ steps.a.out }}"), X, "a group of fields", ".field"),
    (arg("see ${{ inputs.n }}", "n: {type: integer, required: false}"), X, "may not be given", "has(inputs.n)"),
    (arg("${{ inputs.f.path }}", "f: {type: file, required: false}"), X, "may not be given", "has(inputs.f)"),
    (SHAKY % "with: {x: '${{ steps.a.out.y }}'}", X, "may be skipped or fail", "steps.a.status == 'succeeded'"),
    (arg("${{ failed.reason }}"), X, "known only in `on-failure`", "status"),
    (f"{STEPS}\non-failure: [{{id: b, tool: shell, with: {{x: '${{{{ steps.a.out.y }}}}'}}}}]",
     "on-failure[0].with.x", "may be skipped", "status"),
    (f"{STEPS}\non-failure: [{{id: b, tool: shell}}, {{id: c, tool: shell, with: {{x: '${{{{ steps.b.out.y }}}}'}}}}]",
     "on-failure[1].with.x", "may be skipped or fail", "status"),
    (two("title: 'see ${{ steps.a.out.y }}'"), "steps[1].title", "has not run", "before"),
    (f"{STEPS}\nsummary: '${{{{ steps.z.out.x }}}}'", "summary", "no step `z`", "`a`"),
    (f"{STEPS}\nsummary: [x, '${{{{ steps.z.out.x }}}}']", "summary[1]", "no step `z`", "`a`"),
    (f"{STEPS}\nsummary: [{{text: '${{{{ steps.z.out.x }}}}'}}]", "summary[0].text", "no step `z`", "`a`"),
    (two("with: {argv: [sh, -c, 'echo ${{ inputs.n }}']}", "n: {type: string}"),
     "steps[1].with.argv[2]", "become code", "argument of its own"),
    (two("with: {argv: [/usr/bin/python3, -I, -c, 'x=${{ inputs.n }}']}", "n: {type: string}"),
     "steps[1].with.argv[3]", "become code", "sys.argv"),
]  # fmt: skip
CONDITIONS: list[tuple[str, str, str, str]] = [
    (MAYBE % "inputs.n == 1", "steps[0].if", "may not be given", "has(inputs.n) &&"),
    (SHAKY % "if: steps.a.out.n > 1", IF, "cannot be decided", "status"),
    (two("if: '${{ steps.a.status }} == 1'"), IF, "already an expression", "without"),
    (two("if: steps.a.status = 'x'"), IF, "not a CEL", "Write e.g."),
    (two("if: true"), IF, "`true` is not text", 'Quote it if it is text: "true"'),
    (two("if: steps.z.status == 'failed'"), IF, "no step `z`", "`a`"),
    (two("if: nothing == 1"), IF, "no `nothing`", "begins with"),
    (two("if: steps.a.status == 'success'"), IF, "never 'success'", "`succeeded`"),
    (two("if: inputs.m == 'ful'", "m: {type: choice, choices: [fast, full]}"), IF, "never 'ful'", "`full`"),
    (two("if: inputs.n == 12", "n: {type: string}"), IF, "is text, but", "quotes"),
    (two("if: inputs.n > 12", "n: {type: decimal}"), IF, "is text, but", "double"),
    (two("if: inputs.n == '12'", "n: {type: integer}"), IF, "is a whole number, but", "same type"),
    (two("if: 'inputs[inputs.n] == 1'", "n: {type: string}"), IF, "names no input", "inputs.name"),
]
MISTAKES = [*FORM, *REFERENCES, *CONDITIONS]


def problems_of(text: str) -> tuple[Problem, ...]:
    with pytest.raises(ConfigProblems) as raised:
        compile_playbook(source_of(text), tools=["shell", "files.read"])
    return raised.value.problems


@pytest.mark.parametrize(("text", "path", "what", "remedy"), MISTAKES, ids=lambda value: str(value)[:40])
def test_a_mistake_is_named_with_place_and_remedy(text: str, path: str, what: str, remedy: str) -> None:
    (found,) = problems_of(text)

    assert f"playbooks[0].{path}" == found.path
    assert what in found.what
    assert remedy in found.remedy
    assert found.line >= 2 and found.file == "banksman.yml"


def test_all_mistakes_come_together_in_the_order_of_the_file() -> None:
    found = problems_of(
        """
inputs: {a: {type: choice}}
steps:
  - {id: x, tool: nothing, if: "inputs.b == 1", with: {k: "${{ steps.y.out.z }}", l: "${{"}}
summary: ${{ steps.x }}
"""
    )

    assert 6 == len(found)
    assert sorted(problem.line for problem in found) == [problem.line for problem in found]


def test_a_playbook_with_everything_is_understood() -> None:
    found = book(
        """
title: Everything
description: For a test.
inputs:
  repo: {type: string, description: where, max-length: 100}
  n: {type: integer, minimum: 1, maximum: 9, default: 3}
  amount: {type: decimal, default: "12.50"}
  loud: {type: boolean, default: false}
  mode: {type: choice, choices: [fast, full], default: fast}
  table: {type: file, extensions: [csv], required: false, max-size: 1MB}
steps:
  - id: read
    title: Read ${{ inputs.repo }}
    tool: files.read
    with: {n: "${{ inputs.n }}", deep: [{amount: "${{ inputs.amount }} EUR"}]}
    timeout: 90s
  - id: check
    tool: shell
    if: has(inputs.table) && inputs.table.size < 1000
    with: {argv: [wc, "${{ inputs.table.path }}"]}
    on-failure: continue
  - id: tell
    tool: shell
    if: steps.check.status == 'succeeded' && steps.check.out.exit_code == 0
    with: {argv: [echo, "${{ steps.check.out.stdout }}"]}
on-failure:
  - id: tidy
    tool: shell
    with: {argv: [echo, "${{ failed.step }}: ${{ failed.reason }}"]}
summary:
  - Read ${{ steps.read.out.rows }} rows.
  - {if: steps.tell.status == 'succeeded', text: "Said ${{ steps.tell.out.stdout }}."}
"""
    )

    assert ("book", "Everything") == (found.name, found.title)
    assert [90.0, None, None] == [step.timeout_s for step in found.steps]
    assert [True, False, False] == [step.certain for step in found.steps]
    assert {"repo": True, "n": False, "amount": False, "loud": False, "mode": False, "table": False} == {
        spec.name: spec.required for spec in found.inputs.values()
    }
    assert [None, 3, "12.50", False, "fast", None] == [spec.default for spec in found.inputs.values()]
    assert 1_000_000 == found.inputs["table"].max_bytes
    assert 2 == len(found.summary)


def test_a_title_is_made_from_the_id() -> None:
    assert "Keep numbers" == book("steps: [{id: keep_numbers, tool: shell}]").steps[0].title.value


def test_the_pinned_text_says_the_same_as_the_file() -> None:
    source = source_of(two("with: {x: '${{ inputs.n }}', y: [1, null, true]}", "n: {type: string}"))

    assert compile_playbook(source) == compile_pinned(source.text)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name":"x"}', '{"name":"x","steps":[],"new":1}'])
def test_a_pinned_text_this_version_cannot_follow_ends_the_run_with_a_remedy(text: str) -> None:
    with pytest.raises(TerminalError, match="run it again from the current one"):
        compile_pinned(text)


def test_names_of_tools_are_not_checked_when_nobody_knows_them() -> None:
    assert "elsewhere" == book("steps: [{id: a, tool: elsewhere}]").steps[0].tool
