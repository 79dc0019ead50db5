"""A repository of this machine that tries to act when it is read from or pushed to: the other side is our process."""

import os
import shlex
from pathlib import Path

from tests.integration.tools.git.places import Place, commit, git
from tests.security.git.test_hostile_workspaces import config, script

HOOKS = (
    "pre-receive",
    "update",
    "post-receive",
    "post-update",
    "reference-transaction",
    "push-to-checkout",
    "proc-receive",
)


def trapped(place: Place) -> None:
    """Lay every trap in the shop; a push where nobody is careful springs some."""
    run = f"touch {shlex.quote(str(place.outside))}"
    for name in HOOKS:
        script(place.shop / "hooks" / name, f"cat >/dev/null; {run}")
    (place.shop / "objects" / "info" / "alternates").write_text(f"{place.dev / '.git' / 'objects'}\n")
    config(place.shop, core__alternateRefsCommand=f"{run};", core__fsmonitor=str(script(place.shop / "monitor", run)))
    config(place.shop, uploadpack__packObjectsHook=str(script(place.shop / "pack", f'{run}; exec "$@"')))
    config(place.shop, core__gitProxy=f"{run};", core__sshCommand=f"{run};", gc__auto="1", receive__autogc="true")


async def test_nothing_of_it_acts(place: Place) -> None:
    trapped(place)
    git(place.dev, "push", "-q", "origin", "HEAD:refs/heads/canary")
    assert place.outside.exists(), "the traps have to work where nobody is careful"
    place.cloned()
    place.outside.unlink(missing_ok=True)

    assert "succeeded" == (await place.read(path="again")).status
    prepared = await place.prepare()
    pushed = await place.push(prepared)
    assert prepared.args["commit"] == place.branches()["fix"]
    assert "succeeded" == (await place.undo(**pushed.out)).status
    assert not place.outside.exists()


async def test_its_programs_for_sending_are_not_used(place: Place) -> None:
    run = f"touch {shlex.quote(str(place.outside))}"
    hook = script(place.shop / "pack", f'{run}; exec "$@"')
    config(place.shop, uploadpack__packObjectsHook=str(hook))
    git(
        place.dev,
        "clone",
        "-q",
        "-u",
        f"git -c uploadpack.packObjectsHook={hook} upload-pack",
        f"file://{place.shop}",
        "c",
    )
    assert place.outside.exists(), "such a program would act if it were asked"
    place.outside.unlink()
    assert "succeeded" == (await place.read()).status
    assert not place.outside.exists()


async def test_it_does_not_check_out_what_is_pushed(place: Place) -> None:
    place.cloned()
    commit(place.repo, "Choose a filter", **{".gitattributes": "* filter=evil\n"})
    careless, park = place.shop.with_name("careless"), place.shop.with_name("park")
    for path in (careless, park):
        git(path.parent, "init", "-q", str(path))
        git(path, "symbolic-ref", "HEAD", "refs/heads/fix")
        run = f"touch {shlex.quote(str(place.outside))}; cat"
        config(path, receive__denyCurrentBranch="updateInstead", filter__evil__smudge=run)
    git(place.repo, "push", "-q", str(careless), "fix")
    assert place.outside.exists(), "the trick has to work where nobody is careful"
    place.outside.unlink()

    result = await place.push(await place.prepare(url=str(park)))
    assert not place.outside.exists()
    assert "failed" == result.status, result


async def test_what_it_promises_is_not_fetched(place: Place) -> None:
    run = f"touch {shlex.quote(str(place.outside))};"
    config(
        place.shop, core__repositoryFormatVersion="1", extensions__partialClone="evil", remote__evil__promisor="true"
    )
    config(place.shop, remote__evil__url=f"file://{place.dev}", remote__evil__uploadpack=run)
    blob = git(place.shop, "rev-parse", "main:a.py")
    loose(place.shop, blob)
    git(place.shop, "cat-file", "-p", blob, may_fail=True)
    assert place.outside.exists(), "the trick has to work where nobody is careful"
    place.outside.unlink()
    assert "succeeded" != (await place.read()).status
    assert not place.outside.exists()


def loose(repository: Path, missing: str) -> None:
    """Take one object away, and everything that packs."""
    packs = list((repository / "objects" / "pack").glob("*.pack"))
    for pack in packs:
        moved = pack.rename(repository / pack.name)
        git(repository, "unpack-objects", "-q", given=moved.read_bytes())
    (repository / "objects" / missing[:2] / missing[2:]).unlink()


async def test_a_repository_of_another_user_is_not_used(place: Place) -> None:
    theirs = os.geteuid() == 0  # only root can give a file away
    if theirs:
        for path in (place.shop, *place.shop.rglob("*")):
            os.chown(path, 65_534, 65_534)
    result = await place.read()
    assert ("failed" if theirs else "succeeded") == result.status
    assert not theirs or "belongs to another user" in str(result.error)
