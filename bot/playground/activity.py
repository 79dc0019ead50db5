"""What happens in the team, whoever does it: a change of the state, and the events the app is told for it.

Used by the Web API (the app acts) and by the control surface (people act). Permissions are checked before, there.
"""

import asyncio
import mimetypes
from pathlib import PurePosixPath
from typing import Any

from bot.playground import events, wire
from bot.playground.faults import Faults
from bot.playground.ids import new_id
from bot.playground.outbound import Outbound
from bot.playground.records import Channel, File, Json, Message
from bot.playground.state import Team

_FILETYPES = {
    "text/plain": "text", "text/csv": "csv", "text/markdown": "markdown", "text/html": "html",
    "application/json": "json", "application/pdf": "pdf", "application/zip": "zip", "image/png": "png",
    "image/jpeg": "jpg", "image/gif": "gif", "image/svg+xml": "svg", "image/webp": "webp",
}  # fmt: skip
_MIMETYPES = {
    ".csv": "text/csv", ".md": "text/markdown", ".log": "text/plain", ".diff": "text/plain", ".patch": "text/plain",
    ".yml": "text/plain", ".yaml": "text/plain", ".webp": "image/webp",
}  # fmt: skip


class Activity:
    """Everything that both changes the team and is told to the app."""

    def __init__(self, team: Team, outbound: Outbound, faults: Faults) -> None:
        self._team = team
        self._outbound = outbound
        self._faults = faults

    def post(self, message: Message) -> None:
        """Put a new message into its channel."""
        team = self._team
        team.save_message(message)
        for file_id in message.files:
            file = team.files[file_id]
            file.shares.setdefault(message.channel, []).append(message.ts)
            team.save_file(file)
        if message.ephemeral_to is not None:
            return
        channel = team.channels[message.channel]
        if team.bot_user_id not in channel.members:
            return
        posted = [events.message_posted(team, message)]
        if not message.from_app and self._is_mention(message):
            posted.insert(0, events.mention(team, message))
            if self._faults.strike("reverse_mention", channel=message.channel) is not None:
                posted.reverse()
        for event in posted:
            self._outbound.event(event)
        for file_id in message.files:
            self._outbound.event(events.file_shared(team, file_id, message.channel, message.user))

    def _is_mention(self, message: Message) -> bool:
        bot = self._team.bot_user_id
        is_im = self._team.channels[message.channel].is_im
        return not is_im and (f"<@{bot}>" in message.text or f"<@{bot}|" in message.text)

    def change(self, message: Message, **changes: Any) -> None:
        """Change fields of a message, and tell; a person's edit that mentions the bot mentions it again."""
        previous = wire.message(self._team, message)
        for name, value in changes.items():
            setattr(message, name, value)
        self._team.save_message(message)
        if message.ephemeral_to is None:
            self._tell(message.channel, events.message_changed(self._team, message, previous))
            if "edited" in changes and not message.from_app and self._is_mention(message):
                self._tell(message.channel, events.mention(self._team, message))

    def delete(self, message: Message) -> None:
        """Remove a message; a root with replies leaves a tombstone, as in Slack."""
        previous = wire.message(self._team, message)
        is_private = message.ephemeral_to is not None
        if not is_private and message.thread_ts is None and self._team.replies_to(message):
            self.change(
                message,
                subtype="tombstone",
                text="This message was deleted.",
                blocks=[],
                attachments=[],
                files=[],
                reactions={},
                metadata=None,
                from_app=False,
            )
            return
        self._team.drop_message(message)
        if not is_private:
            self._tell(message.channel, events.message_deleted(self._team, message, previous))

    def react(self, message: Message, user: str, name: str) -> None:
        message.reactions.setdefault(name, []).append(user)
        self._reacted(message, user, name, added=True)

    def unreact(self, message: Message, user: str, name: str) -> None:
        message.reactions[name].remove(user)
        if not message.reactions[name]:
            del message.reactions[name]
        self._reacted(message, user, name, added=False)

    def _reacted(self, message: Message, user: str, name: str, *, added: bool) -> None:
        self._team.save_message(message)
        self._team.feed.publish("reaction", channel=message.channel, ts=message.ts, user=user, name=name, added=added)
        if message.ephemeral_to is None:
            self._tell(message.channel, events.reaction(self._team, message, user, name, added=added))

    def join(self, channel: Channel, user: str, *, inviter: str | None = None) -> None:
        if user not in channel.members:
            channel.members = [*channel.members, user]
            self._team.save_channel(channel)
            self._tell(channel.id, events.membership(self._team, channel, user, inviter, joined=True))

    def leave(self, channel: Channel, user: str) -> None:
        if user in channel.members:
            self._tell(channel.id, events.membership(self._team, channel, user, None, joined=False))
            channel.members = [one for one in channel.members if one != user]
            self._team.save_channel(channel)

    def archive(self, channel: Channel, *, archived: bool, user: str) -> None:
        if channel.is_archived != archived:
            channel.is_archived = archived
            self._team.save_channel(channel)
            kind = "channel_archive" if archived else "channel_unarchive"
            self._tell(channel.id, events.plain(self._team, kind, channel=channel.id, user=user))

    def _tell(self, channel_id: str, event: Json) -> None:
        """An event of a channel reaches the app only where its bot is a member."""
        if self._team.bot_user_id in self._team.channels[channel_id].members:
            self._outbound.event(event)

    def new_file(self, name: str, user: str, size: int, *, title: str = "", alt_text: str = "") -> File:
        """A file record without bytes yet."""
        suffix = PurePosixPath(name).suffix.lower()
        mimetype = _MIMETYPES.get(suffix) or mimetypes.guess_type(f"x{suffix}")[0] or "application/octet-stream"
        filetype = _FILETYPES.get(mimetype) or (suffix[1:] if suffix[1:].isalnum() else "binary")
        created = int(self._team.now())
        file = File(new_id("F", 11), name, title or name, user, size, created, mimetype, filetype, alt_text=alt_text)
        self._team.save_file(file)
        return file

    def share_later(self, message: Message, *, delay_s: float) -> None:
        """Post a message with files a moment from now, as Slack does after `files.completeUploadExternal`."""

        async def share() -> None:
            await asyncio.sleep(delay_s)
            channel = self._team.channels[message.channel]
            # Between the answer and now the channel may have gone; then Slack shows nothing either.
            if not channel.is_archived:
                message.ts = self._team.timestamps.next()
                self.post(message)

        self._outbound.spawn(share())
