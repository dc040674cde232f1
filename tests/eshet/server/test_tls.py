"""Opened to a network: TLS, and client certificates for those who are let in."""

import re
import ssl
from collections.abc import AsyncIterator

import pytest
import trustme

from eshet import Client
from eshet.address import Address
from eshet.connection import Connector
from eshet.messages import HelloId, Message
from eshet.server import Server
from tests.conformance.script import v
from tests.conftest import Advance
from tests.support.connectors import TlsAddress
from tests.support.raw import connect_raw
from tests.support.waiting import until


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


def server_context(ca: trustme.CA, *, client_ca: trustme.CA | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("localhost").configure_cert(context)
    if client_ca is not None:
        client_ca.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(ca: trustme.CA, *, issued_by: trustme.CA | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    ca.configure_trust(context)
    if issued_by is not None:
        issued_by.issue_cert("tablet.house").configure_cert(context)
    return context


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with Server() as server:
        yield server


async def test_an_address_that_others_can_reach_is_opened_with_tls(
    server: Server, ca: trustme.CA
) -> None:
    await server.listen("0.0.0.0", 0, tls=server_context(ca))  # noqa: S104 - that is the point
    address = TlsAddress("127.0.0.1", server.addresses[0][1], client_context(ca))
    async with Client(server=address) as client:
        await (await client.state_register("/s")).changed(1)
        assert await client.get("/s") == 1


async def test_with_a_client_ca_only_clients_of_it_are_let_in(
    server: Server, ca: trustme.CA
) -> None:
    family = trustme.CA()
    await server.listen(port=0, tls=server_context(ca, client_ca=family))
    port = server.addresses[0][1]
    async with Client(
        server=TlsAddress("127.0.0.1", port, client_context(ca, issued_by=family))
    ) as client:
        assert client.connected

    for stranger in (client_context(ca), client_context(ca, issued_by=trustme.CA())):
        assert await answers(TlsAddress("127.0.0.1", port, stranger)) == []


async def answers(address: Connector) -> list[Message]:
    """Say hello, and return what comes until the end."""
    try:
        peer = await connect_raw(address)
    except (ssl.SSLError, ConnectionError):
        return []  # a client learns of its refusal at once, or with TLS 1.3 only later
    peer.send(HelloId(1, 0, v("stranger")))
    return await peer.closed()


async def test_bytes_that_are_not_tls_reach_nobody(server: Server, ca: trustme.CA) -> None:
    await server.listen(port=0, tls=server_context(ca))
    assert await answers(Address(*server.addresses[0])) == []


async def test_a_handshake_that_fails_is_logged_with_the_address_and_the_reason(
    server: Server, ca: trustme.CA, advance: Advance, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "eshet.server")
    await server.listen(port=0, tls=server_context(ca, client_ca=trustme.CA()))
    port = server.addresses[0][1]
    stranger = TlsAddress("127.0.0.1", port, client_context(ca, issued_by=trustme.CA()))
    for address, reason in (
        (stranger, "CERTIFICATE_VERIFY_FAILED"),
        (TlsAddress("127.0.0.1", port, client_context(ca)), "PEER_DID_NOT_RETURN_A_CERTIFICATE"),
        (Address("127.0.0.1", port), "HTTP_REQUEST|WRONG_VERSION_NUMBER|UNEXPECTED_MESSAGE"),
    ):
        caplog.clear()
        assert await answers(address) == []
        await until(lambda: bool(caplog.messages), advance)
        assert re.match(r"TLS handshake with 127\.0\.0\.1:\d+ failed: .*", caplog.messages[0])
        assert re.search(reason, caplog.messages[0])


async def test_a_handshake_that_does_not_go_on_ends_with_the_server(
    server: Server, ca: trustme.CA, advance: Advance, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "eshet.server")
    await server.listen(port=0, tls=server_context(ca))
    silent = await connect_raw(Address(*server.addresses[0]))
    await until(lambda: bool(server._listeners[0]._starting), advance)
    await advance(5)
    await until(lambda: bool(caplog.messages), advance)
    assert "handshake is taking longer than 5.0 seconds" in caplog.messages[0]
    await silent.closed()
    other = await connect_raw(Address(*server.addresses[0]))
    await until(lambda: bool(server._listeners[0]._starting), advance)
    await server.close()
    await other.closed()
