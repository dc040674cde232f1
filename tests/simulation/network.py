"""The network of a simulated house: connections to its server that are slow, break and fall silent.

As with TCP, what one end writes arrives in order, and after the last of it the end of the
connection, or nothing arrives any more. Each end is called back in the context in which it was
made, as with a socket.
"""

import asyncio
import itertools
import random
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any

from eshet import codec
from eshet.server import Server
from tests.simulation.options import Options
from tests.simulation.process import Process

__all__ = ["Host", "Network"]

_WINDOW = 1 << 16  # bytes on their way from which on the sender is to pause
_NO_FAULTS = Options(*[0] * 13)


class Network:
    """All connections to the server, which comes and goes.

    Args:
        options: how they fail.
        chance: when.
    """

    def __init__(self, options: Options, chance: random.Random) -> None:
        self.server: Server | None = None
        self.connections: list[_Connection] = []
        self.options = options
        self.chance = chance

    def heal(self) -> None:
        """Be fast from now on, and end what is silent."""
        self.options = _NO_FAULTS
        for connection in [each for each in self.connections if each.silent]:
            connection.cut()

    def of(self, process: Process) -> list["_Connection"]:
        """Return the connections of a process."""
        return [each for each in self.connections if each.process is process]

    def ids(self) -> list[Any]:
        """Return the ids of the clients that the server knows."""
        return (
            [] if self.server is None else [codec.unpack(each) for each in self.server.router.peers]
        )

    def cut_server(self) -> None:
        """End all connections to the server that has died."""
        for connection in list(self.connections):
            connection.cut()


class Host:
    """Where a process connects from; see `eshet.connection.Connector`.

    Args:
        network: which it is connected to.
        process: which connects.
    """

    def __init__(self, network: Network, process: Process) -> None:
        self._network = network
        self._process = process

    async def connect(
        self, protocol_factory: Callable[[], asyncio.Protocol]
    ) -> asyncio.BaseTransport:
        """Connect to the server, if it is there and this process lives."""
        await asyncio.sleep(self._network.chance.uniform(0, self._network.options.longest_delay))
        server = self._network.server
        if server is None or not self._process.alive:
            raise ConnectionRefusedError("the simulated server is down")
        protocol = protocol_factory()
        connection = _Connection(self._network, self._process, protocol)
        await server.connect(lambda: connection.remote)
        self._network.connections.append(connection)
        protocol.connection_made(connection.near)
        return connection.near

    def __str__(self) -> str:
        return "the simulated server"


class _Connection:
    """One connection: its two ends, and what is on its way between them."""

    def __init__(self, network: Network, process: Process, protocol: asyncio.Protocol) -> None:
        self.process = process
        self.silent = False
        self._network = network
        self.near = _Near(protocol, self)
        self.remote = _Remote(self)
        self.to_server = _Pipe(self, self.remote.arrive, Context())
        self.to_client = _Pipe(self, self.near.arrive, copy_context())

    @property
    def options(self) -> Options:
        return self._network.options

    @property
    def chance(self) -> random.Random:
        return self._network.chance

    def cut(self) -> None:
        """Break: what is on its way is lost, and one end may notice later than the other."""
        self.silent = True
        loop = asyncio.get_running_loop()
        late = self.chance.choice((0.0, 0.0, self.chance.uniform(0, 2)))
        delays = [0.0, late]
        self.chance.shuffle(delays)
        loop.call_later(delays[0], self.near.lose, context=self.to_client.context)
        loop.call_later(delays[1], self.remote.lose, context=self.to_server.context)

    def ended(self) -> None:
        """Take note that an end has gone."""
        if self.near.gone and self.remote.gone and self in self._network.connections:
            self._network.connections.remove(self)


class _Pipe:
    """One direction of a connection.

    Args:
        connection: of which it is a part.
        arrive: takes what arrives; None is the end.
        context: in which it does.
    """

    def __init__(
        self,
        connection: _Connection,
        arrive: Callable[[bytes | None], object],
        context: Context,
    ) -> None:
        self.context = context
        self._connection = connection
        self._arrive = arrive
        self._waiting: deque[bytes | None] = deque()
        self._last = 0.0

    def send(self, data: bytes | None) -> None:
        """Let something arrive later, after all that was sent before."""
        loop = asyncio.get_running_loop()
        for piece in self._pieces(data):
            delay = self._connection.chance.uniform(0, self._connection.options.longest_delay)
            self._last = max(self._last, loop.time() + delay)
            self._waiting.append(piece)
            loop.call_at(self._last, self._deliver, context=self.context)

    def size(self) -> int:
        """Return how many bytes are on their way."""
        return sum(len(piece or b"") for piece in self._waiting)

    def _pieces(self, data: bytes | None) -> list[bytes | None]:
        if data is None or not self._connection.options.slices or len(data) < 2:
            return [data]
        number = min(len(data) - 1, self._connection.chance.randrange(4))
        cuts = sorted(self._connection.chance.sample(range(1, len(data)), number))
        return [data[start:end] for start, end in itertools.pairwise([0, *cuts, len(data)])]

    def _deliver(self) -> None:
        piece = self._waiting.popleft()
        if not self._connection.silent:
            self._arrive(piece)


class _Near(asyncio.Transport):
    """The client's end."""

    def __init__(self, protocol: asyncio.Protocol, connection: _Connection) -> None:
        super().__init__()
        self.gone = False
        self._protocol = protocol
        self._connection = connection
        self._closing = False
        self._paused = False
        self._unread: list[bytes | None] | None = None

    def arrive(self, data: bytes | None) -> None:
        """Take bytes, or the end, from the server."""
        if self.gone:
            return
        if self._unread is not None:
            self._unread.append(data)
        elif data is None:
            self.lose()
        else:
            self._protocol.data_received(data)
        self.resume_sender()

    def lose(self) -> None:
        """End, as the connection is gone."""
        if not self.gone:
            self._closing = self.gone = True
            self._protocol.connection_lost(None)
            self._connection.ended()

    def resume_sender(self) -> None:
        """Let the client write again when little is on its way."""
        if self._paused and self._connection.to_server.size() < _WINDOW // 4:
            self._paused = False
            self._protocol.resume_writing()

    # --- asyncio.Transport --------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if data and not self._closing and self._connection.process.alive:
            self._connection.to_server.send(bytes(data))
            if not self._paused and self._connection.to_server.size() > _WINDOW:
                self._paused = True
                self._protocol.pause_writing()

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            if self._connection.process.alive:
                self._connection.to_server.send(None)
            asyncio.get_running_loop().call_soon(self.lose)

    def abort(self) -> None:
        self.close()

    def is_closing(self) -> bool:
        return self._closing

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def pause_reading(self) -> None:
        if self._unread is None:
            self._unread = []

    def resume_reading(self) -> None:
        unread, self._unread = self._unread, None
        for data in unread or ():
            self.arrive(data)

    def is_reading(self) -> bool:
        return self._unread is None and not self._closing


class _Remote(asyncio.Protocol):
    """The server's end: hands on to a link to the server what arrives."""

    def __init__(self, connection: _Connection) -> None:
        self.gone = False
        self._connection = connection
        self._transport: asyncio.Transport | None = None

    def arrive(self, data: bytes | None) -> None:
        """Take bytes, or the end, from the client."""
        if self._transport is None:
            return
        if data is None:
            self._transport.close()
        else:
            self._transport.write(data)
        self._connection.near.resume_sender()

    def lose(self) -> None:
        """End, as the connection is gone."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._connection.to_client.send(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        self._connection.to_client.send(None)
        self._connection.ended()
