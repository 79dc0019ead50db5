"""The sandboxes of `tests/integration/execution/sandboxes.py`, for the tests of this folder."""

from tests.integration.execution.sandboxes import (
    bare_environment,
    environment,
    environments,
    label,
    nothing_is_left,
    python,
    spec,
    tool_environment,
    workspace,
)

__all__ = [
    "bare_environment",
    "environment",
    "environments",
    "label",
    "nothing_is_left",
    "python",
    "spec",
    "tool_environment",
    "workspace",
]
