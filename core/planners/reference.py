"""The reference page of playbooks, written from what the code accepts.

`python -m core.planners.reference` prints it; a test compares it with docs/reference/playbooks.md.
"""

import sys

from core.config.reference import table
from core.planners.agents import AgentFields, CriteriaFields
from core.planners.compile import CallFields, InputFields, PlaybookFields, StepFields, SummaryFields, WaitFields
from core.planners.conditions import FUNCTIONS, METHODS
from core.planners.scope import FILE_FIELDS, STATUSES

_HEAD = """# Playbooks: every field

How to write one is told in [the guide](../guides/playbooks.md). This page is written from the code:
`python -m core.planners.reference` prints it.
"""


def page() -> str:
    """The whole page."""
    parts = [_HEAD]
    for heading, model in (
        ("A playbook", PlaybookFields),
        ("An input", InputFields),
        ("A step", StepFields),
        ("A step of a round", CallFields),
        ("What a step waits for", WaitFields),
        ("A line of the summary", SummaryFields),
        ("An agent", AgentFields),
        ("What has to be true before it is done", CriteriaFields),
    ):
        parts += [f"\n## {heading}\n\n", *table(model)]
    parts.append(_paths())
    return "".join(parts)


def _paths() -> str:
    fields = ", ".join(f"`{each}`" for each in FILE_FIELDS)
    statuses = ", ".join(f"`{each}`" for each in STATUSES)
    rows = (
        ("inputs.<name>", "The input; absent if it is optional, has no default and was not given."),
        ("inputs.<name>.<field>", f"Of a file: {fields}. `path` is its place in the run's workspace."),
        ("steps.<id>.out.<field>", "What the step's tool answered; further `.field` and `[0]` lead into it."),
        ("steps.<id>.status", f"One of {statuses}."),
        ("steps.<id>.error", "Why the step failed; empty if it did not."),
        (
            "steps.<id>.out.each[0]",
            "Of a step made several times: what its first round answered; `{}` if it was skipped.",
        ),
        (
            "steps.<id>.out.each[0].<step>.out",
            "Where a round is several steps: what one of them answered in the first; likewise `status` and `error`.",
        ),
        ("steps.<id>.out.count", "How often it was made."),
        ("each", "In a step with `for-each`: the item; `each.field` leads into it."),
        (
            "look.out.<field>",
            "In `wait-until` and `repeat-until`: what the look or round has brought; likewise `look.status` and "
            "`look.error`.",
        ),
        ("failed.step", "In `on-failure` steps: the id of the step that failed."),
        ("failed.reason", "In `on-failure` steps: why it failed."),
    )
    lines = "".join(f"| `{path}` | {meaning} |\n" for path, meaning in rows)
    functions = ", ".join(f"`{each}`" for each in FUNCTIONS)
    methods = ", ".join(f"`{each}`" for each in METHODS)
    return (
        f"\n## Paths\n\nThe same in references and conditions.\n\n| path | what it is |\n|---|---|\n{lines}"
        f"\n## Functions of conditions\n\nCalled as `f(x)`: {functions}. Called as `x.f(…)`: {methods}.\n"
    )


if __name__ == "__main__":
    sys.stdout.write(page())
