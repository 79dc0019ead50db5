"""What `banksman.yml` may say, as models: each field with its kind, default and meaning.

docs/reference/config.md is generated from here. Reading the file and its playbooks is `load.py`, deciding who somebody
is is `people.py`, picking a playbook is `agents.py`.
"""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from core.config.fields import Count, Duration, Kind, Model, Size, Text, durations, matching, sizes, wrong
from core.config.language import BudgetsWord, ModelName, ModelWord, Usd
from core.config.problems import excerpt
from core.config.rules import ApproversWord, PolicySection, ToolPattern
from core.config.servers import McpSection

EffectTier = Literal["read", "workspace", "compensable", "irreversible"]
RecoveryClass = Literal["pure", "idempotent", "reconcilable", "opaque"]

_DAY_MS = 24 * 3_600_000


def _os_users(value: Any) -> Any:
    if value == "any":
        return ("*",)
    if not isinstance(value, list):
        what = "This says neither `any` nor which operating-system users."
        raise wrong(what, "Write `cli: any`, or a list: `cli: [ana]`.")
    if "*" in value:
        raise wrong('"*" is no user.', "Write `cli: any` to let every user of the machine act as this person.")
    return value


AgentName = Annotated[
    Text, matching(r"[a-z][a-z0-9-]{0,39}", "a playbook's name", "weekly-report"), Kind("a playbook's name")
]
AskedName = Annotated[AgentName, Kind("playbooks' names")]
PersonName = Annotated[Text, matching(r"[a-z0-9][a-z0-9._-]{0,63}", "a principal's name", "ana.ruiz")]
ToolName = Annotated[
    Text, matching(r"[a-z][a-z0-9_]{0,39}(\.[a-z][a-z0-9_]{0,39}){0,2}", "a tool's name", "files.read")
]
ChannelName = Annotated[
    Text,
    matching(r"#[^\s#@,]{1,80}|[CGD][A-Z0-9]{2,30}", "a channel's `#name` or id", '"#data": …` or `C0123456789: …'),
]
SlackUser = Annotated[
    Text,
    matching(r"[TE][A-Z0-9]{2,30}/[UW][A-Z0-9]{2,30}", "a Slack user with its team", "T0123456789/U0123456789"),
    Kind("`TEAM/USER` ids"),
]
Role = Annotated[Text, matching(r"[a-z][a-z0-9-]{0,39}", "a role", "approver"), Kind("roles")]
SecretName = Annotated[Text, matching(r"[A-Z][A-Z0-9_]{0,63}", "a secret's name", "GITHUB_TOKEN")]
VariableName = Annotated[
    Text,
    matching(r"[A-Za-z_][A-Za-z0-9_]{0,127}", "the name of an environment variable", "GITHUB_TOKEN"),
    Kind("a variable's name"),
]
OsUsers = Annotated[tuple[Text, ...], BeforeValidator(_os_users), Kind("`any`, or a list of operating-system users")]


class Person(Model):
    """Somebody the operator knows by name. Everybody else may ask for work but holds no role."""

    roles: tuple[Role, ...] = ()
    """`operator` (may stop and freeze anything), `approver`, or names of your own that rules refer to."""
    slack: tuple[SlackUser, ...] = ()
    """The Slack users who are this person, one per team. E-mail addresses are never looked at."""
    cli: OsUsers = ()
    """Who may act as this person with `--as` on the command line. Left out: nobody. `any` is meant for
    demonstrations."""

    def open_to(self, os_user: str) -> bool:
        """Whether this user of the machine may act as this person."""
        return "*" in self.cli or os_user in self.cli


def _place(value: str) -> str:
    """What no expression says: a port that exists, and a path without detours."""
    if value.startswith("file:"):
        path = value.removeprefix("file:")
        if path != "/" and any(part in ("", ".", "..") for part in path.removesuffix("/").split("/")[1:]):
            raise wrong(f"{excerpt(value)} takes a detour.", "Write the path itself, e.g. `file:/srv/git`.")
    elif (port := re.search(r":([0-9]{1,5})\Z", value)) and not 1 <= int(port[1]) <= 65_535:
        raise wrong(f"{port[1]} is no port.", "Write one from 1 to 65535.")
    return value


Network = Annotated[
    Text,
    matching(
        r"\*|file:/[^\s]*|(\*\.)?[A-Za-z0-9]([A-Za-z0-9._-]{0,252})(:[0-9]{1,5})?|\[[0-9a-fA-F:.]{2,45}\](:[0-9]{1,5})?",
        "a place a tool may reach",
        "api.example.com`, `*.example.com`, `127.0.0.1:8000` or `file:/srv/git",
    ),
    AfterValidator(_place),
    Kind("places: `host`, `*.host`, `host:port`, `file:/path`, `*` for every public host"),
]


class ChannelContract(Model):
    """What holds in one channel: it only narrows what holds anyway."""

    agent: AgentName | None = None
    """The playbook a mention runs when its first word names none. Left out: the first word must name one."""
    agents: tuple[AskedName, ...] | None = None
    """The playbooks and agents that may be asked for. Left out: all; an empty list: none."""
    tools: tuple[ToolPattern, ...] | None = None
    """Tools that runs asked for here may call, and runs below them. Left out: all that hold anyway; an empty list:
    none."""
    network: tuple[Network, ...] | None = None
    """Where the tools of these runs may go, of the places their own `network` opens, written in the same way. Left out:
    wherever they may; an empty list: nowhere."""
    budget: Usd | None = None
    """What one run of an agent may spend, where the agent's own budget is not smaller. Left out: the agent's own."""
    approvers: ApproversWord | None = None
    """Whoever decides what these runs ask has to be among these as well as among the policy's. Left out: the
    policy's."""


EnvironmentName = Annotated[Text, matching(r"[A-Za-z0-9._-]{1,80}", "an environment's name", "production")]
HostName = Annotated[
    Text,
    matching(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252})|\[[0-9a-fA-F:.]{2,45}\]", "a host", "api.example.com"),
    Kind("a host"),
]
HeaderName = Annotated[Text, matching(r"[A-Za-z0-9-]{1,80}", "the name of a header", "Authorization")]
SchemeName = Annotated[Text, matching(r"[A-Za-z0-9-]{0,40}", "a scheme", "Bearer")]
ProbeUrl = Annotated[
    Text,
    matching(
        r"https?://[^\s/?#{}@]+/[^\s#{}]*(\{key\}[^\s#{}]*)+",
        "an address with `{key}` in it",
        "https://payments.example.com/by-key/{key}",
    ),
    Kind("an address with `{key}` in its path or query"),
]
GitUser = Annotated[Text, matching(r"[!-9;-~]{1,80}", "a user's name", "x-access-token")]
SubTeam = Annotated[
    Text,
    matching(r"[TE][A-Z0-9]{2,30}/S[A-Z0-9]{2,30}", "a Slack user group with its team", "T0123456789/S0123456789"),
]


class CredentialWord(Model):
    """A secret that a tool presents to one host. The tool's process gets it; arguments and records only name it."""

    host: HostName
    """The host it is for, exactly and without a port. A tool has one secret for a host."""
    secret: SecretName
    """Which of `secrets`."""
    header: HeaderName = "Authorization"
    """For http: the header that carries it."""
    scheme: SchemeName = "Bearer"
    """For http: what stands before it in the header; `""` for nothing."""
    user: GitUser | None = None
    """For git over https: the user name that goes with it."""


class ProbeWord(Model):
    """Where to look for a call that was cut off, and how long it may still arrive."""

    url: ProbeUrl | None = None
    """For http: an address that knows calls by their idempotency key, which stands for `{key}`. It is asked with GET,
    as far as the tool's `network` reaches and with its `credentials`. 200 says that the call happened, 404 and 410 that
    it did not; 202, 408, 409, 425, 429, 5xx and no answer are asked again later; anything else is for a person."""
    settle_ms: Annotated[Duration, durations(0, _DAY_MS)] = 10_000
    """How long after the time limit of an attempt its request may still arrive. "It did not happen" counts only after
    that."""


class GroupWord(Model):
    """What members of a Slack user group hold. Asked of Slack, and believed for a minute."""

    roles: tuple[Role, ...] = ()
    """Roles of everybody in it."""


class ToolWord(Model):
    """The operator's word on one tool. What a tool says of itself is never trusted."""

    uses: ToolName | None = None
    """Makes this a tool of your own: the one named here, which comes with Banksman, under another name and with a word
    of its own. Playbooks, rules, freezes, cards and events know it by your name."""
    tier: EffectTier | None = None
    """What its effect is: `read` and `workspace` run freely, `compensable` (has an undo) and `irreversible` need a
    person. A tool without a tier is treated as the worst."""
    recovery: RecoveryClass = "opaque"
    """What may be done about a call that was cut off: repeat it (`pure`, `idempotent`), probe first (`reconcilable`),
    or only ask a person (`opaque`). Reconcilable are `git_push`, and `http` with a `probe`."""
    probe: ProbeWord | None = None
    """For `reconcilable` tools: how a call that was cut off is looked for."""
    timeout_ms: Annotated[Duration, durations(100, 30 * 60_000)] = 60_000
    """How long one call may take unless its step says otherwise; at most `30m`."""
    key_ttl_ms: Annotated[Duration, durations(60_000, 365 * _DAY_MS)] | None = None
    """For `idempotent` tools: how long the other side remembers an idempotency key. A cut-off call older than this is
    not repeated. Left out: for ever."""
    environment: EnvironmentName = "default"
    """What it acts on, such as `production`. It is part of what people approve: an approval for one environment does
    not hold in another."""
    network: tuple[Network, ...] = ()
    """Where a tool with a network may go: a host on every port or on one, `*.example.com` for every name below it, a
    directory of this machine with all that is in it. Private addresses only if they are named with their port
    (`10.0.0.5:8080`, `git.internal:443`), paths only if they are named. Without a host here: every public one."""
    credentials: tuple[CredentialWord, ...] = ()
    """Secrets it may present, by host."""

    @property
    def timeout_s(self) -> float:
        return self.timeout_ms / 1000

    @property
    def key_ttl_s(self) -> float | None:
        return None if self.key_ttl_ms is None else self.key_ttl_ms / 1000

    @model_validator(mode="after")
    def _probes_belong_to_reconcilable_tools(self) -> Self:
        if self.probe is not None and self.recovery != "reconcilable":
            raise wrong(
                f"`probe` says how a lost call is looked for, but this tool's recovery is `{self.recovery}`.",
                "Write `recovery: reconcilable`, or remove `probe`.",
            )
        return self

    @model_validator(mode="after")
    def _keys_belong_to_idempotent_tools(self) -> Self:
        if self.key_ttl_ms is not None and self.recovery != "idempotent":
            raise wrong(
                f"`key-ttl` says how long keys are remembered, but this tool's recovery is `{self.recovery}`.",
                "Remove `key-ttl`, or write `recovery: idempotent` if the other side honours keys.",
            )
        return self


class Sandbox(Model):
    """Where tools that run programs are confined, and how much one call may use."""

    level: Literal["auto", "bwrap", "landlock"] = "auto"
    """`auto` takes the strongest this machine holds. Name one to insist on it: where it does not work, tools that run
    programs are refused."""
    unsandboxed: Literal["refused", "allowed"] = "refused"
    """What happens where no sandbox works. `allowed` runs programs with the worker's own rights: only for machines you
    can lose."""
    memory_bytes: Annotated[Size, sizes(2**26, 2**40)] = 2**30
    """Memory of one call, all its processes together."""
    processes: Annotated[Count, Field(ge=1, le=100_000)] = 128
    """Processes and threads of one call."""
    cpu_ms: Annotated[Duration, durations(1_000, _DAY_MS)] = 30 * 60_000
    """Processor time of one process."""
    disk_bytes: Annotated[Size, sizes(2**20, 2**42)] = 2**30
    """How much one call may add to the run's workspace."""
    file_bytes: Annotated[Size, sizes(2**20, 2**42)] = 200 * 2**20
    """The largest file a program may write."""
    open_files: Annotated[Count, Field(ge=16, le=1_000_000)] = 256
    """Files one process may hold open."""


class Limits(Model):
    """How much one run, one file and one person may take."""

    run_time_ms: Annotated[Duration, durations(1_000, 30 * _DAY_MS)] = _DAY_MS
    """How long a run may work. Waiting for people does not count."""
    steps: Annotated[Count, Field(ge=1, le=5_000)] = 200
    """Steps of one run."""
    attempts: Annotated[Count, Field(ge=1, le=10)] = 4
    """Attempts of one tool call, the first included. Only calls that may be repeated are."""
    artifact_bytes: Annotated[Size, sizes(1, 2**40)] = 50_000_000
    """The largest file a run may keep."""
    run_artifacts_bytes: Annotated[Size, sizes(1, 2**42)] = 200_000_000
    """All files of a run together."""
    run_artifact_count: Annotated[Count, Field(ge=1, le=10_000)] = 200
    """How many files a run may keep."""
    upload_bytes: Annotated[Size, sizes(1, 2**40)] = 50_000_000
    """The largest file a person may attach to a request."""
    runs_per_person: Annotated[Count, Field(ge=1, le=10_000)] = 10
    """Runs one person may have under way at once; a further one is refused."""
    open_questions: Annotated[Count, Field(ge=1, le=10_000)] = 20
    """Questions that may wait for the same approvers at once; a run that has another one is parked."""
    continue_steps: Annotated[Count, Field(ge=6, le=1_000)] = 12
    """Steps that *Continue* lets a run take which goes round in circles, before that is looked at again."""

    @model_validator(mode="after")
    def _a_file_fits_its_run(self) -> Self:
        if self.artifact_bytes > self.run_artifacts_bytes:
            what = "One `artifact` may be larger than all `run-artifacts` together."
            raise wrong(what, "Raise `run-artifacts` or lower `artifact`.")
        return self


class SecretReference(Model):
    """Where a secret is read at the moment it is used. Its value never stands in the file."""

    env: VariableName | None = None
    """The environment variable that holds it. Names that begin with `BANKSMAN_` are ours."""
    file: Text | None = None
    """The file that holds it, relative to this file. One newline at its end is ignored."""

    @model_validator(mode="after")
    def _exactly_one_source(self) -> Self:
        if (self.env is None) == (self.file is None):
            what = "This secret names no source." if self.env is None else "This secret names two sources."
            raise wrong(what, "Write either `env: VARIABLE` or `file: path`.")
        if self.env is not None and self.env.startswith("BANKSMAN_"):
            raise wrong(f"`{self.env}` begins with `BANKSMAN_`; such names are ours.", "Rename the variable.")
        if self.file == "":
            raise wrong("The path is empty.", "Write `file: path`.")
        return self


class ConfigFile(Model):
    """The operator's file without its playbooks."""

    principals: dict[PersonName, Person] = Field(default_factory=dict)
    """People, by the name that events and cards show."""
    groups: dict[SubTeam, GroupWord] = Field(default_factory=dict)
    """Roles that come with a Slack user group, by `TEAM/GROUP` ids."""
    policy: PolicySection = Field(default_factory=PolicySection)
    """What asks, and who decides."""
    channels: dict[ChannelName, ChannelContract] = Field(default_factory=dict)
    """What holds in a channel, by `"#name"` (quoted) or id. An id wins, because names can be given away."""
    tools: dict[ToolName, ToolWord] = Field(default_factory=dict)
    """Your word on each tool. A tool that is not listed has no tier and is `opaque`."""
    mcp: McpSection = Field(default_factory=McpSection)
    """Servers whose tools runs may use; see [tools over MCP](../guides/mcp.md)."""
    sandbox: Sandbox = Field(default_factory=Sandbox)
    """How programs are confined."""
    limits: Limits = Field(default_factory=Limits)
    """What a run may take."""
    models: dict[ModelName, ModelWord] = Field(default_factory=dict)
    """Language models by name, for agents to think with."""
    budgets: BudgetsWord = Field(default_factory=BudgetsWord)
    """How much may be spent on models."""
    secrets: dict[SecretName, SecretReference] = Field(default_factory=dict)
    """Secrets by name, and where each is read."""
