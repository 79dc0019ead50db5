"""Another host, as far as processes can tell: `python -m tests.acceptance.other_host NAME SERVER_SOCKET DATABASE`.

Run it in namespaces of its own for network, host name and processes. It has no network but its own loopback; the only
way to the database is a wire that a test can suspend, which is what a host that is cut off looks like from inside.
Starts a worker with the environment it was given and prints what the worker prints; ends when its standard input does.
"""

import asyncio
import contextlib
import fcntl
import os
import socket
import struct
import subprocess
import sys

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_CHUNK_BYTES = 1 << 16


def loopback_up() -> None:
    """Switch on the loopback interface of a new network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


async def _through(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(_CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
    writer.close()


async def wire(server: str) -> None:
    """Forward a port of ours to the server's socket; prints the port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(server)
        await asyncio.gather(_through(reader, up_writer), _through(up_reader, writer))

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await listening.serve_forever()


def main(name: str, server: str, database: str) -> None:
    """Be that host until nobody holds our input."""
    socket.sethostname(name)
    loopback_up()
    cable = subprocess.Popen(
        [sys.executable, "-m", "tests.acceptance.other_host", "--wire", server],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    assert cable.stdout is not None
    port = cable.stdout.readline().decode().strip()
    user = os.environ["DATABASE_USER"]
    url = f"postgresql+asyncpg://{user}@127.0.0.1:{port}/{database}"
    subprocess.Popen(
        [sys.executable, "-m", "worker"], stdin=subprocess.DEVNULL, env={**os.environ, "BANKSMAN_DATABASE_URL": url}
    )
    sys.stdin.read()


if __name__ == "__main__":
    if sys.argv[1] == "--wire":
        asyncio.run(wire(sys.argv[2]))
    else:
        main(*sys.argv[1:])
