"""The environment: read once, wrong as a whole or right as a whole."""

from dataclasses import fields
from pathlib import Path

import pytest

from core.config import EnvironmentProblems, Settings
from core.config.settings import VARIABLES

CWD = Path("/srv/team")

SECRET = "hunter2-hunter2-hunter2-hunter2"

MISTAKES = {
    "an unknown name": ({"BANKSMAN_PROT": "1"}, "BANKSMAN_PROT is not a setting. Did you mean `BANKSMAN_PORT`?"),
    "a strange name": ({"BANKSMAN_XYZZY": "1"}, "BANKSMAN_XYZZY is not a setting."),
    "a port that is a word": ({"BANKSMAN_PORT": "http"}, "Write a number from 1 to 65535"),
    "port 0": ({"BANKSMAN_PORT": "0"}, "Write a number from 1 to 65535"),
    "port 70000": ({"BANKSMAN_PORT": "70000"}, "Write a number from 1 to 65535"),
    "an HTTP port that is a word": ({"BANKSMAN_HTTP_PORT": "https"}, "Write a number from 1 to 65535"),
    "an HTTP host by name": ({"BANKSMAN_HTTP_HOST": "bot.example.com"}, "Write an IP address to listen on"),
    "a port in other digits": ({"BANKSMAN_PORT": "٨٠"}, "Write a number from 1 to 65535"),
    "a synchronous SQLite": ({"BANKSMAN_DATABASE_URL": "sqlite:///x.db"}, "Begin it with sqlite+aiosqlite://."),
    "a synchronous PostgreSQL": ({"BANKSMAN_DATABASE_URL": "postgres://h/d"}, "Begin it with postgresql+asyncpg://."),
    "another database": ({"BANKSMAN_DATABASE_URL": "mysql://h/d"}, "Use sqlite+aiosqlite:///FILE or"),
    "no URL": ({"BANKSMAN_DATABASE_URL": "x.db"}, "not supported"),
    "SQLite in memory": ({"BANKSMAN_DATABASE_URL": "sqlite+aiosqlite://"}, "cannot share"),
    "SQLite in memory by name": ({"BANKSMAN_DATABASE_URL": "sqlite+aiosqlite:///:memory:"}, "cannot share"),
    "PostgreSQL without database": ({"BANKSMAN_DATABASE_URL": "postgresql+asyncpg://h"}, "names no database"),
    "a Redis by HTTP": ({"BANKSMAN_REDIS_URL": "http://h"}, "Use redis://HOST:6379/0"),
    "a bucket": ({"BANKSMAN_ARTIFACTS_URL": "s3://bucket/x"}, "this version cannot use yet"),
    "a relative file URL": ({"BANKSMAN_ARTIFACTS_URL": "file://data"}, "names no directory"),
    "a path for a URL": ({"BANKSMAN_ARTIFACTS_URL": "/data"}, "Use file:///srv/artifacts"),
    "the root directory": ({"BANKSMAN_ARTIFACTS_URL": "file:///"}, "root directory"),
    "an app token as bot token": ({"SLACK_BOT_TOKEN": "xapp-1", "SLACK_APP_TOKEN": "xapp-1"}, "swap the two"),
    "a user token": ({"SLACK_BOT_TOKEN": "xoxp-1", "SLACK_APP_TOKEN": "xapp-1"}, "user's token"),
    "a token with a newline": ({"SLACK_BOT_TOKEN": "xoxb-1\n", "SLACK_APP_TOKEN": "xapp-1"}, "strange characters"),
    "an app token alone": ({"SLACK_APP_TOKEN": "xapp-1"}, "SLACK_BOT_TOKEN is not"),
    "a signing secret alone": ({"SLACK_SIGNING_SECRET": SECRET}, "SLACK_BOT_TOKEN is not"),
    "a short signing secret": ({"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_SIGNING_SECRET": "abc"}, "too short to be one"),
    "a signing secret with a newline": (
        {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_SIGNING_SECRET": f"{SECRET}\n"},
        "strange characters",
    ),
    "HTTP mode without a secret": (
        {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1", "BANKSMAN_HTTP_PORT": "3000"},
        "SLACK_SIGNING_SECRET is not set",
    ),
    "a bot token alone": ({"SLACK_BOT_TOKEN": "xoxb-1"}, "Set SLACK_APP_TOKEN (xapp-…) for Socket Mode"),
    "an API by FTP": ({"SLACK_API_URL": "ftp://h/"}, "no http(s) URL"),
}


def read(environ: dict[str, str]) -> Settings:
    return Settings.from_env(environ, cwd=CWD)


@pytest.mark.parametrize(("environ", "words"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_with_its_variable_and_a_remedy(environ: dict[str, str], words: str) -> None:
    with pytest.raises(EnvironmentProblems) as raised:
        read(environ)

    (problem,) = raised.value.problems
    assert words in problem
    assert any(name in problem for name in environ)
    assert problem.endswith(".")


def test_all_mistakes_come_together_and_no_token_is_repeated() -> None:
    with pytest.raises(EnvironmentProblems) as raised:
        read({"BANKSMAN_PORT": "x", "BANKSMAN_HOEM": "y", "SLACK_BOT_TOKEN": "hunter2", "SLACK_APP_TOKEN": "hunter3"})

    assert 4 == len(raised.value.problems)
    assert "hunter" not in str(raised.value)


def test_an_empty_environment_is_a_machine_of_its_own() -> None:
    settings = read({"PATH": "/bin", "HOME": "/home"})

    assert (CWD / ".banksman", CWD / "banksman.yml") == (settings.home, settings.config_path)
    assert (8765, False, False) == (settings.port, settings.port_is_set, settings.config_is_set)
    assert 8764 == settings.shop_port
    assert "sqlite+aiosqlite:////srv/team/.banksman/banksman.db" == settings.database_url
    assert CWD / ".banksman/artifacts" == settings.artifacts_dir
    assert (None, None) == (settings.redis_url, settings.slack_mode)
    assert "https://slack.com/api/" == settings.slack_api_url


def test_values_are_taken_as_given_and_paths_made_absolute() -> None:
    settings = read(
        {
            "BANKSMAN_HOME": "~/data",
            "HOME": "/people/ana",
            "BANKSMAN_PORT": "9000",
            "BANKSMAN_SHOP_PORT": "0",
            "BANKSMAN_CONFIG": "conf/b.yml",
            "BANKSMAN_DATABASE_URL": "sqlite+aiosqlite:///db/x.db",
            "BANKSMAN_REDIS_URL": "unix:///run/redis.sock",
            "BANKSMAN_ARTIFACTS_URL": "file:///srv/with%20space",
            "SLACK_API_URL": "http://127.0.0.1:8765/api",
        }
    )

    assert (Path("/people/ana/data"), CWD / "conf/b.yml") == (settings.home, settings.config_path)
    assert (9000, True, True) == (settings.port, settings.port_is_set, settings.config_is_set)
    assert 0 == settings.shop_port
    assert "sqlite+aiosqlite:////srv/team/db/x.db" == settings.database_url
    assert Path("/srv/with space") == settings.artifacts_dir
    assert "http://127.0.0.1:8765/api/" == settings.slack_api_url


def test_an_absolute_sqlite_path_stays_where_it_is() -> None:
    url = "sqlite+aiosqlite:////var/lib/b.db"

    assert url == read({"BANKSMAN_DATABASE_URL": url}).database_url


def test_an_empty_value_counts_as_unset() -> None:
    assert read({}) == read({"BANKSMAN_PORT": "", "SLACK_BOT_TOKEN": ""})


@pytest.mark.parametrize(
    ("more", "mode"),
    [
        ({"SLACK_APP_TOKEN": "xapp-1"}, "socket"),
        ({"SLACK_SIGNING_SECRET": SECRET}, "http"),
        ({"SLACK_APP_TOKEN": "xapp-1", "SLACK_SIGNING_SECRET": SECRET}, "socket"),
        ({"SLACK_APP_TOKEN": "xapp-1", "SLACK_SIGNING_SECRET": SECRET, "BANKSMAN_HTTP_PORT": "3001"}, "http"),
    ],
)
def test_the_tokens_say_how_slack_reaches_us(more: dict[str, str], mode: str) -> None:
    assert mode == read({"SLACK_BOT_TOKEN": "xoxb-1", **more}).slack_mode


def test_http_is_for_this_machine_unless_told_otherwise() -> None:
    told = read({"BANKSMAN_HTTP_HOST": "::", "BANKSMAN_HTTP_PORT": "8443"})

    assert ("127.0.0.1", 3000, False) == (read({}).http_host, read({}).http_port, read({}).http_port_is_set)
    assert ("::", 8443, True) == (told.http_host, told.http_port, told.http_port_is_set)


def test_nothing_secret_is_shown() -> None:
    settings = read(
        {
            "SLACK_BOT_TOKEN": "xoxb-hunter2",
            "SLACK_APP_TOKEN": "xapp-hunter2",
            "SLACK_SIGNING_SECRET": SECRET,
            "BANKSMAN_DATABASE_URL": "postgresql+asyncpg://ana:hunter2@db/b?password=hunter2",
            "BANKSMAN_REDIS_URL": "redis://:hunter2@h/0",
        }
    )

    assert "hunter2" not in repr(settings) + str(settings.shown())
    assert "postgresql+asyncpg://ana:…@db/b?…" == settings.shown()["BANKSMAN_DATABASE_URL"]
    assert "set, hidden" == settings.shown()["SLACK_BOT_TOKEN"]


def test_every_field_that_comes_from_a_variable_is_described() -> None:
    derived = {"port_is_set", "config_is_set", "http_port_is_set"}

    assert {field.name for field in fields(Settings)} - derived == {variable.field for variable in VARIABLES}
    assert all(each.unit and each.default and each.sentence.endswith(".") for each in VARIABLES)


def test_another_config_file_can_be_asked_for() -> None:
    changed = read({}).with_config(Path("/x/y.yml"))

    assert (Path("/x/y.yml"), True) == (changed.config_path, changed.config_is_set)
