"""A repository that asks for its white space is left with it."""

import pytest

from core.tools.checkup.editorconfig import Rules, Wishes
from core.tools.checkup.whitespace import Fix, tidy

ROOT = b"""\
root = true

[*]
trim_trailing_whitespace = true
insert_final_newline = true
; [*.c]
[*.{txt,log}]
Trim_Trailing_Whitespace = FALSE
[/docs/**.rst]
trim_trailing_whitespace=false
[data-{1..9}.c]
insert_final_newline = false
[{unbalanced]
insert_final_newline = false
[[]
insert_final_newline = false
"""
INNER = b"[b?.txt]\ntrim_trailing_whitespace = true\n[[!x]y.c]\ninsert_final_newline = false\n"


@pytest.mark.parametrize(
    ("path", "line_ends", "last_newline"),
    [
        ("a.c", False, False),
        ("a.txt", True, False),
        ("deep/er/a.log", True, False),
        ("docs/x/y.rst", True, False),
        ("more/docs/x.rst", False, False),
        ("data-7.c", False, True),
        ("data-x.c", False, False),
        ("inner/b1.txt", False, False),
        ("inner/b12.txt", True, False),
        ("inner/ay.c", False, True),
        ("inner/xy.c", False, False),
        ("ay.c", False, False),
    ],
)
def test_the_nearest_and_last_word_counts(path: str, line_ends: bool, last_newline: bool) -> None:
    rules = Rules({"inner/.editorconfig": INNER, ".editorconfig": ROOT})

    assert Wishes(line_ends, last_newline) == rules.wishes(path)


def test_a_root_forgets_what_is_above() -> None:
    above = b"[*]\ninsert_final_newline = false\n"
    rules = Rules({".editorconfig": above, "x/.editorconfig": b"root = true\n"})

    assert [Wishes(False, True), Wishes()] == [rules.wishes("a.c"), rules.wishes("x/a.c")]


def test_wishes_are_kept() -> None:
    assert None is tidy("a.c", b"a; \n", Wishes(line_ends=True))
    assert None is tidy("a.c", b"a;\nb;", Wishes(last_newline=True))
    fix = tidy("a.c", b"a; \n\n", Wishes(line_ends=True))
    assert isinstance(fix, Fix)
    assert b"a; \n" == fix.data
