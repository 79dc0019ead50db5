"""The signature itself, against the one in Slack's own SDK and at the edges of its window."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.signature import Clock, SignatureVerifier

from bot.signature import WINDOW_S, Unsigned, sign, signed_text

NOW_S = 1_795_000_000
SECRET = "8f742231b10e8888abcd99baac85a5ff"


class _Stopped(Clock):
    def now(self) -> float:
        return NOW_S


@given(
    text=st.text(max_size=200), secret=st.text(st.characters(codec="ascii"), min_size=1, max_size=40).filter(str.strip)
)
def test_it_is_the_one_that_slacks_sdk_makes(text: str, secret: str) -> None:
    theirs = SignatureVerifier(secret, clock=_Stopped()).generate_signature(timestamp=str(NOW_S), body=text)

    assert theirs == sign(secret, str(NOW_S), text.encode())


@pytest.mark.parametrize(
    ("age_s", "is_taken"),
    [(0, True), (WINDOW_S, True), (-WINDOW_S, True), (WINDOW_S + 1, False), (-WINDOW_S - 1, False)],
)
def test_it_counts_for_five_minutes_either_way(age_s: int, is_taken: bool) -> None:
    stamp = str(NOW_S - age_s)

    found = signed_text(SECRET, [stamp], [sign(SECRET, stamp, b"{}")], b"{}", now_s=NOW_S)

    assert ("{}" if is_taken else Unsigned.STALE) == found


@given(
    stamps=st.lists(st.text(max_size=14), max_size=3),
    signatures=st.lists(st.text(max_size=80), max_size=3),
    body=st.binary(max_size=100),
)
def test_nothing_else_counts_and_nothing_raises(stamps: list[str], signatures: list[str], body: bytes) -> None:
    assert isinstance(signed_text(SECRET, stamps, signatures, body, now_s=NOW_S), Unsigned)


@given(body=st.binary(max_size=200), at=st.integers(0, 199), flip=st.integers(1, 255))
def test_one_changed_byte_makes_it_a_forgery(body: bytes, at: int, flip: int) -> None:
    stamp = str(NOW_S)
    signed = sign(SECRET, stamp, body)
    changed = bytes(each ^ flip if number == at % max(1, len(body)) else each for number, each in enumerate(body))

    found = signed_text(SECRET, [stamp], [signed], changed or b"x", now_s=NOW_S)

    assert Unsigned.FORGED == found
