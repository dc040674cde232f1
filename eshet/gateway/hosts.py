"""The hosts and origins that a request may name. No I/O.

A page of another site can make a browser send requests to this machine. Its `Origin` is that of the
other site. With *DNS rebinding* it is the same origin for the browser, since the name of the other
site leads to this machine; but then that name is the `Host` of the request.
"""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

__all__ = ["HostList", "OriginList"]

_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::([0-9]{1,5}))?")
_LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")
_PORTS: Final = {"http": "80", "https": "443"}


class HostList:
    """The hosts by which the server may be addressed.

    These are always allowed, with the port of the server: `localhost`, the loopback addresses, and
    the address on which the request arrived. An address can't be that of another site.

    Args:
        names: further ones: `NAME` with any port, as behind a proxy, or `NAME:PORT`.

    Raises:
        ValueError: a name is not valid.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names: Final = {_checked_host(name) for name in names}

    def allows(self, host: str, address: str, port: int, scheme: str) -> bool:
        """Whether a request may name this host.

        Args:
            host: the header `Host` of the request.
            address: the address of the server on which it arrived.
            port: its port.
            scheme: `http` or `https`.
        """
        match = _HOST.fullmatch(host.lower())
        if match is None:
            return False
        name, given = match[1], match[2] or _PORTS[scheme]
        if name in self._names or f"{name}:{given}" in self._names:
            return True
        own = f"[{address}]" if ":" in address else address
        return name in (*_LOOPBACK, own) and int(given) == port


class OriginList:
    """The origins from which pages may send requests.

    The origin of the server itself is always allowed.

    Args:
        origins: further ones, such as `https://house.example`.

    Raises:
        ValueError: one is not an origin.
    """

    def __init__(self, origins: Iterable[str] = ()) -> None:
        self._origins: Final = {_checked_origin(origin) for origin in origins}

    def lists(self, origin: str) -> bool:
        """Whether this is one of the configured origins."""
        return origin.lower() in self._origins

    def allows(self, origin: str, host: str, scheme: str) -> bool:
        """Whether pages of this origin may send a request.

        Args:
            origin: the header `Origin` of the request.
            host: its header `Host`, which is allowed.
            scheme: `http` or `https`.
        """
        return origin.lower() == f"{scheme}://{host}".lower() or self.lists(origin)


def _checked_host(name: str) -> str:
    lower = name.lower()
    if _HOST.fullmatch(lower) is None:
        raise ValueError(
            f"{name!r} is not the name of a host: write NAME or NAME:PORT, such as house.example"
        )
    return lower


def _checked_origin(origin: str) -> str:
    lower = origin.lower().removesuffix("/")
    try:
        parts = urlsplit(lower)
        is_origin = lower == f"{parts.scheme}://{parts.netloc}" and parts.scheme in _PORTS
        port = parts.port
    except ValueError:
        is_origin, parts, port = False, urlsplit(""), None
    if not is_origin or _HOST.fullmatch(parts.netloc) is None:
        raise ValueError(
            f"{origin!r} is not an origin: write SCHEME://HOST or SCHEME://HOST:PORT, such as "
            "https://house.example"
        )
    # A browser leaves out the usual port.
    is_usual = port is not None and str(port) == _PORTS[parts.scheme]
    return lower.removesuffix(f":{port}") if is_usual else lower
