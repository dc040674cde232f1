"""HTTP as it is on the wire, for tests of servers."""

import asyncio
import json
from typing import Any, NamedTuple

__all__ = ["Answer", "Wire", "exchange"]


class Answer(NamedTuple):
    """An answer: its status, its headers in lower case, and its body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """A connection on which a test sends any bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int) -> "Wire":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def send(self, data: bytes | str) -> None:
        self.writer.write(data.encode() if isinstance(data, str) else data)

    async def answer(self) -> Answer:
        """Read one answer, whose length is in its header."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode().rstrip("\r\n").split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        length = int(headers.get("content-length", 0))
        return Answer(int(first.split()[1]), headers, await self.reader.readexactly(length))

    async def ended(self) -> bytes:
        """Read until the server ends the connection; return what it still sent."""
        try:
            return await self.reader.read()
        except ConnectionResetError:
            return b""
        finally:
            self.close()

    def close(self) -> None:
        self.writer.transport.abort()


async def exchange(
    port: int,
    method: str,
    target: str,
    body: Any = None,
    *,
    raw: bytes | None = None,
    **headers: str,
) -> Answer:
    """Send one request on a connection of its own, and return the answer.

    Args:
        port: of the server on loopback.
        method: such as `GET`.
        target: the path as it is on the wire.
        body: is sent as JSON with a POST.
        raw: is sent in its place.
        **headers: in place of the usual ones, `_` for `-`; an empty one is left out.
    """
    data = raw if raw is not None else b"" if method != "POST" else json.dumps(body).encode()
    sent = {"Host": f"127.0.0.1:{port}", "Connection": "close"}
    if data or method == "POST":
        sent |= {"Content-Type": "application/json", "Content-Length": str(len(data))}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{name}: {value}\r\n" for name, value in sent.items() if value]
    wire = await Wire.open(port)
    try:
        wire.send(f"{method} {target} HTTP/1.1\r\n{''.join(lines)}\r\n".encode() + data)
        return await wire.answer()
    finally:
        wire.close()
