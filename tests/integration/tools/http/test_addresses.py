"""An address has one form, and reading that form gives it again."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import TerminalError
from core.tools import http_url


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://api.example.com", "https://api.example.com/"),
        ("HTTPS://API.Example.COM.:443/A", "https://api.example.com/A"),
        ("http://h:80?q=1", "http://h/?q=1"),
        ("http://h:8080/x#part", "http://h:8080/x"),
        ("http://h:/x", "http://h/x"),
        ("https://h/a/./b/../c/", "https://h/a/c/"),
        ("https://h/a/%2e%2E/%2e/b", "https://h/b"),
        ("https://h/../../etc", "https://h/etc"),
        ("https://h/a/..", "https://h/"),
        ("https://h/%41%2f%7e", "https://h/A%2F~"),
        ("https://h/100%", "https://h/100%25"),
        ('https://h/<x>?a="b"&c=[1]', "https://h/%3Cx%3E?a=%22b%22&c=%5B1%5D"),
        ("https://h/\u010d\u010a", "https://h/%C4%8D%C4%8A"),  # whose last bytes would end a line
        ("https://bücher.example/ü?ü", "https://xn--bcher-kva.example/%C3%BC?%C3%BC"),
        ("http://[::1]:8080/", "http://[::1]:8080/"),
        ("http://[2001:DB8:0:0::1]/", "http://[2001:db8::1]/"),
        ("https://h/?u=https://x/../y", "https://h/?u=https://x/../y"),
    ],
)
def test_an_address_gets_its_one_form(text: str, expected: str) -> None:
    assert expected == http_url.read(text).url


@pytest.mark.parametrize(
    "text",
    [
        "", "example.com", "//example.com/", "/etc/passwd", "ftp://h/", "file:///etc/passwd", "javascript:alert(1)",
        "https://", "https:///x", "https://user@h/", "https://user:pass@h/", "https://h@evil/", "https://h:443@evil/",
        "https://h:0/", "https://h:65536/", "https://h:-1/", "https://h:+80/", "https://h:٣/", "https://h:80:80/",
        "https://h\\@evil/", "https://h\\evil", "https://h/a b", "https://h/\n", "https://h/\r\nHost: evil", "https://h/\t",
        "https://h/\0", " https://h/", "https://h /", "https://[::1", "https://::1/", "https://[::1]x/", "https://[h]/",
        "https://%68/", "https://h%2eevil/", "https://a..b/", "https://-a/", "https://" + "a" * 64 + "/",
        "https://h/" + "x" * 4_000, "https://h/" + "ü" * 1_000, "https://h\u202e/", "https://h/\u202e",
    ],
)  # fmt: skip
def test_what_is_no_plain_address_is_refused(text: str) -> None:
    with pytest.raises(TerminalError) as caught:
        http_url.read(text)

    assert caught.value.user_text.endswith(".")
    json.dumps(caught.value.user_text).encode()


@given(st.text(st.characters(codec="utf-8"), max_size=60), st.text(st.characters(codec="utf-8"), max_size=40))
def test_reading_it_again_changes_nothing(path: str, query: str) -> None:
    try:
        found = http_url.read(f"https://h.example/{path}?{query}")
    except TerminalError:
        return

    assert found == http_url.read(found.url)
    assert found.url.isascii()
    assert not {"..", "."} & set(found.target.partition("?")[0].split("/"))
    assert not set(' \r\n\t"<>\\#') & set(found.target)


@given(st.text("htps:/?#@[]%.0123456789abcxüß。\\ ", max_size=40))
def test_whatever_is_read_goes_where_it_says(text: str) -> None:
    try:
        found = http_url.read(text)
    except TerminalError:
        return

    assert found == http_url.read(found.url)
    assert found.scheme in ("http", "https")
    assert not set(found.host) & set("@[]%/?#\\ ")
