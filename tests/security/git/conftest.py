"""The shop and the run of the git tools' own tests, and every sandbox level this host can have."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from core.execution.base import SandboxLevel
from core.execution.local import LocalEnvironment
from tests.databases import sqlite_template
from tests.integration.execution.sandboxes import LEVELS, environments, tool_environment
from tests.integration.tools.conftest import context, environment, workspace
from tests.integration.tools.git.conftest import place, shop_template, with_a_run
from tests.integration.tools.git.places import Place

__all__ = [
    "context",
    "environment",
    "environments",
    "place",
    "shop_template",
    "sqlite_template",
    "tool_environment",
    "with_a_run",
    "workspace",
]


@pytest.fixture(params=LEVELS)
def confined(
    request: pytest.FixtureRequest, place: Place, environments: Callable[[SandboxLevel], LocalEnvironment]
) -> Place:
    """The place at each level in turn."""
    return replace(place, context=replace(place.context, environment=environments(request.param)))
