"""Each answer of Slack leads to the one thing the caller should do about it."""

import pytest

from bot import slack_errors as errors
from core.errors import RetryableError, TerminalError


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("is_archived", errors.SlackGone),
        ("channel_not_found", errors.SlackGone),
        ("not_in_channel", errors.SlackGone),
        ("user_not_in_channel", errors.SlackGone),
        ("message_not_found", errors.SlackMessageGone),
        ("trigger_expired", errors.SlackTooLate),
        ("token_revoked", errors.SlackRevoked),
        ("invalid_auth", errors.SlackRevoked),
        ("account_inactive", errors.SlackRevoked),
        ("ratelimited", errors.SlackRateLimited),
        ("internal_error", errors.SlackAmbiguous),
        ("service_unavailable", errors.SlackUnavailable),
        ("invalid_blocks", errors.SlackRefused),
        ("missing_scope", errors.SlackRefused),
        ("something_nobody_has_heard_of", errors.SlackRefused),
    ],
)
def test_a_code_has_one_meaning(code: str, expected: type[errors.SlackError]) -> None:
    assert expected is type(errors.from_code(code, writes=True))


def test_a_question_that_failed_half_way_changed_nothing() -> None:
    assert isinstance(errors.from_code("internal_error", writes=False), errors.SlackUnavailable)
    assert isinstance(errors.from_status(502, {}, writes=False), errors.SlackUnavailable)
    assert isinstance(errors.from_status(502, {}, writes=True), errors.SlackAmbiguous)


def test_no_code_has_two_meanings() -> None:
    sets = (
        errors._REVOKED, errors._GONE, errors._MESSAGE_GONE, errors._TOO_LATE,
        errors._RATE, errors._NOT_DONE, errors._PERHAPS_DONE,
    )  # fmt: skip

    assert sum(len(codes) for codes in sets) == len(frozenset().union(*sets))


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry-After": "7"}, 7),
        ({"retry-after": "0"}, 0),
        ({}, 30),
        ({"Retry-After": "soon"}, 30),
        ({"Retry-After": "99999"}, 3600),
    ],
)
def test_retry_after_is_read_with_care(headers: dict[str, str], expected: float) -> None:
    assert expected == errors.retry_after_s(headers)


def test_each_error_says_whether_trying_again_may_help() -> None:
    kinds = errors.SlackError.__subclasses__()

    assert 9 == len(kinds)
    for kind in kinds:
        assert issubclass(kind, TerminalError) != issubclass(kind, RetryableError)
