"""`python -m bot.playground --data DIR --port N`: one playground in the foreground."""

import argparse
import asyncio
import contextlib
import json
import signal
import socket
import sys
from pathlib import Path

from bot.playground.seed import DEMO_TEAM, Json, SeedError
from bot.playground.server import Playground
from bot.playground.shop import Shop


def _arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bot.playground", description="A Slack team in a box.")
    parser.add_argument("--data", type=Path, required=True, help="directory of its state")
    parser.add_argument("--port", type=int, default=8765, help="0 for any free port (default: 8765)")
    parser.add_argument("--fd", type=int, help="an inherited socket that already listens, in place of --port")
    parser.add_argument("--http-url", help="deliver signed HTTP requests there instead of Socket Mode")
    parser.add_argument("--seed", type=Path, help="JSON file that describes the team")
    parser.add_argument("--shop-port", type=int, help="serve the demonstration's shop on this port, too")
    parser.add_argument("--shop-data", type=Path, default=Path("shop"), help="directory of the shop's repository")
    parser.add_argument("--no-limits", action="store_true", help="switch Slack's rate limits off")
    parser.add_argument(
        "--retry-after",
        type=_seconds,
        default=(0.0, 60.0, 300.0),
        metavar="S,S,…",
        help="seconds after which an event nobody took is delivered again (default: Slack's 0,60,300)",
    )
    return parser.parse_args(argv)


def _seconds(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def _seed(path: Path | None) -> Json:
    if path is None:
        return DEMO_TEAM
    seed = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(seed, dict):
        raise SeedError("the seed has to be a JSON object")
    return seed


async def _serve(arguments: argparse.Namespace) -> None:
    playground = Playground(
        arguments.data,
        http_url=arguments.http_url,
        limits=not arguments.no_limits,
        seed=_seed(arguments.seed),
        retry_delays_s=arguments.retry_after,
    )
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    listener = None if arguments.fd is None else socket.socket(fileno=arguments.fd)
    url = await playground.start(port=arguments.port, listener=listener)
    shop = Shop(arguments.shop_data.absolute())
    if arguments.shop_port is not None:
        await _open(shop, arguments.shop_port)
    print(f"Playground is ready: {url}", flush=True)
    try:
        await stop.wait()
    finally:
        await shop.stop()
        with contextlib.suppress(asyncio.CancelledError):
            await playground.stop()


async def _open(shop: Shop, port: int) -> None:
    """Open the shop; a team without one is a team as well."""
    try:
        await shop.start(port)
    except OSError as problem:
        print(f"The shop stays closed: {problem}", file=sys.stderr, flush=True)


def main() -> int:
    arguments = _arguments()
    try:
        asyncio.run(_serve(arguments))
    except (SeedError, OSError, json.JSONDecodeError) as problem:
        print(f"The playground cannot start: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
