"""A run that waits for the world outside: whole processes, a tool from a package, a worker that dies meanwhile."""

import os
import re
import signal
from pathlib import Path

from tests.acceptance.conftest import Builder
from tests.acceptance.house import until
from tests.acceptance.team import Team, run_of, words
from tests.integration.tools.packages import installed

WATCHING = """
import json
from pathlib import Path
from pydantic import BaseModel
from core.tools.base import ToolContext, ToolResult
from core.tools.registry import Arguments


class WatchArguments(Arguments):
    path: str


class Watch:
    name = "builds.watch"
    description = "Look at a build."

    @property
    def arguments(self) -> type[BaseModel]:
        return WatchArguments

    async def perform(self, args: BaseModel, context: ToolContext) -> ToolResult:
        return ToolResult("succeeded", json.loads(Path(args.path).read_text()))
"""

PLAYBOOKS = """\
tools:
  builds.watch: {{tier: read, recovery: pure}}
  files.write: {{tier: workspace, recovery: idempotent}}

playbooks:
  - name: follow
    title: Follow a build
    steps:
      - id: build
        title: Wait for the build
        tool: builds.watch
        with: {{path: "{path}"}}
        wait-until: {{condition: look.out.state != 'running', deadline: 10m, every: 1s}}
      - id: note
        title: Note each part
        for-each: ${{{{ steps.build.out.parts }}}}
        at-most: 5
        tool: files.write
        with: {{path: "${{{{ each }}}}.txt", content: "${{{{ steps.build.out.state }}}}"}}
    summary: "It is ${{{{ steps.build.out.state }}}}, ${{{{ steps.note.out.count }}}} parts."
"""


async def test_a_run_waits_across_the_death_of_its_worker_and_its_card_says_for_what(
    new_house: Builder, tmp_path: Path
) -> None:
    build = tmp_path / "build.json"
    build.write_text('{"state": "running"}')
    installed(tmp_path, "watching", code=WATCHING, tools={"builds.watch": "Watch"})
    config = tmp_path / "follow.yml"
    config.write_text(PLAYBOOKS.format(path=build))
    house = new_house("sqlite", BANKSMAN_CONFIG=str(config), PYTHONPATH=str(tmp_path))
    async with Team(house.url) as team:
        root = await team.say("@banksman follow")
        card = words(await team.card(root, "Waits until", '`look.out.state` is "running"'))
        parts = "Waits until .*look.out.state != 'running'.*since .*, at most until .*Looked .*last seen: "
        assert re.search(parts, card, re.DOTALL), card
        run_id = run_of(await team.card(root))
        assert "waits until look.out.state != 'running', since 2" in house.cli("show", run_id).out.replace("\n", " ")
        looks = house.show(run_id)["waiting"]["looks"]

        os.kill(house.part("worker"), signal.SIGKILL)
        until(lambda: house.show(run_id)["waiting"]["looks"] > looks + 1, "another worker to look")
        build.write_text('{"state": "passed", "parts": ["a", "b", "c"]}')

        done = await team.card(root, "Completed")
        await team.answered(root, "It is passed, 3 parts.")
        assert "Waits until" not in words(done)
        assert "3 times" in words(done)
    shown = house.show(run_id)
    assert ["build", "note[1]", "note[2]", "note[3]"] == [action["step"] for action in shown["actions"]]
    assert (None, 4) == (shown["waiting"], shown["run"]["steps"])
