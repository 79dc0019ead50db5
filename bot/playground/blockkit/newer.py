"""Blocks that came with agents: tasks, plans, alerts, cards, containers, tables."""

from typing import Any

from bot.playground.blockkit import elements, objects
from bot.playground.blockkit.checker import Checker, Json
from bot.playground.blockkit.rich_text import rich_text

_TASK_STATES = ("pending", "in_progress", "complete", "error")


def task_card(c: Checker, value: Json, where: str) -> None:
    if not c.thing(value, where, "type task_id title status", "block_id details output sources"):
        return
    if value["type"] != "task_card":
        c.fail(f"{where}/type", "must be a valid enum value: task_card")
    c.string(value, "task_id", where, most=255)
    c.string(value, "title", where, most=256)
    c.among(value, "status", where, _TASK_STATES)
    for key in ("details", "output"):
        if key in value:
            rich_text(c, value[key], f"{where}/{key}")
    for at, source in enumerate(c.items(value, "sources", where, most=20, least=0)):
        if c.thing(source, f"{where}/sources/{at}", "type url text"):
            c.among(source, "type", f"{where}/sources/{at}", ("url",))
            c.string(source, "url", f"{where}/sources/{at}", most=3000)


def plan(c: Checker, value: Json, where: str) -> None:
    c.thing(value, where, "type title", "block_id tasks")
    c.string(value, "title", where, most=256)
    for at, task in enumerate(c.items(value, "tasks", where, most=50, least=0)):
        task_card(c, task, f"{where}/tasks/{at}")


def alert(c: Checker, value: Json, where: str) -> None:
    c.thing(value, where, "type text", "block_id level")
    objects.text(c, value, "text", where, most=200, plain=False)
    c.among(value, "level", where, ("default", "info", "warning", "error", "success"))


def context_actions(c: Checker, value: Json, where: str) -> None:
    c.thing(value, where, "type elements", "block_id")
    for at, one in enumerate(c.items(value, "elements", where, most=5)):
        elements.element(c, one, f"{where}/elements/{at}", elements.IN_CONTEXT_ACTIONS)


def card(c: Checker, value: Any, where: str) -> None:
    if not c.thing(value, where, "type", "block_id hero_image icon slack_icon title subtitle body actions"):
        return
    if not any(key in value for key in ("hero_image", "title", "actions", "body")):
        c.fail(where, "one of hero_image, title, actions and body is required")
    for key in ("hero_image", "icon"):
        if key in value:
            objects.image(c, value[key], f"{where}/{key}")
    for key, most in (("title", 150), ("subtitle", 150), ("body", 200)):
        objects.text(c, value, key, where, most=most, plain=False)
    for at, one in enumerate(c.items(value, "actions", where, most=5)):
        elements.element(c, one, f"{where}/actions/{at}", elements.IN_CARD)


def carousel(c: Checker, value: Json, where: str) -> None:
    c.thing(value, where, "type elements", "block_id")
    for at, one in enumerate(c.items(value, "elements", where, most=10)):
        if isinstance(one, dict) and one.get("type") == "card":
            card(c, one, f"{where}/elements/{at}")
        else:
            c.fail(f"{where}/elements/{at}/type", "must be a valid enum value: card")


def table(c: Checker, value: Json, where: str) -> None:
    c.thing(value, where, "type rows", "block_id column_settings")
    for at, row in enumerate(c.items(value, "rows", where, most=100)):
        if not isinstance(row, list) or not 1 <= len(row) <= 20:
            c.fail(f"{where}/rows/{at}", "must be an array of 1 to 20 cells")
            continue
        for column, cell in enumerate(row):
            _cell(c, cell, f"{where}/rows/{at}/{column}")
    for at, setting in enumerate(c.items(value, "column_settings", where, most=20, least=0)):
        if setting is not None and c.thing(setting, f"{where}/column_settings/{at}", "", "align is_wrapped"):
            c.among(setting, "align", f"{where}/column_settings/{at}", ("left", "center", "right"))
            c.flag(setting, "is_wrapped", f"{where}/column_settings/{at}")


def _cell(c: Checker, cell: Any, where: str) -> None:
    kind = cell.get("type") if isinstance(cell, dict) else None
    if kind == "rich_text":
        rich_text(c, cell, where)
    elif kind == "raw_text":
        c.thing(cell, where, "type text")
        c.string(cell, "text", where, most=3000, least=0)
        c.text_total += len(str(cell.get("text", "")))
    elif kind == "raw_number":
        c.thing(cell, where, "type value", "text")
    else:
        c.fail(f"{where}/type", f"unsupported type: {kind}")


def data_table(c: Checker, value: Json, where: str) -> None:
    c.thing(value, where, "type rows caption", "block_id page_size row_header_column_index")
    c.string(value, "caption", where, most=2000)
    c.whole(value, "page_size", where, least=1, most=100)
    c.whole(value, "row_header_column_index", where, least=0, most=19)
    width: int | None = None
    for at, row in enumerate(c.items(value, "rows", where, most=101, least=2)):
        spot = f"{where}/rows/{at}"
        if not isinstance(row, list) or not 1 <= len(row) <= 20:
            c.fail(spot, "must be an array of 1 to 20 cells")
            continue
        width = len(row) if width is None else width
        if len(row) != width:
            c.fail(spot, "all rows must have the same number of cells")
        for column, cell in enumerate(row):
            if at == 0 and isinstance(cell, dict) and cell.get("type") == "rich_text":
                c.fail(f"{spot}/{column}/type", "rich_text is not allowed in the header row")
            _cell(c, cell, f"{spot}/{column}")


def data_visualization(c: Checker, value: Json, where: str) -> None:
    c.thing(value, where, "type chart", "block_id title")


def auth_provider(c: Checker, value: Json, where: str) -> None:
    known = "auth_url disconnect_url description icon_url connected_identity connected_context accessory action_id"
    c.thing(value, where, "type value name is_connected", f"block_id {known}")
    c.string(value, "value", where, most=150)
    objects.text(c, value, "name", where, most=75)
    c.flag(value, "is_connected", where)
