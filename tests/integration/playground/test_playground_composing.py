"""What Slack makes of typed text: escapes, mentions, links."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.playground.richtext import compose, from_text

PEOPLE = {"banksman": "U0BANKSMAN", "approver": "U0APPROVER", "approver2": "U0APPROVER2"}
CHANNELS = {"data": "C0DATA"}
KNOWN = {*PEOPLE.values(), *CHANNELS.values()}


def composed(text):
    return compose(text, PEOPLE, CHANNELS, KNOWN.__contains__)


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("@banksman report", "<@U0BANKSMAN> report"),
        ("<@U0BANKSMAN> report", "<@U0BANKSMAN> report"),
        ("thanks @approver2.", "thanks <@U0APPROVER2>."),
        ("mail me@approver", "mail me@approver"),
        ("@nobody", "@nobody"),
        ("<@U0NOBODY>", "&lt;@U0NOBODY&gt;"),
        ("see #data", "see <#C0DATA|data>"),
        ("@here", "<!here>"),
        ("a < b & c > d", "a &lt; b &amp; c &gt; d"),
        ("https://a.b/c?d=1&e=2.", "<https://a.b/c?d=1&amp;e=2>."),
        ("(https://a.b/)", "(<https://a.b/>)"),
        ("`@banksman <x>` and @banksman", "`@banksman &lt;x&gt;` and <@U0BANKSMAN>"),
        ("```\n@banksman\n```", "```\n@banksman\n```"),
        ("https://a.b/@banksman", "<https://a.b/@banksman>"),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
    ],
)
def test_text_is_stored_as_slack_stores_it(typed, stored):
    assert stored == composed(typed)


@given(st.text(alphabet="ab @#<>&`;.:/!|U0\nhtpsl\u00e9"))
def test_composing_composed_text_changes_nothing(typed):
    once = composed(typed)

    assert once == composed(once)


@given(st.text())
def test_stored_text_has_no_loose_brackets(typed):
    block = from_text(composed(typed), block_id="b")

    assert all(one["type"] != "text" or one["text"] for one in block["elements"][0]["elements"])


def test_stored_text_becomes_rich_text():
    block = from_text("<@U0BANKSMAN> a &lt; b <https://a.b|there> <#C0DATA|data> <!here> <!subteam^S1>", block_id="b")

    assert ["user", "text", "link", "text", "channel", "text", "broadcast", "text", "usergroup"] == [
        one["type"] for one in block["elements"][0]["elements"]
    ]
    assert " a < b " == block["elements"][0]["elements"][1]["text"]
