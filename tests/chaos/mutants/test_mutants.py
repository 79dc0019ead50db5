"""The planted bugs themselves: each line of the table is true, and the runner tells caught from survived."""

import subprocess
import sys
from dataclasses import replace

import pytest

from tests.chaos.mutants.running import ROOT, Stale, mutated, planted
from tests.chaos.mutants.table import MUTANTS, Mutant
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.timeout(600)

HERE = ("jcs-instead-of-rfc8785", "drop-fence-check", "opaque-is-repeated")
"""Planted in every run of the suite; `make chaos` plants all."""


def of(name: str) -> Mutant:
    return next(mutant for mutant in MUTANTS if mutant.name == name)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_each_bug_can_be_planted_in_the_code_as_it_is(mutant: Mutant) -> None:
    broken = mutated(mutant, ROOT)

    assert broken != (ROOT / mutant.file).read_text()
    compile(broken, mutant.file, "exec")


def test_every_test_that_should_notice_exists() -> None:
    tests = sorted({mutant.test for mutant in MUTANTS})
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *tests],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert 0 == done.returncode, done.stdout[-2000:]


def test_all_but_one_of_the_fifteen_are_there() -> None:
    fifteen = {
        "drop-fence-check", "ack-before-persist", "no-for-update-on-votes", "consume-outside-the-start",
        "jcs-instead-of-rfc8785", "ingestion-level-dedupe", "killpg-only", "fifo-approval", "fail-open-approver-set",
        "default-slack-retry", "job-id-is-the-run", "deferred-sqlite-transaction", "now-in-the-lease",
        "settle-at-0",
    }  # fmt: skip
    assert fifteen <= {mutant.name for mutant in MUTANTS}


@pytest.mark.parametrize("name", HERE)
def test_a_planted_bug_is_caught(name: str) -> None:
    outcome = planted(of(name))

    assert outcome.caught, outcome.said


def test_a_bug_that_breaks_nothing_survives() -> None:
    mutant = of("jcs-instead-of-rfc8785")

    assert not planted(
        replace(mutant, new=f"{mutant.old}            # nothing\n".replace("\n            #", "  #"))
    ).caught


def test_a_bug_that_cannot_be_planted_any_more_is_an_error() -> None:
    with pytest.raises(Stale, match="0 times, not once"):
        mutated(replace(of("killpg-only"), old="text that nobody wrote"), ROOT)


def test_a_test_that_cannot_be_run_is_an_error() -> None:
    with pytest.raises(Stale, match="could not be run"):
        planted(replace(of("jcs-instead-of-rfc8785"), test="tests/unit/actions/test_envelope.py::test_of_nothing"))
