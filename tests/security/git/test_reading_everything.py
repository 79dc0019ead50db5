"""What people read holds everything that is pushed, whatever a repository says about how it wants to be shown."""

from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import TerminalError
from core.tools.git.command import Git
from core.tools.git.taking import take
from tests.integration.tools.git.places import Place, commit, git, patch_of


@pytest.mark.parametrize(
    "attributes",
    ["* -diff", "* binary", "* diff=evil", "* -text -diff -merge", "* linguist-generated -diff export-ignore"],
)
async def test_attributes_hide_nothing(place: Place, attributes: str) -> None:
    repo = place.cloned()
    (repo / ".git" / "info" / "attributes").write_text(f"{attributes}\n")
    commit(repo, "Hide", **{".gitattributes": f"{attributes}\n", "evil_sh": "rm -rf /\n"})
    text = patch_of(await place.prepare())
    assert "+rm -rf /\n" in text
    assert f"+{attributes}\n" in text


def mode(repo: Path) -> str:
    (repo / "a.py").chmod(0o755)
    commit(repo)
    return "old mode 100644\nnew mode 100755"


def link(repo: Path) -> str:
    (repo / "link").symlink_to("/etc/passwd")
    commit(repo)
    return "new file mode 120000"


def submodule(repo: Path) -> str:
    modules = '[submodule "x"]\n\tpath = x\n\turl = ../x\n\tignore = all\n'
    (repo / ".gitmodules").write_text(modules)
    git(repo, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},x")
    git(repo, "add", ".gitmodules")
    git(repo, "commit", "-q", "-m", "Add a part")
    return f"+Subproject commit {'1' * 40}"


def moved(repo: Path) -> str:
    git(repo, "mv", "b.py", "c.py")
    commit(repo)
    return "deleted file mode 100644"


def not_text(repo: Path) -> str:
    commit(repo, data_bin=bytes(range(256)))
    return "GIT binary patch\nliteral 256\n"


def another_encoding(repo: Path) -> str:
    commit(repo, old_txt=b"caf\xe9\n")
    return "+caf\udce9\n"


def old_and_added_back(repo: Path) -> str:
    commit(repo, evil_sh="rm -rf /\n")
    (repo / "evil.sh").unlink()
    commit(repo, "Nothing to see")
    return "-rm -rf /\n"


def odd_name(repo: Path) -> str:
    (repo / 'a\n+++ b"c').write_text("1\n")
    commit(repo)
    return '+++ "b/a\\n+++ b\\"c"'


def another_head(repo: Path) -> str:
    tree, parent = git(repo, "rev-parse", "fix^{tree}"), git(repo, "rev-parse", "fix")
    people = "author A <a@b> 1 +0000\ncommitter A <a@b> 1 -0930\n"
    text = f"tree {tree}\nparent {parent}\n{people}smuggled in the head\n more of it\n\nMessage\n"
    made = git(repo, "hash-object", "-t", "commit", "-w", "--stdin", given=text.encode())
    git(repo, "update-ref", "refs/heads/fix", made)
    return "Committer: A <a@b>, 1969-12-31 14:30:01 -0930\nsmuggled in the head\n more of it\n"


WAYS = [mode, link, submodule, moved, not_text, another_encoding, old_and_added_back, odd_name, another_head]


@pytest.mark.parametrize("way", WAYS, ids=[way.__name__ for way in WAYS])
async def test_every_kind_of_change_is_shown(place: Place, way: Callable[[Path], str]) -> None:
    shown = way(place.cloned())
    assert shown in patch_of(await place.prepare())


@pytest.mark.parametrize(
    "message", ["\u202eevil\u202c", "fake\n\ndiff --git a/x b/x\n+nothing", f"commit {'0' * 40}", "Author: Boss <b@c>"]
)
async def test_a_message_cannot_pass_for_something_else(place: Place, message: str) -> None:
    git(place.cloned(), "commit", "-q", "--allow-empty", "--cleanup=verbatim", "-m", message)
    text = patch_of(await place.prepare())
    assert "".join(f"    {line}\n" for line in message.split("\n")) in text


def above(repo: Path, blob: str) -> bytes:
    return b"100644 ..\0" + bytes.fromhex(blob)


def git_directory(repo: Path, blob: str) -> bytes:
    return b"100644 .GIT\0" + bytes.fromhex(blob)


def twice(repo: Path, blob: str) -> bytes:
    return 2 * (b"100644 a\0" + bytes.fromhex(blob))


@pytest.mark.parametrize("entries", [above, git_directory, twice])
async def test_objects_that_are_not_sound_are_not_asked_about(
    place: Place, entries: Callable[[Path, str], bytes]
) -> None:
    repo = place.cloned()
    blob = git(repo, "rev-parse", "fix:a.py")
    data = entries(repo, blob)
    tree = git(repo, "hash-object", "-t", "tree", "-w", "--stdin", "--literally", given=data)
    git(repo, "update-ref", "refs/heads/fix", git(repo, "commit-tree", "-p", "main", "-m", "Odd", tree))
    with pytest.raises(TerminalError, match="not sound"):
        await place.prepare()


async def test_a_message_with_an_end_in_it_is_not_asked_about(place: Place) -> None:
    repo = place.cloned()
    tree, parent = git(repo, "rev-parse", "fix^{tree}"), git(repo, "rev-parse", "fix")
    people = "author A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n"
    text = f"tree {tree}\nparent {parent}\n{people}\nSeen\0unseen\n"
    made = git(repo, "hash-object", "-t", "commit", "-w", "--stdin", "--literally", given=text.encode())
    git(repo, "update-ref", "refs/heads/fix", made)
    with pytest.raises(TerminalError, match="not sound"):
        await place.prepare()


def test_objects_that_do_not_hold_the_commit_are_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place.shop.parent)
    fix = git(place.cloned(), "rev-parse", "fix")
    pack = place.shop.parent / "pack"
    git(place.dev, "bundle", "create", "-q", str(pack), "--all")
    pack.write_bytes(b"PACK" + pack.read_bytes().partition(b"PACK")[2])
    given = {"repository": str(place.shop.parent / "own.git"), "pack": str(pack), "commit": fix, "base": None}
    answer = take(Git(None, {}, 10), given)
    assert answer is not None
    assert "not the commit it says" in answer["error"]
