from pathlib import Path

import pytest

from eshet.address import Address
from eshet.nats.address import NatsAddress


def test_the_shortest_address_has_defaults():
    address = NatsAddress.parse("nats://localhost")
    assert address == NatsAddress((Address("localhost", 4222),))
    assert str(address) == "nats://localhost:4222/eshet"


def test_all_parts_of_an_address():
    address = NatsAddress.parse(
        "tls://house:p%40ss%2F@nats1,nats2:4223,[::1]:4224/flat"
        "?ca=ca.pem&cert=my.pem&key=my.key&replicas=5"
    )
    assert address == NatsAddress(
        servers=(Address("nats1", 4222), Address("nats2", 4223), Address("::1", 4224)),
        prefix="flat",
        user="house",
        password="p@ss/",  # noqa: S106
        is_encrypted=True,
        ca=Path("ca.pem"),
        cert=Path("my.pem"),
        key=Path("my.key"),
        replicas=5,
    )


def test_one_word_before_the_host_is_a_token():
    address = NatsAddress.parse("nats://s%33cret@nats1")
    assert (address.user, address.password) == ("", "s3cret")


def test_a_file_with_credentials():
    assert NatsAddress.parse("nats://nats1?credentials=/etc/home.creds").credentials == Path(
        "/etc/home.creds"
    )


@pytest.mark.parametrize("options", ["ca=ca.pem", "cert=my.pem"])
def test_files_for_tls_demand_tls(options):
    assert NatsAddress.parse(f"nats://nats1?{options}").is_encrypted


def test_no_secret_is_shown():
    address = NatsAddress.parse("tls://house:s3cret@nats1,nats2/flat?credentials=home.creds")
    assert str(address) == "tls://nats1:4222,nats2:4222/flat"
    assert "s3cret" not in repr(address)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("localhost:4222", "'localhost:4222' is not the address of NATS servers"),
        ("http://localhost", "write nats://HOST"),
        ("nats://", "write nats://HOST"),
        ("nats://host/a/b", "write nats://HOST"),
        ("nats://host/a.b", "'a.b' can't be the prefix of a tree"),
        ("nats://host:port", "'host:port' is not a server address"),
        ("nats://host:70000", "is not a server address"),
        ("nats://a,,b", "'' is not a server address"),
        ("nats://host?replica=3", "'replica' is not an option of NATS: there are credentials, ca"),
        ("nats://host?replicas=0", "replicas=0: write 1 to 5"),
        ("nats://host?replicas=x", "replicas=x: write 1 to 5"),
        ("nats://host?ca=", "ca= needs a value"),
        ("nats://host?ca", "are not options: write NAME=VALUE"),
        ("nats://host?key=my.key", "key= needs cert="),
    ],
)
def test_mistakes(text, problem):
    with pytest.raises(ValueError, match=r".") as caught:
        NatsAddress.parse(text)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["nats://house:s3/cret@host", "nats://house:s3?cret@host", "nats://house:s3@cret@host"],
)
def test_no_secret_is_shown_in_an_error(text):
    with pytest.raises(ValueError, match=r"\*\*\*@host' is not the address") as caught:
        NatsAddress.parse(text)
    assert "cret" not in str(caught.value)


def test_missing_files_for_tls():
    with pytest.raises(OSError, match=r"^/nowhere/ca.pem can't be used for TLS: No such file or"):
        NatsAddress.parse("nats://host?ca=/nowhere/ca.pem").tls()


def test_files_for_tls_that_contain_no_certificate():
    with pytest.raises(OSError, match=f"^{__file__} can't be used for TLS: "):
        NatsAddress.parse(f"nats://host?cert={__file__}").tls()
