"""What the page looks like and withstands: every block, hostile text, small screens, live changes, lost connections."""

import asyncio
import base64
import re

import aiohttp
import pytest
from playwright.async_api import Page, expect

from bot.playground import Playground
from tests.acceptance.page import gallery
from tests.acceptance.page.conftest import Visit
from tests.acceptance.page.small_app import SmallApp
from tests.skips import needs_chromium

pytestmark = needs_chromium


async def fits(page: Page) -> bool:
    """Whether nothing sticks out sideways, of the page or of a column."""
    return bool(
        await page.evaluate(
            "() => document.documentElement.scrollWidth <= innerWidth"
            " && [...document.querySelectorAll('.scroll')].every(el => el.scrollWidth <= el.clientWidth)"
        )
    )


async def post_gallery(app: SmallApp) -> None:
    for name, blocks in gallery.SAMPLES:
        await app.post("C0DATA", name, blocks=blocks)


@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_block_is_drawn_and_fits(visit: Visit, app: SmallApp, phone: bool, scheme: str) -> None:
    await post_gallery(app)
    page = await visit("requester", "data", phone=phone, color_scheme=scheme)

    await expect(page.get_by_test_id("message")).to_have_count(len(gallery.SAMPLES))
    drawn = await page.evaluate(
        "() => [...new Set([...document.querySelectorAll('[data-block-type]')].map(el => el.dataset.blockType))]"
    )
    wanted = {block["type"] for _, blocks in gallery.SAMPLES for block in blocks}

    assert wanted <= set(drawn)
    await expect(page.get_by_test_id("unknown-block")).to_have_count(0)
    assert await fits(page)


async def test_a_block_the_page_does_not_know_is_named(visit: Visit, app: SmallApp) -> None:
    chart = {
        "type": "data_visualization",
        "title": "Chart",
        "chart": {"type": "pie", "segments": [{"label": "a", "value": 1}, {"label": "b", "value": 2}]},
    }
    await app.post("C0DATA", "chart", blocks=[chart])
    page = await visit("requester", "data")

    await expect(page.get_by_test_id("unknown-block")).to_contain_text("data_visualization")


@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
async def test_hostile_text_stays_text_and_inside_its_column(visit: Visit, app: SmallApp, phone: bool) -> None:
    for text in gallery.HOSTILE:
        await app.post("C0RANDOM", text)
        block = {"type": "rich_text", "elements": [gallery.words(text[:2900])]}
        await app.post(
            "C0RANDOM", "again", blocks=[gallery.section(text[:2900]), block, {"type": "markdown", "text": text}]
        )
    page = await visit("requester", "random", phone=phone)

    await expect(page.get_by_test_id("message")).to_have_count(2 * len(gallery.HOSTILE))
    assert await page.evaluate("() => window.hurt === undefined")
    assert (
        0
        == await page.locator(
            '.message script, .message img, .message a[href^="javascript"], .message a[href^="data"]'
        ).count()
    )
    assert await fits(page)


async def test_hostile_names_of_files_do_no_harm(visit: Visit, playground: Playground) -> None:
    names = ["<img src=x onerror=window.hurt=1>.txt", f"{gallery.RLO}gnp.exe", "n" * 200 + ".csv", "../../etc/passwd"]
    files = [{"name": name, "content_base64": base64.b64encode(b"a,b\n1,2\n").decode()} for name in names]
    async with aiohttp.ClientSession() as http:
        body = {"user": "U0GUEST", "channel": "C0DATA", "text": "files", "files": files}
        async with http.post(f"{playground.base_url}/playground/messages", json=body) as answer:
            assert 200 == answer.status
    page = await visit("requester", "data", phone=True)

    await expect(page.get_by_test_id("file")).to_have_count(len(names))
    assert await page.evaluate("() => window.hurt === undefined")
    assert await fits(page)


async def test_on_a_phone_the_sidebar_is_a_drawer_and_a_thread_fills_the_screen(visit: Visit, app: SmallApp) -> None:
    ts = await app.post("C0DATA", "root", blocks=gallery.TEXTS)
    await app.post("C0DATA", "reply", thread_ts=ts, blocks=gallery.RICH)
    page = await visit("requester", "data", phone=True)
    await expect(page.get_by_test_id("persona")).to_be_hidden()

    await page.get_by_test_id("open-drawer").click()
    await expect(page.get_by_test_id("persona")).to_be_visible()
    await page.locator('[data-testid=channel][data-channel="C0DATA"]').click()
    await expect(page.get_by_test_id("persona")).to_be_hidden()
    await page.get_by_test_id("open-thread").click()

    box = await page.get_by_test_id("thread").bounding_box()
    assert box is not None
    assert (390, 844) == (box["width"], box["height"])
    assert await fits(page)


async def test_buttons_are_thumb_sized_on_a_phone(visit: Visit, app: SmallApp) -> None:
    await app.post("C0DATA", "elements", blocks=gallery.ELEMENTS)
    page = await visit("requester", "data", phone=True)

    for button in await page.locator(".blocks .button, .composer button, .composer label.iconbutton").all():
        box = await button.bounding_box()
        assert box is not None
        assert box["height"] >= 44, await button.text_content()


async def test_a_modal_fits_a_phone(visit: Visit, app: SmallApp) -> None:
    await app.post("C0DATA", "open", blocks=[{"type": "actions", "elements": [gallery.button("open", "Open")]}])
    page = await visit("requester", "data", phone=True)
    await page.get_by_role("button", name="Open", exact=True).click()
    click = await app.hears("block_actions")

    await app.web.views_open(trigger_id=click["trigger_id"], view=gallery.MODAL)

    submit = page.get_by_test_id("modal-submit")
    await expect(submit).to_be_in_viewport()
    assert await page.evaluate(
        "() => { const b = document.querySelector('.modal-body'); return b.scrollWidth <= b.clientWidth; }"
    )
    assert await fits(page)


async def test_a_changed_card_keeps_its_place(visit: Visit, app: SmallApp) -> None:
    ts = await app.post("C0DATA", "card", blocks=gallery.PLANS)
    await app.post("C0DATA", "below")
    page = await visit("requester", "data")
    card = page.locator(f'[data-ts="{ts}"]')
    before = await card.bounding_box()
    await card.evaluate("el => { el.kept = true; }")

    task = {**gallery.PLANS[0]["tasks"][1], "status": "complete"}
    plan = {**gallery.PLANS[0], "tasks": [gallery.PLANS[0]["tasks"][0], task, *gallery.PLANS[0]["tasks"][2:]]}
    await app.web.chat_update(channel="C0DATA", ts=ts, text="card", blocks=[plan, gallery.PLANS[1]])

    await expect(card.locator('[data-task-id="t2"]')).to_have_attribute("data-status", "complete")
    assert before == await card.bounding_box()
    assert await card.evaluate("el => el.kept === true")


async def test_a_reader_further_up_is_not_moved_and_told_of_news(visit: Visit, app: SmallApp) -> None:
    for n in range(40):
        await app.post("C0DATA", f"line {n}", username=f"poster {n}")
    page = await visit("requester", "data")
    timeline = page.get_by_test_id("timeline")
    await expect(page.get_by_text("line 39", exact=True)).to_be_in_viewport()

    top = await timeline.evaluate("el => { el.scrollTop -= 600; return el.scrollTop; }")
    await app.post("C0DATA", "the news")

    await expect(page.get_by_test_id("new-messages")).to_have_text("1 new message")
    assert top == await timeline.evaluate("el => el.scrollTop")
    await page.get_by_test_id("new-messages").click()
    await expect(page.get_by_text("the news")).to_be_in_viewport()
    await expect(page.get_by_test_id("new-messages")).to_have_count(0)


async def test_at_the_end_the_page_follows_new_messages(visit: Visit, app: SmallApp) -> None:
    for n in range(30):
        await app.post("C0DATA", f"line {n}")
    page = await visit("requester", "data")

    await app.post("C0DATA", "newest of all", blocks=gallery.TEXTS)

    await expect(page.get_by_role("heading", name="Summary")).to_be_visible()
    at_end = "el => el.scrollHeight - el.clientHeight - el.scrollTop < 3"
    timeline = await page.get_by_test_id("timeline").element_handle()
    await page.wait_for_function(at_end, arg=timeline)


async def test_the_page_comes_back_after_the_server_was_away(visit: Visit, playground: Playground) -> None:
    page = await visit("requester", "data")
    port = int(playground.base_url.rpartition(":")[2])

    await playground.stop()
    mark = page.get_by_test_id("connection").first
    await expect(mark).to_have_attribute("data-state", "lost")
    await page.get_by_test_id("message-input").fill("while away")
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("composer-error")).to_contain_text("did not answer")
    await playground.start(port=port)
    async with SmallApp(playground.base_url) as app:
        await app.post("C0DATA", "missed meanwhile")

        await expect(mark).to_have_attribute("data-state", "live")
        await expect(page.get_by_text("missed meanwhile")).to_be_visible()
        await expect(page.get_by_test_id("message-input")).to_have_value("while away")
    visit.complaints.clear()  # the browser logs each failed connection itself


async def test_many_changes_at_once_all_arrive(visit: Visit, app: SmallApp) -> None:
    page = await visit("requester", "data")

    stamps = await asyncio.gather(*(app.post("C0DATA", f"burst {n}") for n in range(60)))
    await asyncio.gather(*(app.web.chat_update(channel="C0DATA", ts=ts, text="settled") for ts in stamps))

    await expect(page.get_by_text(re.compile("^settled"))).to_have_count(60)


async def test_the_keyboard_is_enough(visit: Visit, app: SmallApp) -> None:
    await app.post(
        "C0DATA",
        "card",
        blocks=[
            {
                "type": "actions",
                "elements": [
                    gallery.button(
                        "ok",
                        "Approve",
                        confirm={
                            "title": gallery.plain("Sure?"),
                            "text": gallery.plain("Really."),
                            "confirm": gallery.plain("Yes"),
                            "deny": gallery.plain("No"),
                        },
                    )
                ],
            }
        ],
    )
    page = await visit("requester", "data")

    await page.get_by_test_id("persona").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("menu")).to_be_visible()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("persona")).to_contain_text("Anton Approver")
    await page.get_by_role("button", name="Approve", exact=True).focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("confirm-yes")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("button", name="Approve", exact=True)).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("confirm-yes")).to_be_focused()
    await page.keyboard.press("Enter")

    assert "ok" == (await app.hears("block_actions"))["actions"][0]["action_id"]


async def test_a_long_history_is_drawn_in_pages(visit: Visit, app: SmallApp) -> None:
    for start in range(0, 200, 50):
        await asyncio.gather(*(app.post("C0DATA", f"old {n}") for n in range(start, start + 50)))
    page = await visit("requester", "data")
    shown = page.get_by_test_id("message")
    await expect(shown).to_have_count(150)

    await page.get_by_test_id("earlier").click()

    await expect(shown).to_have_count(200)
    await expect(page.get_by_test_id("earlier")).to_have_count(0)
