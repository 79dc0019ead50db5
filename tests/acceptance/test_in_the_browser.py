"""The story in the page a person opens: type, attach, watch, see the picture, press Kill."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Locator, Page, async_playwright, expect

from core.execution.labels import labelled
from tests.acceptance.house import SOON_S, House, until
from tests.acceptance.page.conftest import CHROMIUM_FLAGS, PHONE, Visit
from tests.acceptance.team import DATA, OPS
from tests.acceptance.test_checkup import branches, repository
from tests.acceptance.test_story import CSV, MEAN_OF_VISITS
from tests.skips import find_chromium, needs_chromium

__all__ = ["repository"]

pytestmark = needs_chromium

_SOON_MS = SOON_S * 1000


@asynccontextmanager
async def pages(house: House) -> AsyncIterator[Visit]:
    """Pages of a house; none of them may have complained at the end."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_chromium(), args=list(CHROMIUM_FLAGS))
        visit = Visit(browser, house.url)
        yield visit
        await visit.close()
        await browser.close()
    assert [] == visit.complaints


async def ask(page: Page, text: str, *files: tuple[str, bytes]) -> Locator:
    """Write a message the way a person does, and open its thread."""
    for name, content in files:
        async with page.expect_file_chooser() as choosing:
            await page.get_by_test_id("composer").get_by_title("Attach files").click()
        await (await choosing.value).set_files({"name": name, "mimeType": "text/csv", "buffer": content})
        await expect(page.get_by_test_id("attached")).to_contain_text(name)
    messages = page.get_by_test_id("timeline").get_by_test_id("message")
    before = await messages.count()
    await page.get_by_test_id("message-input").press_sequentially(text)
    await page.get_by_test_id("send").click()
    await messages.nth(before).get_by_test_id("open-thread").click(timeout=_SOON_MS)
    return page.get_by_test_id("thread")


async def is_drawn(picture: Locator) -> bool:
    """Whether a picture has arrived and can be shown."""
    await expect(picture).to_be_visible(timeout=_SOON_MS)
    return bool(await picture.evaluate("img => img.decode().then(() => img.naturalWidth)") > 300)


async def test_a_person_types_attaches_and_sees_the_picture(sqlite_house: House) -> None:
    async with pages(sqlite_house) as visit:
        page = await visit("requester", DATA)

        thread = await ask(page, "@banksman report", ("visits.csv", CSV))

        await expect(thread).to_contain_text("no effects outside this run", timeout=_SOON_MS)
        await expect(thread).to_contain_text(f"visits: mean {MEAN_OF_VISITS}")
        assert await is_drawn(thread.get_by_test_id("file").locator("img"))
        for name in ("chart.png", "summary.json", "summary.md"):
            await expect(thread).to_contain_text(name)
        await expect(page.get_by_role("button", name="Kill")).to_have_count(0)


async def test_a_person_on_a_phone_sees_the_picture_too(sqlite_house: House) -> None:
    async with pages(sqlite_house) as visit:
        page = await visit("requester", DATA, phone=True)

        thread = await ask(page, "@banksman report", ("visits.csv", CSV))

        picture = thread.get_by_test_id("file").locator("img")
        assert await is_drawn(picture)
        box = await picture.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["viewport"]["width"]


async def test_a_person_presses_kill_and_reads_that_it_is_confirmed(sqlite_house: House) -> None:
    async with pages(sqlite_house) as visit:
        page = await visit("requester", DATA)
        thread = await ask(page, "@banksman runaway")
        await expect(thread).to_contain_text("Running", timeout=_SOON_MS)
        [run_id] = [run["id"] for run in sqlite_house.cli("runs", "--state", "executing", "--json").json]
        sqlite_house.working(run_id)

        await thread.get_by_role("button", name="Kill").click()
        await expect(page.get_by_test_id("confirm")).to_be_visible()
        assert sqlite_house.show(run_id)["stop"] is None, "nothing happens before it is confirmed"
        await page.get_by_test_id("confirm-yes").click()

        await expect(thread).to_contain_text("Stop requested by", timeout=_SOON_MS)
        await expect(thread).to_contain_text("Stop confirmed", timeout=_SOON_MS)
        await expect(thread).to_contain_text("nothing of it is left running")
        await expect(thread.get_by_role("button", name="Kill")).to_have_count(0)
        await expect(thread.get_by_test_id("only-you")).to_contain_text("Only visible to you")
    until(lambda: not labelled(run_id=run_id), "its processes to be gone")


async def test_an_approver_reads_a_whole_push_on_a_phone_and_approves_it(sqlite_house: House, repository: Path) -> None:
    before = branches(repository)
    async with pages(sqlite_house) as visit:
        page = await visit("requester", OPS)
        asked = await ask(page, f"@banksman checkup {repository}")
        await expect(asked).to_contain_text("Approval needed", timeout=_SOON_MS)

        phone = await visit("approver", OPS, phone=True)
        await phone.get_by_test_id("timeline").get_by_test_id("open-thread").last.click(timeout=_SOON_MS)
        thread = phone.get_by_test_id("thread")
        await expect(thread).to_contain_text("Approval needed", timeout=_SOON_MS)
        await expect(thread.get_by_role("button", name="Approve", exact=True)).to_have_count(0)
        await thread.get_by_role("button", name="Details: read all of it").last.click()
        form = phone.get_by_role("dialog")
        seen = ""
        while True:
            await expect(form).to_contain_text("exactly as it is stored", timeout=_SOON_MS)
            seen += await form.inner_text()
            for line in await form.locator("pre").all():
                box = await line.bounding_box()
                assert box is not None
                assert box["x"] + box["width"] <= PHONE["viewport"]["width"]
                assert await line.evaluate("pre => pre.scrollWidth <= pre.clientWidth + 1"), "nothing hides at the side"
            following = form.get_by_role("button", name="Next page")
            if not await following.count():
                break
            number = seen.count("exactly as it is stored")
            await following.click()
            await expect(form).to_contain_text(f"Page {number + 1} of", timeout=_SOON_MS)
        for part in ("diff --git a/shop.py b/shop.py", "-def total(numbers):   ", "CHECKUP.md", str(repository)):
            assert part in seen, part
        await form.get_by_role("button", name="Approve").click()

        await expect(thread).to_contain_text("Approved. It starts now", timeout=_SOON_MS)
        await expect(asked).to_contain_text("Completed", timeout=_SOON_MS)
        await expect(asked).to_contain_text("git_push in step push: done")
        await expect(asked.get_by_role("button", name="Deny")).to_have_count(0)
    assert 1 == len(set(branches(repository)) - set(before))


async def test_a_person_rolls_a_push_back_and_reads_that_the_branch_is_gone(
    sqlite_house: House, repository: Path
) -> None:
    before, house = branches(repository), sqlite_house
    async with pages(house) as visit:
        page = await visit("requester", OPS)
        thread = await ask(page, f"@banksman checkup {repository}")
        await expect(thread).to_contain_text("Approval needed", timeout=_SOON_MS)
        [asked] = house.cli("pending", "--json").json
        house.cli("approve", asked["id"], "--as", "approver", "--yes")
        await expect(thread).to_contain_text("it can be undone", timeout=_SOON_MS)
        card = thread.get_by_role("article").filter(has=page.get_by_role("button", name="Details", exact=True)).first

        await card.get_by_role("button", name="Roll back").click(timeout=_SOON_MS)
        question = page.get_by_test_id("confirm")
        await expect(question).to_contain_text("Undoes “Push 1 commit to the new branch")
        assert None is house.show(asked["run_id"])["rollback"], "nothing happens before it is confirmed"
        await page.get_by_test_id("confirm-yes").click()

        await expect(card).to_contain_text("Rolling back: run", timeout=_SOON_MS)
        await expect(card.get_by_role("button", name="Roll back")).to_have_count(0)
        await expect(thread).to_contain_text("Rollback of checkup", timeout=_SOON_MS)
        phone = await visit("approver", OPS, phone=True)
        await phone.get_by_test_id("timeline").get_by_test_id("open-thread").last.click(timeout=_SOON_MS)
        asks = phone.get_by_test_id("thread").get_by_role("article").filter(has_text="Action: Delete the branch")
        await asks.get_by_role("button", name="Approve", exact=True).click(timeout=_SOON_MS)
        await phone.get_by_test_id("confirm-yes").click()

        await expect(card).to_contain_text("Rolled back: run", timeout=_SOON_MS)
        await expect(card).to_contain_text("git_push in step push: undone by run")
    assert before == branches(repository)
