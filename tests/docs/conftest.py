"""Gives a test the block of the documents that it says it runs, and a place to run it in."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.docs.check import ROOT
from tests.docs.fences import Fence, fences
from tests.docs.site import Site


@pytest.fixture
def fence(request: pytest.FixtureRequest) -> Fence:
    """The block named by the test's `runs_fence` marker, as the document has it now."""
    marker = request.node.get_closest_marker("runs_fence")
    assert marker is not None, "take this fixture in a test marked with @pytest.mark.runs_fence"
    return next(fence for fence in fences(ROOT) if fence.key == marker.args[0])


@pytest.fixture
def directory() -> Iterator[Path]:
    """An empty directory with a short path: sockets below it have at most about a hundred characters."""
    with TemporaryDirectory(prefix="banksman-docs-") as path:
        yield Path(path)


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """One running Banksman for all blocks; each test makes the runs it needs."""
    with TemporaryDirectory(prefix="banksman-docs-") as path:
        running = Site.start(Path(path))
        yield running
        running.program.interrupt()
