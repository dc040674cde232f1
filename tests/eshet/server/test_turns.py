"""What one client asks for at once is handled bit by bit, and others have their turns."""

import asyncio
import itertools

import pytest

from eshet import Client, codec
from eshet.exceptions import InvalidPath
from eshet.messages import (
    ActionCall,
    Get,
    HelloId,
    Ping,
    Set,
    StateChanged,
    StateObserve,
    StateRegister,
    pack,
)
from eshet.protocol.framing import frame
from eshet.server import Server
from tests.conformance.script import error, hello, v

HIGH_WATER = 64 << 10


class SlowReader(asyncio.Transport):
    """A transport whose other end reads when it is told to."""

    def __init__(self):
        super().__init__()
        self.waiting = 0
        self.most = 0
        self.written = []
        self.reading = True
        self.closing = False

    def write(self, data):
        self.written.append(bytes(data))
        self.waiting += len(data)
        self.most = max(self.most, self.waiting)
        if self.waiting > HIGH_WATER:
            self.protocol.pause_writing()

    def read(self):
        """Let the other end read all that waits."""
        was_paused, self.waiting = self.waiting > HIGH_WATER, 0
        if was_paused:
            self.protocol.resume_writing()

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True

    def is_closing(self):
        return self.closing

    def close(self):
        if not self.closing:
            self.closing = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    abort = close

    def get_extra_info(self, name, default=None):
        return default


@pytest.fixture
async def server():
    async with Server() as server:
        yield server


@pytest.fixture
async def other(server):
    async with Client(server=server) as client:
        yield client


async def raw_client(server, advance):
    """Return the server's end of a connection, with a transport that the test controls."""
    transport = SlowReader()
    made = []

    class Taken(asyncio.Protocol):
        pass

    real = await server.connect(Taken)
    session = real._peer.get_protocol()
    session._transport = transport
    transport.protocol = session
    made.append(session)
    session.data_received(frame(pack(HelloId(1, 60, codec.pack("raw")))))
    await advance(0)
    return session, transport


async def test_answers_that_are_not_read_stop_the_handling(server, other, advance):
    await other.state_register("/large")
    await other.state_changed("/large", "x" * 60_000)
    session, transport = await raw_client(server, advance)
    session.data_received(b"".join(frame(pack(Get(number, "/large"))) for number in range(1, 5001)))
    await advance(0)
    assert not transport.reading
    assert transport.most < 2_000_000  # of 300 MB
    for _ in range(10_000):
        if transport.reading:
            break
        transport.read()
        await advance(0)
    answers = b"".join(transport.written).count(b"x" * 60_000)
    assert answers == 5000
    assert transport.reading


async def test_each_page_of_the_tree_lets_others_have_their_turn(server, other, advance):
    for number in range(2000):
        await other.state_register(f"/many/n{number}")
    session, transport = await raw_client(server, advance)
    turns = []

    def turn():
        turns.append(len(transport.written))
        if len(turns) < 100:
            asyncio.get_running_loop().call_soon(turn)

    call = codec.pack([])
    asyncio.get_running_loop().call_soon(turn)
    session.data_received(
        b"".join(frame(pack(ActionCall(number, "/meta/tree", call))) for number in range(1, 21))
    )
    before = len(transport.written)
    assert not transport.reading
    while not transport.reading:
        transport.read()
        await advance(0)
    answered = [after - turns[0] for after in turns]
    assert max(b - a for a, b in itertools.pairwise(answered)) <= 1  # in one turn
    assert len(transport.written) - before >= 19


async def test_the_order_of_messages_is_kept_over_turns(server, other, advance):
    session, transport = await raw_client(server, advance)
    messages = [StateRegister(1, "/mine")]
    messages += [StateChanged(number, "/mine", codec.pack(number)) for number in range(2, 3000)]
    messages.append(ActionCall(3000, "/meta/stats", codec.pack([])))
    messages += [StateChanged(number, "/mine", codec.pack(number)) for number in range(3001, 6000)]
    data = b"".join(frame(pack(message)) for message in messages)
    seen = []
    await other.state_observe("/mine", seen.append)
    for start in range(0, len(data), 10_007):
        session.data_received(data[start : start + 10_007])
    for _ in range(1000):
        transport.read()
        await advance(0)
    assert seen == [*range(2, 3000), *range(3001, 6000)]


async def test_messages_that_come_with_the_hello_are_handled_after_it(server, advance):
    transport = SlowReader()
    real = await server.connect(asyncio.Protocol)
    session = real._peer.get_protocol()
    session._transport, transport.protocol = transport, session
    hello = frame(pack(HelloId(1, 60, codec.pack("raw"))))
    session.data_received(hello + b"".join(frame(pack(Ping(number))) for number in range(1, 1001)))
    await advance(0)
    assert transport.reading
    assert len(b"".join(transport.written)) > 1000 * 6


@pytest.mark.parametrize("path", [b"/a" * 33, b"/" + b"a" * 2000, b"/a" * 30_000])
async def test_a_path_that_is_too_deep_or_long_is_refused_by_the_server(server, path):
    peer = await hello(server, "raw")
    name = path.decode()
    peer.send(StateRegister(1, name), Get(2, name), StateObserve(3, name), Set(4, name, v(1)))
    answers = [await peer.receive() for _ in range(4)]
    assert answers == [error(number, "invalid_path") for number in range(1, 5)]


@pytest.mark.parametrize("path", ["/a" * 33, "/" + "a" * 2000])
async def test_a_path_that_is_too_deep_or_long_is_refused_by_the_client(other, path):
    with pytest.raises(InvalidPath, match="may have at most"):
        await other.state_register(path)
    await other.state_register("/a" * 32)
