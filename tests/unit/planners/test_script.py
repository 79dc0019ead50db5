"""A script as a model: how it takes its time to write."""

from typing import Any

import pytest

from core.planners import script
from core.planners.agents import ModelSpec


def spec(**turn: Any) -> ModelSpec:
    return ModelSpec("main", "script", "", None, None, None, 100, 10, None, 1.0, (turn,))


@pytest.mark.parametrize("text", ["One two  three.\n\n- four\n", " one ", "one"])
def test_a_text_is_written_word_by_word_in_the_time_it_says(text: str) -> None:
    pieces, pause_s = script.pieces(spec(seconds=3), 0, text)

    assert text == "".join(pieces)
    assert len(text.split()) == len(pieces)
    assert 3 == pytest.approx(pause_s * len(pieces))


@pytest.mark.parametrize(("turn", "position"), [({}, 0), ({"seconds": 0}, 0), ({"seconds": "soon"}, 0), ({}, 5)])
def test_without_a_time_it_is_there_at_once(turn: dict[str, Any], position: int) -> None:
    assert (["One two."], 0.0) == script.pieces(spec(**turn), position, "One two.")


def test_nothing_takes_longer_than_a_minute() -> None:
    assert 60.0 == script.pieces(spec(seconds=10_000), 0, "One.")[1]
