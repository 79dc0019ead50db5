"""The guide's playbooks do what the guide says."""

from dataclasses import replace
from pathlib import Path

import pytest

from core.config import ConfigProblems, PlaybookSource
from core.config.document import parse_document
from core.planners.base import Act, CallOutcome, Finish, GiveUp, PlanRequest
from core.planners.binding import Attachment, Bound, bind_inputs
from core.planners.playbook import PlaybookPlanner, compile_playbook
from core.planners.waiting import judged
from tests.docs.fences import Fence
from tests.unit.planners.books import done, failed

GUIDE = Path(__file__).resolve().parents[3] / "docs/guides/playbooks.md"


def source_of(fence: Fence) -> PlaybookSource:
    document = parse_document(fence.text.encode(), file="guide")
    return PlaybookSource(document.plain()["name"], document)


@pytest.mark.runs_fence("docs/guides/playbooks.md > A first one > 1")
def test_the_first_playbook_counts_words(fence: Fence) -> None:
    source = source_of(fence)
    bound = bind_inputs(compile_playbook(source), "limit=500", [Attachment("a.md", "", 9)], {})
    assert isinstance(bound, Bound)
    assert {"text": {"attachment": 0, "name": "a.md"}, "limit": 500} == bound.inputs

    file = {"name": "a.md", "path": "inputs/a.md", "sha256": "0", "size": 9, "media_type": "text/markdown"}
    history: list[CallOutcome] = []
    for expected in (
        Act("count", "shell", {"argv": ["wc", "-w", "inputs/a.md"]}, "Count the words of a.md", 30.0),
        Finish("a.md: 7 (allowed: 500)"),
    ):
        request = PlanRequest(source.name, source.text, "", {"text": file, "limit": 500}, tuple(history))
        assert expected == PlaybookPlanner().decide(request).move
        history.append(done("count", stdout="7"))


@pytest.mark.runs_fence("docs/guides/playbooks.md > Conditions and failures > 1")
@pytest.mark.parametrize(
    ("outcomes", "end"),
    [
        ([done("check")], Finish("The folder is data.")),
        ([failed("check"), done("create")], Finish("The folder is data.")),
        ([failed("check"), failed("create", "no room"), done("leave_word")], GiveUp("Create: no room")),
    ],
)
def test_the_second_playbook_copes(fence: Fence, outcomes: list[CallOutcome], end: Finish | GiveUp) -> None:
    source = source_of(fence)
    for length in range(len(outcomes)):
        turn = PlaybookPlanner().decide(PlanRequest(source.name, source.text, "", {}, tuple(outcomes[:length])))
        assert isinstance(turn.move, Act) and turn.move.step == outcomes[length].step

    assert end == PlaybookPlanner().decide(PlanRequest(source.name, source.text, "", {}, tuple(outcomes))).move


@pytest.mark.runs_fence("docs/guides/playbooks.md > Conditions and failures > 1")
def test_the_second_playbook_writes_the_note(fence: Fence) -> None:
    source = source_of(fence)
    turn = PlaybookPlanner().decide(PlanRequest(source.name, source.text, "", {"note": "hi"}, (done("check"),)))

    assert isinstance(turn.move, Act)
    assert ("write", {"path": "data/note.txt", "content": "hi"}) == (turn.move.step, turn.move.args)


@pytest.mark.runs_fence("docs/guides/playbooks.md > Waiting > 1")
def test_the_waiting_playbook_waits_for_its_build_and_says_how_it_ended(fence: Fence) -> None:
    source = source_of(fence)
    first = PlanRequest(source.name, source.text, "", {"build": "7"}, ())

    move = PlaybookPlanner().decide(first).move

    assert isinstance(move, Act) and move.wait is not None
    assert "https://builds.example.org/7.json" == move.args["url"]
    assert (7_200_000, 10_000) == (move.wait.deadline_ms, move.wait.every_ms)
    for state, over in (("running", False), ("broken", True)):
        out = {"json": {"state": state}}
        assert over == judged(move.wait.condition, move.wait.values, status="succeeded", out=out).holds
    ended = replace(first, outcomes=(done("build", json={"state": "broken"}),))
    assert Finish("The build is over: broken") == PlaybookPlanner().decide(ended).move


@pytest.mark.runs_fence("docs/guides/playbooks.md > Several times > 1")
def test_the_playbook_with_rounds_makes_each_of_them_by_itself(fence: Fence) -> None:
    source = source_of(fence)
    found = [
        {"name": name, "host": f"{name}.example.org", "open": is_open}
        for name, is_open in (("eu", True), ("us", False), ("ap", True))
    ]
    outcomes = [done("regions", found=found), done("announce[1]"), failed("announce[3]", "no answer")]
    outcomes += [done("drain[1]", left=4), done("drain[2]", left=0)]
    asked = [
        PlaybookPlanner().decide(PlanRequest(source.name, source.text, "", {}, tuple(outcomes[:length]))).move
        for length in range(len(outcomes) + 1)
    ]

    assert ["regions", "announce[1]", "announce[3]", "drain[1]", "drain[2]"] == [
        move.step for move in asked if isinstance(move, Act)
    ]
    assert isinstance(asked[2], Act)
    url = "https://ap.example.org/announcements"
    assert {"method": "POST", "url": url, "json": {"region": "ap"}} == asked[2].args
    assert Finish("Not everywhere: 3 of 3: no answer.\nThe queue was drained in 2 rounds.") == asked[-1]


@pytest.mark.runs_fence("docs/guides/playbooks.md > Several times > 2")
def test_the_playbook_with_rounds_of_several_steps_says_where_it_did_not_work(fence: Fence) -> None:
    source = source_of(fence)
    found = [{"name": name, "host": f"{name}.example.org"} for name in ("eu", "us")]
    outcomes = [done("regions", found=found), failed("deploy[1]", "no room"), done("deploy[2]"), done("check[2]")]
    asked = [
        PlaybookPlanner().decide(PlanRequest(source.name, source.text, "", {}, tuple(outcomes[:length]))).move
        for length in range(len(outcomes) + 1)
    ]

    made = [(move.step, move.title) for move in asked if isinstance(move, Act)]
    assert ("deploy[1]", "Rollout (1 of 2): Deploy") == made[1]
    assert ["regions", "deploy[1]", "deploy[2]", "check[2]"] == [step for step, _ in made]
    assert isinstance(asked[3], Act) and asked[3].wait is not None
    assert "https://us.example.org/health" == asked[3].args["url"]
    assert Finish("Not everywhere: 1 of 2: Deploy: no room.") == asked[-1]


def test_the_mistakes_in_the_guide_read_like_real_ones() -> None:
    text = (
        "name: a\ninputs: {limit: {type: integer}}\n"
        "steps: [{id: count, tool: shell}, {id: b, tool: shell, with: {path: '${{ steps.cuont.out.x }}'}}]\n"
        "summary: ${{ inputs.limits }}\n"
    )
    with pytest.raises(ConfigProblems) as raised:
        compile_playbook(PlaybookSource("a", parse_document(text.encode(), file="banksman.yml")))

    guide = GUIDE.read_text("utf-8")
    assert 2 == len(raised.value.problems)
    assert all(f"    {each.what}\n    {each.remedy}" in guide for each in raised.value.problems)
