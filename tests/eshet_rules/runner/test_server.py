import asyncio

import pytest

from eshet import Client
from eshet.address import Address
from eshet.server import Server
from eshet_rules.exceptions import NotAnEshetServer, ServerUnreachable
from eshet_rules.runner.server import check_server, find_or_start_server
from tests.support.waiting import until


async def free_port():
    listener = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    listener.close()
    await listener.wait_closed()
    return port


async def test_a_named_server_is_used_as_it_is_named(log):
    house = Address("house.example", 4000)
    async with find_or_start_server(house, log.logger) as server:
        assert server == house
    assert log.find("server.named")["address"] == "house.example:4000"


async def test_a_server_that_listens_already_is_used(log):
    async with Server() as running:
        await running.listen("127.0.0.1", 0)
        port = running.addresses[0][1]
        async with find_or_start_server(None, log.logger, port=port) as server:
            assert server == Address("127.0.0.1", port)
    assert log.events() == ["server.found"]


async def test_one_that_goes_for_good_is_replaced(log, advance):
    async with Server() as running:
        await running.listen("127.0.0.1", 0)
        port = running.addresses[0][1]
        joined = find_or_start_server(None, log.logger, port=port)
        address = await joined.__aenter__()
    await advance(10)
    assert log.events() == ["server.found"], "it may only be restarted"
    await until(lambda: log.events()[-1] == "server.started", advance, 1)
    async with Client(server=address) as client:
        await client.state_register("/hall/level")
    await joined.__aexit__(None, None, None)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_else_one_is_started_which_others_can_reach(log):
    port = await free_port()
    async with (
        find_or_start_server(None, log.logger, port=port) as server,
        Client(server=server) as inside,
        Client(server=f"127.0.0.1:{port}") as outside,
    ):
        await inside.state_register("/hall/level")
        await inside.state_changed("/hall/level", 1)
        assert await outside.get("/hall/level") == 1
    assert log.find("server.started")["address"] == f"127.0.0.1:{port}"


async def test_the_embedded_server_ends_with_the_statement(log):
    port = await free_port()
    async with find_or_start_server(None, log.logger, port=port):
        pass
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


@pytest.mark.parametrize("greeting", [b"", b"SSH-2.0-OpenSSH_9.2\r\n"])
async def test_something_else_on_the_port_is_an_error_that_says_so(log, advance, greeting):
    async def answer(reader, writer):
        writer.write(greeting)
        await reader.read()
        writer.close()
        await writer.wait_closed()

    async def enter(port):
        async with find_or_start_server(None, log.logger, port=port):
            pass

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        entering = asyncio.create_task(enter(port))
        await advance(10)
        with pytest.raises(NotAnEshetServer) as refused:
            await entering
    assert f"127.0.0.1:{port} is in use by another program" in str(refused.value)
    assert "or by the server of a runner that waits as it is cut off from NATS" in str(
        refused.value
    )


async def test_a_server_that_is_there_is_no_error():
    async with Server() as running:
        await check_server(running)
        await running.listen("127.0.0.1", 0)
        await check_server(Address(*running.addresses[0]))


async def test_a_server_that_is_not_there_is_an_error_that_says_what_to_do():
    with pytest.raises(ServerUnreachable, match=r"no server at .*; start one with `eshet serve`"):
        await check_server(Address("127.0.0.1", await free_port()))
