"""Run uv the way this machine's owner has set up its package client.

uv reads none of pip's configuration, so a machine that reaches packages through a mirror, a proxy or an own
certificate would work with pip and fail with uv. This reads what pip was told (files and environment, through pip
itself) and hands it to uv, unless uv was told something of its own. Runs with `.venv/bin/python`; the arguments are
uv's.
"""

import ast
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TRANSLATION = {  # pip's setting: uv's variable, and what joins several values
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "no-index": ("UV_NO_INDEX", " "),
    "cert": ("SSL_CERT_FILE", " "),
    "proxy": ("ALL_PROXY", " "),
    "default-timeout": ("UV_HTTP_TIMEOUT", " "),
    "timeout": ("UV_HTTP_TIMEOUT", " "),
}


def pip_settings(listing: str) -> dict[str, str]:
    """Read `pip config list`; a command's own section beats the global one, the environment beats both."""
    strength = {"global": 0, "install": 1, ":env:": 2}
    found: dict[str, tuple[int, str]] = {}
    for line in listing.splitlines():
        key, equals, value = line.partition("=")
        section, _, name = key.partition(".")
        if equals and section in strength and strength[section] >= found.get(name, (-1, ""))[0]:
            found[name] = (strength[section], str(ast.literal_eval(value)))
    return {name: value for name, (_, value) in found.items()}


def uv_environment(settings: dict[str, str], environ: dict[str, str]) -> dict[str, str]:
    """The environment uv runs in: what it was told stays, pip's settings fill the gaps."""
    result = dict(environ)
    for name, (variable, joiner) in TRANSLATION.items():
        if name in settings and variable not in environ:
            result[variable] = joiner.join(settings[name].split())
    result.setdefault("UV_SYSTEM_CERTS", "1")
    result.setdefault("UV_CACHE_DIR", str(ROOT / ".cache" / "uv"))  # works without a HOME, goes with the checkout
    result.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")  # safe here: every file's hash is pinned
    result.setdefault("UV_PYTHON_DOWNLOADS", "never")
    result.setdefault("UV_NO_PROGRESS", "1")
    result["UV_NO_CONFIG"] = "1"  # a uv.toml above the checkout is about another project
    return result


def main() -> None:
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    uv = Path(sys.executable).parent / "uv"
    os.execve(uv, [str(uv), *sys.argv[1:]], uv_environment(pip_settings(listing), dict(os.environ)))


if __name__ == "__main__":
    main()
