"""`python -m worker.examine`: the sandbox this host would get and the tools of packages beside Banksman, as one JSON
document; `banksman doctor` reads it.
"""

import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path

from core.config.load import load_config
from core.config.settings import Settings
from core.errors import BanksmanError
from core.execution.base import SandboxUnavailable
from core.tools.installed import loaded_here
from worker.wiring import find_tool_environment, sandbox


def main() -> int:
    """Print the report, or say on stderr why there is none."""
    try:
        settings = Settings.from_env(os.environ, cwd=Path.cwd())
        config = load_config(settings.config_path)
        with tempfile.TemporaryDirectory(prefix="banksman-examine-") as home:
            (Path(home) / "spool").mkdir()
            report = sandbox(config, find_tool_environment(), Path(home)).describe()
    except (BanksmanError, SandboxUnavailable) as error:
        print(str(error), file=sys.stderr)
        return 1
    # What a package prints while it is imported is no part of the document.
    with contextlib.redirect_stdout(sys.stderr):
        found = loaded_here()
    print(
        json.dumps(
            {
                "level": report.level.value,
                "summary": report.summary,
                "lacks": report.lacks,
                "remedies": report.remedies,
                "enforced": report.enforced,
                "installed": [f"`{name}` of {package}" for name, package in sorted(found.packages.items())],
                "troubles": [str(trouble) for trouble in found.troubles],
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
