"""A model's text as people read it: whole, in messages Slack takes, and unable to do anything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.blocks.answer import MOST_PARTS, answer, fits, markdown, parts
from bot.blocks.bounds import problems

texts = st.text(st.sampled_from("ab<>[]()@:/!#`*_ \n\r\t\u202eé🙂here"), max_size=200)


@given(text=texts, cut=st.integers(0, 200))
def test_a_text_that_grows_is_shown_as_it_was_begun(text: str, cut: int) -> None:
    assert markdown(text).startswith(markdown(text[:cut]))


@pytest.mark.parametrize(
    "text",
    ["<@U0REQUESTER>", "<!here>", "<#C0OPS>", "@here", "@channel", "@everyone", "<https://evil.example|Slack>",
     "[Slack](https://evil.example)", "[Slack][1]\n\n[1]: https://evil.example", "![x](https://evil.example/x.png)"],
)  # fmt: skip
def test_nothing_in_it_pings_links_or_brings_something_in(text: str) -> None:
    shown = markdown(text)

    assert text == shown.replace("\u2060", "")
    assert not any(part in shown for part in ("<@", "<!", "<#", "<h", "](", "][", "]:", "://"))
    assert not any(part in shown for part in ("@here", "@channel", "@everyone"))


@given(text=st.text(max_size=40).map(lambda text: text * 800))
def test_its_parts_are_the_whole_and_each_fits_a_message(text: str) -> None:
    found = parts(text, [])

    if len(found) < MOST_PARTS:
        assert text == "".join(found)
    assert all([] == problems(answer(part).blocks) for part in found)


def test_parts_that_are_there_are_kept_to_unless_they_do_not_fit() -> None:
    text = "".join(f"Line {n}.\n" for n in range(3_000))

    assert [text[:500], text[500:900]] == parts(text[:900], [0, 500])
    assert [text[:500], text[500:900]] == parts(text[:900], [500])[:2]
    assert text == "".join(parts(text, [0, 500, 20_000]))
    assert all(fits(part) == len(part) for part in parts(text, [0, 500, 20_000]))


def test_what_is_longer_than_anybody_reads_says_where_the_rest_is() -> None:
    found = parts("word " * 100_000, [])

    assert MOST_PARTS == len(found)
    assert "more characters are in the run's files" in found[-1]
