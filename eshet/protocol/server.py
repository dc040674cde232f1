"""The server's side: it waits for the hello, and drops silent clients."""

from typing import Final

from eshet.exceptions import ProtocolError
from eshet.messages import (
    FROM_CLIENT,
    NIL,
    PROTOCOL_VERSION,
    Hello,
    HelloId,
    Ping,
    Reply,
    unpack,
)
from eshet.protocol.base import ProtocolSide
from eshet.protocol.framing import frame_with_id

__all__ = ["HELLO_TIMEOUT", "ServerProtocol"]

HELLO_TIMEOUT: Final = 5.0
"""How long a client may take to send its hello, in seconds."""


class ServerProtocol(ProtocolSide):
    """A server's side of one connection.

    Args:
        now: the time.
        hello_timeout: how long the client may take to send its hello, in seconds.
        accepts_long: whether the client may send long frames.
    """

    WATCHED = frozenset()

    def __init__(
        self, now: float, hello_timeout: float = HELLO_TIMEOUT, *, accepts_long: bool = False
    ) -> None:
        super().__init__(now, accepts_long=accepts_long)
        self._hello_due = now + hello_timeout
        self._timeout_s = 0

    def accept(self, payload: bytes) -> bool:
        """See `ProtocolSide.accept`. The caller receives the hello, but not pings before it."""
        match unpack(payload, FROM_CLIENT):
            case Ping(request_id):
                self.send(frame_with_id(Reply.code, request_id, NIL))
                return False
            case (Hello() | HelloId()) as hello:
                if hello.version != PROTOCOL_VERSION:
                    raise ProtocolError(f"a hello of protocol version {hello.version}, not 1")
                self.greeted = True
                self._timeout_s = hello.timeout_s
                return True
            case message:
                raise ProtocolError(f"a message {type(message).__name__} before its hello")

    def next_deadline(self) -> float | None:
        """Return when the client has been silent for too long; None without a limit."""
        if not self.greeted:
            return self._hello_due
        return self.last_received + self._timeout_s if self._timeout_s else None

    def handle_deadline(self, now: float) -> None:
        """Close the connection if the client has been silent for too long."""
        deadline = self.next_deadline()
        if deadline is None or now < deadline:
            return
        if self.greeted:
            self.close(f"the client sent nothing for {self._timeout_s} s")
        else:
            self.close("the client did not say hello in time")
