"""The protocol without I/O: bytes and the time go in, messages, bytes and deadlines come out.

client      the client's side: sends the hello, and pings when it is idle
server      the server's side: waits for the hello, and drops silent clients
base        common to both sides: receiving, handling and sending
requests    requests that wait for their replies, by id
payload     the layout of payloads
framing     frames as bytes
timeouts    how long either side waits for the other
"""

from eshet.messages import DEFAULT_PORT
from eshet.protocol.base import ProtocolSide
from eshet.protocol.client import ClientProtocol
from eshet.protocol.framing import MAX_PAYLOAD
from eshet.protocol.server import ServerProtocol
from eshet.protocol.timeouts import TimeoutConfig

__all__ = [
    "DEFAULT_PORT",
    "MAX_PAYLOAD",
    "ClientProtocol",
    "ProtocolSide",
    "ServerProtocol",
    "TimeoutConfig",
]
