"""What a file may be called, and what kind it is said to be."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.names import NAME_BYTES, display_name, sniff_media_type

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 32

hostile = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("./\\ \t\n\u202e\u200b\u2066\ufeff\u0301\u3164\u00ad\U000e0041\u0000\ud800e\u0345"),
    ),
    max_size=200,
)


@given(hostile)
def test_a_display_name_is_always_safe_to_show(raw: str) -> None:
    name = display_name(raw)

    assert 0 < len(name.encode()) <= NAME_BYTES
    assert unicodedata.normalize("NFC", name) == name
    assert not name.startswith((".", " "))
    assert not set(name) & set("/\\")
    assert not {unicodedata.category(character) for character in name} & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


@given(hostile)
def test_naming_twice_changes_nothing(raw: str) -> None:
    assert display_name(raw) == display_name(display_name(raw))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("sales.csv", "sales.csv"),
        ("../../x", "x"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("/etc/passwd", "passwd"),
        ("dir/", "dir"),
        ("", "file"),
        ("...", "file"),
        ("\u202e\u200b", "file"),
        (".env", "env"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("Cafe\u0301.csv", "Café.csv"),
        ("über  the\u00a0top.csv", "über the top.csv"),
        ("売上.csv", "売上.csv"),
        ("a\x00b\nc.txt", "ab c.txt"),
    ],
)
def test_names_become_what_a_person_expects(raw: str, expected: str) -> None:
    assert expected == display_name(raw)


def test_a_long_name_keeps_its_suffix_and_whole_characters() -> None:
    name = display_name("売" * 100 + ".csv")

    assert name.endswith("売.csv")
    assert NAME_BYTES - 3 < len(name.encode()) <= NAME_BYTES


def test_shortening_never_parts_a_letter_from_its_accent() -> None:
    # q with a dot below has no composed form, so the accent stays a character of its own.
    name = display_name("a" + "q\u0323" * 100)

    assert name.endswith("q\u0323")


@pytest.mark.parametrize(
    ("name", "head", "expected"),
    [
        ("x.png", PNG, "image/png"),
        ("x.csv", PNG, "image/png"),
        ("x.png", b"not a picture", "text/plain"),
        ("x.jpg", b"\xff\xd8\xff\xe0....", "image/jpeg"),
        ("x.gif", b"GIF89a....", "image/gif"),
        ("x.webp", b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
        ("x.pdf", b"%PDF-1.7\n", "application/pdf"),
        ("x.csv", b"a,b\n1,2\n", "text/csv"),
        ("x.CSV", b"", "text/csv"),
        ("x.csv", "größe;ö\n".encode("latin-1"), "text/csv"),
        ("x.csv", "a,b\n".encode("utf-16"), "text/csv"),
        ("x.tsv", b"a\tb\n", "text/tab-separated-values"),
        ("x.json", b' {"a": 1}', "application/json"),
        ("x.json", b"<html>", "text/plain"),
        ("x.md", b"# hi", "text/markdown"),
        ("x.svg", b"<svg onload=alert(1)>", "text/plain"),
        ("x.html", b"<!doctype html>", "text/plain"),
        ("noname", b"\x7fELF\x02\x01\x01\0", "application/octet-stream"),
        ("x.txt", b"\0\0\0", "application/octet-stream"),
        ("x.txt", "größe".encode("latin-1"), "application/octet-stream"),
    ],
)
def test_the_first_bytes_decide_the_kind(name: str, head: bytes, expected: str) -> None:
    assert expected == sniff_media_type(name, head)


def test_a_head_that_ends_inside_a_character_is_still_text() -> None:
    assert "text/plain" == sniff_media_type("x.txt", "売".encode()[:-1])


@given(st.text(max_size=20), st.binary(max_size=64))
def test_nothing_is_ever_called_a_kind_that_runs(name: str, head: bytes) -> None:
    kind = sniff_media_type(name, head)

    assert not any(word in kind for word in ("html", "xml", "svg", "javascript"))
