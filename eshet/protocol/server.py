"""The server's side: it waits for the hello, answers pings, and drops a client that fell silent."""

from typing import Final

from eshet.exceptions import ProtocolError
from eshet.messages import (
    FROM_CLIENT,
    NIL,
    PROTOCOL_VERSION,
    Hello,
    HelloId,
    Message,
    Ping,
    Reply,
)
from eshet.protocol.base import Endpoint

HELLO_TIMEOUT: Final = 5.0
"""How long a client may take to say hello, in seconds."""


class ServerProtocol(Endpoint):
    """A server's side of one connection.

    Args:
        now: the time.
        hello_timeout: how long the client may take to say hello, in seconds.
    """

    def __init__(self, now: float, hello_timeout: float = HELLO_TIMEOUT) -> None:
        super().__init__(FROM_CLIENT, now)
        self.greeted = False
        """Whether the client has said hello."""
        self._hello_due = now + hello_timeout
        self._timeout_s = 0

    def accept(self, message: Message) -> bool:
        """See `Endpoint.accept`. Pings are answered here."""
        if isinstance(message, Ping):
            self.send(Reply(message.id, NIL))
            return False
        if isinstance(message, Hello | HelloId):
            if self.greeted:
                raise ProtocolError("a second hello")
            if message.version != PROTOCOL_VERSION:
                raise ProtocolError(f"a hello of protocol version {message.version}, not 1")
            self.greeted = True
            self._timeout_s = message.timeout_s
        elif not self.greeted:
            raise ProtocolError(f"a message {type(message).__name__} before its hello")
        return True

    def next_deadline(self) -> float | None:
        """Return when the client has been silent for too long; None if it may be so for ever."""
        if not self.greeted:
            return self._hello_due
        return self.last_received + self._timeout_s if self._timeout_s else None

    def handle_deadline(self, now: float) -> None:
        """Give the client up if it is silent for too long."""
        deadline = self.next_deadline()
        if deadline is None or now < deadline:
            return
        if self.greeted:
            self.close(f"the client sent nothing for {self._timeout_s} s")
        else:
            self.close("the client did not say hello in time")
