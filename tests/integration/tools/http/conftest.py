"""Servers that answer as told, and one exchange with them as the child performs it."""

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.secrets import SecretRef, SystemSecrets
from core.tools.base import ToolContext
from core.tools.http_send import perform as send_once
from core.tools.reach import Credential, Reach
from tests.integration.tools.conftest import context as context
from tests.integration.tools.conftest import environment as environment
from tests.integration.tools.conftest import perform as perform
from tests.integration.tools.conftest import workspace as workspace
from tests.integration.tools.http import certificate
from tests.integration.tools.http.server import Script, Server

Serve = Callable[..., Server]
Send = Callable[..., dict[str, Any]]
Allowed = Callable[..., ToolContext]

TIMEOUT_S = 5.0


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[Server] = []

    def start(*scripts: Script, **how: Any) -> Server:
        servers.append(Server(*scripts, **how))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(scope="session")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for this machine by address and name, and its key."""
    return certificate.write(tmp_path_factory.mktemp("tls"), "127.0.0.1", "localhost")


@pytest.fixture
def send(tmp_path: Path) -> Send:
    """One request to places that the operator named, without a child of its own."""

    def one(
        method: str,
        url: str,
        *,
        reach: list[str],
        headers: dict[str, str] | None = None,
        body: str | None = None,
        credential: dict[str, Any] | None = None,
        secret: str = "",
        ca: Path | None = None,
        key: str = "v1.key",
        timeout_s: float = TIMEOUT_S,
        bounds: list[Any] | None = None,
    ) -> dict[str, Any]:
        request = {"method": method, "url": url, "headers": headers or {}, "body": body}
        into = str(tmp_path)
        args = {
            "request": request,
            "reach": reach,
            "bounds": bounds or [],
            "credential": credential,
            "into": into,
            "ca": None if ca is None else str(ca),
        }
        return send_once(args, {"credential": secret} if credential else {}, key, timeout_s)

    return one


@pytest.fixture
def run_row(tmp_path: Path, context: ToolContext) -> Path:
    """A database in which the context's run is under way, as the child looks it up."""
    path = tmp_path / "banksman.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE runs (tenant TEXT, id TEXT, fence INTEGER, killed_at INTEGER)")
        label = context.label
        database.execute("INSERT INTO runs VALUES (?, ?, ?, NULL)", (label.tenant, label.run_id, label.fence))
    return path


@pytest.fixture
def allowed(context: ToolContext, run_row: Path) -> Allowed:
    """The context of a call that may reach these places, with these secrets by host."""

    attempts = itertools.count(1)

    def reaching(*network: str, secrets: dict[str, str] | None = None, **credential: Any) -> ToolContext:
        values = secrets or {}
        outside = replace(
            context.outside,
            database_url=f"sqlite+aiosqlite:///{run_row}",
            reach=Reach(network, tuple(Credential(host, f"of-{host}", **credential) for host in values)),
            secrets=SystemSecrets({f"OF_{host}": value for host, value in values.items() if value}),
            secret_refs={f"of-{host}": SecretRef(f"of-{host}", "env", f"OF_{host}") for host in values},
        )
        scratch = context.scratch_path.with_name(f"scratch-{next(attempts)}")
        return replace(context, outside=outside, scratch_path=scratch, timeout_s=TIMEOUT_S)

    return reaching
