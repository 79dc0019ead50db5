"""Attacks on files: reading what is not the program's, and changing anything outside of its workspace."""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import stat

from tests.security.sandbox.attacking import BAIT, LIBC, attack, checked, main, syscall

AT_FDCWD = -100


def read(path: str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123
        return file.read(4096)


def overwrite(path: str) -> str:
    with open(path, "r+") as file:  # noqa: PTH123
        file.write("planted")
    return path


@attack
def read_a_secret_by_path() -> object:
    return read(BAIT["secret"])


@attack
def read_a_secret_by_dots() -> object:
    return read("../" * 30 + BAIT["secret"].lstrip("/"))


@attack
def read_a_secret_through_a_link_in_the_workspace() -> object:
    os.symlink(BAIT["secret"], "link-to-secret")  # noqa: PTH211
    return read("link-to-secret")


@attack
def read_a_secret_through_a_link_that_was_there() -> object:
    return read("planted-link")


@attack
def read_a_secret_through_a_hard_link() -> object:
    os.link(BAIT["secret"], "hard-link")
    return read("hard-link")


@attack
def read_a_secret_through_proc() -> object:
    return read(f"/proc/self/root{BAIT['secret']}")


@attack
def read_a_secret_through_another_process() -> object:
    return read(f"/proc/{BAIT['pid']}/root{BAIT['secret']}")


@attack
def read_a_secret_through_the_supervisor() -> object:
    return read(f"/proc/{os.getppid()}/root{BAIT['secret']}")


@attack
def read_a_secret_by_handle() -> object:
    handle = ctypes.create_string_buffer(b"\x80\0\0\0" + bytes(132))
    mount = ctypes.c_int()
    checked(LIBC.name_to_handle_at(AT_FDCWD, BAIT["secret"].encode(), handle, ctypes.byref(mount), 0))
    root = os.open("/", os.O_RDONLY)
    return read(f"/proc/self/fd/{syscall(304, 265, root, handle, os.O_RDONLY)}")


@attack
def read_our_own_code() -> object:
    return read(BAIT["code"])


@attack
def import_our_own_code() -> object:
    import sys

    sys.path.insert(0, BAIT["root"])
    try:
        import core.execution.base
    except ImportError as error:
        raise OSError(2, "not importable") from error
    return core.execution.base


@attack
def list_the_project() -> object:
    found = set(os.listdir(BAIT["root"])) - {".venv-tools"}  # noqa: PTH208
    if not found:
        raise FileNotFoundError(2, "nothing there but the tools")
    return found


@attack
def list_the_home_of_the_user() -> object:
    found = set(os.listdir(BAIT["home"])) - {".pyenv"}  # noqa: PTH208
    if not found:
        raise FileNotFoundError(2, "nothing there but Python")
    return found


@attack
def list_ssh_keys() -> object:
    return os.listdir(f"{BAIT['home']}/.ssh")  # noqa: PTH208


@attack
def read_shadow() -> object:
    return read("/etc/shadow")


@attack
def read_the_environment_of_the_worker() -> object:
    return read(f"/proc/{BAIT['pid']}/environ")


@attack
def read_the_environment_of_process_1() -> object:
    found = read("/proc/1/environ")
    if os.environb[b"BANKSMAN_CALL"] in found:
        raise PermissionError(1, "that of the sandbox's own init, which is ours")
    return found


@attack
def read_host_shared_memory() -> object:
    return read(BAIT["shared_memory"])


@attack
def read_a_disk() -> object:
    return read(BAIT["disk"])


@attack
def read_physical_memory() -> object:
    return read("/dev/mem")


@attack
def read_kernel_memory() -> object:
    found = read("/proc/kcore")
    if not found:
        raise PermissionError(1, "masked")
    return found


@attack
def read_kernel_messages() -> object:
    return os.read(os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK), 100)


@attack
def read_kernel_messages_by_call() -> object:
    buffer = ctypes.create_string_buffer(100)
    return syscall(103, 116, 3, buffer, 100)


@attack
def read_another_calls_directory() -> object:
    return read(f"{BAIT['spool']}/banksman-call-other/tmp/notes")


@attack
def write_a_file_outside() -> object:
    with open(BAIT["outside"], "w") as file:  # noqa: PTH123
        return file.write("planted")


@attack
def overwrite_a_secret() -> object:
    return overwrite(BAIT["secret"])


@attack
def overwrite_a_secret_through_a_link() -> object:
    return overwrite("planted-link")


@attack
def write_through_a_directory_link_that_was_there() -> object:
    with open("planted-directory/outside", "w") as file:  # noqa: PTH123
        return file.write("planted")


@attack
def empty_a_secret() -> object:
    return os.truncate(BAIT["secret"], 0)


@attack
def empty_a_readable_file() -> object:
    return os.open(BAIT["readable"], os.O_RDONLY | os.O_TRUNC)


@attack
def remove_a_secret() -> object:
    return os.unlink(BAIT["secret"])  # noqa: PTH108


@attack
def move_a_secret_here() -> object:
    return os.rename(BAIT["secret"], "moved")  # noqa: PTH104


@attack
def move_a_file_there() -> object:
    with open("mine", "w") as file:  # noqa: PTH123
        file.write("planted")
    return os.rename("mine", BAIT["outside"])  # noqa: PTH104


@attack
def make_a_directory_outside() -> object:
    return os.mkdir(BAIT["outside"])  # noqa: PTH102


@attack
def change_the_mode_of_a_secret() -> object:
    return os.chmod(BAIT["secret"], 0o777)  # noqa: PTH101


@attack
def change_the_mode_of_a_secret_through_a_link() -> object:
    return os.chmod("planted-link", 0o777)  # noqa: PTH101


@attack
def change_the_mode_of_a_readable_file_by_descriptor() -> object:
    return os.fchmod(os.open(BAIT["readable"], os.O_RDONLY), 0o777)


@attack
def change_the_mode_of_a_secret_by_path_descriptor() -> object:
    return os.chmod(f"/proc/self/fd/{os.open(BAIT['secret'], os.O_PATH)}", 0o777)  # noqa: PTH101


@attack
def change_the_times_of_a_secret() -> object:
    return os.utime(BAIT["secret"], (1, 1))


@attack
def change_the_times_of_a_secret_by_path_descriptor() -> object:
    target = os.open(BAIT["secret"], os.O_PATH)
    return checked(LIBC.utimensat(target, b"", None, 0x1000))


@attack
def change_the_owner_of_a_secret() -> object:
    return os.chown(BAIT["secret"], os.getuid(), os.getgid())


@attack
def tag_a_secret() -> object:
    return os.setxattr(BAIT["secret"], "user.planted", b"1")


@attack
def make_a_set_user_id_file_by_mode() -> object:
    shutil.copy("/bin/sh", "root-shell")
    os.chmod("root-shell", 0o4755)  # noqa: PTH101
    if not os.stat("root-shell").st_mode & stat.S_ISUID:  # noqa: PTH116
        raise PermissionError(1, "the bit was dropped")
    return "root-shell"


@attack
def make_a_set_user_id_file_by_opening() -> object:
    os.umask(0)
    descriptor = os.open("root-file", os.O_CREAT | os.O_WRONLY, 0o4755)
    if not os.fstat(descriptor).st_mode & stat.S_ISUID:
        raise PermissionError(1, "the bit was dropped")
    return "root-file"


@attack
def make_a_device() -> object:
    os.mknod("disk", stat.S_IFBLK | 0o600, os.makedev(254, 0))
    return read("disk")


@attack
def write_a_kernel_setting() -> object:
    return os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY)  # opening is all it takes; nothing is written


@attack
def trigger_the_kernel() -> object:
    return os.open("/proc/sysrq-trigger", os.O_WRONLY)


@attack
def write_any_kernel_setting() -> object:
    for directory, _, names in os.walk("/proc/sys"):
        for name in names:
            try:
                return os.open(f"{directory}/{name}", os.O_WRONLY), directory, name
            except OSError:
                continue
    raise PermissionError(1, "none can be opened")


@attack
def write_anything_else_in_proc() -> object:
    for entry in os.scandir("/proc"):
        if entry.is_file(follow_symlinks=False):
            try:
                return os.open(entry.path, os.O_WRONLY), entry.path
            except OSError:
                continue
    raise PermissionError(1, "none can be opened")


@attack
def change_the_mode_of_a_device() -> object:
    """To what it is already, for the device is the host's."""
    return os.chmod("/dev/null", 0o666)  # noqa: PTH101


@attack
def change_the_mode_of_the_system() -> object:
    return os.chmod("/usr/bin/env", 0o755)  # noqa: PTH101


@attack
def leave_the_cgroup() -> object:
    for tree in ("memory", "pids", "unified", "."):
        try:
            with open(f"/sys/fs/cgroup/{tree}/cgroup.procs", "w") as file:  # noqa: PTH123
                file.write("0")
        except OSError:
            continue
        return tree
    raise PermissionError(1, "none can be entered")


@attack
def make_the_worker_die_first() -> object:
    with open(f"/proc/{BAIT['pid']}/oom_score_adj", "w") as file:  # noqa: PTH123
        return file.write("1000")


@attack
def write_the_tool_environment() -> object:
    with open(f"{BAIT['tools']}/planted", "w") as file:  # noqa: PTH123
        return file.write("planted")


@attack
def write_a_system_directory() -> object:
    with open("/usr/local/bin/planted", "w") as file:  # noqa: PTH123
        return file.write("planted")


@attack
def write_the_root_directory() -> object:
    with open("/planted", "w") as file:  # noqa: PTH123
        return file.write("planted")


@attack
def watch_a_secret() -> object:
    watcher = checked(LIBC.inotify_init())
    return checked(LIBC.inotify_add_watch(watcher, BAIT["secret"].encode(), 0xFFF))


@attack
def bind_a_socket_outside() -> object:
    with socket.socket(socket.AF_UNIX) as mine:
        return mine.bind(BAIT["outside"])


@attack
def open_with_a_structure_no_filter_sees() -> object:
    """openat2 could create set-user-id files behind the filter's back."""
    how = (ctypes.c_uint64 * 3)(os.O_CREAT | os.O_WRONLY, 0o4755, 0)
    return syscall(437, 437, AT_FDCWD, b"structured", how, 24)


main()
