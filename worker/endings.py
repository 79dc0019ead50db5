"""How a slice ended, in one word, for the metrics."""

from core.record.rows import Snapshot
from core.record.states import DUE_NOW, TERMINAL


def ending(after: Snapshot | None, *, is_killed: bool, was_stopped: bool, is_draining: bool) -> str:
    """Name the end of a slice.

    Args:
        after: The run as the slice left it; `None` if it broke off.
        is_killed: Something told the slice to end at once.
        was_stopped: The run was stopped by somebody.

    Returns:
        `killed`; `drained` and `lost`: ended because this worker goes, or because the run was not ours any more;
        `broke-off`: an error of ours; `finished`: the run has ended; `released`: it goes on in another slice; `waited`:
        there was only waiting to do.
    """
    if is_killed:
        return "killed" if was_stopped else "drained" if is_draining else "lost"
    if after is None:
        return "broke-off"
    run = after.run
    if run.run_state in TERMINAL:
        return "finished"
    if run.lease_owner is not None:
        return "lost"
    return "released" if run.due_at == DUE_NOW else "waited"
