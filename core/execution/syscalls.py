"""System call numbers, for the calls this room makes by number or refuses by filter.

The numbers are part of the kernel's stable interface. A name that an architecture does not have is absent from its
table, and a filter that names it has nothing to refuse there.
"""

from __future__ import annotations

# fmt: off
_EVERYWHERE: dict[str, int] = {
    # Numbered after 424, where all architectures agree; the newest are younger than many C headers.
    "clone3": 435, "fsconfig": 431, "fsmount": 432, "fsopen": 430, "fspick": 433, "io_uring_enter": 426,
    "io_uring_register": 427, "io_uring_setup": 425, "mount_setattr": 442, "move_mount": 429, "open_tree": 428,
    "openat2": 437, "pidfd_getfd": 438, "process_madvise": 440, "quotactl_fd": 443,
    "fchmodat2": 452, "statmount": 457, "listmount": 458, "setxattrat": 463, "removexattrat": 466,
    "open_tree_attr": 467, "file_setattr": 469,
}

_X86_64: dict[str, int] = {
    "acct": 163, "add_key": 248, "bpf": 321, "chmod": 90, "chown": 92, "chroot": 161, "clock_settime": 227,
    "clone": 56, "creat": 85, "delete_module": 176, "fanotify_init": 300, "fchmod": 91, "fchmodat": 268, "fchown": 93,
    "fchownat": 260, "finit_module": 313, "fremovexattr": 199, "fsetxattr": 190, "futimesat": 261, "init_module": 175,
    "inotify_add_watch": 254, "ioctl": 16, "ioperm": 173, "iopl": 172, "ioprio_set": 251, "kcmp": 312,
    "kexec_file_load": 320, "kexec_load": 246, "keyctl": 250, "kill": 62, "lchown": 94, "lookup_dcookie": 212,
    "lremovexattr": 198, "lsetxattr": 189, "migrate_pages": 256, "mknod": 133, "mknodat": 259, "modify_ldt": 154,
    "mount": 165, "move_pages": 279, "mq_open": 240, "mq_unlink": 241, "msgctl": 71, "msgget": 68, "msgrcv": 70,
    "msgsnd": 69, "nfsservctl": 180, "open": 2, "open_by_handle_at": 304, "openat": 257, "perf_event_open": 298,
    "personality": 135, "pivot_root": 155, "prlimit64": 302, "process_vm_readv": 310, "process_vm_writev": 311,
    "ptrace": 101, "quotactl": 179, "reboot": 169, "removexattr": 197, "request_key": 249, "sched_setaffinity": 203,
    "seccomp": 317, "sched_setattr": 314, "sched_setparam": 142, "sched_setscheduler": 144, "semctl": 66,
    "semget": 64, "semop": 65, "semtimedop": 220, "setns": 308, "setpriority": 141, "setrlimit": 160,
    "settimeofday": 164, "setxattr": 188, "shmat": 30, "shmctl": 31, "shmget": 29, "socket": 41, "socketpair": 53,
    "swapoff": 168, "swapon": 167, "syslog": 103, "truncate": 76, "umount2": 166, "unshare": 272, "userfaultfd": 323,
    "utime": 132, "utimensat": 280, "utimes": 235, "vhangup": 153,
}

_AARCH64: dict[str, int] = {
    "acct": 89, "add_key": 217, "bpf": 280, "chroot": 51, "clock_settime": 112, "clone": 220, "delete_module": 106,
    "fanotify_init": 262, "fchmod": 52, "fchmodat": 53, "fchown": 55, "fchownat": 54, "finit_module": 273,
    "fremovexattr": 16, "fsetxattr": 7, "init_module": 105, "inotify_add_watch": 27, "ioctl": 29, "ioprio_set": 30,
    "kcmp": 272, "kexec_file_load": 294, "kexec_load": 104, "keyctl": 219, "kill": 129, "lookup_dcookie": 18,
    "lremovexattr": 15, "lsetxattr": 6, "migrate_pages": 238, "mknodat": 33, "mount": 40, "move_pages": 239,
    "mq_open": 180, "mq_unlink": 181, "msgctl": 187, "msgget": 186, "msgrcv": 188, "msgsnd": 189, "nfsservctl": 42,
    "open_by_handle_at": 265, "openat": 56, "perf_event_open": 241, "personality": 92, "pivot_root": 41,
    "prlimit64": 261, "process_vm_readv": 270, "process_vm_writev": 271, "ptrace": 117, "quotactl": 60, "reboot": 142,
    "removexattr": 14, "request_key": 218, "seccomp": 277, "sched_setaffinity": 122, "sched_setattr": 274,
    "sched_setparam": 118, "sched_setscheduler": 119, "semctl": 191, "semget": 190, "semop": 193, "semtimedop": 192,
    "setns": 268, "setpriority": 140, "setrlimit": 164, "settimeofday": 170, "setxattr": 5, "shmat": 196, "shmctl": 195,
    "shmget": 194, "socket": 198, "socketpair": 199, "swapoff": 225, "swapon": 224, "syslog": 116, "truncate": 45,
    "umount2": 39, "unshare": 97, "userfaultfd": 282, "utimensat": 88, "vhangup": 58,
}
# fmt: on

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""How a filter sees which architecture a call was made for."""

NUMBERS: dict[str, dict[str, int]] = {"x86_64": _EVERYWHERE | _X86_64, "aarch64": _EVERYWHERE | _AARCH64}
"""Machine, as `os.uname` says it → name → number."""
