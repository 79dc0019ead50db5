"""What the parts of an installation answer on their health pages, for `doctor`."""

import json
from collections.abc import Mapping
from typing import Any

import aiohttp

from core.config.settings import Settings
from core.door import is_loopback, listening
from core.errors import ConfigError

_WITHIN_S = 6.0
_MOST_BYTES = 65_536


async def readiness(url: str) -> Mapping[str, Any] | None:
    """What a part says at `/readyz`; `None` if nothing of ours answers there."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_WITHIN_S)) as session,
            session.get(f"{url}/readyz", allow_redirects=False) as answer,
        ):
            found = json.loads(await answer.content.read(_MOST_BYTES))
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
        return None
    ours = isinstance(found, dict) and isinstance(found.get("checks"), dict) and isinstance(found.get("part"), str)
    return found if ours else None


def complaints(found: Mapping[str, Any]) -> list[str]:
    """The checks that are not ok, each with its reason."""
    checks = {name: check for name, check in found["checks"].items() if isinstance(check, dict)}
    return [f"{name}: {check.get('why', '')}" for name, check in checks.items() if check.get("state") != "ok"]


def address(settings: Settings) -> str | None:
    """Where the settings let a part serve, as a URL; `None` = nowhere, or on a port nobody knows yet."""
    place = settings.metrics_at
    if place is None or place.port == 0:
        return None
    return f"http://{f'[{place.host}]' if ':' in place.host else place.host}:{place.port}"


def why_not_bound(settings: Settings) -> str | None:
    """Why the port cannot be had by a part that starts now; `None` if it can."""
    place = settings.metrics_at
    assert place is not None
    try:
        listening(place.host, place.port, who="A part", remedy="").close()
    except ConfigError as error:
        return str(error).strip()
    return None


def is_exposed(settings: Settings) -> bool:
    """Whether others than this machine can reach the pages."""
    place = settings.metrics_at
    return place is not None and not is_loopback(place.host)
