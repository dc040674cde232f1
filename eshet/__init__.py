"""An asyncio client and server of the ESHET protocol, and a reactive layer on top of it.

What lives where; imports go downwards only:

    cli              the `eshet` command
    sync_client      a blocking client, for scripts and threads
    yarp             reactive values and events tied to paths
    client           Client, StateWrapper
    server           the embeddable server
    connection       the asyncio shell of either side of a connection
    link             a connection within one process
    reactive         values, events and functions of them; no I/O, no paths
    address          the address of a server, as `host:port`
    protocol         the protocol without I/O
    messages         the messages of the wire
    utils            strategies for background tasks
    codec            values of the wire as bytes
    tasks            how these strategies run tasks
    scope            owns what is made in it, and ends all of it at once
    cause            which input made something happen
    clock            the time of the event loop and of the wall clock
    time_zones       time zones and their places on Earth
    interpreter      internals of CPython and asyncio that we rely on, each with the reason
    paths            the grammar of paths
    private_files    files for their owner only, written atomically
    program          what both commands share
    text             safe text of any object
    types            type aliases for users of a client
    unknown          the value of a state that nobody can tell
    user_errors      errors of users' code, made safe to look at
    exceptions       every error of this package
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
