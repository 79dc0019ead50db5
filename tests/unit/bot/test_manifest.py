"""The manifest says exactly what the code does, in the shape Slack takes.

The shape is written from https://docs.slack.dev/reference/app-manifest (major version 2), as far as we use it; a key
that is not here is an error, so whoever adds one has to look it up.
"""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import jsonschema
import pytest
from ruamel.yaml import YAML
from slack_bolt.async_app import AsyncApp

from bot.blocks.lists import HELP
from bot.listeners import register_listeners
from bot.office import Office
from bot.slack_call import METHODS
from bot.surface import BOT_NAME, COMMAND, ActionId, BotEvent, CallbackId

ROOT = Path(__file__).resolve().parents[3]

EVENT_SCOPES: dict[BotEvent, tuple[str, ...]] = {
    BotEvent.APP_MENTION: ("app_mentions:read",),
    BotEvent.MESSAGE_CHANNELS: ("channels:history",),
    BotEvent.MESSAGE_GROUPS: ("groups:history",),
    BotEvent.MESSAGE_IM: ("im:history",),
    BotEvent.REACTION_ADDED: ("reactions:read",),
    BotEvent.APP_HOME_OPENED: (),
    BotEvent.AGENT_SESSION_STOPPED: ("chat:write",),
}
"""What Slack wants granted before it delivers each event. https://docs.slack.dev/reference/events"""


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    properties = required | (optional or {})
    return {"type": "object", "required": list(required), "properties": properties, "additionalProperties": False}


def _text(least: int, most: int, pattern: str = "") -> dict[str, Any]:
    return {"type": "string", "minLength": least, "maxLength": most} | ({"pattern": pattern} if pattern else {})


YES_NO = {"type": "boolean"}
NAMES = {"type": "array", "items": _text(1, 50), "uniqueItems": True, "maxItems": 100}
SCHEMA = _object(
    {
        "_metadata": _object({"major_version": {"const": 2}}, {"minor_version": {"type": "integer"}}),
        "display_information": _object(
            {"name": _text(1, 35)},
            {
                "description": _text(1, 140),
                "long_description": _text(175, 4000),
                "background_color": _text(4, 7, "^#([0-9a-fA-F]{3}){1,2}$"),
            },
        ),
        "features": _object(
            {"bot_user": _object({"display_name": _text(1, 80)}, {"always_online": YES_NO})},
            {
                "app_home": _object(
                    {},
                    {
                        "home_tab_enabled": YES_NO,
                        "messages_tab_enabled": YES_NO,
                        "messages_tab_read_only_enabled": YES_NO,
                    },
                ),
                "slash_commands": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": 50,
                    "items": _object(
                        {"command": _text(2, 32, "^/"), "description": _text(1, 2000)},
                        {"usage_hint": _text(1, 1000), "should_escape": YES_NO},
                    ),
                },
            },
        ),
        "oauth_config": _object({"scopes": _object({"bot": NAMES | {"maxItems": 255}})}),
        "settings": _object(
            {"socket_mode_enabled": YES_NO},
            {
                "event_subscriptions": _object({"bot_events": NAMES}),
                "interactivity": _object({"is_enabled": YES_NO}),
                "org_deploy_enabled": YES_NO,
                "token_rotation_enabled": YES_NO,
            },
        ),
    }
)


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe").load((ROOT / "manifest.yml").read_text())
    return loaded


def test_slack_would_take_its_shape(manifest: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(manifest)


def test_it_subscribes_to_the_events_we_handle(manifest: dict[str, Any]) -> None:
    assert sorted(BotEvent) == sorted(manifest["settings"]["event_subscriptions"]["bot_events"])


class Table:
    """Stands for the app while listeners are registered; keeps what they asked for."""

    def __init__(self) -> None:
        self.asked: dict[str, set[str]] = {"event": set(), "action": set(), "view": set(), "command": set()}

    def __getattr__(self, kind: str) -> Callable[..., Any]:
        if kind in {"middleware", "error"}:
            return lambda *_: None

        def attach(wanted: str) -> Callable[[object], None]:
            self.asked[kind].add(str(wanted))
            return lambda _listener: None

        return attach


def test_every_listener_is_reachable_and_everything_reachable_has_a_listener() -> None:
    table = Table()

    register_listeners(cast(AsyncApp, table), cast(Office, SimpleNamespace(desk=None)))

    assert {event.payload_type for event in BotEvent} == table.asked["event"]
    assert {str(action) for action in ActionId} == table.asked["action"]
    assert {COMMAND} == table.asked["command"]
    assert {str(view) for view in CallbackId} - {CallbackId.RUN_DETAILS} == table.asked["view"], "nothing to submit"


def test_it_asks_for_the_scopes_we_use_and_no_other(manifest: dict[str, Any]) -> None:
    methods = {scope for method in METHODS.values() for scope in method.scopes}
    events = {scope for scopes in EVENT_SCOPES.values() for scope in scopes}

    assert sorted(methods | events | {"commands"}) == manifest["oauth_config"]["scopes"]["bot"]
    assert set(BotEvent) == set(EVENT_SCOPES)


def test_it_offers_our_command_with_its_subcommands(manifest: dict[str, Any]) -> None:
    [command] = manifest["features"]["slash_commands"]

    assert COMMAND == command["command"]
    assert " | ".join(usage for usage, _ in HELP) == command["usage_hint"]


def test_buttons_home_and_socket_mode_are_switched_on(manifest: dict[str, Any]) -> None:
    assert manifest["settings"]["socket_mode_enabled"]
    assert manifest["settings"]["interactivity"]["is_enabled"]
    assert manifest["features"]["app_home"]["home_tab_enabled"]
    assert not manifest["features"]["app_home"]["messages_tab_read_only_enabled"], "people write to the bot there"
    assert BOT_NAME == manifest["features"]["bot_user"]["display_name"]


def test_only_methods_of_the_table_are_called() -> None:
    """`Caller` refuses others at run time; this finds them before."""
    source = "".join((ROOT / "bot" / name).read_text() for name in ("slack.py", "slack_streams.py"))

    called = {name for name in METHODS if f'"{name}"' in source}
    assert set(METHODS) == called


def test_the_guide_explains_every_scope(manifest: dict[str, Any]) -> None:
    guide = (ROOT / "docs" / "guides" / "slack.md").read_text()

    for scope in manifest["oauth_config"]["scopes"]["bot"]:
        assert f"`{scope}`" in guide, scope
