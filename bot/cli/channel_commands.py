"""`banksman channel …` as the command line reads it; `channels` does it, and is imported when it is called."""

from typing import Annotated

import typer

from bot.cli.options import As, AsJson, ConfigFile, settings
from bot.cli.output import run_command

group = typer.Typer(help="Contracts of channels.", no_args_is_help=True)

One = Annotated[str | None, typer.Argument(metavar="CHANNEL", help="One channel; default: all of them.")]


@group.command("list")
def _list(json: AsJson = False, config: ConfigFile = None) -> None:
    """Say which contracts hold as the file has them, and which wait for an operator."""
    from bot.cli import channels

    run_command(channels.listing(settings(config), as_json=json))


@group.command("diff")
def _diff(channel: One = None, json: AsJson = False, config: ConfigFile = None) -> None:
    """Show how the file's contracts differ from the accepted ones, and what holds."""
    from bot.cli import channels

    run_command(channels.difference(settings(config), channel, as_json=json))


@group.command("accept")
def _accept(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="As the file names it: #name or an id.")],
    as_: As = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether you are sure.")] = False,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Show how a channel's contract differs from the accepted one, and accept it; for operators."""
    from bot.cli import channels

    run_command(channels.accept(settings(config), channel, as_name=as_, yes=yes, as_json=json))
