"""Slack's limits, and the check that a payload keeps them before it is sent.

Builders stay below these by construction; the client asks `problems` once more, since a payload Slack refuses is a
run nobody sees. Only the block types we build are known here: anything else is a problem, so no text can smuggle a
block in.

Numbers: https://docs.slack.dev/reference/block-kit/blocks/ and the page of each block or element below it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from bot.blocks.text import length

Surface = Literal["message", "modal", "home"]

MESSAGE_BLOCKS = 50
VIEW_BLOCKS = 100
"""Of a modal and of App Home. https://docs.slack.dev/reference/views/"""
ACTIONS_ELEMENTS = 25
CONTEXT_ELEMENTS = 10
SECTION_TEXT = 3000
HEADER_TEXT = 150
CONTEXT_TEXT = 2000
BUTTON_TEXT = 75
BUTTON_VALUE = 2000
IDENTIFIER = 255
"""Of `action_id`, `block_id` and `callback_id`."""
CONFIRM_TITLE = 100
CONFIRM_TEXT = 300
CONFIRM_BUTTON = 30
VIEW_TITLE = 24
"""Of a modal's title, submit and close texts alike."""
PRIVATE_METADATA = 3000
INPUT_LABEL = 2000
INPUT_HINT = 2000
INPUT_VALUE = 3000
PLACEHOLDER = 150
OPTIONS = 100
RADIO_OPTIONS = 10
MENU_OPTIONS = 5
OPTION_TEXT = 75
OPTION_VALUE = 150
FALLBACK_TEXT = 4000
"""`text` of a message, as Slack recommends. https://docs.slack.dev/reference/methods/chat.postMessage"""
MESSAGE_CHARS = 12_000
"""All texts of one message together; undocumented, Slack answers `msg_blocks_too_long` a little above 13,000."""
MARKDOWN_TEXT = 12_000
"""Of all `markdown` blocks of a message, and of one piece of a stream.
https://docs.slack.dev/reference/block-kit/blocks/markdown-block/"""
VIEW_CHARS = 40_000
FILE_INPUT_BYTES = 10_000_000
"""Largest file Slack's `file_input` takes. https://docs.slack.dev/reference/block-kit/block-elements/file-input-element/"""

_BUDGET: Mapping[Surface, tuple[int, int]] = {
    "message": (MESSAGE_BLOCKS, MESSAGE_CHARS),
    "modal": (VIEW_BLOCKS, VIEW_CHARS),
    "home": (VIEW_BLOCKS, VIEW_CHARS),
}
_RICH_PARTS = frozenset({"rich_text_section", "rich_text_preformatted", "rich_text_quote"})
_RICH_LEAVES = frozenset({"text", "user", "channel", "date", "emoji", "link"})


def problems(blocks: Sequence[Mapping[str, Any]], surface: Surface = "message") -> list[str]:
    """Say everything Slack would refuse about `blocks`, one sentence each; empty if nothing."""
    most_blocks, most_chars = _BUDGET[surface]
    found = list(_at_most("blocks", len(blocks), most_blocks))
    if not blocks:
        found.append("no blocks at all")
    for at, block in enumerate(blocks):
        found += [f"block {at} ({block.get('type')}): {text}" for text in _block(block, surface)]
    found += _at_most("characters in all texts", sum(length(text) for text in _texts(blocks)), most_chars)
    ids = [block["block_id"] for block in blocks if "block_id" in block]
    if len(ids) != len(set(ids)):
        found.append("two blocks have the same block_id")
    return found


def view_problems(view: Mapping[str, Any]) -> list[str]:
    """Say everything Slack would refuse about a modal or a Home view."""
    surface: Surface = "home" if view.get("type") == "home" else "modal"
    found = problems(view.get("blocks", ()), surface)
    found += _at_most("private_metadata", length(view.get("private_metadata", "")), PRIVATE_METADATA)
    found += _at_most("callback_id", length(view.get("callback_id", "")), IDENTIFIER)
    if surface == "modal":
        for part in ("title", "submit", "close"):
            if part in view or part == "title":
                found += [f"{part}: {text}" for text in _text_object(view.get(part), VIEW_TITLE)]
        if "submit" not in view and any(block.get("type") == "input" for block in view.get("blocks", ())):
            found.append("a modal with inputs needs a submit text")
    return found


def _block(block: Mapping[str, Any], surface: Surface) -> Iterator[str]:
    yield from _at_most("block_id", length(block.get("block_id", "")), IDENTIFIER)
    match block.get("type"):
        case "header":
            yield from _text_object(block.get("text"), HEADER_TEXT)
        case "section":
            yield from _text_object(block.get("text"), SECTION_TEXT)
        case "divider":
            return
        case "context":
            elements = block.get("elements", ())
            yield from _between("elements", len(elements), 1, CONTEXT_ELEMENTS)
            for element in elements:
                yield from _text_object(element, CONTEXT_TEXT)
        case "actions":
            elements = block.get("elements", ())
            yield from _between("elements", len(elements), 1, ACTIONS_ELEMENTS)
            for element in elements:
                yield from _menu(element) if element.get("type") == "overflow" else _button(element)
            ids = [element.get("action_id") for element in elements]
            if len(ids) != len(set(ids)):
                yield "two buttons have the same action_id"
        case "markdown" if surface == "message":
            yield from _between("a text", length(block.get("text", "")), 1, MARKDOWN_TEXT)
        case "rich_text":
            yield from _rich(block.get("elements", ()))
        case "input" if surface == "modal":
            yield from _input(block)
        case other:
            yield f"{other!r} is not a block we send to a {surface}"


def _rich(parts: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not parts:
        yield "rich text without parts"
    for part in parts:
        if part.get("type") not in _RICH_PARTS:
            yield f"{part.get('type')!r} is not a part of rich text we send"
            continue
        if not part.get("elements"):
            yield "an empty part of rich text"
        for leaf in part.get("elements", ()):
            kind = leaf.get("type")
            if kind not in _RICH_LEAVES:
                yield f"{kind!r} is not a rich text element we send"
            if kind == "link" and not str(leaf.get("url", "")).startswith(("https://", "http://127.0.0.1:")):
                yield "a link that leads neither to Slack nor to the playground"
            if kind == "text":
                yield from _between("a text", length(leaf.get("text", "")), 1, SECTION_TEXT)


def _menu(element: Mapping[str, Any]) -> Iterator[str]:
    options = element.get("options", ())
    yield from _between("action_id", length(element.get("action_id", "")), 1, IDENTIFIER)
    yield from _between("options", len(options), 1, MENU_OPTIONS)
    yield from _options(options)


def _options(options: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for option in options:
        yield from _text_object(option.get("text"), OPTION_TEXT)
        yield from _between("option value", length(option.get("value", "")), 1, OPTION_VALUE)


def _button(element: Mapping[str, Any]) -> Iterator[str]:
    if element.get("type") != "button":
        yield f"{element.get('type')!r} is not an element we send"
        return
    yield from _text_object(element.get("text"), BUTTON_TEXT)
    yield from _between("action_id", length(element.get("action_id", "")), 1, IDENTIFIER)
    yield from _between("value", length(element.get("value", "")), 1, BUTTON_VALUE)
    if confirm := element.get("confirm"):
        for part, limit in (
            ("title", CONFIRM_TITLE),
            ("text", CONFIRM_TEXT),
            ("confirm", CONFIRM_BUTTON),
            ("deny", CONFIRM_BUTTON),
        ):
            yield from (f"confirm {part}: {text}" for text in _text_object(confirm.get(part), limit))


def _input(block: Mapping[str, Any]) -> Iterator[str]:
    yield from _text_object(block.get("label"), INPUT_LABEL)
    if "hint" in block:
        yield from _text_object(block["hint"], INPUT_HINT)
    element = block.get("element", {})
    yield from _between("action_id", length(element.get("action_id", "")), 1, IDENTIFIER)
    if "placeholder" in element:
        yield from _text_object(element["placeholder"], PLACEHOLDER)
    yield from _at_most("initial_value", length(element.get("initial_value", "")), INPUT_VALUE)
    kind = element.get("type")
    if kind in {"static_select", "radio_buttons"}:
        options = element.get("options", ())
        yield from _between("options", len(options), 1, OPTIONS if kind == "static_select" else RADIO_OPTIONS)
        yield from _options(options)
        if "initial_option" in element and element["initial_option"] not in options:
            yield "initial_option is not one of the options"
    elif kind not in {"plain_text_input", "number_input", "file_input"}:
        yield f"{kind!r} is not an input we send"


def _text_object(value: Any, limit: int) -> Iterator[str]:  # Any: it may be whatever a wrong builder put there
    if not isinstance(value, Mapping) or value.get("type") not in {"plain_text", "mrkdwn"}:
        yield "not a text object"
        return
    yield from _between("a text", length(value.get("text", "")), 1, limit)


def _between(what: str, number: int, least: int, most: int) -> Iterator[str]:
    if number < least:
        yield f"{what}: {number}, Slack wants at least {least}"
    yield from _at_most(what, number, most)


def _at_most(what: str, number: int, most: int) -> Iterator[str]:
    if number > most:
        yield f"{what}: {number}, Slack takes {most}"


def _texts(value: Any) -> Iterable[str]:  # Any: walks JSON
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key in {"text", "fallback", "initial_value"} and isinstance(inner, str):
                yield inner
            else:
                yield from _texts(inner)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for inner in value:
            yield from _texts(inner)
