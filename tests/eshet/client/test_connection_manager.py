"""What comes back when the connection does: a server, or NATS, goes away and comes again."""

import asyncio
import itertools
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from eshet import Client, Disconnected, ErrorValue, Unknown
from eshet.address import Address
from eshet.client.connection_manager import Backoff, backoff
from eshet.connection import Connector
from eshet.nats.address import NatsAddress
from eshet.server import Server
from tests.conftest import Advance
from tests.support.nats import NatsServer, nats_server
from tests.support.shared_tree import SharedTree
from tests.support.waiting import passing_time, until


def test_the_first_try_is_at_once_and_the_others_ever_later() -> None:
    delays = list(itertools.islice(backoff(jitter=0), 10))
    assert delays == [0, 0.25, 0.5, 1, 2, 4, 5, 5, 5, 5]


def test_delays_are_made_longer_or_shorter_at_random_by_a_fifth() -> None:
    delays = {next(itertools.islice(backoff(), 5, None)) for _ in range(100)}
    assert len(delays) > 90
    assert all(4 * 0.8 <= delay <= 4 * 1.2 for delay in delays)


def test_delays_begin_anew_after_a_connection_that_lasted() -> None:
    tries = Backoff()
    assert tries.next_delay() == 0
    tries.lasted(3600)
    assert tries.next_delay() == 0
    tries.lasted(0.01)
    assert tries.next_delay() > 0
    grown = [tries.next_delay() for _ in range(3)][-1]
    tries.lasted(grown)
    assert tries.next_delay() > grown


async def test_two_clients_of_one_id_do_not_throw_each_other_out_without_pause(
    advance: Advance,
) -> None:
    hellos = 0

    class CountingServer(Server):
        async def connect(self, factory: Any) -> asyncio.BaseTransport:
            nonlocal hellos
            hellos += 1
            return await super().connect(factory)

    async with CountingServer() as server:
        twins = [Client(server=server, client_id="same") for _ in range(2)]
        await advance(60)
        assert 4 < hellos < 120
        for twin in twins:
            await twin.close()


class House(ABC):
    """What connects clients, which can be stopped and started again.

    Args:
        advance: lets time pass.
    """

    def __init__(self, advance: Advance) -> None:
        self.advance = advance

    @abstractmethod
    async def start(self) -> None: ...

    @abstractmethod
    async def stop(self) -> None: ...

    @abstractmethod
    def connector(self) -> Connector: ...

    def client(self, **options: Any) -> Client:
        return Client(server=self.connector(), **options)


class ServerHouse(House):
    """A server on one port."""

    def __init__(self, advance: Advance) -> None:
        super().__init__(advance)
        self._port = 0

    async def start(self) -> None:
        self._server = Server()
        await self._server.listen(port=self._port)
        self._port = self._server.addresses[0][1]

    async def stop(self) -> None:
        await self._server.close()

    def connector(self) -> Connector:
        return Address("127.0.0.1", self._port)


class NatsHouse(House):
    """A NATS server, and a server for each client; without NATS, they disconnect the clients."""

    def __init__(self, nats: NatsServer, tree: SharedTree) -> None:
        super().__init__(tree.advance)
        self._nats = nats
        self._tree = tree

    async def start(self) -> None:
        self._nats.start()

    async def stop(self) -> None:
        self._nats.stop()
        await self.advance(3)

    def connector(self) -> Connector:
        return self._tree.connector()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "house" in metafunc.fixturenames:
        is_one = metafunc.definition.get_closest_marker("one_server") is not None
        metafunc.parametrize("house", ["socket"] if is_one else ["socket", "nats"], indirect=True)


@pytest.fixture
async def house(
    request: pytest.FixtureRequest, advance: Advance, tmp_path: Path
) -> AsyncIterator[House]:
    if request.param == "nats":
        with nats_server(tmp_path) as nats:
            async with SharedTree(NatsAddress.parse(nats.url)) as tree:
                yield NatsHouse(nats, tree)
        return
    house = ServerHouse(advance)
    await house.start()
    yield house
    await house.stop()


async def test_everything_is_restored_when_the_server_comes_back(house: House) -> None:
    owner, other = house.client(client_id="owner"), house.client(client_id="other")
    await owner.wait_for_connection()
    await other.wait_for_connection()

    await owner.action_register("/add", lambda x, y: x + y)
    emit = await owner.event_register("/bell")
    target = await owner.state_register("/target", lambda value: target.changed(value))
    await target.changed(21)
    await owner.state_register("/never_known")
    rung: list[Any] = []
    await other.event_listen_cb("/bell", rung.append)
    observed: list[Any] = []
    assert await other.state_observe("/target", observed.append) == 21
    never: list[Any] = []
    assert await other.state_observe("/never_known", never.append) is Unknown

    await house.stop()
    await until(lambda: len(observed) == 1, house.advance)
    assert not other.connected
    await house.start()
    await passing_time(owner.wait_for_connection(), house.advance)
    await passing_time(other.wait_for_connection(), house.advance)
    await house.advance(5)
    await until(lambda: observed[-1] == 21, house.advance)

    # An observer that is back before the owner may see the value of before the outage.
    assert observed in ([Unknown, 21], [Unknown, 21, Unknown, 21])
    assert never == []
    assert await other.action_call("/add", 1, 2) == 3
    assert await other.get("/target") == 21
    await other.set("/target", 23)
    await until(lambda: observed[-1] == 23, house.advance)
    await emit("ding")
    await until(lambda: len(rung) == 1, house.advance)
    assert rung == ["ding"]
    await owner.close()
    await other.close()


async def test_what_is_registered_while_the_server_is_away_for_3_s_is_there_when_it_is_back(
    house: House,
) -> None:
    owner, other = house.client(), house.client()
    await owner.wait_for_connection()
    await house.stop()
    await until(lambda: not owner.connected, house.advance)

    await owner.action_register("/double", lambda number: 2 * number)
    await owner.prop_register("/p", lambda: 5)
    ring = await owner.event_register("/bell")
    state = await owner.state_register("/s")
    await state.changed(7)
    with pytest.raises(ErrorValue, match="register state /s: path_already_exists"):
        await owner.state_register("/s")
    heard: list[Any] = []
    await other.event_listen_cb("/bell", heard.append)
    observing = asyncio.ensure_future(other.state_observe("/s", heard.append))
    with pytest.raises(Disconnected):
        await ring("ding")
    await house.advance(3)
    assert not observing.done()

    await house.start()
    await passing_time(owner.wait_for_connection(), house.advance)
    await passing_time(other.wait_for_connection(), house.advance)
    assert await observing in (7, Unknown)
    assert await other.action_call("/double", 4) == 8
    assert await other.get("/p") == 5
    assert await other.get("/s") == 7
    await ring("dong")
    await state.changed(8)
    await until(lambda: heard[-2:] == ["dong", 8], house.advance)
    await owner.close()
    await other.close()


async def test_what_changes_while_the_server_is_away_is_published_when_it_is_back(
    house: House,
) -> None:
    owner = house.client()
    await owner.wait_for_connection()
    state = await owner.state_register("/s")
    cleared = await owner.state_register("/cleared")
    await state.changed(1)
    await cleared.changed(1)

    await house.stop()
    await until(lambda: not owner.connected, house.advance)
    await state.changed(2)
    await state.changed(3)
    await cleared.unknown()
    with pytest.raises(Disconnected, match="get /s: the connection to the server ended"):
        await owner.get("/s")

    await house.start()
    await passing_time(owner.wait_for_connection(), house.advance)
    assert await owner.get("/s") == 3
    with pytest.raises(ErrorValue, match="state_unknown"):
        await owner.get("/cleared")
    await owner.close()


@pytest.mark.one_server("others keep the paths of a server for some seconds after it was cut off")
async def test_what_others_have_taken_meanwhile_is_said_and_the_rest_restored(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    owner = house.client()
    await owner.wait_for_connection()
    await (await owner.state_register("/taken")).changed(1)
    await (await owner.state_register("/mine")).changed(2)
    await house.stop()
    await house.start()
    thief = house.client()
    await thief.wait_for_connection()
    await (await thief.state_register("/taken")).changed("thief")
    await passing_time(owner.wait_for_connection(), house.advance)
    assert "another client has taken /taken during the outage" in caplog.text
    assert await owner.get("/mine") == 2
    assert await owner.get("/taken") == "thief"
    await owner.close()
    await thief.close()


@pytest.mark.one_server("so many nodes take long to store, and are about ids of requests")
async def test_many_registrations_come_back_in_order(house: House) -> None:
    owner = house.client()
    await owner.wait_for_connection()
    states = await asyncio.gather(*[owner.state_register(f"/s/n{n}") for n in range(12_000)])
    await asyncio.gather(*[state.changed(n) for n, state in enumerate(states)])
    await house.stop()
    await house.start()
    await passing_time(owner.wait_for_connection(), house.advance)
    assert await owner.get("/s/n0") == 0
    assert await owner.get("/s/n11999") == 11_999
    await owner.close()


async def test_a_client_waits_for_a_server_that_starts_later(house: House) -> None:
    await house.stop()
    client = house.client()
    with pytest.raises(Disconnected):
        await client.get("/s")
    await house.start()
    await passing_time(client.wait_for_connection(), house.advance)
    assert client.connected
    await client.close()


async def test_closing_a_client_that_never_connected_ends_at_once() -> None:
    client = Client(server="127.0.0.1:9")
    waiting = asyncio.ensure_future(client.wait_for_connection())
    await asyncio.sleep(0)
    await client.close()
    with pytest.raises(Disconnected, match="this client is closed"):
        await waiting


async def test_a_client_made_without_a_loop_connects_when_it_is_used(house: House) -> None:
    made = await asyncio.get_running_loop().run_in_executor(None, house.client)
    assert not made.connected
    await made.wait_for_connection()
    assert made.connected
    await made.close()


async def test_giving_up_to_wait_in_a_with_statement_closes_the_client() -> None:
    client = Client(server="127.0.0.1:9")
    entering = asyncio.create_task(client.__aenter__())
    await asyncio.sleep(0)
    entering.cancel()
    await asyncio.wait([entering])
    assert entering.cancelled()
    with pytest.raises(Disconnected, match="this client is closed"):
        await client.get("/s")
    assert asyncio.all_tasks() == {asyncio.current_task()}
