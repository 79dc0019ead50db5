"""What can go wrong when speaking to Slack, split by what the caller does about it, and the one place that tells them
apart.

Slack's own error codes are a closed vocabulary below; a code that is not in it is our bug until somebody adds it.
What a failure means for a run or a row is decided by the callers.
"""

from collections.abc import Mapping

from core.errors import BanksmanError, RetryableError, TerminalError


class SlackError(BanksmanError):
    """Every error raised on purpose while speaking to Slack; each is also terminal or retryable."""


class SlackGone(SlackError, TerminalError):
    """The place or person cannot be reached any more: give up on this surface, go to the requester's DM or Home."""

    def __init__(self, code: str, *, user_text: str | None = None) -> None:
        super().__init__(f"Slack has no such place for us any more: {code}", user_text=user_text)
        self.code = code


class SlackMessageGone(SlackError, TerminalError):
    """The message to change was deleted or can no longer be edited: post a new one."""

    def __init__(self, code: str) -> None:
        super().__init__(f"the message is not there any more: {code}")
        self.code = code


class SlackTooLate(SlackError, TerminalError):
    """A trigger, view or response URL expired: drop it; the person has to ask again."""

    def __init__(self, code: str) -> None:
        super().__init__(f"too late for an answer: {code}", user_text="That took too long. Please try again.")
        self.code = code


class SlackRevoked(SlackError, TerminalError):
    """The token is no good: stop speaking to this team and tell an administrator."""

    def __init__(self, code: str) -> None:
        super().__init__(
            f"Slack refuses our token: {code}",
            user_text="Slack refuses the bot's token. An administrator has to install the app again.",
        )
        self.code = code


class SlackRefused(SlackError, TerminalError):
    """Slack refuses what we sent: a bug of ours or a missing scope. Never repeat it unchanged."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"Slack refused the call: {code}{f' ({detail})' if detail else ''}")
        self.code = code
        self.detail = detail
        """What Slack said about it, e.g. the scope it needs; for logs and `doctor`."""


class SlackRateLimited(SlackError, RetryableError):
    """Nothing was done; ask again after `wait_s`. The limits of this team already know."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"Slack asks us to wait {wait_s:.1f} s", retry_after_s=wait_s)
        self.wait_s = wait_s


class SlackAmbiguous(SlackError, RetryableError):
    """The request may have been carried out: look before you repeat, unless repeating is harmless."""


class SlackUnavailable(SlackError, RetryableError):
    """Slack cannot be reached and nothing was done, or nothing can have been since we only asked: try again later."""


class SlackUploadLost(SlackError, RetryableError):
    """Slack said yes to a file that then did not show where it belongs: say so, or upload it again."""

    def __init__(self, file_id: str) -> None:
        super().__init__(f"file {file_id} was accepted but never shared", user_text="Slack lost the file on the way.")
        self.file_id = file_id


_REVOKED = frozenset(
    {
        "account_inactive",
        "invalid_auth",
        "not_authed",
        "org_login_required",
        "team_access_not_granted",
        "token_expired",
        "token_revoked",
    }
)
_GONE = frozenset(
    {
        "access_denied",
        "cannot_dm_bot",
        "channel_is_limited_access",
        "channel_not_found",
        "invalid_channel",
        "channel_type_not_supported",
        "ekm_access_denied",
        "is_archived",
        "is_inactive",
        "method_not_supported_for_channel_type",
        "messages_tab_disabled",
        "no_permission",
        "not_in_channel",
        "posting_to_channel_denied",
        "restricted_action",
        "restricted_action_read_only_channel",
        "restricted_action_thread_only_channel",
        "subteam_not_found",
        "no_such_subteam",
        "team_not_found",
        "thread_locked",
        "user_disabled",
        "user_not_found",
        "user_not_in_channel",
        "user_not_visible",
        "users_not_found",
    }
)
_MESSAGE_GONE = frozenset(
    {
        "cant_update_message",
        "edit_window_closed",
        "file_deleted",
        "file_not_found",
        "message_not_found",
        "thread_not_found",
    }
)
_TOO_LATE = frozenset(
    {
        "duplicate_external_id",
        "exchanged_trigger_id",
        "expired_trigger_id",
        "expired_url",
        "hash_conflict",
        "invalid_trigger_id",
        "not_found",
        "trigger_exchanged",
        "trigger_expired",
        "used_url",
        "view_not_found",
    }
)
_RATE = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
_NOT_DONE = frozenset({"request_timeout", "service_unavailable", "team_added_to_org", "accesslimited"})
"""Slack says it did nothing."""
_PERHAPS_DONE = frozenset({"fatal_error", "internal_error"})
"""Slack's own words: "some aspect of the operation" may have succeeded."""

DEFAULT_WAIT_S = 30.0
"""When Slack says "slow down" without saying for how long."""


def from_code(code: str, *, writes: bool, wait_s: float | None = None, detail: str = "") -> SlackError:
    """Turn `ok: false` into an error.

    Args:
        code: Slack's `error`.
        writes: Whether the call changes anything; a read that failed half-way changed nothing.
        wait_s: Retry-After, if Slack sent one.
        detail: What else Slack said, for logs.
    """
    if code in _RATE:
        return SlackRateLimited(DEFAULT_WAIT_S if wait_s is None else wait_s)
    if code in _REVOKED:
        return SlackRevoked(code)
    if code in _GONE:
        return SlackGone(code)
    if code in _MESSAGE_GONE:
        return SlackMessageGone(code)
    if code in _TOO_LATE:
        return SlackTooLate(code)
    if code in _NOT_DONE or (code in _PERHAPS_DONE and not writes):
        return SlackUnavailable(f"Slack answered {code}")
    if code in _PERHAPS_DONE:
        return SlackAmbiguous(f"Slack answered {code}")
    return SlackRefused(code, detail)


def from_status(status: int, headers: Mapping[str, str], *, writes: bool) -> SlackError:
    """Turn an HTTP answer without a Slack error in it into an error."""
    if status == 429:
        return SlackRateLimited(retry_after_s(headers))
    if status >= 500 or status in {408, 425}:
        text = f"HTTP {status} from Slack"
        return SlackAmbiguous(text) if writes else SlackUnavailable(text)
    if status in {401, 403}:
        return SlackRevoked(f"http_{status}")
    return SlackRefused(f"http_{status}")


def retry_after_s(headers: Mapping[str, str]) -> float:
    """Read Retry-After in seconds; a date or nonsense counts as the default, more than an hour as an hour."""
    for name, value in headers.items():
        if name.lower() == "retry-after" and value.strip().isdigit():
            return min(float(value), 3600.0)
    return DEFAULT_WAIT_S
