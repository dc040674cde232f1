"""The address of a server: `host`, `host:port` or `[IPv6]:port`."""

import asyncio
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

from eshet.protocol import DEFAULT_PORT

__all__ = ["Address", "connect_error_text", "default_server"]

_LOGIN: Final = re.compile(r".*@", re.DOTALL)
"""The part of the URL of another kind of server that may contain a password."""

_ADDRESS: Final = re.compile(r"(?P<host>\[[^\]\s@]+\]|[^:\[\]\s/@]+)(?::(?P<port>\d{1,5}))?")


def default_server() -> str:
    """Return the server in the environment variable ESHET_SERVER, or else this machine."""
    return os.environ.get("ESHET_SERVER") or "localhost"


@dataclass(frozen=True)
class Address:
    """A host and a port; a `Connector` over TCP."""

    host: str
    port: int = DEFAULT_PORT

    @classmethod
    def parse(cls, text: str, lowest_port: int = 1, default_port: int = DEFAULT_PORT) -> Self:
        """Return the address in a text.

        Args:
            text: such as `localhost`, `192.0.2.7:11236` or `[::1]:11236`.
            lowest_port: 0 to allow port 0, which means any free port.
            default_port: of an address without a port.

        Raises:
            ValueError: it is not an address.
        """
        match = _ADDRESS.fullmatch(text)
        port = int(match["port"] or default_port) if match else -1
        if match is None or not lowest_port <= port < 0x10000:
            shown = _LOGIN.sub("***@", text)
            raise ValueError(
                f"{shown!r} is not a server address: write HOST or HOST:PORT, like "
                f"localhost:{default_port}"
            )
        return cls(match["host"].strip("[]"), port)

    @classmethod
    def default(cls) -> Self:
        """Return the address in the environment variable ESHET_SERVER, or else this machine's.

        Raises:
            ValueError: ESHET_SERVER does not hold an address.
        """
        return cls.parse(default_server())

    async def connect(
        self, protocol_factory: Callable[[], asyncio.Protocol]
    ) -> asyncio.BaseTransport:
        """See `eshet.connection.Connector`."""
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.create_connection(protocol_factory, self.host, self.port)
        except OSError as error:
            raise OSError(connect_error_text(error)) from error
        return transport

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def connect_error_text(error: OSError) -> str:
    """Return the system's error text, without the text that asyncio adds.

    A host with several addresses fails once for each, and asyncio joins the errors.
    """
    number = error.errno or int((re.findall(r"Errno (\d+)", str(error)) or [0])[0])
    return os.strerror(number) if number > 0 else error.strerror or str(error)
