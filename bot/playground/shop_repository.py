"""The repository of the demonstration's shop: a few lines of Python, and a test that fails.

Made with git's own importer from the texts below, with dates that are fixed, so its commits have the same ids on every
machine. It is a bare repository; what people push there stays.
"""

import subprocess
from pathlib import Path

NAME = "shop.git"

_README = """\
# The shop

What a basket costs. `python -m pytest` runs the tests.
"""

_BASKET = '''\
"""What a basket costs, in cents."""


def total_price(prices):
    """What all items cost together."""
    return sum(prices)


def average_price(prices):
    """What one item costs on average; a basket of gift cards has no prices."""
    return sum(prices) // len(prices)
'''

_TEST = """\
from basket import average_price, total_price


def test_the_total_is_what_all_items_cost():
    assert 700 == total_price([500, 200])


def test_the_average_is_rounded_down():
    assert 333 == average_price([500, 300, 200])
"""

_TEST_OF_THE_BUG = """\


def test_a_basket_of_gift_cards_has_no_average():
    assert 0 == average_price([])
"""

_COMMITS = (
    ("Sell things", {"README.md": _README, "basket.py": _BASKET, "test_basket.py": _TEST}),
    ("Say what a basket of gift cards should do", {"test_basket.py": _TEST + _TEST_OF_THE_BUG}),
)
_FIRST_AT = 1_772_700_000
"""Seconds since 1970: a morning in March 2026, when all of this was invented."""


def make_repository(directory: Path) -> Path:
    """Return the repository below `directory`, made first if it is not there.

    Raises:
        OSError: it cannot be made there, or there is no git.
    """
    repository = directory / NAME
    if repository.exists():
        return repository
    directory.mkdir(parents=True, exist_ok=True)
    made = directory / f"{NAME}.new"
    _git(directory, "init", "--quiet", "--bare", "--initial-branch=main", made.name)
    _git(made, "fast-import", "--quiet", given=_stream())
    made.replace(repository)
    return repository


def _stream() -> bytes:
    """Both commits in the language of `git fast-import`."""
    parts = []
    for number, (message, files) in enumerate(_COMMITS):
        parts.append(b"commit refs/heads/main\n")
        parts.append(b"committer Shop <shop@example.org> %d +0000\n" % (_FIRST_AT + 3600 * number))
        parts.append(_data(message))
        parts += [b"M 644 inline %s\n" % name.encode() + _data(text) for name, text in files.items()]
    return b"".join(parts)


def _data(text: str) -> bytes:
    content = text.encode()
    return b"data %d\n" % len(content) + content + b"\n"


def _git(where: Path, *arguments: str, given: bytes = b"") -> None:
    done = subprocess.run(["git", *arguments], cwd=where, input=given, capture_output=True)
    if done.returncode != 0:
        raise OSError(f"git {arguments[0]}: {done.stderr.decode(errors='replace').strip()[-500:]}")
