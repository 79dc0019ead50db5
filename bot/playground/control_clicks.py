"""The control surface, second half: clicks, forms, slash commands and shortcuts.

`POST /playground/actions`, `/views`, `/commands`, `/shortcuts`, `/options`. A click is refused when it could not have
come from what the person sees, unless it says `forge: true`.
"""

from typing import Any

from aiohttp import web

from bot.playground import inputs, richtext
from bot.playground.api.call import ApiError
from bot.playground.blockkit.surfaces import interactive_elements
from bot.playground.guard import Refused, read_json
from bot.playground.modals import Modals
from bot.playground.people import flag_of, person, place, seen_message, text_of
from bot.playground.records import Json, Message, User, View
from bot.playground.responses import respond
from bot.playground.services import Services
from bot.playground.socket import Ack


class Clicks:
    """What people do by pressing things."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._team = services.team
        self._modals = Modals(services)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/playground/actions", self.action),
            web.post("/playground/views", self.view),
            web.post("/playground/commands", self.command),
            web.post("/playground/shortcuts", self.shortcut),
            web.post("/playground/options", self.options),
            web.post("/playground/suggestions", self.options),
        ]

    async def action(self, request: web.Request) -> web.StreamResponse:
        """A click in a message, or in a view when `view_id` is given."""
        body = await read_json(request)
        user = person(self._team, body)
        if body.get("view_id") is not None:
            return await self._click_in_view(user, body, body)
        message = seen_message(self._team, body, user)
        forge = flag_of(body, "forge")
        block, element = pick(message.blocks, body, forge=forge)
        exists = self._modals.exists
        try:
            action = inputs.clicked(
                block,
                element,
                body.get("value"),
                action_ts=self._team.timestamps.next(),
                exists=exists,
                forge=forge,
            )
            values = self._modals.state_of(user, message.blocks, body.get("state") or {}, {}, forge=forge)
            if element["type"] not in inputs.STATELESS and block["block_id"] in values:
                entered = inputs.entered(element, body.get("value"), exists=exists, forge=forge)
                values[block["block_id"]][element["action_id"]] = entered
        except inputs.InputError as problem:
            raise Refused(f"That click is not possible: {problem}.", 409) from None
        path = self._services.response_urls.issue(
            "actions", user=user.id, channel=message.channel, message_ts=message.ts, thread_ts=message.thread_ts
        )
        payload = self._services.interactions.message_click(
            user,
            message,
            action,
            values,
            trigger_id=self._services.triggers.issue(user.id),
            response_url=self._team.base_url + path,
        )
        outcome = await self._services.outbound.interaction(payload)
        return self._clicked(user, outcome, message)

    def _clicked(self, user: User, outcome: Ack | str, message: Message | None = None) -> web.Response:
        """The answer to a click; one that nobody acknowledged leaves a warning, and is never tried again."""
        if isinstance(outcome, Ack):
            return web.json_response({"ok": True, "acked": True})
        notice = self._team.notify(
            user.id,
            "unacknowledged",
            f"{self._team.app.get('name', 'The app')} did not answer this click ({outcome}). Try again.",
            channel=message.channel if message else None,
            ts=message.ts if message else None,
        )
        return web.json_response({"ok": True, "acked": False, "reason": outcome, "notice": notice.as_json()})

    async def view(self, request: web.Request) -> web.StreamResponse:
        """Submit a modal, close it (`close: true`, with `clear: true` the whole stack), or click in it (`action`)."""
        body = await read_json(request)
        user = person(self._team, body)
        if body.get("action") is not None:
            if not isinstance(body["action"], dict):
                raise Refused("`action` is `{action_id, value?}`.", 400)
            return await self._click_in_view(user, body, {"forge": body.get("forge", False), **body["action"]})
        record = self._modals.find(user, body)
        if flag_of(body, "close"):
            return web.json_response(await self._modals.close(user, record, clear=flag_of(body, "clear")))
        return web.json_response(await self._modals.submit(user, record, body))

    async def _click_in_view(self, user: User, body: Json, click: Json) -> web.Response:
        record = self._modals.find(user, body)
        forge = flag_of(body, "forge")
        block, element = pick(record.view["blocks"], click, forge=forge)
        raw = click.get("value")
        try:
            action = inputs.clicked(
                block,
                element,
                raw,
                action_ts=self._team.timestamps.next(),
                exists=self._modals.exists,
                forge=forge,
            )
            self._modals.enter(record, body.get("values") or body.get("state") or {}, forge=forge)
            if element["type"] not in inputs.STATELESS:
                entered = inputs.entered(element, raw, exists=self._modals.exists, forge=forge)
                record.values.setdefault(block["block_id"], {})[element["action_id"]] = entered
        except inputs.InputError as problem:
            raise Refused(f"That click is not possible: {problem}.", 409) from None
        trigger_id = self._services.triggers.issue(user.id, record.id)
        payload = self._services.interactions.view_click(user, record, action, trigger_id=trigger_id)
        return self._clicked(user, await self._services.outbound.interaction(payload))

    async def command(self, request: web.Request) -> web.StreamResponse:
        body = await read_json(request)
        user = person(self._team, body)
        channel = place(self._team, body, user)
        name = text_of(body, "command")
        name = name if name.startswith("/") else f"/{name}"
        if body.get("thread_ts"):
            raise Refused(f"{name} is not supported in threads. Sorry!", 409)
        declared = self._declared(name)
        if declared is None:
            raise Refused(f"{name} is not a valid command here.", 409)
        text = text_of(body, "text", needed=False).strip()
        if declared.get("should_escape"):
            people = {one.name: f"{one.id}|{one.name}" for one in self._team.users.values()}
            channels = {one.name: one.id for one in self._team.channels.values() if one.kind == "channel"}
            text = richtext.compose(text, people, channels, lambda known: known in self._team.users)
        path = self._services.response_urls.issue(
            "commands", user=user.id, channel=channel.id, message_ts=None, thread_ts=None
        )
        payload = self._services.interactions.command(
            user,
            channel,
            name,
            text,
            trigger_id=self._services.triggers.issue(user.id),
            response_url=self._team.base_url + path,
        )
        outcome = await self._services.outbound.command(payload)
        if not isinstance(outcome, Ack):
            error = "operation_timeout" if outcome.endswith("timeout") else "dispatch_failed"
            sentence = f'{name} failed with the error "{error}"'
            notice = self._team.notify(user.id, "command_failed", sentence, channel=channel.id)
            return web.json_response({"ok": True, "acked": False, "reason": outcome, "notice": notice.as_json()})
        if outcome.payload:
            self._answer(path, outcome.payload, user)
        return web.json_response({"ok": True, "acked": True})

    def _answer(self, path: str, payload: Json, user: User) -> None:
        url = self._services.response_urls.use("commands", path.rpartition("/")[2])
        if isinstance(url, str):
            return
        try:
            respond(self._services, url, payload)
        except ApiError as problem:
            sentence = f"The app's answer could not be shown ({problem.error})."
            self._team.notify(user.id, "bad_answer", sentence, channel=url.channel)

    def _declared(self, name: str) -> Json | None:
        """A command of the app; the seed names it, or describes it as the manifest does."""
        for one in self._team.app.get("commands", ()):
            body: Json = {"command": one} if isinstance(one, str) else one
            if body["command"] == name:
                return body
        return None

    async def shortcut(self, request: web.Request) -> web.StreamResponse:
        """A message shortcut when `channel` and `ts` are given, else a global one."""
        body = await read_json(request)
        user = person(self._team, body)
        callback_id = text_of(body, "callback_id")
        kind = "message" if body.get("ts") is not None else "global"
        known = any(
            one.get("callback_id") == callback_id and one.get("type") == kind
            for one in self._team.app.get("shortcuts", ())
        )
        if not known and not flag_of(body, "forge"):
            raise Refused(f"The app has no {kind} shortcut {callback_id!r}.", 409)
        trigger_id = self._services.triggers.issue(user.id)
        interactions = self._services.interactions
        if kind == "global":
            payload = interactions.global_shortcut(user, callback_id, trigger_id=trigger_id)
            return self._clicked(user, await self._services.outbound.interaction(payload))
        message = seen_message(self._team, body, user)
        if message.ephemeral_to is not None:
            raise Refused("A private message has no shortcuts.", 409)
        path = self._services.response_urls.issue(
            "actions", user=user.id, channel=message.channel, message_ts=None, thread_ts=message.thread_ts
        )
        payload = interactions.message_shortcut(
            user, message, callback_id, trigger_id=trigger_id, response_url=self._team.base_url + path
        )
        return self._clicked(user, await self._services.outbound.interaction(payload), message)

    async def options(self, request: web.Request) -> web.StreamResponse:
        """Ask the app for the options of an external select, as typing into it does."""
        body = await read_json(request)
        user = person(self._team, body)
        holder: Message | View
        if body.get("view_id") is not None:
            holder = self._modals.find(user, body)
            blocks = holder.view["blocks"]
        else:
            holder = seen_message(self._team, body, user)
            blocks = holder.blocks
        block, element = pick(blocks, body, forge=False)
        if element["type"] not in ("external_select", "multi_external_select"):
            raise Refused(f"{element['action_id']!r} does not load its options from the app.", 409)
        typed = text_of(body, "value", needed=False)
        payload = self._services.interactions.suggestion(user, holder, element["action_id"], block["block_id"], typed)
        outcome = await self._services.outbound.interaction(payload)
        answer: Any = outcome.payload if isinstance(outcome, Ack) else None
        return web.json_response({"ok": True, "acked": isinstance(outcome, Ack), **(answer or {"options": []})})


def pick(blocks: list[Json], click: Json, *, forge: bool) -> tuple[Json, Json]:
    """The element a click means: by `action_id`, and by `block_id` or its value where several share it.

    Raises:
        Refused: 409, when nothing like it stands there now.
    """
    action_id = text_of(click, "action_id")
    block_id = click.get("block_id")
    found = [
        (block, element)
        for block, element in interactive_elements(blocks)
        if element["action_id"] == action_id and block_id in (None, block["block_id"])
    ]
    if len(found) > 1 and click.get("value") is not None:
        found = [one for one in found if one[1].get("value") == click["value"]] or found
    if len(found) > 1 and block_id is None:
        places = ", ".join(repr(block["block_id"]) for block, _ in found)
        raise Refused(f"{action_id!r} stands in several blocks; say which with `block_id` ({places}).", 409)
    if found:
        return found[0]
    if forge:
        made: Json = {"type": "button", "action_id": action_id, "text": {"type": "plain_text", "text": "forged"}}
        if click.get("value") is not None:
            made["value"] = click["value"]
        return {"type": "actions", "block_id": block_id or "forged", "elements": [made]}, made
    standing = (
        ", ".join(sorted({repr(element["action_id"]) for _, element in interactive_elements(blocks)})) or "nothing"
    )
    raise Refused(f"There is no {action_id!r} to click there now; what can be clicked: {standing}.", 409)
