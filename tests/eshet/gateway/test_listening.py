"""Where an HTTP server listens, and how it ends."""

import asyncio
import ssl
from pathlib import Path

import pytest
import trustme
from aiohttp import ClientSession, TCPConnector, web

from eshet.address import Address
from eshet.exceptions import ListenError
from eshet.gateway.access import Access
from eshet.gateway.answers import json_answer
from eshet.gateway.limits import HttpLimits
from eshet.gateway.listening import serve
from eshet.gateway.tokens import TokenFile
from eshet_rules.testing.virtual_time import VirtualLoop
from tests.conftest import Advance
from tests.support.http import Wire, exchange

LOOPBACK = Address("127.0.0.1", 0)


async def _hello(request: web.Request) -> web.Response:
    return json_answer("hello")


ROUTES = [web.get("/", _hello)]


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])  # noqa: S104
async def test_a_public_address_needs_tls_and_tokens(
    host: str, tmp_path: Path, authority: trustme.CA
) -> None:
    tokens = TokenFile(tmp_path / "tokens.json")
    tls = server_tls(authority)
    for access, encryption in [(Access(), None), (Access(), tls), (Access(tokens), None)]:
        with pytest.raises(ListenError, match="use TLS and tokens"):
            async with serve(ROUTES, Address(host, 0), access=access, tls=encryption):
                pass
        assert not access.public


async def test_a_public_address_may_be_confirmed(tmp_path: Path, authority: trustme.CA) -> None:
    everywhere = Address("0.0.0.0", 0)  # noqa: S104
    async with serve(ROUTES, everywhere, access=Access(), insecure=True) as url:
        assert (await exchange(port_of(url), "GET", "/")).json == "hello"
    access = Access(TokenFile(tmp_path / "tokens.json"))
    async with serve(ROUTES, everywhere, access=access, tls=server_tls(authority)):
        assert access.public
        assert not access.is_reading_open


async def test_a_port_in_use_is_an_error() -> None:
    async with serve(ROUTES, LOOPBACK, access=Access()) as url:
        address = Address("127.0.0.1", port_of(url))
        with pytest.raises(ListenError, match="another program listens there"):
            async with serve(ROUTES, address, access=Access()):
                pass


async def test_tls(authority: trustme.CA) -> None:
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with (
        serve(ROUTES, LOOPBACK, access=Access(), tls=server_tls(authority)) as url,
        ClientSession(connector=TCPConnector(ssl=trusting)) as session,
    ):
        assert url.startswith("https://")
        assert await (await session.get(f"{url}/")).json() == "hello"
        access = await (await session.get(f"{url}/access")).json()
        assert access["tls"] is True


async def test_at_the_end_streams_are_cut_and_answers_finished(advance: Advance) -> None:
    release = asyncio.Event()
    started = asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        started.set()
        await release.wait()
        return json_answer("done")

    cut = []

    async def stream(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        try:
            await asyncio.Event().wait()
        finally:
            cut.append(True)
        return answer

    async with serve(
        [web.get("/slow", slow), web.get("/stream", stream)], LOOPBACK, access=Access()
    ) as url:
        port = port_of(url)
        wire = await Wire.open(port)
        wire.send(f"GET /stream HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n")
        await wire.reader.readuntil(b"\r\n\r\n")
        slow_answer = asyncio.create_task(exchange(port, "GET", "/slow"))
        await started.wait()
        asyncio.get_running_loop().call_soon(release.set)
    assert cut == [True]
    assert (await slow_answer).json == "done"
    await wire.ended()
    wire.close()
    with pytest.raises(ConnectionRefusedError):
        await Wire.open(port)


async def test_a_client_that_goes_cancels_its_request() -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def wait(request: web.Request) -> web.Response:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return json_answer(None)

    async with serve([web.get("/", wait)], LOOPBACK, access=Access()) as url:
        port = port_of(url)
        wire = await Wire.open(port)
        wire.send(f"GET / HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n")
        await started.wait()
        wire.close()
        await cancelled.wait()


async def test_an_idle_connection_is_closed(advance: Advance) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    access = Access(limits=HttpLimits(idle=30))
    async with serve(ROUTES, LOOPBACK, access=access) as url:
        port = port_of(url)
        wire = await Wire.open(port)
        for _ in range(3):
            await advance(29)
            wire.send(f"GET / HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n")
            assert (await wire.answer()).json == "hello"
        await advance(31)
        assert await wire.ended() == b""
        wire.close()


async def test_a_limit_is_above_zero() -> None:
    with pytest.raises(ValueError, match="the limit idle must be more than 0"):
        HttpLimits(idle=0)
