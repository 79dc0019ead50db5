"""The check before sending finds what Slack would refuse; each rule is broken once."""

from collections.abc import Callable
from typing import Any

import pytest

from bot.blocks import bounds
from bot.blocks.elements import actions, button, confirmation, context, header, line, rich, unparsed, word


def _with(block: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**block, **changes}


ROW = rich(line(word("a")))
CLICK = button("Kill", "run_kill", "run_1", confirm=confirmation("a", "b", "c", "d"))
INPUT = {"type": "input", "label": unparsed("a", 9), "element": {"type": "plain_text_input", "action_id": "a"}}
OPTION = {"text": unparsed("a", 9), "value": "a"}

BROKEN: list[tuple[list[Any], str]] = [
    ([], "no blocks at all"),
    ([ROW] * 51, "blocks: 51, Slack takes 50"),
    ([{"type": "image"}], "'image' is not a block we send to a message"),
    ([INPUT], "'input' is not a block we send to a message"),
    ([_with(ROW, block_id="x" * 256)], "block_id: 256, Slack takes 255"),
    ([_with(ROW, block_id="x"), _with(ROW, block_id="x")], "two blocks have the same block_id"),
    ([_with(header("a"), text=unparsed("x" * 151, 200))], "a text: 151, Slack takes 150"),
    ([_with(header("a"), text="a")], "not a text object"),
    ([_with(context(word("a")), elements=[])], "elements: 0, Slack wants at least 1"),
    ([_with(context(word("a")), elements=[unparsed("a", 9)] * 11)], "elements: 11, Slack takes 10"),
    ([{"type": "actions", "elements": [CLICK]} | {"elements": [CLICK, CLICK]}], "two buttons have the same action_id"),
    ([{"type": "actions", "elements": [{"type": "datepicker"}]}], "'datepicker' is not an element we send"),
    ([actions(_with(CLICK, value=""))], "value: 0, Slack wants at least 1"),
    ([actions(_with(CLICK, value="x" * 2001))], "value: 2001, Slack takes 2000"),
    ([actions(_with(CLICK, text=unparsed("x" * 76, 99)))], "a text: 76, Slack takes 75"),
    (
        [actions(_with(CLICK, confirm=_with(CLICK["confirm"], text=unparsed("x" * 301, 400))))],
        "confirm text: a text: 301",
    ),
    ([_with(ROW, elements=[])], "rich text without parts"),
    (
        [_with(ROW, elements=[{"type": "rich_text_list", "elements": [word("a")]}])],
        "is not a part of rich text we send",
    ),
    ([_with(ROW, elements=[line()])], "an empty part of rich text"),
    ([rich(line({"type": "usergroup", "id": "S1"}))], "'usergroup' is not a rich text element we send"),
    ([rich(line({"type": "link", "url": "javascript:x"}))], "a link that leads neither to Slack nor to the playground"),
    ([rich(line({"type": "broadcast", "range": "channel"}))], "'broadcast' is not a rich text element we send"),
    ([rich(line({"type": "text", "text": ""}))], "a text: 0, Slack wants at least 1"),
    ([rich(line({"type": "text", "text": "x" * 3001}))], "a text: 3001, Slack takes 3000"),
    ([rich(line(word("x" * 2900)))] * 5, "characters in all texts: 14500, Slack takes 12000"),
]


@pytest.mark.parametrize(("blocks", "complaint"), BROKEN, ids=[complaint for _, complaint in BROKEN])
def test_a_broken_message_is_named(blocks: list[Any], complaint: str) -> None:
    assert any(complaint in problem for problem in bounds.problems(blocks)), bounds.problems(blocks)


def test_a_good_message_passes() -> None:
    assert [] == bounds.problems([header("a"), ROW, context(word("a")), {"type": "actions", "elements": [CLICK]}])


def _select(**changes: Any) -> dict[str, Any]:
    return {"type": "static_select", "action_id": "a", "options": [OPTION]} | changes


def _modal(**changes: Any) -> dict[str, Any]:
    return {"type": "modal", "title": unparsed("a", 9), "submit": unparsed("a", 9), "blocks": [INPUT]} | changes


MODALS: list[tuple[Callable[[], dict[str, Any]], str]] = [
    (lambda: _modal(title=unparsed("x" * 25, 99)), "title: a text: 25, Slack takes 24"),
    (lambda: _modal(private_metadata="x" * 3001), "private_metadata: 3001, Slack takes 3000"),
    (lambda: _modal(callback_id="x" * 256), "callback_id: 256, Slack takes 255"),
    (lambda: _modal(blocks=[ROW] * 101), "blocks: 101, Slack takes 100"),
    (lambda: {key: value for key, value in _modal().items() if key != "submit"}, "needs a submit text"),
    (lambda: _modal(blocks=[INPUT | {"element": {"type": "datepicker", "action_id": "a"}}]), "is not an input we send"),
    (lambda: _modal(blocks=[INPUT | {"hint": unparsed("x" * 2001, 3000)}]), "a text: 2001, Slack takes 2000"),
    (lambda: _modal(blocks=[INPUT | {"element": _select(options=[])}]), "options: 0, Slack wants at least 1"),
    (lambda: _modal(blocks=[INPUT | {"element": _select(options=[OPTION] * 101)}]), "options: 101, Slack takes 100"),
    (
        lambda: _modal(blocks=[INPUT | {"element": _select(initial_option={})}]),
        "initial_option is not one of the options",
    ),
]


@pytest.mark.parametrize(("view", "complaint"), MODALS, ids=[complaint for _, complaint in MODALS])
def test_a_broken_modal_is_named(view: Callable[[], dict[str, Any]], complaint: str) -> None:
    assert any(complaint in problem for problem in bounds.view_problems(view())), bounds.view_problems(view())


def test_a_good_modal_passes() -> None:
    assert [] == bounds.view_problems(_modal(blocks=[INPUT, INPUT | {"element": _select(initial_option=OPTION)}]))
