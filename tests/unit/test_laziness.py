"""What few installations need is not loaded by those that do not."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("part", ["bot.wiring", "worker.wiring", "worker.main", "core.tools.effects"])
def test_a_part_does_not_load_what_only_tools_over_mcp_need(part: str) -> None:
    program = f"import {part}, sys; print([name for name in ('mcp', 'mcp_types', 'jsonschema') if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "[]" == done.stdout.strip()
