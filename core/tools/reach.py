"""Where a tool may go: hosts, addresses and paths, as the operator allows them.

Everything a tool contacts passes here first. Private addresses are refused unless the operator names them, and what was
looked up is what is connected to, so that a name cannot mean one thing when it is checked and another when it is used.
Names are compared in one spelling; what is no ordinary spelling of a name or an address is refused, not understood.
"""

import ipaddress
import re
import socket
from dataclasses import dataclass
from pathlib import Path

from core.errors import RetryableError, TerminalError

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PLACE = re.compile(r"(?P<any>\*\.)?(?P<host>\[[^\]]*\]|[^:]+)(?::(?P<port>[0-9]{1,5}))?")
_SHOWN_CHARACTERS = 80

_UNICAST = ipaddress.ip_network("2000::/3")
"""The only IPv6 addresses that are given out to anybody; what is outside of it is local, private or to come."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)
_REFUSED = tuple(
    ipaddress.ip_network(each)
    for each in (
        "168.63.129.16/32",  # looks public, and is what a virtual machine of one cloud asks for its secrets
        "192.0.0.0/24",
        "192.88.99.0/24",
        "2001::/23",
        "3fff::/20",
    )
)
"""Special addresses that not every Python calls private."""

_NEVER = (Path("/proc"), Path("/sys"))
"""What a machine tells about itself: no repository and no file anybody put there."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class OutOfReach(TerminalError):
    """A tool may not go there; the message says so, and which line of banksman.yml would let it."""


@dataclass(frozen=True)
class Credential:
    """A secret a tool may present to one host."""

    host: str
    secret: str
    """Name in the config's `secrets`."""
    header: str = "Authorization"
    scheme: str = "Bearer"
    """Put before the secret in the header; empty for none."""
    user: str | None = None
    """For git over https: the user name that goes with the secret."""


@dataclass(frozen=True)
class Bound:
    """Places beyond which a tool may not go for a run, whatever the word on the tool is; it lets it go nowhere."""

    whose: str
    """Begins the sentence of a refusal: `The contract of #ops`."""
    network: tuple[str, ...]
    """As in `Reach`, but nothing is let through that is not named; `*` is every host."""


@dataclass(frozen=True)
class Reach:
    """The operator's word on where one tool may go."""

    network: tuple[str, ...] = ()
    """`host`, `*.host`, `host:port`, `*`, or `file:/path`. Without a host = every public one; paths only if named."""
    credentials: tuple[Credential, ...] = ()
    environment: str = "default"
    """What it acts on, e.g. `production`; part of what people approve."""
    bounds: tuple[Bound, ...] = ()
    """Each has to let it through as well."""


def check_host(reach: Reach, host: str, port: int) -> tuple[str, ...]:
    """Check that a tool may connect to a host, and look it up; blocks.

    Returns:
        The addresses to connect to, and no others: the name may mean something else the next time it is asked for.

    Raises:
        OutOfReach: The operator has not let it, or the name leads to a private address.
        RetryableError: The name cannot be looked up right now.
    """
    name = check_name(reach, host, port)
    found = _addresses(name, port)
    _refuse_private(reach, name, port, found)
    return tuple(str(address) for address in found)


def check_name(reach: Reach, host: str, port: int) -> str:
    """Check all of that which needs no look-up, for a name that nobody has approved yet: asking for it tells it.

    Returns:
        The name in the one form that `host_name` gives it.

    Raises:
        OutOfReach: The operator has not let it, or it is a private address.
    """
    name = host_name(host)
    if not 1 <= port <= 65_535:
        raise OutOfReach(f"{port} is not a port; write a number from 1 to 65535.")
    _refuse_beyond(reach, name, port)
    named = [place for place in reach.network if not place.startswith("file:")]
    if named and not any(_covers(place, name, port) for place in named):
        raise OutOfReach(
            f"{name} is not among the places this tool may reach. "
            f"If it is meant, the operator adds `{_exact(name, port)}` to the tool's `network` in banksman.yml."
        )
    if (literal := _literal(name)) is not None:
        _refuse_private(reach, name, port, [literal])
    return name


def check_bounds(reach: Reach, place: str) -> None:
    """Check that what bounds a tool for a run lets it go to a `host:port`, whatever the word on the tool is.

    Raises:
        OutOfReach: It does not, or that is not a host with its port.
    """
    parsed = _parsed(place)
    if parsed is None or parsed[0] or parsed[2] is None:
        raise OutOfReach(f"{_shown(place)} is not a host with its port.")
    _refuse_beyond(reach, parsed[1], parsed[2])


def check_unbounded(reach: Reach, what: str) -> None:
    r"""Check that nothing bounds the hosts of something whose connections nobody can look at.

    Args:
        what: Begins the reason, e.g. `The MCP server \`tickets\``.

    Raises:
        OutOfReach: Something does.
    """
    for bound in reach.bounds:
        if "*" not in bound.network:
            raise OutOfReach(
                f"{bound.whose} lets its runs reach {_named(bound)} only. {what} has this machine's network, "
                "and where it goes cannot be held to that."
            )


def names_exactly(reach: Reach, host: str, port: int) -> bool:
    """Whether the operator names exactly this host with this port: then private is meant."""
    return any(_parsed(place) == (False, host_name(host), port) for place in reach.network)


def host_name(host: str) -> str:
    """A host in the one form it is compared in: ASCII, small letters, without brackets or a dot at its end.

    Raises:
        OutOfReach: It is not a host's name, or an address not in its ordinary form.
    """
    bracketed = host.startswith("[") and host.endswith("]")
    text = host[1:-1] if bracketed else host
    if bracketed or ":" in text:
        try:
            address = ipaddress.IPv6Address(text)
        except ValueError:
            raise OutOfReach(f"{_shown(host)} is not an address.") from None
        if address.scope_id is not None:
            raise OutOfReach(f"{_shown(host)} names a network of this machine (after %), which tools do not choose.")
        return str(address)
    try:
        name = (text if text.isascii() else text.encode("idna").decode("ascii")).lower().removesuffix(".")
    except UnicodeError:
        raise OutOfReach(f"{_shown(host)} is not the name of a host.") from None
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise OutOfReach(f"{_shown(host)} is not the name of a host.")
    if _NUMBER.fullmatch(labels[-1]):
        # What ends like a number is an address to most resolvers; only the ordinary way to write one is taken.
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError:
            raise OutOfReach(f"{_shown(host)} is an address in an unusual form; write it as 192.0.2.1.") from None
    return name


def is_public(address: Address) -> bool:
    """Whether an address belongs to everybody, whatever it is wrapped in."""
    if any(address in network for network in _REFUSED):
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not (address.is_multicast or address.is_reserved)
    if address.ipv4_mapped is not None:
        return is_public(address.ipv4_mapped)
    if address in _NAT64:
        return is_public(_last_four(address))
    if address.sixtofour is not None:
        return is_public(address.sixtofour)
    if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP and not is_public(_last_four(address)):
        return False
    return address in _UNICAST and address.is_global


def check_path(reach: Reach, path: str, *, private: tuple[Path, ...] = ()) -> Path:
    """Check that a tool may use a path of this machine as a source or a target; blocks.

    Args:
        private: Directories of the installation itself; nothing in them or around them is ever used.

    Returns:
        The real path.

    Raises:
        OutOfReach: The operator has not let it.
    """
    if not path.startswith("/") or "\0" in path:
        raise OutOfReach(f"{_shown(path)} is not an absolute path; write one that begins with /.")
    try:
        real = Path(path).resolve()
        roots = _roots(reach.network)
        own = [each.resolve() for each in private]
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a name that is too long
        raise OutOfReach(f"{_shown(path)} cannot be used as a path ({type(error).__name__}).") from None
    if not any(real.is_relative_to(root) for root in roots):
        raise OutOfReach(
            f"{_shown(path)} is a path of this machine, and this tool may not use it. "
            f"If it is meant, the operator adds `file:{real}` to the tool's `network` in banksman.yml."
        )
    for bound in reach.bounds:
        if not any(real.is_relative_to(root) for root in _roots(bound.network)):
            raise OutOfReach(f"{bound.whose} does not let its runs reach file:{real}; it names {_named(bound)}.")
    if any(real.is_relative_to(each) or each.is_relative_to(real) for each in own):
        raise OutOfReach(f"{_shown(path)} belongs to Banksman itself, which no tool may use.")
    if any(real.is_relative_to(each) for each in _NEVER):
        raise OutOfReach(f"{_shown(path)} is what this machine tells about itself, which no tool may use.")
    return real


def credential_for(reach: Reach, host: str) -> Credential | None:
    """The secret the operator gives this tool for exactly this host, if any."""
    name = host_name(host)
    return next((each for each in reach.credentials if _spelled(each.host) == name), None)


def _refuse_beyond(reach: Reach, name: str, port: int) -> None:
    for bound in reach.bounds:
        if not any(_covers(place, name, port) for place in bound.network):
            raise OutOfReach(
                f"{bound.whose} does not let its runs reach {_exact(name, port)}; it names {_named(bound)}."
            )


def _named(bound: Bound) -> str:
    return ", ".join(f"`{place}`" for place in bound.network) or "no place"


def _roots(network: tuple[str, ...]) -> list[Path]:
    return [Path(place.removeprefix("file:")).resolve() for place in network if place.startswith("file:/")]


def _covers(place: str, name: str, port: int) -> bool:
    if place == "*":
        return True
    parsed = _parsed(place)
    if parsed is None:
        return False
    wide, host, at = parsed
    return at in (None, port) and (name.endswith(f".{host}") if wide else name == host)


def _parsed(place: str) -> tuple[bool, str, int | None] | None:
    """A place of the config as (whether what is below it is meant, host, port); `None` if it is no host."""
    found = _PLACE.fullmatch(place)
    if found is None or place.startswith("file:"):
        return None
    host = _spelled(found["host"])
    if host is None:
        return None
    return found["any"] is not None, host, None if found["port"] is None else int(found["port"])


def _spelled(host: str) -> str | None:
    try:
        return host_name(host)
    except OutOfReach:
        return None


def _refuse_private(reach: Reach, name: str, port: int, found: list[Address]) -> None:
    private = next((address for address in found if not is_public(address)), None)
    if private is None or names_exactly(reach, name, port):
        return
    what = f"{name} is a private address" if str(private) == name else f"{name} leads to the private address {private}"
    raise OutOfReach(
        f"{what}, which tools do not reach. "
        f"If it is meant, the operator adds exactly `{_exact(name, port)}` to the tool's `network` in banksman.yml."
    )


def _addresses(name: str, port: int) -> list[Address]:
    if (literal := _literal(name)) is not None:
        return [literal]
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise RetryableError(
            f"The name {name} cannot be looked up right now. If that stays so, check how it is spelled."
        ) from None
    return list(dict.fromkeys(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found))


def _literal(name: str) -> Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _last_four(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)


def _exact(name: str, port: int) -> str:
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"


def _shown(text: str) -> str:
    """What somebody wrote, for a sentence."""
    return repr(text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…")
