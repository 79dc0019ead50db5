"""Canonical bytes: one form for every value we take, refusal of every other, digests that never change."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from core.actions.envelope import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_INTEGER,
    Envelope,
    NotCanonical,
    canonical,
    digest,
    idempotency_key,
    salted,
)

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
KEYS = st.text(st.characters(max_codepoint=127, exclude_characters="\0"), max_size=8)
SCALARS = st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | TEXTS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=20
)


@given(VALUES)
@settings(max_examples=150)
def test_what_we_take_has_the_bytes_of_rfc_8785(value: Any) -> None:
    assert rfc8785.dumps(value) == canonical(value)


@given(VALUES)
@settings(max_examples=50)
def test_canonical_bytes_say_the_same_thing_and_are_their_own_canonical_form(value: Any) -> None:
    data = canonical(value)
    assert value == json.loads(data)
    assert data == canonical(json.loads(data))


@given(st.dictionaries(KEYS, SCALARS, min_size=2, max_size=6), st.randoms())
@settings(max_examples=50)
def test_the_order_in_which_a_mapping_was_built_does_not_show(value: dict[str, Any], random: Any) -> None:
    items = list(value.items())
    random.shuffle(items)
    assert canonical(value) == canonical(dict(items))


def test_read_only_mappings_and_tuples_are_taken_as_what_they_hold() -> None:
    value = MappingProxyType({"a": (1, 2), "b": MappingProxyType({"c": None})})
    assert b'{"a":[1,2],"b":{"c":null}}' == canonical(value)


def deep(levels: int) -> Any:
    """A list in a list in a list."""
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def test_the_limits_themselves_are_taken() -> None:
    assert canonical(deep(MAX_DEPTH))
    assert canonical([MAX_INTEGER, -MAX_INTEGER])
    assert MAX_BYTES == len(canonical("x" * (MAX_BYTES - 2)))


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"a": [1.5]}, r"\$\.a\[0\] is a floating-point number; write it as a string, e\.g\. \"1\.5\""),
        (1.0, "floating-point"),
        (float("nan"), "floating-point"),
        (float("inf"), "floating-point"),
        ({"n": MAX_INTEGER + 1}, r"\$\.n is an integer beyond ±9007199254740991"),
        (-MAX_INTEGER - 1, "integer beyond"),
        ({"t": "a\0b"}, r"\$\.t contains a NUL"),
        ({"t": "\ud800"}, "half of a character"),
        ("\udfff", "half of a character"),
        ({"ü": 1}, "has the key 'ü'; keys are ASCII"),
        ({"a\0": 1}, "keys are ASCII"),
        ({1: 2}, "has the key 1; keys are ASCII"),
        (deep(MAX_DEPTH + 1), "nested more than 32 levels deep"),
        (b"bytes", "is a bytes, which JSON does not have"),
        ({1, 2}, "is a set, which JSON does not have"),
        (object(), "is a object, which JSON does not have"),
        ("x" * (MAX_BYTES - 1), "this is 65537 bytes of data; at most 65536"),
        ("ü" * (MAX_BYTES // 2), "65538 bytes"),
    ],
)
def test_what_has_no_single_form_is_refused_with_a_sentence(value: Any, sentence: str) -> None:
    with pytest.raises(NotCanonical, match=sentence):
        canonical(value)


def test_a_value_that_contains_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(NotCanonical, match="nested"):
        canonical(value)


@given(VALUES, VALUES)
@settings(max_examples=50)
def test_two_values_share_their_bytes_only_if_they_are_the_same(one: Any, other: Any) -> None:
    # 1, True and 1.0 are equal in Python and different things in JSON; repr tells them apart.
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert same == (canonical(one) == canonical(other))


# The formats are final: these vectors were computed once and never change with the code.

ENVELOPE = Envelope(
    tenant="main",
    run="run_01",
    step="draw",
    ordinal=2,
    generation=1,
    tool="shell",
    tool_def="sha256:" + "11" * 32,
    args={"argv": ["draw", "--title", "Zürich \u2028 «Q1»"], "n": -7, "quiet": True},
    tier="workspace",
    recovery="pure",
    policy="sha256:" + "22" * 32,
    nonce="00ff" * 8,
    inputs=({"ref": "file:sales.csv", "sha256": "33" * 32},),
    env_names=("LANG",),
    env_digest="sha256:" + "44" * 32,
    creds=({"ref": "vault:x", "scopes": ["r"], "ttl": 600},),
    network=("api.example.com:443",),
    quorum=2,
    expires="2027-01-15T08:00:00.000Z",
)


def test_the_bytes_of_envelope_version_1() -> None:
    assert (
        '{"args":{"argv":["draw","--title","Zürich \u2028 «Q1»"],"n":-7,"quiet":true},"class":"pure",'
        '"creds":[{"ref":"vault:x","scopes":["r"],"ttl":600}],"cwd":".","env_digest":"sha256:' + "44" * 32 + '",'
        '"env_names":["LANG"],"environment":"default","expires":"2027-01-15T08:00:00.000Z","generation":1,"image":null,'
        '"inputs":[{"ref":"file:sales.csv","sha256":"' + "33" * 32 + '"}],"network":["api.example.com:443"],'
        '"nonce":"' + "00ff" * 8 + '","ordinal":2,"policy":"sha256:' + "22" * 32 + '","quorum":2,"run":"run_01",'
        '"step":"draw","tenant":"main","tier":"workspace","tool":"shell","tool_def":"sha256:' + "11" * 32 + '","v":1}'
    ) == ENVELOPE.to_bytes().decode()


def test_the_digests_of_envelope_version_1() -> None:
    assert ENVELOPE_DIGEST == digest(ENVELOPE.to_bytes())
    assert EFFECT_DIGEST == ENVELOPE.effect_digest()


def test_the_form_of_an_idempotency_key() -> None:
    key = {"tenant": "main", "run": "run_01", "step": "draw", "ordinal": 2, "generation": 1}
    assert IDEMPOTENCY_KEY == idempotency_key(**key, action_digest=ENVELOPE_DIGEST)  # type: ignore[arg-type]


def test_the_form_of_a_salted_digest() -> None:
    assert "sha256:" + hashlib.sha256(b"salt\0wrong file").hexdigest() == salted("salt", "wrong file")
    assert salted("salt", "a") == salted("salt", b"a") != salted("tlas", "a")
    assert salted("salt", "\ud800")  # what people type is digested whatever it is


ENVELOPE_DIGEST = "sha256:536a4bf3990749324c6999e974247134841f04441415beabb25637503e31defa"
EFFECT_DIGEST = "sha256:7b8285874439e0d285408a012fdb2c272dd1b6300612f7c6f722d59bda3727e6"
IDEMPOTENCY_KEY = "v1.4x2oxdok6odeulvvp2nqvpwz5ibrq3igs4xo4edt4wqj6uv7k6ra"


OF_THE_PROPOSAL: Mapping[str, Any] = {
    "tenant": "other",
    "run": "run_02",
    "step": "other",
    "ordinal": 9,
    "generation": 2,
    "tier": "read",
    "recovery": "opaque",
    "policy": "sha256:" + "99" * 32,
    "nonce": "aa" * 16,
    "quorum": 0,
    "expires": None,
}
OF_THE_EFFECT: Mapping[str, Any] = {
    "tool": "http",
    "tool_def": "sha256:" + "99" * 32,
    "args": {"argv": ["draw"]},
    "inputs": (),
    "cwd": "sub",
    "env_names": (),
    "env_digest": None,
    "environment": "prod",
    "image": "sha256:" + "99" * 32,
    "creds": (),
    "network": (),
}


def test_every_field_belongs_to_the_proposal_or_to_the_effect() -> None:
    assert {field.name for field in fields(Envelope)} == {*OF_THE_PROPOSAL, *OF_THE_EFFECT}


@pytest.mark.parametrize("name", OF_THE_PROPOSAL)
def test_who_asks_and_how_often_changes_the_action_and_not_the_effect(name: str) -> None:
    other = replace(ENVELOPE, **{name: OF_THE_PROPOSAL[name]})
    assert ENVELOPE.to_bytes() != other.to_bytes()
    assert ENVELOPE.effect_digest() == other.effect_digest()


@pytest.mark.parametrize("name", OF_THE_EFFECT)
def test_whatever_is_done_changes_action_and_effect(name: str) -> None:
    other = replace(ENVELOPE, **{name: OF_THE_EFFECT[name]})
    assert ENVELOPE.to_bytes() != other.to_bytes()
    assert ENVELOPE.effect_digest() != other.effect_digest()


def test_every_part_of_a_call_changes_its_idempotency_key() -> None:
    key: dict[str, Any] = {
        "tenant": "a", "run": "b", "step": "c", "ordinal": 0, "generation": 1, "action_digest": "d"
    }  # fmt: skip
    others = [key | {name: f"{value}x" if isinstance(value, str) else value + 1} for name, value in key.items()]
    assert len(key) + 1 == len({idempotency_key(**asked) for asked in (key, *others)})
    assert all(len(idempotency_key(**asked)) == 3 + 52 for asked in others)
