"""Strict YAML: what two readers could understand differently is refused, with its place and a remedy."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config.document import Document, from_plain, parse_document, read_document
from core.config.problems import ConfigProblems, Problem

HOSTILE = {
    "a duplicate key": (b"policy: deny\npolicy: allow\n", 2, "stands twice"),
    "a duplicate key far below": (b"a:\n  b: {c: 1, c: 2}\n", 2, "stands twice"),
    "a duplicate key in other quotes": (b"a: 1\n'a': 2\n", 2, "stands twice"),
    "an anchor": (b"a: &x 1\n", 1, "is an anchor"),
    "an alias": (b"a: 1\nb: *x\n", 2, "is an alias"),
    "an alias as a key": (b"a: 1\n*x : 2\n", 2, "is an alias"),
    "a merge key": (b"a:\n  <<: {b: 1}\n", 2, "is a merge key"),
    "a billion laughs": (b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", 1, "is an anchor"),
    "a custom tag": (b"a: !ruby/object {}\n", 1, "tag"),
    "a python tag": (b"a: !!python/object/apply:os.system [true]\n", 1, "tag"),
    "a standard tag": (b"a: !!str 5\n", 1, "tag"),
    "the empty tag": (b"a: ! 5\n", 1, "tag"),
    "a number as a key": (b"12: x\n", 1, "A key must be text"),
    "a truth value as a key": (b"true: x\n", 1, "A key must be text"),
    "nothing as a key": (b"~: x\n", 1, "A key must be text"),
    "a list as a key": (b"? [a]\n: x\n", 1, "A key must be text"),
    "the Norway key": (b"no: x\n", 1, "different things"),
    "the key on": (b"on: push\n", 1, "different things"),
    "no": (b"a: no\n", 1, "different things"),
    "Yes": (b"a: Yes\n", 1, "different things"),
    "off": (b"a: off\n", 1, "different things"),
    "y": (b"a: y\n", 1, "different things"),
    "an octal of 1.1": (b"a: 012\n", 1, "different things"),
    "an octal of 1.2": (b"a: 0o14\n", 1, "different things"),
    "a hexadecimal": (b"a: 0x1F\n", 1, "different things"),
    "a binary": (b"a: 0b11\n", 1, "different things"),
    "a number with underscores": (b"a: 1_000\n", 1, "different things"),
    "a number with a plus": (b"a: +1\n", 1, "different things"),
    "a leading zero that is not octal": (b"a: 089\n", 1, "different things"),
    "a sexagesimal": (b"a: 1:30\n", 1, "different things"),
    "a long sexagesimal": (b"a: 190:20:30\n", 1, "different things"),
    "a sexagesimal fraction": (b"a: 20:30.15\n", 1, "different things"),
    "a date": (b"a: 2026-01-31\n", 1, "different things"),
    "a timestamp": (b"a: 2026-01-31 10:00:00\n", 1, "different things"),
    "a value key": (b"a: =\n", 1, "different things"),
    "a fraction": (b"a: 1.5\n", 1, "is a fraction"),
    "an exponent": (b"a: 1e3\n", 1, "is a fraction"),
    "infinity": (b"a: .inf\n", 1, "is a fraction"),
    "not a number": (b"a: .NaN\n", 1, "is a fraction"),
    "an integer beyond 2^53": (b"a: 9007199254740993\n", 1, "too large"),
    "an endless integer": (b"a: " + b"9" * 5000 + b"\n", 1, "too large"),
    "a NUL": (b"a: b\x00c\n", 1, "U+0000"),
    "an escaped NUL": (b'a: "b\\0c"\n', 1, "NUL"),
    "a control character": (b"a: 1\nb: \x07\n", 2, "U+0007"),
    "a second document": (b"a: 1\n---\nb: 2\n", 2, "second document"),
    "a version directive": (b"%YAML 1.1\n---\na: no\n", 1, "directives"),
    "a version nobody has": (b"# x\n%YAML 1.9\n---\na: 1\n", 2, "directives"),
    "a later directive": (b"a: 1\n...\n%YAML 1.9\n---\nb: 1\n", 1, "not YAML"),
    "a tag directive": (b"%TAG ! tag:x,2000:\n---\na: 1\n", 1, "directives"),
    "an unknown directive": (b"%FOO x\n---\na: 1\n", 1, "directives"),
    "an escaped half of a character": (b'a: "\\ud83d"\n', 1, "half of a character"),
    "an impossible character": (b'a: "\\U00110000"\n', 1, "not YAML"),
    "a line break of other readers": ("a: x\u2028b: no\n".encode(), 1, "U+2028"),
    "a next-line character": ("a: x\x85b: no\n".encode(), 1, "U+0085"),
    "a text that runs backwards": ("# \u202e\na: 1\n".encode(), 1, "U+202E"),
    "a byte-order mark inside": ("a: \ufeff1\n".encode(), 1, "U+FEFF"),
    "a tab as indentation": (b"a:\n\t- b\n", 2, "not YAML"),
    "an open quote": (b"a: 'x\n", 2, "not YAML"),
    "an open bracket": (b"a: [1,\n", 2, "not YAML"),
    "two colons": (b"a: b: c\n", 1, "not YAML"),
    "bad indentation": (b"a:\n  b: 1\n c: 2\n", 3, "not YAML"),
    "a reserved character": (b"a: @b\n", 1, "not YAML"),
    "UTF-16": ("a: 1\n".encode("utf-16"), 0, "UTF-16"),
    "Latin-1": ("a: 1\nb: é\n".encode("latin-1"), 2, "not UTF-8"),
    "half a character": (b"a: \xed\xa0\x80\n", 1, "not UTF-8"),
    "nothing": (b"", 1, "empty"),
    "only a comment": (b"# nothing\n", 1, "empty"),
    "more than a megabyte": (b"# " + b"x" * 1_000_000, 0, "larger than 1 MB"),
    "too many levels": (b"[" * 10_000, 1, "24 levels"),
    "too many levels of blocks": ("".join(" " * i + "a:\n" for i in range(40)).encode(), 26, "24 levels"),
    "too many values": (b"[" + b"1," * 20_100 + b"1]", 1, "20,000 values"),
}


def problems_of(data: bytes) -> tuple[Problem, ...]:
    with pytest.raises(ConfigProblems) as raised:
        parse_document(data, file="banksman.yml")
    return raised.value.problems


@pytest.mark.parametrize(("data", "line", "words"), HOSTILE.values(), ids=HOSTILE)
def test_it_is_refused_with_place_and_remedy(data: bytes, line: int, words: str) -> None:
    first = problems_of(data)[0]

    assert words in first.what
    assert line == first.line
    assert "banksman.yml" == first.file
    assert first.remedy.endswith((".", "…`.", '".'))
    assert first.what in str(first)
    assert f"banksman.yml:{line}:" in str(first) or line == 0


def test_all_mistakes_of_a_file_are_reported_together() -> None:
    found = problems_of(b"a: no\na: 1.5\nb: &x 012\nc: *x\n")

    assert [1, 2, 2, 3, 3, 4] == [problem.line for problem in found]


def test_the_path_leads_to_the_mistake() -> None:
    (found,) = problems_of(b"playbooks:\n  - name: a\n    steps: [{id: x, with: {rate: 1.5}}]\n")

    assert "playbooks[0].steps[0].with.rate" == found.path
    assert (3, 34) == (found.line, found.column)


def test_the_text_of_many_mistakes_stays_readable() -> None:
    with pytest.raises(ConfigProblems) as raised:
        parse_document(b"".join(b"k%d: no\n" % number for number in range(40)), file="banksman.yml")

    text = str(raised.value)
    assert text.startswith("banksman.yml: 40 problems.\n\nbanksman.yml:1:5  k0\n")
    assert text.endswith("… and 15 more.")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("0", 0),
        ("-12", -12),
        ("9007199254740991", 9007199254740991),
        ("'no'", "no"),
        ('"012"', "012"),
        ("60s", "60s"),
        ("text with spaces", "text with spaces"),
        ("v1.2.3", "v1.2.3"),
        ("10.0.0.1", "10.0.0.1"),
        ("-", [None]),
        ("a-b", "a-b"),
        ("nope", "nope"),
        ("'é 😀'", "é 😀"),
        ("|\n  two\n  lines", "two\nlines\n"),
    ],
)
def test_plain_values_mean_what_they_look_like(written: str, meant: object) -> None:
    document = parse_document(f"\ufeffa: {written}\n".encode() if written != "-" else b"a:\n  -\n", file="x")

    assert {"a": meant} == document.plain()


def test_a_single_letter_is_a_name_as_a_key_but_not_as_a_value() -> None:
    assert {"x": 1, "y": 2, "n": 3} == parse_document(b"{x: 1, y: 2, n: 3}", file="f").plain()
    assert "different things" in problems_of(b"x: n\n")[0].what


def test_a_missing_file_and_a_directory_are_named(tmp_path) -> None:  # type: ignore[no-untyped-def]
    for path, words in ((tmp_path / "none.yml", "does not exist"), (tmp_path, "directory")):
        with pytest.raises(ConfigProblems) as raised:
            read_document(path)
        assert words in raised.value.problems[0].what
        assert str(path) == raised.value.problems[0].file


def test_layout_and_comments_do_not_change_the_canonical_text() -> None:
    one = parse_document(b"b: [1, 'x']\na: {c: true}\n", file="one")
    other = parse_document(b"# hello\na:\n  c: true\nb:\n  - 1\n  - x\n", file="other")

    assert '{"a":{"c":true},"b":[1,"x"]}' == one.canonical() == other.canonical()


def test_a_part_of_a_document_keeps_its_places() -> None:
    part = parse_document(b"list:\n  - a: 1\n  - a: 2\n", file="f").part(["list", 1])

    problem = part.problem(["a"], "What.", "Remedy.", at_key=True)
    assert (3, 5, "list[1].a") == (problem.line, problem.column, problem.path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc_-", min_size=1), inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_plain_json_comes_back_as_it_was(value: object) -> None:
    assert value == from_plain(value, file="x").plain()


@given(st.binary(max_size=200) | st.text("ab:-[]{}&*!|>'\"#%@`\n \t,?0.~<=", max_size=80).map(str.encode))
def test_whatever_is_fed_in_is_read_or_refused_with_a_remedy(data: bytes) -> None:
    for problem in _problems(data):
        assert problem.what and problem.remedy and problem.file == "f"


def _problems(data: bytes) -> Iterator[Problem]:
    try:
        assert isinstance(parse_document(data, file="f"), Document)
    except ConfigProblems as error:
        yield from error.problems
