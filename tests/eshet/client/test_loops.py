"""A client belongs to one event loop, and says so before it sends anything."""

import asyncio
import logging
import threading

import pytest

from eshet import Client
from eshet.exceptions import EshetError, WrongLoop
from eshet.server import Server

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
