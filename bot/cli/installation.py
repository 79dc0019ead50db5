"""What a command works with: the same database, files and doorbell the running parts use, found by the same two
variables.
"""

import json
import os
import pwd
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.artifacts import FileStore, ObjectStore
from core.clock import Clock, SystemClock
from core.config.load import Config, load_config
from core.config.people import NotRecognised, principal_for_cli
from core.config.settings import Settings
from core.crashpoints import crashpoint
from core.errors import BanksmanError, ConfigError
from core.ids import TENANT, Ids
from core.principals import Principal
from core.queue import ArqDoorbell, Doorbell, SilentDoorbell
from core.store import schema
from core.store.session import Database
from core.store.trouble import in_words

RUN_FILE = "run.json"


class Refused(BanksmanError):
    """Not allowed, or already decided (exit code 3)."""


class BadAnswer(BanksmanError):
    """The thing asked about is bad: a run that failed, one that does not exist (exit code 1)."""


@dataclass(frozen=True)
class Installation:
    """An installation, opened."""

    settings: Settings
    config: Config
    database: Database
    objects: ObjectStore
    doorbell: Doorbell
    clock: Clock
    ids: Ids
    tenant: str = TENANT

    def principal(self, as_name: str | None) -> Principal:
        """Who acts here, by the operating system's word and `--as`.

        Raises:
            Refused: `--as` names somebody this user may not act as.
        """
        uid = os.getuid()
        try:
            os_user = pwd.getpwuid(uid).pw_name
        except KeyError:
            os_user = str(uid)
        who = principal_for_cli(self.config, os_user=os_user, uid=uid, host=socket.gethostname(), as_name=as_name)
        if isinstance(who, NotRecognised):
            raise Refused(who.sentence)
        return who


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Installation]:
    """Open the installation the environment names.

    Raises:
        ConfigError: the operator's file cannot be used.
        SchemaMismatch: the database is not this version's.
    """
    config = load_config(settings.config_path)
    database = Database(settings.database_url)
    clock = SystemClock()
    redis_url = settings.redis_url or running(settings.home).get("redis_url")
    doorbell: Doorbell = ArqDoorbell(redis_url) if redis_url else SilentDoorbell()
    try:
        with reaching():
            await schema.check(database)
        objects = FileStore(settings.artifacts_dir, crashpoint=crashpoint)
        yield Installation(settings, config, database, objects, doorbell, clock, Ids(clock))
    finally:
        await doorbell.close()
        await database.close()


@contextmanager
def reaching() -> Iterator[None]:
    """Whatever first talks to the database goes in here.

    Raises:
        ConfigError: it cannot be reached (exit code 2).
    """
    try:
        yield
    except (OSError, TimeoutError) as error:
        raise ConfigError(f"The database cannot be reached: {error}. Check BANKSMAN_DATABASE_URL.") from error
    except Exception as error:
        if (said := in_words(error)) is None:
            raise
        raise ConfigError(said) from error


def running(home: Path) -> Mapping[str, Any]:
    """What `banksman up` wrote about itself into the home; empty if it is not up."""
    try:
        found = json.loads((home / RUN_FILE).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and _alive(found.get("pid")) else {}


def _alive(pid: object) -> bool:
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
