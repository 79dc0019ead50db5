"""Attacks on the host's services, devices and habits: its sockets, what it starts later, and its other processes."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import socket
import subprocess

from tests.security.sandbox.attacking import BAIT, LIBC, attack, checked, main, syscall

PERSISTENT = (
    *("/etc", "/etc/cron.d", "/etc/profile.d", "/etc/systemd/system", "/etc/init.d", "/usr/local/bin", "/usr/bin"),
    *("/var/spool/cron", "/var/spool/cron/crontabs", "/var/spool/at", "/run", "/run/systemd/system", "/root", "/home"),
)
HARMLESS_DEVICES = {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "stdin", "stdout", "stderr"}


def knock(family: int, address: str | tuple[str, int]) -> object:
    """Begin a connection and wait for nothing: where packets may leave, that works, whoever is there."""
    with socket.socket(family, socket.SOCK_STREAM) as mine:
        mine.setblocking(False)
        number = mine.connect_ex(address)
    # A host that answers "nobody listens there" was reached; a name in this host that nobody has was not.
    reached = {0, errno.EINPROGRESS, errno.EAGAIN} | (set() if family == socket.AF_UNIX else {errno.ECONNREFUSED})
    if number in reached:
        return address, number
    raise OSError(number, os.strerror(number))


def first(attempts: list[object]) -> object:
    """The first that gets through: each is a function without arguments."""
    refusal = OSError(errno.ENOENT, "nothing to try")
    for attempt in attempts:
        try:
            return attempt()  # type: ignore[operator]
        except OSError as error:
            refusal = error
    raise refusal


@attack
def begin_a_connection_to_the_host() -> object:
    """At the bwrap level this is the sandbox's own loopback, and down or empty: the port is known to be open here."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as mine:
        mine.settimeout(2)
        mine.connect(("127.0.0.1", int(BAIT["tcp_port"])))
    return BAIT["tcp_port"]


@attack
def begin_a_connection_to_metadata_or_private_addresses() -> object:
    hosts = ("169.254.169.254", "169.254.170.2", "100.100.100.200", "10.0.0.1", "172.16.0.1", "192.168.0.1")
    return first([lambda h=host: knock(socket.AF_INET, (h, 80)) for host in hosts])  # type: ignore[misc]


@attack
def begin_a_connection_to_metadata_by_ipv6() -> object:
    return first(
        [lambda h=host: knock(socket.AF_INET6, (h, 80)) for host in ("fd00:ec2::254", "fe80::1", "2001:db8::1")]
    )  # type: ignore[misc]


@attack
def socket_of_a_host_service_in_run() -> object:
    """As that of Docker, containerd or D-Bus."""
    return knock(socket.AF_UNIX, BAIT["run_socket"])


@attack
def socket_of_an_agent_in_tmp() -> object:
    """As that of ssh-agent; its path is given, for the environment does not tell it."""
    return knock(socket.AF_UNIX, BAIT["agent_socket"])


@attack
def environment_names_an_agent() -> object:
    found = {name for name in os.environ if name in ("SSH_AUTH_SOCK", "DBUS_SESSION_BUS_ADDRESS", "DISPLAY")}
    if not found:
        raise OSError(errno.ENOENT, "none does")
    return found


@attack
def abstract_socket_as_of_x11() -> object:
    return knock(socket.AF_UNIX, f"\0{BAIT['abstract']}")


@attack
def read_a_secret_through_the_root_of_process_1() -> object:
    with open(f"/proc/1/root{BAIT['secret']}", "rb") as file:  # noqa: PTH123
        return file.read()


@attack
def list_what_the_worker_has_open() -> object:
    return os.listdir(f"/proc/{BAIT['pid']}/cwd/"), os.listdir(f"/proc/{BAIT['pid']}/fd/")  # noqa: PTH208


@attack
def compare_with_the_worker() -> object:
    """kcmp tells where the kernel keeps things."""
    return syscall(312, 272, os.getpid(), int(BAIT["pid"]), 1, 0, 0)


@attack
def write_the_memory_of_the_worker() -> object:
    class Piece(ctypes.Structure):
        _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))

    mine = ctypes.create_string_buffer(b"in memor")
    here, there = Piece(ctypes.addressof(mine), 8), Piece(int(BAIT["address"]), 8)
    return syscall(311, 271, int(BAIT["pid"]), ctypes.byref(here), 1, ctypes.byref(there), 1, 0)


@attack
def lose_the_mark() -> object:
    """Without it nobody would find a process that has left everything else behind."""
    try:
        resource.setrlimit(10, (7, 7))
    except ValueError as error:
        raise PermissionError(errno.EPERM, "refused") from error
    return resource.getrlimit(10)


@attack
def lose_the_mark_by_the_old_call() -> object:
    return syscall(160, 164, 10, (ctypes.c_uint64 * 2)(6, 6))


@attack
def run_a_program_from_memory_that_reads_a_secret() -> object:
    with open("/bin/cat", "rb") as file:  # noqa: PTH123
        program = os.memfd_create("cat", 0)
        os.write(program, file.read())
    done = subprocess.run(
        ["/bin/cat", BAIT["secret"]], executable=f"/proc/self/fd/{program}", pass_fds=(program,), capture_output=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise PermissionError(errno.EACCES, done.stderr.decode())
    return done.stdout


@attack
def become_root_by_su() -> object:
    done = subprocess.run(
        ["su", "root", "-c", f"cat {BAIT['secret']}"], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    if done.returncode:
        raise PermissionError(errno.EPERM, done.stderr.decode())
    return done.stdout


@attack
def leave_something_that_the_host_starts_later() -> object:
    """A file without a name in each place; what can be made there can be named there."""
    places = [*PERSISTENT, BAIT["home"], f"{BAIT['home']}/.config", f"{BAIT['home']}/.ssh"]
    return first([lambda p=place: (p, os.open(p, os.O_TMPFILE | os.O_WRONLY, 0o600)) for place in places])  # type: ignore[misc]


@attack
def open_a_switch_of_the_kernel() -> object:
    """The ways out of containers that are files; opening is all it takes, nothing is written."""
    names = ["/sys/kernel/uevent_helper", "/proc/sys/kernel/modprobe", "/proc/sys/fs/binfmt_misc/register"]
    names += [f"/sys/fs/cgroup/{tree}/release_agent" for tree in ("memory", "pids", "devices", "rdma", "systemd", ".")]
    return first([lambda n=name: (n, os.open(n, os.O_WRONLY)) for name in names])  # type: ignore[misc]


@attack
def open_a_device_of_the_host() -> object:
    """All but watchdogs, for which being opened is enough."""
    names = [
        entry.path
        for entry in os.scandir("/dev")
        if entry.name not in HARMLESS_DEVICES and "watchdog" not in entry.name and not entry.is_dir()
    ]
    flags = os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY
    return first([lambda n=name: (n, os.open(n, flags)) for name in names])  # type: ignore[misc]


@attack
def find_a_descriptor_that_was_left_open() -> object:
    found = {}
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        try:
            target = os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115
        except OSError:
            continue
        if int(name) > 2 and not target.startswith(("pipe:", "/proc/")):
            found[name] = target
    if not found:
        raise OSError(errno.EBADF, "there is none")
    return found


@attack
def hide_from_other_processes() -> object:
    """As a process that others may not look at, it could not be found by its environment; its mark stays readable."""
    checked(LIBC.prctl(4, 0, 0, 0, 0))  # PR_SET_DUMPABLE
    with open("/proc/self/limits") as file:  # noqa: PTH123
        if "Max file locks" in file.read():
            raise PermissionError(errno.EPERM, "still marked")
    return "hidden"


main()
