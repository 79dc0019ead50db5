"""Block Kit's limits: at the limit a message is taken, one past it is refused with a pointer to the place."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.models.blocks import Block

from bot.playground.blockkit import BlocksTooLong, InvalidBlocks, check_blocks, check_view
from bot.playground.blockkit.surfaces import with_ids

KEYS = [
    "type", "text", "elements", "options", "option_groups", "block_id", "action_id", "fields", "accessory", "element",
    "label", "rows", "tasks", "child_blocks", "confirm", "title", "value", "initial_options", "style", "slack_file",
]  # fmt: skip


def plain(words="x"):
    return {"type": "plain_text", "text": words}


def mrkdwn(words="x"):
    return {"type": "mrkdwn", "text": words}


def section(**more):
    return {"type": "section", "text": mrkdwn(), **more}


def actions(*elements):
    return {"type": "actions", "elements": list(elements)}


def button(**more):
    return {"type": "button", "text": plain(), **more}


def select(count=1, **more):
    options = [{"text": plain(), "value": str(number)} for number in range(count)]
    return {"type": "static_select", "options": options, **more}


def rich(*elements):
    return {"type": "rich_text", "elements": list(elements)}


def rich_section(*inlines):
    return {"type": "rich_text_section", "elements": list(inlines)}


def field(element=None, **more):
    inner = element or {"type": "plain_text_input"}
    return {"type": "input", "label": plain(), "element": inner, **more}


def repeat(make, count):
    return [make(number) for number in range(count)]


AT_THE_LIMIT = {
    "50 blocks": repeat(lambda _: {"type": "divider"}, 50),
    "section text": [section(text=mrkdwn("x" * 3000))],
    "10 fields": [{"type": "section", "fields": repeat(lambda _: mrkdwn("x" * 1000), 10)}],
    "a long field": [{"type": "section", "fields": [mrkdwn("x" * 2000)]}],
    "header": [{"type": "header", "text": plain("x" * 150)}],
    "10 context elements": [{"type": "context", "elements": repeat(lambda _: mrkdwn(), 10)}],
    "25 actions": [actions(*repeat(lambda number: button(action_id=str(number)), 25))],
    "button text": [actions(button(text=plain("x" * 75)))],
    "button value": [actions(button(value="x" * 2000))],
    "action_id": [actions(button(action_id="x" * 255))],
    "block_id": [{"type": "divider", "block_id": "x" * 255}],
    "100 options": [actions(select(100))],
    "markdown": [{"type": "markdown", "text": "x" * 12_000}],
    "overflow": [actions({"type": "overflow", "options": select(5)["options"]})],
    "table": [{"type": "table", "rows": [[{"type": "raw_text", "text": "a"}] * 20] * 100}],
    "sum of texts": repeat(lambda _: section(text=mrkdwn("x" * 2640)), 5),
    "input": [field(dispatch_action=True)],
    "confirm": [actions(button(confirm={"title": plain(), "text": mrkdwn("x" * 300), "confirm": plain()}))],
    "rich text": [
        rich(
            rich_section({"type": "text", "text": "a", "style": {"bold": True}}, {"type": "user", "user_id": "U1"}),
            {"type": "rich_text_list", "style": "bullet", "indent": 1, "elements": [rich_section()]},
            {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "a"}], "border": 0},
            {"type": "rich_text_quote", "elements": [{"type": "link", "url": "https://example.com"}]},
        )
    ],
    "plan": [
        {
            "type": "plan",
            "title": "Plan",
            "tasks": [
                {
                    "type": "task_card",
                    "task_id": "1",
                    "title": "Read",
                    "status": "complete",
                    "output": rich(rich_section({"type": "text", "text": "done"})),
                }
            ],
        }
    ],
    "card": [{"type": "card", "title": mrkdwn("x" * 150), "body": mrkdwn("x" * 200), "actions": [button()]}],
    "container": [{"type": "container", "title": plain(), "child_blocks": [section()]}],
    "context actions": [
        {
            "type": "context_actions",
            "elements": [
                {
                    "type": "feedback_buttons",
                    "positive_button": {"text": plain(), "value": "+"},
                    "negative_button": {"text": plain(), "value": "-"},
                }
            ],
        }
    ],
    "accessory": [section(accessory=button())],
    "multi-select among actions": [actions({"type": "multi_users_select"})],
    "data table": [
        {
            "type": "data_table",
            "caption": "Numbers",
            "rows": [[{"type": "raw_text", "text": "n"}], [{"type": "raw_number", "value": 1}]],
        }
    ],
    "image": [{"type": "image", "alt_text": "x", "image_url": "https://example.com/a.png"}],
}


@pytest.mark.parametrize("name", AT_THE_LIMIT)
async def test_a_message_at_the_limit_is_taken(client, name):
    blocks = AT_THE_LIMIT[name]

    posted = await client.chat_postMessage(channel="C0OPS", text="x", blocks=blocks)

    assert len(blocks) == len(posted["message"]["blocks"])
    for block in blocks:
        # What we take, Slack's own models take too.
        parsed = Block.parse(block)
        assert parsed is None or parsed.to_dict()


PAST_THE_LIMIT = {
    "51 blocks": (repeat(lambda _: {"type": "divider"}, 51), "no more than 50 items allowed", ""),
    "section text": ([section(text=mrkdwn("x" * 3001))], "must be less than 3001 characters", "/0/text/text"),
    "empty text": ([section(text=mrkdwn(""))], "must be more than 0 characters", "/0/text/text"),
    "no text": ([{"type": "section"}], "missing required field: text", "/0"),
    "11 fields": ([{"type": "section", "fields": [mrkdwn()] * 11}], "no more than 10 items allowed", "/0/fields"),
    "a long field": ([{"type": "section", "fields": [mrkdwn("x" * 2001)]}], "less than 2001", "/0/fields/0/text"),
    "header": ([{"type": "header", "text": plain("x" * 151)}], "less than 151", "/0/text/text"),
    "mrkdwn header": ([{"type": "header", "text": mrkdwn()}], "plain_text", "/0/text/type"),
    "11 context elements": ([{"type": "context", "elements": [mrkdwn()] * 11}], "no more than 10", "/0/elements"),
    "26 actions": ([actions(*[button()] * 26)], "no more than 25 items allowed", "/0/elements"),
    "no actions": ([actions()], "no fewer than 1 items allowed", "/0/elements"),
    "button text": ([actions(button(text=plain("x" * 76)))], "less than 76", "/0/elements/0/text/text"),
    "mrkdwn button": ([actions(button(text=mrkdwn()))], "plain_text", "/0/elements/0/text/type"),
    "button value": ([actions(button(value="x" * 2001))], "less than 2001", "/0/elements/0/value"),
    "button style": ([actions(button(style="loud"))], "must be a valid enum value", "/0/elements/0/style"),
    "action_id": ([actions(button(action_id="x" * 256))], "less than 256", "/0/elements/0/action_id"),
    "twice the action_id": (
        [actions(button(action_id="a"), button(action_id="a"))],
        "already exists",
        "/0/elements/1/action_id",
    ),
    "block_id": ([{"type": "divider", "block_id": "x" * 256}], "less than 256", "/0/block_id"),
    "twice the block_id": ([{"type": "divider", "block_id": "a"}] * 2, "already exists", "/1/block_id"),
    "101 options": ([actions(select(101))], "no more than 100 items allowed", "/0/elements/0/options"),
    "no options": ([actions(select(0))], "no fewer than 1", "/0/elements/0/options"),
    "long option value": (
        [actions(select(options=[{"text": plain(), "value": "x" * 151}]))],
        "less than 151",
        "/0/elements/0/options/0/value",
    ),
    "6 in an overflow": (
        [actions({"type": "overflow", "options": select(6)["options"]})],
        "no more than 5",
        "/0/elements/0/options",
    ),
    "initial option from elsewhere": (
        [actions(select(initial_option={"text": plain(), "value": "z"}))],
        "must be one of the provided options",
        "/0/elements/0/initial_option",
    ),
    "unknown block": ([{"type": "marquee"}], "unsupported type: marquee", "/0/type"),
    "no type": ([{}], "missing required field: type", "/0"),
    "not a block": (["hello"], "must be an object", "/0"),
    "unknown field": ([{"type": "divider", "colour": "red"}], "invalid additional property: colour", "/0"),
    "unknown field of a text": ([section(text={**mrkdwn(), "bold": True})], "invalid additional property", "/0/text"),
    "alert in a message": ([{"type": "alert", "text": plain()}], "not allowed in a message", "/0/type"),
    "image in actions": (
        [actions({"type": "image", "alt_text": "a"})],
        "unsupported type: image",
        "/0/elements/0/type",
    ),
    "text input in actions": (
        [actions({"type": "plain_text_input"})],
        "unsupported type: plain_text_input",
        "/0/elements/0/type",
    ),
    "file input in a message": ([field({"type": "file_input"})], "unsupported type: file_input", "/0/element/type"),
    "input without a label": ([{"type": "input", "element": select()}], "missing required field: label", "/0"),
    "an image nobody can fetch": (
        [{"type": "image", "alt_text": "a", "image_url": "http://127.0.0.1/a.png"}],
        "downloading image failed",
        "/0/image_url",
    ),
    "an image without words": (
        [{"type": "image", "image_url": "https://example.com/a.png"}],
        "missing required field: alt_text",
        "/0",
    ),
    "21 columns": (
        [{"type": "table", "rows": [[{"type": "raw_text", "text": "a"}] * 21]}],
        "1 to 20 cells",
        "/0/rows/0",
    ),
    "a data table without rows": (
        [{"type": "data_table", "caption": "x", "rows": [[{"type": "raw_text", "text": "a"}]]}],
        "no fewer than 2",
        "/0/rows",
    ),
    "a ragged data table": (
        [
            {
                "type": "data_table",
                "caption": "x",
                "rows": [[{"type": "raw_text", "text": "a"}] * 2, [{"type": "raw_text", "text": "a"}]],
            }
        ],
        "same number of cells",
        "/0/rows/1",
    ),
    "two tables": ([{"type": "table", "rows": [[{"type": "raw_text", "text": "a"}]]}] * 2, "only one table", ""),
    "a task without a status": (
        [{"type": "task_card", "task_id": "1", "title": "a"}],
        "missing required field: status",
        "/0",
    ),
    "a status of its own": (
        [{"type": "task_card", "task_id": "1", "title": "a", "status": "sleeping"}],
        "must be a valid enum value",
        "/0/status",
    ),
    "bare text in rich text": (
        [rich({"type": "text", "text": "a"})],
        "unsupported type: text",
        "/0/elements/0/type",
    ),
    "a section in a quote": (
        [rich({"type": "rich_text_quote", "elements": [rich_section()]})],
        "unsupported type: rich_text_section",
        "/0/elements/0/elements/0/type",
    ),
    "an empty inline text": (
        [rich(rich_section({"type": "text", "text": ""}))],
        "more than 0",
        "/0/elements/0/elements/0",
    ),
    "a style of its own": (
        [rich(rich_section({"type": "text", "text": "a", "style": {"blink": True}}))],
        "invalid additional property: blink",
        "/0/elements/0/elements/0/style",
    ),
    "confirm without a text": (
        [actions(button(confirm={"title": plain()}))],
        "missing required field: text",
        "/0/elements/0/confirm",
    ),
    "a card with nothing in it": ([{"type": "card"}], "one of hero_image", "/0"),
}


@pytest.mark.parametrize("name", PAST_THE_LIMIT)
async def test_a_message_past_the_limit_is_refused_with_the_place(client, people, refused, name):
    blocks, problem, place = PAST_THE_LIMIT[name]

    answer = await refused("invalid_blocks", client.chat_postMessage(channel="C0OPS", text="x", blocks=blocks))

    told = [one for one in answer["errors"] if problem in one and f"[json-pointer:/blocks{place}" in one]
    assert told, answer["errors"]
    assert [f"[ERROR] {one}" for one in answer["errors"]] == answer["response_metadata"]["messages"]
    assert [] == await people.bot_messages()


async def test_blocks_that_are_too_much_together_have_an_error_of_their_own(client, refused):
    blocks = repeat(lambda _: section(text=mrkdwn("x" * 2641)), 5)

    await refused("msg_blocks_too_long", client.chat_postMessage(channel="C0OPS", text="x", blocks=blocks))


def modal(**more):
    return {"type": "modal", "title": plain("x" * 24), "blocks": [section()], **more}


@pytest.fixture
async def open_view(app, people, client):
    async def open_view(view):
        await people.do("commands", user="U0MEMBER", channel="C0OPS", command="/banksman", text="")
        return await client.views_open(trigger_id=app.payloads("slash_commands")[-1]["trigger_id"], view=view)

    return open_view


@pytest.mark.parametrize(
    "more",
    [
        {"blocks": repeat(lambda _: {"type": "divider"}, 100)},
        {"submit": plain("x" * 24), "close": plain("x" * 24)},
        {"private_metadata": "x" * 3000},
        {"blocks": [{"type": "alert", "text": plain(), "level": "warning"}]},
        {"blocks": [field({"type": "file_input"})], "submit": plain()},
        {"callback_id": "x" * 255},
    ],
)
async def test_a_view_at_the_limit_is_opened(open_view, more):
    assert (await open_view(modal(**more)))["view"]["id"].startswith("V0")


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (
            {"blocks": repeat(lambda _: {"type": "divider"}, 101)},
            "no more than 100 items allowed [json-pointer:/view/bl",
        ),
        ({"title": plain("x" * 25)}, "must be less than 25 characters [json-pointer:/view/title/text]"),
        ({"submit": plain("x" * 25)}, "[json-pointer:/view/submit/text]"),
        ({"close": mrkdwn()}, "[json-pointer:/view/close/type]"),
        ({"private_metadata": "x" * 3001}, "must be less than 3001 characters [json-pointer:/view/private_metadata]"),
        ({"blocks": [field()]}, "submit is needed"),
        ({"blocks": [{"type": "markdown", "text": "x"}]}, "markdown is not allowed in a modal"),
        ({"blocks": [{"type": "plan", "title": "x"}]}, "plan is not allowed in a modal"),
        ({"blocks": None}, "missing required field: blocks"),
        ({"colour": "red"}, "invalid additional property: colour"),
        ({"type": "window"}, "must be a valid enum value: modal"),
        ({"callback_id": "x" * 256}, "[json-pointer:/view/callback_id]"),
    ],
)
async def test_a_view_past_the_limit_is_refused_with_the_place(open_view, refused, more, problem):
    answer = await refused("invalid_arguments", open_view(modal(**more)))

    assert any(problem in one for one in answer["response_metadata"]["messages"]), answer


async def test_an_enormous_view_is_too_large(open_view, refused):
    blocks = repeat(lambda number: section(text=mrkdwn("x" * 2900), block_id=str(number)), 100)

    await refused("view_too_large", open_view(modal(blocks=blocks)))


async def test_only_one_element_takes_the_focus(open_view, refused):
    focused = {"type": "plain_text_input", "focus_on_load": True}

    await refused("invalid_arguments", open_view(modal(blocks=[field(focused), field(focused)], submit=plain())))


async def test_ids_are_given_to_what_has_none(client):
    posted = await client.chat_postMessage(channel="C0OPS", text="x", blocks=[actions(button()), section()])

    first, second = posted["message"]["blocks"]
    assert first["block_id"] != second["block_id"]
    assert first["elements"][0]["action_id"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 99) | st.text(max_size=5) | st.sampled_from(["section", "plain_text"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def spoiled(draw):
    """A good block list in which one place, somewhere, became something else."""
    blocks = json.loads(json.dumps(draw(st.sampled_from(list(AT_THE_LIMIT.values())))[:3]))
    spot, parent, key = blocks, None, None
    while isinstance(spot, dict | list) and spot and (parent is None or draw(st.integers(0, 3))):
        parent = spot
        key = draw(st.sampled_from(sorted(spot) if isinstance(spot, dict) else range(min(len(spot), 3))))
        spot = spot[key]
    parent[key] = draw(VALUES)
    return blocks


@given(spoiled())
def test_whatever_an_app_sends_is_taken_or_refused(blocks):
    try:
        taken = check_blocks(blocks, lambda _: False)
    except (InvalidBlocks, BlocksTooLong):
        return
    assert taken == with_ids(taken)


@given(VALUES)
def test_whatever_an_app_sends_as_a_view_is_taken_or_refused(value):
    with contextlib.suppress(InvalidBlocks):
        check_view({"type": "modal", "title": plain(), "blocks": value}, lambda _: False, home=False)
