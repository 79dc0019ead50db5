"""An escape corpus: every attack in it is refused at every level, and nothing on the host has changed.

The bait is real: files, sockets and ports of this very process, which the program's user would reach without a
sandbox (`test_the_corpus_finds_holes` shows that the attacks work where nothing confines them).
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from core.execution.base import Limits, ProcessSpec, SandboxLevel
from core.execution.local import LocalEnvironment
from core.execution.sandbox import probe_environment

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).parent
Build = Callable[..., ProcessSpec]
Bait = dict[str, str]

NOT_ATTACKS_ON_OTHERS = {
    # The parent is not the supervisor there, but the wrapper, in the program's own process namespace; and where root
    # runs us, the devices are the call's own.
    SandboxLevel.BWRAP: {"signal_the_supervisor", "change_the_mode_of_a_device"},
    SandboxLevel.LANDLOCK: set(),
}


SAFE_WITHOUT_A_SANDBOX = {
    "corpus_files": (
        "read_a_secret_by_path read_a_secret_by_dots read_a_secret_through_a_link_in_the_workspace "
        "read_a_secret_through_a_link_that_was_there read_a_secret_through_a_hard_link read_a_secret_through_proc "
        "read_a_secret_through_another_process read_our_own_code import_our_own_code list_the_project "
        "list_the_home_of_the_user read_the_environment_of_the_worker read_host_shared_memory "
        "read_another_calls_directory write_a_file_outside overwrite_a_secret change_the_mode_of_a_secret "
        "change_the_times_of_a_secret change_the_mode_of_a_secret_by_path_descriptor watch_a_secret"
    ),
    "corpus_reach": (
        "tcp_to_the_host tcp_to_the_host_by_ipv6 socket_file_of_the_host socket_file_of_the_host_by_link "
        "abstract_socket_of_the_host datagram_pair_pointed_at_the_host netlink_socket signal_the_worker "
        "signal_the_worker_by_descriptor read_the_memory_of_the_worker open_the_memory_of_the_worker "
        "take_a_descriptor_of_the_worker list_processes_of_the_host attach_host_shared_memory add_a_key"
    ),
    "corpus_host": (
        "begin_a_connection_to_the_host socket_of_a_host_service_in_run socket_of_an_agent_in_tmp "
        "abstract_socket_as_of_x11 list_what_the_worker_has_open compare_with_the_worker "
        "write_the_memory_of_the_worker lose_the_mark lose_the_mark_by_the_old_call "
        "run_a_program_from_memory_that_reads_a_secret leave_something_that_the_host_starts_later"
    ),
}
"""Attacks that change nothing but the bait, so that they can be tried for real."""


MANY = {"corpus_files": 50, "corpus_reach": 50, "corpus_host": 20}


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory beside the workspace that no program should reach."""
    found = tmp_path / "outside"
    found.mkdir()
    return found


@pytest.fixture
def listeners(outside: Path) -> Iterator[dict[str, socket.socket]]:
    """Ports and sockets of this process, which anybody on the host could reach."""
    with ExitStack() as stack:
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        tcp_ipv6 = stack.enter_context(socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        abstract, stream = (stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(2))
        datagram = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        abstract.bind(f"\0banksman-test-{os.getpid()}")
        stream.bind(str(outside / "stream"))
        datagram.bind(str(outside / "datagram"))
        for listener in (abstract, stream):
            listener.listen()
        found = {"tcp": tcp, "tcp_ipv6": tcp_ipv6, "udp": udp, "abstract": abstract, "file": stream, "gram": datagram}
        for name, parent in (("run", "/run"), ("agent", "/tmp")):
            where = parent if os.access(parent, os.W_OK) else None
            short = stack.enter_context(TemporaryDirectory(prefix="banksman-test-", dir=where))
            found[name] = stack.enter_context(socket.socket(socket.AF_UNIX))
            found[name].bind(f"{short}/socket")
            found[name].listen()
        for listener in found.values():
            listener.setblocking(False)
        yield found


@pytest.fixture
def bait(
    tmp_path: Path, workspace: Path, tool_environment: Path, outside: Path, listeners: dict[str, socket.socket]
) -> Iterator[Bait]:
    """What is laid out on the host, under the names the corpus uses."""
    secret = outside / "secret"
    secret.write_text("the secret")
    secret.chmod(0o600)
    (workspace / "planted-link").symlink_to(secret)
    (workspace / "planted-directory").symlink_to(outside)
    other = tmp_path / "spool" / "banksman-call-other" / "tmp"
    other.mkdir(parents=True)
    (other / "notes").write_text("of another call")
    readable = tmp_path / "readable"
    readable.mkdir()
    (readable / "file").write_text("may be read")
    shared = Path("/dev/shm", f"banksman-test-{os.getpid()}")
    shared.write_text("shared")
    key = 0x42_0000 + os.getpid() % 0xFFFF
    libc = ctypes.CDLL(None, use_errno=True)
    segment = libc.shmget(key, 4096, 0o1600)
    memory = ctypes.create_string_buffer(b"in memory")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        free_port = free.getsockname()[1]
    yield {
        "secret": str(secret),
        "outside": str(outside / "planted"),
        "readable": str(readable / "file"),
        "code": str(ROOT / "core" / "execution" / "base.py"),
        "root": str(ROOT),
        "home": str(Path.home()),
        "tools": str(tool_environment),
        "spool": str(tmp_path / "spool"),
        "shared_memory": str(shared),
        "shared_key": str(key),
        "disk": next((str(path) for path in Path("/dev").iterdir() if path.is_block_device()), "/dev/sda"),
        "pid": str(os.getpid()),
        "address": str(ctypes.addressof(memory)),
        "tcp_port": str(listeners["tcp"].getsockname()[1]),
        "tcp_ipv6_port": str(listeners["tcp_ipv6"].getsockname()[1]),
        "udp_port": str(listeners["udp"].getsockname()[1]),
        "free_port": str(free_port),
        "abstract": f"banksman-test-{os.getpid()}",
        "socket_file": str(outside / "stream"),
        "run_socket": listeners["run"].getsockname(),
        "agent_socket": listeners["agent"].getsockname(),
        "datagram_file": str(outside / "datagram"),
    }
    libc.shmctl(segment, 0, None)
    shared.unlink()
    shutil.rmtree(other.parent)


@pytest.fixture
def untouched_host(
    bait: Bait, outside: Path, workspace: Path, tool_environment: Path, listeners: dict[str, socket.socket]
) -> Iterator[None]:
    """After the test, looks at the host instead of believing what the attacks said."""
    paths = [Path(bait["secret"]), Path(bait["readable"]), Path("/dev/null"), Path("/usr/bin/env")]
    state = [_state(path) for path in paths]
    name = socket.gethostname()
    signals: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: signals.append(number))
    yield
    signal.signal(signal.SIGUSR1, before)
    assert [] == [name for name, listener in listeners.items() if _heard(listener)]
    assert [] == signals
    assert state == [_state(path) for path in paths]
    assert name == socket.gethostname()
    assert {"secret", "stream", "datagram"} == {path.name for path in outside.iterdir()}
    assert not (tool_environment / "planted").exists()
    assert not Path("/usr/local/bin/planted").exists()
    assert not Path("/planted").exists()
    assert [] == [path for path in workspace.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o6000]


def _state(path: Path) -> tuple[object, ...]:
    """What changes when somebody changes a file or what is known about it."""
    status = path.stat()
    content = path.read_bytes() if path.is_file() else b""
    return content, status.st_mode, status.st_uid, status.st_ctime_ns, status.st_nlink


def _heard(listener: socket.socket) -> bool:
    """Whether anybody has knocked."""
    try:
        if listener.type == socket.SOCK_DGRAM:
            return bool(listener.recv(100))
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def corpus(name: str) -> str:
    """A corpus file as one source text, with the kit in front of it instead of imported."""
    kit = (HERE / "attacking.py").read_text()
    source = (HERE / f"{name}.py").read_text().replace("from __future__ import annotations\n", "")
    lines = [line for line in source.splitlines() if not line.startswith("from tests.")]
    return kit + "\n".join(lines)


async def attacked(environment: LocalEnvironment, spec: Build, bait: Bait, name: str) -> dict[str, str]:
    """Run a corpus file and return how each of its attacks went."""
    call = spec(
        "python",
        "-I",
        "-c",
        corpus(name),
        stdin=json.dumps(bait).encode(),
        readable=(Path(bait["readable"]).parent,),
        limits=Limits(wall_s=40),
    )
    result = await environment.run(call)
    assert ("exited", 0) == (result.ended, result.exit_code), result
    found: dict[str, str] = json.loads(result.stdout)
    return found


@pytest.mark.usefixtures("untouched_host")
@pytest.mark.parametrize("name", ["corpus_files", "corpus_reach", "corpus_host"])
async def test_no_attack_gets_through(environment: LocalEnvironment, spec: Build, bait: Bait, name: str) -> None:
    outcomes = await attacked(environment, spec, bait, name)

    harmless = NOT_ATTACKS_ON_OTHERS[environment.level]
    through = {k: v for k, v in outcomes.items() if not v.startswith("refused: ") and k not in harmless}
    assert {} == through
    assert len(outcomes) >= MANY[name]


@pytest.mark.parametrize("name", ["corpus_files", "corpus_reach", "corpus_host"])
async def test_the_corpus_finds_holes(
    tool_environment: Path, spec: Build, bait: Bait, tmp_path: Path, name: str
) -> None:
    """Without a sandbox the same attacks on the same bait succeed, so a refusal above is the sandbox's doing."""
    environment = probe_environment(
        tool_environment=tool_environment, allow_unsandboxed=True, prefer=SandboxLevel.NONE, spool=tmp_path / "spool"
    )

    outcomes = await attacked(environment, spec, bait | {"only": SAFE_WITHOUT_A_SANDBOX[name]}, name)

    assert {} == {attack: said for attack, said in outcomes.items() if not said.startswith("GOT THROUGH: ")}
