"""A run's repository that tries to act where it is pushed: by hooks, configuration, attributes, links and loans.

Each trick is first seen to work when git is run on the repository as it is; then the tool pushes from it, and neither
does the trick act nor is anything pushed but what was read.
"""

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import TerminalError
from tests.integration.tools.git.places import Place, branches, commit, git, patch_of

Trick = Callable[[Path, str, Path], tuple[str, ...]]
"""Lays a trap in a repository that runs a command, given a neighbour's repository; returns what would spring it."""


def script(path: Path, command: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{command}\n")
    path.chmod(0o755)
    return path


def config(repo: Path, **settings: str) -> None:
    for name, value in settings.items():
        git(repo, "config", name.replace("__", "."), value)


def hooks(repo: Path, command: str, _dev: Path) -> tuple[str, ...]:
    for name in ("pre-push", "reference-transaction", "post-checkout", "post-index-change", "pre-auto-gc"):
        script(repo / ".git" / "hooks" / name, command)
    return ("branch", "canary")


def hooks_elsewhere(repo: Path, command: str, _dev: Path) -> tuple[str, ...]:
    script(repo / "elsewhere" / "reference-transaction", command)
    config(repo, core__hooksPath=str(repo / "elsewhere"))
    return ("branch", "canary")


def file_monitor(repo: Path, command: str, _dev: Path) -> tuple[str, ...]:
    config(repo, core__fsmonitor=str(script(repo / ".git" / "monitor", command)))
    return ("status",)


def included(repo: Path, command: str, _dev: Path) -> tuple[str, ...]:
    (repo / "more").write_text(f"[core]\n\tfsmonitor = {script(repo / '.git' / 'monitor', command)}\n")
    config(repo, include__path=str(repo / "more"))
    return ("status",)


def ssh_command(repo: Path, command: str, _dev: Path) -> tuple[str, ...]:
    config(repo, core__sshCommand=f"{command};")
    return ("ls-remote", "ssh://git@127.0.0.1:1/x")


def other_transport(repo: Path, command: str, _dev: Path) -> tuple[str, ...]:
    run = script(repo / ".git" / "transport", command)
    config(repo, protocol__ext__allow="always")
    git(repo, "config", f"url.ext::{run} .insteadOf", "file://")
    return ("ls-remote", "origin")


def other_programs(repo: Path, command: str, _dev: Path) -> tuple[str, ...]:
    config(repo, remote__origin__uploadpack=f"{command};", remote__origin__receivepack=f"{command};")
    return ("ls-remote", "origin")


def credentials(repo: Path, command: str, _dev: Path) -> tuple[str, ...]:
    config(repo, credential__helper=f"!{command};", core__askPass=str(script(repo / ".git" / "ask", command)))
    return ("credential", "fill")


def loans(repo: Path, command: str, dev: Path) -> tuple[str, ...]:
    (repo / ".git" / "objects" / "info" / "alternates").write_text(f"{dev / '.git' / 'objects'}\n")
    config(repo, core__alternateRefsCommand=f"{command};")
    git(repo, "update-ref", "-d", "refs/remotes/origin/other")
    return ("fetch", "origin")


def text_conversion(repo: Path, command: str, _dev: Path) -> tuple[str, ...]:
    (repo / ".git" / "info" / "attributes").write_text("* diff=evil\n")
    config(repo, diff__evil__textconv=f"{command};", diff__evil__command=f"{command};", diff__external=f"{command};")
    return ("diff", "main", "fix")


def filters(repo: Path, command: str, _dev: Path) -> tuple[str, ...]:
    (repo / ".git" / "info" / "attributes").write_text("* filter=evil\n")
    config(repo, filter__evil__smudge=f"{command}; cat", filter__evil__clean=f"{command}; cat")
    return ("checkout", "-q", "main", "--", "a.py")


def promises(repo: Path, command: str, dev: Path) -> tuple[str, ...]:
    config(repo, core__repositoryFormatVersion="1", extensions__partialClone="evil", remote__evil__promisor="true")
    config(repo, remote__evil__url=f"file://{dev}", remote__evil__uploadpack=f"{command};")
    return ("cat-file", "-p", "1" * 40)


TRICKS: list[Trick] = [
    hooks, hooks_elsewhere, file_monitor, included, ssh_command, other_transport, other_programs, credentials, loans,
    text_conversion, filters, promises,
]  # fmt: skip


@pytest.mark.parametrize("trick", TRICKS, ids=[trick.__name__ for trick in TRICKS])
async def test_nothing_of_the_runs_repository_acts(place: Place, trick: Trick) -> None:
    wanted = git(place.cloned(), "rev-parse", "fix")
    springs = trick(place.repo, f"touch {shlex.quote(str(place.outside))}", place.dev)
    git(place.repo, *springs, given=b"url=https://shop.example\n\n", may_fail=True)
    assert place.outside.exists(), "the trick has to work where nobody is careful"
    place.outside.unlink()

    prepared = await place.prepare()
    assert "+x = 1\n" in patch_of(prepared)
    assert "succeeded" == (await place.push(prepared)).status
    assert wanted == prepared.args["commit"] == place.branches()["fix"]
    assert not place.outside.exists()


async def test_a_rewritten_address_leads_nowhere_else(place: Place) -> None:
    elsewhere = place.shop.with_name("elsewhere.git")
    git(elsewhere.parent, "init", "-q", "--bare", str(elsewhere))
    repo = place.cloned()
    git(repo, "config", f"url.file://{elsewhere}.pushInsteadOf", f"file://{place.shop}")
    git(repo, "push", "-q", "origin", "main")
    assert {"main"} == set(branches(elsewhere)), "the trick has to work where nobody is careful"
    assert "succeeded" == (await place.push(await place.prepare())).status
    assert {"main"} == set(branches(elsewhere))
    assert "fix" in place.branches()


@pytest.mark.parametrize("kind", ["link", "file", "common directory"])
async def test_a_repository_that_is_somewhere_else_is_not_read(confined: Place, kind: str) -> None:
    place, secret = confined, confined.dev
    git(secret, "checkout", "-q", "-b", "fix")
    commit(secret, "Secret", secret_txt="hunter2\n")
    place.repo.mkdir()
    inner = place.repo / ".git"
    if kind == "link":
        inner.symlink_to(secret / ".git")
    elif kind == "file":
        inner.write_text(f"gitdir: {secret / '.git'}\n")
    else:
        inner.mkdir()
        for name, text in (("HEAD", "ref: refs/heads/fix\n"), ("commondir", f"{secret / '.git'}\n")):
            (inner / name).write_text(text)
    assert "hunter2" == git(place.repo, "show", "fix:secret.txt"), "it has to work where nobody is careful"
    with pytest.raises(TerminalError):
        await place.prepare()
    assert "fix" not in place.branches()


async def test_objects_of_others_are_not_borrowed(confined: Place) -> None:
    place = confined
    stolen = commit(place.dev, "Secret", secret_txt="hunter2\n")
    repo = place.cloned()
    (repo / ".git" / "objects" / "info" / "alternates").write_text(f"{place.dev / '.git' / 'objects'}\n")
    git(repo, "update-ref", "refs/heads/theft", stolen)
    with pytest.raises(TerminalError):
        await place.prepare(branch="theft")
    assert "theft" not in place.branches()


async def test_links_in_the_workspace_lead_nowhere(confined: Place) -> None:
    place = confined
    outside = place.shop.parent / "directory"
    outside.mkdir()
    (place.workspace / "deep").symlink_to(outside)
    for path in ("deep", "deep/repo"):
        with pytest.raises(TerminalError):
            await place.read(path=path)
    (place.workspace / f".clone-{place.context.label.call_id}").symlink_to(outside)
    assert "succeeded" == (await place.read()).status
    assert [] == list(outside.iterdir())


async def test_a_replaced_commit_is_neither_shown_nor_pushed(place: Place) -> None:
    wanted = git(place.cloned(), "rev-parse", "fix")
    git(place.repo, "checkout", "-q", "-b", "harmless", "main")
    commit(place.repo, "Harmless", h_txt="harmless\n")
    git(place.repo, "replace", wanted, "harmless")
    prepared = await place.prepare()
    assert "harmless" not in patch_of(prepared)
    assert "+x = 1\n" in patch_of(prepared)
    await place.push(prepared)
    assert wanted == prepared.args["commit"] == place.branches()["fix"]


@pytest.mark.parametrize("name", ["info/grafts", "shallow"])
async def test_a_history_that_is_said_to_be_shorter_is_shown_whole(place: Place, name: str) -> None:
    repo = place.cloned()
    commit(repo, "Bury it", a_py="x = 2\n")
    (repo / ".git" / name).write_text(git(repo, "rev-parse", "fix") + "\n")
    try:
        prepared = await place.prepare()
    except TerminalError:
        return  # it is not all there
    assert "Mend white space" in patch_of(prepared)
    assert "Push 2 commits" in prepared.sentence
