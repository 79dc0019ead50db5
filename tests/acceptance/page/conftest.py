"""One browser per test process; per test a fresh playground, a small app and a page that may log no error."""

import copy
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from bot.playground import DEMO_TEAM, Playground
from tests.acceptance.page.small_app import SmallApp
from tests.patience import PATIENCE_S
from tests.skips import NO_CHROMIUM, find_chromium

CHROMIUM_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
expect.set_options(timeout=PATIENCE_S * 1000)

PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The browser lives as long as the session, so everything here shares the session's event loop."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    path = find_chromium()
    if path is None:
        pytest.skip(NO_CHROMIUM)
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=path, args=list(CHROMIUM_FLAGS))
        yield running
        await running.close()


@pytest_asyncio.fixture(loop_scope="session")
async def playground(tmp_path: Path) -> AsyncIterator[Playground]:
    """A team of its own, without rate limits; a test may change its seed."""
    server = Playground(tmp_path / "playground", limits=False, seed=copy.deepcopy(DEMO_TEAM))
    await server.start()
    yield server
    await server.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def app(playground: Playground) -> AsyncIterator[SmallApp]:
    async with SmallApp(playground.base_url) as connected:
        yield connected


class Visit:
    """Opens the page as somebody: `await visit("requester", "data")`; `phone=True` for a small screen."""

    def __init__(self, browser: Browser, home: str) -> None:
        self._browser = browser
        self._home = home
        self._contexts: list[BrowserContext] = []
        self.complaints: list[str] = []
        """Errors in the console, exceptions, requests to other hosts; empty at the end of a test."""

    async def __call__(
        self, user: str, channel: str | None = None, *, rest: str = "", phone: bool = False, **more: Any
    ) -> Page:
        """A page that follows the server; `rest` goes behind the address, `more` to the browser context."""
        context = await self._browser.new_context(**(PHONE if phone else {}), **more)
        self._contexts.append(context)
        page = await context.new_page()
        page.set_default_timeout(PATIENCE_S * 1000)
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(f"{error.name}: {error.message}"))
        page.on("request", lambda request: self._watch(request.url))
        place = f"&channel={channel}" if channel else ""
        await page.goto(f"{self._home}/#user={user}{place}{rest}")
        await page.wait_for_selector('[data-testid=connection][data-state="live"]', state="attached")
        return page

    def _watch(self, url: str) -> None:
        if not url.startswith((self._home, "data:", "blob:")):
            self.complaints.append(f"asked for {url}")

    async def close(self) -> None:
        for context in self._contexts:
            await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: Browser, playground: Playground) -> AsyncIterator[Visit]:
    """Pages on this test's playground; afterwards none of them may have complained."""
    opened = Visit(browser, playground.base_url)
    yield opened
    await opened.close()
    assert [] == opened.complaints
