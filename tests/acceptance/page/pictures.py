"""Screenshots of the real page: `python -m tests.acceptance.page.pictures OUT_DIR [SCENE ...]`.

Starts a playground and the small app, tells a short story in it, and takes each scene in light and dark, on a desktop
and on a phone. For looking at, and for the pictures in the docs; no test compares pixels.
"""

import argparse
import asyncio
import base64
import math
import struct
import sys
import tempfile
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
from playwright.async_api import Browser, Page, async_playwright

from bot.playground import Playground
from tests.acceptance.page import gallery
from tests.acceptance.page.conftest import CHROMIUM_FLAGS, PHONE
from tests.acceptance.page.small_app import SmallApp
from tests.skips import NO_CHROMIUM, find_chromium

DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
CSV = "region,month,sales\n" + "".join(
    f"{region},{month},{100 + 7 * month}\n" for region in ("north", "south") for month in range(1, 13)
)


def histogram_png(width: int = 560, height: int = 320) -> bytes:
    """A picture of a bell of bars, written without any library."""
    bars = 24
    heights = [math.exp(-(((n - bars / 2 + 0.5) / 5) ** 2)) * (height - 40) for n in range(bars)]
    rows = []
    for y in range(height):
        row = bytearray(b"\x00")
        for x in range(width):
            n, inside = divmod(x - 20, (width - 40) / bars)
            is_bar = 0 <= n < bars and inside > 3 and height - 20 - y < heights[int(n)] and y < height - 20
            is_axis = height - 20 <= y < height - 18 and 16 <= x < width - 16
            row += bytes((47, 109, 176) if is_bar else (60, 68, 74) if is_axis else (255, 255, 255))
        rows.append(bytes(row))
    chunks = (
        (b"IHDR", struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"".join(rows))),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


class Story:
    """What happened in the team before the pictures were taken."""

    def __init__(self, playground: Playground, app: SmallApp) -> None:
        self._playground = playground
        self.app = app
        self.root = ""

    async def act(self, path: str, **body: Any) -> gallery.Json:
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{self._playground.base_url}/playground/{path}", json=body) as answer,
        ):
            return dict(await answer.json())

    async def tell(self) -> None:
        app = self.app
        await self.act(
            "messages", user="member", channel="data", text="Morning! The new numbers are in the shared folder."
        )
        file = {"name": "sales.csv", "content_base64": base64.b64encode(CSV.encode()).decode()}
        asked = await self.act(
            "messages", user="requester", channel="data", text="@banksman report on *sales*, please", files=[file]
        )
        self.root = asked["ts"]
        await app.web.reactions_add(channel="C0DATA", timestamp=self.root, name="eyes")
        await app.post("C0DATA", "Report on sales.csv", thread_ts=self.root, blocks=self._card())
        await app.web.files_upload_v2(
            channel="C0DATA",
            thread_ts=self.root,
            filename="histogram.png",
            content=histogram_png(),
            initial_comment="The distribution, and the numbers in the card above.",
        )
        await self.act(
            "messages",
            user="approver",
            channel="data",
            text="Nice and *quick* :tada: see you at #ops",
            thread_ts=self.root,
        )
        await app.web.chat_postEphemeral(
            channel="C0DATA",
            user="U0REQUESTER",
            text="Your run `r_8f3` has finished. Only `operator` may stop the other one.",
        )
        for name, blocks in gallery.SAMPLES:
            await app.post("C0OPS", name, blocks=blocks)
        await app.post("C0OPS", "Two people are needed here, <@U0REQUESTER>.")
        for text in gallery.HOSTILE:
            await app.post("C0RANDOM", text)
        for person in ("U0REQUESTER", "U0APPROVER"):
            await app.web.views_publish(user_id=person, view=gallery.HOME)

    @staticmethod
    def _card() -> list[gallery.Json]:
        return [
            gallery.PLANS[0],
            {"type": "context", "elements": [gallery.mrkdwn("`r_8f3` · report · *$0.03* of $2.00")]},
            {
                "type": "actions",
                "elements": [gallery.button("kill", "Kill", style="danger"), gallery.button("details", "Details")],
            },
        ]

    async def open_modal(self) -> None:
        ts = await self.app.post(
            "C0DATA",
            "Something is missing.",
            blocks=[gallery.section("Something is missing.", accessory=gallery.button("open", "Fill in"))],
        )
        await self.act("actions", user="approver2", channel="data", ts=ts, action_id="open")
        click = await self.app.hears("block_actions")
        await self.app.web.views_open(trigger_id=click["trigger_id"], view=gallery.MODAL)


async def _top(page: Page) -> None:
    await page.get_by_test_id("timeline").evaluate("el => { el.scrollTop = 0; }")


def _at(share: float) -> Callable[[Page], Awaitable[None]]:
    async def scroll(page: Page) -> None:
        await page.get_by_test_id("timeline").evaluate(
            "(el, share) => { el.scrollTop = share * el.scrollHeight; }", share
        )

    return scroll


async def _drawer(page: Page) -> None:
    if await page.get_by_test_id("open-drawer").is_visible():
        await page.get_by_test_id("open-drawer").click()
    await page.get_by_test_id("persona").click()


async def _errors(page: Page) -> None:
    await page.get_by_test_id("modal-submit").click()


async def _mention(page: Page) -> None:
    await page.get_by_test_id("message-input").press_sequentially("@")


async def _reactions(page: Page) -> None:
    await page.locator(".reaction-add").first.click()


async def _faults(page: Page) -> None:
    if await page.get_by_test_id("open-drawer").is_visible():
        await page.get_by_test_id("open-drawer").click()
    await page.get_by_test_id("faults-toggle").click()


Scene = tuple[str, Callable[[Page], Awaitable[None]] | None]


def scenes(root: str) -> dict[str, Scene]:
    """Scene name -> the address behind `#`, and what is done before the picture."""
    return {
        "channel": ("user=requester&channel=data", None),
        "thread": (f"user=requester&channel=data&thread={root}", None),
        "texts": ("user=operator&channel=ops", _top),
        "rich": ("user=operator&channel=ops", _at(0.22)),
        "tables": ("user=operator&channel=ops", _at(0.42)),
        "cards": ("user=operator&channel=ops", _at(0.6)),
        "elements": ("user=operator&channel=ops", None),
        "hostile": ("user=requester&channel=random", _top),
        "home": ("user=requester&home", None),
        "persona": ("user=requester&channel=data", _drawer),
        "modal": ("user=approver2&channel=data", None),
        "errors": ("user=approver2&channel=data", _errors),
        "mention": ("user=requester&channel=data", _mention),
        "reactions": ("user=member&channel=data", _reactions),
        "faults": ("user=operator&channel=data", _faults),
    }


async def shoot(browser: Browser, base_url: str, root: str, out: Path, wanted: list[str]) -> None:
    for name, (place, prepare) in scenes(root).items():
        if wanted and name not in wanted:
            continue
        for size, shape in (("desktop", DESKTOP), ("phone", PHONE)):
            for scheme in ("light", "dark"):
                context = await browser.new_context(**shape, color_scheme=scheme, device_scale_factor=1)
                page = await context.new_page()
                page.on("console", lambda said: print(f"{said.type}: {said.text}", file=sys.stderr))
                await page.goto(f"{base_url}/#{place}")
                await page.wait_for_selector('[data-testid=connection][data-state="live"]', state="attached")
                await page.wait_for_load_state("load")
                await page.wait_for_timeout(400)
                if prepare is not None:
                    await prepare(page)
                    await page.wait_for_timeout(400)
                await page.screenshot(path=out / f"{name}-{size}-{scheme}.png")
                await context.close()


async def main(out: Path, wanted: list[str]) -> int:
    chromium = find_chromium()
    if chromium is None:
        print(NO_CHROMIUM, file=sys.stderr)
        return 2
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data:
        playground = Playground(Path(data), limits=False)
        base_url = await playground.start()
        try:
            async with SmallApp(base_url) as app:
                story = Story(playground, app)
                await story.tell()
                await story.open_modal()
                async with async_playwright() as playwright:
                    browser = await playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM_FLAGS))
                    await shoot(browser, base_url, story.root, out, wanted)
                    await browser.close()
        finally:
            await playground.stop()
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Take pictures of the playground's page.")
    parser.add_argument("out", type=Path)
    parser.add_argument("scenes", nargs="*", help="all of them when none is named")
    arguments = parser.parse_args()
    sys.exit(asyncio.run(main(arguments.out, arguments.scenes)))
