"""A model plans a run: whole processes, a server with OpenAI's interface, people in the page."""

import asyncio
import os
from pathlib import Path

from playwright.async_api import expect

from tests.acceptance.conftest import Builder
from tests.acceptance.house import SOON_S
from tests.acceptance.team import OPS, Team, run_of
from tests.acceptance.test_in_the_browser import ask, pages
from tests.shipped import shipped
from tests.skips import needs_chromium
from tests.vendors import Say, openai_server

pytestmark = needs_chromium

_SOON_MS = SOON_S * 1000

PLAN = ["Look at what there is", "Write the report", "Keep it"]


def plan(*statuses: str) -> tuple[str, dict[str, object]]:
    """The plan as the model publishes it."""
    steps = [{"title": title, "status": status} for title, status in zip(PLAN, statuses, strict=True)]
    return "plan", {"steps": steps}


ANSWER = """All is well; the report is attached.

**What I looked at**

- The files in the workspace: there was nothing that should not be there.
- The report that was asked for, which says in one line how things are.

**What is left to do**

- Nothing that I know of. Whoever reads this may want to look at the report, which is short, and ask again if it
  does not say what they wanted to know.
- The next one can be asked for in the same words.
"""

STORY = [
    Say("", [plan("running", "pending", "pending"), ("files-list", {"path": "."})], usage=(900, 60)),
    Say("", [plan("done", "running", "pending"), ("files-write", {"path": "report.md", "content": "# All is well\n"})]),
    Say("", [("artifact", {"path": "report.md"})], usage=(1_100, 40)),
    Say(ANSWER, [], usage=(1_200, 30), holds=asyncio.Event()),
]


def configured(directory: Path, url: str, *, budget: str) -> Path:
    """The demonstration's file with an agent in it."""
    model = f"""models:
  main:
    provider: openai-compatible
    model: clever-1
    url: "{url}"
    max-output: 1000
    price: {{input: "2", output: "10"}}
"""
    agent = f"""agents:
  - name: reporter
    title: Reporter
    model: main
    instructions: Look around, write a report and keep it.
    tools: [files.list, files.write, artifact]
    budget: "{budget}"
    done-when: {{artifacts: [report.md]}}
"""
    file = shipped(directory)
    file.write_text(file.read_text().replace("models:\n", model, 1).replace("agents:\n", agent, 1))
    return file


async def test_a_person_watches_a_model_work_and_an_approver_lets_it_spend_more(
    new_house: Builder, tmp_path: Path
) -> None:
    async with openai_server(*STORY) as vendor:
        # Enough for two turns: what the answer alone may cost is reserved at a cent.
        house = new_house("sqlite", BANKSMAN_CONFIG=str(configured(tmp_path, vendor.url, budget="0.02")))
        async with pages(house) as visit:
            page = await visit("requester", OPS)
            thread = await ask(page, "@banksman reporter How are things?")
            await expect(thread).to_contain_text("Blocked because it has used up what it may", timeout=_SOON_MS)
            approver = await visit("approver", OPS)
            await approver.get_by_test_id("timeline").get_by_test_id("open-thread").last.click(timeout=_SOON_MS)
            theirs = approver.get_by_test_id("thread")
            if pictures := os.environ.get("PICTURES"):
                await approver.screenshot(path=f"{pictures}/agent-blocked.png", full_page=True)
            await theirs.get_by_role("button", name="Add $0.02").last.click()
            await approver.get_by_test_id("confirm-yes").click()

            growing = thread.locator(".is-streaming")
            await expect(growing).to_contain_text("All is well; the report is attached.", timeout=_SOON_MS)
            await expect(growing.locator("strong")).to_have_text("What I looked at")
            if pictures:
                await page.screenshot(path=f"{pictures}/agent-writing.png", full_page=True)
            assert STORY[-1].holds is not None
            STORY[-1].holds.set()
            await expect(thread).to_contain_text("Its answer stands above.", timeout=_SOON_MS)
            await expect(growing).to_have_count(0)
            await expect(thread).to_contain_text("The next one can be asked for in the same words.")
            await expect(thread).to_contain_text("report.md")
            await expect(thread).to_contain_text("thinks with clever-1")
            for title in PLAN:
                await expect(thread).to_contain_text(title)
            if pictures:
                await page.screenshot(path=f"{pictures}/agent-done.png", full_page=True)
        async with Team(house.url) as team:
            roots = [message["ts"] for message in (await team.state())["messages"] if "reporter" in message["text"]]
            run_id = run_of(await team.card(roots[0]))
        shown = await asyncio.to_thread(house.show, run_id)
        assert "completed" == shown["run"]["state"]
        assert 4 == len(shown["turns"]) == len(vendor.asked)
        assert sum(turn["cost_micro_usd"] for turn in shown["turns"]) == shown["run"]["cost_micro_usd"] < 40_000
