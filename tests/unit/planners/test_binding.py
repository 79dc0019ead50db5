"""From words, files and forms to typed inputs, or to what is missing."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config.document import parse_document
from core.planners.agents import compile_agent
from core.planners.binding import Attachment, Bound, MissingInputs, bind_inputs
from tests.unit.planners.books import STEPS, book

ALL = f"""
inputs:
  table: {{type: file, extensions: [csv], description: the numbers}}
  rows: {{type: integer, minimum: 1, maximum: 99, default: 10}}
  mode: {{type: choice, choices: [fast, full], default: fast}}
  free: {{type: integer, required: false}}
  loud: {{type: boolean, default: false}}
  amount: {{type: decimal, required: false}}
  about: {{type: string, max-length: 50}}
{STEPS}
"""
CSV = Attachment("sales.csv", "text/csv", 10)
PNG = Attachment("cat.png", "image/png", 10)


def bind(
    text: str = "", *files: Attachment, given: Mapping[str, Any] | None = None, of: str = ALL, hint: str = ""
) -> Bound | MissingInputs:
    return bind_inputs(book(of), text, files, given or {}, hint=hint)


def inputs(found: Bound | MissingInputs) -> Mapping[str, Any]:
    assert isinstance(found, Bound), found
    return found.inputs


def missing(found: Bound | MissingInputs) -> MissingInputs:
    assert isinstance(found, MissingInputs), found
    return found


TABLE = {"attachment": 0, "name": "sales.csv"}
DEFAULTS = {"table": TABLE, "rows": 10, "mode": "fast", "loud": False}


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("about the week", {"about": "about the week"}),
        ("rows=5 last week", {"rows": 5, "about": "last week"}),
        ("last rows=5 week", {"rows": 5, "about": "last week"}),
        ("20 full yes  on", {"about": "20 full yes  on"}),
        ('about="two words" loud=on', {"about": "two words", "loud": True}),
        ("about=“smart quotes”", {"about": "smart quotes"}),
        ("don't \"quote\" a=b", {"about": "don't \"quote\" a=b"}),
        ("about=x\nrows=7", {"about": "x", "rows": 7}),
        ("about=${{inputs.rows}}", {"about": "${{inputs.rows}}"}),
        ("mode=FULL x", {"mode": "full", "about": "x"}),
        ("table=sales.csv x", {"about": "x"}),
    ],
)  # fmt: skip
def test_words_fill_the_inputs(text: str, more: dict[str, Any]) -> None:
    assert {**DEFAULTS, **more} == inputs(bind(text, CSV))


def test_words_fill_required_inputs_in_order_and_text_takes_the_rest() -> None:
    of = f"inputs: {{n: {{type: integer}}, m: {{type: choice, choices: [a, b]}}, t: {{type: string}}}}\n{STEPS}"

    assert {"n": 3, "m": "b", "t": "what  ever"} == inputs(bind("3 b what  ever", of=of))
    wrong = missing(bind("three b what", of=of))
    assert [("n", '`n` expects a whole number, not "three".')] == [
        (each.spec.name, each.problem) for each in wrong.fields
    ]


def test_where_no_text_is_taken_words_fill_optional_inputs_too() -> None:
    of = f"inputs: {{n: {{type: integer, default: 1}}, m: {{type: choice, choices: [a, b], default: a}}}}\n{STEPS}"

    assert {"n": 1, "m": "b"} == inputs(bind("b", of=of))
    assert {"n": 7, "m": "a"} == inputs(bind("7", of=of))


def test_the_command_lines_inputs_and_a_form_go_the_same_way() -> None:
    by_form = inputs(bind("", CSV, given={"rows": "5", "loud": "true", "about": "x", "amount": ""}))
    typed = inputs(bind("", CSV, given={"rows": 5, "loud": True, "about": "x"}))

    assert by_form == typed == {**DEFAULTS, "rows": 5, "loud": True, "about": "x"}


def test_a_name_may_be_written_with_dashes() -> None:
    found = bind("max-rows=5", of=f"inputs: {{max_rows: {{type: integer}}}}\n{STEPS}")

    assert {"max_rows": 5} == inputs(found)


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("rows=many x", "rows", '`rows` expects a whole number from 1 to 99, not "many".'),
        ("rows=100 x", "rows", 'not "100".'),
        ("rows=1.5 x", "rows", 'not "1.5".'),
        ("free=9007199254740993 x", "free", "`free` expects a whole number, not"),
        ("mode=slow x", "mode", '`mode` expects one of fast, full, not "slow".'),
        ("loud=maybe x", "loud", '`loud` expects yes or no, not "maybe".'),
        ("amount=1e5 x", "amount", '`amount` expects a number such as 12.50, not "1e5".'),
        ("about=" + "x" * 51, "about", "51 characters; at most 50"),
        ("rows=1 rows=2 x", "rows", "`rows` was given twice."),
        ("table=sale.csv y", "table", "No attached file is named `sale.csv`. Did you mean `sales.csv`?"),
    ],
)
def test_what_does_not_fit_is_said_with_name_and_expectation(text: str, name: str, words: str) -> None:
    (needed,) = missing(bind(text, CSV)).fields

    assert name == needed.spec.name
    assert words in needed.problem


def test_an_input_given_twice_in_two_ways_is_asked_again() -> None:
    (needed,) = missing(bind("rows=1 x", CSV, given={"rows": "2"})).fields

    assert "`rows` was given twice." == needed.problem


ORDERED = f"inputs: {{n: {{type: integer}}, m: {{type: choice, choices: [a, b]}}, t: {{type: string}}}}\n{STEPS}"


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("three b what", {"n": "3"}),  # the form repairs what the words said wrongly
        ("b what", {"n": "3"}),  # words pass over what the command line named
        ("n=three b what", {"n": "3"}),
        ("n=1 n=2 b what", {"n": "3"}),
        ("3 b what", {"n": 3}),
        ("", {"n": "3", "m": "b", "t": "what"}),
    ],
)
def test_a_form_repairs_what_was_wrong_and_the_command_line_adds(text: str, given: dict[str, Any]) -> None:
    assert {"n": 3, "m": "b", "t": "what"} == inputs(bind(text, given=given, of=ORDERED))


def test_a_form_repairs_a_text_that_was_too_long() -> None:
    of = f"inputs: {{t: {{type: string, max-length: 5}}}}\n{STEPS}"

    assert {"t": "short"} == inputs(bind("far too long", given={"t": "short"}, of=of))


def test_two_different_values_are_not_silently_reduced_to_one() -> None:
    of = f"inputs: {{t: {{type: string}}}}\n{STEPS}"

    assert "`t` was given twice." == missing(bind("t=what", given={"t": "else"}, of=of)).fields[0].problem
    assert {"t": "same"} == inputs(bind("t=same", given={"t": "same"}, of=of))
    assert isinstance(bind("what", given={"t": "else"}, of=of), MissingInputs)


def test_a_better_file_of_the_same_name_replaces_an_empty_one() -> None:
    empty = Attachment("sales.csv", "text/csv", 0)

    assert {"attachment": 1, "name": "sales.csv"} == inputs(bind("x", empty, CSV, given={"table": "sales.csv"}))[
        "table"
    ]
    found = missing(bind("x", CSV, CSV, given={"table": "sales.csv"}))
    assert "Which `sales.csv` is meant cannot be told" in found.fields[0].problem


def test_what_is_missing_is_typed_and_what_is_there_is_kept() -> None:
    found = missing(bind("rows=5"))

    assert [("table", "file", ""), ("about", "string", "")] == [
        (needed.spec.name, needed.spec.type, needed.problem) for needed in found.fields
    ]
    assert 5 == found.bound["rows"]


def test_the_sentence_says_how_where_the_person_is() -> None:
    found = missing(bind())

    assert found.sentence(book(ALL)) == (
        "`book` cannot begin. It needs `table` (the numbers): a file (.csv). Attach it to your message. "
        "It needs `about`: text. Write `about=…`."
    )
    assert found.sentence(book(ALL), cli=True) == (
        "`book` cannot begin. It needs `table` (the numbers): a file (.csv). Give it with `--file PATH`. "
        "It needs `about`: text. Add `--input about=…`."
    )


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([PNG], "`table` expects a file (.csv), but cat.png was attached."),
        ([Attachment("sales.csv", "text/csv", 0)], "sales.csv is empty (0 bytes)."),
        ([Attachment("sales.csv", "", 60_000_000)], "60,000,000 bytes; `table` takes at most 50MB"),
        ([CSV, Attachment("b.CSV", "", 1)], "Which attached file is `table` cannot be told: sales.csv, b.CSV."),
        ([Attachment("../../x", "", 1)], "but ../../x was attached"),
        ([Attachment("a\n`b`.png", "", 1)], "but a??b?.png was attached"),
    ],
)
def test_a_file_that_does_not_do_is_named(files: list[Attachment], words: str) -> None:
    (needed,) = missing(bind("x", *files)).fields

    assert words in needed.problem
    assert words in missing(bind("x", *files)).sentence(book(ALL))


def test_the_right_one_of_several_files_is_taken_and_the_others_are_named() -> None:
    found = bind("x", PNG, CSV)

    assert {"attachment": 1, "name": "sales.csv"} == inputs(found)["table"]
    assert isinstance(found, Bound) and ("cat.png",) == found.unused


def test_two_files_of_one_kind_are_told_apart_by_name() -> None:
    other = Attachment("costs.csv", "text/csv", 5)

    assert {"attachment": 1, "name": "costs.csv"} == inputs(bind("x", CSV, other, given={"table": "costs.csv"}))[
        "table"
    ]
    assert ("sales.csv", "costs.csv") == missing(bind("x", CSV, other)).fields[0].candidates


TWO_FILES = f"inputs: {{left: {{type: file}}, right: {{type: file, extensions: [csv]}}}}\n{STEPS}"
ONE_OPTIONAL = f"inputs: {{left: {{type: file, required: false}}, right: {{type: file}}}}\n{STEPS}"


def test_a_file_that_fits_two_inputs_goes_where_no_other_can() -> None:
    found = inputs(bind("", PNG, CSV, of=TWO_FILES))

    assert ("cat.png", "sales.csv") == (found["left"]["name"], found["right"]["name"])


def test_one_file_for_two_required_inputs_is_not_guessed() -> None:
    assert {"left", "right"} == {needed.spec.name for needed in missing(bind("", CSV, of=TWO_FILES)).fields}


def test_one_file_goes_to_the_input_that_needs_it() -> None:
    assert {"right": TABLE} == inputs(bind("", CSV, of=ONE_OPTIONAL))


NO_TEXT = f"inputs: {{rows: {{type: integer, default: 1}}}}\n{STEPS}"


def test_words_nobody_takes_are_said_with_what_is_taken_and_the_hint() -> None:
    (problem,) = missing(bind("please now", of=NO_TEXT, hint="Did you mean `runaway`?")).problems

    assert problem == (
        '`book` does not know what to do with "please now". It takes `rows` (a whole number). Did you mean `runaway`?'
    )


def test_a_misspelt_name_is_corrected_where_no_text_is_taken() -> None:
    (problem,) = missing(bind("row=5", of=NO_TEXT)).problems

    assert problem == "There is no input `row`. Did you mean `rows`?"


def test_an_unknown_input_on_the_command_line_is_refused() -> None:
    (problem,) = missing(bind("", given={"rwos": "5"}, of=NO_TEXT)).problems

    assert problem == "There is no input `rwos`. Did you mean `rows`?"


@pytest.mark.parametrize("bad", ["a\x00b", "\ud800"])
def test_what_cannot_be_stored_is_refused(bad: str) -> None:
    (needed,) = missing(bind("", CSV, given={"about": bad})).fields

    assert "`about` holds" in needed.problem


def test_a_request_of_a_megabyte_is_refused_at_once() -> None:
    assert "at most 40,000" in missing(bind("x" * 1_000_000, CSV)).problems[0]


files = st.builds(
    Attachment,
    st.sampled_from(["a.csv", "b.csv", "c.png", "x", "../e.csv"]),
    st.sampled_from(["", "text/csv", "image/png"]),
    st.sampled_from([None, 0, 1, 10**9]),
)
texts = st.lists(
    st.sampled_from(
        ["rows=5", "rows=x", "about=hi", "loud=yes", "mode=", "table=a.csv", "=", "a=b", '"', "word", "7", "\n"]
    )
    | st.text(max_size=6),
    max_size=6,
).map(" ".join)


@settings(deadline=None)
@given(
    texts,
    st.lists(files, max_size=3),
    st.dictionaries(st.sampled_from(["rows", "about", "zzz", "table"]), st.text(max_size=5), max_size=2),
)
def test_whatever_is_said_is_bound_completely_or_asked_for(
    text: str, attached: list[Attachment], given: dict[str, str]
) -> None:
    playbook = book(ALL)
    found = bind_inputs(playbook, text, attached, given)

    if isinstance(found, Bound):
        assert all(name in found.inputs for name, spec in playbook.inputs.items() if spec.required)
        assert 1 <= found.inputs["rows"] <= 99 and isinstance(found.inputs["loud"], bool)
        bound = attached[found.inputs["table"]["attachment"]]
        assert bound.name == found.inputs["table"]["name"] and bound.size != 0
    else:
        assert found.fields or found.problems
        assert "cannot begin" in found.sentence(playbook)
        assert not {needed.spec.name for needed in found.fields} & found.bound.keys()


@settings(deadline=None)
@given(st.text().filter(str.strip))
def test_a_text_given_by_name_arrives_unchanged(value: str) -> None:
    text_only = f"inputs: {{t: {{type: string}}}}\n{STEPS}"
    found = bind("", given={"t": value}, of=text_only)

    if "\x00" in value:
        assert isinstance(found, MissingInputs)
    else:
        assert {"t": value} == inputs(found)


AGENT = compile_agent("triage", parse_document(b"name: triage\nmodel: main\n", file="agents.yml"))


def take(*files: Attachment, given: Mapping[str, Any] | None = None) -> Bound | MissingInputs:
    return bind_inputs(AGENT, "look at these", files, given or {})


def test_an_agent_takes_every_file_that_came_with_the_request_in_order() -> None:
    found = inputs(take(CSV, PNG, CSV))

    assert ["request", "file", "file_2", "file_3"] == list(found)
    assert [0, 1, 2] == [found[name]["attachment"] for name in ("file", "file_2", "file_3")]
    assert ["request"] == list(inputs(take()))


def test_an_agent_takes_ten_files_and_none_of_more() -> None:
    assert 11 == len(inputs(take(*[CSV] * 10)))
    assert ("11 files came with the request; `file` takes at most 10.",) == missing(take(*[CSV] * 11)).problems


def test_of_files_one_of_which_cannot_be_taken_an_agent_takes_none() -> None:
    found = missing(take(CSV, Attachment("none.csv", "text/csv", 0), PNG))

    assert ["none.csv is empty (0 bytes)."] == [field.problem for field in found.fields]
    assert ["request"] == list(found.bound)


def test_a_file_picked_by_name_is_the_only_one() -> None:
    found = take(CSV, PNG, given={"file": "cat.png"})

    assert isinstance(found, Bound)
    assert ({"attachment": 1, "name": "cat.png"}, ("sales.csv",)) == (found.inputs["file"], found.unused)
