"""The few Block Kit shapes we use, safe by construction.

Every text, ours or anybody's, goes into a `text` element of rich text or a `plain_text` with emoji off: places Slack
does not parse, so no text can ping, link or bring a block with it, and none chooses its looks but for names between
backticks. `mrkdwn` exists here only for the two
tokens context blocks cannot say otherwise, a person and a time, and both are built from checked values. What a card
says is decided in the builders.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.blocks import bounds
from bot.blocks.text import cut, inert, one_line, plain, visible
from bot.blocks.words import utc

Block = dict[str, Any]
"""A block or element as Slack's JSON; the shape is checked by `bounds`."""

_NAMED = re.compile(r"`([^`\n]{1,300})`")
_USER = re.compile(r"[UW][A-Z0-9]{1,30}")
_CHANNEL = re.compile(r"[CDG][A-Z0-9]{1,30}")
_SLACK_PRINCIPAL = re.compile(r"slack:[A-Z0-9]+/([UW][A-Z0-9]{1,30})")
_LAST_SECOND = 253_402_300_799  # the end of year 9999, the last a client can format


@dataclass(frozen=True)
class Message:
    """What to post: blocks, and the sentence notifications and screen readers use instead."""

    text: str
    """Already escaped; at most 4,000 characters."""
    blocks: tuple[Block, ...]
    metadata: Mapping[str, Any] | None = None
    """`{"event_type", "event_payload"}`; the client adds our key to the payload."""


def message(fallback: str, *blocks: Block | None, metadata: Mapping[str, Any] | None = None) -> Message:
    """Put a message together; `None` among the blocks is left out, `fallback` may hold foreign text."""
    return Message(
        text=inert(fallback, 1000) or "Banksman",
        blocks=tuple(block for block in blocks if block is not None),
        metadata=metadata,
    )


def say(text: str, *, bold: bool = False, code: bool = False, italic: bool = False, limit: int = 300) -> Block:
    """A run of text on one line; white space collapses, an empty text becomes a dash."""
    return _text(one_line(text, limit) or "–", bold=bold, code=code, italic=italic)


def word(text: str, *, bold: bool = False) -> Block:
    """A run of our own words, blanks and line breaks kept as written."""
    return _text(text, bold=bold)


def prose(text: str, limit: int) -> Block:
    """A longer foreign text with its line breaks; an empty one becomes a dash."""
    return _text(plain(text, limit).strip() or "–")


def worded(text: str, limit: int) -> list[Block]:
    """A longer text with its line breaks; names between backticks are set in fixed width, as they are meant to be."""
    leaves: list[Block] = []
    for at, part in enumerate(_NAMED.split(plain(text, limit).strip())):
        # Every second part is what stood between two of them.
        leaves += [_text(part, code=at % 2 == 1)] if part else []
    return leaves or [_text("–")]


def person(user: str | None, otherwise: str) -> Block:
    """A mention of a Slack user, or a name where there is none to mention."""
    if user is not None and _USER.fullmatch(user):
        return {"type": "user", "user_id": user}
    return say(otherwise, limit=80)


def principal(identifier: str, known: Mapping[str, str | None] | None = None) -> Block:
    """A principal: mentioned when `known` maps it to a Slack user or its id names one, else by its id."""
    user = (known or {}).get(identifier)
    if user is None and (match := _SLACK_PRINCIPAL.fullmatch(identifier)):
        user = match.group(1)
    return person(user, identifier)


def place(channel: str | None) -> Block:
    """A channel by id, or a dash."""
    if channel is not None and _CHANNEL.fullmatch(channel):
        return {"type": "channel", "channel_id": channel}
    return say(channel or "", limit=80)


def moment(at_ms: int, form: str = "{date_short_pretty} {time_secs}") -> Block:
    """A point in time, shown in each reader's own time zone."""
    at_s = min(max(at_ms // 1000, 0), _LAST_SECOND)
    return {"type": "date", "timestamp": at_s, "format": form, "fallback": utc(at_s)}


def link(url: str, text: str) -> Block:
    """A link to one of our own messages, as Slack named it; never to an address from a text."""
    return {"type": "link", "url": url, "text": text}


def emoji(name: str) -> Block:
    """One of our own emoji."""
    return {"type": "emoji", "name": name}


def line(*leaves: Block) -> Block:
    """One paragraph of rich text."""
    return {"type": "rich_text_section", "elements": list(leaves)}


def quote(*leaves: Block) -> Block:
    """A paragraph set off with a bar: somebody else's words."""
    return {"type": "rich_text_quote", "elements": list(leaves)}


def exact(text: str) -> Block:
    """A text as it is, in fixed width: for what has been made visible already and must not be changed."""
    return {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": text}]}


def fixed(text: str, limit: int) -> Block:
    """A foreign text in fixed width within a line, its blanks as they are; an empty text becomes a dash."""
    return _text(plain(text, limit) or "–", code=True)


def rich(*parts: Block) -> Block:
    """A rich text block out of lines and quotes; each line starts on a new row."""
    rows: list[Block] = []
    for at, part in enumerate(parts):
        # Sections that follow one another share a row unless the earlier one ends in a line break.
        follows = at + 1 < len(parts) and part["type"] == parts[at + 1]["type"] == "rich_text_section"
        rows.append({**part, "elements": [*part["elements"], _text("\n")]} if follows else part)
    return {"type": "rich_text", "elements": rows}


def context(*leaves: Block | None) -> Block:
    """Small print, up to ten pieces, `None` left out: texts stay unparsed, people and times become Slack's tokens."""
    pieces = [leaf for leaf in leaves if leaf is not None]
    return {"type": "context", "elements": [_small(leaf) for leaf in pieces[: bounds.CONTEXT_ELEMENTS]]}


def header(text: str) -> Block:
    """A large title."""
    return {"type": "header", "text": unparsed(text, bounds.HEADER_TEXT)}


def divider() -> Block:
    """A thin line."""
    return {"type": "divider"}


def button(
    label: str, action_id: str, value: str, *, danger: bool = False, primary: bool = False, confirm: Block | None = None
) -> Block:
    """A button that says which row it is about; a click is looked up by `value` and everything is checked then."""
    shape: Block = {
        "type": "button",
        "action_id": action_id,
        "text": unparsed(label, bounds.BUTTON_TEXT),
        "value": value,
    }
    if danger:
        shape["style"] = "danger"
    elif primary:
        shape["style"] = "primary"
    if confirm is not None:
        shape["confirm"] = confirm
    return shape


def menu(action_id: str, options: Sequence[tuple[str, str]]) -> Block:
    """A button with three dots that opens a list; each option is what it says, and its value as that of a button."""
    return {
        "type": "overflow",
        "action_id": action_id,
        "options": [{"text": unparsed(label, bounds.OPTION_TEXT), "value": value} for label, value in options],
    }


def confirmation(title: str, text: str, yes: str, no: str, *, danger: bool = True) -> Block:
    """The question Slack asks before a button's click is sent; `yes` is drawn as dangerous unless said otherwise."""
    return {
        "title": unparsed(title, bounds.CONFIRM_TITLE),
        "text": unparsed(text, bounds.CONFIRM_TEXT),
        "confirm": unparsed(yes, bounds.CONFIRM_BUTTON),
        "deny": unparsed(no, bounds.CONFIRM_BUTTON),
        "style": "danger" if danger else "primary",
    }


def actions(*buttons: Block) -> Block | None:
    """A row of buttons, or nothing when there are none."""
    return {"type": "actions", "elements": list(buttons)} if buttons else None


def unparsed(text: str, limit: int) -> Block:
    """A text object Slack shows as it is."""
    return {"type": "plain_text", "text": one_line(text, limit) or "–", "emoji": False}


def _text(text: str, *, bold: bool = False, code: bool = False, italic: bool = False) -> Block:
    style = {name: True for name, on in (("bold", bold), ("code", code), ("italic", italic)) if on}
    leaf: Block = {"type": "text", "text": cut(visible(text), bounds.SECTION_TEXT)}
    return leaf | {"style": style} if style else leaf


def _small(leaf: Block) -> Block:
    match leaf["type"]:
        case "user":
            return {"type": "mrkdwn", "text": f"<@{leaf['user_id']}>", "verbatim": True}
        case "channel":
            return {"type": "mrkdwn", "text": f"<#{leaf['channel_id']}>", "verbatim": True}
        case "date":
            token = f"<!date^{leaf['timestamp']}^{leaf['format']}|{leaf['fallback']}>"
            return {"type": "mrkdwn", "text": token, "verbatim": True}
        case "emoji":
            return {"type": "mrkdwn", "text": f":{leaf['name']}:", "verbatim": True}
        case _:
            return unparsed(leaf["text"], 300)
