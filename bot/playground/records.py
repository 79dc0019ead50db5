"""The things a team is made of, as plain records that `storage.py` can keep.

How Slack writes them is in `wire.py`; how they change is in `state.py`.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass
class Record:
    """A record knows its own JSON form."""

    def as_json(self) -> Json:
        return asdict(self)


@dataclass
class User(Record):
    id: str
    name: str
    real_name: str = ""
    roles: list[str] = field(default_factory=list)
    is_bot: bool = False
    is_restricted: bool = False
    is_admin: bool = False
    tz: str = "Europe/Berlin"


@dataclass
class Channel(Record):
    id: str
    name: str
    created: int
    creator: str = ""
    members: list[str] = field(default_factory=list)
    topic: str = ""
    is_private: bool = False
    is_archived: bool = False
    user: str | None = None
    """The person at the other end; set for direct messages with the bot only."""

    @property
    def is_im(self) -> bool:
        return self.user is not None

    @property
    def kind(self) -> str:
        """Slack's `channel_type` in message events."""
        return "im" if self.is_im else "group" if self.is_private else "channel"

    @property
    def scope_family(self) -> str:
        """The prefix of the scopes that let an app read here."""
        return "im" if self.is_im else "groups" if self.is_private else "channels"


@dataclass
class Message(Record):
    channel: str
    ts: str
    user: str
    text: str = ""
    blocks: list[Json] = field(default_factory=list)
    attachments: list[Json] = field(default_factory=list)
    thread_ts: str | None = None
    """The root of the thread, for a reply; a root carries `None`."""
    subtype: str | None = None
    files: list[str] = field(default_factory=list)
    reactions: dict[str, list[str]] = field(default_factory=dict)
    ephemeral_to: str | None = None
    edited: Json | None = None
    metadata: Json | None = None
    from_app: bool = False
    client_msg_id: str | None = None
    streamed: bool = False
    """It was written by streaming: its text is Markdown and stands above its blocks."""


@dataclass
class File(Record):
    id: str
    name: str
    title: str
    user: str
    size: int
    created: int
    mimetype: str
    filetype: str
    is_uploaded: bool = False
    is_complete: bool = False
    is_lost: bool = False
    """A fault made it vanish: Slack said ok and nothing ever shows it."""
    is_given: bool = False
    """Somebody submitted it in a form of the app's, so the app may see it though it is shared nowhere."""
    alt_text: str = ""
    shares: dict[str, list[str]] = field(default_factory=dict)
    """Channel id -> timestamps of the messages that carry it."""


@dataclass
class View(Record):
    id: str
    user: str
    view: Json
    """As Slack returns it, without the fields that follow from the rest of this record."""
    hash: str
    root_id: str
    previous_id: str | None = None
    external_id: str = ""
    errors: dict[str, str] = field(default_factory=dict)
    """What the app answered to the last submission, per block id."""
    values: Json = field(default_factory=dict)
    """What the person has entered so far, as `state.values`."""


@dataclass
class Notice(Record):
    """A warning only one person sees, such as the triangle beside a click that nobody acknowledged."""

    id: str
    user: str
    at: str
    kind: str
    text: str
    channel: str | None = None
    ts: str | None = None


@dataclass
class Usergroup(Record):
    id: str
    handle: str
    name: str
    users: list[str] = field(default_factory=list)
    is_enabled: bool = True


@dataclass
class Stream(Record):
    """A message that the app is still writing, until it stops or Slack's patience is over."""

    channel: str
    ts: str
    task_display_mode: str = "timeline"


@dataclass
class Session(Record):
    """What an agent says about itself in a thread."""

    channel: str
    thread_ts: str
    status: str
    title: str = ""
