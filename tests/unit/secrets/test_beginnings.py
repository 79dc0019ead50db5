"""A text that is still being written: what is shown of its beginning tells nothing of a secret that is not over yet."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.secrets import Redactor
from tests.unit.secrets.test_redactor import ENCODINGS, TOKENS, secret_values


def shown(redactor: Redactor, text: str, cuts: list[int]) -> list[str]:
    """What is shown of each beginning, and of the whole once it is over."""
    ends = sorted({cut % (len(text) + 1) for cut in cuts})
    return [*(redactor.redact_beginning(text[:end]) for end in ends), redactor.redact_text(text)]


@settings(deadline=None)
@given(
    value=secret_values,
    way=st.sampled_from(sorted(ENCODINGS)),
    before=st.text(max_size=300),
    after=st.text(max_size=300),
    cuts=st.lists(st.integers(0, 10_000), max_size=12),
)
def test_what_was_shown_of_a_beginning_stands(value: str, way: str, before: str, after: str, cuts: list[int]) -> None:
    texts = shown(Redactor([value]), f"{before}{ENCODINGS[way](value)}{after}", cuts)

    assert all(texts[-1].startswith(text) for text in texts)


@pytest.mark.parametrize("kind", sorted(TOKENS))
def test_no_beginning_of_a_token_is_shown(kind: str) -> None:
    before, after = ("https://", "@db.example") if kind == "url-credentials" else ("", "")
    redactor = Redactor()
    text = "".join(
        f"The one you asked for is, as far as I can see, {before}{token}{after} and there is no other. "
        for token in TOKENS[kind]
    )

    texts = shown(redactor, text, list(range(0, len(text), 1 if len(text) < 1_000 else 7)))

    assert all(texts[-1].startswith(each) for each in texts)


def test_people_read_along() -> None:
    """Little is held back of ordinary prose, in whatever script."""
    redactor = Redactor({"key": "a-long-value-of-64-characters-that-nobody-would-ever-guess-1234567"})
    for text in ("All is well. " * 40, "すべて順調です。" * 40, "x = y[0]\n" * 60):
        assert len(text) - 200 < len(redactor.redact_beginning(text)), text[:8]
