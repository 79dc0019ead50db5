"""The detector of loops: every pattern is seen within so many steps, and honest work never is."""

import json
from collections.abc import Callable, Iterator

import pytest

from core.loops import Mark, Stall, digest_of, masked, stall

Step = tuple[str, str, str]
"""Arguments, answer, error."""


def mark(args: str, answer: str, error: str = "", *, progress: bool = False) -> Mark:
    return Mark(f"shell {args}"[:40], digest_of("shell", args), digest_of(answer), error, progress)


def blocked_after(steps: Iterator[Mark], most: int = 60) -> tuple[int, Stall] | None:
    """How many steps it takes to be seen, and as what."""
    marks: list[Mark] = []
    for number, each in enumerate(steps, start=1):
        marks.append(each)
        if (found := stall(marks)) is not None:
            return number, found
        if number == most:
            return None
    return None


def same() -> Iterator[Mark]:
    while True:
        yield mark("ls", "a.txt")


def abab() -> Iterator[Mark]:
    while True:
        yield mark("ls", "a.txt")
        yield mark("cat a.txt", "hello")


def abc() -> Iterator[Mark]:
    while True:
        yield mark("ls", "a.txt")
        yield mark("cat a.txt", "hello")
        yield mark("pwd", "/workspace")


def varying_nonce() -> Iterator[Mark]:
    number = 0
    while True:
        number += 1
        yield mark(
            f"curl /status?nonce=8f3a{number:04x}bc{number}",
            f"queued at 2026-11-28T10:00:{number % 60:02d}Z, try {number}",
        )


def failing_differently() -> Iterator[Mark]:
    number = 0
    while True:
        number += 1
        yield mark(f"make target-{chr(97 + number % 26) * 3}", f"no rule {chr(97 + number % 26) * 4}", "exit-2")


def nothing_new() -> Iterator[Mark]:
    for word in ("ls", "pwd", "id", "date", "who", "env"):
        yield mark(word, "said nothing")
    while True:
        for word in ("cat a", "cat b", "cat c", "cat d", "cat e", "cat f", "cat g"):
            yield mark(word, "said nothing")


@pytest.mark.parametrize(
    ("pattern", "within"),
    [(same, 3), (abab, 6), (abc, 9), (varying_nonce, 3), (failing_differently, 5), (nothing_new, 7)],
)
def test_a_loop_is_seen(pattern: Callable[[], Iterator[Mark]], within: int) -> None:
    found = blocked_after(pattern())

    assert found is not None
    assert found[0] <= within, found


def test_forty_honest_steps_are_none() -> None:
    steps = (
        mark(
            f"cat src/module_{'abcdefghij'[n % 10]}{'klmn'[n // 10]}.py",
            f"text of {'abcdefghij'[n % 10]}{'klmn'[n // 10]}",
        )
        for n in range(40)
    )

    assert blocked_after(steps) is None


def test_the_same_tests_between_edits_are_none() -> None:
    """Edit, test, edit, test: the tests fail alike for a while, but every edit is another one."""

    def working() -> Iterator[Mark]:
        for word in ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"):
            yield mark(f"write {word}.py", f"wrote {word}", progress=True)
            yield mark("pytest", f"failed in {word}")

    assert blocked_after(working()) is None


def test_what_counts_or_tells_the_time_is_masked() -> None:
    for one, other in (
        ("done in 12.5 s", "done in 3 s"),
        ("at 2026-11-28T10:00:00Z", "at 2026-11-28 11:22:33.5+02:00"),
        ("id 0f8fad5b-d9cb-469f-a165-70867728950e", "id 7c9e6679-7425-40de-944b-e07fc1f90ae7"),
        ("commit 4cc751d9a0", "commit d229fce100"),
    ):
        assert masked(one) == masked(other)
    assert masked("alpha") != masked("beta")
    assert masked(json.dumps({"path": "a"})) != masked(json.dumps({"path": "b"}))
