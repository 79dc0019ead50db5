"""The example agents' pictures: `python -m tests.acceptance.example_pictures [DIRECTORY]` photographs their threads.

Starts a whole Banksman with the shipped scripts and an open shop, asks both agents, and takes two pictures of each
thread: while it asks, as the approver sees it, and when it is over. For looking at; no test compares pixels.
"""

import argparse
import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

from tests.acceptance.house import ROOT, House, homes
from tests.acceptance.page.conftest import CHROMIUM_FLAGS
from tests.acceptance.team import OPS, Team
from tests.acceptance.test_checkup import approval
from tests.shipped import SHOP
from tests.skips import NO_CHROMIUM, find_chromium

TOOLS = ROOT / ".venv-tools" / "bin" / "python"
"""Has a library for pictures; ours has none."""
_FEWER_COLOURS = """
import sys
from PIL import Image
Image.open(sys.argv[1]).convert("RGB").quantize(64).save(sys.argv[1], optimize=True)
"""

PICTURES = ROOT / "docs" / "images"
STORIES = (
    ("triage", "@banksman triage The pager went off: orders fail at the checkout", 1640),
    ("repo", "@banksman repo Mend the failing test, please", 1150),
)
"""Name, request, and the height at which what is asked fits in."""
WIDTH = 700
"""So narrow that the page shows the thread alone."""
DONE = 900
"""Height of the end of a thread."""


async def shoot(browser: Browser, url: str, root: str, target: Path, *, who: str, height: int, last: str) -> None:
    """Photograph a thread as somebody sees it, from its first line to the end.

    Args:
        last: What the thread says when it is complete.
    """
    context = await browser.new_context(
        viewport={"width": WIDTH, "height": height}, color_scheme="light", device_scale_factor=1
    )
    page = await context.new_page()
    await page.goto(f"{url}/#user={who}&channel={OPS}&thread={root}")
    await page.wait_for_selector('[data-testid=connection][data-state="live"]', state="attached")
    thread = page.get_by_test_id("thread")
    await thread.get_by_text(last).last.wait_for()
    await _settled(page)
    await thread.screenshot(path=target)
    await context.close()
    # 64 colours are enough for a page, and a third of the bytes.
    await asyncio.to_thread(subprocess.run, [TOOLS, "-c", _FEWER_COLOURS, str(target)], check=True)


async def _settled(page: Page) -> None:
    await page.evaluate("document.activeElement.blur()")
    await page.mouse.move(0, 0)
    await page.wait_for_timeout(500)


async def tell(url: str, directory: Path) -> None:
    """Ask both agents, approve what they ask for, and photograph."""
    async with async_playwright() as playwright, Team(url) as team:
        browser = await playwright.chromium.launch(executable_path=find_chromium(), args=list(CHROMIUM_FLAGS))
        for name, text, height in STORIES:
            root = await team.say(text, channel=OPS)
            asks = await approval(team, root)
            asking, done = (directory / f"example-{name}-{which}.png" for which in ("asks", "done"))
            await shoot(browser, url, root, asking, who="approver", height=height, last="Exactly this:")
            await team.decide(asks, "Approve", by="approver")
            await team.answered(root, "Effects outside this run")
            await shoot(browser, url, root, done, who="requester", height=DONE, last="Effects outside")
        await browser.close()


def main(directory: Path) -> int:
    """Take the pictures; 2 where no browser is."""
    if find_chromium() is None:
        print(NO_CHROMIUM, file=sys.stderr)
        return 2
    home = homes("pictures")
    house = House.start(home, BANKSMAN_SHOP_PORT=SHOP.rpartition(":")[2])
    try:
        asyncio.run(tell(house.url, directory))
    finally:
        house.stop()
        for each in (home, home.with_name(f"{home.name}-shop")):
            shutil.rmtree(each, ignore_errors=True)
    print(directory)
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Take the pictures of the example agents.")
    parser.add_argument("directory", type=Path, nargs="?", default=PICTURES)
    sys.exit(main(parser.parse_args().directory))
