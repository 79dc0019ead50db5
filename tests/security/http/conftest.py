"""Servers and exchanges as the tool's own tests have them."""

from tests.integration.tools.http.conftest import (
    allowed,
    context,
    environment,
    run_row,
    send,
    serve,
    trusted,
    workspace,
)

__all__ = ["allowed", "context", "environment", "run_row", "send", "serve", "trusted", "workspace"]
