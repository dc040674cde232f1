"""Sockets to listen on, and advice where that fails."""

import asyncio
import errno
import ipaddress
import os
import socket
import stat
from pathlib import Path
from typing import Final

from eshet.exceptions import ListenError

__all__ = ["bind_tcp", "bind_unix", "is_local"]

_BACKLOG: Final = 4096
"""How many clients may connect at once: after a restart of the server, all of them do."""

_LAST_PORT: Final = 0xFFFF

_ADVICE: Final = {
    errno.EADDRINUSE: "another program listens there; stop it, or choose another port",
    errno.EADDRNOTAVAIL: "this machine does not have that address",
    errno.EACCES: "the system does not allow it; choose a port above 1023, or another folder",
    errno.ENOENT: "there is no such folder",
    errno.EMFILE: "too many files are open; raise the limit (ulimit -n, LimitNOFILE=)",
}


async def bind_tcp(host: str, port: int) -> list[socket.socket]:
    """Return sockets that listen on all addresses of a host.

    Raises:
        ListenError: it has no usable address, or one is in use.
    """
    if not 0 <= port <= _LAST_PORT:
        raise ListenError(f"{host}:{port}", f"a port is a number from 0 to {_LAST_PORT}")
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    try:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, _, _, _, address in dict.fromkeys(found):
            try:
                sockets.append(socket.create_server(address, family=family, backlog=_BACKLOG))
            except OSError as error:
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                missing = error  # such as ::1 of a machine without IPv6
        if not sockets and missing is not None:
            raise missing
    except (OSError, UnicodeError) as error:
        for each in sockets:
            each.close()
        raise ListenError(f"{host}:{port}", _advice(error)) from error
    return sockets


async def is_local(host: str) -> bool:
    """Whether only this machine can reach a host of its own; True also for an unknown host."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host or None, 0, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        return True
    return all(ipaddress.ip_address(info[4][0]).is_loopback for info in found)


async def bind_unix(path: Path, mode: int) -> socket.socket:
    """Return a listening Unix socket, replacing one that a dead server has left.

    Args:
        path: of the socket.
        mode: the mode of the file, which decides who may connect.

    Raises:
        ListenError: there is another kind of file, or a server that listens.
    """
    if await _is_listened_on(path):
        raise ListenError(str(path), "a server listens there")
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~mode)
    try:
        _remove_stale(path)
        made.bind(str(path))
        made.listen(_BACKLOG)
    except (OSError, ValueError) as error:
        made.close()
        raise ListenError(str(path), _unix_advice(error, path)) from error
    finally:
        os.umask(before)
    return made


async def _is_listened_on(path: Path) -> bool:
    loop = asyncio.get_running_loop()
    try:
        transport, _ = await loop.create_unix_connection(asyncio.Protocol, str(path))
    except (OSError, ValueError):
        return False
    transport.close()
    return True


def _remove_stale(path: Path) -> None:
    if path.exists() and stat.S_ISSOCK(path.stat().st_mode):
        path.unlink()


def _unix_advice(error: OSError | ValueError, path: Path) -> str:
    if isinstance(error, OSError) and error.errno is None:
        # "AF_UNIX path too long", from Python itself; 107 bytes on Linux, 103 elsewhere.
        length = len(os.fsencode(path))
        return f"{length} bytes are too many for the path of a socket; choose one of 100 or fewer"
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return "there is a file that is not a socket; move it away, or choose another path"
    return _advice(error)


def _advice(error: OSError | ValueError) -> str:
    if not isinstance(error, OSError):
        return str(error)
    return _ADVICE.get(error.errno or 0) or error.strerror or str(error)
