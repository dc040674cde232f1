"""An asyncio client and server of the ESHET protocol, and a reactive layer on top of it.

The modules, from top to bottom; each imports only from those below it:

    cli              the `eshet` command
    sync_client      a blocking client, for scripts and threads
    bridges          devices that speak another protocol, as nodes of a server
    gateway          HTTP, WebSocket and server-sent events, for programs without a client
    yarp             reactive values and events tied to paths
    client           Client, StateWrapper
    settings         tables of a configuration file, with an error for each mistake
    server_address   the address of any server, also of a tree that is shared through NATS
    nats             servers that share a tree through NATS
    server           the embeddable server
    connection       connects either side of the protocol to asyncio
    link             a connection within one process
    reactive         values, events and functions of them; no I/O, no paths
    address          the address of a server, such as `host:port`
    protocol         the protocol without I/O
    messages         the messages of the protocol
    utils            strategies for background tasks
    codec            packing and unpacking values
    tasks            running tasks under these strategies
    scope            owns everything that is created in it, and disposes it at once
    callables        the error for a callback that can't be called
    cause            tracks which input caused each effect
    clock            the time of the event loop and of the wall clock
    time_zones       time zones and their locations
    interpreter      internals of CPython and asyncio that we rely on, each with the reason
    paths            the grammar of paths
    private_files    files that only their owner can access, written atomically
    program          common parts of both commands
    text             safe text of any object
    types            type aliases for users of a client
    unknown          the value of a state that is not known
    user_errors      safe handling of exceptions of user code
    exceptions       all exceptions of this package, except those of bridges
"""

from eshet.client import Client, StateWrapper
from eshet.exceptions import (
    Disconnected,
    ErrorValue,
    EshetError,
    InvalidPath,
    MessageTooLong,
    PathTaken,
    UnsupportedValue,
)
from eshet.protocol import TimeoutConfig
from eshet.unknown import Unknown, UnknownType

__all__ = [
    "Client",
    "Disconnected",
    "ErrorValue",
    "EshetError",
    "InvalidPath",
    "MessageTooLong",
    "PathTaken",
    "StateWrapper",
    "TimeoutConfig",
    "Unknown",
    "UnknownType",
    "UnsupportedValue",
]
