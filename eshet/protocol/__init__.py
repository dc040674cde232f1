"""The protocol without I/O: bytes and the time go in, messages, bytes and deadlines come out.

    client, server    what one side alone does: hello, keep-alive
    base              what both do: request ids, replies, the round
    framing           bytes to payloads and back
    timeouts          TimeoutConfig

Whoever owns a transport (see `eshet.connection`) repeats one round: hand what was received to
`receive` and act on each message that it yields; send what `data_to_send` returns; if `closing` is
set then, close the transport; call `handle_deadline` at `next_deadline`, and go on at the second
step. Time is any clock that never goes back, in seconds.
"""

from eshet.messages import DEFAULT_PORT
from eshet.protocol.base import Endpoint
from eshet.protocol.client import ClientProtocol
from eshet.protocol.framing import MAX_PAYLOAD
from eshet.protocol.server import ServerProtocol
from eshet.protocol.timeouts import TimeoutConfig

__all__ = [
    "DEFAULT_PORT",
    "MAX_PAYLOAD",
    "ClientProtocol",
    "Endpoint",
    "ServerProtocol",
    "TimeoutConfig",
]
