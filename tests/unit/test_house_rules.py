"""Each house rule holds for this checkout and catches what breaks it."""

from pathlib import Path

import pytest

from tests.unit.house_rules import ROOT, committed_files, problems


def test_the_checkout_keeps_the_house_rules() -> None:
    assert [] == list(problems(ROOT, committed_files(ROOT)))


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("core/long.py", "x = 1\n" * 501, "501 lines, at most 500"),
        ("core/utils.py", "x = 1\n", "name the file after the one thing it owns"),
        ("requirements.txt", "--index-url https://py" + "pi.org/simple\n", "names the package registry host"),
        ("docs/a.md", "see /ro" + "ot/notes\n", "names a path of one machine"),
        ("docs/a.md", "see /ho" + "me/kim/notes\n", "names a path of one machine"),
        ("core/middling.py", "x = 1\n" * 201, "the median Python file has 201 lines"),
    ],
)
def test_a_planted_violation_is_named(tmp_path: Path, name: str, text: str, complaint: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(text)

    assert any(complaint in problem for problem in problems(tmp_path, [name]))


def test_a_hashed_requirements_file_may_be_long(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("a==1 --hash=sha256:00\n" * 900)

    assert [] == list(problems(tmp_path, ["requirements.txt"]))
