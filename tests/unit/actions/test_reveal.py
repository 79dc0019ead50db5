"""Every character is visible: nothing hides, turns round or looks like something else, and nothing is lost."""

import re
import sys
import unicodedata
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.actions.reveal import LEAST_PAGE, escape, mixes_scripts, pages, reveal, unreveal

INVISIBLE = [0x3164, 0x115F, 0x1160, 0xFFA0, 0x2800, 0x034F, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]
TURNING = [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
TAGS = range(0xE0000, 0xE0080)
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Mn", "Me", "Mc"}
WRITTEN = re.compile(r"\\u\{([0-9A-F]{4,6})\}")
TRICKY = ["\\", "u", "{", "}", "0", "4", "1", "A", "а", "ж", "\u202e", "a", "\n", " ", "\U0001f600", "\ud800", "א", "é"]


def every_character() -> Iterator[list[str]]:
    """All code points in blocks."""
    for start in range(0, sys.maxunicode + 1, 4096):
        yield [chr(number) for number in range(start, start + 4096)]


def units(text: str) -> int:
    """Length in UTF-16 units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def test_of_all_characters_only_plain_letters_stay_and_each_can_be_read_back() -> None:
    kept = set()
    for chars in every_character():
        text = " ".join(chars)
        shown = reveal(text)
        assert text == unreveal(shown)
        kept |= set(shown)
    assert {chr(number) for number in range(0x20, 0x7F)} | {"\n"} == {char for char in kept if char.isascii()}
    letters = {char for char in kept if not char.isascii()}
    assert set() == {char for char in letters if unicodedata.category(char) not in ("Ll", "Lu", "Lo")}
    assert set() == {char for char in letters if unicodedata.normalize("NFKC", char) != char}
    assert set() == letters & {chr(number) for number in (*INVISIBLE, *TURNING, *TAGS)}
    assert set("éüñßøłжяψωは日한ქअ") <= letters


def test_what_cannot_be_seen_is_written_out_wherever_it_stands() -> None:
    hidden = [char for chars in every_character() for char in chars if unicodedata.category(char) in HIDDEN]
    spaces = [chr(n) for n in range(0x80, sys.maxunicode + 1) if unicodedata.category(chr(n)) == "Zs"]
    invisible = [*map(chr, (*INVISIBLE, *TURNING, *TAGS)), *spaces, *(char for char in hidden if char != "\n")]
    assert "".join(map(escape, invisible)) == reveal("".join(invisible))
    few = [*map(chr, (*INVISIBLE, *TURNING, *TAGS)), *spaces]
    for before, after in (("a", "b"), ("ж", "ж"), ("日", "本"), ("\u05d0", "\u05d1")):
        for char in few:
            shown = reveal(f"{before}{char}{after}")
            assert char not in shown
            assert escape(char) in shown


def test_no_letter_of_another_script_stays_in_a_latin_word() -> None:
    letters = [char for chars in every_character() for char in chars if unicodedata.category(char).startswith("L")]
    text = " ".join(f"pa{char}pal" for char in letters)
    shown = reveal(text)
    assert text == unreveal(shown)
    stay = {char for char in shown if not char.isascii()}
    assert set() == {char for char in stay if not unicodedata.name(char).startswith("LATIN ")}


def test_letters_that_stay_cannot_join_into_what_looks_like_another_text() -> None:
    for text in ("\u1100\u1161", "\uac00\u11a8", "e\u0301", "и\u0306", "\u0958", "か\u3099"):
        shown = reveal(text)
        assert unicodedata.normalize("NFKC", shown) == shown
        assert shown != reveal(unicodedata.normalize("NFC", text))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, 100 % ~`|\\", "plain text, 100 % ~`|\\"),
        ("Grüße à ñandú, Øresund, łódź, þú", "Grüße à ñandú, Øresund, łódź, þú"),
        ("日本語のテスト サーバー 人々", "日本語のテスト サーバー 人々"),
        ("한국어 漢字", "한국어 漢字"),
        ("привет мир", "привет мир"),
        ("καλημέρα κόσμε", "καλημέρα κόσμε"),
        ("tab\there\r\nnext", "tab\\u{0009}here\\u{000D}\nnext"),
        ("—…", "\\u{2014}\\u{2026}"),
        ("٣", "\\u{0663}"),
        ("\ud800", "\\u{D800}"),
        ("\U0001f600", "\\u{1F600}"),
    ],
)
def test_ordinary_writing_stays_and_signs_are_written_out(text: str, shown: str) -> None:
    assert shown == reveal(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("pаypal", "p\\u{0430}ypal"),
        ("раypal", "\\u{0440}\\u{0430}ypal"),
        ("gοοgle", "g\\u{03BF}\\u{03BF}gle"),
        ("аре", "\\u{0430}\\u{0440}\\u{0435}"),
        ("ёѐ", "\\u{0451}\\u{0450}"),
        ("ΑΒΕ", "\\u{0391}\\u{0392}\\u{0395}"),
        ("օս", "\\u{0585}\\u{057D}"),
        ("ᎪᎡᎢ", "\\u{13AA}\\u{13A1}\\u{13A2}"),
        ("ꓐꓮꓓ", "\\u{A4D0}\\u{A4EE}\\u{A4D3}"),
        ("etcノpasswd", "etc\\u{30CE}passwd"),
        ("a 丨 b ー c", "a \\u{4E28} b \\u{30FC} c"),
        ("ɡithub", "\\u{0261}ithub"),
        ("ıɑʟǃǀƽſĸŉ", "\\u{0131}\\u{0251}\\u{029F}\\u{01C3}\\u{01C0}\\u{01BD}\\u{017F}\\u{0138}\\u{0149}"),
        ("ｐａｙ", "\\u{FF50}\\u{FF41}\\u{FF59}"),
        ("ﬁle", "\\u{FB01}le"),
        ("𝐚dmin", "\\u{1D41A}dmin"),
        ("ªdmin \u212a", "\\u{00AA}dmin \\u{212A}"),
    ],
)
def test_what_looks_like_another_letter_is_written_out(text: str, shown: str) -> None:
    assert shown == reveal(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("e\u0301", "e\\u{0301}"),
        ("ab\u200bc", "ab\\u{200B}c"),
        ("a\u200db", "a\\u{200D}b"),
        ("\u202etxt.exe", "\\u{202E}txt.exe"),
        ("a\u00a0b", "a\\u{00A0}b"),
        ("a\u2800b", "a\\u{2800}b"),
        ("a\ufe0fb", "a\\u{FE0F}b"),
        ("rm\U000e0041", "rm\\u{E0041}"),
    ],
)
def test_what_hides_joins_or_turns_is_written_out(text: str, shown: str) -> None:
    assert shown == reveal(text)


def test_small_words_of_a_sentence_stay_where_its_script_is_evident() -> None:
    assert "не удалять" == reveal("не удалять"), "the word that turns the meaning can be read"
    assert "\\u{043D}\\u{0435}" == reveal("не")
    assert "\\u{0441}\\u{043E}\\u{043C} удалять" == reveal("сом удалять"), (
        "what is taken for Latin anywhere never stays"
    )


def test_right_to_left_letters_stay_only_where_nothing_can_change_places_with_them() -> None:
    assert "\u05e9\u05dc\u05d5\u05dd, \u05d0\u05d1\u05d2" == reveal("\u05e9\u05dc\u05d5\u05dd, \u05d0\u05d1\u05d2")
    for mixed in ("/\u05d0\u05d1/\u05d2\u05d3/x", "\u05d0\u05d1 100 - 200", "pay \u0628\u062a now", "(\u05d0\u05d1)"):
        shown = reveal(mixed)
        assert shown.isascii(), "one line has one direction"
        assert mixed == unreveal(shown)


def test_what_is_shown_does_not_depend_on_the_unicode_of_this_python() -> None:
    added_later = ["\u04cf", "\u1e9e", "\u0526", "\U0002a700", "\u9fbc", "\u10fd"]
    assert [escape(char) for char in added_later] == [reveal(char) for char in added_later]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\\u{41}", "\\u{005C}u{41}"),
        ("\\u{0041}", "\\u{005C}u{0041}"),
        ("\\\\u{202E}", "\\\\u{005C}u{202E}"),
        ("\\\u202e", "\\\\u{202E}"),
        ("\\u{\u202e", "\\u{005C}u{\\u{202E}"),
        ("\\u\\u{", "\\u\\u{005C}u{"),
        ("\\u{привет", "\\u{005C}u{привет"),
        ("C:\\users\\u", "C:\\users\\u"),
    ],
)
def test_our_own_writing_in_a_text_is_not_taken_for_ours(text: str, shown: str) -> None:
    assert shown == reveal(text)
    assert text == unreveal(shown)


@given(st.text(st.characters(codec=None), max_size=60))
@example("\ud800\udc00")
def test_any_text_can_be_read_back(text: str) -> None:
    assert text == unreveal(reveal(text))


@given(st.lists(st.sampled_from(TRICKY), max_size=30))
def test_what_imitates_our_writing_is_no_way_round_it(pieces: list[str]) -> None:
    text = "".join(pieces)
    shown = reveal(text)
    assert text == unreveal(shown)
    escaped = [chr(int(number, 16)) for number in WRITTEN.findall(shown)]
    backslashes = text.count("\\u{")
    assert backslashes == escaped.count("\\"), "every one that stands there is ours"
    assert len(text) == len(WRITTEN.sub("?", shown))


@given(st.lists(st.sampled_from(TRICKY), max_size=20), st.lists(st.sampled_from(TRICKY), max_size=20))
def test_two_texts_never_read_the_same(one: list[str], other: list[str]) -> None:
    first, second = "".join(one), "".join(other)
    assert (first == second) == (reveal(first) == reveal(second))


def test_mixed_scripts_are_noticed() -> None:
    assert mixes_scripts("pаypal")
    assert not mixes_scripts("paypal und привет")
    assert not mixes_scripts("日本語のテスト")


def test_pages_join_back_at_every_length_and_cut_no_character() -> None:
    for limit in (LEAST_PAGE, 13, 50, 2500):
        for length in (*range(3 * limit if limit < 100 else 0), *range(limit - 12, limit + 12), 2 * limit, 6000):
            for tail in ("\u202e" * 4, "\\u{" * 3, "\U00020000" * 5, "\n\u202e\n", ""):
                text = reveal("x" * length + tail + "end")
                cut = list(pages(text, limit))
                assert text == "".join(cut)
                assert all(page and units(page) <= limit for page in cut)
                assert WRITTEN.findall(text) == [found for page in cut for found in WRITTEN.findall(page)]


def test_pages_are_cut_at_line_ends_where_lines_fit() -> None:
    for size in range(1, 120):
        text = "".join(f"{'y' * (number * 7 % size)}\n" for number in range(80))
        cut = list(pages(text, 120))
        assert text == "".join(cut)
        assert all(page.endswith("\n") for page in cut)


def test_a_long_line_does_not_leave_a_page_nearly_empty() -> None:
    cut = list(pages("short\n" + "x" * 1000 + "\n", 100))
    assert 11 == len(cut)
    assert [] == list(pages("", 100))


def test_a_page_is_filled_to_its_limit_also_with_characters_of_two_units() -> None:
    assert [10, 10, 5] == [len(page) for page in pages("\U00020000" * 25, 20)]
    assert [10, 10, 5] == [len(page) for page in pages("\U00020000" * 25, 21)]


def test_a_page_too_small_for_one_character_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 12"):
        list(pages("text", LEAST_PAGE - 1))
