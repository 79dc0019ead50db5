"""Put the project into the environment that runs this: its folder on the path, and the `banksman` command.

The same as an editable install, without a build backend and so without a download.
"""

import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Python to the shell, two strings to Python: works where the path has spaces or is too long for a `#!` line.
SCRIPT = """#!/bin/sh
'''exec' "{python}" "$0" "$@"
' '''
import sys

from bot.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
"""


def main() -> None:
    (Path(sysconfig.get_path("purelib")) / "banksman.pth").write_text(f"{ROOT}\n")
    script = Path(sysconfig.get_path("scripts")) / "banksman"
    script.write_text(SCRIPT.format(python=sys.executable))
    script.chmod(0o755)


if __name__ == "__main__":
    main()
