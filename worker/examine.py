"""`python -m worker.examine`: the sandbox this host would get, as one JSON document; `banksman doctor` reads it."""

import json
import os
import sys
import tempfile
from pathlib import Path

from core.config.load import load_config
from core.config.settings import Settings
from core.errors import BanksmanError
from core.execution.base import SandboxUnavailable
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
    print(
        json.dumps(
            {
                "level": report.level.value,
                "summary": report.summary,
                "lacks": report.lacks,
                "remedies": report.remedies,
                "enforced": report.enforced,
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
