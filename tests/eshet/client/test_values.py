"""A value that the server would refuse is refused by the client: no connection is lost for it."""

import pytest

from eshet import Client, ErrorValue, MessageTooLong, UnsupportedValue
from eshet.codec import MAX_NESTING
from eshet.server import Server


def nested(depth, make=lambda inner: [inner]):
    value = 1
    for _ in range(depth):
        value = make(value)
    return value


def cyclic():
    value = []
    value.append(value)
    return value


class Unprintable:
    def __repr__(self):
        raise ValueError("no text")


class Unordered(dict):
    def items(self):
        raise ValueError("no items")


REFUSED = {
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

ACCEPTED = {
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


@pytest.fixture
async def clients():
    async with (
        Server() as server,
        Client(server=server) as other,
        Client(server=server) as client,
    ):
        await other.action_register("/echo", lambda *args: args[-1])
        await other.state_register("/settable", lambda value: None)
        await client.state_register("/state")
        await client.event_register("/event")
        yield client, other


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


@pytest.mark.parametrize("kind", ["action", "getter"])
@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
async def test_an_answer_that_is_refused_is_an_error_for_who_asked(clients, kind, make):
    client, other = clients
    if kind == "action":
        await client.action_register("/odd", make)
    else:
        await client.prop_register("/odd", make, lambda value: None)
    with pytest.raises(ErrorValue):
        await (other.action_call("/odd") if kind == "action" else other.get("/odd"))
    await check_connection(client, other)


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
async def test_a_client_id_that_is_refused_is_refused_when_the_client_is_made(make):
    async with Server() as server:
        with pytest.raises(ERRORS):
            Client(server=server, client_id=make())
