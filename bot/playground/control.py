"""The control surface, first half: what people write, and the state of the team.

`GET /playground/state` and `/playground/events`, `POST /playground/messages`, `/edits`, `/deletes`, `/reactions`,
`/dm`, `/home`, `/members`, `/stop`. Clicks, forms and commands are `control_clicks.py`, faults are `control_faults.py`.
"""

import asyncio
import contextlib
import json
import uuid

from aiohttp import web

from bot.playground import events, richtext, wire
from bot.playground.api.reactions import check_new
from bot.playground.guard import Refused, read_json
from bot.playground.people import attachment, flag_of, person, place, seen_message, text_of
from bot.playground.records import Channel, File, Json, Message, User
from bot.playground.services import Services

TEXT_LIMIT = 40_000
_KEEP_ALIVE_S = 15.0


def on_host(services: Services, request: web.Request, body: Json) -> str:
    """The JSON of an answer, with addresses under the name the page was opened by."""
    text = json.dumps(body)
    mine = f"{request.scheme}://{request.host}"
    return text if mine == services.team.base_url else text.replace(services.team.base_url + "/", mine + "/")


class Control:
    """What people do by writing."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._team = services.team

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/playground/state", self.state),
            web.get("/playground/events", self.events),
            web.post("/playground/messages", self.post_message),
            web.post("/playground/edits", self.edit),
            web.post("/playground/deletes", self.delete),
            web.post("/playground/reactions", self.react),
            web.post("/playground/dm", self.open_dm),
            web.post("/playground/home", self.open_home),
            web.post("/playground/members", self.membership),
            web.post("/playground/stop", self.stop_session),
        ]

    async def state(self, request: web.Request) -> web.StreamResponse:
        body = {**self._team.describe(), "connections": self._services.socket.count}
        text = on_host(self._services, request, body)
        return web.Response(text=text, content_type="application/json", headers={"Cache-Control": "no-store"})

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events; ends when the watcher is gone or too far behind, or the server stops."""
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store"}
        )
        await response.prepare(request)
        # A page that was closed is noticed when the next event finds nobody there.
        with contextlib.suppress(ConnectionResetError), self._team.feed.watch() as queue:
            hello = {"type": "hello", "seq": self._team.feed.seq}
            await self._send(request, response, hello)
            while True:
                try:
                    change = await asyncio.wait_for(queue.get(), _KEEP_ALIVE_S)
                except TimeoutError:
                    await response.write(b": still here\n\n")
                    continue
                if change is None:
                    return response
                await self._send(request, response, change)
        return response

    async def _send(self, request: web.Request, response: web.StreamResponse, change: Json) -> None:
        text = on_host(self._services, request, change)
        await response.write(f"id: {change['seq']}\ndata: {text}\n\n".encode())

    async def post_message(self, request: web.Request) -> web.StreamResponse:
        body = await read_json(request)
        user = person(self._team, body)
        channel = place(self._team, body, user)
        typed = text_of(body, "text", needed=False)
        if len(typed) > TEXT_LIMIT:
            raise Refused(f"A message has at most {TEXT_LIMIT} characters; attach a longer text as a file.", 400)
        attached = await self._attach(body, user)
        if not typed.strip() and not attached:
            raise Refused("Write something, or attach a file.", 400)
        thread_ts = self._root(body, channel)
        broadcast = thread_ts is not None and flag_of(body, "reply_broadcast")
        subtype = "thread_broadcast" if broadcast else "file_share" if attached else None
        message = Message(
            channel.id,
            self._team.timestamps.next(),
            user.id,
            self._compose(typed),
            thread_ts=thread_ts,
            subtype=subtype,
            files=[one.id for one in attached],
            client_msg_id=str(uuid.uuid4()),
        )
        self._services.activity.post(message)
        return web.json_response(
            {"ok": True, "channel": channel.id, "ts": message.ts, "message": wire.page_message(self._team, message)}
        )

    def _compose(self, typed: str) -> str:
        people = {one.name: one.id for one in self._team.users.values()}
        channels = {one.name: one.id for one in self._team.channels.values() if one.kind == "channel"}
        known = {*self._team.users, *self._team.channels}
        return richtext.compose(typed, people, channels, known.__contains__)

    def _root(self, body: Json, channel: Channel) -> str | None:
        thread_ts = text_of(body, "thread_ts", needed=False)
        if not thread_ts:
            return None
        root = self._team.message(channel.id, thread_ts)
        if root is not None and root.thread_ts is not None:
            root = self._team.message(channel.id, root.thread_ts)
        if root is None or root.ephemeral_to is not None:
            raise Refused(f"There is no thread {thread_ts!r} in that channel to answer in.", 409)
        return root.ts

    async def _attach(self, body: Json, user: User) -> list[File]:
        """Store the attached files; all of them, or none when one is wrong."""
        listed = body.get("files") or []
        if not isinstance(listed, list) or len(listed) > 10:
            raise Refused("`files` is a list of at most ten `{name, content_base64}`.", 400)
        contents = [attachment(one) for one in listed]
        files = []
        for name, content in contents:
            file = self._services.activity.new_file(name, user.id, len(content))
            await asyncio.to_thread(self._team.storage.write_file, file.id, content)
            file.is_uploaded = file.is_complete = True
            self._team.save_file(file)
            files.append(file)
        return files

    async def edit(self, request: web.Request) -> web.StreamResponse:
        body = await read_json(request)
        user = person(self._team, body)
        message = self._own_message(body, user, "edit")
        text = self._compose(text_of(body, "text"))
        if len(text) > TEXT_LIMIT:
            raise Refused(f"A message has at most {TEXT_LIMIT} characters.", 400)
        edited = {"user": user.id, "ts": self._team.timestamps.next()}
        self._services.activity.change(message, text=text, edited=edited)
        return web.json_response({"ok": True, "message": wire.page_message(self._team, message)})

    async def delete(self, request: web.Request) -> web.StreamResponse:
        body = await read_json(request)
        user = person(self._team, body)
        message = seen_message(self._team, body, user)
        # Slack lets a reader dismiss a private message; only the author deletes the others.
        if message.ephemeral_to != user.id:
            message = self._own_message(body, user, "delete")
        self._services.activity.delete(message)
        return web.json_response({"ok": True})

    def _own_message(self, body: Json, user: User, verb: str) -> Message:
        message = seen_message(self._team, body, user)
        if message.user != user.id or message.subtype == "tombstone":
            raise Refused(f"{user.name} did not write that message and cannot {verb} it.", 409)
        return message

    async def react(self, request: web.Request) -> web.StreamResponse:
        """Add a reaction; `remove: true` takes it away, and without `remove` a second time takes it back."""
        body = await read_json(request)
        user = person(self._team, body)
        message = seen_message(self._team, body, user)
        name = text_of(body, "name").strip(":")
        if message.ephemeral_to is not None:
            raise Refused("Nobody can react to a private message.", 409)
        if self._team.channels[message.channel].is_archived:
            raise Refused("The channel is archived; nobody can react there.", 409)
        has_it = user.id in message.reactions.get(name, ())
        remove = flag_of(body, "remove") if "remove" in body else has_it
        if remove:
            if not has_it:
                raise Refused(f"{user.name} has no :{name}: on that message.", 409)
            self._services.activity.unreact(message, user.id, name)
        else:
            problem = check_new(message, user.id, name, self._team.custom_emoji)
            if problem is not None:
                raise Refused(f"That reaction cannot be added: {problem}.", 409)
            self._services.activity.react(message, user.id, name)
        return web.json_response({"ok": True, "added": not remove, "reactions": wire.reactions(message)})

    async def open_dm(self, request: web.Request) -> web.StreamResponse:
        """The direct message between a person and the bot."""
        body = await read_json(request)
        channel = self._team.open_dm(person(self._team, body).id)
        return web.json_response({"ok": True, "channel": channel.id})

    async def open_home(self, request: web.Request) -> web.StreamResponse:
        """Open the app's home; `tab` is `home` (default) or `messages`."""
        body = await read_json(request)
        user = person(self._team, body)
        tab = body.get("tab", "home")
        if tab not in ("home", "messages"):
            raise Refused("`tab` is `home` or `messages`.", 400)
        channel = self._team.open_dm(user.id)
        self._services.outbound.event(events.home_opened(self._team, user.id, channel, tab))
        home = self._team.homes.get(user.id)
        view = wire.view(self._team, home) if home is not None else None
        return web.json_response({"ok": True, "channel": channel.id, "view": view})

    async def membership(self, request: web.Request) -> web.StreamResponse:
        """Put somebody (the bot too) into a channel; `leave: true` takes them out; `by` is who invites."""
        body = await read_json(request)
        wanted = text_of(body, "user")
        user = self._team.users.get(wanted) or self._team.user_named(wanted)
        channel = self._team.channel_named(text_of(body, "channel"))
        if user is None or channel is None or channel.is_im:
            raise Refused("Both `user` and `channel` have to exist, and the channel cannot be a direct message.", 404)
        if flag_of(body, "leave"):
            self._services.activity.leave(channel, user.id)
        else:
            self._services.activity.join(channel, user.id, inviter=text_of(body, "by", needed=False) or None)
        return web.json_response({"ok": True, "members": list(channel.members)})

    async def stop_session(self, request: web.Request) -> web.StreamResponse:
        """Slack's own stop button of an agent session that is processing."""
        body = await read_json(request)
        user = person(self._team, body)
        channel = place(self._team, body, user)
        session = self._team.sessions.get((channel.id, text_of(body, "thread_ts")))
        if session is None or session.status != "processing":
            raise Refused("There is nothing to stop: no agent session is processing in that thread.", 409)
        streaming = [
            one.ts
            for one in self._team.streams.values()
            if (found := self._team.message(one.channel, one.ts)) is not None and found.thread_ts == session.thread_ts
        ]
        fields = {"channel": channel.id, "thread_ts": session.thread_ts, "user": user.id}
        event = events.plain(self._team, "agent_session_stopped", **fields, streaming_message_ts=streaming)
        self._services.outbound.event(event)
        return web.json_response({"ok": True})
