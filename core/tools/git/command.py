"""git as it runs in the child that acts outside: no configuration, no hooks, no prompts, one address, one secret.

It is only ever run on bare repositories of our own and the address it is given. What its failures mean is in `answers`.
"""

import base64
import os
import re
import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.tools.git.answers import Done

LENIENT = ("badTimezone", "missingSpaceBeforeDate", "zeroPaddedFilemode")
"""Flaws that old tools left in many public histories, and that nothing can hide behind."""

_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "core.alternateRefsCommand=true",
    "core.askPass=",
    "core.logAllRefUpdates=false",
    "core.quotePath=false",
    "credential.helper=",
    "protocol.allow=never",
    "http.followRedirects=false",
    "transfer.bundleURI=false",
    "transfer.fsckObjects=true",
    "fetch.fsckObjects=true",
    *(f"fetch.fsck.{flaw}=ignore" for flaw in LENIENT),
    "fetch.recurseSubmodules=false",
    "push.recurseSubmodules=no",
    "submodule.recurse=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "init.defaultBranch=none",
    "init.templateDir=",
)
_SERVED = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.alternateRefsCommand=true",
    "receive.denyCurrentBranch=refuse",
    "receive.autogc=false",
    "receive.updateServerInfo=false",
    "gc.auto=0",
    "maintenance.auto=false",
)
"""For the other side of a path of this machine: it is our process, so nothing of that repository may run in it."""

_SSH = ("-F", "none", "-T", "-a", "-x")
_SSH_OPTIONS = (
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "ClearAllForwardings=yes",
    "PermitLocalCommand=no",
    "ControlPath=none",
    "ConnectTimeout=20",
)
_PINNING = (2, 37)
"""The first git that can be told which address a name has."""


class Git:
    """Runs git until a deadline.

    Args:
        given: The way to the one address it may reach, as `routes.Route.given`; none for a repository of ours.
        secrets: The password for that address, as `secret`.
        timeout_s: For all its commands together.
    """

    def __init__(self, given: Mapping[str, Any] | None, secrets: Mapping[str, str], timeout_s: float) -> None:
        self._given = given
        self._secret = secrets.get("secret")
        self._deadline_s = time.monotonic() + timeout_s

    @property
    def url(self) -> str:
        assert self._given is not None
        return str(self._given["url"])

    def served(self, side: str) -> list[str]:
        """The options that keep the other side calm, where it is ours: `side` is `upload-pack` or `receive-pack`."""
        if self._given is None or self._given["scheme"] != "file":
            return []
        settings = " ".join(f"-c {setting}" for setting in _SERVED)
        return [f"--{side}", f"git {settings} {side}"]

    def own(self, *command: str, given: Path | None = None) -> Done:
        """Run a command that reaches nothing.

        Args:
            given: A file for its input.
        """
        return self._run(_SETTINGS, command, _environment("none"), given)

    def remote(self, *command: str) -> Done:
        """Run a command that may reach the address and nothing else."""
        assert self._given is not None
        scheme = self._given["scheme"]
        settings, environment = [*_SETTINGS, f"protocol.{scheme}.allow=always"], _environment(scheme)
        if scheme == "https":
            if not _is_address(self._given) and (old := self._too_old()):
                return Done(128, b"", old)
            settings += _https_settings(self._given)
            environment |= _authorization(self._given, self._secret)
        if scheme == "ssh":
            environment |= _ssh(self._given)
        return self._run(settings, command, environment, None)

    def start(self, *command: str) -> "subprocess.Popen[bytes]":
        """Start a command that reaches nothing and may print more than we want to read."""
        argv = ["git", *_options(_SETTINGS), *command]
        quiet = subprocess.DEVNULL
        return subprocess.Popen(argv, env=_environment("none"), stdin=quiet, stdout=subprocess.PIPE, stderr=quiet)

    def _run(
        self, settings: Sequence[str], command: Sequence[str], environment: Mapping[str, str], given: Path | None
    ) -> Done:
        left_s = max(0.1, self._deadline_s - time.monotonic())
        try:
            with open(given or os.devnull, "rb") as stdin:  # noqa: PTH123
                done = subprocess.run(
                    ["git", *_options(settings), *command],
                    env=environment,
                    stdin=stdin,
                    capture_output=True,
                    timeout=left_s,
                    check=False,
                )
        except subprocess.TimeoutExpired:
            return Done(None, b"", "")
        except FileNotFoundError:
            return Done(127, b"", "there is no git on the worker's machine; the operator installs it")
        return Done(done.returncode, done.stdout, done.stderr.decode(errors="replace"))

    def _too_old(self) -> str | None:
        said = self.own("version").text
        found = re.search(r"(\d+)\.(\d+)", said)
        if found is not None and (int(found[1]), int(found[2])) >= _PINNING:
            return None
        wanted = ".".join(map(str, _PINNING))
        return f"{said.strip() or 'git'} cannot be held to one address; the operator installs git {wanted} or newer"


def _options(settings: Sequence[str]) -> list[str]:
    return [part for setting in settings for part in ("-c", setting)]


def _environment(protocol: str) -> dict[str, str]:
    home = str(Path.cwd())
    return {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "HOME": home,
        "XDG_CONFIG_HOME": home,
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": protocol,
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        # The call's label, by which whatever git starts is found and ended.
        **{name: value for name, value in os.environ.items() if name.startswith("BANKSMAN_")},
    }


def _is_address(given: Mapping[str, Any]) -> bool:
    """Whether the host is an address itself, which nobody looks up."""
    return list(given["addresses"]) == [given["host"]]


def _https_settings(given: Mapping[str, Any]) -> list[str]:
    settings = []
    if not _is_address(given):
        settings.append(f"http.curloptResolve={given['host']}:{given['port']}:{','.join(given['addresses'])}")
    if given.get("ca"):
        settings.append(f"http.sslCAInfo={given['ca']}")
    return settings


def _authorization(given: Mapping[str, Any], secret: str | None) -> dict[str, str]:
    """The secret by the environment of git, which only its own user can read; its arguments everybody can."""
    if secret is None:
        return {}
    token = base64.b64encode(f"{given['user']}:{secret}".encode()).decode()
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{given['url']}.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: Basic {token}",
    }


def _ssh(given: Mapping[str, Any]) -> dict[str, str]:
    host, port = given["host"], given["port"]
    alias = host if port == 22 else f"[{host}]:{port}"
    options = [*_SSH_OPTIONS, f"HostName={given['addresses'][0]}", f"HostKeyAlias={alias}"]
    argv = ["ssh", *_SSH, *(part for option in options for part in ("-o", option))]
    return {"GIT_SSH_COMMAND": shlex.join(argv), "GIT_SSH_VARIANT": "ssh"}
