"""How things are written: Slack's JSON for the app, and the smaller form for the page.

Pure: reads records, changes nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from bot.playground import richtext
from bot.playground.records import Channel, File, Json, Message, User, Usergroup, View

if TYPE_CHECKING:
    from bot.playground.state import Team


def rfc3339(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# For the app


def user(team: Team, one: User) -> Json:
    return {
        "id": one.id,
        "team_id": team.id,
        "name": one.name,
        "deleted": False,
        "color": "9f69e7",
        "real_name": one.real_name or one.name,
        "tz": one.tz,
        "tz_label": one.tz,
        "tz_offset": 3600,
        "profile": {
            "title": "",
            "real_name": one.real_name or one.name,
            "real_name_normalized": one.real_name or one.name,
            "display_name": one.name,
            "display_name_normalized": one.name,
            "status_text": "",
            "status_emoji": "",
            "team": team.id,
            **(
                {"bot_id": team.bot_id, "api_app_id": team.app_id}
                if one.is_bot
                else {"email": f"{one.name}@example.com"}
            ),
        },
        "is_admin": one.is_admin,
        "is_owner": False,
        "is_primary_owner": False,
        "is_restricted": one.is_restricted,
        "is_ultra_restricted": False,
        "is_bot": one.is_bot,
        "is_app_user": False,
        "is_email_confirmed": True,
        "updated": 1700000000,
        "who_can_share_contact_card": "EVERYONE",
    }


def channel(team: Team, one: Channel, *, with_count: bool = False) -> Json:
    if one.is_im:
        return {
            "id": one.id,
            "created": one.created,
            "is_archived": one.is_archived,
            "is_im": True,
            "is_org_shared": False,
            "context_team_id": team.id,
            "updated": one.created * 1000,
            "user": one.user,
            "is_user_deleted": False,
            "priority": 0,
        }
    body: Json = {
        "id": one.id,
        "name": one.name,
        "name_normalized": one.name,
        "is_channel": not one.is_private,
        "is_group": one.is_private,
        "is_im": False,
        "is_mpim": False,
        "is_private": one.is_private,
        "created": one.created,
        "is_archived": one.is_archived,
        "is_general": False,
        "unlinked": 0,
        "is_shared": False,
        "is_org_shared": False,
        "is_pending_ext_shared": False,
        "is_ext_shared": False,
        "pending_shared": [],
        "context_team_id": team.id,
        "updated": one.created * 1000,
        "creator": one.creator,
        "shared_team_ids": [team.id],
        "pending_connected_team_ids": [],
        "is_member": team.bot_user_id in one.members,
        "topic": {"value": one.topic, "creator": one.creator, "last_set": one.created if one.topic else 0},
        "purpose": {"value": "", "creator": "", "last_set": 0},
        "previous_names": [],
    }
    if with_count:
        body["num_members"] = len(one.members)
    return body


def bot_profile(team: Team) -> Json:
    return {
        "id": team.bot_id,
        "deleted": False,
        "name": team.app.get("name", "app"),
        "updated": 1700000000,
        "app_id": team.app_id,
        "user_id": team.bot_user_id,
        "icons": {},
        "team_id": team.id,
    }


def message(team: Team, one: Message, *, with_metadata: bool = False, in_thread: bool = True) -> Json:
    """A message as `conversations.history` and events carry it, without the channel."""
    body: Json = {"user": one.user, "type": "message", "ts": one.ts}
    if one.subtype:
        body["subtype"] = one.subtype
    if one.client_msg_id:
        body["client_msg_id"] = one.client_msg_id
    if one.from_app:
        body |= {"bot_id": team.bot_id, "app_id": team.app_id, "bot_profile": bot_profile(team)}
    body |= {"text": one.text, "team": team.id}
    if one.subtype == "tombstone":
        body |= {"user": "USLACKBOT", "hidden": True}
    elif one.blocks:
        body["blocks"] = one.blocks
    elif one.text and not one.from_app:
        body["blocks"] = [richtext.from_text(one.text, block_id=one.ts[-5:])]
    if one.attachments:
        body["attachments"] = one.attachments
    if one.files:
        body |= {"files": [file(team, team.files[file_id]) for file_id in one.files], "upload": False}
    if one.edited:
        body["edited"] = one.edited
    if one.reactions:
        body["reactions"] = reactions(one)
    if one.metadata and with_metadata:
        body["metadata"] = one.metadata
    root = team.message(one.channel, one.thread_ts) if one.thread_ts else one
    if one.thread_ts:
        body["thread_ts"] = one.thread_ts
        if root is not None:
            body["parent_user_id"] = root.user
        if one.subtype == "thread_broadcast" and root is not None:
            body["root"] = message(team, root, with_metadata=with_metadata)
    elif in_thread and (replies := team.replies_to(one)):
        people = list(dict.fromkeys(reply.user for reply in replies))
        body |= {
            "thread_ts": one.ts,
            "reply_count": len(replies),
            "reply_users_count": len(people),
            "latest_reply": replies[-1].ts,
            "reply_users": people[:5],
            "is_locked": False,
            "subscribed": False,
        }
    return body


def reactions(one: Message) -> list[Json]:
    return [{"name": name, "users": list(people), "count": len(people)} for name, people in one.reactions.items()]


def file(team: Team, one: File) -> Json:
    safe = quote(one.name.replace("/", "_").replace("\\", "_") or "file", safe="")
    where = f"{team.base_url}/files-pri/{team.id}-{one.id}"
    body: Json = {
        "id": one.id,
        "created": one.created,
        "timestamp": one.created,
        "name": one.name,
        "title": one.title or one.name,
        "mimetype": one.mimetype,
        "filetype": one.filetype,
        "pretty_type": one.filetype.upper(),
        "user": one.user,
        "user_team": team.id,
        "editable": False,
        "size": one.size,
        "mode": "hosted",
        "is_external": False,
        "external_type": "",
        "is_public": any(team.channels[where].kind == "channel" for where in one.shares),
        "public_url_shared": False,
        "display_as_bot": False,
        "username": "",
        "url_private": f"{where}/{safe}",
        "url_private_download": f"{where}/download/{safe}",
        "media_display_type": "unknown",
        "permalink": f"{team.base_url}/files/{one.user}/{one.id}/{safe}",
        "permalink_public": f"{team.base_url}/{team.id}-{one.id}",
        "comments_count": 0,
        "channels": [where for where in one.shares if team.channels[where].kind == "channel"],
        "groups": [where for where in one.shares if team.channels[where].kind == "group"],
        "ims": [where for where in one.shares if team.channels[where].kind == "im"],
        "has_rich_preview": False,
        "file_access": "visible",
        "shares": _shares(team, one),
    }
    if one.alt_text:
        body["alt_txt"] = one.alt_text
    return body


def _shares(team: Team, one: File) -> Json:
    shares: Json = {}
    for channel_id, stamps in one.shares.items():
        kind = "public" if team.channels[channel_id].kind == "channel" else "private"
        entries = []
        for ts in stamps:
            carrier = team.message(channel_id, ts)
            if carrier is None:
                continue
            entry: Json = {"reply_users": [], "reply_users_count": 0, "reply_count": 0, "ts": ts, "team_id": team.id}
            if carrier.thread_ts:
                entry["thread_ts"] = carrier.thread_ts
            if not team.channels[channel_id].is_im:
                entry["channel_name"] = team.channels[channel_id].name
            entries.append({**entry, "share_user_id": one.user})
        if entries:
            shares.setdefault(kind, {})[channel_id] = entries
    return shares


def usergroup(team: Team, one: Usergroup, *, with_users: bool) -> Json:
    body: Json = {
        "id": one.id,
        "team_id": team.id,
        "is_usergroup": True,
        "is_subteam": True,
        "name": one.name,
        "description": "",
        "handle": one.handle,
        "is_external": False,
        "date_create": 1700000000,
        "date_update": 1700000000,
        "date_delete": 0 if one.is_enabled else 1700000000,
        "auto_type": None,
        "created_by": "",
        "updated_by": "",
        "deleted_by": None,
        "prefs": {"channels": [], "groups": []},
        "user_count": len(one.users),
    }
    return {**body, "users": list(one.users)} if with_users else body


def view(team: Team, one: View, *, values: Json | None = None) -> Json:
    """A view as `views.open` returns it and payloads carry it."""
    return {
        "id": one.id,
        "team_id": team.id,
        **one.view,
        "state": {"values": one.values if values is None else values},
        "hash": one.hash,
        "previous_view_id": one.previous_id,
        "root_view_id": one.root_id,
        "app_id": team.app_id,
        "external_id": one.external_id,
        "app_installed_team_id": team.id,
        "bot_id": team.bot_id,
    }


def permalink(team: Team, one: Message) -> str:
    link = f"{team.base_url}/archives/{one.channel}/p{one.ts.replace('.', '')}"
    return f"{link}?thread_ts={one.thread_ts}&cid={one.channel}" if one.thread_ts else link


# For the page


def page_user(one: User) -> Json:
    return {
        "id": one.id,
        "name": one.name,
        "real_name": one.real_name or one.name,
        "roles": list(one.roles),
        "is_bot": one.is_bot,
        "is_restricted": one.is_restricted,
    }


def page_channel(one: Channel) -> Json:
    return {
        "id": one.id,
        "name": one.name,
        "topic": one.topic,
        "is_private": one.is_private,
        "is_im": one.is_im,
        "is_archived": one.is_archived,
        "user": one.user,
        "members": list(one.members),
    }


def page_file(team: Team, one: File) -> Json:
    safe = quote(one.name.replace("/", "_").replace("\\", "_") or "file", safe="")
    return {
        "id": one.id,
        "name": one.name,
        "title": one.title or one.name,
        "mimetype": one.mimetype,
        "size": one.size,
        "alt_text": one.alt_text,
        "url": f"{team.base_url}/playground/files/{one.id}/{safe}",
    }


def page_message(team: Team, one: Message) -> Json:
    return {
        "channel": one.channel,
        "ts": one.ts,
        "thread_ts": one.thread_ts,
        "user": one.user,
        "text": one.text,
        "blocks": one.blocks,
        "attachments": one.attachments,
        "files": [page_file(team, team.files[file_id]) for file_id in one.files],
        "reactions": reactions(one),
        "ephemeral_to": one.ephemeral_to,
        "subtype": one.subtype,
        "edited": one.edited,
        "streamed": one.streamed,
    }


def page_view(team: Team, one: View) -> Json:
    body: dict[str, Any] = {
        "id": one.id,
        "user": one.user,
        "view": view(team, one),
        "root_id": one.root_id,
        "previous_id": one.previous_id,
        "errors": one.errors,
    }
    return body
