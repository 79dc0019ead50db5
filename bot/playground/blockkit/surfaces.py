"""Whole payloads: the blocks of a message, a modal, a home tab.

What passes comes back with an id on every block and every element, as Slack hands them back.
"""

from collections.abc import Callable, Iterator
from typing import Any

from bot.playground.blockkit import layout, objects
from bot.playground.blockkit.checker import Checker, Json, Surface
from bot.playground.ids import short_id

MESSAGE_TEXT_LIMIT = 13_200
"""Nowhere documented; measured by others (github.com/slackapi/bolt-js issue 2509)."""
MARKDOWN_LIMIT = 12_000


class InvalidBlocks(Exception):
    """Slack would refuse this; `problems` says why, in Slack's manner."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class BlocksTooLong(Exception):
    """Each block is fine and together they are too much: `msg_blocks_too_long`."""


def check_blocks(blocks: list[Any], file_known: Callable[[Json], bool]) -> list[Json]:
    """The blocks of a message, completed with ids.

    Raises:
        InvalidBlocks: Something in them is against the rules.
        BlocksTooLong: Their texts sum to more than Slack carries.
    """
    checker = Checker("message", file_known)
    _check_list(checker, blocks, 50)
    if sum(1 for one in blocks if isinstance(one, dict) and one.get("type") == "table") > 1:
        checker.fail("/blocks", "only one table allowed per message")
    if checker.errors:
        raise InvalidBlocks(checker.errors)
    if checker.text_total > MESSAGE_TEXT_LIMIT or checker.markdown_total > MARKDOWN_LIMIT:
        raise BlocksTooLong
    return with_ids(blocks)


def check_view(view: Any, file_known: Callable[[Json], bool], *, home: bool) -> Json:
    """A modal or a home tab, completed as Slack returns it.

    Raises:
        InvalidBlocks: Something in it is against the rules.
    """
    surface: Surface = "home" if home else "modal"
    checker = Checker(surface, file_known)
    common = "private_metadata callback_id external_id"
    if home:
        checker.thing(view, "/view", "type blocks", common)
    else:
        checker.thing(
            view, "/view", "type title blocks", f"{common} close submit clear_on_close notify_on_close submit_disabled"
        )
    if not isinstance(view, dict):
        raise InvalidBlocks(checker.errors)
    if view.get("type") != surface:
        checker.fail("/view/type", f"must be a valid enum value: {surface}")
    for key in ("title", "submit", "close"):
        objects.text(checker, view, key, "/view", most=24)
    checker.string(view, "private_metadata", "/view", most=3000, least=0)
    checker.string(view, "callback_id", "/view", most=255, least=0)
    checker.string(view, "external_id", "/view", most=255, least=0)
    checker.flag(view, "clear_on_close", "/view")
    checker.flag(view, "notify_on_close", "/view")
    checker.flag(view, "submit_disabled", "/view")
    blocks = view.get("blocks")
    if isinstance(blocks, list):
        _check_list(checker, blocks, 100, "/view/blocks")
        has_input = any(isinstance(one, dict) and one.get("type") == "input" for one in blocks)
        if has_input and not home and view.get("submit") is None:
            checker.fail("/view/submit", "missing required field: submit is needed when blocks contain an input")
    elif blocks is not None:
        checker.fail("/view/blocks", "must be an array")
    if checker.errors:
        raise InvalidBlocks(checker.errors)
    completed: Json = {
        "private_metadata": "",
        "callback_id": "",
        "title": {"type": "plain_text", "text": "View Title", "emoji": True},
        "clear_on_close": False,
        "notify_on_close": False,
        "close": None,
        "submit": None,
        **{key: value for key, value in view.items() if key != "external_id"},
        "blocks": with_ids(view["blocks"]),
    }
    return completed


def _check_list(checker: Checker, blocks: list[Any], most: int, path: str = "/blocks") -> None:
    if len(blocks) > most:
        checker.fail(path, f"no more than {most} items allowed")
    seen: set[str] = set()
    for at, value in enumerate(blocks):
        layout.block(checker, value, f"{path}/{at}")
        block_id = value.get("block_id") if isinstance(value, dict) else None
        if isinstance(block_id, str):
            if block_id in seen:
                checker.fail(f"{path}/{at}/block_id", f"`block_id` {block_id} already exists")
            seen.add(block_id)


def with_ids(blocks: list[Any]) -> list[Json]:
    """A copy in which every block has a `block_id` and every interactive element an `action_id`."""
    out: list[Json] = []
    for value in blocks:
        one = {**value, "block_id": value.get("block_id") or short_id()}
        for key in ("elements", "actions"):
            if isinstance(one.get(key), list) and one["type"] != "rich_text":
                one[key] = [_with_action_id(element) for element in one[key]]
        for key in ("accessory", "element"):
            if isinstance(one.get(key), dict):
                one[key] = _with_action_id(one[key])
        if isinstance(one.get("child_blocks"), list):
            one["child_blocks"] = with_ids(one["child_blocks"])
        out.append(one)
    return out


_PASSIVE = frozenset({"image", "plain_text", "mrkdwn"})


def _with_action_id(element: Json) -> Json:
    if element.get("type") == "card":
        return with_ids([element])[0]
    if element.get("type") in _PASSIVE or "action_id" in element:
        return element
    return {**element, "action_id": short_id()}


def interactive_elements(blocks: list[Json]) -> Iterator[tuple[Json, Json]]:
    """Every `(block, element)` a person can use, in order, those of containers and cards included."""
    for one in blocks:
        candidates = [
            *(one.get("elements") or []),
            *(one.get("actions") or []),
            one.get("accessory"),
            one.get("element"),
        ]
        for element in candidates:
            if isinstance(element, dict) and "action_id" in element:
                yield one, element
            elif isinstance(element, dict) and element.get("type") == "card":
                yield from interactive_elements([element])
        yield from interactive_elements(one.get("child_blocks") or [])
