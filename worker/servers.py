"""`python -m worker.servers [NAME…]`: what MCP servers offer now, as one JSON document; `banksman mcp` reads it.

Each server is started as a worker of this host would start it, in its sandbox or outside of it, and ended again.
"""

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from core.config.load import Config, load_config
from core.config.redaction import secret_refs
from core.config.settings import Settings
from core.errors import BanksmanError
from core.execution.base import CallLabel, Environment, ExecutionError, SandboxUnavailable
from core.execution.outside import outside_environment
from core.execution.refusing import RefusingEnvironment
from core.secrets import SystemSecrets
from core.tools.mcp.start import listed, secrets_of
from worker.wiring import find_tool_environment, sandbox


async def examined(config: Config, names: list[str], home: Path) -> dict[str, Any]:
    """Ask every named server, one after the other.

    Args:
        home: An empty directory.
    """
    (home / "spool").mkdir()
    tool_environment = find_tool_environment()
    inside: Environment = RefusingEnvironment("no server that was asked needs the sandbox")
    if any(not config.servers[name].outside for name in names):
        inside = await asyncio.to_thread(sandbox, config, tool_environment, home)
    outside = outside_environment(home / "spool")
    found: dict[str, Any] = {}
    for name in names:
        directory = home / "servers" / name
        directory.mkdir(parents=True)
        word = config.servers[name]
        try:
            result = await listed(
                word,
                CallLabel("banksman", "mcp", f"list_{name}", 0),
                sandbox=inside,
                outside=outside,
                tool_environment=tool_environment,
                directory=directory,
                secrets=secrets_of(word, SystemSecrets(), secret_refs(config)),
            )
        except (BanksmanError, ExecutionError) as error:
            found[name] = {"error": error.user_text, "tools": []}
            continue
        ok = result.status == "succeeded"
        found[name] = {
            "error": None if ok else result.error or "it did not say",
            "tools": result.out.get("tools", []) if ok else [],
            "protocol": result.out.get("protocol"),
        }
    return found


def main() -> int:
    """Print what was found, or say on stderr why nothing was."""
    try:
        settings = Settings.from_env(os.environ, cwd=Path.cwd())
        config = load_config(settings.config_path)
        names = sys.argv[1:] or list(config.servers)
        with tempfile.TemporaryDirectory(prefix="banksman-servers-") as home:
            found = asyncio.run(examined(config, names, Path(home)))
    except (BanksmanError, SandboxUnavailable) as error:
        print(str(error), file=sys.stderr)
        return 1
    print(json.dumps({"servers": found}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
