"""Run as a script by `command`: has a process forked with this one's streams, and ends as that one ends.

Standard library only and few modules of it, so that it costs next to nothing.
"""

import json
import os
import signal
import socket
import sys

PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def main(address: str, arguments: list[str]) -> int:
    """Returns the exit code; where a signal ended the process, the same one ends this."""
    umask = os.umask(0)
    os.umask(umask)
    directory = os.getcwd()  # noqa: PTH109 (pathlib takes longer to import than all else here)
    asked = {"arguments": arguments, "environment": dict(os.environ), "directory": directory, "umask": umask}
    body = json.dumps(asked).encode("utf-8", "surrogateescape")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.connect(address)
        early: list[int] = []
        for number in PASSED_ON:
            signal.signal(number, lambda got, _: early.append(got))
        socket.send_fds(link, [f"{len(body)}\n".encode()], [0, 1, 2])
        link.sendall(body)
        answers = link.makefile("r")
        pid = int(answers.readline())
        for number in PASSED_ON:
            signal.signal(number, lambda got, _: os.kill(pid, got))
        for number in early:
            os.kill(pid, number)
        # Only the forked process holds them from here on, so that who reads learns of its end.
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1):
            os.dup2(null, stream)
        code = int(answers.readline())
    if code >= 0:
        return code
    if -code not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
    return 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
