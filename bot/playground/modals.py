"""Modals and homes as people use them: entering, submitting, closing, and what the app answers."""

from bot.playground import inputs, wire
from bot.playground.api.call import ApiError
from bot.playground.api.views import checked_view, pushed, replaced
from bot.playground.blockkit.surfaces import interactive_elements
from bot.playground.guard import Refused
from bot.playground.people import attachment, flag_of, text_of
from bot.playground.records import Json, User, View
from bot.playground.services import Services
from bot.playground.socket import Ack

TROUBLE = "We had some trouble connecting. Try again?"


class Modals:
    """Open views of people."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._team = services.team

    def exists(self, some_id: str) -> bool:
        return some_id in self._team.users or some_id in self._team.channels

    def find(self, user: User, body: Json) -> View:
        """The view a person acts in: the top one of their stack, or their home."""
        view_id = text_of(body, "view_id")
        record = self._team.view_with(view_id)
        if record is None or record.user != user.id:
            raise Refused(f"{user.name} has no view {view_id!r} open; it may have been closed.", 409)
        stack = self._team.stack_of(user.id)
        if record.id in self._team.views and stack[-1] is not record and not flag_of(body, "forge"):
            raise Refused("Another view lies on top of that one; act in the top one.", 409)
        return record

    def state_of(self, user: User, blocks: list[Json], given: object, kept: Json, *, forge: bool) -> Json:
        """`state.values` of some blocks: what was given now, else what was kept, else what they start with.

        Args:
            given: `{block_id: {action_id: value}}`, `{action_id: value}` or `{block_id: value}`.

        Raises:
            InputError: A value that could not have been entered, or an input that is not there.
        """
        if not isinstance(given, dict):
            raise inputs.InputError("entered values are an object by block id")
        if set(given) == {"values"} and isinstance(given["values"], dict):
            given = given["values"]
        values: Json = {}
        used: set[str] = set()
        for block, element in interactive_elements(blocks):
            if element["type"] in inputs.STATELESS:
                continue
            block_id, action_id = block["block_id"], element["action_id"]
            inner = given.get(block_id)
            if isinstance(inner, dict) and action_id in inner:
                state = inputs.entered(element, inner[action_id], exists=self.exists, forge=forge)
                used.add(block_id)
            elif action_id in given:
                state = inputs.entered(element, given[action_id], exists=self.exists, forge=forge)
                used.add(action_id)
            elif block_id in given and block.get("element") is element:
                state = inputs.entered(element, inner, exists=self.exists, forge=forge)
                used.add(block_id)
            else:
                state = kept.get(block_id, {}).get(action_id) or inputs.initial(element)
            if element["type"] == "file_input":
                state = self._with_files(user, state)
            values.setdefault(block_id, {})[action_id] = state
        strangers = set(given) - used
        if strangers and not forge:
            raise inputs.InputError(f"there is no input {sorted(strangers)[0]!r}")
        return {**values, **{key: given[key] for key in strangers}}

    def _with_files(self, user: User, state: Json) -> Json:
        """Files of a file input: ids of files that exist, or new ones as `{name, content_base64}`."""
        bodies = []
        for one in state.get("files") or []:
            file_id = one.get("id") if isinstance(one, dict) else one
            file = self._team.files.get(str(file_id)) if file_id else None
            if file is None and isinstance(one, dict):
                name, content = attachment(one)
                file = self._services.activity.new_file(name, user.id, len(content))
                self._team.storage.write_file(file.id, content)
                file.is_uploaded = file.is_complete = True
                self._team.save_file(file)
            if file is None:
                raise inputs.InputError(f"there is no file {file_id!r}")
            bodies.append(wire.file(self._team, file))
        return {**state, "files": bodies}

    def enter(self, record: View, given: object, *, forge: bool) -> None:
        """Keep what a person entered."""
        user = self._team.users[record.user]
        record.values = self.state_of(user, record.view["blocks"], given, record.values, forge=forge)
        if record.id in self._team.views:
            self._team.save_view(record)

    def _give_files(self, record: View) -> None:
        """Let the app see the files of a form that is being submitted."""
        for block in record.values.values():
            for state in block.values() if isinstance(block, dict) else ():
                for body in (state.get("files") or ()) if isinstance(state, dict) else ():
                    file = self._team.files.get(body.get("id", "")) if isinstance(body, dict) else None
                    if file is not None:
                        file.is_given = True
                        self._team.save_file(file)

    async def submit(self, user: User, record: View, body: Json) -> Json:
        """Press the submit button: check as the client does, hand over, do what the app answers."""
        forge = flag_of(body, "forge")
        if record.view["type"] != "modal":
            raise Refused("A home tab cannot be submitted.", 409)
        if record.view.get("submit") is None and not forge:
            raise Refused("This view has no submit button.", 409)
        try:
            self.enter(record, body.get("values") or {}, forge=forge)
        except inputs.InputError as problem:
            raise Refused(f"That cannot be entered: {problem}.", 409) from None
        self._give_files(record)
        missing = {} if forge else self._missing(record)
        if missing:
            raise Refused("Please fill in what is required.", 409, errors=missing)
        record.errors = {}
        trigger_id = self._services.triggers.issue(user.id, record.id)
        payload = self._services.interactions.submission(user, record, trigger_id=trigger_id)
        outcome = await self._services.outbound.interaction(payload)
        if not isinstance(outcome, Ack):
            return self._trouble(record, outcome)
        return self._apply(record, outcome.payload or {})

    def _missing(self, record: View) -> dict[str, str]:
        missing = {}
        for block in record.view["blocks"]:
            if block["type"] == "input" and not block.get("optional"):
                state = record.values.get(block["block_id"], {}).get(block["element"]["action_id"], {})
                if inputs.is_empty(state):
                    missing[block["block_id"]] = "This is a required field"
        return missing

    def _trouble(self, record: View, reason: str) -> Json:
        notice = self._team.notify(record.user, "view_failed", TROUBLE)
        return {"ok": True, "acked": False, "reason": reason, "notice": notice.as_json(), "view": self._page(record)}

    def _page(self, record: View) -> Json | None:
        return wire.page_view(self._team, record) if record.id in self._team.views else None

    def _apply(self, record: View, answer: Json) -> Json:
        """Do what the app answered to a submission; without an answer the view closes."""
        team = self._team
        kind = answer.get("response_action")
        done: Json = {"ok": True, "acked": True, "response_action": kind}
        if record.id not in team.views:
            # The app replaced or cleared it by itself while it was answering.
            return done
        try:
            if kind is None:
                team.drop_view(record)
            elif kind == "clear":
                for one in reversed(team.stack_of(record.user)):
                    team.drop_view(one)
            elif kind == "errors" and self._are_errors(answer.get("errors"), record):
                record.errors = answer["errors"]
                team.save_view(record)
                done["errors"] = record.errors
            elif kind == "update":
                view, external_id = checked_view(self._services, answer.get("view"))
                done["view"] = self._page(replaced(self._services, record, view, external_id))
            elif kind == "push":
                view, external_id = checked_view(self._services, answer.get("view"))
                done["view"] = self._page(pushed(self._services, record, view, external_id))
            else:
                return self._trouble(record, "invalid_response_action")
        except ApiError as problem:
            details = problem.extra.get("response_metadata", {}).get("messages", [])
            return {**self._trouble(record, problem.error), "messages": details}
        return done

    def _are_errors(self, errors: object, record: View) -> bool:
        """Errors name input blocks of the view, each with a sentence."""
        inputs_here = {block["block_id"] for block in record.view["blocks"] if block["type"] == "input"}
        if not isinstance(errors, dict) or not errors or not set(errors) <= inputs_here:
            return False
        return all(isinstance(one, str) and one for one in errors.values())

    async def close(self, user: User, record: View, *, clear: bool) -> Json:
        """Close the top view, or with `clear` the whole stack; the app hears of it where it asked to."""
        if record.view["type"] != "modal":
            raise Refused("A home tab cannot be closed.", 409)
        stack = self._team.stack_of(user.id)
        # A stack of one has nothing else to clear: closing it is plain closing.
        clear = (clear and len(stack) > 1) or bool(record.view.get("clear_on_close"))
        leaving = list(reversed(stack)) if clear else [record]
        for one in leaving:
            self._team.drop_view(one)
            if one.view.get("notify_on_close"):
                payload = self._services.interactions.closed(user, one, is_cleared=clear)
                await self._services.outbound.interaction(payload)
        return {"ok": True, "closed": [one.id for one in leaving]}
