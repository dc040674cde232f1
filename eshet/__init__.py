"""An asyncio client and server of the ESHET protocol, and a reactive layer on top of it.

What lives where; imports go downwards only:

    cli, sync_client      the `eshet` command; the blocking wrapper
    yarp                  reactive values and events tied to paths
    client | server       the asyncio client; the embeddable server
    connection, link      the asyncio shell that both share; a connection without a socket
    reactive              values, events, fn, operators, time: no I/O, no paths
    protocol              bytes in, messages out, with no I/O: framing, request ids, keep-alive
    messages, utils       a class for each message of the wire; strategies for running tasks
    codec, tasks          one msgpack value to bytes and back; how strategies run tasks
    program               what both commands do when they are interrupted, or can't write
    cause, scope, clock, paths, types, unknown, exceptions
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
