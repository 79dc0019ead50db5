"""`make check`: every check that needs no running service, all of them even when one fails, each with its remedy."""

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
CHECKS = (
    ("format", [str(BIN / "ruff"), "format", "--check", "."], "run `.venv/bin/ruff format .`"),
    ("lint", [str(BIN / "ruff"), "check", "."], "run `.venv/bin/ruff check --fix .`, then mend by hand what it left"),
    ("types", [str(BIN / "mypy")], "annotate or correct what mypy names; it runs in strict mode"),
    ("import rules", [sys.executable, "-m", "tests.unit.import_rules"], "move the code to the room that may import it"),
    ("house rules", [sys.executable, "-m", "tests.unit.house_rules"], "do what each line says"),
    ("docs", [sys.executable, "-m", "tests.docs.check"], "do what each line says"),
)


def main() -> int:
    failed = []
    for name, argv, remedy in CHECKS:
        began = time.monotonic()
        done = subprocess.run(argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)  # fmt: skip
        print(f"{'ok' if done.returncode == 0 else 'FAILED':7}{name} ({time.monotonic() - began:.1f} s)", flush=True)
        if done.returncode != 0:
            failed.append(name)
            print(f"{done.stdout.rstrip()}\n       -> {remedy}", flush=True)
    if failed:
        print(f"make check: {', '.join(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
