"""What `doctor` says about how Slack reaches the bot."""

import json

import pytest

from bot.cli.doctor import examine
from core.config.settings import Settings
from tests.integration.bot_http.house import HttpHouse
from tests.integration.bot_runtime.office import Json


async def _slack_findings(house: HttpHouse, capsys: pytest.CaptureFixture[str], **more: str) -> list[Json]:
    settings = Settings.from_env(house.environ | more, cwd=house.home)
    capsys.readouterr()
    await examine(settings, as_json=True)
    found = json.loads(capsys.readouterr().out)
    return [each for each in found["findings"] if each["check"] == "slack"]


async def test_http_mode_is_named_with_its_address(house: HttpHouse, capsys: pytest.CaptureFixture[str]) -> None:
    *_, ingress = await _slack_findings(house, capsys, SLACK_APP_TOKEN="xapp-playground")

    assert "ok" == ingress["verdict"]
    assert f"HTTP mode on 127.0.0.1, port {house.port}; the signing secret is set" in ingress["detail"]
    assert "SLACK_APP_TOKEN is not used" in ingress["detail"]


async def test_an_address_others_can_reach_is_a_warning(house: HttpHouse, capsys: pytest.CaptureFixture[str]) -> None:
    *_, exposed = await _slack_findings(house, capsys, BANKSMAN_HTTP_HOST="0.0.0.0")

    assert "warning" == exposed["verdict"]
    assert "without TLS" in exposed["detail"]
    assert "reverse proxy" in exposed["remedy"]


async def test_socket_mode_says_that_the_secret_is_not_used(
    house: HttpHouse, capsys: pytest.CaptureFixture[str]
) -> None:
    del house.environ["BANKSMAN_HTTP_PORT"]

    *_, ingress = await _slack_findings(house, capsys, SLACK_APP_TOKEN="xapp-playground")

    assert "Socket Mode; SLACK_SIGNING_SECRET is not used" == ingress["detail"]
