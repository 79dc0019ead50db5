"""Reads what is asked from standard input, does it, and answers on standard output, one JSON document a line.

`tests` answers twice: how the tests are run, before anything of the repository runs, and how that ended; what they
print goes to standard error. `write` answers once. Exit codes: 0 = done; 3 = it cannot be done, and `problem` is the
sentence to tell.
"""

import importlib.util
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import counts, detect, suite
from .git import Problem
from .write import write

PROBLEM = 3

_STDERR = 2
_LAST_CALL_S = 1.0
"""Less time than this is not worth another try."""
_PYTEST_USAGE = 4
_PYTEST_COMPLAINT = b": error: "
_NO_OPTIONS = ("-o", "addopts=")


def main() -> int:
    """Do one thing."""
    asked = json.load(sys.stdin)
    temporary = Path(tempfile.mkdtemp(prefix="checkup-"))
    try:
        if asked["do"] == "write":
            _say(write(asked, temporary))
        else:
            _tests(asked, temporary)
    except Problem as problem:
        _say({"problem": str(problem)})
        return PROBLEM
    except (MemoryError, RecursionError):
        _say({"problem": "The repository is too large to be looked at in memory."})
        return PROBLEM
    return 0


def _tests(asked: Mapping[str, Any], temporary: Path) -> None:
    root = Path(asked["path"]).absolute()
    has_pytest = importlib.util.find_spec("pytest") is not None
    found = detect.find(root, which=shutil.which, has_pytest=has_pytest)
    if found is None:
        _say({"framework": "none", "command": "", "missing": ""})
        return
    _say({"framework": found.framework, "command": found.command, "missing": found.missing})
    if found.missing:
        return
    began = time.monotonic()
    output = suite.Output(_STDERR)
    env = _environment(found, root, temporary)
    argv = found.argv
    ended = suite.run(argv, cwd=root, env=env, seconds=asked["seconds"], output=output)
    left = asked["seconds"] - (time.monotonic() - began)
    misunderstood = ended.exit_code == _PYTEST_USAGE and _PYTEST_COMPLAINT in ended.tail
    if found.framework == "pytest" and misunderstood and left > _LAST_CALL_S:
        # Its configuration asks for options of a plugin that is not here; as a rule the tests can do without.
        argv = (*argv, *_NO_OPTIONS)
        ended = suite.run(argv, cwd=root, env=env, seconds=left, output=output)
    output.finish()
    text = ended.tail.decode(errors="replace")
    read = counts.read(found.framework, text)
    _say(
        {
            "command": detect.Suite(found.framework, argv, found.env).command,
            "exit_code": ended.exit_code,
            "signal": ended.signal,
            "timed_out": ended.timed_out,
            "tests": read.tests,
            "failed": read.failed,
            "errors": read.errors,
            "skipped": read.skipped,
            "failing": list(read.failing),
            "needed_network": counts.needed_network(text),
            "missing_modules": counts.missing_modules(text),
        }
    )


def _environment(found: detect.Suite, root: Path, temporary: Path) -> dict[str, str]:
    """What the suite may know; its caches go where they vanish."""
    home = temporary / "home"
    home.mkdir()
    added = {name: str(root / value) for name, value in found.env.items()}
    return {
        **os.environ,  # the sandbox's own, with the label of the call, which stays on every process
        "HOME": str(home),
        "CI": "true",
        "COLUMNS": "160",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "npm_config_cache": str(home / "npm"),
        "npm_config_update_notifier": "false",
        "npm_config_offline": "true",
        "GOCACHE": str(home / "go-build"),
        "GOPATH": str(home / "go"),
        "GOPROXY": "off",
        "GOTOOLCHAIN": "local",
        "CARGO_NET_OFFLINE": "true",
        "NO_COLOR": "1",
        **added,
    }


def _say(answer: Mapping[str, Any]) -> None:
    print(json.dumps(answer), flush=True)
