"""What the guide tells people to write into Slack and their proxy leads to this door."""

from typing import Any
from urllib.parse import urlsplit

import pytest
from ruamel.yaml import YAML

from bot.http import PATHS
from bot.surface import COMMAND
from core.config.settings import DEFAULT_HTTP_PORT, LOOPBACK
from tests.docs.check import ROOT
from tests.docs.fences import fences

KEY = "docs/guides/slack.md > Over HTTP instead of Socket Mode > 1"


def _addresses(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [value for key, value in node.items() if key in ("url", "request_url")]
        return own + [found for value in node.values() for found in _addresses(value)]
    return [found for each in node for found in _addresses(each)] if isinstance(node, list) else []


@pytest.mark.runs_fence("docs/guides/slack.md > Over HTTP instead of Socket Mode > 1")
def test_the_changes_to_the_manifest_fit_it_and_name_our_paths() -> None:
    [fence] = [each for each in fences(ROOT) if each.key == KEY]
    yaml = YAML(typ="safe")
    changes = yaml.load(fence.text)
    manifest = yaml.load((ROOT / "manifest.yml").read_text())

    assert manifest["settings"]["socket_mode_enabled"] is True
    assert changes["settings"].pop("socket_mode_enabled") is False
    assert [COMMAND] == [each["command"] for each in changes["features"]["slash_commands"]]
    assert set(changes["settings"]) <= set(manifest["settings"])
    addresses = _addresses(changes)
    assert 3 == len(addresses)
    for address in addresses:
        assert ("https", True) == (urlsplit(address).scheme, urlsplit(address).path in PATHS)


def test_the_proxy_of_the_guide_passes_on_to_where_the_bot_listens() -> None:
    guide = (ROOT / "docs/guides/slack.md").read_text()

    assert f"proxy_pass http://{LOOPBACK}:{DEFAULT_HTTP_PORT};" in guide
    assert f"{DEFAULT_HTTP_PORT} of {LOOPBACK}" in guide
