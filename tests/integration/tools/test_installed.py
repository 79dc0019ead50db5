"""Tools of packages installed beside Banksman: found by entry point, under the operator's word, each for itself."""

import json
import os
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest

from core.errors import ConfigError
from core.tools.installed import Offered, checked, loaded, offered
from core.tools.registry import definition_digest
from tests.integration.tools.packages import COUNTING, installed
from tests.patience import PATIENCE_S

ROOT = Path(__file__).resolve().parents[3]

TOOLBOX = """
import json, sys
from pathlib import Path
from core.config.load import load_config
from worker.wiring import toolbox
tools = toolbox(load_config(Path(sys.argv[1])))
found = tools.find("count.up")
args = tools.validate(found.tool, {"to": 2})
print(json.dumps([found.digest, found.tier, found.recovery, args.to, tools.find("shell") is not None]))
"""
BOT = """
import json, sys
from pathlib import Path
from bot.wiring import understood
from core.config.load import load_config
from core.tools.catalogue import call_names
config = load_config(Path(sys.argv[1]))
understood(config)
print(json.dumps(["count.up" in call_names(config), sorted({"counting", "broken"} & set(sys.modules))]))
"""
PLAYBOOK = """
playbooks:
  - {name: count, steps: [{id: count, tool: count.up, with: {to: 3}}]}
"""


def run(code: str, where: Path, config: str = PLAYBOOK) -> subprocess.CompletedProcess[str]:
    """Run a program that finds the packages in a directory as it finds all others."""
    (where / "banksman.yml").write_text(config)
    return subprocess.run(
        [sys.executable, "-c", code, str(where / "banksman.yml")],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(where)},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )


def answered(code: str, where: Path, config: str = PLAYBOOK) -> Any:
    done = run(code, where, config)
    assert 0 == done.returncode, done.stderr
    return json.loads(done.stdout)


def offers(where: Path) -> tuple[Offered, ...]:
    return offered(distributions(path=[str(where)]))


def test_a_worker_has_the_tools_of_packages_and_nobody_classified_them(tmp_path: Path) -> None:
    installed(tmp_path, "counting")
    installed(tmp_path, "broken", code="import nothing_like_it", tools={"broken.tool": "Broken"})

    unlisted = answered(TOOLBOX, tmp_path)
    listed = answered(TOOLBOX, tmp_path, f"tools: {{count.up: {{tier: read, recovery: pure}}}}\n{PLAYBOOK}")

    assert [None, "opaque", 2, True] == unlisted[1:]
    assert ["read", "pure", 2, True] == listed[1:]


def test_the_bot_knows_them_by_name_and_imports_none_of_them(tmp_path: Path) -> None:
    installed(tmp_path, "counting")

    assert [True, []] == answered(BOT, tmp_path)


def test_another_version_of_a_package_is_another_tool(tmp_path: Path) -> None:
    for version in ("1.2", "1.3"):
        (tmp_path / version).mkdir()
        installed(tmp_path / version, "counting", version=version)

    one, same, other = (answered(TOOLBOX, tmp_path / version)[0] for version in ("1.2", "1.2", "1.3"))

    assert one == same != other


def test_two_packages_with_one_tool_are_both_named(tmp_path: Path) -> None:
    installed(tmp_path, "counting")
    installed(tmp_path, "also-counting", version="3.0")

    done = run(BOT, tmp_path)

    assert 0 != done.returncode
    assert "Two tools are called `count.up`" in done.stderr
    assert "also-counting 3.0" in done.stderr and "counting 1.2" in done.stderr


@pytest.mark.parametrize(
    ("name", "own", "whose"),
    [("shell", [], "Banksman itself"), ("wait_until", [], "Banksman itself"), ("pay", ["pay"], "your own `tools`")],
)
def test_a_package_cannot_take_a_name_that_is_taken(tmp_path: Path, name: str, own: list[str], whose: str) -> None:
    installed(tmp_path, "counting", tools={name: "Count"})

    with pytest.raises(ConfigError, match=f"one of {whose} and one of the package counting 1.2"):
        checked(offers(tmp_path), own)


def test_of_a_package_that_is_there_twice_the_first_counts(tmp_path: Path) -> None:
    for version in ("1.2", "1.3"):
        (tmp_path / version).mkdir()
        installed(tmp_path / version, "counting", version=version)
    found = offered(distributions(path=[str(tmp_path / "1.3"), str(tmp_path / "1.2")]))

    assert ["counting 1.3"] == [each.package for each in found]


@pytest.mark.parametrize(
    ("code", "name", "why"),
    [
        ("import nothing_like_it", "count.up", "No module named 'nothing_like_it'"),
        ("raise SystemExit('no')", "count.up", "SystemExit: no"),
        ("Count = 7", "count.up", "is no tool named `count.up`"),
        (COUNTING, "count.down", "is no tool named `count.down`"),
        (COUNTING.replace("(Arguments)", "(BaseModel)"), "count.up", "accept undeclared or converted values"),
        (COUNTING, "mcp.count", "not for packages"),
        (COUNTING, "push.undo", "not for packages"),
    ],
)
def test_what_cannot_be_used_is_said_with_its_package_and_costs_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, name: str, why: str, request: pytest.FixtureRequest
) -> None:
    package = f"bad{abs(hash(request.node.name))}"
    installed(tmp_path, package, code=code, tools={name: "Count"})
    good = f"good{abs(hash(request.node.name))}"
    installed(tmp_path, good, code=COUNTING.replace("count.up", "good.count"), tools={"good.count": "Count"})
    monkeypatch.syspath_prepend(str(tmp_path))

    found = loaded(offers(tmp_path))

    assert ["good.count"] == [tool.name for tool in found.tools]
    (trouble,) = found.troubles
    assert str(trouble).startswith(f"the tool `{name}` of the package {package} 1.2 cannot be used: ")
    assert why in str(trouble)
    plain = definition_digest(found.tools[0])
    assert plain != definition_digest(found.tools[0], package=found.packages["good.count"])
