"""A script says what came of its calls, leaves out what does not apply, and ends with its last words."""

import json
from typing import Any

import pytest

from core.errors import TerminalError
from core.planners.agents import ModelSpec
from core.planners.dialogue import Answer, Prompt, Returned, Told
from core.planners.script import answer
from core.planners.thinking import ModelFailed

LOOK = {"calls": [{"id": "look", "tool": "files.read", "with": {"path": "a.txt"}}]}
WRITE = {
    "if": "steps.look.status == 'succeeded' && steps.look.out.size > 0",
    "calls": [
        {"id": "write", "tool": "files.write", "with": {"path": "b.txt", "content": "${{ steps.look.out.text }}!"}}
    ],
}
DONE = {"if": "steps.write.status == 'succeeded'", "text": "Wrote ${{ steps.look.out.size }} bytes."}
NOT_DONE = {"if": "steps.write.status != 'succeeded'", "text": "Nothing written: ${{ steps.look.error }}"}
STORY = (LOOK, WRITE, DONE, NOT_DONE)


class Talk:
    """A conversation with a script; a test says what comes back for its calls."""

    def __init__(self, *turns: dict[str, Any]) -> None:
        self.spec = ModelSpec("demo", "script", "", None, None, None, 100_000, 1_000, None, 20.0, turns)
        self.said: list[Told | Answer | Returned] = [Told("Do it.")]
        self.answers = 0

    def next(self) -> Answer:
        given = answer(self.spec, Prompt("", tuple(self.said), ()), self.answers + 1, self.answers).answer
        self.said.append(given)
        self.answers += 1
        return given

    def back(self, content: Any, *, ok: bool = True) -> None:
        last = next(each for each in reversed(self.said) if isinstance(each, Answer))
        text = json.dumps(content) if ok else str(content)
        self.said.append(Returned(last.calls[0].id, last.calls[0].tool, text, ok))


def test_what_a_call_brought_goes_into_the_next_one_and_into_words() -> None:
    talk = Talk(*STORY)
    talk.next()
    talk.back({"text": "hello", "size": 5})

    assert {"path": "b.txt", "content": "hello!"} == dict(talk.next().calls[0].args)
    talk.back({})
    assert "Wrote 5 bytes." == talk.next().text


@pytest.mark.parametrize(
    ("came", "ok", "said"), [("no such file", False, "no such file"), ({"text": "", "size": 0}, True, "")]
)
def test_a_turn_whose_condition_does_not_hold_is_left_out(came: Any, ok: bool, said: str) -> None:
    talk = Talk(*STORY)
    talk.next()
    talk.back(came, ok=ok)

    assert f"Nothing written: {said}" == talk.next().text


def test_after_its_end_it_says_its_last_words_again() -> None:
    talk = Talk({"text": "That is all."})

    assert ["That is all."] * 3 == [talk.next().text for _ in range(3)]
    assert "The script has no more turns." == Talk().next().text


def test_what_came_back_is_never_read_as_a_part_of_the_script() -> None:
    talk = Talk(LOOK, {"text": "${{ steps.look.out.text }}"})
    talk.next()
    talk.back({"text": "${{ steps.look.out.size }}", "size": 1})

    assert "${{ steps.look.out.size }}" == talk.next().text


def test_a_result_that_was_too_long_to_be_given_is_not_there() -> None:
    talk = Talk(LOOK, {"if": "steps.look.out.size > 0", "text": "long"}, {"text": "unknown"})
    talk.next()
    talk.said.append(Returned("s1_0", "files.read", '{"text": "aaa\n[90 more characters are not shown]', True))

    assert "unknown" == talk.next().text


def test_turns_that_were_summed_up_are_behind_it() -> None:
    talk = Talk({"text": "one"}, {"text": "two"}, {"text": "three"})
    talk.answers = 2

    assert "three" == talk.next().text


@pytest.mark.parametrize(
    "turn",
    [
        {"text": "${{ steps.look.out.text }}"},
        {"text": "${{ nothing }"},
        {"if": "steps.look.status ==", "text": "x"},
        {"calls": [{"with": {}}]},
        {"calls": ["look"]},
        {"plan": [{"title": "x", "status": "odd"}]},
    ],
)
def test_a_turn_that_cannot_be_said_is_named(turn: dict[str, Any]) -> None:
    with pytest.raises(TerminalError, match=r"script `demo`"):
        Talk(turn).next()


def test_a_turn_fails_as_a_vendors_would() -> None:
    with pytest.raises(ModelFailed) as busy:
        Talk({"error": "busy"}).next()
    with pytest.raises(ModelFailed) as refused:
        Talk({"error": "refused"}).next()

    assert (True, False) == (busy.value.again, refused.value.again)
