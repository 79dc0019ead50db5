"""A call that was repeated and then failed: that it failed is only half of what is to be known."""

import json
from typing import Any

import pytest

from core.tools.base import ToolContext, ToolResult
from tests.integration.worker.conftest import Probe, Rig, step
from tests.invariants import broken

ALLOW = json.dumps({"policy": {"rules": [{"name": "free", "decision": "allow", "tools": ["pay"]}]}})


def ending(*statuses: Any) -> Any:
    async def behave(probe: Probe, context: ToolContext) -> ToolResult:
        status = statuses[len(probe.contexts) - 1]
        return ToolResult(status, error=f"attempt {len(probe.contexts)} said so")

    return behave


@pytest.mark.parametrize(
    ("tier", "statuses", "state", "status"),
    [
        ("irreversible", ("unknown", "failed"), "blocked", "unknown"),
        ("compensable", ("unknown", "failed-safe", "failed"), "blocked", "unknown"),
        (None, ("unknown", *["failed-safe"] * 3), "blocked", "unknown"),
        ("irreversible", ("failed-safe", "failed"), "failed", "failed"),
        ("irreversible", ("failed",), "failed", "failed"),
        ("workspace", ("unknown", "failed"), "failed", "failed"),
        ("irreversible", ("unknown", "succeeded"), "completed", "succeeded"),
    ],
)
async def test_a_failure_after_an_attempt_nobody_knows_the_end_of_is_no_proof(
    rig: Rig, tier: Any, statuses: tuple[str, ...], state: str, status: str
) -> None:
    rig.policy = ALLOW
    probe = rig.tool("pay", ending(*statuses), tier=tier, recovery="idempotent")
    await rig.start()
    run_id = await rig.ask(step("pay", "pay"))

    for _ in statuses:
        async with rig.database.begin() as connection:
            await connection.exec_driver_sql("UPDATE runs SET due_at = 0 WHERE due_at IS NOT NULL")
        shown = await rig.drive(run_id)

    (call,) = (await rig.row(run_id)).calls
    assert (state, status, len(statuses)) == (shown.state, call.status, len(probe.contexts))
    if status == "unknown":
        assert "ambiguous-effect" == shown.blocked_reason
        assert f"attempt {len(statuses)} said so; an attempt before it may have done it" in str(shown.blocked_detail)
    assert [] == await broken(rig.database)
