"""Text as people type it: turned into Slack's mrkdwn source, and from there into a `rich_text` block.

Slack's own composer does this before a message exists: it escapes `& < >`, and makes mentions, channels and links of
what is written as such. Text that was composed already stays as it is, so a page may do it too.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

_TOKEN = re.compile(r"<([@#!][A-Za-z0-9^|_. -]+|(?:https?|mailto):[^<>|\s]+(?:\|[^<>]*)?)>")
_CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
_BARE_AMPERSAND = re.compile(r"&(?!(?:amp|lt|gt);)")
_EVERYONE = frozenset({"here", "channel", "everyone"})
_LINK = re.compile(r"https?://[^\s<>|]+[^\s<>|.,;:!?)\]}'\"]")
_MENTION = re.compile(r"(?<![\w@#/])([@#])([a-z0-9][a-z0-9._-]{0,79})")


def escape(text: str) -> str:
    """`& < >` as entities; entities that are there already stay."""
    return _BARE_AMPERSAND.sub("&amp;", text).replace("<", "&lt;").replace(">", "&gt;")


def stored_bytes(text: str) -> int:
    """How long an app's text is where Slack keeps it: UTF-8, with bare ampersands escaped."""
    return len(_BARE_AMPERSAND.sub("&amp;", text).encode())


def unescape(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def compose(typed: str, people: Mapping[str, str], channels: Mapping[str, str], known: Callable[[str], bool]) -> str:
    """What Slack stores for what a person typed.

    Args:
        typed: Raw text; `@name`, `#name`, `@here` and bare links are recognised, and so is `<@U…>` for an id that
            exists. Nothing inside backticks is.
        people: User ids by name. `channels`: channel ids by name.
        known: Whether an id in a ready-made token exists; tokens that do not are escaped like other text.
    """
    out, at = [], 0
    for code in _CODE.finditer(typed):
        out += [_compose_prose(typed[at : code.start()], people, channels, known), escape(code.group(0))]
        at = code.end()
    return "".join([*out, _compose_prose(typed[at:], people, channels, known)])


def _compose_prose(
    typed: str, people: Mapping[str, str], channels: Mapping[str, str], known: Callable[[str], bool]
) -> str:
    out, at = [], 0
    for token in _TOKEN.finditer(typed):
        inner = token.group(1)
        target = inner.lstrip("@#").partition("|")[0]
        if inner[0] in "@#" and not known(target):
            continue
        out += [_compose_plain(typed[at : token.start()], people, channels), token.group(0)]
        at = token.end()
    return "".join([*out, _compose_plain(typed[at:], people, channels)])


def _compose_plain(text: str, people: Mapping[str, str], channels: Mapping[str, str]) -> str:
    def mention(match: re.Match[str]) -> str:
        sign, name = match.groups()
        table = people if sign == "@" else channels
        # A sentence may end right behind a name: try it without the punctuation too.
        for candidate in (name, name.rstrip("._-")):
            if sign == "@" and candidate in _EVERYONE:
                return f"<!{candidate}>{name[len(candidate) :]}"
            if candidate in table:
                rest = name[len(candidate) :]
                label = f"|{candidate}" if sign == "#" else ""
                return f"<{sign}{table[candidate]}{label}>{rest}"
        return match.group(0)

    out, at = [], 0
    for link in _LINK.finditer(text):
        out += [_MENTION.sub(mention, escape(text[at : link.start()])), f"<{escape(link.group(0))}>"]
        at = link.end()
    return "".join([*out, _MENTION.sub(mention, escape(text[at:]))])


def from_text(text: str, *, block_id: str) -> dict[str, Any]:
    """The `rich_text` block that stands for a stored text."""
    elements: list[dict[str, Any]] = []
    at = 0
    for token in re.finditer(r"<([^<>]+)>", text):
        if token.start() > at:
            elements.append({"type": "text", "text": unescape(text[at : token.start()])})
        elements.append(_element(token.group(1)))
        at = token.end()
    if at < len(text):
        elements.append({"type": "text", "text": unescape(text[at:])})
    return {
        "type": "rich_text",
        "block_id": block_id,
        "elements": [{"type": "rich_text_section", "elements": elements}],
    }


def _element(inner: str) -> dict[str, Any]:
    target, _, label = inner.partition("|")
    if target.startswith("@"):
        return {"type": "user", "user_id": target[1:]}
    if target.startswith("#"):
        return {"type": "channel", "channel_id": target[1:]}
    if target.startswith("!subteam^"):
        return {"type": "usergroup", "usergroup_id": target.removeprefix("!subteam^")}
    if target.startswith("!"):
        return {"type": "broadcast", "range": target[1:]}
    link: dict[str, Any] = {"type": "link", "url": unescape(target)}
    if label:
        link["text"] = unescape(label)
    elif not urlsplit(target).scheme:
        return {"type": "text", "text": unescape(f"<{inner}>")}
    return link
