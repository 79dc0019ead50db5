"""One of everything a page has to draw: blocks, elements, a modal, a home, and text that means harm.

Used by the tests beside it and by `pictures.py`, which turns it into screenshots. Pure data.
"""

from typing import Any

Json = dict[str, Any]


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str) -> Json:
    return {"type": "mrkdwn", "text": text}


def section(text: str, **more: Any) -> Json:
    return {"type": "section", "text": mrkdwn(text), **more}


def option(value: str, text: str, note: str | None = None) -> Json:
    return {"text": plain(text), "value": value, **({"description": plain(note)} if note else {})}


def button(action_id: str, text: str, **more: Any) -> Json:
    return {"type": "button", "action_id": action_id, "text": plain(text), "value": action_id, **more}


def rich(*elements: Json) -> Json:
    return {"type": "rich_text", "elements": list(elements)}


def words(*parts: Json | str) -> Json:
    spans = [{"type": "text", "text": part} if isinstance(part, str) else part for part in parts]
    return {"type": "rich_text_section", "elements": spans}


def styled(text: str, **style: bool) -> Json:
    return {"type": "text", "text": text, "style": style}


TEXTS: list[Json] = [
    {"type": "header", "text": plain("Text blocks :memo:")},
    section(
        "*bold*, _italic_, ~struck~, `code`, *_both_*, snake_case_name, 2*3*4, <https://example.com|a link>, "
        "<@U0APPROVER>, <#C0DATA>, <!here>, :eyes: and &lt;b&gt;no markup&lt;/b&gt; &amp; friends\n"
        "&gt; a quote of one line\nthen on, due <!date^1700000000^{date_short_pretty} at {time}|14 Nov 2023>\n"
        "```$ banksman runs --state executing\nrun_01  executing  report```"
    ),
    section(
        "Fields stand in two columns:",
        fields=[
            mrkdwn("*Agent*\nreport"),
            mrkdwn("*Budget*\n$0.50 of $2.00"),
            mrkdwn("*Started*\n14:02"),
            plain("plain text"),
        ],
    ),
    {"type": "context", "elements": [mrkdwn("run `r_8f3` · by <@U0REQUESTER> · cost so far *$0.03*")]},
    {"type": "divider"},
    {
        "type": "markdown",
        "text": "# Summary\n\nThe **mean** is `4.2`, see [the notes](https://example.com/notes).\n\n"
        "1. first\n2. second\n   - nested\n   - *also* nested\n\n> quoted\n\n"
        "| name | n |\n|:--|--:|\n| north | 12 |\n| south | 7 |\n\n"
        "```python\nprint('hello')\n```\n\n- [x] done\n- [ ] to do\n\n---\nend",
    },
]

RICH: list[Json] = [
    rich(
        words(
            "Plain, ",
            styled("bold", bold=True),
            ", ",
            styled("italic", italic=True),
            ", ",
            styled("struck", strike=True),
            ", ",
            styled("code", code=True),
            ", ",
            {"type": "link", "url": "https://example.com", "text": "a link"},
            ", ",
            {"type": "user", "user_id": "U0OPERATOR"},
            ", ",
            {"type": "channel", "channel_id": "C0OPS"},
            ", ",
            {"type": "emoji", "name": "white_check_mark"},
            ", ",
            {"type": "broadcast", "range": "here"},
            ", ",
            {"type": "date", "timestamp": 1700000000, "format": "{date_num}", "fallback": "2023-11-14"},
            "\nnext line",
        ),
        {
            "type": "rich_text_list",
            "style": "bullet",
            "indent": 0,
            "elements": [words("outer one"), words("outer two")],
        },
        {
            "type": "rich_text_list",
            "style": "ordered",
            "indent": 1,
            "elements": [words("inner first"), words("inner second")],
        },
        {"type": "rich_text_list", "style": "bullet", "indent": 0, "elements": [words("outer three")]},
        {"type": "rich_text_quote", "elements": [{"type": "text", "text": "words of somebody"}]},
        {
            "type": "rich_text_preformatted",
            "elements": [{"type": "text", "text": "- old line\n+ new line " + "wide " * 40}],
        },
    ),
]

TABLES: list[Json] = [
    {
        "type": "table",
        "column_settings": [{"align": "left"}, {"align": "right"}, {"is_wrapped": True}],
        "rows": [
            [{"type": "raw_text", "text": text} for text in ("region", "rows", "remark")],
            [
                {"type": "raw_text", "text": "north"},
                {"type": "raw_number", "value": 1200, "text": "1,200"},
                rich(words(styled("fine", bold=True))),
            ],
            [
                {"type": "raw_text", "text": "south"},
                {"type": "raw_text", "text": "7"},
                {"type": "raw_text", "text": "a remark long enough to wrap over lines"},
            ],
        ],
    },
]

DATA_TABLE: list[Json] = [
    {
        "type": "data_table",
        "caption": "Sales by region",
        "page_size": 3,
        "rows": [
            [{"type": "raw_text", "text": "Region"}, {"type": "raw_text", "text": "Sales"}],
            *[
                [{"type": "raw_text", "text": name}, {"type": "raw_number", "value": value, "text": f"{value:,}"}]
                for name, value in (("North", 1200), ("South", 340), ("East", 90), ("West", 2210), ("Centre", 610))
            ],
        ],
    },
]


def _task(task_id: str, title: str, status: str, **more: Any) -> Json:
    return {"type": "task_card", "task_id": task_id, "title": title, "status": status, **more}


PLANS: list[Json] = [
    {
        "type": "plan",
        "title": "Report on sales.csv",
        "tasks": [
            _task("t1", "Read the file", "complete", output=rich(words("1,204 rows, 6 columns"))),
            _task("t2", "Compute the numbers", "in_progress", details=rich(words("mean, median, outliers"))),
            _task("t3", "Draw the picture", "pending"),
            _task("t4", "Ask for the weather", "error", output=rich(words("The host is not on the allow list."))),
        ],
    },
    _task(
        "solo",
        "A task of its own",
        "complete",
        sources=[{"type": "url", "url": "https://example.com/a", "text": "Source A"}],
    ),
]

CARDS: list[Json] = [
    {
        "type": "card",
        "title": mrkdwn("Push branch `fix/whitespace`"),
        "subtitle": plain("to git.example.com/acme/site"),
        "body": mrkdwn("3 files changed, *12* insertions"),
        "actions": [button("card_approve", "Approve", style="primary"), button("card_deny", "Deny…", style="danger")],
    },
    {
        "type": "carousel",
        "elements": [
            {
                "type": "card",
                "title": plain(f"Option {n}"),
                "body": plain("A short description of it."),
                "actions": [button(f"take_{n}", "Take it")],
            }
            for n in range(1, 5)
        ],
    },
    {
        "type": "container",
        "title": plain("Details"),
        "subtitle": plain("what would be sent"),
        "is_collapsible": True,
        "child_blocks": [section("Inside a container."), {"type": "divider"}, section("And more.")],
    },
    {
        "type": "container",
        "title": plain("Effect"),
        "width": "narrow",
        "has_header_divider": True,
        "child_blocks": [section("One push to one branch.")],
    },
]

MEDIA: list[Json] = [
    {
        "type": "image",
        "image_url": "https://example.com/plot.png",
        "alt_text": "A plot that lives elsewhere",
        "title": plain("Elsewhere"),
    },
    {
        "type": "video",
        "title": plain("How a run is stopped"),
        "title_url": "https://example.com/watch",
        "video_url": "https://example.com/embed",
        "thumbnail_url": "https://example.com/thumb.png",
        "alt_text": "a video",
        "description": plain("Two minutes"),
        "provider_name": "Example",
        "author_name": "Ops",
    },
]

ELEMENTS: list[Json] = [
    section(
        "Confirm first",
        accessory=button(
            "confirmed",
            "Kill",
            style="danger",
            confirm={
                "title": plain("Stop this run?"),
                "text": mrkdwn("Everything it started *is ended*."),
                "confirm": plain("Stop it"),
                "deny": plain("Keep it"),
                "style": "danger",
            },
        ),
    ),
    section(
        "Choose one",
        accessory={
            "type": "static_select",
            "action_id": "pick",
            "placeholder": plain("Pick a planner"),
            "options": [
                option("playbook", "Playbook", "deterministic"),
                option("model", "Model"),
                option("none", "None"),
            ],
        },
    ),
    section(
        "More",
        accessory={
            "type": "overflow",
            "action_id": "over",
            "options": [option("details", "Details"), option("explain", "Explain")],
        },
    ),
    {
        "type": "actions",
        "block_id": "row",
        "elements": [
            button("plain", "Details"),
            button("go", "Approve", style="primary"),
            button("no", "Deny…", style="danger"),
            {"type": "button", "action_id": "url", "text": plain("Open docs"), "url": "https://example.com/docs"},
            {"type": "users_select", "action_id": "who", "placeholder": plain("Somebody")},
            {"type": "channels_select", "action_id": "where", "placeholder": plain("Somewhere")},
            {"type": "datepicker", "action_id": "day", "initial_date": "2026-11-28"},
            {"type": "timepicker", "action_id": "hour", "initial_time": "14:30"},
        ],
    },
    {
        "type": "actions",
        "block_id": "boxes",
        "elements": [
            {
                "type": "radio_buttons",
                "action_id": "radio",
                "options": [option("a", "Ask every time"), option("b", "Ask me once")],
                "initial_option": option("a", "Ask every time"),
            },
            {
                "type": "checkboxes",
                "action_id": "checks",
                "options": [option("x", "Numbers", "mean and median"), option("y", "Picture")],
            },
        ],
    },
    {
        "type": "context_actions",
        "block_id": "fb",
        "elements": [
            {
                "type": "feedback_buttons",
                "action_id": "fb",
                "positive_button": {"text": plain("Good"), "value": "good"},
                "negative_button": {"text": plain("Bad"), "value": "bad"},
            },
            {"type": "icon_button", "action_id": "bin", "icon": "trash", "text": plain("Remove"), "value": "bin"},
        ],
    },
]

SAMPLES: list[tuple[str, list[Json]]] = [
    ("texts", TEXTS),
    ("rich text", RICH),
    ("table", TABLES),
    ("data table", DATA_TABLE),
    ("plans", PLANS),
    ("cards", CARDS),
    ("media", MEDIA),
    ("elements", ELEMENTS),
]

BEYOND_MESSAGES: list[Json] = [
    {"type": "alert", "level": level, "text": mrkdwn(f"An alert of level *{level}*")}
    for level in ("default", "info", "success", "warning", "error")
]


def _input(block_id: str, label: str, element: Json, **more: Any) -> Json:
    return {
        "type": "input",
        "block_id": block_id,
        "label": plain(label),
        "element": {"action_id": "v", **element},
        **more,
    }


MODAL: Json = {
    "type": "modal",
    "callback_id": "gallery",
    "notify_on_close": True,
    "title": plain("Run a playbook"),
    "submit": plain("Run"),
    "close": plain("Cancel"),
    "blocks": [
        {"type": "alert", "level": "warning", "text": mrkdwn("The file was *not* attached.")},
        _input(
            "name",
            "Name",
            {"type": "plain_text_input", "placeholder": plain("sales")},
            hint=plain("Shown on the card."),
        ),
        _input("why", "Reason", {"type": "plain_text_input", "multiline": True}, optional=True),
        _input(
            "rows", "Rows", {"type": "number_input", "is_decimal_allowed": False, "min_value": "1", "max_value": "100"}
        ),
        _input("mail", "E-mail", {"type": "email_text_input"}, optional=True),
        _input("address", "Address", {"type": "url_text_input"}, optional=True),
        _input(
            "kind", "Kind", {"type": "static_select", "options": [option("fast", "Fast"), option("slow", "Thorough")]}
        ),
        _input("people", "Approvers", {"type": "multi_users_select"}, optional=True),
        _input(
            "tags",
            "Tags",
            {"type": "multi_static_select", "options": [option("a", "alpha"), option("b", "beta")]},
            optional=True,
        ),
        _input("day", "Day", {"type": "datepicker"}, optional=True),
        _input("at", "Moment", {"type": "datetimepicker"}, optional=True),
        _input(
            "how",
            "How",
            {"type": "radio_buttons", "options": [option("ask", "Ask"), option("auto", "Automatic")]},
            optional=True,
        ),
        _input(
            "what",
            "Outputs",
            {"type": "checkboxes", "options": [option("n", "Numbers"), option("p", "Picture")]},
            optional=True,
        ),
        _input("notes", "Notes", {"type": "rich_text_input"}, optional=True),
        _input("files", "Files", {"type": "file_input", "max_files": 2}, optional=True),
    ],
}

HOME: Json = {
    "type": "home",
    "blocks": [
        {"type": "header", "text": plain("Waiting on me")},
        section("*Push branch* `fix/whitespace` to acme/site", accessory=button("home_details", "Details")),
        {"type": "context", "elements": [mrkdwn("expires in 3 h · needs 1 of 2")]},
        {"type": "divider"},
        {"type": "header", "text": plain("My runs")},
        section("`r_8f3` report · executing"),
        {
            "type": "actions",
            "elements": [button("home_refresh", "Refresh"), button("home_stop", "Kill", style="danger")],
        },
    ],
}

RLO, LRI, ZWSP = "\u202e", "\u2066", "\u200b"

HOSTILE: list[str] = [
    "<script>window.hurt = 1</script><img src=x onerror='window.hurt = 1'>",
    "&lt;img src=x onerror=window.hurt=1&gt;",
    "<javascript:window.hurt=1|click me> <data:text/html,hi|or me> <https://example.com/|https://bank.example>",
    f"invoice {RLO}gnp.exe and {LRI}unclosed isolate",
    "W" * 2500,
    "https://example.com/" + "a/" * 600,
    f"{ZWSP * 200}nothing to see",
    "*" * 3000,
    "_*~" * 800 + "a",
    "`" * 2000 + "<" * 500,
    "```" + "\n" * 60 + "never closed",
    "Z\u0351\u036b\u0343" * 200,
    "<!date^99999999999999^{date}|never> <!date^abc^{time}|no> <#CNOPE> <@UNOPE> <!subteam^S1> <>",
    "{{constructor.constructor('window.hurt = 1')()}} ${window.hurt = 1}",
]
"""Texts as an app would send them raw; drawing them must leave `window.hurt` undefined and the page no wider."""
