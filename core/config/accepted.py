"""What the operator accepted of MCP servers: the whole definition of each tool, in a file beside `banksman.yml`.

The file is `banksman.mcp.json` for `banksman.yml`; `banksman mcp accept` writes it. It is part of the configuration: it
belongs under the same version control, its difference is what was accepted, and it is read again when it changes. A
definition that a server gives differs from the accepted one as soon as its digest, the *pin*, does.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.config.problems import ConfigProblems, Problem
from core.config.servers import PREFIX

MAX_BYTES = 4_000_000
_VERSION = 1
_PART = re.compile(r"[a-z][a-z0-9_]{0,39}")
_KEPT = 31
_PARTS = {"inputSchema": "arguments", "outputSchema": "results", "annotations": "hints"}

Accepted = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Server, then the server's own name of a tool, then the definition as the server gave it."""


@dataclass(frozen=True)
class AcceptedTool:
    """One tool of a server, as it was accepted."""

    server: str
    own_name: str
    """What the server calls it."""
    definition: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What we call it."""
        return tool_name(self.server, self.own_name)

    @property
    def pin(self) -> str:
        return pin_of(self.definition)


def accepted_path(config: Path) -> Path:
    """Where the accepted definitions of a configuration are."""
    return config.with_name(f"{config.stem}.mcp.json")


def tool_name(server: str, own_name: str) -> str:
    """`mcp.SERVER.TOOL` for a server's own name of a tool: small letters, digits and `_`.

    A name that would be too long keeps its beginning and gets a digest.
    """
    part = re.sub(r"[^a-z0-9_]", "_", own_name.lower())
    if not part[:1].isalpha():
        part = f"t{part}" if part.startswith("_") else f"t_{part}"
    if not _PART.fullmatch(part):
        part = f"{part[:_KEPT]}_{hashlib.sha256(own_name.encode('utf-8', 'replace')).hexdigest()[:8]}"
    return f"{PREFIX}{server}.{part}"


def pin_of(definition: Mapping[str, Any]) -> str:
    """The digest of a whole definition: name, description, schemas, hints, everything."""
    text = json.dumps(definition, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def collisions(server: str, own_names: list[str]) -> list[tuple[str, str]]:
    """Pairs of a server's tools that would have one name."""
    seen: dict[str, str] = {}
    found = []
    for own in own_names:
        name = tool_name(server, own)
        if name in seen:
            found.append((seen[name], own))
        seen.setdefault(name, own)
    return found


def read_accepted(config: Path) -> Accepted:
    """Read what was accepted; nothing was where there is no file.

    Raises:
        ConfigProblems: The file is not one that `banksman mcp accept` wrote.
    """
    path = accepted_path(config)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _refused(path, f"It cannot be read ({error.strerror}).") from None
    if len(data) > MAX_BYTES:
        raise _refused(path, f"It has more than {MAX_BYTES:,} bytes.")
    try:
        whole = json.loads(data)
    except (ValueError, RecursionError):
        raise _refused(path, "It is not JSON.") from None
    if not isinstance(whole, dict) or whole.get("version") != _VERSION or not isinstance(whole.get("servers"), dict):
        raise _refused(path, "It is not a file of accepted MCP tools.")
    for server, tools in whole["servers"].items():
        if not isinstance(tools, dict):
            raise _refused(path, f"The tools of `{server}` are no mapping.")
        for own_name, definition in tools.items():
            if not isinstance(definition, dict) or definition.get("name") != own_name:
                raise _refused(path, f"`{server}` has a definition that is not of the tool it stands for.")
            if not isinstance(definition.get("inputSchema"), dict):
                raise _refused(path, f"The definition of a tool of `{server}` has no `inputSchema`.")
        if both := collisions(server, list(tools)):
            name = tool_name(server, both[0][0])
            raise _refused(path, f"Two tools of `{server}` would both be called `{name}`.")
    found: Accepted = whole["servers"]
    return found


def write_accepted(config: Path, accepted: Accepted) -> None:
    """Replace the file as a whole."""
    path = accepted_path(config)
    text = json.dumps({"version": _VERSION, "servers": accepted}, indent=2, sort_keys=True, ensure_ascii=True)
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(f"{text}\n", encoding="utf-8")
    fresh.chmod(config.stat().st_mode & 0o777)  # whoever may read the one has to read the other
    os.replace(fresh, path)  # noqa: PTH105


def runs_as_task(definition: Mapping[str, Any]) -> bool:
    """Whether a tool takes no direct call, but wants to be asked again and again whether it is done."""
    execution = definition.get("execution")
    return isinstance(execution, Mapping) and execution.get("taskSupport") == "required"


def reaches_out(definition: Mapping[str, Any]) -> bool:
    """Whether a tool says of itself that it deals with more than what it is started with."""
    annotations = definition.get("annotations")
    return isinstance(annotations, Mapping) and annotations.get("openWorldHint") is True


def accepted_tools(accepted: Accepted, servers: Mapping[str, Any]) -> list[AcceptedTool]:
    """Every accepted tool of the servers that are still there."""
    return [
        AcceptedTool(server, own_name, definition)
        for server, tools in sorted(accepted.items())
        if server in servers
        for own_name, definition in sorted(tools.items())
    ]


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Which parts of a definition differ, in words: `description`, `arguments`, `hints`."""
    parts = sorted({key for key in {*before, *after} if before.get(key) != after.get(key)})
    return [_PARTS.get(part, part) for part in parts]


def _refused(path: Path, what: str) -> ConfigProblems:
    remedy = "Restore it from version control, or remove it and run `banksman mcp accept` again."
    return ConfigProblems([Problem(str(path), 0, 0, "", what, remedy)])
