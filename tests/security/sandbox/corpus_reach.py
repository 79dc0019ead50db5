"""Attacks on what is not a file: networks, sockets, other processes, namespaces, the kernel, the terminal."""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import termios

from tests.security.sandbox.attacking import BAIT, LIBC, X86_64, attack, checked, main, syscall

CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWNET = 0x10000000, 0x00020000, 0x40000000


def connect(family: int, kind: int, address: object) -> object:
    with socket.socket(family, kind) as mine:
        mine.settimeout(2)
        mine.connect(address)  # type: ignore[arg-type]
        mine.send(b"hello")
        return address


@attack
def tcp_to_the_host() -> object:
    return connect(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", int(BAIT["tcp_port"])))


@attack
def tcp_to_the_host_by_ipv6() -> object:
    return connect(socket.AF_INET6, socket.SOCK_STREAM, ("::1", int(BAIT["tcp_ipv6_port"])))


@attack
def udp_to_the_host() -> object:
    """Sending says nothing about arriving, so the test looks whether something arrived."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mine:
        mine.sendto(b"hello", ("127.0.0.1", int(BAIT["udp_port"])))
    raise PermissionError(1, "sent, perhaps into nowhere")


@attack
def tcp_to_the_metadata_service() -> object:
    return connect(socket.AF_INET, socket.SOCK_STREAM, ("169.254.169.254", 80))


@attack
def tcp_to_the_internet() -> object:
    return connect(socket.AF_INET, socket.SOCK_STREAM, ("192.0.2.1", 443))


@attack
def look_up_a_name() -> object:
    return socket.getaddrinfo("example.com", 80)


@attack
def listen_to_the_world() -> object:
    """At the bwrap level this works, in a network that nothing else is in."""
    with socket.create_server(("0.0.0.0", int(BAIT["free_port"]))):
        import time

        with open("listening", "w") as file:  # noqa: PTH123
            file.write("")
        time.sleep(1)
    raise PermissionError(1, "listened, perhaps to nobody")


@attack
def raw_socket() -> object:
    return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)


@attack
def packet_socket() -> object:
    return socket.socket(17, socket.SOCK_RAW, 0)


@attack
def netlink_socket() -> object:
    return socket.socket(16, socket.SOCK_RAW, 0)


@attack
def hypervisor_socket() -> object:
    return socket.socket(40, socket.SOCK_STREAM)


@attack
def kernel_crypto_socket() -> object:
    return socket.socket(38, socket.SOCK_SEQPACKET)


@attack
def socket_file_of_the_host() -> object:
    return connect(socket.AF_UNIX, socket.SOCK_STREAM, BAIT["socket_file"])


@attack
def socket_file_of_the_host_by_link() -> object:
    os.symlink(BAIT["socket_file"], "socket-link")  # noqa: PTH211
    return connect(socket.AF_UNIX, socket.SOCK_STREAM, "socket-link")


@attack
def abstract_socket_of_the_host() -> object:
    return connect(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + BAIT["abstract"])


@attack
def datagram_pair_pointed_at_the_host() -> object:
    one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    one.sendto(b"hello", BAIT["datagram_file"])
    return BAIT["datagram_file"]


@attack
def signal_the_worker() -> object:
    return os.kill(int(BAIT["pid"]), 0)


@attack
def signal_the_worker_by_descriptor() -> object:
    return signal.pidfd_send_signal(os.pidfd_open(int(BAIT["pid"])), 0)


@attack
def signal_the_supervisor() -> object:
    return os.kill(int(BAIT["parent"]), 0)


@attack
def signal_by_owning_a_pipe() -> object:
    """The kernel sends SIGIO for us to whoever we name."""
    read, write = os.pipe()
    fcntl.fcntl(read, fcntl.F_SETOWN, int(BAIT["pid"]))
    fcntl.fcntl(read, 10, signal.SIGUSR1)  # F_SETSIG
    fcntl.fcntl(read, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    os.write(write, b"x")
    raise PermissionError(1, "sent, perhaps to nobody: the test counts")


@attack
def trace_the_worker() -> object:
    return checked(LIBC.ptrace(16, int(BAIT["pid"]), 0, 0))


@attack
def read_the_memory_of_the_worker() -> object:
    class Piece(ctypes.Structure):
        _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))

    mine = ctypes.create_string_buffer(8)
    here, there = Piece(ctypes.addressof(mine), 8), Piece(int(BAIT["address"]), 8)
    return syscall(310, 270, int(BAIT["pid"]), ctypes.byref(here), 1, ctypes.byref(there), 1, 0)


@attack
def open_the_memory_of_the_worker() -> object:
    return os.open(f"/proc/{BAIT['pid']}/mem", os.O_RDWR)


@attack
def take_a_descriptor_of_the_worker() -> object:
    return syscall(438, 438, os.pidfd_open(int(BAIT["pid"])), 0, 0)


@attack
def limit_the_worker() -> object:
    return resource.prlimit(int(BAIT["pid"]), resource.RLIMIT_CORE, (0, 0))


@attack
def slow_down_the_worker() -> object:
    return os.setpriority(os.PRIO_PROCESS, int(BAIT["pid"]), 19)


@attack
def pin_the_worker() -> object:
    return os.sched_setaffinity(int(BAIT["pid"]), {0})


@attack
def list_processes_of_the_host() -> object:
    with open(f"/proc/{BAIT['pid']}/cmdline", "rb") as file:  # noqa: PTH123
        return file.read()


@attack
def attach_host_shared_memory() -> object:
    return checked(LIBC.shmget(int(BAIT["shared_key"]), 4096, 0o600))


@attack
def user_namespace() -> object:
    return checked(LIBC.unshare(CLONE_NEWUSER))


@attack
def mount_namespace() -> object:
    return checked(LIBC.unshare(CLONE_NEWNS))


@attack
def namespace_by_clone() -> object:
    return syscall(56, 220, CLONE_NEWUSER | CLONE_NEWNET | signal.SIGCHLD, 0, 0, 0, 0)


@attack
def namespace_by_clone3() -> object:
    arguments = (ctypes.c_uint64 * 11)(CLONE_NEWUSER, 0, 0, 0, signal.SIGCHLD)
    return syscall(435, 435, arguments, 88)


@attack
def namespace_of_the_worker() -> object:
    return checked(LIBC.setns(os.open(f"/proc/{BAIT['pid']}/ns/net", os.O_RDONLY), 0))


@attack
def namespace_of_a_process_id() -> object:
    return checked(LIBC.setns(os.pidfd_open(int(BAIT["pid"])), CLONE_NEWNET))


@attack
def mount_something() -> object:
    return checked(LIBC.mount(b"none", b".", b"tmpfs", 0, None))


@attack
def make_the_system_writable() -> object:
    return checked(LIBC.mount(None, b"/usr", None, 0x20 | 0x1000, None))


@attack
def mount_by_the_new_calls() -> object:
    return syscall(430, 430, b"proc", 0)


@attack
def copy_a_mount() -> object:
    return syscall(428, 428, -100, b"/", 1)


@attack
def unmount() -> object:
    return checked(LIBC.umount2(b"/proc", 2))


@attack
def change_the_root() -> object:
    return os.chroot(".")


@attack
def io_uring() -> object:
    return syscall(425, 425, 8, ctypes.create_string_buffer(120))


@attack
def bpf() -> object:
    return syscall(321, 280, 0, ctypes.create_string_buffer(72), 72)


@attack
def perf_events() -> object:
    attributes = ctypes.create_string_buffer(struct.pack("=IIQ", 1, 120, 0) + bytes(104))
    return syscall(298, 241, attributes, 0, -1, -1, 0)


@attack
def fault_handling() -> object:
    return syscall(323, 282, 0)


@attack
def add_a_key() -> object:
    return syscall(248, 217, b"user", b"planted", b"x", 1, -4)


@attack
def read_keys() -> object:
    return syscall(250, 219, 0, -4, 0)


@attack
def load_a_module() -> object:
    return syscall(313, 273, 0, b"", 0)


@attack
def another_personality() -> object:
    return syscall(135, 92, 0x0040000)


@attack
def set_the_clock() -> object:
    return syscall(164, 170, (ctypes.c_long * 2)(1, 1), None)


@attack
def name_the_host() -> object:
    name = socket.gethostname()
    socket.sethostname("planted")
    return name


@attack
def calls_of_the_second_numbering() -> object:
    if not X86_64:
        raise OSError(38, "there is none")
    return syscall(0x40000000 + 41, 0, socket.AF_INET, socket.SOCK_STREAM, 0)


@attack
def calls_of_the_old_architecture() -> object:
    """int 0x80 reaches the 32-bit table, where 20 is getpid."""
    if not X86_64:
        raise OSError(38, "there is none")
    import mmap

    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    return ctypes.CFUNCTYPE(ctypes.c_int)(address)()


@attack
def become_root() -> object:
    os.setuid(0) if os.getuid() else os.setuid(1)
    return os.getuid()


@attack
def become_root_by_a_program() -> object:
    """A program that is root's and set-user-id gets no privileges; nor does root by running one."""
    source = """
import ctypes
sets = (ctypes.c_uint32 * 6)()
ctypes.CDLL(None).capget((ctypes.c_uint32 * 2)(0x20080522, 0), sets)
print(sum(sets))
"""
    answer = subprocess.run([sys.executable, "-I", "-S", "-c", source], capture_output=True, text=True, check=True)
    if int(answer.stdout) == 0:
        raise PermissionError(1, "no capabilities")
    return answer.stdout


@attack
def type_into_the_terminal() -> object:
    return fcntl.ioctl(os.open("/dev/tty", os.O_RDWR), termios.TIOCSTI, b"x")


@attack
def type_into_any_terminal() -> object:
    try:
        return fcntl.ioctl(0, termios.TIOCSTI, b"x")
    except OSError as error:
        if error.errno == 25:  # the descriptor is no terminal: the filter did not refuse, it just was not one
            return "reached the terminal layer"
        raise


@attack
def paste_into_the_console() -> object:
    try:
        return fcntl.ioctl(0, 0x541C, b"\x03")
    except OSError as error:
        if error.errno == 25:
            return "reached the terminal layer"
        raise


@attack
def signal_everyone() -> object:
    """Inside of its own process namespace it may; elsewhere that would be every process of the user."""
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        os.kill(-1, 0)
        os._exit(0)
    os.waitpid(child, 0)
    raise PermissionError(1, "harmless: the test is still here")


main()
