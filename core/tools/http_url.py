"""Addresses of the `http` tool in the one form in which they are shown, compared, approved and sent.

Whatever could be read in two ways is refused or written in one: what a person approves and what a policy's pattern
looks at is then what the other side gets. Where an address may lead is decided in `reach`.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import quote, urljoin

from core.errors import TerminalError
from core.tools.reach import host_name

MAX_CHARACTERS = 4_000

_PORTS = {"http": 80, "https": 443}
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<place>[^/?#]*)(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?(?:#.*)?"
)
_PLACE = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*)(?::(?P<port>[0-9]{0,5}))?")
_ESCAPED = re.compile(r"%([0-9A-Fa-f]{2})")
_HALF_ESCAPED = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_PATH_SAFE = "/:@!$&'()*+,;=%-._~"
_QUERY_SAFE = f"{_PATH_SAFE}?"


@dataclass(frozen=True)
class Address:
    """Where a request goes."""

    scheme: str
    host: str
    """As `reach.host_name` writes it: an IPv6 address without brackets."""
    port: int
    target: str
    """Path and query, as the request's first line has them."""

    @property
    def place(self) -> str:
        """`host:port`."""
        return f"{self._host}:{self.port}"

    @property
    def authority(self) -> str:
        """What the Host header says: the port only where it is not the usual one."""
        return self._host if self.port == _PORTS[self.scheme] else self.place

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"

    @property
    def origin(self) -> tuple[str, str, int]:
        """Whom the request goes to."""
        return self.scheme, self.host, self.port

    @property
    def _host(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


def read(text: str) -> Address:
    """Read an address; reading the `url` of the answer gives the same answer.

    Raises:
        TerminalError: It is none that is used, and why.
    """
    if not text or len(text) > MAX_CHARACTERS:
        raise TerminalError(f"An address has from 1 to {MAX_CHARACTERS} characters.")
    if "\\" in text or any(char.isspace() or not char.isprintable() for char in text):
        raise TerminalError(r"An address has no spaces, no \ and nothing invisible; write %20 for a space.")
    found = _URL.fullmatch(text)
    if found is None:
        raise TerminalError(f"{text[:80]!r} is no address; write it like https://api.example.com/v1/things.")
    scheme = found["scheme"].lower()
    if scheme not in _PORTS:
        raise TerminalError(f"Only http and https are used, not {scheme[:20]}.")
    if "@" in found["place"]:
        raise TerminalError("Names and passwords do not belong in an address; the operator gives `credentials`.")
    place = _PLACE.fullmatch(found["place"])
    if place is None:
        raise TerminalError(f"{found['place'][:80]!r} is not a host with or without a port.")
    port = int(place["port"]) if place["port"] else _PORTS[scheme]
    if not 1 <= port <= 65_535:
        raise TerminalError(f"{port} is not a port; write a number from 1 to 65535.")
    target = _without_dots(_escaped(found["path"], _PATH_SAFE)) or "/"
    if found["query"] is not None:
        target += f"?{_escaped(found['query'], _QUERY_SAFE)}"
    address = Address(scheme, host_name(place["host"]), port, target)
    if len(address.url) > MAX_CHARACTERS:
        raise TerminalError(f"Written out this address has more than {MAX_CHARACTERS} characters.")
    return address


def redirected(source: Address, location: str) -> Address:
    """Where an answer sends to; raises `TerminalError` if that is no address that is used."""
    with suppress(UnicodeError):
        # Headers are read as Latin-1; whoever writes more than ASCII into this one means UTF-8.
        location = location.encode("latin-1").decode()
    try:
        return read(urljoin(source.url, location.strip()))
    except ValueError:
        raise TerminalError(f"{location[:80]!r} is no address.") from None


def _escaped(text: str, safe: str) -> str:
    """Write every character that is not allowed as %XX, and every one that needs none without."""
    whole = quote(_HALF_ESCAPED.sub("%25", text), safe=safe)
    return _ESCAPED.sub(_plain, whole)


def _plain(escape: re.Match[str]) -> str:
    char = chr(int(escape[1], 16))
    return char if char in _UNRESERVED else escape[0].upper()


def _without_dots(path: str) -> str:
    """Resolve `.` and `..`, which servers do at different times (RFC 3986, 5.2.4)."""
    kept: list[str] = []
    parts = path.split("/")[1:]
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if part == "..":
            del kept[-1:]
        elif part != ".":
            kept.append(part)
            continue
        if last:
            kept.append("")
    return "".join(f"/{part}" for part in kept)
