"""Keeps one child process no longer alive than its owner, even when the owner is killed with SIGKILL.

Run as a script by `python -I -S lifeline.py [options] -- program args…` with a pipe as stdin. The pipe is the
lifeline: the owner holds its other end, so the kernel closes it however the owner ends, and end-of-file here means
"stop the child". That works from any thread of the owner and on macOS, which a parent-death signal does not: it
follows the thread that forked. On Linux the child has the parent-death signal on top, from this process's only
thread, for the case that this process is killed.

Standard library only, so that it starts in milliseconds and needs nothing of ours. What to run and when it is ready
is the caller's business (`bot.cli.embedded`, the tests' database server).
"""

import argparse
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def command(
    program: Sequence[str],
    *,
    stop_signal: signal.Signals = signal.SIGTERM,
    grace_s: float = 10,
    user: tuple[int, int] | None = None,
    remove: Path | None = None,
    keep_fds: Sequence[int] = (),
) -> list[str]:
    """Build the argv that runs `program` on a lifeline; start it with `stdin=PIPE, start_new_session=True`.

    Args:
        program: Absolute path of the executable and its arguments.
        stop_signal: What asks the program to end; SIGKILL follows after `grace_s` seconds.
        user: (uid, gid) to become before the program starts; needs root.
        remove: Directory to delete once the program has ended.
        keep_fds: Descriptors the program inherits; pass the same ones to `Popen(pass_fds=…)`. A lock held on one of
            them lasts as long as the program itself.
    """
    argv = [sys.executable, "-I", "-S", str(Path(__file__).resolve())]
    argv += ["--stop-signal", str(int(stop_signal)), "--grace-s", str(grace_s)]
    if user is not None:
        argv += ["--uid", str(user[0]), "--gid", str(user[1])]
    if remove is not None:
        argv += ["--remove", str(remove)]
    for fd in keep_fds:
        argv += ["--keep-fd", str(fd)]
    return [*argv, "--", *program]


def main(argv: Sequence[str]) -> int:
    """Run the program until it ends or stdin does; returns the program's exit code (128 + signal if one ended it)."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--stop-signal", type=int, required=True)
    parser.add_argument("--grace-s", type=float, required=True)
    parser.add_argument("--uid", type=int)
    parser.add_argument("--gid", type=int)
    parser.add_argument("--remove", type=Path)
    parser.add_argument("--keep-fd", type=int, action="append", default=[])
    parser.add_argument("program", nargs="+")
    args = parser.parse_args(argv)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the owner, who ends us by closing the pipe
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        child = subprocess.Popen(
            args.program,
            stdin=subprocess.DEVNULL,
            pass_fds=args.keep_fd,
            preexec_fn=lambda: _become(args.uid, args.gid, args.stop_signal),
        )
        for fd in args.keep_fd:
            os.close(fd)  # only the program holds it now
        try:
            _wait(child)
        finally:
            code = _stop(child, args.stop_signal, args.grace_s)
    finally:
        if args.remove is not None:
            shutil.rmtree(args.remove, ignore_errors=True)
    return code if code >= 0 else 128 - code


def _become(uid: int | None, gid: int | None, stop_signal: int) -> None:
    if uid is not None and gid is not None:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":  # after setuid, which clears it
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, stop_signal)


def _wait(child: subprocess.Popen[bytes]) -> None:
    """Return when the child has ended or the owner's end of the pipe is gone."""
    done = threading.Event()

    def watch_owner() -> None:
        while os.read(0, 4096):
            pass
        done.set()

    def watch_child() -> None:
        child.wait()
        done.set()

    for watch in (watch_owner, watch_child):
        threading.Thread(target=watch, daemon=True).start()
    done.wait()


def _stop(child: subprocess.Popen[bytes], stop_signal: int, grace_s: float) -> int:
    if child.poll() is None:
        child.send_signal(stop_signal)
    try:
        return child.wait(grace_s)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(code)  # the watcher threads may be inside read() or wait(): nothing of theirs is worth waiting for
