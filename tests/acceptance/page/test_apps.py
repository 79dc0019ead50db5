"""What an app puts on the page: buttons, forms, homes, private messages, warnings."""

from typing import Any

from playwright.async_api import expect

from bot.playground import Playground
from tests.acceptance.page import gallery
from tests.acceptance.page.conftest import Visit
from tests.acceptance.page.small_app import Json, SmallApp
from tests.skips import needs_chromium

pytestmark = needs_chromium

CONFIRM = {
    "title": gallery.plain("Stop this run?"),
    "text": gallery.mrkdwn("It *ends*."),
    "confirm": gallery.plain("Stop it"),
    "deny": gallery.plain("Keep it"),
}


def actions(*elements: Json) -> list[Json]:
    return [{"type": "actions", "block_id": "row", "elements": list(elements)}]


async def opened_modal(app: SmallApp, visit: Visit, view: Json, user: str = "requester") -> Any:
    """A page on which the app has just opened a modal, through a real click."""
    await app.post("C0DATA", "open", blocks=actions(gallery.button("open", "Open")))
    page = await visit(user, "data")
    await page.get_by_role("button", name="Open", exact=True).click()
    click = await app.hears("block_actions")
    await app.web.views_open(trigger_id=click["trigger_id"], view=view)
    await expect(page.get_by_test_id("modal")).to_be_visible()
    return page


async def test_a_button_asks_first_and_then_clicks_once(visit: Visit, app: SmallApp) -> None:
    await app.post("C0DATA", "card", blocks=actions(gallery.button("kill", "Kill", style="danger", confirm=CONFIRM)))
    page = await visit("requester", "data")

    await page.get_by_role("button", name="Kill").click()
    await page.get_by_test_id("confirm-no").click()
    await page.get_by_role("button", name="Kill").click()
    await expect(page.get_by_test_id("confirm")).to_contain_text("It ends.")
    await page.get_by_test_id("confirm-yes").click()

    click = await app.hears("block_actions")
    assert [("kill", "kill", "U0REQUESTER")] == [
        (a["action_id"], a["value"], click["user"]["id"]) for a in click["actions"]
    ]
    await expect(page.get_by_test_id("confirm")).to_have_count(0)


async def test_a_click_nobody_answers_leaves_a_warning(visit: Visit, app: SmallApp) -> None:
    app.is_silent = True
    await app.post("C0DATA", "card", blocks=actions(gallery.button("slow", "Details")))
    page = await visit("requester", "data")

    await page.get_by_role("button", name="Details").click()

    await expect(page.get_by_test_id("toast")).to_contain_text("did not answer this click")
    await expect(page.get_by_test_id("message").get_by_test_id("warning")).to_contain_text("did not answer")
    app.is_silent = False
    await page.get_by_role("button", name="Details").click()
    await expect(page.get_by_test_id("warning")).to_have_count(0)


async def test_a_select_reports_its_option_and_keeps_it_when_the_card_changes(visit: Visit, app: SmallApp) -> None:
    pick = {
        "type": "static_select",
        "action_id": "pick",
        "options": [gallery.option("a", "Alpha"), gallery.option("b", "Beta")],
    }
    ts = await app.post("C0DATA", "card", blocks=actions(pick))
    page = await visit("requester", "data")

    await page.locator('[data-action-id="pick"]').click()
    await app.web.chat_update(channel="C0DATA", ts=ts, text="card", blocks=[*actions(pick), gallery.section("step 2")])
    await expect(page.get_by_test_id("message")).to_contain_text("step 2")
    await expect(page.get_by_test_id("menu")).to_be_visible()
    await page.get_by_role("option", name="Beta").click()

    assert "b" == (await app.hears("block_actions"))["actions"][0]["selected_option"]["value"]
    await expect(page.locator('[data-action-id="pick"]')).to_contain_text("Beta")


async def test_what_is_typed_in_a_card_survives_its_next_version(visit: Visit, app: SmallApp) -> None:
    box = {
        "type": "input",
        "block_id": "why",
        "label": gallery.plain("Why"),
        "element": {"type": "plain_text_input", "action_id": "v"},
    }
    ts = await app.post("C0DATA", "card", blocks=[box])
    page = await visit("requester", "data")
    field = page.get_by_label("Why")
    await field.press_sequentially("half a sen")

    await app.web.chat_update(channel="C0DATA", ts=ts, text="card", blocks=[gallery.section("newer"), box])
    await expect(page.get_by_test_id("message")).to_contain_text("newer")
    await page.keyboard.type("tence")

    await expect(field).to_have_value("half a sentence")


async def test_an_external_select_asks_the_app(visit: Visit, app: SmallApp) -> None:
    app.answers["block_suggestion"] = lambda payload: {
        "options": [gallery.option("r1", f"run like {payload['value'] or 'any'}")]
    }
    await app.post(
        "C0DATA", "card", blocks=actions({"type": "external_select", "action_id": "find", "min_query_length": 0})
    )
    page = await visit("requester", "data")

    await page.locator('[data-action-id="find"]').click()
    await page.get_by_test_id("menu").get_by_role("combobox").fill("sales")
    await page.get_by_role("option", name="run like sales").click()

    assert "r1" == (await app.hears("block_actions"))["actions"][0]["selected_option"]["value"]


async def test_a_modal_is_checked_filled_and_sent(visit: Visit, app: SmallApp) -> None:
    page = await opened_modal(app, visit, gallery.MODAL)

    await page.get_by_test_id("modal-submit").click()
    await expect(page.get_by_test_id("field-error")).to_have_count(3)
    await page.get_by_label("Name").fill("sales")
    await page.get_by_label("Rows").fill("12")
    await page.locator('[data-block-id="kind"] button').first.click()
    await page.get_by_role("option", name="Thorough").click()
    await page.get_by_label("Picture").check()
    await page.get_by_label("Notes").fill("some notes")
    await page.locator('[data-block-id="files"] input').set_input_files(
        {"name": "extra.csv", "mimeType": "text/csv", "buffer": b"a,b"}
    )
    await expect(page.get_by_test_id("modal")).to_contain_text("extra.csv")
    await page.get_by_test_id("modal-submit").click()

    values = (await app.hears("view_submission"))["view"]["state"]["values"]
    assert "sales" == values["name"]["v"]["value"]
    assert "12" == values["rows"]["v"]["value"]
    assert "slow" == values["kind"]["v"]["selected_option"]["value"]
    assert ["p"] == [one["value"] for one in values["what"]["v"]["selected_options"]]
    assert "rich_text" == values["notes"]["v"]["rich_text_value"]["type"]
    assert ["extra.csv"] == [one["name"] for one in values["files"]["v"]["files"]]
    await expect(page.get_by_test_id("modal")).to_have_count(0)


async def test_errors_of_the_app_stand_at_their_field_until_it_is_edited(visit: Visit, app: SmallApp) -> None:
    app.answers["view_submission"] = lambda _: {"response_action": "errors", "errors": {"name": "This name is taken."}}
    view = {**gallery.MODAL, "blocks": [block for block in gallery.MODAL["blocks"] if block.get("block_id") == "name"]}
    page = await opened_modal(app, visit, view)

    await page.get_by_label("Name").fill("sales")
    await page.get_by_test_id("modal-submit").click()

    await expect(page.get_by_test_id("field-error")).to_have_text("This name is taken.")
    await expect(page.get_by_label("Name")).to_have_value("sales")
    await page.get_by_label("Name").fill("sales-2")
    await expect(page.get_by_test_id("field-error")).to_have_count(0)


async def test_a_pushed_view_lies_on_top_and_back_leads_down(visit: Visit, app: SmallApp) -> None:
    second = {"type": "modal", "title": gallery.plain("Page two"), "blocks": [gallery.section("the rest")]}
    app.answers["view_submission"] = lambda _: {"response_action": "push", "view": second}
    first = {
        "type": "modal",
        "title": gallery.plain("Page one"),
        "submit": gallery.plain("Next"),
        "blocks": [gallery.section("the start")],
    }
    page = await opened_modal(app, visit, first)

    await page.get_by_test_id("modal-submit").click()
    await expect(page.get_by_test_id("modal")).to_contain_text("Page two")
    await page.get_by_role("button", name="Back").click()

    await expect(page.get_by_test_id("modal")).to_contain_text("Page one")


async def test_closing_a_modal_tells_the_app_and_asks_before_losing_words(visit: Visit, app: SmallApp) -> None:
    page = await opened_modal(app, visit, gallery.MODAL)
    await page.get_by_label("Name").fill("precious")

    await page.keyboard.press("Escape")
    await page.get_by_test_id("confirm-no").click()
    await expect(page.get_by_label("Name")).to_have_value("precious")
    await page.get_by_test_id("modal-close").click()
    await page.get_by_test_id("confirm-yes").click()

    await expect(page.get_by_test_id("modal")).to_have_count(0)
    assert "gallery" == (await app.hears("view_closed"))["view"]["callback_id"]


async def test_a_modal_belongs_to_one_person(visit: Visit, app: SmallApp) -> None:
    page = await opened_modal(app, visit, {**gallery.MODAL, "blocks": [gallery.section("mine")]})

    other = await visit("approver", "data")

    await expect(other.get_by_test_id("modal")).to_have_count(0)
    await expect(page.get_by_test_id("modal")).to_be_visible()


async def test_the_home_is_asked_for_shown_and_works(visit: Visit, app: SmallApp) -> None:
    page = await visit("approver", rest="&home")
    opened = await app.hears("app_home_opened")

    await app.web.views_publish(user_id=opened["event"]["user"], view=gallery.HOME)
    await expect(page.get_by_test_id("home-view")).to_contain_text("Waiting on me")
    await page.get_by_role("button", name="Refresh").click()

    click = await app.hears("block_actions")
    assert ("home", "home_refresh") == (click["view"]["type"], click["actions"][0]["action_id"])


async def test_a_private_message_is_gone_for_the_next_persona(visit: Visit, app: SmallApp) -> None:
    await app.web.chat_postEphemeral(channel="C0DATA", user="U0REQUESTER", text="between us")
    page = await visit("requester", "data")
    await expect(page.get_by_test_id("only-you")).to_contain_text("Only visible to you")

    await page.get_by_test_id("persona").click()
    await page.get_by_role("option", name="Anton Approver").click()

    await expect(page.get_by_test_id("persona")).to_contain_text("approver")
    await expect(page.get_by_text("between us")).to_have_count(0)
    assert "user=U0APPROVER" in page.url


async def test_a_private_message_can_be_dismissed(visit: Visit, app: SmallApp) -> None:
    await app.web.chat_postEphemeral(channel="C0DATA", user="U0REQUESTER", text="between us")
    page = await visit("requester", "data")

    await page.get_by_test_id("dismiss").click()

    await expect(page.get_by_text("between us")).to_have_count(0)


async def test_the_direct_message_with_the_bot_is_one_click_away(visit: Visit, app: SmallApp) -> None:
    page = await visit("requester", "data")

    await page.get_by_test_id("direct").click()
    await page.get_by_test_id("message-input").fill("psst")
    await page.keyboard.press("Enter")

    event = (await app.hears("message"))["event"]
    assert ("im", "psst") == (event["channel_type"], event["text"])
    await expect(page.get_by_test_id("message")).to_contain_text("psst")
    other = await visit("approver", "dm")
    await expect(other.get_by_test_id("message-input")).to_have_attribute("aria-label", "Message banksman")
    await expect(other.get_by_text("psst")).to_have_count(0)


async def test_a_mention_elsewhere_is_counted_until_it_was_read(visit: Visit, app: SmallApp) -> None:
    page = await visit("requester", "data")
    entry = page.locator('[data-testid=channel][data-channel="C0OPS"]')

    await app.post("C0OPS", "look here, <@U0REQUESTER>")
    await expect(entry.locator(".count")).to_have_text("1")
    await entry.click()

    await expect(entry.locator(".count")).to_have_count(0)


async def test_a_fault_is_set_and_cleared_from_the_panel(visit: Visit, app: SmallApp) -> None:
    page = await visit("operator", "ops")
    await page.get_by_test_id("faults-toggle").click()

    await page.get_by_test_id("fault-kind").select_option("500")
    await page.get_by_test_id("fault-set").click()
    await expect(page.get_by_test_id("fault")).to_contain_text("server error")
    await page.get_by_test_id("fault-clear").click()

    await expect(page.get_by_test_id("fault")).to_have_count(0)
    await app.post("C0OPS", "still works")


async def test_a_working_agent_is_shown_and_can_be_stopped(visit: Visit, app: SmallApp) -> None:
    ts = await app.post("C0DATA", "root")
    page = await visit("requester", "data", rest=f"&thread={ts}")

    await app.web.api_call(
        "agents.sessions.setStatus", params={"channel_id": "C0DATA", "thread_ts": ts, "status": "processing"}
    )
    await expect(page.get_by_test_id("session")).to_contain_text("is working on this")
    await page.get_by_test_id("stop-session").click()

    event = (await app.hears("agent_session_stopped"))["event"]
    assert (ts, "U0REQUESTER") == (event["thread_ts"], event["user"])
    await app.web.api_call(
        "agents.sessions.setStatus", params={"channel_id": "C0DATA", "thread_ts": ts, "status": "active"}
    )
    await expect(page.get_by_test_id("session")).to_have_count(0)


async def test_a_streamed_answer_grows_as_markdown(visit: Visit, app: SmallApp) -> None:
    ts = await app.post("C0DATA", "root")
    page = await visit("requester", "data", rest=f"&thread={ts}")
    thread = page.get_by_test_id("thread")

    stream = await app.web.chat_stream(
        channel="C0DATA", thread_ts=ts, recipient_user_id="U0REQUESTER", recipient_team_id="T0PLAYGRND", buffer_size=1
    )
    await stream.append(markdown_text="The **mean** is ")
    await expect(thread.locator(".is-streaming strong")).to_have_text("mean")
    await stream.append(markdown_text="`4.2`.")
    await stream.stop(blocks=[gallery.section("That is all.")])

    await expect(thread.locator(".is-streaming")).to_have_count(0)
    await expect(thread).to_contain_text("The mean is 4.2.")
    await expect(thread).to_contain_text("That is all.")


async def test_a_message_shortcut_names_its_message(visit: Visit, app: SmallApp, playground: Playground) -> None:
    playground.services.team.app["shortcuts"] = [
        {"type": "message", "name": "Run on this message", "callback_id": "run_on", "description": "Start a run"}
    ]
    ts = await app.post("C0DATA", "take me")
    page = await visit("requester", "data")

    await page.get_by_test_id("message").hover()
    await page.get_by_test_id("more").click()
    await page.get_by_role("option", name="Run on this message").click()

    shortcut = await app.hears("message_action")
    assert ("run_on", ts) == (shortcut["callback_id"], shortcut["message"]["ts"])
