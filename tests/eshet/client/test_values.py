"""A value that the server would refuse is refused by the client: no connection is lost for it."""

import asyncio
import collections
import contextlib
import datetime
import enum
import http

import msgpack
import pytest

from eshet import Client, ErrorValue, MessageTooLong, UnsupportedValue
from eshet.codec import MAX_NESTING
from eshet.server import Server
from tests.support.hostile import HOSTILE


class Colour(enum.StrEnum):
    RED = "red"


def nested(depth, make=lambda inner: [inner]):
    value = 1
    for _ in range(depth):
        value = make(value)
    return value


def cyclic():
    value = []
    value.append(value)
    return value


class Unprintable(Exception):
    def __repr__(self):
        raise ValueError("no text")

    __str__ = __repr__


class Unordered(dict):
    def items(self):
        raise ValueError("no items")


class Lying(dict):
    """More than it says: what msgpack makes of it is no value."""

    def __len__(self):
        return 1

    def __iter__(self):
        raise ValueError("no keys")


class Text(str):
    __slots__ = ()

    def encode(self, *args):
        raise ValueError("no bytes")

    def __len__(self):
        return 1 << 40

    def __hash__(self):
        return 1

    def __eq__(self, other):
        raise ValueError("not comparable")


class Many(list):
    def __len__(self):
        return 1 << 20


class Number(int):
    def __int__(self):
        raise ValueError("no number")

    __index__ = __int__


class Raising(list):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def __iter__(self):
        raise self.error


REFUSED = {
    "list that raises an error without a text": lambda: Raising(Unprintable()),
    "list that raises an error that is a surrogate": lambda: [Raising(KeyError("\ud800"))],
    "timestamp": lambda: [msgpack.Timestamp(1, 2)],
    "extension": lambda: {"a": msgpack.ExtType(5, b"x")},
    "date": lambda: datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
    "pieces of bytes": lambda: memoryview(b"abcdef")[::2],
    "deep map in a key": lambda: {nested(MAX_NESTING + 1, lambda inner: (inner,)): 1},
    **HOSTILE,
    "nested over the limit": lambda: nested(MAX_NESTING + 1),
    "maps nested over the limit": lambda: nested(MAX_NESTING + 1, lambda inner: {"a": inner}),
    "tuples nested far over the limit": lambda: nested(2000, lambda inner: (inner,)),
    "nested, and wide": lambda: [*range(1000), nested(MAX_NESTING)],
    "cyclic": cyclic,
    "huge": lambda: "x" * 70_000,
    "huge bytes": lambda: b"x" * 70_000,
    "huge list": lambda: list(range(40_000)),
    "huge number": lambda: 10**400,
    "number of 65 bits": lambda: 2**64,
    "lone surrogate": lambda: "\ud800",
    "surrogate in a key": lambda: {"\ud800": 1},
    "object": object,
    "object without a text": Unprintable,
    "set": lambda: {1, 2},
    "complex number": lambda: 1j,
    "map that raises": lambda: Unordered(a=1),
}

LONG = {"huge", "huge bytes", "huge list"}

ACCEPTED = {
    "map that lies": lambda: {"map": Lying(a=1, b=2), "next": 1},
    "text that lies": lambda: [Text("x"), {Text("y"): 1}],
    "list that lies": lambda: [Many([1, 2]), 3],
    "number that lies": lambda: [Number(3)],
    "map with a default": lambda: collections.defaultdict(list, a=1),
    "enumerations": lambda: [http.HTTPStatus.OK, Colour.RED],
    "bytes of other kinds": lambda: [bytearray(b"a"), memoryview(b"b")],
    "nested up to the limit": lambda: nested(MAX_NESTING - 1),  # and within the list of a call
    "NaN": lambda: float("nan"),
    "infinity": lambda: float("inf"),
    "number of 64 bits": lambda: 2**64 - 1,
    "large": lambda: "x" * 60_000,
    "control characters": lambda: "\x00\x1b[2J\u202e",
    "odd keys": lambda: {None: 1, 1.5: 2, b"b": 3, (1, 2): 4},
}

ERRORS = (UnsupportedValue, MessageTooLong, ValueError, OverflowError)


async def change_state(client, value):
    await client.state_changed("/state", value)


async def emit(client, value):
    await client.event_emit("/event", value)


async def set_value(client, value):
    await client.set("/settable", value)


async def call(client, value):
    await client.action_call("/echo", value)


async def call_with_many(client, value):
    await client.action_call("/echo", 1, value)


WAYS = {
    "state": change_state,
    "event": emit,
    "set": set_value,
    "call": call,
    "call with many": call_with_many,
}


@contextlib.asynccontextmanager
async def client_and_other(connector, connector_of_other):
    async with (
        Client(server=connector_of_other) as other,
        Client(server=connector) as client,
    ):
        await other.action_register("/echo", lambda *args: args[-1])
        await other.state_register("/settable", lambda value: None)
        await client.state_register("/state")
        await client.event_register("/event")
        yield client, other


@pytest.fixture
async def clients():
    async with Server() as server, client_and_other(server, server) as clients:
        yield clients


@pytest.fixture
async def clients_of_tree(tree):
    async with client_and_other(tree.connector(), tree.connector()) as clients:
        yield clients


async def check_connection(client, other):
    """Check that the client still owns what it registered, by a connection that never ended."""
    assert client.connected
    await client.state_changed("/state", "fine")
    assert await other.get("/state") == "fine"


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
async def test_what_is_refused_is_refused_before_it_is_sent(clients, way, make):
    client, other = clients
    with pytest.raises(ERRORS):
        await way(client, make())
    await check_connection(client, other)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("make", ACCEPTED.values(), ids=ACCEPTED)
async def test_what_is_accepted_arrives(clients, way, make):
    client, other = clients
    await way(client, make())
    await check_connection(client, other)


def answer_by_action(client, make):
    return client.action_register("/odd", make)


def answer_by_task(client, make):
    async def answer():
        await asyncio.sleep(0)
        return make()

    return client.action_register("/odd", answer)


def answer_by_getter(client, make):
    return client.prop_register("/odd", make)


def answer_by_setter(client, make):
    return client.prop_register("/odd", print, lambda _: make())


def answer_by_setter_of_state(client, make):
    return client.state_register("/odd", lambda _: make())


ANSWERS = {
    "action": (answer_by_action, lambda other: other.action_call("/odd")),
    "task": (answer_by_task, lambda other: other.action_call("/odd")),
    "getter": (answer_by_getter, lambda other: other.get("/odd")),
    "setter": (answer_by_setter, lambda other: other.set("/odd", 1)),
    "setter of a state": (answer_by_setter_of_state, lambda other: other.set("/odd", 1)),
}


@pytest.mark.parametrize(("register", "ask"), ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
async def test_an_answer_that_is_refused_is_an_error_for_who_asked(clients, register, ask, make):
    client, other = clients
    await register(client, make)
    with pytest.raises(ErrorValue):
        await ask(other)
    await check_connection(client, other)


@pytest.mark.parametrize(("register", "ask"), ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("make", ACCEPTED.values(), ids=ACCEPTED)
async def test_an_answer_that_is_accepted_arrives(clients, register, ask, make):
    client, other = clients
    await register(client, make)
    await ask(other)
    await check_connection(client, other)


async def test_what_is_accepted_arrives_on_each_way_to_a_tree(clients_of_tree):
    client, other = clients_of_tree
    for make in ACCEPTED.values():
        for way in WAYS.values():
            await way(client, make())
    for register, ask in ANSWERS.values():
        for make in ACCEPTED.values():
            await register(client, make)
            await ask(other)
            await client.unregister("/odd")
    await check_connection(client, other)


async def test_what_is_refused_ends_no_connection_on_any_way_to_a_tree(clients_of_tree):
    client, other = clients_of_tree
    for name in REFUSED.keys() - LONG:  # without a socket, longer messages may be possible
        with pytest.raises(ERRORS):
            await change_state(client, REFUSED[name]())
        await client.action_register("/odd", REFUSED[name])
        with pytest.raises(ErrorValue):
            await other.action_call("/odd")
        await client.unregister("/odd")
    await check_connection(client, other)


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
async def test_a_client_id_that_is_refused_is_refused_when_the_client_is_made(make):
    async with Server() as server:
        with pytest.raises(ERRORS):
            Client(server=server, client_id=make())
