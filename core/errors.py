"""The few errors this project raises on purpose, split by what the catcher does.

The message is for logs; `user_text` is a sentence a person in Slack or at a terminal can act on. Nothing branches on
error text. A refusal of a command is not an error but a value (`core.record.changes.Refusal`).
"""


class BanksmanError(Exception):
    """Base of every error raised on purpose."""

    def __init__(self, message: str, *, user_text: str | None = None) -> None:
        super().__init__(message)
        self.user_text = user_text or message
        """What a person is told; the message itself unless given."""


class TerminalError(BanksmanError):
    """Do not try again: the call or the run ends with this reason."""


class RetryableError(BanksmanError):
    """Trying again may help."""

    def __init__(self, message: str, *, retry_after_s: float | None = None, user_text: str | None = None) -> None:
        super().__init__(message, user_text=user_text)
        self.retry_after_s = retry_after_s
        """Seconds the other side asked us to wait, if it did."""


class ConfigError(BanksmanError):
    """The operator's file or environment is wrong; says where and what to write instead (exit code 2)."""


class SchemaMismatch(BanksmanError):
    """The database's schema is not the one this version was built for; says which command to run."""


class ArtifactCorrupt(TerminalError):
    """Stored bytes are gone, or no longer have the digest they were stored under."""

    def __init__(
        self, message: str, *, sha256: str = "", what: str = "is damaged", user_text: str | None = None
    ) -> None:
        super().__init__(message, user_text=user_text)
        self.sha256 = sha256
        self.what = what
        """What is wrong with it, to follow the name of the file in a sentence."""


class StoreTrouble(RetryableError):
    """A disk of ours is full or fails: what could not be written there is not lost, and can be tried again."""


class ArtifactTooLarge(TerminalError):
    """A file or a run's files together exceed their cap."""
