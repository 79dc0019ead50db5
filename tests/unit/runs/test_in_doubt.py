"""What is said of a call in doubt: what it was, what it left, and where to look; nothing that is not known."""

import json

import pytest

from core.runs.in_doubt import in_doubt
from core.runs.stored import Stored
from tests.factories import call_row, run_row


def kept(*names: str) -> list[Stored]:
    return [Stored(f"art_{name}", name, "0" * 64, 1, "text/plain") for name in names]


@pytest.mark.parametrize(
    ("action", "where"),
    [
        ({"network": [], "environment": "default"}, "Look at what it works on"),
        ({"network": ["pay.example.com:443"], "environment": "default"}, "Look at pay.example.com:443"),
        ({"network": ["a:1", "b:2", "c:3", "d:4"], "environment": "prod"}, "Look at a:1, b:2, c:3 and 1 more (prod)"),
        ({"environment": "prod"}, "Look at what it works on (prod)"),
    ],
)  # fmt: skip
def test_where_to_look_is_where_the_action_goes(action: dict[str, object], where: str) -> None:
    call = call_row(run_row(), tool="pay", step="transfer", envelope=json.dumps(action))

    said = in_doubt(call, "the line went dead.", [])

    assert said.startswith("`pay` in step `transfer` may or may not have run: the line went dead. Look at")
    assert where in said
    assert "It left" not in said


def test_files_an_attempt_left_are_named() -> None:
    said = in_doubt(call_row(run_row(), envelope="{}"), None, kept("a.txt", "b.txt"))

    assert "its outcome was lost. It left a.txt, b.txt. Look at" in said
