"""`banksman …`: the command line. Each command reads the environment once and calls the module that does it.

That module is imported when it is called: `kill` should not wait until everything that `doctor` looks at is loaded.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from bot.cli import channel_commands
from bot.cli.options import As, AsJson, ConfigFile, settings
from bot.cli.output import USAGE, complain, log_to_stderr, run_command
from bot.cli.parts import playground_arguments
from bot.cli.ports import claim_port
from core.config.settings import Settings
from core.errors import ConfigError
from core.record.states import RunState

app = typer.Typer(
    name="banksman",
    help="Agent work from Slack: durable runs and a stop that proves itself.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
db = typer.Typer(help="The database's schema.", no_args_is_help=True)
approval = typer.Typer(help="One exact action that people decide on.", no_args_is_help=True)
policy = typer.Typer(help="The operator's rules.", no_args_is_help=True)
mcp = typer.Typer(help="Tools of MCP servers.", no_args_is_help=True)
app.add_typer(approval, name="approval")
app.add_typer(policy, name="policy")
app.add_typer(db, name="db")
app.add_typer(mcp, name="mcp")
app.add_typer(channel_commands.group, name="channel")

Run = Annotated[str, typer.Argument(help="A run's id, or its last characters.")]
Scope = Annotated[
    str, typer.Argument(help="run:ID, agent:NAME, tool:NAME, channel:ID or channel:#name, team:ID, or everything.")
]
Approval = Annotated[str, typer.Argument(help="An approval's id, or its last characters.")]
McpServer = Annotated[str | None, typer.Argument(metavar="SERVER", help="One server; default: all of them.")]
Seen = Annotated[str | None, typer.Option("--seen", help="Digest of the text you have read; any other is refused.")]


@app.command("up")
def _up(config: ConfigFile = None) -> None:
    """Start everything on this machine: Redis, playground, bot, worker and reaper."""
    from bot.cli import up

    run_command(up.up(settings(config)))


@app.command("bot")
def _bot(config: ConfigFile = None) -> None:
    """Run the bot alone."""
    _become("bot", settings(config))


@app.command("worker")
def _worker(config: ConfigFile = None) -> None:
    """Run a worker alone."""
    _become("worker", settings(config))


@app.command("reaper")
def _reaper(config: ConfigFile = None) -> None:
    """Run this host's reaper alone: it ends what was stopped and proves it, without workers or Redis."""
    _become("worker.reaper", settings(config))


@app.command("playground")
def _playground() -> None:
    """Run the playground alone: a Slack team in a box."""
    found = settings()
    try:
        listener = claim_port(found.port, is_set=found.port_is_set)
    except ConfigError as error:
        complain(error)
        raise typer.Exit(USAGE) from None
    listener.set_inheritable(True)
    _exec("bot.playground", *playground_arguments(found, listener.detach()))


@app.command("doctor")
def _doctor(
    config: ConfigFile = None,
    json: AsJson = False,
    invariants: Annotated[
        bool, typer.Option("--invariants", help="Check what is stored instead; writes nothing.")
    ] = False,
    artifacts: Annotated[
        bool, typer.Option("--artifacts", help="Read every stored file instead; writes nothing.")
    ] = False,
    within: Annotated[
        float, typer.Option("--within", min=1, help="With one of these: seconds one look may take.")
    ] = 60,
) -> None:
    """Check that everything would work, and say what to do where it would not."""
    if invariants:
        from bot.cli import invariants as stored

        run_command(stored.check(settings(config), within_s=within, as_json=json))
    if artifacts:
        from bot.cli import stored_files

        run_command(stored_files.check(settings(config), within_s=within, as_json=json))
    from bot.cli import doctor

    run_command(doctor.examine(settings(config), as_json=json))


@app.command("run")
def _run(
    agent: Annotated[str, typer.Argument(help="The playbook to run.")],
    text: Annotated[str, typer.Argument(help="What to ask, as after the mention in Slack.")] = "",
    input: Annotated[list[str] | None, typer.Option("--input", help="An input as name=value; may be repeated.")] = None,
    file: Annotated[list[Path] | None, typer.Option("--file", help="A file to attach; may be repeated.")] = None,
    key: Annotated[str | None, typer.Option("--key", help="Idempotency key: asking twice starts one run.")] = None,
    as_: As = None,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the run and exit with its outcome.")] = False,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Ask for a run without Slack, by the same code path."""
    from bot.cli import asking

    run_command(
        asking.ask(
            settings(config),
            agent,
            text,
            inputs=input or (),
            files=file or (),
            key=key,
            as_name=as_,
            wait=wait,
            as_json=json,
        )
    )


@app.command("runs")
def _runs(
    state: Annotated[RunState | None, typer.Option("--state", help="Only runs in this state.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=200, help="How many.")] = 50,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """List runs, newest first."""
    from bot.cli import looking

    run_command(looking.list_runs(settings(config), state=state, limit=limit, as_json=json))


@app.command("show")
def _show(
    run: Run,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Show one run: plan, actions, files, how it stopped."""
    from bot.cli import looking

    run_command(looking.show(settings(config), run, as_json=json))


@app.command("events")
def _events(
    run: Run,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Show a run's log: every transition, by whom, on what evidence."""
    from bot.cli import looking

    run_command(looking.events(settings(config), run, as_json=json))


@app.command("kill")
def _kill(
    run: Annotated[str | None, typer.Argument(help="A run's id, or its last characters.")] = None,
    agent: Annotated[str | None, typer.Option("--agent", help="Stop every open run of this agent.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Stop every open run.")] = False,
    as_: As = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; shown on the card.")] = "",
    config: ConfigFile = None,
) -> None:
    """Stop runs, as the Kill button does; needs neither Slack nor Redis."""
    from bot.cli import stopping

    run_command(stopping.stop(settings(config), run, agent=agent, everything=all_, as_name=as_, reason=reason))


@app.command("rollback")
def _rollback(
    run: Run,
    as_: As = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; shown with the run that does it.")] = "",
    config: ConfigFile = None,
) -> None:
    """Undo what a run did outside, as the Roll back button does: by a run of its own, with approvals of its own."""
    from bot.cli import rolling_back

    run_command(rolling_back.rollback(settings(config), run, as_name=as_, reason=reason))


@app.command("freeze")
def _freeze(
    scope: Scope,
    as_: As = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; shown on every card it concerns.")] = "",
    config: ConfigFile = None,
) -> None:
    """Let nothing start of a run, playbook, tool, channel, team or everything; needs neither Slack nor Redis."""
    from bot.cli import freezing

    run_command(freezing.freeze(settings(config), scope, as_name=as_, reason=reason))


@app.command("thaw")
def _thaw(
    scope: Scope,
    as_: As = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; said in the channel that was frozen.")] = "",
    config: ConfigFile = None,
) -> None:
    """Let go on what was frozen; approvals get back the time they had left."""
    from bot.cli import freezing

    run_command(freezing.thaw(settings(config), scope, as_name=as_, reason=reason))


@app.command("freezes")
def _freezes(
    all_: Annotated[bool, typer.Option("--all", help="Also what was thawed, the newest first.")] = False,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """List what is frozen."""
    from bot.cli import freezing

    run_command(freezing.list_freezes(settings(config), ended=all_, as_json=json))


@app.command("pending")
def _pending(
    limit: Annotated[int, typer.Option("--limit", min=1, max=200, help="How many.")] = 50,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """List what waits for approval, the longest waiting first."""
    from bot.cli import looking

    run_command(looking.pending(settings(config), limit=limit, as_json=json))


@app.command("approve")
def _approve(
    approval: Approval,
    as_: As = None,
    seen: Seen = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether you are sure.")] = False,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Show an exact action, whole, and approve it, as the Approve button does."""
    from bot.cli import deciding

    run_command(deciding.vote(settings(config), approval, "approve", as_name=as_, seen=seen, yes=yes, as_json=json))


@app.command("deny")
def _deny(
    approval: Approval,
    as_: As = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; the run and its people are told.")] = "",
    seen: Seen = None,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Show an exact action, whole, and deny it, as the Deny button does."""
    from bot.cli import deciding

    run_command(deciding.vote(settings(config), approval, "deny", as_name=as_, seen=seen, reason=reason, as_json=json))


@approval.command("show")
def _approval_show(
    approval: Annotated[str | None, typer.Argument(help="An approval's id, or its last characters.")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="Verify what --json printed; needs nothing else.")] = None,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Show an exact action and its votes, and recompute every digest from the stored bytes."""
    from bot.cli import looking

    if file is not None and approval is None:
        log_to_stderr()
        run_command(looking.show_document(file, as_json=json))
    if approval is None or file is not None:
        complain(ConfigError("Name an approval, or give the file of one with `--file`."))
        raise typer.Exit(USAGE)
    run_command(looking.show_approval(settings(config), approval, as_json=json))


@app.command("ask-again")
def _ask_again(run: Run, as_: As = None, config: ConfigFile = None) -> None:
    """Let a parked run ask again, as the Ask again button does."""
    from bot.cli import deciding

    run_command(deciding.again(settings(config), run, as_name=as_))


@app.command("continue")
def _continue(
    run: Run,
    steps: Annotated[int | None, typer.Option("--steps", help="For how many steps; default `continue-steps`.")] = None,
    as_: As = None,
    config: ConfigFile = None,
) -> None:
    """Let a run that goes round in circles continue for some steps, as the Continue button does."""
    from bot.cli import deciding

    run_command(deciding.go_round(settings(config), run, steps, as_name=as_))


@app.command("budget")
def _budget(
    run: Run,
    add: Annotated[str | None, typer.Option("--add", help="How much more money, in dollars: 0.50.")] = None,
    tokens: Annotated[int | None, typer.Option("--tokens", help="How many more tokens.")] = None,
    steps: Annotated[int | None, typer.Option("--steps", help="How many more steps.")] = None,
    calls: Annotated[int | None, typer.Option("--calls", help="How many more tool calls.")] = None,
    time: Annotated[str | None, typer.Option("--time", help="How much more time: 30m.")] = None,
    as_: As = None,
    config: ConfigFile = None,
) -> None:
    """Let a run spend more on models, or use more of what else it has a cap on, as the button on its card does."""
    from bot.cli import spending

    more = spending.More(add, tokens, steps, calls, time)
    run_command(spending.add(settings(config), run, more, as_name=as_))


@app.command("wrap-up")
def _wrap_up(run: Run, as_: As = None, config: ConfigFile = None) -> None:
    """Have a run finish with what it has, as the Wrap up button does."""
    from bot.cli import spending

    run_command(spending.finish(settings(config), run, as_name=as_))


@app.command("answer")
def _answer(
    call: Annotated[str, typer.Argument(help="The id of the call that asked; `show` has it.")],
    values: Annotated[list[str], typer.Argument(help="Answers as name=value.")],
    as_: As = None,
    config: ConfigFile = None,
) -> None:
    """Answer what a run has asked, as its form does."""
    from bot.cli import deciding

    run_command(deciding.give(settings(config), call, values, as_name=as_))


@app.command("resolve")
def _resolve(
    run: Run,
    call: Annotated[str, typer.Argument(help="The id of the call, or its last characters.")],
    ran: Annotated[bool | None, typer.Option("--ran/--not-run", help="What you found when you looked.")] = None,
    as_: As = None,
    config: ConfigFile = None,
) -> None:
    """Say what became of a call whose outcome nobody knows, as the buttons do."""
    from bot.cli import deciding

    run_command(deciding.settle(settings(config), run, call, ran=ran, as_name=as_))


@policy.command("check")
def _policy_check(
    file: Annotated[Path | None, typer.Argument(help="The file to check; default banksman.yml.")] = None,
    json: AsJson = False,
) -> None:
    """Say whether a configuration can be used, with every problem, and what looks doubtful in it."""
    from bot.cli import policies

    run_command(policies.check(settings(), file, as_json=json))


@policy.command("explain")
def _policy_explain(
    action: Annotated[str | None, typer.Argument(help="An approval's id or its end, or a call's id.")] = None,
    tool: Annotated[str | None, typer.Option("--tool", help="The tool of a call that is not stored.")] = None,
    arg: Annotated[list[str] | None, typer.Option("--arg", help="Its argument as name=value; may be repeated.")] = None,
    agent: Annotated[str | None, typer.Option("--agent", help="The playbook that would make it.")] = None,
    environment: Annotated[
        str | None, typer.Option("--environment", help="What it acts on; default: the tool's.")
    ] = None,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Say what the policy makes of a call, by which rule, and who may decide."""
    from bot.cli import policies

    inline = policies.Inline(tool, arg or (), agent, environment)
    run_command(policies.explain(settings(config), action, inline, as_json=json))


@mcp.command("list")
def _mcp_list(server: McpServer = None, json: AsJson = False, config: ConfigFile = None) -> None:
    """Say what MCP servers offer, and whether it is what was accepted."""
    from bot.cli import servers

    run_command(servers.listing(settings(config), server, as_json=json))


@mcp.command("diff")
def _mcp_diff(server: McpServer = None, json: AsJson = False, config: ConfigFile = None) -> None:
    """Show how what MCP servers offer differs from what was accepted."""
    from bot.cli import servers

    run_command(servers.difference(settings(config), server, as_json=json))


@mcp.command("accept")
def _mcp_accept(
    tool: Annotated[str, typer.Argument(metavar="SERVER[/TOOL]", help="A server, or one tool of it.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether you are sure.")] = False,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Show what a server says of its tools now, and accept it."""
    from bot.cli import servers

    run_command(servers.accept(settings(config), tool, yes=yes, as_json=json))


@db.command("upgrade")
def _upgrade() -> None:
    """Bring the database to this version's schema."""
    from bot.cli import databases

    run_command(databases.upgrade(settings()))


@db.command("current")
def _current() -> None:
    """Say which schema the database has."""
    from bot.cli import databases

    run_command(databases.current(settings()))


def _become(module: str, found: Settings) -> None:
    """Replace this process by a part; the config it was given travels in the environment."""
    os.environ["BANKSMAN_CONFIG"] = str(found.config_path)
    _exec(module)


def _exec(module: str, *arguments: str) -> None:
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])


def main() -> None:
    """The `banksman` command."""
    os.umask(0o077)  # what we write holds people's texts
    app()
