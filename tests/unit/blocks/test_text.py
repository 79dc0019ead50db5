"""Foreign text can be read, and can do nothing else."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.blocks.text import CUT_MARK, cut, escape, inert, length, one_line, plain, visible


@pytest.mark.parametrize(
    ("foreign", "limit", "expected"),
    [
        ("short", 10, "short"),
        ("exactly ten", 11, "exactly ten"),
        ("one word too many", 15, "one word… [cut]"),
        ("one word too many", 3, "… ["),
        ("😀😀😀", 6, "😀😀😀"),
        ("😀😀😀😀😀😀", 11, "😀😀… [cut]"),
    ],
)
def test_a_cut_is_seen(foreign: str, limit: int, expected: str) -> None:
    assert expected == cut(foreign, limit)


@given(st.text(alphabet=st.characters()), st.integers(0, 60))
def test_no_text_is_longer_than_its_limit(foreign: str, limit: int) -> None:
    for prepare in (cut, plain, one_line, inert):
        assert length(prepare(foreign, limit)) <= limit


@pytest.mark.parametrize(
    ("hidden", "expected"),
    [
        ("pay \u202e001$", r"pay \u{202E}001$"),
        ("zero\u200bwidth", r"zero\u{200B}width"),
        ("nul\x00 esc\x1b[31m", r"nul\u{0000} esc\u{001B}[31m"),
        ("half \ud83d pair", r"half \u{D83D} pair"),
        ("filler\u3164", r"filler\u{3164}"),
        ("tags \U000e0041", r"tags \u{E0041}"),
        ("line\u2028separator", r"line\u{2028}separator"),
        ("private \ue000", r"private \u{E000}"),
    ],
)
def test_what_cannot_be_seen_is_written_out(hidden: str, expected: str) -> None:
    assert expected == visible(hidden)


@pytest.mark.parametrize("ordinary", ["Größe", "你好", "مرحبا", "a\nb", "👩\u200d🔬 ❤️", "nbsp\u00a0here"])
def test_ordinary_writing_stays_as_it_is(ordinary: str) -> None:
    assert ordinary == visible(ordinary)


def test_line_ends_and_tabs_become_what_slack_shows() -> None:
    assert "a\nb\nc    d" == visible("a\r\nb\rc\td")


def test_one_line_is_one_line() -> None:
    assert "a b c" == one_line("  a\n\n b\t c ", 20)


@pytest.mark.parametrize(
    "attack",
    [
        "<!channel>",
        "<!here|here>",
        "<@U0OPERATOR>",
        "<!subteam^S0ADMINS>",
        "<#C0DATA>",
        "<https://evil.example|Approve>",
        "https://evil.example/?leak=1",
        "HTTP://evil.example",
        "mailto:ceo@example.com",
        "Approved by @cto :white_check_mark:",
        "@channel please",
        "&lt;!channel&gt;",
        ":a::b:",
    ],
)
def test_a_parsed_field_cannot_be_made_to_ping_link_or_show_emoji(attack: str) -> None:
    safe = inert(attack, 500)

    assert not re.search(r"[<>]", safe)
    assert not re.search(r"&(?!amp;|lt;|gt;)", safe)
    assert "&amp;lt;" in safe if attack.startswith("&lt;") else True
    assert not re.search(r"[a-z]+://|mailto:\w", safe, re.IGNORECASE)
    assert not re.search(r":[a-z0-9_+'-]+:", safe)
    assert not re.search(r"@(here|channel|everyone)\b", safe)


@given(st.text(alphabet="&<>ab", max_size=40), st.integers(0, 40))
def test_an_escape_is_never_cut_in_half(foreign: str, limit: int) -> None:
    safe = inert(foreign, limit)

    assert not re.search(r"&(?!amp;|lt;|gt;)", safe)


def test_a_short_text_is_only_escaped() -> None:
    assert "a &lt; b &amp; c" == inert("a < b & c", 100)
    assert "&amp;amp;" == escape("&amp;")


def test_a_huge_text_is_cut_with_a_mark() -> None:
    assert plain("x" * 10_000_000, 50) == "x" * (50 - len(CUT_MARK)) + CUT_MARK
