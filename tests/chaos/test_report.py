"""What a chaos run says at its end: the last line is one document, and nothing that is wrong is left out of it."""

import json
from collections import Counter

import pytest

from core.crashpoints import LABELS
from core.record.states import TRANSITIONS
from tests.chaos.report import REFUSALS, REFUSED, Report
from tests.chaos.rig.holding import Held
from tests.chaos.simulation import Simulated


def everything_reached() -> Report:
    report = Report(7, Held(fired=Counter(dict.fromkeys(LABELS, 4))), mutants={"a": "tests/a.py::test_a"})
    moves = [f"{source} -> {target}" for source, targets in TRANSITIONS.items() for target in targets]
    refusals = [*(f"refused-{why}" for why in REFUSED), *(f"refusal-{why}" for why in REFUSALS)]
    report.add_simulated(Simulated(10, Counter(dict.fromkeys([*moves, *refusals], 1))))
    return report


def document(report: Report, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    report.print()
    return dict(json.loads(capsys.readouterr().out.splitlines()[-1]))


def test_a_run_that_reached_everything_is_good(capsys: pytest.CaptureFixture[str]) -> None:
    report = everything_reached()
    said = document(report, capsys)

    assert report.is_good
    assert (0, 0, 1, 1, 7) == tuple(
        said[name] for name in ("trials", "violations", "mutants_caught", "mutants_total", "seed")
    )


def test_a_label_that_was_never_reached_fails_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    report = everything_reached()
    del report.held.fired["CP13"]

    assert not report.is_good
    assert ["CP13"] == document(report, capsys)["unreached"]


def test_a_transition_nobody_made_fails_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    report = everything_reached()
    del report.simulated_reached["failed -> rolled-back"]

    assert ["failed -> rolled-back"] == document(report, capsys)["unreached"]


def test_a_violation_and_a_survivor_fail_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    report = everything_reached()
    report.held.violations.append("I10 the key k took effect 2 times")
    report.mutants = {"a": None, "b": "tests/b.py::test_b"}
    said = document(report, capsys)

    assert not report.is_good
    assert (1, 1, 2) == (said["violations"], said["mutants_caught"], said["mutants_total"])
    assert ["a"] == said["survivors"]


def test_a_run_that_leaves_points_out_need_not_reach_them() -> None:
    report = Report(7, Held(fired=Counter(CP13=4)), with_mutants=False, points=["CP13"])

    assert report.is_good
