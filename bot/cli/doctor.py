"""`banksman doctor`: would everything work here, and if not, what to do. Reads, never changes; non-zero when something
would not.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import redis.asyncio as aioredis
from redis.exceptions import RedisError

from bot.cli import endpoints, stored_files
from bot.cli.doubts import doubtful_models, doubtful_tools
from bot.cli.embedded import find_servers
from bot.cli.installation import running
from bot.cli.output import console, print_json
from bot.slack import open_slack
from bot.slack_call import METHODS
from bot.slack_errors import SlackError
from core.actions.agreed import all_waits
from core.artifacts import FileStore
from core.clock import SystemClock, boot_id, host_name, rfc3339
from core.config.load import load_config
from core.config.people import doubtful_people
from core.config.settings import Settings
from core.door import is_loopback
from core.errors import BanksmanError, ConfigError, SchemaMismatch
from core.ids import TENANT
from core.planners.compile import compile_playbooks
from core.secrets import Redactor
from core.store import agreements, hosts, schema
from core.store.readonly import TooSlow, looking
from core.store.session import Database
from core.store.trouble import in_words
from core.tools.catalogue import tool_names

REAPER_GONE_MS = 20_000
"""A reaper says every few seconds that it is at work."""

_ORPHANS_WITHIN_S = 5.0
_ORPHANS_OF = 50_000

Verdict = Literal["ok", "warning", "bad"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    check: str
    verdict: Verdict
    detail: str
    remedy: str = ""


async def examine(settings: Settings, *, as_json: bool) -> int:
    """Look at everything; 0 if all would work, 1 if something would not."""
    checks: list[tuple[str, Callable[[Settings], Awaitable[list[Finding]]]]] = [
        ("config", _config),
        ("database", _database),
        ("channels", _channels),
        ("redis", _redis),
        ("artifacts", _artifacts),
        ("sandbox", _sandbox),
        ("reaper", _reaper),
        ("slack", _slack),
        ("metrics", _metrics),
    ]
    findings: list[Finding] = []
    for name, check in checks:
        try:
            findings += await check(settings)
        except BanksmanError as error:
            findings.append(Finding(name, "bad", error.user_text))
        except Exception as error:
            if (said := in_words(error)) is None:
                raise
            findings.append(Finding(name, "bad", said))
    bad = any(finding.verdict == "bad" for finding in findings)
    if as_json:
        print_json({"ok": not bad, "settings": settings.shown(), "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            mark = {"ok": "[green]ok[/]", "warning": "[yellow]!![/]", "bad": "[red]no[/]"}[finding.verdict]
            console.print(f"{mark}  {finding.check:<10}", end="")
            console.print(finding.detail, markup=False)
            if finding.remedy:
                console.print(f"               {finding.remedy}", markup=False)
    return 1 if bad else 0


async def _config(settings: Settings) -> list[Finding]:
    config = load_config(settings.config_path)
    playbooks = compile_playbooks(config.playbooks.values(), tools=tool_names(config))
    found = [
        Finding("config", "ok", f"{settings.config_path}: {len(playbooks)} playbooks, {len(config.principals)} people")
    ]
    doubtful = (*doubtful_people(config), *doubtful_tools(config), *doubtful_models(config))
    found += [Finding("config", "warning", sentence) for sentence in doubtful]
    return found


async def _database(settings: Settings) -> list[Finding]:
    if (file := _sqlite_file(settings)) is not None and not file.exists():
        remedy = "`banksman up` makes it; so does `banksman db upgrade`."
        return [Finding("database", "bad", f"there is no SQLite database at {file} yet", remedy)]
    database = Database(settings.database_url)
    kind = "SQLite" if database.dialect == "sqlite" else "PostgreSQL"
    try:
        await schema.check(database)
    except (OSError, TimeoutError) as error:
        return [Finding("database", "bad", f"{kind} cannot be reached: {error}", "Check BANKSMAN_DATABASE_URL.")]
    finally:
        await database.close()
    if file is not None and not all(os.access(path, os.W_OK) for path in (file, file.parent)):
        remedy = "Let this user write it, and its directory."
        return [Finding("database", "bad", f"the SQLite file {file} cannot be written", remedy)]
    found = [Finding("database", "ok", f"{kind} at revision {schema.head()}")]
    if database.dialect == "sqlite":
        advice = "Set BANKSMAN_DATABASE_URL to PostgreSQL for more than one machine or many people at once."
        found.append(Finding("database", "ok", "SQLite serves one machine", advice))
    return found


async def _channels(settings: Settings) -> list[Finding]:
    """Contracts that do not hold as the file has them; nothing where file or database cannot say: that is said."""
    if (file := _sqlite_file(settings)) is not None and not file.exists():
        return []
    try:
        written = load_config(settings.config_path).contracts
    except ConfigError:
        return []
    database = Database(settings.database_url)
    try:
        await schema.check(database)
        agreed = await agreements.latest(database, TENANT)
    except (SchemaMismatch, OSError, TimeoutError):
        return []
    finally:
        await database.close()
    return [Finding("channels", "warning", sentence) for sentence in all_waits(written, agreed)]


def _sqlite_file(settings: Settings) -> Path | None:
    scheme, _, path = settings.database_url.partition(":///")
    return Path(path.partition("?")[0]) if scheme.startswith("sqlite") else None


async def _redis(settings: Settings) -> list[Finding]:
    url = settings.redis_url or running(settings.home).get("redis_url")
    if url is None:
        servers = find_servers()
        if servers:
            return [Finding("redis", "ok", f"none is running; `banksman up` starts {servers[0].path}")]
        return [Finding("redis", "bad", "no Redis server program was found", "Set BANKSMAN_REDIS_URL, or install one.")]
    client = aioredis.Redis.from_url(url, socket_connect_timeout=2)
    try:
        async with asyncio.timeout(3):
            info = await client.info("server")
    except (RedisError, OSError, TimeoutError) as error:
        late = "Runs go on without it, each step a second later. Check BANKSMAN_REDIS_URL."
        return [Finding("redis", "bad", f"it does not answer: {error}", late)]
    finally:
        await client.aclose()
    return [Finding("redis", "ok", f"answers, version {info.get('redis_version', '?')}")]


async def _artifacts(settings: Settings) -> list[Finding]:
    directory = settings.artifacts_dir
    if not directory.exists():
        above = next(path for path in directory.parents if path.exists())
        if os.access(above, os.W_OK | os.X_OK):
            return [Finding("artifacts", "ok", f"{directory} is made when the first file is stored")]
        remedy = f"Let this user write in {above}, or set BANKSMAN_ARTIFACTS_URL to another place."
        return [Finding("artifacts", "bad", f"{directory} cannot be made", remedy)]
    probe = b"banksman doctor"

    async def once() -> Any:
        yield probe

    store = FileStore(directory)
    stored = await store.put(once(), cap_bytes=1024)
    same = await store.read(stored.sha256, 1024) == probe
    await store.trash(stored.sha256)
    verdict: Verdict = "ok" if same else "bad"
    found = [Finding("artifacts", verdict, f"{directory} takes and gives back files")]
    return [*found, *await _orphans(settings, store)]


async def _orphans(settings: Settings, store: FileStore) -> list[Finding]:
    """How much of the store nothing names, as far as that is quickly known."""
    try:
        async with looking(settings.database_url, statement_s=_ORPHANS_WITHIN_S) as look:
            await schema.check_read_only(look)
            found = await stored_files.orphans(look, store, most=_ORPHANS_OF)
    except (BanksmanError, TooSlow):
        return []  # said of the database already, or to be asked of `--artifacts`
    return [Finding("artifacts", "ok", stored_files.sentence(found))]


async def _sandbox(settings: Settings) -> list[Finding]:
    """Ask a worker's own code, in a process of its own: the bot's side does not touch execution."""
    command = [sys.executable, "-m", "worker.examine"]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode != 0:
        return [Finding("sandbox", "bad", (done.stderr or done.stdout).strip()[-2_000:])]
    report = json.loads(done.stdout)
    lacks = " ".join(report["lacks"])
    verdict: Verdict = "ok" if report["level"] != "none" else "warning"
    remedy = " ".join(report["remedies"])
    limits = ", ".join(report["enforced"])
    return [
        Finding("sandbox", verdict, f"{report['level']}: {report['summary']} {lacks}".strip(), remedy),
        Finding("sandbox", "ok", f"limits of a call are enforced by {limits}"),
        *_installed(report["installed"], report["troubles"]),
    ]


def _installed(tools: Sequence[str], troubles: Sequence[str]) -> list[Finding]:
    """What packages beside Banksman bring, as its worker finds it."""
    found = [Finding("tools", "ok", f"from packages: {', '.join(tools)}")] if tools else []
    remedy = "Mend or remove that package in the environment of the worker; all other tools work."
    return found + [Finding("tools", "bad", trouble, remedy) for trouble in troubles]


async def _reaper(settings: Settings) -> list[Finding]:
    """Whether somebody proves stops on this host while no worker can."""
    if (file := _sqlite_file(settings)) is not None and not file.exists():
        return []
    database, here = Database(settings.database_url), host_name()
    try:
        await schema.check(database)
        known = {row.host: row for row in await hosts.listed(database)}
    except (OSError, TimeoutError, BanksmanError):
        return []  # said of the database already
    except Exception as error:
        if in_words(error) is None:
            raise
        return []
    finally:
        await database.close()
    row, now_ms = known.get(here), SystemClock().wall_ms()
    if row is not None and row.boot_id == boot_id() and now_ms - row.seen_at < REAPER_GONE_MS:
        return [Finding("reaper", "ok", f"at work on this host, process {row.reaper_pid}")]
    seen = "never seen here" if row is None else f"last seen here at {rfc3339(row.seen_at)}"
    if running(settings.home):
        remedy = "Look at reaper.log in the home's logs; a worker starts one within seconds."
        return [Finding("reaper", "bad", f"none is at work on this host; {seen}", remedy)]
    return [Finding("reaper", "ok", f"none is at work on this host, nor are workers of `banksman up`; {seen}")]


async def _slack(settings: Settings) -> list[Finding]:
    if settings.slack_bot_token is None:
        return [Finding("slack", "ok", "no token is set; `banksman up` starts a playground instead")]
    token = settings.slack_bot_token.get_secret_value()
    try:
        async with open_slack(token, settings.slack_api_url, redact=Redactor([token]).redact_json) as slack:
            me = await slack.me()
            granted = await slack.scopes()
    except SlackError as error:
        return [Finding("slack", "bad", error.user_text, "Check SLACK_BOT_TOKEN and SLACK_API_URL.")]
    needed = {scope for method in METHODS.values() for scope in method.scopes} | {"app_mentions:read", "commands"}
    missing = sorted(needed - granted)
    if missing:
        remedy = "Install the app again from manifest.yml."
        return [Finding("slack", "bad", f"the token lacks the scopes {', '.join(missing)}", remedy)]
    found = [Finding("slack", "ok", f"connected to team {me.team} as {me.user}")]
    return found + _ingress(settings)


def _ingress(settings: Settings) -> list[Finding]:
    """How Slack reaches the bot."""
    if settings.slack_mode == "socket":
        unused = "; SLACK_SIGNING_SECRET is not used" if settings.slack_signing_secret is not None else ""
        advice = "Set BANKSMAN_HTTP_PORT to take Slack's requests over HTTP instead." if unused else ""
        return [Finding("slack", "ok", f"Socket Mode{unused}", advice)]
    if settings.slack_signing_secret is None:
        remedy = "Copy it from Basic Information on the app's page."
        return [Finding("slack", "bad", "HTTP mode, and SLACK_SIGNING_SECRET is not set", remedy)]
    unused = "; SLACK_APP_TOKEN is not used" if settings.slack_app_token is not None else ""
    where = f"{settings.http_host}, port {settings.http_port}"
    found = [Finding("slack", "ok", f"HTTP mode on {where}; the signing secret is set{unused}")]
    if not is_loopback(settings.http_host):
        remedy = "Let nothing but a reverse proxy with TLS reach it, or set BANKSMAN_HTTP_HOST to 127.0.0.1."
        found.append(Finding("slack", "warning", f"HTTP mode listens on {settings.http_host} without TLS", remedy))
    return found


async def _metrics(settings: Settings) -> list[Finding]:
    """Whether the parts that run are ready, or the port can be had by one that starts."""
    parts = running(settings.home).get("metrics")
    if isinstance(parts, dict) and parts:
        return [await _part(str(name), str(url)) for name, url in parts.items()]
    url = endpoints.address(settings)
    if url is None:
        where = "any free port" if settings.metrics_at is not None else "nowhere: BANKSMAN_METRICS_PORT is not set"
        return [Finding("metrics", "ok", f"served on {where}")]
    found = []
    if (why_not := endpoints.why_not_bound(settings)) is None:
        found.append(Finding("metrics", "ok", f"{url} is free for a part that starts here"))
    elif await endpoints.readiness(url) is not None:
        found.append(await _part("part", url))
    else:
        remedy = "Stop what uses that port, or set another BANKSMAN_METRICS_PORT or BANKSMAN_METRICS_HOST."
        found.append(Finding("metrics", "bad", why_not, remedy))
    if endpoints.is_exposed(settings):
        remedy = "Let nothing but your monitoring reach it, or unset BANKSMAN_METRICS_HOST."
        found.append(Finding("metrics", "warning", f"{url} can be reached by others than this machine", remedy))
    return found


async def _part(name: str, url: str) -> Finding:
    """What a part that should be running says."""
    answer = await endpoints.readiness(url)
    if answer is None:
        return Finding("metrics", "bad", f"the {name} does not answer at {url}", "Look at its log, or start it again.")
    name, why = str(answer["part"]), "; ".join(endpoints.complaints(answer))
    if answer.get("ready") is not True:
        return Finding("metrics", "bad", f"the {name} is not ready: {why}", "Its log says more.")
    return Finding("metrics", "warning" if why else "ok", f"the {name} is ready at {url}{f'; {why}' if why else ''}")
