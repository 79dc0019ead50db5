"""A script takes its time to write."""

from typing import Any

import pytest

from core.planners.pace import MOST_SECONDS, pieces


@pytest.mark.parametrize("text", ["One two  three.\n\n- four\n", " one ", "one"])
def test_a_text_is_written_word_by_word_in_the_time_it_says(text: str) -> None:
    written, pause_s = pieces({"seconds": 3}, text)

    assert text == "".join(written)
    assert len(text.split()) == len(written)
    assert 3 == pytest.approx(pause_s * len(written))


@pytest.mark.parametrize("turn", [{}, {"seconds": 0}, {"seconds": "soon"}])
def test_without_a_time_it_is_there_at_once(turn: dict[str, Any]) -> None:
    assert (["One two."], 0.0) == pieces(turn, "One two.")


def test_nothing_takes_longer_than_a_minute() -> None:
    assert (["One."], MOST_SECONDS) == pieces({"seconds": 10_000}, "One.")
