"""Composition objects: texts, options, confirmations, images, filters. https://docs.slack.dev/reference/block-kit/"""

import ipaddress
from typing import Any
from urllib.parse import urlsplit

from bot.playground.blockkit.checker import Checker, Json


def text(c: Checker, holder: Json, key: str, path: str, *, most: int, plain: bool = True, least: int = 1) -> None:
    """A text object under `key`, if there is one. `plain` allows `plain_text` only."""
    value = holder.get(key)
    if value is None:
        return
    where = f"{path}/{key}"
    text_at(c, value, where, most=most, plain=plain, least=least)


def text_at(c: Checker, value: Any, where: str, *, most: int, plain: bool = False, least: int = 1) -> None:
    """A text object that stands at `where`."""
    if not isinstance(value, dict):
        c.fail(where, "must be an object")
        return
    kind = value.get("type")
    allowed = ("plain_text",) if plain else ("plain_text", "mrkdwn")
    if kind not in allowed:
        c.fail(f"{where}/type", f"must be a valid enum value: {', '.join(allowed)}")
        return
    c.thing(value, where, "type text", "emoji" if kind == "plain_text" else "verbatim")
    c.string(value, "text", where, most=most, least=least)
    c.flag(value, "emoji", where)
    c.flag(value, "verbatim", where)
    if isinstance(value.get("text"), str):
        c.text_total += len(value["text"])


def option(c: Checker, value: Any, where: str, *, plain: bool, with_url: bool = False) -> None:
    if not c.thing(value, where, "text value", "description url" if with_url else "description"):
        return
    text(c, value, "text", where, most=75, plain=plain)
    c.string(value, "value", where, most=150)
    text(c, value, "description", where, most=75, plain=plain)
    c.string(value, "url", where, most=3000)


def options(c: Checker, holder: Json, path: str, *, most: int, plain: bool = True, with_url: bool = False) -> None:
    """`options` of a holder, each with a value of its own."""
    seen: set[str] = set()
    for at, one in enumerate(c.items(holder, "options", path, most=most)):
        option(c, one, f"{path}/options/{at}", plain=plain, with_url=with_url)
        value = one.get("value") if isinstance(one, dict) else None
        if isinstance(value, str):
            if value in seen:
                c.fail(f"{path}/options/{at}/value", "duplicate option value")
            seen.add(value)


def option_groups(c: Checker, holder: Json, path: str) -> None:
    for at, group in enumerate(c.items(holder, "option_groups", path, most=100)):
        where = f"{path}/option_groups/{at}"
        if c.thing(group, where, "label options"):
            text(c, group, "label", where, most=75)
            options(c, group, where, most=100)


def confirm(c: Checker, holder: Json, path: str) -> None:
    value = holder.get("confirm")
    if value is None:
        return
    where = f"{path}/confirm"
    if c.thing(value, where, "title text", "confirm deny style"):
        text(c, value, "title", where, most=100)
        text(c, value, "text", where, most=300, plain=False)
        text(c, value, "confirm", where, most=30)
        text(c, value, "deny", where, most=30)
        c.among(value, "style", where, ("primary", "danger"))


def image_source(c: Checker, value: Json, path: str) -> None:
    """`image_url` or `slack_file`, which Slack has to be able to fetch."""
    if ("image_url" in value) == ("slack_file" in value):
        c.fail(path, "exactly one of image_url and slack_file is required")
        return
    c.string(value, "image_url", path, most=3000)
    url = value.get("image_url")
    if isinstance(url, str) and not _fetchable(url):
        # Slack fetches the picture itself, from outside; it cannot see the loopback interface or a private network.
        c.fail(f"{path}/image_url", "downloading image failed")
    source = value.get("slack_file")
    if source is None:
        return
    where = f"{path}/slack_file"
    if not isinstance(source, dict) or len(source) != 1 or next(iter(source)) not in ("id", "url"):
        c.fail(where, "must have exactly one of id and url")
    elif not c.file_known(source):
        c.fail(where, "invalid slack file")


def _fetchable(url: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return False
    if parts.hostname == "localhost" or parts.hostname.endswith(".localhost"):
        return False
    try:
        return ipaddress.ip_address(parts.hostname).is_global
    except ValueError:
        return True


def image(c: Checker, value: Any, where: str) -> None:
    """An image element, in a context block or as an accessory."""
    if c.thing(value, where, "type alt_text", "image_url slack_file"):
        c.string(value, "alt_text", where, most=2000)
        image_source(c, value, where)


def conversation_filter(c: Checker, holder: Json, path: str) -> None:
    value = holder.get("filter")
    if value is None:
        return
    where = f"{path}/filter"
    if c.thing(value, where, "", "include exclude_external_shared_channels exclude_bot_users"):
        for at, kind in enumerate(c.items(value, "include", where, most=4)):
            if kind not in ("im", "mpim", "private", "public"):
                c.fail(f"{where}/include/{at}", "must be a valid enum value: im, mpim, private, public")


def dispatch_config(c: Checker, holder: Json, path: str) -> None:
    value = holder.get("dispatch_action_config")
    if value is None:
        return
    where = f"{path}/dispatch_action_config"
    if c.thing(value, where, "trigger_actions_on"):
        for at, kind in enumerate(c.items(value, "trigger_actions_on", where, most=2)):
            if kind not in ("on_enter_pressed", "on_character_entered"):
                c.fail(f"{where}/trigger_actions_on/{at}", "must be a valid enum value")
