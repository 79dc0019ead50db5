"""The redactor: no way of writing a secret down, and no way of cutting the stream, lets it through."""

import base64
import html
import json
import logging
import sys
import textwrap
from collections.abc import Callable
from itertools import pairwise
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.secrets import RedactingFilter, RedactionFailed, Redactor
from core.token_shapes import TOKEN_SHAPES

VALUE = "pa$$ w/ord+\"ö&<売>\\'=x"
PLAIN = "Tr0ub4dor-and-3"

ENCODINGS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "url": lambda value: quote(value, safe=""),
    "url with slashes": quote,
    "url form": quote_plus,
    "url lower case": lambda value: quote(value, safe="").lower() if value.islower() else quote(value),
    "url twice": lambda value: quote(quote(value, safe=""), safe=""),
    "json": lambda value: json.dumps(value)[1:-1],
    "json unicode": lambda value: json.dumps(value, ensure_ascii=False)[1:-1],
    "json twice": lambda value: json.dumps(json.dumps(value))[3:-3],
    "json all escaped": lambda value: "".join(
        f"\\u{value.encode('utf-16-be')[at : at + 2].hex()}" for at in range(0, len(value.encode("utf-16-be")), 2)
    ),
    "html": html.escape,
    "html text": lambda value: html.escape(value, quote=False),
    "hex": lambda value: value.encode().hex(),
    "hex upper": lambda value: value.encode().hex().upper(),
    "hex spaced": lambda value: value.encode().hex(" "),
    "hex colons": lambda value: value.encode().hex(":").upper(),
    "hex wrapped": lambda value: "\n".join(textwrap.wrap(value.encode().hex(), 10)),
    "python bytes": lambda value: "".join(f"\\x{byte:02x}" for byte in value.encode())[2:],
    "reversed": lambda value: value[::-1],
    "reversed json": lambda value: json.dumps(value[::-1])[1:-1],
}

secret_values = st.text(st.characters(exclude_categories=["Cs"]), min_size=8, max_size=40).filter(
    lambda value: value == value.strip("\\") and len(set(value)) >= 4 and value not in "[redacted:token]"
)


@settings(deadline=None)
@given(value=secret_values, way=st.sampled_from(sorted(ENCODINGS)), before=st.text(), after=st.text())
@example(value=VALUE, way="json twice", before="", after="")
def test_no_way_of_writing_it_down_passes(value: str, way: str, before: str, after: str) -> None:
    written = ENCODINGS[way](value)

    clean = Redactor({"token": value}, token_shapes=False).redact_text(f"{before}|{written}|{after}")

    assert "[redacted:token]" in clean
    assert clean.count(written) <= f"{before}|{after}[redacted:token]".count(written)


@settings(deadline=None)
@given(
    value=secret_values,
    before=st.binary(max_size=20),
    after=st.binary(max_size=20),
    urlsafe=st.booleans(),
    wrap=st.sampled_from([None, 76, 8]),
)
def test_base64_is_found_at_every_alignment(
    value: str, before: bytes, after: bytes, urlsafe: bool, wrap: int | None
) -> None:
    encode = base64.urlsafe_b64encode if urlsafe else base64.b64encode
    text = encode(before + value.encode() + after).decode()
    wrapped = "\n".join(textwrap.wrap(text, wrap)) if wrap else text

    clean = Redactor({"token": value}, token_shapes=False).redact_text(wrapped)

    assert "[redacted:token]" in clean
    head, _, tail = clean.replace("\n", "").partition("[redacted:token]")
    # What is left on either side decodes to the neighbours alone, but for the bits one shared character can hold.
    assert len(head) * 6 <= len(before) * 8 + 5
    assert len(tail.rstrip("=")) <= -(-len(after) * 8 // 6)


@settings(deadline=None)
@given(
    value=secret_values,
    way=st.sampled_from(sorted(ENCODINGS)),
    cuts=st.lists(st.integers(0, 400), max_size=12),
    filler=st.text(max_size=60),
)
def test_no_cut_of_the_stream_lets_it_through(value: str, way: str, cuts: list[int], filler: str) -> None:
    redactor = Redactor({"token": value})
    whole = f"{filler}{ENCODINGS[way](value)}{filler}{ENCODINGS[way](value)}{filler}".encode()
    edges = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})

    stream = redactor.stream()
    passed = [stream.feed(whole[start:end]) for start, end in pairwise(edges)]

    assert redactor.redact_bytes(whole) == b"".join([*passed, stream.finish()])


@pytest.mark.parametrize("size", [1, 7, 1000, 50_000])
def test_a_long_stream_is_passed_on_while_it_runs(size: int) -> None:
    redactor = Redactor({"token": VALUE, "other": PLAIN})
    record = f"line {VALUE} and {base64.b64encode(PLAIN.encode()).decode()} xoxb-1234567890-abcdefghij ok\n".encode()
    whole = record * (1500 if size > 1 else 700)

    stream = redactor.stream()
    early = b"".join(stream.feed(whole[at : at + size]) for at in range(0, len(whole), size))
    late = stream.finish()

    assert redactor.redact_bytes(whole) == early + late
    assert len(early) > 0


@settings(deadline=None)
@given(text=st.text(max_size=60), size=st.integers(1, 5))
def test_text_streams_cut_no_character(text: str, size: int) -> None:
    redactor = Redactor({"token": VALUE})
    whole = text + VALUE + text
    stream = redactor.text_stream()

    passed = [stream.feed(whole[at : at + size]) for at in range(0, len(whole), size)]

    assert redactor.redact_text(whole) == "".join([*passed, stream.finish()])


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_bytes_without_secrets_are_unchanged(data: bytes) -> None:
    assert data == Redactor({"token": VALUE}, token_shapes=False).redact_bytes(data)


@settings(deadline=None)
@given(st.text(max_size=300))
def test_text_without_secrets_is_unchanged(text: str) -> None:
    assert text == Redactor({"token": VALUE}).redact_text(text)


@pytest.mark.parametrize(
    "prose",
    [
        "a task-management-of-many-things and risk-free-estimates-of-2026-numbers",
        "the bearer of this letter, bearer authentication-is-required",
        "see https://example.com:8080/path@v2 and mail someone@example.com",
        "git@github.com:owner/repo.git, sk-8 and xox",
        "AKIAlooks like one but is not; ghp_short",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "The PRIVATE KEY belongs to you.",
    ],
)
def test_ordinary_prose_is_unchanged(prose: str) -> None:
    assert prose == Redactor().redact_text(prose)


# Written in pieces, so that no scanner takes this file for a leak.
TOKENS = {
    "slack-token": ["xox" + "b-123456789012-abcdef", "xap" + "p-1-A0123456789", "xox" + "e.xox" + "p-1-abcdefghijkl"],
    "slack-webhook": ["hooks.slack" + ".com/services/T00000000/B00000000/abcdefghij"],
    "aws-key-id": ["AKI" + "AIOSFODNN7EXAMPLE"],
    "github-token": ["gh" + "p_" + "a1" * 18, "github" + "_pat_" + "A1b2" * 8],
    "gitlab-token": ["glp" + "at-abcdefghij0123456789"],
    "google-api-key": ["AIz" + "a" + "B" * 35],
    "stripe-key": ["sk" + "_live_abcdefghij0123456789"],
    "api-key": ["sk" + "-ant-api03-abcdefghij0123456789"],
    "json-web-token": ["ey" + "JhbGciOiJIUzI1NiJ9.ey" + "JzdWIiOiIxMjM0NSJ9.abcdefghijklmnop"],
    "bearer-token": ["Bearer abcdef0123456789abcdef", "bearer%20abcdef0123456789abcdef"],
    "authorization": ["Authorization: Basic dXNlcjpwYXNz", 'authorization": "Basic dXNlcjpwYXNz'],
    "url-credentials": ["user:hunter2"],
    "private-key": [
        "-----BEGIN RSA PRIVATE" + " KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n"
        + ("A" * 64 + "\n") * 20 + "AAA=\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE" + " KEY-----\n" + ("A" * 64 + "\n") * 3 + "A" * 64,
        "-----BEGIN PRIVATE" + " KEY-----\\n" + ("A" * 64 + "\\n") * 3 + "-----END PRIVATE KEY-----",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("kind", "token"), [(kind, token) for kind, tokens in TOKENS.items() for token in tokens])
def test_well_known_tokens_are_redacted_without_being_told(kind: str, token: str) -> None:
    before, after = ("https://", "@db.example") if kind == "url-credentials" else ('see "', '" then more')

    assert f"{before}[redacted:{kind}]{after}" == Redactor().redact_text(f"{before}{token}{after}")


def test_every_token_shape_has_an_example() -> None:
    assert {shape.name for shape in TOKEN_SHAPES} == set(TOKENS)


def test_no_token_is_longer_than_its_shape_says() -> None:
    """A token that never ends is cut where the shape says, so that a stream knows how much to hold back."""
    endless = [f"{token}{'A1' * 20_000}".encode() for tokens in TOKENS.values() for token in tokens]

    for shape in TOKEN_SHAPES:
        for text in endless:
            for found in shape.pattern.finditer(text):
                assert found.end() - found.start() <= shape.max_bytes


def test_a_token_shape_does_not_uncover_half_of_a_known_value() -> None:
    secret = "xox" + "b-1234567890!tail-of-it"

    assert "[redacted:slack]" == Redactor({"slack": secret}).redact_text(secret)


def test_overlapping_secrets_leave_nothing() -> None:
    redactor = Redactor({"a": "xyzabcd1", "b": "abcd1efgh", "c": "xyzabcd1efgh-long"})

    assert "[redacted:a]." == redactor.redact_text("xyzabcd1efgh.")
    assert "[redacted:c]." == redactor.redact_text("xyzabcd1efgh-long.")


def test_utf16_bytes_are_searched_too() -> None:
    redactor = Redactor({"token": PLAIN})

    assert PLAIN.encode("utf-16-le") not in redactor.redact_bytes(f"x {PLAIN} y".encode("utf-16-le"))


def test_the_mark_does_not_tell_the_length() -> None:
    short, long = Redactor({"t": "12345678"}), Redactor({"t": "1234567890123456"})

    assert short.redact_text("12345678") == long.redact_text("1234567890123456")


@pytest.mark.parametrize("value", ["", "1234567", "redacted", "--------"])
def test_values_that_cannot_be_told_from_words_are_ignored_with_a_warning(
    value: str, caplog: pytest.LogCaptureFixture
) -> None:
    redactor = Redactor({"pin": value})

    assert ("pin",) == redactor.ignored
    assert "pin" in caplog.text
    assert value == "" or value not in caplog.messages[0].replace("redacted;", "")
    assert "text redacted -------- 1234567" == redactor.redact_text("text redacted -------- 1234567")


def test_a_name_never_repeats_the_value() -> None:
    assert "[redacted:secret]" == Redactor({"hunter2hunter2": "hunter2hunter2"}).redact_text("hunter2hunter2")


def test_json_is_redacted_in_keys_values_and_numbers() -> None:
    redactor = Redactor({"t": PLAIN, "n": "1234567890"})

    clean = redactor.redact_json({PLAIN: [PLAIN, 1, None, True], f"{PLAIN}": 1234567890, "[redacted:t]": {"x": 1.5}})

    assert {"[redacted:t]": "[redacted:n]", "[redacted:t]#2": {"x": 1.5}} == clean


def test_what_cannot_be_redacted_does_not_pass() -> None:
    nested: list[object] = []
    for _ in range(100):
        nested = [nested]

    with pytest.raises(RedactionFailed):
        Redactor().redact_json(nested)
    with pytest.raises(RedactionFailed):
        Redactor().redact_json({"x": object()})
    with pytest.raises(RedactionFailed):
        Redactor().redact_text(5)  # type: ignore[arg-type]


def test_log_records_are_redacted_everywhere(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    logger = logging.getLogger("tests.redaction")
    monkeypatch.setattr(caplog.handler, "filters", [RedactingFilter(Redactor({"t": PLAIN}))])

    try:
        raise ValueError(f"no such user: {PLAIN}")
    except ValueError:
        logger.exception("Failed for %s", PLAIN, stack_info=True, extra={"action": PLAIN, "thing": {"k": [PLAIN]}})

    assert PLAIN not in caplog.text
    assert PLAIN not in repr(vars(caplog.records[0]))
    assert "Failed for [redacted:t]" in caplog.text
    assert "no such user: [redacted:t]" in caplog.text


def test_a_log_record_that_cannot_be_formatted_is_withheld(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caplog.handler, "filters", [RedactingFilter(Redactor({"t": PLAIN}))])

    logging.getLogger("tests.redaction").error("Two %s %s", PLAIN, extra={"action": PLAIN})

    assert PLAIN not in repr(vars(caplog.records[0]))
    assert "withheld" in caplog.text


def test_errors_while_redacting_do_not_carry_the_data() -> None:
    try:
        Redactor({"t": PLAIN}).redact_json({"k": (PLAIN, object())})
    except RedactionFailed as error:
        assert PLAIN not in repr(error) + error.user_text
        assert error.__suppress_context__ or error.__context__ is None
    assert sys.exc_info() == (None, None, None)
