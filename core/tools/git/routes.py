"""Where an address leads, whether a tool may go there, and with which secret; the operator's word on each.

What was looked up here is what git connects to: the child gets the addresses and no say in them.
"""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.secrets import MissingSecret
from core.tools.base import Outside, ToolContext
from core.tools.git.urls import Remote, local, remote
from core.tools.reach import Credential, OutOfReach, Reach, check_host, check_path, credential_for

_TOKEN_USER = "x-access-token"
"""What goes with a token where the operator names no user; the hosts that want one take this or any."""


@dataclass(frozen=True)
class Route:
    """A way to a repository that may be gone."""

    remote: Remote
    given: Mapping[str, Any]
    """What the child needs of it; no secret."""
    secrets: Mapping[str, str]
    creds: tuple[Mapping[str, str], ...]
    """`{"ref", "host"}` of the secret, by name."""


async def route(url: str, context: ToolContext) -> Route:
    """Find the way to an address.

    Raises:
        TerminalError: it is none, or the operator has not let it; with the line of banksman.yml that would.
        MissingSecret: the secret for its host is not there.
        RetryableError: its host cannot be looked up right now.
    """
    return await asyncio.to_thread(_route, remote(url), context.outside)


def _route(found: Remote, outside: Outside) -> Route:
    if found.scheme == "file":
        # A link on the way may lead elsewhere tomorrow: what is approved is where it leads now.
        real = local(str(check_path(outside.reach, found.path, private=outside.private)))
        return Route(real, {"scheme": "file", "url": real.url}, {}, ())
    reach = outside.reach if found.scheme == "https" else _named(outside.reach, found)
    given = {
        "scheme": found.scheme,
        "url": found.url,
        "host": found.host,
        "port": found.port,
        "addresses": list(check_host(reach, found.host, found.port)),
        "ca": os.environ.get("SSL_CERT_FILE"),
    }
    credential = credential_for(reach, found.host) if found.scheme == "https" else None
    if credential is None:
        return Route(found, given, {}, ())
    creds = ({"ref": credential.secret, "host": found.host},)
    given["user"] = credential.user or _TOKEN_USER
    return Route(found, given, {"secret": _secret(credential, outside)}, creds)


def _named(reach: Reach, found: Remote) -> Reach:
    """The hosts that ssh may reach: it uses the keys of the user who runs us, so only those the operator names."""
    named = tuple(place for place in reach.network if place != "*" and not place.startswith("file:"))
    if not named:
        raise OutOfReach(
            f"ssh would use the keys of the user who runs Banksman, so {found.host} has to be named for it. "
            f"If it is meant, the operator adds `{found.host}` to the tool's `network` in banksman.yml."
        )
    return replace(reach, network=named)


def _secret(credential: Credential, outside: Outside) -> str:
    where = outside.secret_refs.get(credential.secret)
    if where is None:
        raise MissingSecret(f"There is no secret `{credential.secret}`; the operator adds it to `secrets`.")
    return outside.secrets.resolve(where).get_secret_value()
