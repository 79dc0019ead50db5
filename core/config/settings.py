"""The process environment, read once.

Where things are and which keys open them. What the system does is the operator's file (`load.py`). All mistakes are
reported together; a name that begins with `BANKSMAN_` and is not ours is one, for it is almost always a typing error.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from core.errors import ConfigError
from core.nearest import did_you_mean
from core.ops.place import Place

SLACK_API_URL = "https://slack.com/api/"
DEFAULT_PORT = 8765
DEFAULT_SHOP_PORT = 8764
DEFAULT_HTTP_PORT = 3000
LOOPBACK = "127.0.0.1"
MIN_SECRET_LENGTH = 16
"""Slack's signing secrets have 32 characters; a short one could be guessed."""


@dataclass(frozen=True)
class Variable:
    """One environment variable, as the reference page describes it."""

    name: str
    field: str
    """The field of `Settings` it fills."""
    unit: str
    default: str
    sentence: str


VARIABLES = (
    Variable(
        "BANKSMAN_HOME",
        "home",
        "a directory",
        "`.banksman`",
        "Where data lives: database, artifacts, workspaces, `run.json`.",
    ),
    Variable(
        "BANKSMAN_PORT",
        "port",
        "a TCP port, 1 to 65535",
        "8765, or the next free one",
        "The playground's port on 127.0.0.1. If it is set and in use, starting fails instead of taking another.",
    ),
    Variable(
        "BANKSMAN_SHOP_PORT",
        "shop_port",
        "a TCP port, 0 to 65535",
        str(DEFAULT_SHOP_PORT),
        "Where the playground's shop is, the service that the example agents look at; 0 keeps it closed.",
    ),
    Variable("BANKSMAN_CONFIG", "config_path", "a file", "`banksman.yml`", "The operator's file, described below."),
    Variable(
        "BANKSMAN_DATABASE_URL",
        "database_url",
        "`sqlite+aiosqlite:///…` or `postgresql+asyncpg://…`",
        "`banksman.db` in `BANKSMAN_HOME`",
        "The database. SQLite for one machine, PostgreSQL for more.",
    ),
    Variable(
        "BANKSMAN_REDIS_URL",
        "redis_url",
        "`redis://…`, `rediss://…` or `unix://…`",
        "a server of our own",
        "The Redis that wakes workers. It holds no truth: losing it loses nothing.",
    ),
    Variable(
        "BANKSMAN_ARTIFACTS_URL",
        "artifacts_url",
        "`file:///…`",
        "`artifacts` in `BANKSMAN_HOME`",
        "Where the bytes of artifacts are kept.",
    ),
    Variable(
        "BANKSMAN_HTTP_PORT",
        "http_port",
        "a TCP port, 1 to 65535",
        str(DEFAULT_HTTP_PORT),
        "The port Slack's requests come in by in HTTP mode. Setting it chooses HTTP mode even with `SLACK_APP_TOKEN`.",
    ),
    Variable(
        "BANKSMAN_HTTP_HOST",
        "http_host",
        "an IP address or `localhost`",
        f"`{LOOPBACK}`",
        "The address HTTP mode listens on. It speaks no TLS: only a reverse proxy should reach it.",
    ),
    Variable(
        "BANKSMAN_METRICS_PORT",
        "metrics_port",
        "a TCP port, 0 to 65535",
        "none: no endpoint",
        "Where a part serves `/metrics`, `/healthz` and `/readyz`; 0 takes a free port and says which. "
        "`banksman up` gives each part a free one whatever this says, named in `run.json`.",
    ),
    Variable(
        "BANKSMAN_METRICS_HOST",
        "metrics_host",
        "an IP address or `localhost`",
        f"`{LOOPBACK}`",
        "The address they are served on. Whoever reaches it can read them.",
    ),
    Variable("SLACK_BOT_TOKEN", "slack_bot_token", "`xoxb-…`", "none", "The app's token for Slack's Web API."),
    Variable(
        "SLACK_APP_TOKEN",
        "slack_app_token",
        "`xapp-…`",
        "none",
        "The app-level token for Socket Mode, with the scope `connections:write`.",
    ),
    Variable(
        "SLACK_SIGNING_SECRET",
        "slack_signing_secret",
        "text",
        "none",
        "The app's signing secret, for HTTP mode: what Slack posts is checked with it.",
    ),
    Variable(
        "SLACK_API_URL",
        "slack_api_url",
        "an `http(s)://` URL",
        f"`{SLACK_API_URL}`",
        "Any server that speaks Slack's Web API, such as the playground.",
    ),
)


class EnvironmentProblems(ConfigError):
    """The environment cannot be used; `problems` are sentences, each naming its variable."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        head = (
            "The environment has one problem."
            if len(problems) == 1
            else f"The environment has {len(problems)} problems."
        )
        super().__init__("\n".join([head, *(f"  {problem}" for problem in problems)]))


@dataclass(frozen=True)
class Settings:
    """What the environment says. Paths are absolute."""

    home: Path
    port: int
    port_is_set: bool
    """Whether the port was asked for: then another one will not do."""
    shop_port: int
    """Of the playground's shop; 0 = it stays closed."""
    config_path: Path
    config_is_set: bool
    """Whether the file was asked for: then it must exist."""
    database_url: str = field(repr=False)
    """Never sqlite in memory: several processes share it. May hold a password."""
    redis_url: str | None = field(repr=False)
    """`None` asks for a server of our own. May hold a password."""
    artifacts_url: str
    """Always `file:///` and absolute for now."""
    http_port: int
    http_port_is_set: bool
    """Whether HTTP mode was asked for by its port: then it wins over Socket Mode."""
    http_host: str
    metrics_port: int | None
    """0 = any free one, `None` = no endpoint."""
    metrics_host: str
    slack_bot_token: SecretStr | None
    slack_app_token: SecretStr | None
    slack_signing_secret: SecretStr | None
    slack_api_url: str
    """Ends with a slash."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str], *, cwd: Path) -> "Settings":
        """Read the environment; an empty value counts as unset.

        Args:
            cwd: What relative paths are relative to.

        Raises:
            EnvironmentProblems: with a sentence for everything that is wrong.
        """
        reader = _Reader({name: value for name, value in environ.items() if value}, cwd)
        settings = reader.settings()
        if reader.problems:
            raise EnvironmentProblems(tuple(reader.problems))
        return settings

    def with_config(self, path: Path) -> "Settings":
        """The same settings with another operator's file, as `--config` asks."""
        return replace(self, config_path=path, config_is_set=True)

    @property
    def artifacts_dir(self) -> Path:
        return Path(unquote(urlsplit(self.artifacts_url).path))

    @property
    def slack_mode(self) -> str | None:
        """`socket`, `http`, or `None` when there is no Slack to talk to."""
        if self.slack_bot_token is None:
            return None
        return "socket" if self.slack_app_token is not None and not self.http_port_is_set else "http"

    @property
    def metrics_at(self) -> Place | None:
        """Where metrics and health are served, if anywhere."""
        return None if self.metrics_port is None else Place(self.metrics_host, self.metrics_port)

    def shown(self) -> dict[str, str]:
        """Every variable and its effective value, with passwords and tokens hidden."""
        values = {variable.name: getattr(self, variable.field) for variable in VARIABLES}
        return {name: _hidden(value) for name, value in values.items()}


@dataclass
class _Reader:
    environ: Mapping[str, str]
    cwd: Path
    problems: list[str] = field(default_factory=list)

    def settings(self) -> Settings:
        self._refuse_unknown()
        home = self._path("BANKSMAN_HOME", ".banksman")
        bot, app = self._token("SLACK_BOT_TOKEN", "xoxb-"), self._token("SLACK_APP_TOKEN", "xapp-")
        signing = self._signing_secret()
        metrics_asked = "BANKSMAN_METRICS_PORT" in self.environ
        self._check_slack_set(bot, app, signing)
        return Settings(
            home=home,
            port=self._port("BANKSMAN_PORT", DEFAULT_PORT),
            port_is_set="BANKSMAN_PORT" in self.environ,
            shop_port=self._port("BANKSMAN_SHOP_PORT", DEFAULT_SHOP_PORT, least=0),
            config_path=self._path("BANKSMAN_CONFIG", "banksman.yml"),
            config_is_set="BANKSMAN_CONFIG" in self.environ,
            database_url=self._database(home),
            redis_url=self._redis(),
            artifacts_url=self._artifacts(home),
            http_port=self._port("BANKSMAN_HTTP_PORT", DEFAULT_HTTP_PORT),
            http_port_is_set="BANKSMAN_HTTP_PORT" in self.environ,
            http_host=self._host("BANKSMAN_HTTP_HOST"),
            metrics_port=self._port("BANKSMAN_METRICS_PORT", 0, least=0) if metrics_asked else None,
            metrics_host=self._host("BANKSMAN_METRICS_HOST"),
            slack_bot_token=bot,
            slack_app_token=app,
            slack_signing_secret=signing,
            slack_api_url=self._slack_api(),
        )

    def _refuse_unknown(self) -> None:
        ours = [variable.name for variable in VARIABLES if variable.name.startswith("BANKSMAN_")]
        for name in sorted(self.environ):
            if name.startswith("BANKSMAN_") and name not in ours:
                self.problems.append(f"{name} is not a setting. {did_you_mean(name, ours)} Unset or rename it.")

    def _path(self, name: str, default: str) -> Path:
        text = self.environ.get(name, default)
        if text == "~" or text.startswith("~/"):
            text = self.environ.get("HOME", "~") + text[1:]
        return (self.cwd / text).absolute()

    def _port(self, name: str, default: int, *, least: int = 1) -> int:
        text = self.environ.get(name, str(default))
        if text.isascii() and text.isdigit() and len(text) <= 5 and least <= int(text) <= 65535:
            return int(text)
        self.problems.append(f"{name} is {_quoted(text)}, which is no port. Write a number from {least} to 65535.")
        return default

    def _host(self, name: str) -> str:
        text = self.environ.get(name, LOOPBACK)
        if text == "localhost" or _is_address(text):
            return text
        self.problems.append(
            f"{name} is {_quoted(text)}, which is no address of this machine. "
            "Write an IP address to listen on, such as 127.0.0.1."
        )
        return LOOPBACK

    def _database(self, home: Path) -> str:
        url = self.environ.get("BANKSMAN_DATABASE_URL")
        if url is None:
            return f"sqlite+aiosqlite:///{home / 'banksman.db'}"
        scheme, _, rest = url.partition("://")
        if scheme == "sqlite+aiosqlite":
            path = rest.removeprefix("/")
            if not rest.startswith("/") or path.partition("?")[0] in ("", ":memory:") or "mode=memory" in path:
                self.problems.append(
                    "BANKSMAN_DATABASE_URL names a SQLite database in memory, which processes cannot share. "
                    "Name a file: sqlite+aiosqlite:///banksman.db (relative) or sqlite+aiosqlite:////srv/banksman.db."
                )
            return f"sqlite+aiosqlite:///{(self.cwd / path).absolute()}"
        if scheme == "postgresql+asyncpg":
            if not _has_database(url):
                self.problems.append(
                    "BANKSMAN_DATABASE_URL names no database. "
                    "Write postgresql+asyncpg://USER:PASSWORD@HOST:5432/DATABASE."
                )
            return url
        meant = {"sqlite": "sqlite+aiosqlite", "postgres": "postgresql+asyncpg", "postgresql": "postgresql+asyncpg"}
        guess = meant.get(scheme.partition("+")[0])
        remedy = (
            f"Begin it with {guess}://." if guess else "Use sqlite+aiosqlite:///FILE or postgresql+asyncpg://HOST/DB."
        )
        self.problems.append(f"BANKSMAN_DATABASE_URL {_beginning(url)}, which is not supported. {remedy}")
        return url

    def _redis(self) -> str | None:
        url = self.environ.get("BANKSMAN_REDIS_URL")
        if url is not None and url.partition("://")[0] not in ("redis", "rediss", "unix"):
            remedy = (
                "Use redis://HOST:6379/0, rediss://… or unix:///path/to/socket, or unset it to run a server of our own."
            )
            self.problems.append(f"BANKSMAN_REDIS_URL {_beginning(url)}. {remedy}")
        return url

    def _artifacts(self, home: Path) -> str:
        url = self.environ.get("BANKSMAN_ARTIFACTS_URL")
        if url is None:
            return (home / "artifacts").as_uri()
        parts = urlsplit(url)
        if parts.scheme == "s3":
            self.problems.append(
                "BANKSMAN_ARTIFACTS_URL names an S3 bucket, which this version cannot use yet. Use file:///srv/artifacts."
            )
        elif parts.scheme != "file" or parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
            self.problems.append(
                f"BANKSMAN_ARTIFACTS_URL is {_quoted(url)}, which names no directory. Use file:///srv/artifacts."
            )
        elif parts.path == "/":
            self.problems.append(
                "BANKSMAN_ARTIFACTS_URL names the root directory. Use one of its own: file:///srv/artifacts."
            )
        return url

    def _token(self, name: str, prefix: str) -> SecretStr | None:
        token = self.environ.get(name)
        if token is None:
            return None
        if not token.startswith(prefix):
            other = "It is an app-level token: swap the two. " if token.startswith("xapp-") else ""
            other = "It is a bot token: swap the two. " if token.startswith("xoxb-") else other
            other = "It is a user's token, which is not used here. " if token.startswith("xoxp-") else other
            self.problems.append(
                f"{name} does not begin with {prefix}. {other}Copy it from the app's page on api.slack.com."
            )
        elif token != token.strip() or not token.isascii() or not token.isprintable() or " " in token:
            self.problems.append(
                f"{name} has spaces or strange characters in it. Copy it again, without the line's end."
            )
        return SecretStr(token)

    def _signing_secret(self) -> SecretStr | None:
        secret = self.environ.get("SLACK_SIGNING_SECRET")
        if secret is None:
            return None
        if secret != secret.strip() or not secret.isascii() or not secret.isprintable():
            self.problems.append(
                "SLACK_SIGNING_SECRET has spaces or strange characters in it. Copy it again, without the line's end."
            )
        elif len(secret) < MIN_SECRET_LENGTH:
            self.problems.append(
                "SLACK_SIGNING_SECRET is too short to be one. Copy it from Basic Information on the app's page."
            )
        return SecretStr(secret)

    def _check_slack_set(self, bot: SecretStr | None, app: SecretStr | None, signing: SecretStr | None) -> None:
        if bot is None and (app is not None or signing is not None):
            given = "SLACK_APP_TOKEN" if app is not None else "SLACK_SIGNING_SECRET"
            self.problems.append(
                f"{given} is set but SLACK_BOT_TOKEN is not. Set the bot's token (xoxb-…) too, or unset both."
            )
        if bot is not None and app is None and signing is None:
            self.problems.append(
                "SLACK_BOT_TOKEN is set, but nothing says how Slack reaches us. "
                "Set SLACK_APP_TOKEN (xapp-…) for Socket Mode, or SLACK_SIGNING_SECRET for HTTP."
            )

        if bot is not None and signing is None and "BANKSMAN_HTTP_PORT" in self.environ:
            self.problems.append(
                "BANKSMAN_HTTP_PORT asks for HTTP mode, but SLACK_SIGNING_SECRET is not set. "
                "Set it too, or unset BANKSMAN_HTTP_PORT to use Socket Mode."
            )

    def _slack_api(self) -> str:
        url = self.environ.get("SLACK_API_URL", SLACK_API_URL)
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            self.problems.append(
                f"SLACK_API_URL is {_quoted(url)}, which is no http(s) URL. Unset it to use Slack's own."
            )
        return url if url.endswith("/") else f"{url}/"


def _is_address(text: str) -> bool:
    try:
        return bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def _has_database(url: str) -> bool:
    parts = urlsplit(url)
    return len(parts.path) > 1


def _hidden(value: object) -> str:
    if value is None:
        return "not set"
    if isinstance(value, SecretStr):
        return "set, hidden"
    scheme, separator, rest = str(value).partition("://")
    if not separator:
        return str(value)
    rest, _, query = rest.partition("?")  # drivers accept passwords there too
    credentials, at, place = rest.rpartition("@")
    user = credentials.partition(":")[0]
    return f"{scheme}://{user + ':…@' if at else ''}{place}{'?…' if query else ''}"


def _beginning(url: str) -> str:
    """Say how a URL begins; what has no scheme is not repeated, for it may hold a password."""
    scheme, separator, _ = url.partition("://")
    return f"begins with {_quoted(scheme)}" if separator else "has no scheme"


def _quoted(text: str) -> str:
    return f'"{text[:80]}"' if text.isprintable() else "not printable"
