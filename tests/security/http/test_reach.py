"""Threats 15 and 25: nothing private is reached, however it is spelled, wrapped or looked up."""

import ipaddress
import itertools
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import RetryableError
from core.tools.reach import (
    Bound,
    Credential,
    OutOfReach,
    Reach,
    check_bounds,
    check_host,
    check_name,
    check_path,
    credential_for,
    is_public,
)

SPELLINGS = [
    # decimal, octal, hexadecimal, short and mixed ways to write 127.0.0.1
    "2130706433", "017700000001", "0x7f000001", "0X7F000001", "0x7f.1", "0x7f.0x0.0x0.0x1", "0177.0.0.1",
    "127.1", "127.0.1", "127.0.0.01", "127.0.0.0x1", "00127.0.0.1", "4294967296", "127.0.0.1.0", "0",
    # dots, brackets, zones, users, escapes
    "127.0.0.1.", "127.0.0.1..", ".127.0.0.1", "[127.0.0.1]", "127.0.0.1%00", "127.0.0.1%2e", "%31%32%37.0.0.1",
    "fe80::1%eth0", "[fe80::1%25eth0]", "[::1%lo]", "2606:4700::1111%eth0", "user@127.0.0.1", "127.0.0.1@example.com",
    "127.0.0.1:80", "127.0.0.1/", "127.0.0.1#", "127.0.0.1\\@example.com", "127.0.0.1 example.com", "127.0.0.1\0",
    # other digits and dots
    "１２７.０.０.１", "127。0。0。1", "①②⑦.0.0.1", "127．0．0．1", "127｡0｡0｡1",
    # six wrapped in four and four in six
    "::1", "[::1]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:0:127.0.0.1]",
    "[::127.0.0.1]", "[2002:7f00:1::]", "[64:ff9b::127.0.0.1]", "[64:ff9b:1::7f00:1]", "[2001:0:1::1]",
    "[2606:4700::5efe:10.0.0.1]", "[::]", "0.0.0.0",
    # what clouds tell their machines, and other places nobody publishes
    "169.254.169.254", "[fd00:ec2::254]", "100.100.100.200", "168.63.129.16", "192.0.0.192", "10.0.0.1", "172.16.0.1",
    "192.168.0.1", "100.64.0.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "[fe80::1]", "[fc00::1]",
    "[ff02::1]", "[fec0::1]", "[2001:db8::1]", "[100::1]", "[5f00::1]",
    # no names at all
    "", ".", "..", "a..b", "-", "*", "*.example.com", "a_b.-c", "a" * 64, ("a" * 60 + ".") * 5, "[", "]", "[]",
    "[::1", "::1]",
]  # fmt: skip


@pytest.mark.parametrize("host", SPELLINGS)
@pytest.mark.parametrize("network", [(), ("*",)], ids=["left out", "every public host"])
def test_a_strange_spelling_gets_nowhere(host: str, network: tuple[str, ...]) -> None:
    with pytest.raises(OutOfReach):
        check_host(Reach(network), host, 80)


@pytest.mark.parametrize("host", SPELLINGS)
def test_a_strange_spelling_gets_no_further_than_the_address_it_is(host: str) -> None:
    """The operator named one port of this machine: the same address in one form is meant, another port never is."""
    network = ("127.0.0.1:8000", "[::1]:8000")

    with pytest.raises(OutOfReach):
        check_host(Reach(network), host, 8001)
    try:
        found = check_host(Reach(network), host, 8000)
    except OutOfReach:
        return
    assert found in (("127.0.0.1",), ("::1",))


def test_an_address_without_port_in_the_config_does_not_open_this_machine() -> None:
    for network in (("127.0.0.1",), ("localhost",), ("*", "127.0.0.1"), ("*.1",), ("127.0.0.1:80",)):
        with pytest.raises(OutOfReach):
            check_host(Reach(network), "127.0.0.1", 8000)


def test_exactly_host_and_port_in_the_config_open_it() -> None:
    assert ("127.0.0.1",) == check_host(Reach(("127.0.0.1:8000",)), "127.0.0.1", 8000)
    assert ("::1",) == check_host(Reach(("[::1]:8000",)), "[0:0::1]", 8000)
    assert "127.0.0.1" in check_host(Reach(("LocalHost.:8000",)), "localhost", 8000)


@pytest.mark.parametrize("answers", list(itertools.permutations(["8.8.8.8", "10.0.0.1", "2606:4700::1111"])))
def test_one_private_address_among_public_ones_is_enough(
    answers: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    _answering(monkeypatch, *answers)

    with pytest.raises(OutOfReach, match=r"api.example.com leads to the private address 10.0.0.1"):
        check_host(Reach(), "api.example.com", 443)


def test_what_was_looked_up_is_what_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    _answering(monkeypatch, "8.8.8.8", "2606:4700::1111", "8.8.8.8")

    assert ("8.8.8.8", "2606:4700::1111") == check_host(Reach(), "API.example.com.", 443)


@pytest.mark.parametrize("code", [socket.EAI_AGAIN, socket.EAI_NONAME, socket.EAI_FAIL])
def test_a_name_that_is_not_answered_for_may_be_tried_again(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_more: object) -> None:
        raise socket.gaierror(code, "no")

    monkeypatch.setattr(socket, "getaddrinfo", fail)

    with pytest.raises(RetryableError, match="check how it is spelled"):
        check_host(Reach(), "api.example.com", 443)


@pytest.mark.parametrize(
    ("place", "host", "port", "covered"),
    [
        ("api.example.com", "api.example.com", 443, True),
        ("API.Example.com", "api.example.com.", 8080, True),
        ("api.example.com", "evil-api.example.com", 443, False),
        ("api.example.com", "api.example.com.evil.test", 443, False),
        ("example.com", "api.example.com", 443, False),
        ("*.example.com", "api.example.com", 443, True),
        ("*.example.com", "a.b.example.com", 443, True),
        ("*.example.com", "example.com", 443, False),
        ("*.example.com", "notexample.com", 443, False),
        ("*.example.com:8443", "api.example.com", 8443, True),
        ("*.example.com:8443", "api.example.com", 443, False),
        ("api.example.com:8443", "api.example.com", 8443, True),
        ("api.example.com:8443", "api.example.com", 443, False),
        ("bücher.example", "xn--bcher-kva.example", 443, True),
        ("file:/srv", "srv", 443, True),  # names no host, so every public one may be reached
    ],
)
def test_only_listed_hosts_are_reached(place: str, host: str, port: int, covered: bool) -> None:
    if covered:
        assert check_name(Reach((place,)), host, port)
        return
    with pytest.raises(OutOfReach, match=r"is not among the places.*the operator adds `\S+` to the tool's `network`"):
        check_name(Reach((place,)), host, port)


@pytest.mark.parametrize(
    ("network", "let"),
    [
        (("*",), True),
        (("api.example.com",), True),
        (("other.example", "*.example.com:443"), True),
        (("API.example.com.:443",), True),
        ((), False),
        (("api.example.com:8443",), False),
        (("example.com",), False),
        (("file:/srv",), False),  # unlike the word on a tool, it lets nothing through that it does not name
    ],
)
def test_what_bounds_a_run_lets_through_only_what_it_names(network: tuple[str, ...], let: bool) -> None:
    reach = Reach(bounds=(Bound("The contract of #ops", ("*",)), Bound("The contract of #ops", network)))
    if let:
        check_bounds(reach, "api.example.com:443")
        assert "api.example.com" == check_name(reach, "API.example.com", 443)
        return
    barred = r"The contract of #ops does not let its runs reach api\.example\.com:443; it names "
    for place in ("api.example.com:443", "API.EXAMPLE.com.:443"):
        with pytest.raises(OutOfReach, match=barred):
            check_bounds(reach, place)
    with pytest.raises(OutOfReach, match=barred):
        check_name(reach, "api.example.com", 443)


@pytest.mark.parametrize("place", ["*", "*.example.com:443", "api.example.com", "file:/srv", "", "127.1:80"])
def test_what_is_no_host_with_its_port_is_never_within_bounds(place: str) -> None:
    with pytest.raises(OutOfReach, match="is not a host with its port"):
        check_bounds(Reach(bounds=(Bound("It", ("*",)),)), place)


def test_a_bound_opens_nothing() -> None:
    reach = Reach(("api.example.com",), bounds=(Bound("It", ("*", "10.0.0.1:80", "other.example", "file:/")),))

    for host, port in (("other.example", 443), ("10.0.0.1", 80)):
        with pytest.raises(OutOfReach, match="the operator adds"):
            check_name(reach, host, port)
    with pytest.raises(OutOfReach, match="the operator adds `file:/"):
        check_path(reach, "/srv")
    with pytest.raises(OutOfReach, match="private address"):
        check_name(replace(reach, network=()), "10.0.0.1", 80)


def test_a_path_has_to_be_named_by_what_bounds_the_run_too(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    reach = Reach(("file:/",), bounds=(Bound("The contract of #ops", ("*", f"file:{tmp_path}/a")),))

    assert (tmp_path / "a").resolve() == check_path(reach, f"{tmp_path}/a")
    for path in (f"{tmp_path}", f"{tmp_path}/b", f"{tmp_path}/a/.."):
        with pytest.raises(OutOfReach, match="The contract of #ops does not let its runs reach file:/"):
            check_path(reach, path)


@pytest.mark.parametrize("port", [0, -1, 65_536])
def test_a_port_is_a_port(port: int) -> None:
    with pytest.raises(OutOfReach, match="is not a port"):
        check_name(Reach(), "api.example.com", port)


def test_no_network_of_the_internet_registry_for_special_use_is_public() -> None:
    special = [
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4", "::/8", "100::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16",
        "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8", "64:ff9b:1::/48",
    ]  # fmt: skip
    for text in special:
        network = ipaddress.ip_network(text)
        for address in (network[0], network[1], network[network.num_addresses // 2], network[-1]):
            wrapped = isinstance(address, ipaddress.IPv6Address) and (address.ipv4_mapped or address in _NAT64)
            assert wrapped or not is_public(address), address


_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@pytest.mark.parametrize(
    "text",
    ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1", "2606:4700::5efe:808:808"],
)
def test_what_is_public_stays_so_however_it_is_wrapped(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


def test_a_secret_belongs_to_exactly_one_host() -> None:
    given = Credential("API.example.com", "token")
    reach = Reach(credentials=(Credential("::1", "local"), given))

    assert given == credential_for(reach, "api.example.com.")
    assert "local" == getattr(credential_for(reach, "[::1]"), "secret", None)
    for host in ("example.com", "x.api.example.com", "api.example.com.evil.test"):
        assert credential_for(reach, host) is None


def test_a_path_is_used_only_below_what_is_named(tmp_path: Path) -> None:
    allowed, outside = tmp_path / "allowed", tmp_path / "outside"
    (allowed / "repo").mkdir(parents=True)
    outside.mkdir()
    (allowed / "link").symlink_to(outside)
    reach = Reach((f"file:{allowed}", "*"))

    assert (allowed / "repo").resolve() == check_path(reach, f"{allowed}/./repo/../repo")
    for path in (
        f"{outside}", f"{allowed}/../outside", f"{allowed}/link", f"{allowed}/link/x", f"{allowed}-other", "/",
        "/etc/passwd", "relative", "~", "", "\0", f"{allowed}\0", f"file:{allowed}", "/" + "x" * 5_000,
    ):  # fmt: skip
        with pytest.raises(OutOfReach):
            check_path(reach, path)


def test_no_path_is_used_where_none_is_named(tmp_path: Path) -> None:
    for network in ((), ("*",), ("api.example.com",), (f"{tmp_path}",), ("file:",)):
        with pytest.raises(OutOfReach, match="the operator adds `file:/"):
            check_path(Reach(network), str(tmp_path))


def test_a_loop_of_links_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")

    with pytest.raises(OutOfReach):
        check_path(Reach((f"file:{tmp_path}/x",)), f"{tmp_path}/a")


def test_the_installation_itself_is_never_used(tmp_path: Path) -> None:
    home = tmp_path / "work" / "home"
    (home / "artifacts").mkdir(parents=True)
    (tmp_path / "link").symlink_to(home)
    reach = Reach(("file:/",))

    for path in (home, home / "artifacts", home / "new", home.parent, tmp_path, tmp_path / "link", Path("/")):
        with pytest.raises(OutOfReach, match="belongs to Banksman itself"):
            check_path(reach, str(path), private=(tmp_path / "link",))
    assert home.with_name("homely") == check_path(reach, str(home.with_name("homely")), private=(home,))


@pytest.mark.parametrize("path", ["/proc/self/environ", "/proc/1/mem", "/sys/kernel", "/proc"])
def test_what_the_machine_tells_about_itself_is_never_used(path: str) -> None:
    with pytest.raises(OutOfReach, match="tells about itself"):
        check_path(Reach(("file:/",)), path)


def _answering(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    entries = [(0, socket.SOCK_STREAM, 6, "", (address, 443)) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: entries)
