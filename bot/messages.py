"""A Slack message as the intake takes it: parsed once, kept in the inbox, and readable again from there.

A mention arrives as two events (`app_mention` and `message`, in any order); both parse to the same request, whose
source is the message itself and not the delivery.
"""

import html
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

_MENTION = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^>]*)?>")
_REFERENCE = re.compile(r"<(#[CG][A-Z0-9]+|![a-z]+(?:\^[^|>]*)*|(?:https?|mailto):[^|>]*)(?:\|([^>]*))?>")
_OUR_SUBTYPES = frozenset({None, "file_share", "thread_broadcast"})


@dataclass(frozen=True)
class SlackFile:
    """A file attached to a message."""

    id: str
    name: str
    media_type: str
    size: int | None


@dataclass(frozen=True)
class Asked:
    """A message that asks for something."""

    team: str
    channel: str
    user: str
    user_team: str | None
    ts: str
    thread_ts: str | None
    text: str
    """What was written without our mention, Slack's escapes decoded."""
    files: tuple[SlackFile, ...]
    event_time_s: int
    given: Mapping[str, Any] | None = None
    """Values from the form that asked for what was missing."""

    @property
    def source_key(self) -> str:
        """What makes a message one request, however often it is delivered."""
        return f"slack:{self.team}:{self.channel}:{self.ts}"

    @property
    def root_ts(self) -> str:
        """The thread the run lives in."""
        return self.thread_ts or self.ts

    def to_body(self) -> dict[str, Any]:
        """As the inbox keeps it."""
        return asdict(self)

    @staticmethod
    def from_body(body: Mapping[str, Any]) -> "Asked":
        """As the inbox gives it back."""
        return Asked(**{**body, "files": tuple(SlackFile(**file) for file in body["files"])})


def asked_in(event: Mapping[str, Any], *, team: str, bot_user: str, event_time_s: int) -> Asked | None:
    """What an `app_mention` or `message` event asks of us; `None` if it is not for us or not from a person.

    A message in a channel is for us when it mentions us, a direct message always. An edit asks for nothing: a request
    is what was written first.
    """
    user, ts, channel = event.get("user"), event.get("ts"), event.get("channel")
    if not (isinstance(user, str) and isinstance(ts, str) and isinstance(channel, str)):
        return None
    if event.get("bot_id") or event.get("subtype") not in _OUR_SUBTYPES or user == bot_user or event.get("edited"):
        return None
    text = event.get("text") or ""
    direct = event.get("channel_type") == "im" or channel.startswith("D")
    if not direct and not mentions(text, bot_user):
        return None
    thread = event.get("thread_ts")
    return Asked(
        team=team,
        channel=channel,
        user=user,
        user_team=event.get("user_team") or event.get("team"),
        ts=ts,
        thread_ts=thread if thread and thread != ts else None,
        text=decoded(text, bot_user),
        files=tuple(file_in(file) for file in event.get("files") or () if isinstance(file.get("id"), str)),
        event_time_s=event_time_s or int(float(ts)),
    )


def mentions(text: str, user: str) -> bool:
    """Whether a message names this user with an `@`."""
    return any(match[1] == user for match in _MENTION.finditer(text))


def decoded(text: str, bot_user: str) -> str:
    """Undo Slack's escapes: our mention goes, other references become what people see, entities become characters."""
    text = _MENTION.sub(lambda match: "" if match[1] == bot_user else f"@{match[1]}", text)
    text = _REFERENCE.sub(
        lambda match: match[1] if match[1].startswith(("http", "mailto")) else match[2] or match[1], text
    )
    return html.unescape(text).strip()


def file_in(file: Mapping[str, Any]) -> SlackFile:
    """A file as Slack describes it in a payload."""
    size = file.get("size")
    return SlackFile(
        id=file["id"],
        name=str(file.get("name") or file.get("title") or "file"),
        media_type=str(file.get("mimetype") or ""),
        size=size if isinstance(size, int) else None,
    )
