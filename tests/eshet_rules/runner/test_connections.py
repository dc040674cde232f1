"""What people are told of connections that are lost: in one line, however many they are."""

import pytest

from eshet import Client
from eshet.server import Server
from eshet_rules.audit.actor import Actor, use_actor
from eshet_rules.runner.connections import ConnectionObserver, Connections
from tests.support.cable import Cable


class Switched:
    """A server that can be switched off."""

    def __init__(self, server):
        self._server = server
        self.on = True

    def __str__(self):
        return "house"

    async def connect(self, make_protocol):
        if not self.on:
            raise OSError("Connection refused")
        return await self._server.connect(make_protocol)


class Modules:
    """A runner and its modules, as far as their connections go."""

    def __init__(self, server, log, advance):
        self.server = Switched(server)
        self.log = log
        self._advance = advance
        self.observer = ConnectionObserver(Connections(log.logger))
        self.clients = {}
        self._cables = {}

    async def make(self, *names):
        for name in names:
            with use_actor(Actor(module=name or None)):
                self._cables[name] = Cable(self.server)
                self.clients[name] = Client(server=self._cables[name])
            self.clients[name].attach(self.observer)
        await self._advance(1)

    def cut(self, *names):
        for name in names:
            self._cables[name].cut()

    async def close(self, *names):
        for name in names:
            await self.clients.pop(name).close()

    def told(self):
        """Return what was told since this was called the last time, without what all have."""
        self.log.check()
        told = [
            {k: v for k, v in r.items() if k not in ("time", "level", "server", "away_s")}
            for r in self.log.records
        ]
        self.log.clear()
        return told


@pytest.fixture
async def house(log, advance):
    async with Server() as server:
        modules = Modules(server, log, advance)
        yield modules
        await modules.close(*modules.clients)


async def test_a_server_that_stays_away_is_told_in_one_line_and_in_one_when_all_are_back(
    house, advance
):
    await house.make("", "hall", "bath", "attic")
    house.server.on = False
    house.cut("hall", "attic", "", "bath")
    await advance(24 * 3600)
    [lost] = house.log.records
    assert (lost["level"], lost["event"], lost["server"]) == ("warning", "connection.lost", "house")
    assert house.told() == [{"event": "connection.lost", "reason": lost["reason"]}]
    house.server.on = True
    await advance(60)
    [back] = house.log.records
    assert back["level"] == "info"
    assert 24 * 3600 <= back["away_s"] <= 24 * 3600 + 40
    assert house.told() == [{"event": "connection.restored"}]


async def test_one_module_alone_is_told_as_its_own(house, advance):
    await house.make("", "hall", "bath")
    house.cut("hall")
    await advance(1)
    lost, back = house.told()
    assert (lost["event"], lost["module"]) == ("connection.lost", "hall")
    assert back == {"event": "connection.restored", "module": "hall"}


async def test_several_but_not_all_are_told_together(house, advance):
    await house.make("", "hall", "bath", "attic")
    house.cut("hall", "bath")
    await advance(1)
    lost, back = house.told()
    assert lost["modules"] == back["modules"] == ["bath", "hall"]


async def test_what_is_lost_or_begun_while_there_is_no_server_is_not_told_again(house, advance):
    await house.make("", "hall")
    house.server.on = False
    house.cut("")
    await advance(5)
    assert len(house.told()) == 1
    house.cut("hall")
    await house.make("new")
    await advance(5)
    assert house.told() == []
    house.server.on = True
    await advance(60)
    assert house.told() == [{"event": "connection.restored"}]


async def test_a_server_that_is_not_there_from_the_start_is_told(house, advance):
    house.server.on = False
    await house.make("", "hall")
    assert house.told() == [
        {"event": "connection.lost", "reason": "can't connect: Connection refused"}
    ]


async def test_nothing_is_told_to_be_back_when_all_is_closed(house, advance):
    await house.make("", "hall")
    house.server.on = False
    house.cut("", "hall")
    await advance(5)
    house.told()
    await house.close("", "hall")
    await advance(60)
    assert house.told() == []


async def test_a_module_that_is_unloaded_meanwhile_is_not_waited_for(house, advance):
    await house.make("", "hall")
    house.server.on = False
    house.cut("", "hall")
    await advance(5)
    house.told()
    await house.close("hall")
    house.server.on = True
    await advance(60)
    assert house.told() == [{"event": "connection.restored"}]


async def test_dropped_events_are_logged_for_their_module_and_counted_for_a_while(house, advance):
    await house.make("hall", "bath")
    house.told()

    def drop(module, *counts):
        with use_actor(Actor(module=module)):
            for count in counts:
                house.observer.dropped(count)

    def logged():
        records = house.told()
        assert {record["event"] for record in records} <= {"input.dropped"}
        return [(record["module"], record["count"]) for record in records]

    drop("hall", 1234, 1, 2)
    drop("bath", 7)
    assert logged() == [("hall", 1234), ("bath", 7)]
    await advance(5)
    drop("hall", 3)
    await advance(6)
    assert logged() == [("hall", 6)]
    await advance(20)
    assert logged() == []
    drop("hall", 8)
    assert logged() == [("hall", 8)]
