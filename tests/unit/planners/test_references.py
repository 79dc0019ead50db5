"""`${{ … }}`: typed, one pass, never computed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.planners.references import MissingValue, Reference, TemplateError, template

VALUES = {
    "inputs": {"n": 3, "b": True, "s": "text", "f": {"name": "a.csv", "path": "in/a.csv"}},
    "steps": {"x": {"out": {"rows": [{"id": 7}, {"id": 8}], "none": None}, "status": "succeeded"}},
}


def expanded(value: Any, values: Any = VALUES) -> Any:
    return template(value).expand(values)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("${{ inputs.n }}", 3),
        ("${{inputs.b}}", True),
        ("${{ inputs.f }}", {"name": "a.csv", "path": "in/a.csv"}),
        ("${{ steps.x.out.rows }}", [{"id": 7}, {"id": 8}]),
        ("${{ steps.x.out.rows[1].id }}", 8),
        ("${{ steps.x.out.none }}", None),
        ("${{ inputs.absent }}", None),
        ("n=${{ inputs.n }}, b=${{ inputs.b }}", "n=3, b=true"),
        (" ${{ inputs.n }}", " 3"),
        ("${{ inputs.n }}${{ inputs.n }}", "33"),
        ("$${{ inputs.n }}", "${{ inputs.n }}"),
        ("$${{ ${{ inputs.n }}", "${{ 3"),
        ("$ {{ inputs.n }} ${x} $$", "$ {{ inputs.n }} ${x} $$"),
        ("", ""),
        ({"k": ["${{ inputs.n }}", 1, None, {"d": "${{ inputs.s }}"}]}, {"k": [3, 1, None, {"d": "text"}]}),
    ],
)
def test_a_value_goes_where_it_is_named(written: Any, meant: Any) -> None:
    result = expanded(written)

    assert meant == result
    assert type(meant) is type(result)


@pytest.mark.parametrize(
    "written",
    [
        "${{",
        "a ${{ inputs.n",
        "${{ }}",
        "${{ inputs.n + 1 }}",
        "${{ inputs['n'] }}",
        "${{ f(inputs.n) }}",
        "${{ inputs.n | upper }}",
        "${{ ${{ inputs.n }} }}",
        "${{ inputs. }}",
        "${{ .n }}",
        "${{ inputs.n[x] }}",
        "${{ 'n' }}",
        "${{ inputs\n.n }}",
    ],
)
def test_anything_but_a_path_is_refused_with_a_remedy(written: str) -> None:
    with pytest.raises(TemplateError) as raised:
        template(written)

    assert raised.value.what.endswith(".") and raised.value.remedy.endswith(".")


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("${{ steps.y.out.z }}", "`steps.y` is not there"),
        ("${{ steps.x.out.missing }}", "`steps.x.out.missing` is not there; there is none, rows"),
        ("${{ steps.x.out.rows[9].id }}", "`steps.x.out.rows[9]` is not there"),
        ("${{ steps.x.out.rows[0].id.deep }}", "is not there"),
        ("a ${{ inputs.f }}", "is a group of fields"),
        ("a ${{ steps.x.out.rows }}", "is a list"),
        ("a ${{ inputs.absent }}", "is empty"),
    ],
)
def test_what_is_missing_or_does_not_fit_is_said(written: str, words: str) -> None:
    with pytest.raises(MissingValue) as raised:
        expanded(written)

    assert words in str(raised.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["${{ inputs.s }}", "$${{", "}}", "${{"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=3),
    max_leaves=10,
)


@given(json_values)
def test_a_whole_reference_keeps_value_and_type(value: Any) -> None:
    result = expanded("${{ inputs.v }}", {"inputs": {"v": value}})

    assert value == result
    assert type(value) is type(result)


@given(st.text(), st.text().filter(lambda text: "${{" not in text and not text.endswith("$")), st.text())
def test_what_a_reference_brings_in_is_never_looked_at_again(value: str, before: str, after: str) -> None:
    hostile = f"{value}${{{{ inputs.other }}}}$${{{{"
    after = after.replace("${{", "")
    values = {"inputs": {"v": hostile, "other": "LEAKED"}}

    assert f"{before}|{hostile}|{after}" == expanded(f"{before}|${{{{ inputs.v }}}}|{after}", values)


@given(st.text("abc${} .[]01\n"))
def test_any_text_is_a_template_or_is_refused(text: str) -> None:
    try:
        found = template(text)
    except TemplateError as error:
        assert error.what and error.remedy
        return
    assert all(isinstance(reference, Reference) for _, reference, _ in found.references())
    if "${{" not in text:
        assert text == found.value


def test_references_are_listed_with_their_places() -> None:
    found = template({"argv": ["x", "${{ inputs.a }}"], "env": {"K": "k ${{ steps.s.out.v }}"}})

    assert [
        (("argv", 1), "inputs.a", True),
        (("env", "K"), "steps.s.out.v", False),
    ] == [(path, str(reference), whole) for path, reference, whole in found.references()]
