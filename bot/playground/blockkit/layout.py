"""The blocks themselves, and on which surface each may stand."""

from collections.abc import Callable, Mapping
from typing import Any

from bot.playground.blockkit import elements, newer, objects
from bot.playground.blockkit.checker import Checker, Json, Surface
from bot.playground.blockkit.rich_text import rich_text

_EVERYWHERE: frozenset[Surface] = frozenset({"message", "modal", "home"})
_MESSAGE: frozenset[Surface] = frozenset({"message"})
_MODAL: frozenset[Surface] = frozenset({"modal"})
_CONTAINABLE = frozenset(
    {"section", "header", "divider", "image", "context", "actions", "rich_text", "markdown", "table"}
)


def block(c: Checker, value: Any, where: str) -> None:
    """One block at `where`."""
    if not isinstance(value, dict):
        c.fail(where, "must be an object")
        return
    kind = value.get("type")
    if not isinstance(kind, str):
        c.fail(where, "missing required field: type")
        return
    if kind not in _BLOCKS:
        c.fail(f"{where}/type", f"unsupported type: {kind}")
        return
    check, surfaces = _BLOCKS[kind]
    if c.surface not in surfaces:
        c.fail(f"{where}/type", f"unsupported type: {kind} is not allowed in a {c.surface}")
        return
    c.string(value, "block_id", where, most=255)
    check(c, value, where)


def _section(c: Checker, value: Json, where: str) -> None:
    c.thing(value, where, "type", "block_id text fields accessory expand")
    if value.get("text") is None and value.get("fields") is None:
        c.fail(where, "missing required field: text")
    objects.text(c, value, "text", where, most=3000, plain=False)
    for at, field in enumerate(c.items(value, "fields", where, most=10)):
        objects.text_at(c, field, f"{where}/fields/{at}", most=2000)
    if value.get("accessory") is not None:
        elements.element(c, value["accessory"], f"{where}/accessory", elements.IN_SECTION)
    c.flag(value, "expand", where)


def _divider(c: Checker, value: Json, where: str) -> None:
    c.thing(value, where, "type", "block_id")


def _header(c: Checker, value: Json, where: str) -> None:
    c.thing(value, where, "type text", "block_id level")
    objects.text(c, value, "text", where, most=150)


def _image(c: Checker, value: Json, where: str) -> None:
    c.thing(value, where, "type alt_text", "block_id image_url slack_file title")
    c.string(value, "alt_text", where, most=2000)
    objects.text(c, value, "title", where, most=2000)
    objects.image_source(c, value, where)


def _context(c: Checker, value: Json, where: str) -> None:
    c.thing(value, where, "type elements", "block_id")
    for at, one in enumerate(c.items(value, "elements", where, most=10)):
        spot = f"{where}/elements/{at}"
        if isinstance(one, dict) and one.get("type") == "image":
            objects.image(c, one, spot)
        else:
            objects.text_at(c, one, spot, most=3000)


def _actions(c: Checker, value: Json, where: str) -> None:
    c.thing(value, where, "type elements", "block_id")
    seen: set[str] = set()
    for at, one in enumerate(c.items(value, "elements", where, most=25)):
        elements.element(c, one, f"{where}/elements/{at}", elements.IN_ACTIONS)
        action_id = one.get("action_id") if isinstance(one, dict) else None
        if isinstance(action_id, str):
            if action_id in seen:
                c.fail(f"{where}/elements/{at}/action_id", f"`action_id` {action_id} already exists in this block")
            seen.add(action_id)


def _input(c: Checker, value: Json, where: str) -> None:
    c.thing(value, where, "type label element", "block_id hint optional dispatch_action")
    objects.text(c, value, "label", where, most=2000)
    objects.text(c, value, "hint", where, most=2000)
    c.flag(value, "optional", where)
    c.flag(value, "dispatch_action", where)
    allowed = elements.IN_INPUT if c.surface == "modal" else elements.IN_INPUT - {"file_input"}
    if value.get("element") is not None:
        elements.element(c, value["element"], f"{where}/element", allowed)


def _markdown(c: Checker, value: Json, where: str) -> None:
    c.thing(value, where, "type text", "block_id")
    c.string(value, "text", where, most=12_000)
    if isinstance(value.get("text"), str):
        c.text_total += len(value["text"])
        c.markdown_total += len(value["text"])


def _file(c: Checker, value: Json, where: str) -> None:
    c.thing(value, where, "type external_id source", "block_id")
    c.among(value, "source", where, ("remote",))


def _video(c: Checker, value: Json, where: str) -> None:
    known = "author_name description provider_icon_url provider_name title_url"
    c.thing(value, where, "type alt_text title thumbnail_url video_url", f"block_id {known}")
    objects.text(c, value, "title", where, most=199)
    objects.text(c, value, "description", where, most=200)
    c.string(value, "author_name", where, most=49)


def _container(c: Checker, value: Json, where: str) -> None:
    known = "title rich_text_title subtitle width icon is_collapsible default_collapsed has_header_divider"
    c.thing(value, where, "type child_blocks", f"block_id {known}")
    if "title" not in value and "rich_text_title" not in value:
        c.fail(where, "missing required field: title")
    objects.text(c, value, "title", where, most=150)
    objects.text(c, value, "subtitle", where, most=150, plain=False)
    c.among(value, "width", where, ("narrow", "standard", "wide", "full"))
    if value.get("is_collapsible") is True and value.get("has_header_divider") is True:
        c.fail(f"{where}/has_header_divider", "cannot be set when is_collapsible is true")
    for at, child in enumerate(c.items(value, "child_blocks", where, most=10)):
        spot = f"{where}/child_blocks/{at}"
        kind = child.get("type") if isinstance(child, dict) else None
        if isinstance(kind, str) and kind in _CONTAINABLE:
            block(c, child, spot)
        else:
            c.fail(f"{spot}/type", f"unsupported type: {kind}")


_BLOCKS: Mapping[str, tuple[Callable[[Checker, Json, str], None], frozenset[Surface]]] = {
    "section": (_section, _EVERYWHERE),
    "divider": (_divider, _EVERYWHERE),
    "header": (_header, _EVERYWHERE),
    "image": (_image, _EVERYWHERE),
    "context": (_context, _EVERYWHERE),
    "actions": (_actions, _EVERYWHERE),
    "input": (_input, _EVERYWHERE),
    "rich_text": (rich_text, _EVERYWHERE),
    "video": (_video, _EVERYWHERE),
    "markdown": (_markdown, _MESSAGE),
    "file": (_file, _MESSAGE),
    "table": (newer.table, _MESSAGE),
    "data_table": (newer.data_table, _MESSAGE),
    "data_visualization": (newer.data_visualization, _MESSAGE),
    "task_card": (newer.task_card, _MESSAGE),
    "plan": (newer.plan, _MESSAGE),
    "context_actions": (newer.context_actions, _MESSAGE),
    "card": (newer.card, _MESSAGE),
    "carousel": (newer.carousel, _MESSAGE),
    "container": (_container, _MESSAGE),
    "alert": (newer.alert, _MODAL),
    "auth_provider": (newer.auth_provider, _MODAL),
}
