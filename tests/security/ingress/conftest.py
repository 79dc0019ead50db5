"""The bot in HTTP mode of `tests/integration/bot_http`, for whoever has no secret or breaks the rules."""

from tests.integration.bot_http.conftest import (
    bot,
    database_url,
    house,
    logging_as_before,
    playground,
    port,
    session,
    sqlite_template,
    team,
)

__all__ = [
    "bot",
    "database_url",
    "house",
    "logging_as_before",
    "playground",
    "port",
    "session",
    "sqlite_template",
    "team",
]
