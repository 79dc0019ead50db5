"""A tool that an MCP server offers, as runs see it: the definition that was accepted, under the operator's word.

Each call lists the tools of its server again and compares: a tool whose definition changed is not called until an
operator has accepted the change. Nothing a server says of itself (that a tool only reads, say) makes anything easier.
"""

import asyncio
import hashlib
import logging
from dataclasses import replace
from functools import cached_property
from typing import Any

from pydantic import BaseModel, RootModel

from core.config.accepted import AcceptedTool, accepted_tools, changes, reaches_out
from core.config.load import Config
from core.config.servers import ServerWord
from core.errors import RetryableError, TerminalError
from core.tools.base import Prepared, ToolContext, ToolResult
from core.tools.mcp import answer
from core.tools.mcp.arguments import arguments_of
from core.tools.mcp.start import asked, named_secrets, place_of, secrets_of
from core.tools.program import readable_text

log = logging.getLogger(__name__)

_DESCRIPTION_CHARACTERS = 500


class McpTool:
    """One tool of one server."""

    def __init__(self, accepted: AcceptedTool, server: ServerWord) -> None:
        self.name = accepted.name
        self.description = _described(accepted)
        self._accepted = accepted
        self._server = server

    @cached_property
    def arguments(self) -> type[BaseModel]:
        return arguments_of(self.name, self._accepted.definition["inputSchema"])

    @cached_property
    def pin(self) -> str:
        """See `Foreign`: another program behind the same definition is another tool."""
        identity = f"{self._accepted.own_name}\0{self._accepted.pin}\0{self._server.model_dump_json()}"
        return f"sha256:{hashlib.sha256(identity.encode()).hexdigest()}"

    async def perform(self, args: BaseModel, context: ToolContext) -> ToolResult:
        assert isinstance(args, RootModel)
        secrets = await asyncio.to_thread(self._secrets, context)
        request = {"tool": self._accepted.own_name, "pin": self._accepted.pin, "args": args.root}
        result = await asked(self._server, request, context, secrets)
        if (why := self._quarantined(result.out)) is not None:
            return ToolResult("failed", error=why, processes_ended=result.processes_ended)
        if refused := result.out.get("refused"):
            log.warning(
                "an MCP server asked for what it does not get: %s",
                ", ".join(str(each)[:80] for each in refused[:10]),
                extra={"action": "mcp_refused", "server": self._accepted.server, "call": context.label.call_id},
            )
        shown = await asyncio.to_thread(answer.shown, result, context.scratch, secrets)
        if shown.status == "failed" and not self._server.outside and reaches_out(self._accepted.definition):
            # What a server says of a network that is not there seldom tells why.
            return replace(shown, error=f"{shown.error} (`{self._accepted.server}` runs without a network)")
        return shown

    def _secrets(self, context: ToolContext) -> dict[str, str]:
        return secrets_of(self._server, context.outside.secrets, context.outside.secret_refs)

    def _quarantined(self, out: Any) -> str | None:
        """Why the tool may not be called, if it is not what was accepted."""
        server, own_name = self._accepted.server, self._accepted.own_name
        if out.get("gone"):
            return f"The MCP server `{server}` offers no `{own_name}` any more; `banksman mcp list` shows what it does."
        if not isinstance(found := out.get("changed"), dict):
            return None
        parts = ", ".join(changes(self._accepted.definition, found)) or "it"
        log.warning(
            "an MCP tool changed", extra={"action": "mcp_changed", "server": server, "tool": self.name, "parts": parts}
        )
        return (
            f"The definition of `{own_name}` has changed since it was accepted ({parts}), so it is not called. "
            f"An operator looks at the difference with `banksman mcp diff {server}` and accepts it, or not."
        )


class GatedMcpTool(McpTool):
    """One that people are asked about: it is compared with its pin before they are, and again before it starts."""

    async def prepare(self, args: BaseModel, context: ToolContext) -> Prepared:
        """See `Preparing`."""
        assert isinstance(args, RootModel)
        secrets = await asyncio.to_thread(self._secrets, context)
        result = await asked(self._server, {}, context, secrets)
        if result.status != "succeeded":
            name = self._accepted.server
            raise RetryableError(f"The MCP server `{name}` cannot be asked what it offers: {result.error}.")
        tools = result.out.get("tools", [])
        found = next((each for each in tools if each.get("name") == self._accepted.own_name), None)
        differs = {"gone": True} if found is None else {"changed": found}
        if found != self._accepted.definition and (why := self._quarantined(differs)) is not None:
            raise TerminalError(why)
        place = place_of(self._server)
        host = place or f"mcp.{self._accepted.server}"
        return Prepared(
            args=args.root,
            sentence=f"Call {self._accepted.own_name} of the MCP server {self._accepted.server}",
            network=() if place is None else (place,),
            creds=tuple({"ref": secret, "host": host} for secret in sorted(named_secrets(self._server).values())),
        )


def _described(accepted: AcceptedTool) -> str:
    said = accepted.definition.get("description")
    flat = " ".join(readable_text(said.encode("utf-8", "replace")).split()) if isinstance(said, str) else ""
    flat = flat or f"The tool {accepted.own_name} of the MCP server {accepted.server}."
    return flat if len(flat) <= _DESCRIPTION_CHARACTERS else f"{flat[: _DESCRIPTION_CHARACTERS - 1]}…"


def mcp_tools(config: Config) -> list[McpTool]:
    """The accepted tools of every server."""
    found = []
    for each in accepted_tools(config.accepted, config.servers):
        gated = config.tool(each.name).tier not in ("read", "workspace")
        found.append((GatedMcpTool if gated else McpTool)(each, config.servers[each.server]))
    return found


def mcp_names(config: Config) -> list[str]:
    """The names of the accepted tools of every server."""
    return [each.name for each in accepted_tools(config.accepted, config.servers)]
