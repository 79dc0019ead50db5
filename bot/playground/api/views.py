"""views.*: modals and the home tab."""

from typing import Any

from bot.playground import wire
from bot.playground.api.call import ApiError, Call, Family, invalid_arguments
from bot.playground.blockkit import InvalidBlocks, check_view
from bot.playground.ids import new_id
from bot.playground.records import Json, View
from bot.playground.services import Services
from bot.playground.tickets import TriggerError

family = Family()

MAX_STACK = 3
VIEW_LIMIT_BYTES = 250_000


def checked_view(services: Services, raw: Any, *, home: bool = False) -> tuple[Json, str]:
    """A view that Slack would take, completed, and its external id.

    Raises:
        ApiError: `invalid_arguments` with explanations, `view_too_large`, `duplicate_external_id`.
    """
    if not isinstance(raw, dict):
        raise invalid_arguments("missing required field: view")
    try:
        view = check_view(raw, services.file_known(), home=home)
    except InvalidBlocks as problem:
        raise invalid_arguments(*problem.problems) from None
    if len(str(raw).encode()) > VIEW_LIMIT_BYTES:
        raise ApiError("view_too_large")
    return view, str(raw.get("external_id") or "")


def _check_external_id(services: Services, external_id: str, own: View | None = None) -> None:
    taken = [*services.team.views.values(), *services.team.homes.values()]
    if external_id and any(one.external_id == external_id and one is not own for one in taken):
        raise ApiError("duplicate_external_id")


def _exchange(call: Call) -> tuple[str, str | None]:
    trigger = call.text("trigger_id") or call.text("interactivity_pointer")
    if not trigger:
        raise invalid_arguments("missing required field: trigger_id")
    try:
        return call.services.triggers.exchange(trigger)
    except TriggerError as problem:
        raise ApiError(str(problem)) from None


def opened(services: Services, user: str, view: Json, external_id: str) -> View:
    """Open a modal as the root of a new stack; it replaces what the person had open."""
    for old in services.team.stack_of(user):
        services.team.drop_view(old)
    view_id = new_id("V", 11)
    record = View(view_id, user, view, services.team.new_hash(), view_id, external_id=external_id)
    services.team.save_view(record)
    return record


def pushed(services: Services, below: View, view: Json, external_id: str) -> View:
    """Push a modal onto a person's stack.

    Raises:
        ApiError: `push_limit_reached`.
    """
    if len(services.team.stack_of(below.user)) >= MAX_STACK:
        raise ApiError("push_limit_reached")
    record = View(
        new_id("V", 11), below.user, view, services.team.new_hash(), below.root_id, below.id, external_id=external_id
    )
    services.team.save_view(record)
    return record


def replaced(services: Services, record: View, view: Json, external_id: str) -> View:
    """Give an open view or home new content; what was entered into blocks that stay is kept."""
    kept = {block["block_id"] for block in view["blocks"]}
    record.view, record.hash = view, services.team.new_hash()
    record.external_id = external_id or record.external_id
    record.errors = {}
    record.values = {block_id: value for block_id, value in record.values.items() if block_id in kept}
    if record.id in services.team.views:
        services.team.save_view(record)
    else:
        services.team.save_home(record)
    return record


@family.method("views.open", tier=4)
async def open_view(call: Call) -> Json:
    view, external_id = checked_view(call.services, call.json("view", error="invalid_arguments"))
    _check_external_id(call.services, external_id)
    user, _ = _exchange(call)
    return {"view": wire.view(call.services.team, opened(call.services, user, view, external_id))}


@family.method("views.push", tier=4)
async def push_view(call: Call) -> Json:
    view, external_id = checked_view(call.services, call.json("view", error="invalid_arguments"))
    _check_external_id(call.services, external_id)
    user, origin = _exchange(call)
    stack = call.services.team.stack_of(user)
    if origin is None or not stack:
        raise ApiError("not_found")
    return {"view": wire.view(call.services.team, pushed(call.services, stack[-1], view, external_id))}


@family.method("views.update", tier=4)
async def update_view(call: Call) -> Json:
    team = call.services.team
    view_id, external_id = call.text("view_id"), call.text("external_id")
    if not view_id and not external_id:
        raise invalid_arguments("one of view_id and external_id is required")
    everything = [*team.views.values(), *team.homes.values()]
    record = next(
        (one for one in everything if one.id == view_id or (external_id and one.external_id == external_id)), None
    )
    if record is None:
        raise ApiError("not_found")
    is_home = record.id not in team.views
    view, new_external_id = checked_view(call.services, call.json("view", error="invalid_arguments"), home=is_home)
    _check_external_id(call.services, new_external_id, record)
    _check_hash(call, record)
    return {"view": wire.view(team, replaced(call.services, record, view, new_external_id))}


def _check_hash(call: Call, record: View) -> None:
    given = call.text("hash")
    if given and given != record.hash:
        raise ApiError("hash_conflict")


@family.method("views.publish", tier=4)
async def publish(call: Call) -> Json:
    team = call.services.team
    user = team.users.get(call.needed("user_id"))
    if user is None or user.is_bot:
        raise ApiError("user_not_found" if user is None else "invalid_arguments")
    view, external_id = checked_view(call.services, call.json("view", error="invalid_arguments"), home=True)
    home = team.homes.get(user.id)
    _check_external_id(call.services, external_id, home)
    if home is None:
        if call.text("hash"):
            raise ApiError("hash_conflict")
        view_id = new_id("V", 11)
        home = View(view_id, user.id, view, team.new_hash(), view_id, external_id=external_id)
        team.save_home(home)
    else:
        _check_hash(call, home)
        replaced(call.services, home, view, external_id)
    return {"view": wire.view(team, home)}
