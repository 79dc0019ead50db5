"""What is not set or not installed is said before anything is asked, with what to do about it."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from bot.cli.doubts import doubts
from core.config.load import load_config
from core.planners.dialogue import Prompt, Told
from core.planners.model import Models
from core.planners.thinking import ModelFailed
from tests.integration.tools.http import certificate
from tests.integration.vendors.conftest import Line, until
from tests.vendors import AWS, Say, bedrock_server


async def refusal(models: Models, provider: Any, url: str | None = None, key: str | None = None) -> str:
    """What is said instead of an answer; it costs nothing and is not tried again."""
    with pytest.raises(ModelFailed) as failed:
        await ask(models, provider, url, key)
    assert (False, False) == (failed.value.billed, failed.value.again)
    return str(failed.value)


async def ask(models: Models, provider: Any, url: str | None, key: str | None = None) -> str:
    spec = Line(provider, models).spec(url or "")
    spec = spec if url is not None else type(spec)(**{**vars(spec), "url": None})
    prompt = Prompt("", (Told("Look."),), ())
    return (await models.answer(spec, prompt, n=1, position=0, key=key, on_text=lambda text: None)).text


@pytest.mark.parametrize(("provider", "package"), [("google", "google.genai"), ("bedrock", "boto3")])
async def test_a_vendor_whose_library_is_not_installed_says_how_to_add_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, models: Models, provider: str, package: str
) -> None:
    path = tmp_path / "banksman.yml"
    path.write_text(json.dumps({"models": {"main": {"provider": provider, "model": "clever-1"}}}))
    config = load_config(path)
    assert [] == [each for each in doubts(config, []) if "main" in each]

    monkeypatch.setitem(sys.modules, package, None)

    why = f"what models of {provider} need is not installed here. Run `make cloud`"
    assert [f"The model `main` cannot be asked: {why}."] == [each for each in doubts(config, []) if "main" in each]
    assert f"`{provider}:clever-1` cannot be asked: {why}" == await refusal(models, provider)


async def test_without_credentials_it_says_which_variables_to_set(
    monkeypatch: pytest.MonkeyPatch, models: Models
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")

    said = await refusal(models, "bedrock")

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_BEARER_TOKEN_BEDROCK", "AWS_PROFILE"):
        assert name in said


async def test_without_a_region_it_says_which_variable_to_set(
    monkeypatch: pytest.MonkeyPatch, models: Models, aws: None
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")

    assert "Set AWS_DEFAULT_REGION" in await refusal(models, "bedrock")


async def test_a_profile_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, models: Models, aws: None) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")

    assert "nobody" in await refusal(models, "bedrock")


async def test_what_was_missing_is_found_when_it_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, models: Models
) -> None:
    async with bedrock_server(Say("Now.")) as vendor:
        await refusal(models, "bedrock", vendor.url)
        for name, value in AWS.items():
            monkeypatch.setenv(name, value)

        assert "Now." == await ask(models, "bedrock", vendor.url)


async def test_a_key_of_bedrock_goes_with_its_requests_and_never_in_the_open(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, models: Models
) -> None:
    files = certificate.write(tmp_path, "localhost", "127.0.0.1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(files[0]))
    async with bedrock_server(Say("Yes."), certificate=files) as vendor:
        assert "Yes." == await ask(models, "bedrock", vendor.url, "a-key-of-bedrock")
        assert "Bearer a-key-of-bedrock" == vendor.headers[0]["Authorization"]
        await models.close()
        await until(lambda: vendor.lines() == 0)
    async with bedrock_server() as vendor:
        assert "HTTPS" in await refusal(models, "bedrock", vendor.url, "a-key-of-bedrock")
        assert [] == vendor.asked


async def test_a_key_in_the_environment_is_enough(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, models: Models
) -> None:
    files = certificate.write(tmp_path, "localhost", "127.0.0.1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(files[0]))
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "a-key-of-bedrock")
    async with bedrock_server(Say("Yes."), certificate=files) as vendor:
        assert "Yes." == await ask(models, "bedrock", vendor.url)
        assert "Bearer a-key-of-bedrock" == vendor.headers[0]["Authorization"]
