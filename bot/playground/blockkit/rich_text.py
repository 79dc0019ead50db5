"""Rich text: a tree of sections, lists, quotes and preformatted text over inline elements."""

from collections.abc import Mapping
from typing import Any

from bot.playground.blockkit.checker import Checker, Json

_INLINE: Mapping[str, tuple[str, str]] = {
    "text": ("type text", "style"),
    "link": ("type url", "text style unsafe"),
    "emoji": ("type name", "unicode skin_tone style url"),
    "user": ("type user_id", "style"),
    "usergroup": ("type usergroup_id", "style"),
    "channel": ("type channel_id", "style"),
    "broadcast": ("type range", "style"),
    "team": ("type team_id", "style"),
    "color": ("type value", "style"),
    "date": ("type timestamp format", "fallback url style"),
}
_STYLES = "bold italic strike code underline highlight client_highlight unlink"


def rich_text(c: Checker, value: Any, where: str, *, extra: str = "block_id") -> None:
    """A whole `rich_text` entity: a block, or the details of a task."""
    if not c.thing(value, where, "type elements", extra):
        return
    if value["type"] != "rich_text":
        c.fail(f"{where}/type", "must be a valid enum value: rich_text")
        return
    for at, one in enumerate(c.items(value, "elements", where, most=1000, least=0)):
        _structure(c, one, f"{where}/elements/{at}")


def _structure(c: Checker, value: Any, where: str) -> None:
    kind = value.get("type") if isinstance(value, dict) else None
    if kind == "rich_text_section":
        if c.thing(value, where, "type elements"):
            _inlines(c, value, where)
    elif kind == "rich_text_list":
        if c.thing(value, where, "type style elements", "indent offset border"):
            c.among(value, "style", where, ("bullet", "ordered"))
            c.whole(value, "indent", where, least=0, most=8)
            c.whole(value, "offset", where, least=0, most=100000)
            c.whole(value, "border", where, least=0, most=1)
            for at, one in enumerate(c.items(value, "elements", where, most=1000)):
                if isinstance(one, dict) and one.get("type") == "rich_text_section":
                    _structure(c, one, f"{where}/elements/{at}")
                else:
                    c.fail(f"{where}/elements/{at}/type", "must be a valid enum value: rich_text_section")
    elif kind == "rich_text_preformatted":
        if c.thing(value, where, "type elements", "border language"):
            c.whole(value, "border", where, least=0, most=1)
            _inlines(c, value, where, only=("text", "link"))
    elif kind == "rich_text_quote":
        if c.thing(value, where, "type elements", "border"):
            c.whole(value, "border", where, least=0, most=1)
            _inlines(c, value, where)
    else:
        c.fail(f"{where}/type", f"unsupported type: {kind}")


def _inlines(c: Checker, holder: Json, path: str, only: tuple[str, ...] = tuple(_INLINE)) -> None:
    for at, one in enumerate(c.items(holder, "elements", path, most=5000, least=0)):
        where = f"{path}/elements/{at}"
        kind = one.get("type") if isinstance(one, dict) else None
        if kind not in only:
            c.fail(f"{where}/type", f"unsupported type: {kind}")
            continue
        needed, optional = _INLINE[kind]
        c.thing(one, where, needed, optional)
        if kind == "text" and isinstance(one.get("text"), str):
            c.string(one, "text", where, most=40_000)
            c.text_total += len(one["text"])
        if kind == "link":
            c.string(one, "url", where, most=3000)
        style = one.get("style")
        if style is not None and c.thing(style, f"{where}/style", "", _STYLES):
            for name in style:
                c.flag(style, name, f"{where}/style")
