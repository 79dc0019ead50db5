"""Numbers and names out of what a test runner printed.

Every runner prints for people, so this is a reading, not a measurement: what is not found stays unknown. The text is
the end of the output, bounded, and every pattern here works on one line.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

MOST_NAMES = 30
NAME_CHARACTERS = 160

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_LINE_CHARACTERS = 1_000
_PYTEST_LINE = re.compile(r"(?:=+ )?((?:\d+ \w+(?:, )?)+) in [\d.]+s\b")
_PYTEST_PART = re.compile(r"(\d+) (passed|failed|errors?|skipped|xfailed|xpassed)\b")
_PYTEST_NAME = re.compile(r"(?:FAILED|ERROR) (\S.*?)(?: - .*)?$")
_UNITTEST_RAN = re.compile(r"Ran (\d+) tests? in ")
_UNITTEST_ENDED = re.compile(r"(?:FAILED|OK)(?: \((.*)\))?$")
_UNITTEST_PART = re.compile(r"(failures|errors|skipped|unexpected successes)=(\d+)")
_UNITTEST_NAME = re.compile(r"(?:FAIL|ERROR): (.+)$")
_TAP_PART = re.compile(r"(?:#|ℹ) (tests|pass|fail|skipped) (\d+)$")
_TAP_NAME = re.compile(r"\s*(?:not ok \d+ - |✖ )(.+?)(?: \([\d.]+ms\))?$")
_JEST_LINE = re.compile(r"\s*Tests:?\s+(.*\d+ (?:passed|failed|total|skipped|todo).*)$")
_JEST_PART = re.compile(r"(\d+) (passed|failed|skipped)")
_JEST_NAME = re.compile(r"\s+● (.+)$")
_MOCHA_PART = re.compile(r"\s+(\d+) (passing|failing|pending)\b")
_GO_RESULT = re.compile(r"\s*--- (PASS|FAIL|SKIP): (\S+)")
_CARGO_PART = re.compile(r"test result: \S+ (\d+) passed; (\d+) failed; (\d+) ignored")
_CARGO_NAME = re.compile(r"test (\S+) \.\.\. FAILED$")

_NO_NETWORK = re.compile(
    r"Temporary failure in name resolution|Name or service not known|Network is unreachable|Could not resolve host"
    r"|No address associated with hostname|getaddrinfo (?:ENOTFOUND|EAI_AGAIN)|ENETUNREACH|ENOTCACHED|EAI_AGAIN"
    r"|dial tcp: lookup|module lookup disabled|attempting to make an HTTP request, but --offline"
    r"|failed to download|Max retries exceeded|NewConnectionError"
)
_MISSING_MODULE = re.compile(r"No module named '([\w.]{1,80})'|Cannot find (?:module|package) '([\w@./-]{1,80})'")


@dataclass
class Counts:
    """What a runner said of itself."""

    tests: int | None = None
    """How many it ran or skipped."""
    failed: int = 0
    errors: int = 0
    skipped: int = 0
    failing: tuple[str, ...] = ()


def read(framework: str, text: str) -> Counts:
    """Read what one runner printed; `make` and `npm` may run any of them."""
    lines = [line[:_LINE_CHARACTERS].rstrip() for line in _ANSI.sub("", text).splitlines()]
    reader = _READERS.get(framework)
    for read_one in (reader,) if reader else _ANY:
        found = read_one(lines)
        if found.tests is not None or found.errors:
            return found
    return Counts()


def needed_network(text: str) -> bool:
    """Whether something could not be reached."""
    return _NO_NETWORK.search(text) is not None


def missing_modules(text: str) -> list[str]:
    """What could not be imported, as far as the runner names it."""
    found = (one or other for one, other in _MISSING_MODULE.findall(text))
    return list(dict.fromkeys(name for name in found if not name.startswith((".", "/"))))[:5]


def _pytest(lines: list[str]) -> Counts:
    counts = Counts(failing=_names(_PYTEST_NAME, lines))
    for line in reversed(lines):
        if _PYTEST_LINE.match(line):
            parts = {name.rstrip("s") if name == "errors" else name: int(n) for n, name in _PYTEST_PART.findall(line)}
            counts.failed, counts.errors = parts.get("failed", 0), parts.get("error", 0)
            counts.skipped = parts.get("skipped", 0)
            counts.tests = sum(number for name, number in parts.items() if name != "error")
            return counts
        if line.startswith("no tests ran in "):
            counts.tests = 0
            return counts
    return Counts()


def _unittest(lines: list[str]) -> Counts:
    counts = Counts(failing=_names(_UNITTEST_NAME, lines))
    for line in reversed(lines):
        if (ended := _UNITTEST_ENDED.match(line)) and not (counts.failed or counts.errors):
            parts = {name: int(number) for name, number in _UNITTEST_PART.findall(ended[1] or "")}
            counts.failed = parts.get("failures", 0) + parts.get("unexpected successes", 0)
            counts.errors, counts.skipped = parts.get("errors", 0), parts.get("skipped", 0)
        if ran := _UNITTEST_RAN.match(line):
            counts.tests = int(ran[1])
            return counts
    return Counts()


def _tap(lines: list[str]) -> Counts:
    parts = {match[1]: int(match[2]) for line in lines if (match := _TAP_PART.match(line))}
    if "tests" not in parts:
        return Counts()
    failing = _names(_TAP_NAME, lines)
    return Counts(parts["tests"], parts.get("fail", 0), 0, parts.get("skipped", 0), failing)


def _jest(lines: list[str]) -> Counts:
    for line in reversed(lines):
        if match := _JEST_LINE.match(line):
            parts = {name: int(number) for number, name in _JEST_PART.findall(match[1])}
            if parts:
                failing = _names(_JEST_NAME, lines)
                return Counts(sum(parts.values()), parts.get("failed", 0), 0, parts.get("skipped", 0), failing)
    return Counts()


def _mocha(lines: list[str]) -> Counts:
    parts = {match[2]: int(match[1]) for line in lines if (match := _MOCHA_PART.match(line))}
    if "passing" not in parts:
        return Counts()
    return Counts(sum(parts.values()), parts.get("failing", 0), 0, parts.get("pending", 0))


def _go(lines: list[str]) -> Counts:
    results = [(match[1], match[2]) for line in lines if (match := _GO_RESULT.match(line))]
    if not results:
        return Counts()
    kinds = [kind for kind, _ in results]
    failing = _bounded(name for kind, name in results if kind == "FAIL")
    return Counts(len(results), kinds.count("FAIL"), 0, kinds.count("SKIP"), failing)


def _cargo(lines: list[str]) -> Counts:
    parts = [tuple(map(int, match.groups())) for line in lines if (match := _CARGO_PART.match(line))]
    if not parts:
        return Counts()
    passed, failed, ignored = (sum(column) for column in zip(*parts, strict=True))
    return Counts(passed + failed + ignored, failed, 0, ignored, _names(_CARGO_NAME, lines))


def _names(pattern: re.Pattern[str], lines: list[str]) -> tuple[str, ...]:
    return _bounded(match[1] for line in lines if (match := pattern.match(line)))


def _bounded(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name[:NAME_CHARACTERS] for name in names))[:MOST_NAMES]


_Reader = Callable[[list[str]], Counts]
_READERS: dict[str, _Reader] = {"pytest": _pytest, "unittest": _unittest, "go": _go, "cargo": _cargo}
_ANY: tuple[_Reader, ...] = (_pytest, _unittest, _tap, _jest, _mocha, _cargo, _go)
