"""Addresses of repositories: https, ssh, and paths of this machine; everything else is refused with a sentence.

Pure: nothing is looked up. What an address leads to, and whether a tool may go there, is in `routes`.
"""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, unquote, urlsplit

from core.errors import TerminalError
from core.tools.reach import host_name

Scheme = Literal["https", "ssh", "file"]

_SCP = re.compile(r"(?:([A-Za-z0-9._-]+)@)?([A-Za-z0-9][A-Za-z0-9.-]*):(.+)")
_USER = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._-]{0,63}")
_PATH = re.compile(r"[A-Za-z0-9._~!$'()*+,;=:@%/-]+")
_BRANCH_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_MOST = 2_000
_PORTS = {"https": 443, "ssh": 22}
_FORMS = "Write https://…, ssh://…, git@host:path, or an absolute path of this machine."


@dataclass(frozen=True)
class Remote:
    """An address that may be used."""

    scheme: Scheme
    url: str
    """In the one form in which it is approved and git gets it."""
    host: str = ""
    """In the form of `reach.host_name`; empty for a path."""
    port: int = 0
    path: str = ""
    """Of this machine; empty for a host."""

    @property
    def place(self) -> str:
        """Where it connects to, for the envelope."""
        if self.scheme == "file":
            return f"file:{self.path}"
        return f"{_bracketed(self.host)}:{self.port}"


def remote(text: str) -> Remote:
    """Read an address as a person types it.

    Raises:
        TerminalError: it is none, or one that is not used; with the remedy.
    """
    if not text or len(text) > _MOST:
        raise TerminalError(f"A repository's address has 1 to {_MOST:,} characters. {_FORMS}")
    if not text.isprintable() or text != text.strip():
        raise TerminalError("A repository's address is one line, without control characters or blanks at its ends.")
    if text.startswith("-") or "::" in text.partition("/")[0]:
        raise TerminalError(f"{text[:80]!r} is not the address of a repository. {_FORMS}")
    if text.startswith("/"):
        return local(text)
    if "://" in text:
        return _url(text)
    if found := _SCP.fullmatch(text):
        user, host, path = found.groups()
        _check_path(path)
        if user is not None and not _USER.fullmatch(user):
            raise TerminalError("The user in this address is not one.")
        name = host_name(host)
        at = f"{user}@" if user else ""
        return Remote("ssh", f"{at}{name}:{path}", name, _PORTS["ssh"])
    raise TerminalError(f"{text[:80]!r} is not the address of a repository. {_FORMS}")


def local(path: str) -> Remote:
    """The address of a path of this machine.

    Raises:
        TerminalError: it leads up.
    """
    if ".." in path.split("/"):
        raise TerminalError("A repository's path does not lead up (`..`); write where it is.")
    # git decodes what it gets as an address: a percent sign in a path has to be written as one.
    return Remote("file", f"file://{quote(path)}", path=path)


def _url(text: str) -> Remote:
    try:
        parts = urlsplit(text)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        raise TerminalError(f"{text[:80]!r} is not an address. {_FORMS}") from None
    scheme = parts.scheme.lower()
    if "?" in text or "#" in text:
        raise TerminalError("A repository's address has no ? and no #.")
    if parts.password is not None or (scheme == "https" and parts.username is not None):
        raise TerminalError(
            "Names and passwords do not belong in an address; the operator gives the tool `credentials` for the host."
        )
    match scheme:
        case "file" if not parts.netloc and parts.path.startswith("/"):
            path = unquote(parts.path)
            if not path.isprintable():
                raise TerminalError("A repository's path has no control characters.")
            return local(path)
        case "file":
            raise TerminalError("A path of this machine is written `/srv/git/shop.git` or `file:///srv/git/shop.git`.")
        case "https" | "ssh" if host:
            _check_path(parts.path)
            user = parts.username
            if user is not None and not _USER.fullmatch(user):
                raise TerminalError("The user in this address is not one.")
            name = host_name(host)
            number = _PORTS[scheme] if port is None else port
            shown = "" if number == _PORTS[scheme] else f":{number}"
            at = f"{user}@" if user else ""
            return Remote(scheme, f"{scheme}://{at}{_bracketed(name)}{shown}{parts.path}", name, number)
    raise TerminalError(
        f"Repositories are reached by https, ssh or a path of this machine, not by {scheme[:20]!r}. {_FORMS}"
    )


def _check_path(path: str) -> None:
    """Check the path on another host."""
    if not path.strip("/"):
        raise TerminalError(f"The address names a host and no repository on it. {_FORMS}")
    if not _PATH.fullmatch(path) or not unquote(path).isprintable():
        raise TerminalError("The path in this address has characters that are not used there; write them as %20.")
    if path.startswith("-") or ".." in unquote(path).split("/"):
        raise TerminalError("A repository's path does not begin with a dash and does not lead up (`..`).")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def check_branch(name: str) -> str:
    """Return a branch's name if git and we take it.

    Raises:
        ValueError: with the reason, for an argument's complaint.
    """
    parts = name.split("/")
    good = all(_BRANCH_PART.fullmatch(part) and not part.endswith((".lock", ".")) for part in parts)
    if not good or ".." in name or len(name) > 200 or parts[0] in ("refs", "HEAD"):
        raise ValueError("a branch is written like `fix/typo`: letters, digits, dots, dashes and slashes")
    return name


def check_commit(commit: str) -> str:
    """Return a commit's id if it is whole; raises `ValueError` as `check_branch` does."""
    if not _COMMIT.fullmatch(commit):
        raise ValueError("a commit is written in full: 40 hexadecimal digits")
    return commit
