"""Payloads of clicks, submissions, shortcuts and slash commands.

https://docs.slack.dev/reference/interaction-payloads
"""

from bot.playground import wire
from bot.playground.records import Channel, Json, Message, User, View
from bot.playground.state import Team


class Interactions:
    """Builds payloads for one team; `token` is the old verification token, which Slack still sends."""

    def __init__(self, team: Team, verification_token: str) -> None:
        self._team = team
        self._token = verification_token

    def _base(self, kind: str, user: User) -> Json:
        return {
            "type": kind,
            "user": {"id": user.id, "username": user.name, "name": user.name, "team_id": self._team.id},
            "api_app_id": self._team.app_id,
            "token": self._token,
            "team": {"id": self._team.id, "domain": self._team.info.get("domain", "")},
            "enterprise": None,
            "is_enterprise_install": False,
        }

    def message_click(
        self, user: User, message: Message, action: Json, values: Json, *, trigger_id: str, response_url: str
    ) -> Json:
        channel = self._team.channels[message.channel]
        container: Json = {
            "type": "message",
            "message_ts": message.ts,
            "channel_id": message.channel,
            "is_ephemeral": message.ephemeral_to is not None,
        }
        if message.thread_ts:
            container["thread_ts"] = message.thread_ts
        payload = self._base("block_actions", user) | {
            "container": container,
            "trigger_id": trigger_id,
            "channel": {"id": channel.id, "name": channel_name(channel)},
            "state": {"values": values},
            "response_url": response_url,
            "actions": [action],
        }
        if message.ephemeral_to is None:
            # A private message is nowhere in Slack's history, so its click carries the container only.
            payload["message"] = wire.message(self._team, message)
        return payload

    def view_click(self, user: User, view: View, action: Json, *, trigger_id: str) -> Json:
        return self._base("block_actions", user) | {
            "container": {"type": "view", "view_id": view.id},
            "trigger_id": trigger_id,
            "view": wire.view(self._team, view),
            "actions": [action],
        }

    def submission(self, user: User, view: View, *, trigger_id: str) -> Json:
        return self._base("view_submission", user) | {
            "trigger_id": trigger_id,
            "view": wire.view(self._team, view),
            "response_urls": [],
        }

    def closed(self, user: User, view: View, *, is_cleared: bool) -> Json:
        return self._base("view_closed", user) | {"view": wire.view(self._team, view), "is_cleared": is_cleared}

    def global_shortcut(self, user: User, callback_id: str, *, trigger_id: str) -> Json:
        return self._base("shortcut", user) | {
            "action_ts": self._team.timestamps.next(),
            "callback_id": callback_id,
            "trigger_id": trigger_id,
        }

    def message_shortcut(
        self, user: User, message: Message, callback_id: str, *, trigger_id: str, response_url: str
    ) -> Json:
        channel = self._team.channels[message.channel]
        return self._base("message_action", user) | {
            "action_ts": self._team.timestamps.next(),
            "callback_id": callback_id,
            "trigger_id": trigger_id,
            "response_url": response_url,
            "channel": {"id": channel.id, "name": channel_name(channel)},
            "message_ts": message.ts,
            "message": wire.message(self._team, message),
        }

    def suggestion(self, user: User, holder: Message | View, action_id: str, block_id: str, value: str) -> Json:
        """A request for the options of an external select, while a person types."""
        payload = self._base("block_suggestion", user) | {"action_id": action_id, "block_id": block_id, "value": value}
        if isinstance(holder, View):
            return payload | {
                "container": {"type": "view", "view_id": holder.id},
                "view": wire.view(self._team, holder),
            }
        channel = self._team.channels[holder.channel]
        return payload | {
            "container": {
                "type": "message",
                "message_ts": holder.ts,
                "channel_id": holder.channel,
                "is_ephemeral": holder.ephemeral_to is not None,
            },
            "channel": {"id": channel.id, "name": channel_name(channel)},
            "message": wire.message(self._team, holder),
        }

    def command(
        self, user: User, channel: Channel, command: str, text: str, *, trigger_id: str, response_url: str
    ) -> Json:
        """The form fields of a slash command; every value is a text."""
        return {
            "token": self._token,
            "team_id": self._team.id,
            "team_domain": self._team.info.get("domain", ""),
            "channel_id": channel.id,
            "channel_name": channel_name(channel),
            "user_id": user.id,
            "user_name": user.name,
            "command": command,
            "text": text,
            "api_app_id": self._team.app_id,
            "is_enterprise_install": "false",
            "response_url": response_url,
            "trigger_id": trigger_id,
        }


def channel_name(channel: Channel) -> str:
    """What payloads call a channel that has no public name."""
    return "directmessage" if channel.is_im else "privategroup" if channel.is_private else channel.name
