"""A TCP proxy between a client and a server that does what networks do: cut, stall, delay, split.

async with Proxy(server.addresses[0]) as proxy:
    client = Client(server=proxy.address)
    proxy.cut_after(100)
"""

import asyncio
import contextlib
from typing import Self

__all__ = ["Proxy"]

_CHUNK = 1 << 16


class Proxy:
    """Passes bytes on in both directions, as long as it is not told otherwise.

    Args:
        target: host and port of the server.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._writers: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._bytes_left: int | None = None
        self.connections = 0
        """How many were accepted."""
        self.passed = 0
        """How many bytes were passed on, in either direction."""
        self.last_passed = 0.0
        """The loop's time when the last ones were."""
        self.delay = 0.0
        """How long each piece is held back, in seconds."""
        self.slice = _CHUNK
        """The longest piece that is passed on at once, in bytes."""
        self.swallowing = False
        """Whether what comes is thrown away: the connections are half open."""

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        self.cut()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    @property
    def address(self) -> str:
        host, port = self._listener.sockets[0].getsockname()
        return f"{host}:{port}"

    def cut(self) -> None:
        """Reset all connections."""
        self._bytes_left = None
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    @property
    def was_cut(self) -> bool:
        """Whether all bytes that `cut_after` allowed have passed."""
        return self._bytes_left is None

    def cut_after(self, count: int) -> None:
        """Reset all connections when so many bytes more have passed, in either direction."""
        self._bytes_left = count

    def stall(self) -> None:
        """Pass nothing on until `flow`."""
        self._flowing.clear()

    def flow(self) -> None:
        self._flowing.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            there, onward = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers.add(onward)
        for source, sink in ((reader, onward), (there, writer)):
            pump = asyncio.create_task(self._pump(source, sink))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(_CHUNK):
                for start in range(0, len(data), self.slice):
                    await self._pass(data[start : start + self.slice], sink)
        if not self.swallowing:
            sink.close()

    async def _pass(self, piece: bytes, sink: asyncio.StreamWriter) -> None:
        if self.delay:
            await asyncio.sleep(self.delay)
        await self._flowing.wait()
        if self.swallowing:
            return
        left = self._bytes_left
        if left is not None:
            piece = piece[:left]
            self._bytes_left = left - len(piece)
        self.passed += len(piece)
        self.last_passed = asyncio.get_running_loop().time()
        sink.write(piece)
        await sink.drain()
        if self._bytes_left == 0:
            await asyncio.sleep(0)
            self.cut()
