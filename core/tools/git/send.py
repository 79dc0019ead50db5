"""git as it runs in the child that acts outside: no configuration, no hooks, no prompts, one address, one secret.

Each function is an effect (`core.tools.effects`): it blocks, gets plain data and answers plain data. It never runs git
on anything but bare repositories of our own and the address it is given.
"""

import base64
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.execution.labels import VARIABLE

Answer = dict[str, Any]

_SAFE = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "core.askPass=",
    "credential.helper=",
    "protocol.allow=never",
    "http.followRedirects=false",
    "fetch.fsckObjects=true",
    "transfer.fsckObjects=true",
    "fetch.recurseSubmodules=false",
    "push.recurseSubmodules=no",
    "submodule.recurse=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "init.templateDir=",
)
_SERVED = "-c core.hooksPath=/dev/null -c core.alternateRefsCommand= -c receive.autogc=false -c gc.auto=0"
"""For the other side of a path of this machine: it is our process, so nothing of that repository may run in it."""

_SSH = "ssh -F none -o BatchMode=yes -o ForwardAgent=no -o ClearAllForwardings=yes -o PermitLocalCommand=no"
_MOST_SAID = 2_000


def mirror(args: Mapping[str, Any], secrets: Mapping[str, str], _key: str, timeout_s: float) -> Answer:
    """Clone an address into a bare repository of ours."""
    command = ["clone", "--bare", "--no-local", "--no-hardlinks", "--quiet"]
    if args.get("depth"):
        command += ["--depth", str(args["depth"]), "--no-single-branch"]
    if args["scheme"] == "file":
        command += ["--upload-pack", f"git {_SERVED} upload-pack"]
    done = _git([*command, "--", args["url"], args["target"]], args, secrets, timeout_s)
    return _ok({}) if done.returncode == 0 else _failed(done)


def look(args: Mapping[str, Any], secrets: Mapping[str, str], _key: str, timeout_s: float) -> Answer:
    """Ask an address for its refs; with `into`, also fetch its default branch into a bare repository of ours."""
    served = ["--upload-pack", f"git {_SERVED} upload-pack"] if args["scheme"] == "file" else []
    done = _git(["ls-remote", "--symref", *served, "--", args["url"]], args, secrets, timeout_s)
    if done.returncode != 0:
        return _failed(done)
    head, refs = _refs(done.stdout)
    base = refs.get(f"refs/heads/{head}") if head else None
    if args.get("into") and base is not None:
        fetch = ["-C", args["into"], "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", *served]
        wanted = f"refs/heads/{head}:refs/banksman/base"
        done = _git([*fetch, "--", args["url"], f"+{wanted}"], args, secrets, timeout_s)
        if done.returncode != 0:
            return _failed(done)
    return _ok({"head": head, "base": base, "refs": refs})


def push(args: Mapping[str, Any], secrets: Mapping[str, str], _key: str, timeout_s: float) -> Answer:
    """Push one commit to one new branch, expecting that it is not there."""
    ref = f"refs/heads/{args['branch']}"
    return _push(args, secrets, timeout_s, f"{args['commit']}:{ref}", f"--force-with-lease={ref}:")


def delete(args: Mapping[str, Any], secrets: Mapping[str, str], _key: str, timeout_s: float) -> Answer:
    """Delete a branch, expecting that it still is at one commit."""
    ref = f"refs/heads/{args['branch']}"
    return _push(args, secrets, timeout_s, f":{ref}", f"--force-with-lease={ref}:{args['commit']}")


def _push(args: Mapping[str, Any], secrets: Mapping[str, str], timeout_s: float, refspec: str, lease: str) -> Answer:
    served = ["--receive-pack", f"git {_SERVED} receive-pack"] if args["scheme"] == "file" else []
    command = ["-C", args["repository"], "push", "--porcelain", "--no-verify", "--no-signed", "--no-follow-tags"]
    try:
        done = _git([*command, lease, *served, "--", args["url"], refspec], args, secrets, timeout_s)
    except subprocess.TimeoutExpired:
        return {"status": "unknown", "out": {}, "error": f"the push took longer than {timeout_s:.0f} s"}
    lines = [line for line in done.stdout.splitlines() if line[:1] in " +-*=!" and "\t" in line]
    if done.returncode == 0 and lines and not any(line.startswith("!") for line in lines):
        return _ok({"branch": args["branch"], "commit": args["commit"], "url": args["url"]})
    if rejected := next((line for line in lines if line.startswith("!")), None):
        why = rejected.split("\t")[-1]
        return {"status": "failed", "out": {}, "error": f"the other side refused the branch `{args['branch']}`: {why}"}
    answer = _failed(done)
    if answer["status"] == "failed" or _before_anything(done.stderr):
        return answer
    return {**answer, "status": "unknown"}


def _git(
    command: list[str], args: Mapping[str, Any], secrets: Mapping[str, str], timeout_s: float
) -> subprocess.CompletedProcess[str]:
    settings = [*_SAFE, f"protocol.{args['scheme']}.allow=always"]
    if args["scheme"] == "https":
        settings.append(f"http.curloptResolve={args['resolve']}")
    home = str(Path.cwd())
    environment = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "HOME": home,
        "XDG_CONFIG_HOME": home,
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "/bin/false",
        "GIT_SSH_COMMAND": _SSH,
        "GIT_ALLOW_PROTOCOL": args["scheme"],
        "GIT_NO_REPLACE_OBJECTS": "1",
        VARIABLE: os.environ.get(VARIABLE, ""),
    }
    if args["scheme"] == "https" and secrets.get("secret"):
        token = base64.b64encode(f"{args['user']}:{secrets['secret']}".encode()).decode()
        # By its environment, which only its own user can read, and not by its arguments, which everybody can.
        environment |= {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "http.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {token}",
        }
    options = [part for setting in settings for part in ("-c", setting)]
    return subprocess.run(
        ["git", *options, *command],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout_s,
        check=False,
    )


def _refs(said: str) -> tuple[str | None, dict[str, str]]:
    head, refs = None, {}
    for line in said.splitlines():
        what, _, name = line.partition("\t")
        if what.startswith("ref: refs/heads/") and name == "HEAD":
            head = what.removeprefix("ref: refs/heads/")
        elif name.startswith("refs/heads/"):
            refs[name] = what
    return head, refs


def _ok(out: Mapping[str, Any]) -> Answer:
    return {"status": "succeeded", "out": dict(out), "error": None}


_NEVER_REACHED = ("could not resolve host", "could not resolve hostname", "connection refused", "failed to connect")
_BUSY = (*_NEVER_REACHED, "timed out", "connection reset", "network is unreachable", "early eof", "503")


def _before_anything(stderr: str) -> bool:
    """Whether nothing had been sent: the other side was not even reached."""
    return any(text in stderr.lower() for text in _NEVER_REACHED)


def _failed(done: subprocess.CompletedProcess[str]) -> Answer:
    """What went wrong, as a sentence with the remedy where there is one."""
    said = done.stderr.lower()
    last = next((line.strip() for line in reversed(done.stderr.splitlines()) if line.strip()), "git said nothing")
    if any(text in said for text in _BUSY):
        return {"status": "failed-safe", "out": {}, "error": f"the repository does not answer: {last[:300]}"}
    if "dubious ownership" in said:
        why = "that repository belongs to another user of this machine, so it is not used"
    elif "not found" in said or "does not exist" in said or "does not appear to be a git repository" in said:
        why = "there is no repository at that address, or not for us to see"
    elif "authentication" in said or "permission denied" in said or "could not read username" in said or "403" in said:
        why = "the repository does not let us in; the operator can give `credentials` for its host"
    else:
        why = f"git: {last[:_MOST_SAID]}"
    return {"status": "failed", "out": {}, "error": why}
