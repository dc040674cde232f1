"""The client's side: it speaks first, and pings when it has nothing to say."""

from typing import Final

from eshet.exceptions import ProtocolError
from eshet.messages import (
    FROM_SERVER,
    PROTOCOL_VERSION,
    Hello,
    HelloAccepted,
    HelloAllocated,
    HelloId,
    Message,
    Ping,
    Reply,
)
from eshet.protocol.base import Endpoint
from eshet.protocol.timeouts import TimeoutConfig

_HELLOS: Final = (HelloAccepted, HelloAllocated)


class ClientProtocol(Endpoint):
    """A client's side of one connection; the hello is queued when it is made.

    Requests may be queued at once: the server handles what follows the hello in order.

    Args:
        client_id: packed; None to be given one by the server.
        timeouts: how long each side waits for the other.
        now: the time.
    """

    def __init__(self, client_id: bytes | None, timeouts: TimeoutConfig, now: float) -> None:
        super().__init__(FROM_SERVER, now)
        self.client_id = client_id
        self.greeted = False
        """Whether the server has answered the hello."""
        self._timeouts = timeouts
        self._ping: int | None = None
        self._answer_due: float | None = now + timeouts.ping_timeout
        if client_id is None:
            self.send(Hello(PROTOCOL_VERSION, timeouts.server_timeout))
        else:
            self.send(HelloId(PROTOCOL_VERSION, timeouts.server_timeout, client_id))

    def accept(self, message: Message) -> bool:
        """See `Endpoint.accept`."""
        if isinstance(message, _HELLOS):
            if self.greeted:
                raise ProtocolError("a second hello")
            self.greeted = True
            self._answer_due = None
            if isinstance(message, HelloAllocated):
                self.client_id = message.client_id
            return True
        if not self.greeted:
            raise ProtocolError(f"a message {type(message).__name__} before its hello")
        if isinstance(message, Reply) and message.id == self._ping:
            self._ping = self._answer_due = None
            return False
        return True

    def next_deadline(self) -> float:
        """Return when to ping, or when the answer to the last ping or the hello is overdue."""
        if self._answer_due is not None:
            return self._answer_due
        return self.last_sent + self._timeouts.idle_ping

    def handle_deadline(self, now: float) -> None:
        """Ping, or give the server up."""
        if now < self.next_deadline():
            return
        if self._answer_due is not None:
            asked = "ping" if self.greeted else "hello"
            self.close(f"the server did not answer a {asked} in {self._timeouts.ping_timeout} s")
            return
        self._ping = self.request(Ping)
        self._answer_due = now + self._timeouts.ping_timeout
