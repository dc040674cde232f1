"""A server that ends the connection while it is restored: what others registered comes back."""

import asyncio
import logging
import random

import pytest

from eshet import Client, Disconnected, ErrorValue, Unknown
from eshet.server import Limits, Server
from tests.conftest import Advance
from tests.eshet.client.conftest import Tree
from tests.support.cable import Cable


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "eshet.client")


async def test_a_value_for_which_the_server_ends_connections_does_not_end_them_for_ever(
    advance: Advance, caplog: pytest.LogCaptureFixture
) -> None:
    value: object = 1
    for _ in range(20):
        value = [value]
    async with (
        Server(limits=Limits(nesting=16)) as server,
        Client(server=server) as client,
        Client(server=server) as other,
    ):
        good, bad, last = [await client.state_register(path) for path in ("/a", "/b", "/c")]
        await good.changed("fine")
        await last.changed("fine, too")
        await bad.changed(value)
        await advance(0)
        assert not client.connected
        await advance(10)
        assert client.connected
        assert await other.get("/a") == "fine"
        assert await other.get("/c") == "fine, too"
        assert await other.state_observe("/b", print) is Unknown
        errors = [each.getMessage() for each in caplog.records if each.levelname == "ERROR"]
        assert errors == [
            "the state /b is unknown until it changes: the server ended the connection twice when "
            "it was sent the value, of 21 bytes"
        ]
        await bad.changed("mended")
        assert await other.get("/b") == "mended"


async def test_a_connection_that_ends_once_while_it_is_restored_costs_no_value(
    advance: Advance,
) -> None:
    async with Server() as server:
        cut_at: list[int] = []

        class Cutting:
            """Ends the next connections after so many bytes of the client."""

            async def connect(self, factory):
                transport = await server.connect(factory)
                if cut_at:
                    left, write = [cut_at.pop()], transport.write

                    def count(data: bytes) -> None:
                        left[0] -= len(data)
                        write(data) if left[0] > 0 else transport.abort()

                    transport.write = count
                return transport

        cable = Cable(Cutting())
        client = Client(server=cable)
        await client.wait_for_connection()
        for number in range(20):
            await (await client.state_register(f"/s{number}")).changed(number)
        for cuts in ([50], [100, 50], [200, 100, 50]):
            cut_at = list(cuts)
            cable.cut()
            await advance(10)
            assert not cut_at
            assert client.connected
            assert [await client.get(f"/s{number}") for number in range(20)] == list(range(20))
        await client.close()


async def test_a_client_whose_id_another_uses_says_so(
    tree: Tree, advance: Advance, caplog: pytest.LogCaptureFixture
) -> None:
    first = Client(server=tree.connector(), client_id="kitchen")
    await first.wait_for_connection()
    async with Client(server=tree.connector(), client_id="kitchen"):
        await advance(0)
        with pytest.raises(Disconnected):
            await first.get("/x")
        await advance(1)
    await advance(60)
    assert first.connected
    assert (
        "why the server ended the last connection: another client uses the same id, 'kitchen'"
        in caplog.text
    )
    await first.close()


async def test_a_path_that_another_client_took_during_an_outage_comes_back_when_it_is_free(
    tree: Tree, advance: Advance, caplog: pytest.LogCaptureFixture
) -> None:
    async with Client(server=tree.connector()) as viewer:
        cable = Cable(tree.connector())
        client = Client(server=cable)
        await client.wait_for_connection()
        state = await client.state_register("/light")
        await state.changed(1)
        await client.action_register("/dim", lambda: "dimmed")
        cable.unplug()
        other = Client(server=tree.connector())
        await other.wait_for_connection()
        await (await other.state_register("/light")).changed("of another")
        cable.is_unplugged = False
        await advance(10)
        assert client.connected
        assert await viewer.action_call("/dim") == "dimmed"
        errors = [each.getMessage() for each in caplog.records if each.levelname == "ERROR"]
        assert errors == [
            "another client has taken /light during the outage: it is registered again when the "
            "path is free"
        ]
        with pytest.raises(ErrorValue, match="not_owner"):
            await state.changed(2)
        await advance(100)
        assert await viewer.get("/light") == "of another"
        await other.close()
        await advance(61)
        assert await viewer.get("/light") == 2
        await state.changed(3)
        assert await viewer.get("/light") == 3
        assert len([each for each in caplog.records if each.levelname == "ERROR"]) == 1
        await client.close()


async def test_a_path_that_was_taken_can_be_given_up(tree: Tree, advance: Advance) -> None:
    async with Client(server=tree.connector()) as viewer:
        cable = Cable(tree.connector())
        client = Client(server=cable)
        await client.wait_for_connection()
        await (await client.state_register("/light")).changed(1)
        cable.unplug()
        other = Client(server=tree.connector())
        await other.wait_for_connection()
        await (await other.state_register("/light")).changed("of another")
        cable.is_unplugged = False
        await advance(10)
        await client.unregister("/light")
        await other.close()
        await advance(100)
        with pytest.raises(ErrorValue, match="path_not_found"):
            await viewer.get("/light")
        await client.close()


async def test_a_connection_that_ends_when_a_taken_path_is_tried_again_is_restored_as_a_whole(
    advance: Advance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: 1.0)
    async with Server() as server, Client(server=server) as viewer:
        cable = Cable(server)
        client, other = Client(server=cable), Client(server=server)
        await client.wait_for_connection()
        await other.wait_for_connection()
        for path in ("/light", "/mine"):
            await (await client.state_register(path)).changed(1)
        cable.cut()
        await other.state_register("/light")
        loop = asyncio.get_running_loop()

        await advance(0.5)
        began = client.reconnected_at
        assert began is not None
        loop.call_at(began + 1.0, cable.reset)  # at the instant of the retry
        await advance(20)
        assert client.connected
        assert await viewer.get("/mine") == 1
        await client.close()
        await other.close()
