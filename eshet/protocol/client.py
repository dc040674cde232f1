"""The client's side: it sends the hello, and pings when it is idle."""

from typing import Generic, TypeVar

from eshet.exceptions import ProtocolError
from eshet.messages import (
    FROM_SERVER,
    PROTOCOL_VERSION,
    Hello,
    HelloAccepted,
    HelloAllocated,
    HelloId,
    Ping,
    pack,
    unpack,
)
from eshet.protocol.base import ProtocolSide
from eshet.protocol.framing import frame
from eshet.protocol.requests import Requests
from eshet.protocol.timeouts import TimeoutConfig

__all__ = ["ClientProtocol"]

T = TypeVar("T")


class ClientProtocol(ProtocolSide, Generic[T]):
    """A client's side of one connection; it queues the hello when it is created.

    Requests may be queued at once: the server handles messages after the hello in order.

    Args:
        client_id: packed; None to have the server allocate one.
        timeouts: how long each side waits for the other; None for a connection that can't be lost
            without notice, and so needs no pings.
        now: the time.
        accepts_long: whether the server may send long frames.
    """

    WATCHED = frozenset({HelloAccepted.code, HelloAllocated.code})

    def __init__(
        self,
        client_id: bytes | None,
        timeouts: TimeoutConfig | None,
        now: float,
        *,
        accepts_long: bool = False,
    ) -> None:
        super().__init__(now, accepts_long=accepts_long)
        self.client_id = client_id
        self.requests: Requests[T | None] = Requests()
        """The pending requests, each with the caller's data; None for a ping."""
        self._timeouts = timeouts
        self._answer_due: float | None = None if timeouts is None else now + timeouts.ping_timeout
        server_timeout = 0 if timeouts is None else timeouts.server_timeout
        if client_id is None:
            hello = pack(Hello(PROTOCOL_VERSION, server_timeout))
        else:
            hello = pack(HelloId(PROTOCOL_VERSION, server_timeout, client_id))
        self.send(frame(hello))

    def accept(self, payload: bytes) -> bool:
        """See `ProtocolSide.accept`. The caller receives the answer to the hello as well."""
        if self.greeted and payload:
            raise ProtocolError("a second hello")
        match unpack(payload, FROM_SERVER):
            case HelloAllocated(client_id):
                self.client_id = client_id
            case HelloAccepted():
                pass
            case message:
                raise ProtocolError(f"a message {type(message).__name__} before its hello")
        self.greeted = True
        self._answer_due = None
        return True

    def pong(self) -> None:
        """Record that a ping was answered."""
        self._answer_due = None

    def next_deadline(self) -> float | None:
        """Return when to ping, or when the answer to the last ping or the hello is overdue."""
        if self._timeouts is None:
            return None
        if self._answer_due is not None:
            return self._answer_due
        return self.last_sent + self._timeouts.idle_ping

    def handle_deadline(self, now: float) -> None:
        """Send a ping, or close the connection if the server did not answer."""
        deadline = self.next_deadline()
        if self._timeouts is None or deadline is None or now < deadline:
            return
        if self._answer_due is not None:
            request = "ping" if self.greeted else "hello"
            self.close(f"the server did not answer a {request} in {self._timeouts.ping_timeout} s")
            return
        self.send(frame(pack(Ping(self.requests.open(None)))))
        self._answer_due = now + self._timeouts.ping_timeout
