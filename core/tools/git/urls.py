"""Addresses of repositories: https, ssh, and paths of this machine; everything else is refused with a sentence."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from core.errors import TerminalError
from core.tools.reach import Reach, check_host, check_path, credential_for

_SCP = re.compile(r"(?:([A-Za-z0-9._-]+)@)?([A-Za-z0-9][A-Za-z0-9.-]*):(?!/)([^\s:][^\s]*)")
_USER = re.compile(r"[A-Za-z0-9._-]{1,64}")
_BRANCH_PARTS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_MOST = 2_000
_PORTS = {"https": 443, "ssh": 22}


@dataclass(frozen=True)
class Remote:
    """An address that may be used."""

    scheme: Literal["https", "ssh", "file"]
    url: str
    """In the one form git gets."""
    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def place(self) -> str:
        """Where it connects to, for the envelope."""
        return f"file:{self.path}" if self.scheme == "file" else f"{self.host}:{self.port}"


def remote(text: str) -> Remote:
    """Read an address as a person types it.

    Raises:
        TerminalError: it is none, or one that is not used; with the remedy.
    """
    if not text or len(text) > _MOST or any(ord(char) < 33 or ord(char) == 127 for char in text):
        raise TerminalError("A repository's address is one word, without spaces or control characters.")
    if text.startswith("-") or "::" in text:
        raise TerminalError(f"{text[:80]!r} is not the address of a repository.")
    if text.startswith("/"):
        return Remote("file", f"file://{text}", path=text)
    if "://" in text:
        return _url(text)
    found = _SCP.fullmatch(text)
    if found:
        user, host, path = found.groups()
        if path.startswith("-"):
            raise TerminalError("A repository's path does not begin with a dash.")
        at = f"{user}@" if user else ""
        return Remote("ssh", f"ssh://{at}{host}/{path}", host.lower(), 22, f"/{path}")
    raise TerminalError(
        f"{text[:80]!r} is not the address of a repository. "
        "Write https://…, ssh://…, git@host:path, or an absolute path."
    )


def _url(text: str) -> Remote:
    try:
        parts = urlsplit(text)
        port, host = parts.port, (parts.hostname or "").lower()
    except ValueError:
        raise TerminalError(f"{text[:80]!r} is not an address.") from None
    if parts.query or parts.fragment:
        raise TerminalError("A repository's address has no ? and no #.")
    match parts.scheme.lower():
        case "file" if not parts.netloc and parts.path.startswith("/"):
            return Remote("file", f"file://{parts.path}", path=parts.path)
        case "https" if parts.username is None and parts.password is None and host:
            port = port or _PORTS["https"]
            shown = f":{port}" if port != _PORTS["https"] else ""
            return Remote("https", f"https://{host}{shown}{parts.path}", host, port, parts.path)
        case "https":
            raise TerminalError("Names and passwords do not belong in an address; the operator gives `credentials`.")
        case "ssh" if host and parts.password is None and not host.startswith("-"):
            if parts.username is not None and not _USER.fullmatch(parts.username):
                raise TerminalError("The user in this address is not one.")
            port = port or _PORTS["ssh"]
            at = f"{parts.username}@" if parts.username else ""
            return Remote("ssh", f"ssh://{at}{host}:{port}{parts.path}", host, port, parts.path)
        case scheme:
            raise TerminalError(
                f"Repositories are reached by https, ssh or a path of this machine, not by {scheme[:20]}."
            )


def reachable(found: Remote, reach: Reach, private: tuple[Path, ...]) -> dict[str, Any]:
    """Check that a tool may go there; blocks, for it looks the host up.

    Returns:
        What the child needs: `url`, `scheme`, and the checked address to connect to.

    Raises:
        OutOfReach: it may not; with the line of banksman.yml that would let it.
        RetryableError: the name cannot be looked up right now.
    """
    if found.scheme == "file":
        path = check_path(reach, found.path, private=private)
        return {"url": f"file://{path}", "scheme": "file"}
    addresses = check_host(reach, found.host, found.port)
    credential = credential_for(reach, found.host)
    pinned = f"{found.host}:{found.port}:{','.join(addresses)}"
    user = None if credential is None else credential.user or "x-access-token"
    return {"url": found.url, "scheme": found.scheme, "resolve": pinned, "user": user}


def check_branch(name: str) -> str:
    """Return a branch's name if git and we take it.

    Raises:
        ValueError: with the reason, for an argument's complaint.
    """
    parts = name.split("/")
    good = all(
        _BRANCH_PARTS.fullmatch(part) and not part.endswith((".lock", ".")) and ".." not in part for part in parts
    )
    if not good or len(name) > 200 or name.startswith("refs/"):
        raise ValueError("a branch is written like `fix/typo`: letters, digits, dots, dashes and slashes")
    return name
