"""Working directories of runs on this host: one per run, made when its first call starts, gone when it ends.

A run that continues on another host cannot take its directory along; it says so instead of going on without its files.
"""

from pathlib import Path

from core.artifacts import ObjectStore
from core.errors import TerminalError
from core.ids import RunId
from core.record.rows import Snapshot
from core.record.states import CallStatus
from core.tools.workspace import Input, prepare_workspace, remove_workspace


class Workspaces:
    """Finds and makes the directories below one root."""

    def __init__(self, root: Path, objects: ObjectStore) -> None:
        self._root = root
        self._objects = objects

    def path(self, tenant: str, run_id: str) -> Path:
        """Where the run's directory is, whether or not it exists."""
        return self._root / tenant / run_id

    async def ready(self, snapshot: Snapshot) -> Path:
        """The run's directory, made and filled if this is its first call.

        Raises:
            TerminalError: earlier calls worked in a directory that is not here.
            ArtifactCorrupt: a stored input no longer has its digest.
        """
        run = snapshot.run
        path = self.path(run.tenant, run.id)
        if any(call.call_status is CallStatus.SUCCEEDED for call in snapshot.calls):
            if path.is_dir():
                return path
            where = run.workspace_host
            raise TerminalError(
                f"the run's working directory is not on this host but on {where}; ask for the run again"
            )
        files = [
            Input(value["name"], value["sha256"])
            for value in run.inputs.values()
            if isinstance(value, dict) and "sha256" in value
        ]
        made, _ = await prepare_workspace(self._root / run.tenant, RunId(run.id), files, self._objects)
        return made

    async def remove(self, tenant: str, run_id: str) -> None:
        """Delete the run's directory, if it is here."""
        if self.path(tenant, run_id).exists():
            await remove_workspace(self._root / tenant, RunId(run_id))

    def here(self) -> list[tuple[str, str]]:
        """`(tenant, run id)` of every run that has a directory on this host; blocks."""
        if not self._root.is_dir():
            return []
        tenants = [path for path in self._root.iterdir() if path.is_dir()]
        return [
            (tenant.name, run.name) for tenant in tenants for run in tenant.iterdir() if not run.name.startswith(".")
        ]
