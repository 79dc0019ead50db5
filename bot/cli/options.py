"""Options that many commands have, and the environment that each of them reads once."""

import os
from pathlib import Path
from typing import Annotated

import typer

from bot.cli.output import USAGE, complain, log_to_stderr
from core.config.settings import Settings
from core.errors import ConfigError

ConfigFile = Annotated[Path | None, typer.Option("--config", help="The operator's file; default banksman.yml.")]
AsJson = Annotated[bool, typer.Option("--json", help="Answer with one JSON document on stdout.")]
As = Annotated[str | None, typer.Option("--as", help="Act as this principal, if the config lets you.")]


def settings(config: Path | None = None) -> Settings:
    """The environment, or exit code 2 with everything that is wrong with it."""
    log_to_stderr()
    try:
        found = Settings.from_env(os.environ, cwd=Path.cwd())
    except ConfigError as error:
        complain(error)
        raise typer.Exit(USAGE) from None
    return found if config is None else found.with_config(config.absolute())
