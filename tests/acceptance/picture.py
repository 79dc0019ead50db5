"""The README's picture: `python -m tests.acceptance.picture [FILE]` runs a real report and photographs the page.

Starts a whole Banksman, asks for a report the way a person does, waits until the thread is complete and writes one
screenshot of a desktop window in the light scheme. For looking at; no test compares pixels.
"""

import argparse
import asyncio
import shutil
import sys
from pathlib import Path

from playwright.async_api import Page, async_playwright

from tests.acceptance.house import ROOT, House, homes
from tests.acceptance.page.conftest import CHROMIUM_FLAGS
from tests.acceptance.team import DATA, Team
from tests.skips import NO_CHROMIUM, find_chromium

PICTURE = ROOT / "docs" / "images" / "report.png"
WIDTH, HEIGHT = 1280, 900
NAME = "weekly-signups.csv"

_WEEKS = ("07-06", "07-13", "07-20", "07-27", "08-03", "08-10", "08-17", "08-24", "08-31", "09-07", "09-14", "09-21")
_SEARCH = (412, 430, 451, 447, 489, 520, 561, 548, 603, 640, 655, 700)
_REFERRAL = (230, 241, 262, 290, 281, 305, 342, 371, 366, 402, 431, 451)
_NEWSLETTER = (118, 96, 143, 121, 165, 139, 187, 151, 204, 176, 221, 187)
"""Sign-ups per week and source; invented."""


def table() -> bytes:
    """The table that is asked about."""
    rows = zip(_WEEKS, _SEARCH, _REFERRAL, _NEWSLETTER, strict=True)
    lines = [f"2026-{week},{search},{referral},{newsletter}" for week, search, referral, newsletter in rows]
    return "\n".join(["week,search,referral,newsletter", *lines, ""]).encode()


async def tell(url: str) -> str:
    """Let people say a few words and ask for the report; returns the thread once it is complete."""
    async with Team(url) as team:
        await team.say("Morning! The numbers up to last week are final.", by="member")
        root = await team.say("@banksman report", (NAME, table()))
        await team.card(root, "Completed")
        await team.answered(root, "no effects outside", "3 files")
        return root


async def compose(page: Page) -> None:
    """Wait for everything that loads late, and begin the thread with the card, so that the picture is in view."""
    thread = page.get_by_test_id("thread")
    picture = thread.get_by_test_id("file").locator("img").first
    await picture.wait_for()
    await picture.evaluate("img => img.decode()")
    card = thread.get_by_role("article").filter(has=page.get_by_role("button", name="Details")).first
    await card.evaluate("card => card.scrollIntoView({ block: 'start' })")
    await page.evaluate("document.activeElement.blur()")
    await page.mouse.move(0, 0)
    await page.wait_for_timeout(500)


async def shoot(url: str, root: str, target: Path) -> None:
    """Photograph the channel with the thread beside it."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_chromium(), args=list(CHROMIUM_FLAGS))
        context = await browser.new_context(
            viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light", device_scale_factor=1
        )
        page = await context.new_page()
        await page.goto(f"{url}/#user=requester&channel={DATA}&thread={root}")
        await page.wait_for_selector('[data-testid=connection][data-state="live"]', state="attached")
        await compose(page)
        target.parent.mkdir(parents=True, exist_ok=True)
        await page.screenshot(path=target)
        await browser.close()


def main(target: Path) -> int:
    """Take the picture; 2 where no browser is."""
    if find_chromium() is None:
        print(NO_CHROMIUM, file=sys.stderr)
        return 2
    house = House.start(homes("picture"))
    try:
        root = asyncio.run(tell(house.url))
        asyncio.run(shoot(house.url, root, target))
    finally:
        house.stop()
        shutil.rmtree(house.home, ignore_errors=True)
    print(target)
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Take the README's picture of a report.")
    parser.add_argument("target", type=Path, nargs="?", default=PICTURE)
    sys.exit(main(parser.parse_args().target))
