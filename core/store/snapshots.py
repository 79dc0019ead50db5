"""From database rows to the values decisions look at."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.record.rows import (
    ApprovalRow,
    ArtifactRow,
    AttemptRow,
    CallRow,
    RunRow,
    Snapshot,
    SteerRow,
    StopReportRow,
    TurnRow,
    VoteRow,
)

CHILDREN = ("tool_calls", "artifacts", "approvals", "votes", "model_turns", "steers")
"""Tables a snapshot includes beside the run row."""

COMMAND_CHILDREN = (*CHILDREN, "call_attempts", "stop_reports")
"""What a command looks at beside the run row."""


def snapshots_of(runs: Sequence[Any], children: Mapping[str, Sequence[Any]]) -> list[Snapshot]:
    """Assemble snapshots from mapping-like rows."""

    def of(run: RunRow, table: str) -> list[dict[str, Any]]:
        return [dict(row) for row in children.get(table, ()) if row["tenant"] == run.tenant and row["run_id"] == run.id]

    found = []
    for row in runs:
        run = RunRow(**dict(row))
        found.append(
            Snapshot(
                run=run,
                calls=tuple(CallRow(**call) for call in of(run, "tool_calls")),
                artifacts=tuple(ArtifactRow(**r) for r in of(run, "artifacts")),
                approvals=tuple(ApprovalRow(**r) for r in of(run, "approvals")),
                votes=tuple(VoteRow(**r) for r in of(run, "votes")),
                attempts=tuple(AttemptRow(**r) for r in of(run, "call_attempts")),
                reports=tuple(StopReportRow(**r) for r in of(run, "stop_reports")),
                turns=tuple(TurnRow(**r) for r in of(run, "model_turns")),
                steers=tuple(SteerRow(**r) for r in of(run, "steers")),
            ).ordered()
        )
    return found
