"""The text of an action: all of it, readable back to the byte, and different for different actions."""

import hashlib
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.actions.envelope import Envelope, canonical, digest
from core.actions.reveal import reveal, unreveal
from core.actions.shown import MAX_INLINE, Change, ShownMismatch, box, changes, parse

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
SHA256 = "ab" * 32
HOSTILE = st.sampled_from(
    [
        "a\nargs.b = 1",
        'x"\nenvironment = "staging"',
        "  | x\n  | y",
        "x\n  | y",
        f'=== "changes.patch" sha256:{SHA256} (0 bytes)',
        f'x\n=== "changes.patch" sha256:{SHA256} (0 bytes)\n  | y',
        " = ",
        " =",
        "null",
        "[]",
        '"quoted"',
        'tool = "git_push"',
        "\n",
        "\n\n",
        "x\n",
        "x",
        "\r\n",
        "\r",
        "\t",
        "\u202e",
        "\\u{0041}",
        "\\u{202E}\n",
        "\\",
        '\\"',
        '"',
        "pаypal",
        "не удалять",
        "\u05d0\u05d1/1",
        "x" * 3000 + "; rm -rf /",
    ]
)
KEYS = st.one_of(
    st.from_regex(r"[a-z_]{1,8}", fullmatch=True),
    st.sampled_from(["a = b", 'q"', ".", "[0]", "", "a b", "\n", "\\", '\\"', "\\u{0041}", "a.b", "\t", "x ="]),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53) + 1, 2**53 - 1), TEXTS, HOSTILE),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)
CARRIED = st.one_of(st.binary(max_size=60), st.one_of(TEXTS, HOSTILE).map(str.encode))


def envelope(args: Any, *inputs: bytes, **more: Any) -> tuple[str, dict[str, bytes]]:
    """Canonical bytes of an action, and what it carries."""
    by_digest = {hashlib.sha256(data).hexdigest(): data for data in inputs}
    listed = [{"ref": f"part-{n}", "sha256": hashlib.sha256(data).hexdigest()} for n, data in enumerate(inputs)]
    action = {
        "v": 1,
        "tool": "git_push",
        "args": args,
        "inputs": listed,
        "environment": "default",
        "network": [],
        "creds": [],
        "quorum": 1,
        "nonce": "00" * 16,
        **more,
    }
    return canonical(action).decode(), by_digest


def text_of(args: Any, **more: Any) -> str:
    """The text of an action that carries nothing."""
    return box(envelope(args, **more)[0], {}).text


def warned(args: Any, *inputs: bytes) -> list[str]:
    """What is said of an action."""
    action, carried = envelope(args, *inputs)
    return list(box(action, carried).warnings)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=4), st.lists(CARRIED, max_size=2))
def test_what_is_shown_reads_back_to_the_byte(args: dict[str, Any], inputs: list[bytes]) -> None:
    action, carried = envelope(args, *inputs)
    assert (action.encode(), carried) == parse(box(action, carried).text)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=3), st.dictionaries(KEYS, VALUES, max_size=3))
def test_two_actions_never_have_the_same_text(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = envelope(one)[0], envelope(other)[0]
    assert (first == second) == (box(first, {}).text == box(second, {}).text)


@settings(deadline=None)
@given(st.lists(HOSTILE, min_size=1, max_size=3), CARRIED)
def test_what_imitates_the_layout_adds_no_line_of_its_own(values: list[str], carried: bytes) -> None:
    action, inputs = envelope({"a": values, "b": "end"}, carried)
    lines = box(action, inputs).text.split("\n")[:-1]
    heads = [line for line in lines if not line.startswith("  | ")]
    paths = [re.split(r" =| sha256:", line)[0] for line in heads]
    expected = ["tool", *(f"args.a[{number}]" for number in range(len(values))), "args.b"]
    expected += ["environment", "network", "creds", "inputs[0].ref", "inputs[0].sha256", "quorum", "nonce", "v"]
    assert [*expected, '=== "part-0"'] == paths


def test_every_field_of_a_real_envelope_is_shown_and_reads_back() -> None:
    patch = b"--- a/x\n+++ b/x\n"
    found = hashlib.sha256(patch).hexdigest()
    data = Envelope(
        tenant="t",
        run="run_1",
        step="s1",
        ordinal=0,
        generation=1,
        tool="git_push",
        tool_def="sha256:1",
        args={"branch": "fix", "nothing": None, "none": [], "no": {}},
        tier="irreversible",
        recovery="opaque",
        policy="sha256:2",
        nonce="00",
        inputs=({"ref": "changes.patch", "sha256": found},),
        creds=({"ref": "vault:x", "scopes": ["a"], "ttl": 600},),
        network=("api.example.com:443",),
        quorum=2,
        expires="2026-01-01T00:00:00Z",
    ).to_bytes()
    shown = box(data, {found: patch})
    assert (data, {found: patch}) == parse(shown.text)
    for line in ("args.nothing = null", "args.none = []", "args.no = {}", 'creds[0].scopes[0] = "a"', "image = null"):
        assert line in shown.text.splitlines()
    for name in json.loads(data):
        assert re.search(rf"^{name}[ .\[]", shown.text, re.MULTILINE), name


def test_what_matters_comes_first_and_a_body_is_read_line_by_line() -> None:
    action, carried = envelope({"branch": "fix", "body": "one\n\ntwo\n"}, b"--- a\n+++ b", expires="then")
    [sha256] = carried
    assert [
        'tool = "git_push"',
        "args.body =",
        "  | one",
        "  | ",
        "  | two",
        "  | ",
        'args.branch = "fix"',
        'environment = "default"',
        "network = []",
        "creds = []",
        'inputs[0].ref = "part-0"',
        f'inputs[0].sha256 = "{sha256}"',
        "quorum = 1",
        'expires = "then"',
        f'nonce = "{"00" * 16}"',
        "v = 1",
        f'=== "part-0" sha256:{sha256} (11 bytes)',
        "  | --- a",
        "  | +++ b",
    ] == box(action, carried).text.splitlines()


def test_line_ends_of_every_kind_are_told_apart() -> None:
    kinds = ["a", "a\n", "a\n\n", "\na", "a\r\n", "a\r", "a\n\r", "", "\n", "\r", "a\u2028", "a\x85", "a\x0b"]
    texts = {text_of({"body": kind}) for kind in kinds}
    assert len(kinds) == len(texts)
    assert "args.body =\n  | a\n  | \n" in text_of({"body": "a\n"}), "a line break is shown as one"
    assert 'args.body = "a\\u{000D}"\n' in text_of({"body": "a\r"})
    for kind in map(str.encode, kinds):
        action, carried = envelope({}, kind)
        assert carried == parse(box(action, carried).text)[1]


def test_the_digests_are_of_what_is_shown_and_of_what_is_approved() -> None:
    action, carried = envelope({"n": 1}, b"x")
    shown = box(action, carried)
    assert digest(shown.text.encode()) == shown.digest
    assert digest(action.encode()) == shown.action_digest
    assert shown == box(action.encode(), carried), "whether text or bytes"


def test_bytes_that_are_no_text_are_shown_and_read_back() -> None:
    data = b"\xff\x00binary\x80\r\n\xed\xa0\x80\xf0\x9f\x98\x80"
    action, carried = envelope({}, data)
    shown = box(action, carried).text
    assert "  | \\u{DCFF}\\u{0000}binary\\u{DC80}\\u{000D}" in shown.splitlines()
    assert carried == parse(shown)[1]


def test_all_256_bytes_read_back_alone_and_together() -> None:
    single = [bytes([number]) for number in range(256)]
    action, carried = envelope({}, *single, bytes(range(256)))
    assert carried == parse(box(action, carried).text)[1]


def test_two_inputs_of_the_same_content_are_both_shown() -> None:
    action, carried = envelope({}, b"same", b"same")
    assert 2 == box(action, carried).text.count("  | same\n")
    assert (action.encode(), carried) == parse(box(action, carried).text)


@pytest.mark.parametrize("limit", [12, 60, MAX_INLINE, 3000])
def test_pages_are_the_text_at_every_length(limit: int) -> None:
    around = {whole + part for whole in range(0, 6000, limit) for part in range(-340, 20)} if limit >= 2500 else set()
    for length in sorted({*range(0, 6000, 61), *(length for length in around if length >= 0)}):
        shown = box(envelope({"argv": ["echo", "x" * length + "\u202e; rm -rf /"]})[0], {})
        pages = shown.pages(limit)
        assert shown.text == "".join(pages)
        assert all(page and len(page) <= limit for page in pages)
        assert unreveal(shown.text) == "".join(map(unreveal, pages)), "no written character is cut in two"


def test_a_hidden_suffix_stays_visible_at_every_length() -> None:
    for length in range(0, 6000, 53):
        for gap in (" ", "\n"):
            value = "echo ok" + gap * length + "&& curl evil"
            assert "&& curl evil" in text_of({"argv": [value]})
    assert any("4000 blanks" in said for said in warned({"argv": ["echo ok" + " " * 4000 + "&& curl evil"]}))
    assert any("very long line" in said for said in warned({"argv": ["echo ok" + " " * 4000 + "&& curl evil"]}))
    assert any("99 empty lines" in said for said in warned({"body": "ok" + "\n" * 100 + "evil"}))


def test_what_deserves_a_second_look_is_said() -> None:
    said = warned({"url": "https://pаypal.com/\u200b", "name": "e\u0301", "n": 1}, "pаy\t\u202e".encode())
    assert [
        "Letters of several scripts stand in one word: args.url, inputs[part-0].",
        "Letters are put together in an unusual way (not NFC): args.name.",
        "5 characters are written out, being invisible or not plain, such as \\u{0301}.",
        "1 tab is written out as \\u{0009}.",
    ] == said
    assert said == warned({"url": "https://pаypal.com/\u200b", "name": "e\u0301", "n": 1}, "pаy\t\u202e".encode())
    assert ["1 character is written out, being invisible or not plain, such as \\u{202E}."] == warned({"a": "\u202e"})
    assert any("and 3 more" in one for one in warned({f"a{number}": "pаy" for number in range(8)}))


def test_nothing_is_said_of_an_ordinary_action() -> None:
    assert [] == warned({"branch": "fix", "body": "Grüße\n\nпривет, C:\\u{41}\n"}, b"--- a\n+++ b\n")


@pytest.mark.parametrize("wrong", ["missing", "other"])
def test_an_input_that_is_not_what_the_action_names_is_refused(wrong: str) -> None:
    action, carried = envelope({}, b"diff")
    bad = {} if wrong == "missing" else dict.fromkeys(carried, b"other")
    with pytest.raises(ShownMismatch, match=r'"part-0".*ask anew'):
        box(action, bad)


@pytest.mark.parametrize(
    "text",
    [
        "",
        '{"tool": "x"}',
        '{"tool":"x","tool":"y"}',
        '{"tool":"x","args":{"b":1,"a":2}}',
        '{"tool":"\\u0041"}',
        '{"tool":"x"}\n',
        "[]",
        "{}",
        "nonsense",
        '{"a":1.5}',
        '{"tool":1}',
        '{"inputs":{},"tool":"x"}',
        '{"inputs":[{"ref":"x","sha256":"sha256:00"}],"tool":"x"}',
        '{"inputs":[{"sha256":"' + SHA256 + '"}],"tool":"x"}',
        '{"tool":"\ud800"}',
        "[" * 60_000,
        '{"tool":"x","n":9007199254740993}',
    ],
)
def test_an_envelope_in_another_form_is_refused(text: str) -> None:
    with pytest.raises(ShownMismatch):
        box(text, {})
    with pytest.raises(ShownMismatch):
        changes(text, envelope({})[0])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "nonsense",
        "tool = \n",
        "args[1] = 2\n",
        'tool = "x"',
        'tool = "x"\ntool.a = 1\n',
        'tool = "x"\nargs[0] = 1\nargs.b = 2\n',
        'tool = "x"\nargs = ' + "[" * 100_000 + "\n",
        'tool = "x"\nargs' + "[0]" * 50 + " = 1\n",
        'tool = "\ud800"\n',
        'tool =\n  | \ud800\n  | \n',
        f'=== "x" sha256:{SHA256} (0 bytes)\n  | \ud800\n',
    ],
)  # fmt: skip
def test_a_text_of_no_action_is_refused(text: str) -> None:
    with pytest.raises(ShownMismatch):
        parse(text)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("quorum = 1\n", "quorum = 1\nquorum = 1\n"),
        ("quorum = 1\n", "quorum =  1\n"),
        ("quorum = 1\n", "quorum = 1.0\n"),
        ('args.branch = "fix"', 'args.branch = "f\\u{0069}x"'),
        ('args.branch = "fix"', 'args.branch = "f\\u0069x"'),
        ('args.branch = "fix"', 'args."branch" = "fix"'),
        ("(3 bytes)", "(4 bytes)"),
        ("  | one\n", "  | One\n"),
        ("  | one\n", "  | one\n  | \n"),
        ('=== "part-0"', '=== "part-1"'),
        ('tool = "git_push"\n', ""),
        ("v = 1\n", ""),
    ],
)
def test_a_text_that_was_changed_is_refused_or_is_another_action(before: str, after: str) -> None:
    action, carried = envelope({"branch": "fix"}, b"one")
    text = box(action, carried).text
    assert 1 == text.count(before)
    try:
        found = parse(text.replace(before, after))
    except ShownMismatch:
        return
    assert found != (action.encode(), carried)


def test_any_two_lines_that_change_places_are_noticed() -> None:
    action, carried = envelope({"list": ["a", "b"], "text": "x\ny"}, b"one\ntwo")
    lines = box(action, carried).text.splitlines()
    for number in range(len(lines) - 1):
        swapped = [*lines[:number], lines[number + 1], lines[number], *lines[number + 2 :]]
        try:
            found = parse("\n".join(swapped) + "\n")
        except ShownMismatch:
            continue
        assert found != (action.encode(), carried)


def test_changes_name_what_differs_and_nothing_that_always_does() -> None:
    old = {"branch": "a", "body": "x\ny", "same": 1, "list": ["a"]}
    new = {"branch": "b\u202e", "body": "x\nz", "same": 1, "list": ["a", None], "extra": {}}
    one, _ = envelope(old, b"one", b"same", nonce="01", run="1", step="1", ordinal=1, expires="then", policy="p1")
    two, _ = envelope(new, b"two", b"same", nonce="02", run="2", step="2", ordinal=2, expires="now", policy="p2")
    assert (
        Change("args.body", "x\ny", "x\nz"),
        Change("args.branch", '"a"', '"b\\u{202E}"'),
        Change("policy", '"p1"', '"p2"'),
        Change("inputs[part-0]", hashlib.sha256(b"one").hexdigest(), hashlib.sha256(b"two").hexdigest()),
        Change("args.extra", None, "{}"),
        Change("args.list[1]", None, "null"),
    ) == changes(one, two)
    assert () == changes(one, one)


def test_a_change_of_one_of_two_inputs_of_the_same_name_is_named() -> None:
    def carrying(*contents: bytes) -> str:
        listed = [{"ref": "part", "sha256": hashlib.sha256(content).hexdigest()} for content in contents]
        return envelope({}, inputs=listed)[0]

    assert ["inputs[part]"] == [change.path for change in changes(carrying(b"a", b"b"), carrying(b"c", b"b"))]
    assert ["inputs[part]#2"] == [change.path for change in changes(carrying(b"a", b"b"), carrying(b"a", b"c"))]


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=3), st.dictionaries(KEYS, VALUES, max_size=3))
def test_any_difference_of_arguments_is_a_change(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = envelope(one)[0], envelope(other)[0]
    found = changes(first, second)
    assert (first != second) == bool(found)
    for change in found:
        assert change.before != change.after
        for value in (change.before or "", change.after or ""):
            assert value == reveal(unreveal(value))
