"""What is read out of the output of each test runner, none of which has to be here."""

import pytest

from core.tools.checkup.counts import Counts, missing_modules, needed_network, read

PYTEST = (
    "F.E\nFAILED tests/a.py::test_b[x - y] - assert 1 == 2\nERROR tests/c.py - ImportError: no\n"
    "\x1b[31m1 failed, 5 passed, 2 skipped, 1 xfailed, 3 warnings, 2 errors in 0.12s\x1b[0m\n"
)
UNITTEST = "FAIL: test_a (t.T.test_a)\n----\nRan 12 tests in 0.001s\n\nFAILED (failures=1, errors=2, skipped=3)\n"
GO = "=== RUN TestA\n--- PASS: TestA (0.00s)\n--- FAIL: TestB (0.01s)\n    --- SKIP: TestB/c (0.00s)\nFAIL\n"
CARGO = (
    "test a ... ok\ntest b::c ... FAILED\ntest result: FAILED. 4 passed; 1 failed; 2 ignored; 0 measured\n"
    "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured\n"
)
TAP = "ok 1 - a\nnot ok 2 - b is c\n# tests 5\n# pass 3\n# fail 1\n# skipped 1\n"
NODE = "✔ a (0.5ms)\n✖ b (0.7ms)\nℹ tests 2\nℹ pass 1\nℹ fail 1\nℹ skipped 0\n"
JEST = "  ● suite › b\n\nTests:       1 failed, 2 skipped, 4 passed, 7 total\n"
VITEST = "      Tests  1 failed | 4 passed (5)\n"
MOCHA = "  4 passing (12ms)\n  1 pending\n  2 failing\n"


@pytest.mark.parametrize(
    ("framework", "text", "counts"),
    [
        ("pytest", PYTEST, Counts(9, 1, 2, 2, ("tests/a.py::test_b[x", "tests/c.py"))),
        ("pytest", "no tests ran in 0.00s\n", Counts(0)),
        ("pytest", "Traceback\nX\n", Counts()),
        ("unittest", UNITTEST, Counts(12, 1, 2, 3, ("test_a (t.T.test_a)",))),
        ("unittest", "Ran 1 test in 0.000s\n\nOK\n", Counts(1)),
        ("go", GO, Counts(3, 1, 0, 1, ("TestB",))),
        ("cargo", CARGO, Counts(10, 1, 0, 2, ("b::c",))),
        ("npm", TAP, Counts(5, 1, 0, 1, ("b is c",))),
        ("npm", NODE, Counts(2, 1, 0, 0, ("b",))),
        ("npm", JEST, Counts(7, 1, 0, 2, ("suite › b",))),
        ("npm", VITEST, Counts(5, 1, 0, 0)),
        ("npm", MOCHA, Counts(7, 2, 0, 1)),
        ("make", PYTEST, Counts(9, 1, 2, 2, ("tests/a.py::test_b[x", "tests/c.py"))),
        ("make", "gcc -o a a.c\n", Counts()),
    ],
)
def test_numbers_and_names_are_read(framework: str, text: str, counts: Counts) -> None:
    assert counts == read(framework, text)


def test_there_is_a_bound_on_names() -> None:
    text = "".join(f"FAILED {'x' * 500}{n}\nFAILED y{n}\n" for n in range(100)) + "200 failed in 1.00s\n"

    found = read("pytest", text)

    assert (200, 30, 160) == (found.failed, len(found.failing), max(map(len, found.failing)))


@pytest.mark.parametrize(
    ("text", "reached_out"),
    [
        ("socket.gaierror: [Errno -3] Temporary failure in name resolution", True),
        ("npm error code ENOTCACHED", True),
        ("assert 1 == 2", False),
    ],
)
def test_a_missing_network_is_recognised(text: str, reached_out: bool) -> None:
    assert reached_out == needed_network(text)


def test_modules_that_are_not_installed_are_named_once() -> None:
    text = "No module named 'a.b'\nNo module named 'a.b'\nError: Cannot find module '@x/y'\nCannot find module './z'\n"

    assert ["a.b", "@x/y"] == missing_modules(text)
