"""Host names and origins that a request may name."""

import pytest

from eshet.gateway.hosts import HostList, OriginList


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost:80", True),
        ("localhost", True),
        ("LOCALHOST", True),
        ("127.0.0.1:80", True),
        ("[::1]:80", True),
        ("192.0.2.7:80", True),
        ("localhost:81", False),
        ("192.0.2.8:80", False),
        ("evil.example", False),
        ("evil.example:80", False),
        ("house.example", True),
        ("house.example:8443", True),
        ("other.example:8443", True),
        ("other.example", False),
        ("localhost.evil.example", False),
        ("localhost:80@evil.example", False),
        ("127.0.0.1:80 ", False),
        ("127.0.0.1:999999", False),
        ("127.1:80", False),
        ("2130706433:80", False),
        ("", False),
        (":80", False),
    ],
)
def test_which_hosts_are_allowed(host: str, allowed: bool) -> None:
    hosts = HostList(["house.example", "Other.example:8443"])
    assert hosts.allows(host, "192.0.2.7", 80, "http") is allowed


def test_the_usual_port_depends_on_the_scheme() -> None:
    assert HostList().allows("localhost", "127.0.0.1", 443, "https")
    assert not HostList().allows("localhost", "127.0.0.1", 443, "http")


def test_the_own_address_may_be_one_of_ipv6() -> None:
    assert HostList().allows("[2001:db8::1]:80", "2001:db8::1", 80, "http")


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://localhost:80", True),
        ("https://localhost:80", False),
        ("http://localhost:81", False),
        ("http://localhost", False),
        ("https://house.example", True),
        ("https://House.example", True),
        ("https://house.example.evil.example", False),
        ("https://usual.example", True),
        ("null", False),
        ("", False),
    ],
)
def test_which_origins_are_allowed(origin: str, allowed: bool) -> None:
    origins = OriginList(["https://house.example/", "https://usual.example:443"])
    assert origins.allows(origin, "localhost:80", "http") is allowed


@pytest.mark.parametrize("name", ["", "http://a", "a b", "a/b", "a:b", "*", "ä"])
def test_a_wrong_host_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a host"):
        HostList([name])


@pytest.mark.parametrize("origin", ["", "null", "*", "a", "ftp://a", "http://a/b", "http://[::1"])
def test_a_wrong_origin_is_an_error(origin: str) -> None:
    with pytest.raises(ValueError, match="is not an origin"):
        OriginList([origin])
