"""MCP servers as the operator's file names them, and whether what is said about them fits together.

What a server offers is not here: the operator accepts that tool by tool (`accepted.py`), and classifies it under
`tools` like any other.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from core.config.document import Document, Path_
from core.config.fields import Duration, Kind, Model, Text, durations, matching, wrong
from core.config.problems import Problem
from core.nearest import did_you_mean

PREFIX = "mcp."
"""How the names of all tools of MCP servers begin: `mcp.SERVER.TOOL`."""

ServerName = Annotated[Text, matching(r"[a-z][a-z0-9_]{0,39}", "a server's name", "github")]
ServerUrl = Annotated[
    Text,
    matching(r"https?://(?!\s)[^\s/?#@{}]+(/[^\s#@]*)?", "the address of an MCP server", "https://mcp.example.com/mcp"),
    Kind("`https://…` or `http://…`"),
]
_Variable = Annotated[
    Text, matching(r"[A-Za-z_][A-Za-z0-9_]{0,127}", "the name of an environment variable", "GITHUB_TOKEN")
]
_Secret = Annotated[Text, matching(r"[A-Z][A-Z0-9_]{0,63}", "a secret's name", "GITHUB_TOKEN")]
_Header = Annotated[Text, matching(r"[A-Za-z0-9-]{1,80}", "the name of a header", "Authorization")]
_Scheme = Annotated[Text, matching(r"[A-Za-z0-9-]{0,40}", "a scheme", "Bearer")]


class ServerLogin(Model):
    """How Banksman logs in to a server that it reaches by its address."""

    secret: _Secret
    """Which of `secrets`."""
    header: _Header = "Authorization"
    """The header that carries it."""
    scheme: _Scheme = "Bearer"
    """What stands before it in the header; `""` for nothing."""


class ServerWord(Model):
    """One MCP server: a program that is started for a run, or an address."""

    command: tuple[Text, ...] = ()
    """The program and its arguments, one list item each; no shell reads them. It is looked for in the tools'
    environment first."""
    url: ServerUrl | None = None
    """The address of a server that runs elsewhere, spoken to by streamable HTTP, instead of `command`."""
    network: Literal["none", "host"] = "none"
    """For a program: `none` starts it in the sandbox, in the run's workspace and without a network. `host` starts it
    outside of the sandbox, with this machine's network and the worker's own rights: only for servers you trust as much
    as Banksman."""
    env: dict[_Variable, Text] = Field(default_factory=dict)
    """For a program: variables it gets. It gets no others of this machine's."""
    secrets: dict[_Variable, _Secret] = Field(default_factory=dict)
    """For a program: variables that hold one of `secrets` each."""
    login: ServerLogin | None = None
    """For an address: how to log in."""
    start_ms: Annotated[Duration, durations(1_000, 10 * 60_000)] = 30_000
    """How long starting it and listing its tools may take when that is all that is wanted."""

    @property
    def outside(self) -> bool:
        """Whether calls of it act beyond the sandbox."""
        return self.url is not None or self.network == "host"

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        if bool(self.command) == (self.url is not None):
            what = "This server has both a `command` and a `url`." if self.command else "Nothing says where it is."
            raise wrong(what, "Write either `command: [program, argument]` or `url: https://…`.")
        if self.url is not None and (self.env or self.secrets or self.network != "none"):
            remedy = "Remove `env`, `secrets` and `network`; `login` is how to log in to an address."
            raise wrong("A server at an address is not started here, so it gets no variables.", remedy)
        if self.command and self.login is not None:
            raise wrong("Nobody logs in to a program.", "Give it the secret in a variable: `secrets: {TOKEN: NAME}`.")
        ours = sorted(name for name in {*self.env, *self.secrets} if name.startswith("BANKSMAN_"))
        if ours:
            raise wrong(f"`{ours[0]}` begins with `BANKSMAN_`; such names are ours.", "Rename the variable.")
        if both := sorted({*self.env} & {*self.secrets}):
            raise wrong(f"`{both[0]}` is both in `env` and in `secrets`.", "Keep one of the two.")
        return self


class McpSection(Model):
    """Tools that MCP servers offer."""

    servers: dict[ServerName, ServerWord] = Field(default_factory=dict)
    """The servers by a name of yours. A tool of one is called `mcp.SERVER.TOOL`, once you have accepted it."""


def server_problems(
    document: Document, mcp: McpSection, tools: Mapping[str, Any], secrets: Collection[str]
) -> Iterator[Problem]:
    """Mistakes about MCP servers, and in the word on their tools, each where it stands.

    Args:
        tools: The word on each tool, `core.config.models.ToolWord`.
        secrets: Names of all secrets.
    """
    for name, server in mcp.servers.items():
        place: list[str] = ["mcp", "servers", name]
        named: list[tuple[list[str], str]] = [(["secrets", each], secret) for each, secret in server.secrets.items()]
        named += [] if server.login is None else [(["login", "secret"], server.login.secret)]
        for where, secret in named:
            if secret not in secrets:
                remedy = did_you_mean(secret, secrets, noun="Secrets") or "Add it under `secrets`."
                yield document.problem([*place, *where], f"There is no secret `{secret}`.", remedy)
    for tool, word in tools.items():
        if tool.startswith(PREFIX) and (found := _misnamed(tool, word, mcp)) is not None:
            part, what, remedy = found
            yield document.problem(["tools", tool, *part], what, remedy, at_key=not part)


def _misnamed(tool: str, word: Any, mcp: McpSection) -> tuple[Path_, str, str] | None:
    parts = tool.split(".")
    if word.uses is not None or len(parts) != 3:
        what = f"Names that begin with `{PREFIX}` are for tools of MCP servers."
        return ["uses"] if word.uses is not None else [], what, "Write `mcp.SERVER.TOOL`, or another name."
    if parts[1] not in mcp.servers:
        remedy = did_you_mean(parts[1], mcp.servers, noun="Servers") or "Add it under `mcp: {servers: …}`."
        return [], f"There is no MCP server `{parts[1]}`.", remedy
    if word.recovery == "reconcilable":
        what = f"`{tool}` has no way to find out whether a call that was cut off happened."
        return ["recovery"], what, "Write `recovery: opaque`, or `idempotent` if doing it twice does no harm."
    for field in ("network", "credentials"):
        if getattr(word, field):
            what = f"Where an MCP server goes and what it logs in with is said of the server, not of `{tool}`."
            return [field], what, f"Remove it; see `mcp.servers.{parts[1]}`."
    return None
