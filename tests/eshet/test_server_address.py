import logging

import pytest

from eshet.address import Address
from eshet.nats.address import NatsAddress
from eshet.nats.connector import NatsConnector
from eshet.server_address import connector_to, make_connector, parse_server_address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("house", Address("house")),
        ("house:1", Address("house", 1)),
        ("[::1]:1", Address("::1", 1)),
        ("nats://house/flat", NatsAddress((Address("house", 4222),), "flat")),
        ("tls://house", NatsAddress((Address("house", 4222),), is_encrypted=True)),
    ],
)
def test_an_address_is_that_of_a_server_or_of_nats(text, expected):
    assert parse_server_address(text) == expected


@pytest.mark.parametrize(
    "text", ["", "a:b", "nats:house", "nat://a", "nats://a:99999", "nats://", "NATS://a"]
)
def test_other_texts_are_no_addresses(text):
    with pytest.raises(ValueError, match=r"is not .*nats://HOST"):
        parse_server_address(text)


@pytest.mark.parametrize(
    "text", ["u:pw@house", "nats:/u:pw@house", "nats://pw@a b", "pw@a b", "pw@", "pw@house"]
)
def test_an_error_shows_no_password(text):
    with pytest.raises(ValueError, match="is not a") as raised:
        parse_server_address(text)
    assert "pw" not in str(raised.value)


async def test_a_connector_is_the_address_itself_or_joins_the_tree():
    house = Address("house")
    assert make_connector(house) is house
    async with connector_to(parse_server_address("nats://u:pw@house")) as connector:
        assert isinstance(connector, NatsConnector)
        assert str(connector) == "nats://house:4222/eshet"
    async with connector_to(house, logging.getLogger("eshet")) as connector:
        assert connector is house
