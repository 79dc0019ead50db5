"""Addresses, branches and paths as people type them: which are used, in which one form, and which are refused."""

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from core.errors import TerminalError
from core.secrets import MissingSecret, SecretRef, SystemSecrets
from core.tools.base import ToolContext
from core.tools.git.push import GitPush, GitPushArguments
from core.tools.git.read import GitRead, GitReadArguments
from core.tools.git.routes import route
from core.tools.git.urls import remote
from core.tools.reach import Credential, Reach
from core.tools.registry import Registry
from tests.integration.tools.git.places import Place, git


@pytest.mark.parametrize(
    ("typed", "url", "place"),
    [
        ("https://GitHub.com/you/shop.git", "https://github.com/you/shop.git", "github.com:443"),
        ("HTTPS://github.com.:443/you/shop", "https://github.com/you/shop", "github.com:443"),
        ("https://git.example.com:8443/x", "https://git.example.com:8443/x", "git.example.com:8443"),
        ("https://bücher.example/x", "https://xn--bcher-kva.example/x", "xn--bcher-kva.example:443"),
        ("https://[2001:DB8::1]/x", "https://[2001:db8::1]/x", "[2001:db8::1]:443"),
        ("git@github.com:you/shop.git", "git@github.com:you/shop.git", "github.com:22"),
        ("GitHub.com:you/shop.git", "github.com:you/shop.git", "github.com:22"),
        ("ssh://git@host.example:2222/x.git", "ssh://git@host.example:2222/x.git", "host.example:2222"),
        ("ssh://git@host.example/~you/x.git", "ssh://git@host.example/~you/x.git", "host.example:22"),
        ("/srv/git/x.git", "file:///srv/git/x.git", "file:/srv/git/x.git"),
        ("/srv/my shop", "file:///srv/my%20shop", "file:/srv/my shop"),
        ("/srv/50%2e", "file:///srv/50%252e", "file:/srv/50%2e"),
        ("file:///srv/git/x%20y.git", "file:///srv/git/x%20y.git", "file:/srv/git/x y.git"),
    ],
)
def test_an_address_has_one_form(typed: str, url: str, place: str) -> None:
    found = remote(typed)
    assert (url, place) == (found.url, found.place)
    assert found == remote(found.url)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "1 to 2,000 characters"),
        ("x" * 2001, "1 to 2,000 characters"),
        ("-x", "not the address"),
        ("--upload-pack=touch /tmp/x", "not the address"),
        ("ext::sh -c touch% /tmp/x", "not the address"),
        ("fd::17", "not the address"),
        ("ext::https://example.com/x", "not the address"),
        ("relative/path", "Write https"),
        ("http://example.com/x.git", "not by 'http'"),
        ("git://example.com/x.git", "not by 'git'"),
        ("ftp://example.com/x", "not by 'ftp'"),
        ("https://user:secret@example.com/x.git", "`credentials`"),
        ("https://token@example.com/x.git", "`credentials`"),
        ("ssh://git:secret@example.com/x.git", "`credentials`"),
        ("https://good.example\\@evil.example/x", "`credentials`"),
        ("https://example.com/x.git?a=b", "no ?"),
        ("https://example.com/x.git#b", "no ?"),
        ("https://example.com/../x", "does not lead up"),
        ("https://example.com/%2E%2e/x", "does not lead up"),
        ("https://example.com/a%0ab", "characters that are not used"),
        ("https://example.com/a b", "characters that are not used"),
        ("https://example.com", "no repository on it"),
        ("https://example.com:99999/x", "not an address"),
        ("https://\u202eexample.com/x", "without control characters"),
        ("https://0x7f.1/x", "unusual form"),
        ("ssh://-oProxyCommand=x/y", "not the name of a host"),
        ("ssh://-oProxyCommand=x@host/y", "user in this address"),
        ("ssh://%2doProxyCommand=x/y", "not the name of a host"),
        ("-oProxyCommand=x:y", "not the address"),
        ("host:-x", "begin with a dash"),
        ("-u@host:x", "not the address"),
        ("host:$(touch x)", "characters that are not used"),
        ("file://other/srv/x", "A path of this machine"),
        ("file:///srv/%2e%2e/x", "does not lead up"),
        ("file:///srv/x%0ay", "no control characters"),
        ("/srv/../x", "does not lead up"),
        ("/srv/x\n--upload-pack=y", "without control characters"),
        ("/srv/x ", "blanks at its ends"),
    ],
)
def test_other_addresses_are_refused_with_a_sentence(url: str, said: str) -> None:
    with pytest.raises(TerminalError) as refusal:
        remote(url)
    assert said in refusal.value.user_text


@pytest.mark.parametrize(
    "branch",
    ["-x", "refs/heads/x", "HEAD", "a..b", "a b", "x.lock", "/x", "x/", "a//b", ".x", "x.", "a\n", "é", "a~1", "@{-1}"],
)
def test_names_that_are_no_branches_are_refused(branch: str) -> None:
    with pytest.raises(ValidationError, match="a branch is written like"):
        GitPushArguments(url="/x", path="repo", branch=branch)


@pytest.mark.parametrize("path", ["..", "../x", "/etc", "-x", "a/../../b", "a/-b", "."])
def test_paths_outside_the_workspace_are_refused(path: str) -> None:
    with pytest.raises(ValidationError):
        GitReadArguments(url="/x", path=path)


def test_the_tools_can_be_registered() -> None:
    registry = Registry([GitRead(), GitPush()])
    registry.validate("git_push", {"url": "/x", "path": "repo", "branch": "fix/typo_1"})


async def test_banksmans_own_directories_are_no_source(place: Place) -> None:
    own = place.shop.parent / "home" / "workspaces"
    own.mkdir(parents=True)
    git(own, "init", "-q", "--bare", "x.git")
    context = place.attempt(outside=replace(place.context.outside, private=(own.parent,)))
    with pytest.raises(TerminalError, match="belongs to Banksman itself"):
        await GitRead().perform(GitReadArguments(url=str(own / "x.git"), path="repo"), context)


async def test_a_link_is_approved_as_what_it_leads_to(place: Place) -> None:
    place.cloned()
    link = place.shop.with_name("link.git")
    link.symlink_to(place.shop)
    prepared = await place.prepare(url=str(link))
    assert f"file://{place.shop}" == prepared.args["url"]


def reaching(context: ToolContext, *network: str, secrets: dict[str, str] | None = None) -> ToolContext:
    """The context of a tool that may go there, with a secret for `192.0.2.1`."""
    outside = replace(
        context.outside,
        reach=Reach(network, (Credential("192.0.2.1", "TOKEN", user="bot"),)),
        secret_refs={"TOKEN": SecretRef("TOKEN", "env", "TOKEN")},
        secrets=SystemSecrets(secrets or {}),
    )
    return replace(context, outside=outside)


async def test_a_secret_is_named_and_given_to_its_host_alone(context: ToolContext) -> None:
    within = reaching(context, "192.0.2.1:443", "192.0.2.2:443", secrets={"TOKEN": "s3cret-value"})
    way = await route("https://192.0.2.1/x", within)
    assert ({"secret": "s3cret-value"}, ({"ref": "TOKEN", "host": "192.0.2.1"},)) == (way.secrets, way.creds)
    assert "bot" == way.given["user"]
    assert "s3cret-value" not in repr(way.given)
    other = await route("https://192.0.2.2/x", within)
    assert ({}, ()) == (other.secrets, other.creds)
    with pytest.raises(MissingSecret, match="set the environment variable TOKEN"):
        await route("https://192.0.2.1/x", reaching(context, "192.0.2.1:443"))


async def test_ssh_reaches_only_hosts_that_are_named(context: ToolContext, tmp_path: Path) -> None:
    for network in ((), ("*", f"file:{tmp_path}")):
        with pytest.raises(TerminalError, match=r"keys of the user.*adds `192.0.2.1`"):
            await route("git@192.0.2.1:x.git", reaching(context, *network))
    way = await route("git@192.0.2.1:x.git", reaching(context, "192.0.2.1:22"))
    assert ("ssh", ["192.0.2.1"], {}) == (way.given["scheme"], way.given["addresses"], way.secrets)
