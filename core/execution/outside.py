"""The environment for our own programs that act beyond a workspace: this host, with its network and no confinement.

Labelled, limited and ended with their whole tree like every call, because they are performed for one. What runs here is
ours alone; nothing that a run brought along is ever started in it.
"""

from __future__ import annotations

import os
from pathlib import Path

from core.execution import cgroups, layout, limits
from core.execution.base import SandboxLevel, SandboxReport
from core.execution.local import LocalEnvironment
from core.execution.recipe import Recipe

_NO_TOOLS = Path("/nonexistent")


def outside_environment(spool: Path | None, fences: Path | None = None) -> LocalEnvironment:
    """Make it.

    Args:
        spool: An existing directory for calls in progress and long outputs; the system's temporary one by default.
        fences: Where this host keeps its fences.
    """
    recipe = Recipe(
        level=SandboxLevel.NONE,
        layout=layout.survey(_NO_TOOLS),
        machine=os.uname().machine,
        controllers=cgroups.discover(),
    )
    report = SandboxReport(
        level=SandboxLevel.NONE,
        summary="Programs of Banksman itself, with this host's network.",
        lacks=(),
        remedies=(),
        enforced=limits.mechanisms(recipe.controllers),
    )
    return LocalEnvironment(recipe, report, spool, fences)
