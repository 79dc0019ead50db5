"""A person writes: text, mentions, files, commands, threads, reactions."""

import re

from playwright.async_api import Page, expect

from bot.playground import Playground
from tests.acceptance.page.conftest import Visit
from tests.acceptance.page.small_app import SmallApp
from tests.skips import needs_chromium

pytestmark = needs_chromium

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc000000301010018dd8d"
    "b00000000049454e44ae426082"
)
CSV = b"region,sales\nnorth,12\nsouth,7\n"


async def type_and_send(page: Page, text: str) -> None:
    await page.get_by_test_id("message-input").press_sequentially(text)
    await page.keyboard.press("Enter")


async def test_enter_sends_and_shift_enter_breaks_the_line(visit: Visit, app: SmallApp) -> None:
    page = await visit("requester", "data")
    box = page.get_by_test_id("message-input")

    await box.press_sequentially("first & <last>")
    await page.keyboard.press("Shift+Enter")
    await box.press_sequentially("second *bold*")
    await page.keyboard.press("Enter")

    event = (await app.hears("message"))["event"]
    assert "first &amp; &lt;last&gt;\nsecond *bold*" == event["text"]
    shown = page.get_by_test_id("message")
    await expect(shown).to_contain_text("first & <last>")
    await expect(shown.locator("strong")).to_have_text("bold")
    await expect(box).to_have_value("")


async def test_typing_at_offers_the_bot_and_sends_its_id(visit: Visit, app: SmallApp) -> None:
    page = await visit("requester", "data")

    await page.get_by_test_id("message-input").press_sequentially("@ba")
    await expect(page.get_by_test_id("completions")).to_contain_text("@banksman")
    await page.keyboard.press("Enter")
    await page.get_by_test_id("message-input").press_sequentially("report, please")
    await page.keyboard.press("Enter")

    event = (await app.hears("app_mention"))["event"]
    assert "<@U0BANKSMAN> report, please" == event["text"]
    await expect(page.get_by_test_id("message").locator(".mention")).to_have_text("@banksman")


async def test_a_name_in_code_is_no_mention(visit: Visit, app: SmallApp) -> None:
    page = await visit("requester", "data")

    await type_and_send(page, "see `npm i x@here` and @operator.")

    event = (await app.hears("message"))["event"]
    assert "see `npm i x@here` and <@U0OPERATOR>." == event["text"]


async def test_an_attached_picture_is_shown_in_place_and_enlarges(visit: Visit, app: SmallApp) -> None:
    page = await visit("requester", "data")

    await page.get_by_test_id("file-input").set_input_files(
        {"name": "plot.png", "mimeType": "image/png", "buffer": PIXEL}
    )
    await expect(page.get_by_test_id("attached")).to_contain_text("plot.png")
    await page.get_by_test_id("send").click()

    picture = page.get_by_test_id("file").locator("img")
    await expect(picture).to_be_visible()
    assert await picture.evaluate("img => img.decode().then(() => img.naturalWidth)") > 0
    await page.get_by_role("button", name="Enlarge plot.png").click()
    await expect(page.get_by_test_id("lightbox")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_test_id("lightbox")).to_be_hidden()
    assert "file_share" == (await app.hears("message"))["event"]["subtype"]


async def test_a_csv_shows_its_first_lines_as_a_table(visit: Visit) -> None:
    page = await visit("requester", "data")

    await page.get_by_test_id("file-input").set_input_files(
        {"name": "sales.csv", "mimeType": "text/csv", "buffer": CSV}
    )
    await type_and_send(page, "numbers")

    table = page.get_by_test_id("file").locator("table")
    await expect(table.locator("th")).to_have_text(["region", "sales"])
    await expect(table.locator("td")).to_have_text(["north", "12", "south", "7"])


async def test_a_file_dropped_on_the_timeline_is_attached_and_can_be_removed(visit: Visit) -> None:
    page = await visit("requester", "data")
    transfer = await page.evaluate_handle(
        "() => { const t = new DataTransfer();"
        " t.items.add(new File(['a,b'], 'dropped.csv', {type: 'text/csv'})); return t; }"
    )
    timeline = page.get_by_test_id("timeline")

    await timeline.dispatch_event("dragover", {"dataTransfer": transfer})
    await expect(page.locator(".dropzone")).to_be_visible()
    await timeline.dispatch_event("drop", {"dataTransfer": transfer})

    await expect(page.get_by_test_id("attached")).to_contain_text("dropped.csv")
    await page.get_by_role("button", name="Remove dropped.csv").click()
    await expect(page.get_by_test_id("attached")).to_have_count(0)


async def test_what_the_server_refuses_stays_in_the_box_with_the_reason(visit: Visit, playground: Playground) -> None:
    page = await visit("requester", "data")
    await page.get_by_test_id("message-input").fill("x" * 40_001)

    await page.keyboard.press("Enter")

    await expect(page.get_by_test_id("composer-error")).to_contain_text("40000")
    await expect(page.get_by_test_id("message-input")).to_have_value("x" * 40_001)
    visit.complaints.clear()  # the browser logs the refusal itself


async def test_a_slash_command_reaches_the_app_and_its_answer_is_private(visit: Visit, app: SmallApp) -> None:
    app.answers["/banksman"] = lambda payload: {"response_type": "ephemeral", "text": f"You asked: {payload['text']}"}
    page = await visit("requester", "data")

    await type_and_send(page, "/banksman runs --all")

    assert "runs --all" == (await app.hears("command"))["text"]
    private = page.get_by_test_id("message").filter(has_text="You asked: runs --all")
    await expect(private.get_by_test_id("only-you")).to_be_visible()


async def test_a_slash_command_in_a_thread_is_refused_and_kept(visit: Visit, app: SmallApp) -> None:
    ts = await app.post("C0DATA", "root")
    page = await visit("requester", "data", rest=f"&thread={ts}")

    await page.get_by_test_id("thread-input").fill("/banksman runs")
    await page.get_by_test_id("thread-input").press("Enter")

    await expect(page.get_by_test_id("thread-composer").get_by_test_id("composer-error")).to_contain_text("threads")
    await expect(page.get_by_test_id("thread-input")).to_have_value("/banksman runs")


async def test_a_reply_goes_to_the_thread_and_the_root_counts_it(visit: Visit, app: SmallApp) -> None:
    ts = await app.post("C0DATA", "root message")
    page = await visit("requester", "data")

    await page.get_by_test_id("message").filter(has_text="root message").hover()
    await page.get_by_test_id("reply-in-thread").click()
    await page.get_by_test_id("thread-input").fill("my reply")
    await page.get_by_test_id("thread-input").press("Enter")

    await expect(page.get_by_test_id("thread")).to_contain_text("my reply")
    await expect(page.get_by_test_id("timeline").get_by_test_id("open-thread")).to_contain_text("1 reply")
    await expect(page.get_by_test_id("timeline")).not_to_contain_text("my reply")
    event = (await app.hears("message", 2))["event"]
    assert (ts, "my reply") == (event["thread_ts"], event["text"])
    await page.keyboard.press("Escape")
    await expect(page.get_by_test_id("thread")).to_have_count(0)


async def test_a_reaction_is_added_and_taken_back(visit: Visit, app: SmallApp) -> None:
    await app.post("C0DATA", "react to me")
    page = await visit("requester", "data")

    await page.get_by_test_id("message").hover()
    await page.get_by_test_id("add-reaction").first.click()
    await page.get_by_test_id("menu").locator('[data-value="x"]').click()

    given = page.locator('[data-reaction="x"]')
    await expect(given).to_have_attribute("aria-pressed", "true")
    assert "x" == (await app.hears("reaction_added"))["event"]["reaction"]
    await given.click()
    await expect(given).to_have_count(0)
    assert "x" == (await app.hears("reaction_removed"))["event"]["reaction"]


async def test_the_address_chooses_person_channel_and_thread(visit: Visit, app: SmallApp) -> None:
    ts = await app.post("C0RANDOM", "linked root")
    page = await visit("U0APPROVER2", "C0RANDOM", rest=f"&thread={ts}")

    await expect(page.get_by_test_id("persona")).to_contain_text("Bea Approver")
    await expect(page.get_by_role("heading", level=1)).to_have_text("random")
    await expect(page.get_by_test_id("thread")).to_contain_text("linked root")


async def test_a_permalink_leads_to_its_message(visit: Visit, app: SmallApp, playground: Playground) -> None:
    ts = await app.post("C0RANDOM", "here I am")
    link = (await app.web.chat_getPermalink(channel="C0RANDOM", message_ts=ts))["permalink"]
    page = await visit("requester", "data")

    await page.goto(link)

    await expect(page.get_by_test_id("message")).to_contain_text("here I am")
    await expect(page).to_have_url(re.compile("channel=C0RANDOM"))


async def test_a_pasted_picture_is_attached_under_a_name(visit: Visit) -> None:
    page = await visit("requester", "data")

    await page.get_by_test_id("message-input").evaluate(
        "el => { const t = new DataTransfer(); t.items.add(new File(['x'], 'image.png', {type: 'image/png'}));"
        " el.dispatchEvent(new ClipboardEvent('paste', {clipboardData: t, bubbles: true, cancelable: true})); }"
    )

    await expect(page.get_by_test_id("attached")).to_contain_text("pasted-")


async def test_emoji_are_offered_by_name(visit: Visit, app: SmallApp) -> None:
    page = await visit("requester", "data")

    await page.get_by_test_id("message-input").press_sequentially("look :eye")
    await expect(page.get_by_test_id("completions")).to_contain_text(":eyes:")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")

    await expect(page.get_by_test_id("message").get_by_role("img", name="eyes")).to_be_visible()
    assert "look :eyes:" == (await app.hears("message"))["event"]["text"]


async def test_one_can_delete_what_one_wrote_and_nothing_else(visit: Visit, app: SmallApp) -> None:
    await app.post("C0DATA", "not yours")
    page = await visit("requester", "data")
    await type_and_send(page, "a slip")
    mine = page.get_by_test_id("message").filter(has_text="a slip")

    await expect(page.get_by_test_id("message").filter(has_text="not yours").get_by_test_id("more")).to_have_count(0)
    await mine.hover()
    await mine.get_by_test_id("more").click()
    await page.get_by_role("option", name="Delete message").click()
    await page.get_by_test_id("confirm-yes").click()

    await expect(mine).to_have_count(0)
