"""A client belongs to one event loop, and says so before it sends anything."""

import asyncio
import logging
import threading

import pytest

from eshet import Client
from eshet.exceptions import Disconnected, EshetError, WrongLoop
from eshet.server import Server
from eshet.sync_client import SyncClient

USES = {
    "get": lambda client: client.get("/state"),
    "set": lambda client: client.set("/state", 2),
    "call": lambda client: client.action_call("/a"),
    "emit": lambda client: client.event_emit("/event", 1),
    "register a state": lambda client: client.state_register("/other"),
    "register an action": lambda client: client.action_register("/other", print),
    "register an event": lambda client: client.event_register("/other"),
    "register a property": lambda client: client.prop_register("/other", print),
    "change a state": lambda client: client.state_changed("/state", 2),
    "make a state unknown": lambda client: client.state_unknown("/state"),
    "observe": lambda client: client.state_observe("/state", print),
    "listen": lambda client: client.event_listen_cb("/event", print),
    "iterate": lambda client: anext(client.event_listen("/event")),
    "unregister": lambda client: client.unregister("/state"),
    "close": lambda client: client.close(),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
async def test_a_client_in_another_loop_says_so_and_sends_nothing(use):
    async with Server() as server, Client(server=server) as client:
        await client.state_register("/state")
        await client.state_changed("/state", 1)
        await client.event_register("/event")
        errors = []

        async def run():
            await use(client)

        def in_thread():
            try:
                asyncio.run(run())
            except EshetError as error:
                errors.append(error)

        thread = threading.Thread(target=in_thread)
        thread.start()
        thread.join()
        assert [type(error) for error in errors] == [WrongLoop]
        assert "nothing was sent" in str(errors[0])
        assert client.connected
        assert await client.get("/state") == 1


async def test_a_listener_is_not_disposed_in_another_thread():
    async with Server() as server, Client(server=server) as client:
        heard = []
        listener = await client.event_listen_cb("/event", heard.append)
        with pytest.raises(WrongLoop, match="nothing was sent"):
            await asyncio.to_thread(listener.dispose)
        assert not listener.disposed
        emit = await client.event_register("/event")
        await emit(1)
        listener.dispose()
        await emit(2)
        assert heard == [1]


async def test_a_server_of_another_loop_is_not_connected_to_and_says_what_to_do(caplog):
    async with Server() as server:

        def use_elsewhere():
            with SyncClient(server=server):
                raise AssertionError

        with pytest.raises(Disconnected, match="pass its address to the client instead"):
            await asyncio.to_thread(use_elsewhere)
        async with Client(server=server) as client:
            assert (await client.action_call("/meta/stats"))["clients"] == 1


async def test_a_connector_that_raises_anything_is_tried_again(caplog, advance):
    caplog.set_level(logging.WARNING, "eshet.client")
    errors = [UnicodeError("no host"), RuntimeError("\ud800")]

    async with Server() as server:

        class Odd:
            async def connect(self, factory):
                if errors:
                    raise errors.pop()
                return await server.connect(factory)

        client = Client(server=Odd())
        await advance(5)
        assert client.connected
        assert "can't connect: RuntimeError: \\ud800" in caplog.text
        await client.close()


async def test_events_that_wait_for_a_slow_iteration_are_counted_and_logged(caplog, advance):
    caplog.set_level(logging.WARNING, "eshet.client")
    async with Server() as server, Client(server=server) as client:
        emit = await client.event_register("/event")
        events = client.event_listen("/event")
        first = asyncio.create_task(anext(events))
        await advance(0)
        for number in range(20_001):
            await emit(number)
        assert await first == 0
        assert client.waiting_events == 20_000
        assert [record.args for record in caplog.records] == [
            (10_000, "/event"),
            (20_000, "/event"),
        ]
        await events.aclose()
        assert client.waiting_events == 0
