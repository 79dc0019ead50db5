"""The team: who is in it, what was said, which files and views exist.

`Team` owns the records, keeps them in `storage.py` and announces every change through `feed.py`. It decides nothing
about permissions and sends the app nothing: that is `api/` and `activity.py`.
"""

import json
import time
from collections.abc import Callable, Iterable
from typing import Any

from bot.playground import records, wire
from bot.playground.feed import Feed
from bot.playground.ids import Timestamps, new_id, short_id
from bot.playground.records import Channel, File, Message, Notice, User, Usergroup, View
from bot.playground.seed import Json, check_seed
from bot.playground.storage import Storage


class Team:
    """Every record of one playground. Look-ups return `None` for what does not exist."""

    def __init__(self, storage: Storage, feed: Feed, seed: Json, *, now: Callable[[], float] = time.time) -> None:
        self.storage = storage
        self.feed = feed
        self.now = now
        self.base_url = ""
        """`http://127.0.0.1:PORT`, known once the server listens."""
        self.timestamps = Timestamps(now)
        stored = list(storage.load("team"))
        if stored:
            self.info, self.app = stored[0]["team"], stored[0]["app"]
            if seed["app"]["id"] == self.app["id"]:
                # The app's commands and shortcuts follow its newest description; the team keeps its people.
                self.app = {**self.app, **seed["app"]}
            self.custom_emoji: frozenset[str] = frozenset(stored[0]["emoji"])
        else:
            check_seed(seed)
            self.info, self.app = seed["team"], seed["app"]
            self.custom_emoji = frozenset(seed.get("emoji", ()))
        self.users: dict[str, User] = {one["id"]: User(**one) for one in storage.load("user")}
        self.channels: dict[str, Channel] = {one["id"]: Channel(**one) for one in storage.load("channel")}
        self.usergroups: dict[str, Usergroup] = {one["id"]: Usergroup(**one) for one in storage.load("usergroup")}
        self.files: dict[str, File] = {one["id"]: File(**one) for one in storage.load("file")}
        self.views: dict[str, View] = {one["id"]: View(**one) for one in storage.load("view")}
        self.homes: dict[str, View] = {one["user"]: View(**one) for one in storage.load("home")}
        self.notices: list[Notice] = [Notice(**one) for one in storage.load("notice")]
        self.sessions: dict[tuple[str, str], records.Session] = {}
        for session in storage.load("session"):
            self.sessions[session["channel"], session["thread_ts"]] = records.Session(**session)
        self.streams: dict[tuple[str, str], records.Stream] = {}
        self._messages: dict[str, dict[str, Message]] = {}
        for body in storage.load("message"):
            message = Message(**body)
            self._messages.setdefault(message.channel, {})[message.ts] = message
            self.timestamps.seen(message.ts)
        if not stored:
            self._plant(seed)

    def _plant(self, seed: Json) -> None:
        bot = User(self.bot_user_id, self.app.get("name", "app"), self.app.get("name", "app"), ["bot"], is_bot=True)
        for user in [*(User(**one) for one in seed["users"]), bot]:
            self.users[user.id] = user
            self.storage.put("user", user.id, user.as_json())
        everyone = list(self.users)
        for one in seed["channels"]:
            details = {"members": everyone, "creator": everyone[0], **one}
            self.save_channel(Channel(created=int(self.now()), **details))
        for one in seed.get("usergroups", ()):
            self.usergroups[one["id"]] = Usergroup(**one)
            self.storage.put("usergroup", one["id"], self.usergroups[one["id"]].as_json())
        # Last, so that a crash in the middle of planting plants again.
        self.storage.put("team", self.id, {"team": self.info, "app": self.app, "emoji": sorted(self.custom_emoji)})

    # Names of the fixed parts

    @property
    def id(self) -> str:
        return str(self.info["id"])

    @property
    def bot_user_id(self) -> str:
        return str(self.app["bot_user_id"])

    @property
    def bot_id(self) -> str:
        return str(self.app["bot_id"])

    @property
    def app_id(self) -> str:
        return str(self.app["id"])

    # Channels

    def save_channel(self, channel: Channel) -> None:
        self.channels[channel.id] = channel
        self.storage.put("channel", channel.id, channel.as_json())
        self.feed.publish("channel", **wire.page_channel(channel))

    def channel_named(self, name: str) -> Channel | None:
        """A channel by id, `name` or `#name`."""
        if name in self.channels:
            return self.channels[name]
        bare = name.removeprefix("#")
        return next((one for one in self.channels.values() if one.name == bare and not one.is_im), None)

    def user_named(self, name: str) -> User | None:
        return next((one for one in self.users.values() if one.name == name), None)

    def dm_with(self, user_id: str) -> Channel | None:
        return next((one for one in self.channels.values() if one.user == user_id), None)

    def open_dm(self, user_id: str) -> Channel:
        """The direct message between this person and the bot, made when it does not exist."""
        channel = self.dm_with(user_id)
        if channel is None:
            members = [user_id, self.bot_user_id]
            channel = Channel(new_id("D"), "", int(self.now()), self.bot_user_id, members, user=user_id)
            self.save_channel(channel)
        return channel

    def may_see(self, user_id: str, channel: Channel) -> bool:
        """Whether this person can look into the channel at all."""
        user = self.users[user_id]
        if user_id in channel.members:
            return True
        return not channel.is_private and not channel.is_im and not user.is_restricted

    # Messages

    def messages_in(self, channel_id: str) -> Iterable[Message]:
        """Oldest first."""
        return list(self._messages.get(channel_id, {}).values())

    def all_messages(self) -> list[Message]:
        """Of all channels, oldest first."""
        return sorted(
            (one for room in self._messages.values() for one in room.values()), key=lambda one: ts_key(one.ts)
        )

    def message(self, channel_id: str, ts: str) -> Message | None:
        return self._messages.get(channel_id, {}).get(ts)

    def replies_to(self, root: Message) -> list[Message]:
        """Oldest first, without the root and without private ones."""
        room = self._messages.get(root.channel, {})
        return [one for one in room.values() if one.thread_ts == root.ts and one.ephemeral_to is None]

    def save_message(self, message: Message) -> None:
        self._messages.setdefault(message.channel, {})[message.ts] = message
        self.storage.put("message", f"{message.ts} {message.channel}", message.as_json())
        self.feed.publish("message", **wire.page_message(self, message))

    def drop_message(self, message: Message) -> None:
        self._messages.get(message.channel, {}).pop(message.ts, None)
        self.storage.drop("message", f"{message.ts} {message.channel}")
        self.feed.publish("message_deleted", channel=message.channel, ts=message.ts)

    # Files

    def bot_sees(self, file: File) -> bool:
        """Whether the app may see a file: its own, given in its form, or shared where its bot is a member."""
        bot = self.bot_user_id
        return file.user == bot or file.is_given or any(bot in self.channels[one].members for one in file.shares)

    def save_file(self, file: File) -> None:
        self.files[file.id] = file
        self.storage.put("file", file.id, file.as_json())

    # Views

    def save_view(self, view: View) -> None:
        self.views[view.id] = view
        self.storage.put("view", view.id, view.as_json())
        self.feed.publish("view", **wire.page_view(self, view))

    def drop_view(self, view: View) -> None:
        self.views.pop(view.id, None)
        self.storage.drop("view", view.id)
        self.feed.publish("view_closed", id=view.id, user=view.user)

    def save_home(self, view: View) -> None:
        self.homes[view.user] = view
        self.storage.put("home", view.user, view.as_json())
        self.feed.publish("home", user=view.user, view=wire.view(self, view))

    def stack_of(self, user_id: str) -> list[View]:
        """Open modals of a person, the root first."""
        return [one for one in self.views.values() if one.user == user_id]

    def view_with(self, view_id: str) -> View | None:
        """An open modal or a home, by id."""
        return self.views.get(view_id) or next((one for one in self.homes.values() if one.id == view_id), None)

    def new_hash(self) -> str:
        return f"{int(self.now())}.{short_id(8)}"

    # Notices, sessions, streams

    def notify(
        self, user_id: str, kind: str, text: str, *, channel: str | None = None, ts: str | None = None
    ) -> Notice:
        """Show one person a warning."""
        notice = Notice(new_id("N"), user_id, wire.rfc3339(self.now()), kind, text, channel, ts)
        self.notices.append(notice)
        self.storage.put("notice", f"{self.timestamps.next()} {notice.id}", notice.as_json())
        self.feed.publish("notice", **notice.as_json())
        return notice

    def save_session(self, session: records.Session) -> None:
        self.sessions[session.channel, session.thread_ts] = session
        self.storage.put("session", f"{session.channel} {session.thread_ts}", session.as_json())
        self.feed.publish("session", **session.as_json())

    def end_stream(self, stream: records.Stream) -> None:
        """Nothing more is written into a message."""
        if self.streams.get((stream.channel, stream.ts)) is stream:
            del self.streams[stream.channel, stream.ts]
            self.feed.publish("stream", open=False, **stream.as_json())

    def describe(self) -> Json:
        """Everything the page shows, as `GET /playground/state` answers."""
        return {
            "seq": self.feed.seq,
            "team": {"id": self.id, "name": self.info["name"], "domain": self.info.get("domain", "")},
            "app": {**self.app, "commands": self.app.get("commands", []), "shortcuts": self.app.get("shortcuts", [])},
            "users": [wire.page_user(one) for one in self.users.values()],
            "channels": [wire.page_channel(one) for one in self.channels.values()],
            "messages": [wire.page_message(self, one) for one in self.all_messages()],
            "views": [wire.page_view(self, one) for one in self.views.values()],
            "homes": {one.user: wire.view(self, one) for one in self.homes.values()},
            "sessions": [one.as_json() for one in self.sessions.values()],
            "streams": [one.as_json() for one in self.streams.values()],
            "notices": [one.as_json() for one in self.notices],
        }


def ts_key(ts: str) -> tuple[int, int]:
    """Order of timestamps as Slack means it, not as text."""
    seconds, _, micros = ts.partition(".")
    return int(seconds or 0), int(micros.ljust(6, "0")[:6] or 0)


def copy_json(value: Any) -> Any:
    """A deep copy of a JSON value, so that two messages never share a block."""
    return json.loads(json.dumps(value))
