"""A slow way to a PostgreSQL server: `python -m tests.acceptance.slow_wire SERVER_SOCKET OWN_SOCKET DELAY_MS`.

Every piece of what goes through, in either direction, is passed on that much later. Prints `ready` when it listens.
"""

import asyncio
import contextlib
import sys

_CHUNK_BYTES = 1 << 16


async def _later(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(_CHUNK_BYTES):
            await asyncio.sleep(delay_s)
            writer.write(chunk)
            await writer.drain()
    writer.close()


async def main(server: str, own: str, delay_ms: str) -> None:
    """Serve until killed."""
    delay_s = int(delay_ms) / 1000

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(server)
        await asyncio.gather(_later(reader, up_writer, delay_s), _later(up_reader, writer, delay_s))

    listening = await asyncio.start_unix_server(serve, own)
    print("ready", flush=True)
    await listening.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
