"""What somebody typed after `freeze` or `thaw`, understood: which run, playbook, tool, channel or team is meant.

A name nobody knows is refused with the names there are, because a freeze of nothing would look like safety.
"""

import re
from collections.abc import Awaitable, Callable, Iterable

from core.errors import ConfigError
from core.nearest import did_you_mean
from core.record.freezes import Frozen, Scope
from core.store import runs
from core.store.session import Database

USAGE = "Write `run:ID`, `agent:NAME`, `tool:NAME`, `channel:#name` or its id, `team:ID`, or `everything`."

_CHANNEL = re.compile(r"[CDG][A-Z0-9]{2,30}")
_TEAM = re.compile(r"[TE][A-Z0-9]{2,30}")

ChannelName = Callable[[str], Awaitable[str]]
"""The name of a channel by its id, without `#`."""


class UnknownScope(ConfigError):
    """What should be frozen is not understood or does not exist."""


async def understood(
    text: str,
    database: Database,
    tenant: str,
    *,
    agents: Iterable[str],
    tools: Iterable[str],
    channel_name: ChannelName | None,
    thawing: bool = False,
) -> Frozen:
    """The scope somebody means.

    Args:
        channel_name: Asks Slack; `None` where Slack cannot be asked, so that a channel needs its id.
        thawing: A name that is gone from the configuration may still be thawed.

    Raises:
        UnknownScope: with a sentence that says what there is.
    """
    word, _, name = text.strip().partition(":")
    name = name.strip()
    try:
        scope = Scope(word.casefold())
    except ValueError:
        raise UnknownScope(f"{text.strip()!r} is nothing that can be frozen. {USAGE}") from None
    if scope is Scope.EVERYTHING:
        if name:
            raise UnknownScope(f"`everything` stands alone. {USAGE}")
        return Frozen(scope)
    if not name:
        raise UnknownScope(f"Say which {scope}. {USAGE}")
    match scope:
        case Scope.RUN:
            return Frozen(scope, await _run(database, tenant, name))
        case Scope.CHANNEL:
            return Frozen(scope, await _channel(database, tenant, name, channel_name))
        case Scope.TEAM:
            if not _TEAM.fullmatch(name):
                raise UnknownScope(
                    f"{name!r} is no team. Write its id, which begins with T or E, like `team:T0123ABCD`."
                )
            return Frozen(scope, name)
        case _:
            known = sorted(set(agents if scope is Scope.AGENT else tools))
            if name not in known and not thawing:
                listed = f"There are: {', '.join(f'`{each}`' for each in known)}." if known else "There is none."
                guess = did_you_mean(name, known)
                hint = f"{guess} {listed}" if guess.startswith("Did") else listed
                raise UnknownScope(f"There is no {scope} {name!r}, so nothing was changed. {hint}")
            return Frozen(scope, name)


async def _run(database: Database, tenant: str, wanted: str) -> str:
    found = await runs.resolve(database, tenant, wanted)
    if not found:
        raise UnknownScope(f"There is no run {wanted!r}. The last 6 characters of its id are enough.")
    if len(found) > 1:
        raise UnknownScope(f"{len(found)} runs end in {wanted!r}. Write more of the id.")
    return found[0]


async def _channel(database: Database, tenant: str, wanted: str, channel_name: ChannelName | None) -> str:
    if _CHANNEL.fullmatch(wanted):
        return wanted
    name = wanted.removeprefix("#")
    if channel_name is None:
        raise UnknownScope(
            f"Which channel {wanted!r} is only Slack knows. Write its id: Slack shows it in its details."
        )
    for channel in await runs.channels(database, tenant):
        if await channel_name(channel) == name:
            return channel
    raise UnknownScope(
        f"No run was ever asked for in a channel {wanted!r}. Write the channel's id to freeze it anyway."
    )
