"""One commit with the fixes and the page, on a branch: the same again when it is asked for again.

Everything goes from stored object to stored object. The commit's dates are its parent's, so the same input gives the
same commit, and an attempt that was cut off is repeated without a trace.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from . import editorconfig, languages, page, tree
from .git import Conversation, Problem, Repository, shown
from .page import Findings, Volume, count
from .whitespace import Fix, tidy

MOST_FILES = 20_000
MOST_FILE_BYTES = 1_000_000
MOST_BYTES = 100_000_000
MOST_FIXED_FILES = 50
MOST_FIXED_LINES = 300
"""People read the whole change before it is pushed."""

_PREFIX = "refs/heads/"
_AUTHOR = "Banksman <banksman@localhost>"
_WHEN = re.compile(rb"^committer .*> (\d{1,11}) ([-+](?:0\d|1[0-3])[0-5]\d)$", re.MULTILINE)
_NOTE = re.compile(rb"\b(?:TODO|FIXME|XXX|HACK)\b")


def write(asked: Mapping[str, Any], temporary: Path) -> dict[str, Any]:
    """Write the branch and return what is on it.

    Raises:
        Problem: The repository cannot be used, or the branch is somebody else's.
    """
    path, branch = asked["path"], asked["branch"]
    repository = Repository(path, temporary)
    if repository.ask("check-ref-format", "--branch", branch) != branch.encode():
        raise Problem(f"{shown(branch)} is no possible name of a branch. Choose another, e.g. `banksman/checkup`.")
    base = tree.base_of(repository, path, asked["base"])
    _refuse_other_work(repository, branch, base)
    entries = tree.entries(repository, base)
    _refuse_collisions(entries)
    objects = repository.start("cat-file", "--batch")
    try:
        findings = _look(repository, objects, base, entries)
        parent = objects.content(base)
        text = page.write(findings, asked["tests"])
        stored = next((entry for entry in entries if entry.path == page.NAME.encode()), None)
        same_page = (
            stored is not None
            and stored.mode == "100644"
            and stored.size == len(text.encode())
            and objects.content(stored.object_id) == text.encode()
        )
    finally:
        objects.close()
    changed = bool(findings.fixes) or not same_page
    if changed:
        commit = _commit(repository, branch, base, parent, entries, findings, text, temporary)
    else:
        commit = base
        repository.run("update-ref", _PREFIX + branch, base)
    return {
        "branch": branch,
        "commit": commit,
        "base": base,
        "changed": changed,
        "files_fixed": len(findings.fixes),
        "lines_fixed": findings.lines_fixed,
        "postponed": len(findings.postponed),
        "page": text,
    }


def _look(repository: Repository, objects: Conversation, base: str, entries: list[tree.Entry]) -> Findings:
    findings = Findings(
        links=sum(entry.kind == "link" for entry in entries),
        submodules=sum(entry.kind == "submodule" for entry in entries),
    )
    files = [entry for entry in entries if entry.kind == "file" and entry.path != page.NAME.encode()]
    findings.files, findings.size = len(files), sum(entry.size for entry in files)
    findings.large = [(entry.size, entry.path) for entry in files]
    marked = tree.hands_off(repository, base, [entry.path for entry in files[:MOST_FILES]])
    rules = _rules(objects, files)
    volumes: dict[str, list[int]] = {}
    left_bytes = MOST_BYTES
    for number, entry in enumerate(files):
        name = entry.path.decode(errors="replace")
        volume = volumes.setdefault(languages.language_of(name), [0, 0, 0])
        volume[0] += 1
        volume[2] += entry.size
        if number >= MOST_FILES or entry.size > min(MOST_FILE_BYTES, left_bytes):
            findings.not_read += 1
            continue
        left_bytes -= entry.size
        data = objects.content(entry.object_id)
        reason = languages.hands_off_by_content(data)
        if reason not in ("binary", "not in UTF-8"):
            volume[1] += data.count(b"\n") + (not data.endswith(b"\n") and bool(data))
        reason = reason or languages.hands_off_by_name(name)
        if reason is None and (notes := len(_NOTE.findall(data))):
            findings.notes[entry.path] = notes
        if reason is None and entry.path in marked:
            reason = "that `.gitattributes` sets apart"
        fix = tidy(name, data, rules.wishes(name)) if reason is None and tree.can_be_written(entry.path) else reason
        _sort_in(findings, entry.path, fix)
    findings.languages = {name: Volume(*volume) for name, volume in volumes.items()}
    return findings


def _rules(objects: Conversation, files: list[tree.Entry]) -> editorconfig.Rules:
    found = [entry for entry in files if entry.path.rpartition(b"/")[2] == editorconfig.NAME]
    small = [entry for entry in found if entry.size <= editorconfig.MOST_BYTES][: editorconfig.MOST_FILES]
    return editorconfig.Rules(
        {entry.path.decode(errors="replace"): objects.content(entry.object_id) for entry in small}
    )


def _sort_in(findings: Findings, path: bytes, fix: Fix | str | None) -> None:
    if isinstance(fix, str):
        findings.left_alone[fix] += 1
    elif fix is not None:
        fits = len(findings.fixes) < MOST_FIXED_FILES and findings.lines_fixed + fix.lines <= MOST_FIXED_LINES
        (findings.fixes if fits else findings.postponed)[path] = fix


def _refuse_collisions(entries: Iterable[tree.Entry]) -> None:
    """The page must not hide a directory, nor a file that is the same one where capitals do not count."""
    ours = page.NAME.encode()
    tops = Counter(entry.path.split(b"/")[0] for entry in entries if b"/" in entry.path)
    if any(top.lower() == ours.lower() for top in tops):
        raise Problem(f"The repository has a directory called {shown(page.NAME)}, where the page would go. Rename it.")
    for entry in entries:
        if entry.path != ours and entry.path.lower() == ours.lower():
            raise Problem(
                f"The repository has {shown(entry.path)}; rename it to {shown(page.NAME)} to have it replaced."
            )


def _commit(
    repository: Repository,
    branch: str,
    base: str,
    parent: bytes,
    entries: list[tree.Entry],
    findings: Findings,
    text: str,
    temporary: Path,
) -> str:
    """Make the branch with the commit, in place of what an earlier attempt left of it; returns the commit's id."""
    when = _WHEN.search(parent.partition(b"\n\n")[0])
    date = f"{when[1].decode()} {when[2].decode()}" if when else "0 +0000"
    marks = temporary / "marks"
    modes = {entry.path: entry.mode for entry in entries}
    message = _message(findings).encode()
    stream = bytearray(f"commit {_PREFIX}{branch}\nmark :1\n".encode())
    stream += f"author {_AUTHOR} {date}\ncommitter {_AUTHOR} {date}\n".encode()
    stream += b"data %d\n%b\nfrom %b\n" % (len(message), message, base.encode())
    changes = [(path, modes[path], fix.data) for path, fix in findings.fixes.items()]
    for path, mode, data in [*changes, (page.NAME.encode(), "100644", text.encode())]:
        kept_mode = "100755" if mode == "100755" else "100644"
        stream += b"M %b inline %b\ndata %d\n%b\n" % (kept_mode.encode(), _quoted(path), len(data), data)
    stream += b"\ndone\n"
    repository.run("fast-import", "--quiet", "--done", "--force", f"--export-marks={marks}", given=bytes(stream))
    return marks.read_text().split()[1]


def _refuse_other_work(repository: Repository, branch: str, base: str) -> None:
    """A branch of this name may only be there from an earlier attempt."""
    ref = _PREFIX + branch
    if repository.ask("symbolic-ref", "--quiet", "HEAD") == ref.encode():
        raise Problem(f"The branch {shown(branch)} is checked out. Choose another name for the new one.")
    tip = repository.ask("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
    if tip is not None and tip != base.encode():
        stored = repository.run("cat-file", "commit", tip.decode())
        if f"\nparent {base}\nauthor {_AUTHOR} ".encode() not in stored:
            raise Problem(f"The branch {shown(branch)} exists already, with other work on it. Choose another name.")
    # An attempt that was cut off may have left this; while this one runs there is no other.
    common = repository.run("rev-parse", "--path-format=absolute", "--git-common-dir").decode().rstrip("\n")
    with suppress(OSError):
        Path(f"{common}/{ref}.lock").unlink()


def _message(findings: Findings) -> str:
    if not findings.fixes:
        return f"Add {page.NAME}\n\nA checkup found nothing to fix.\n"
    what = f"{count(findings.lines_fixed, 'line')} in {count(len(findings.fixes), 'file')}"
    return f"Fix white space and add {page.NAME}\n\nWhite space at line ends and at the end of files: {what}.\n"


def _quoted(path: bytes) -> bytes:
    """A path as fast-import reads it."""
    escaped = path.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return b'"%b"' % escaped
