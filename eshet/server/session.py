"""One connection of one client, from its start until its end."""

import asyncio
import itertools
import operator
from collections.abc import Iterator
from typing import Any, Final, Protocol

from eshet import codec
from eshet.connection import Connection
from eshet.exceptions import ProtocolError
from eshet.messages import (
    FROM_CLIENT,
    MAX_CLIENT_ID,
    HelloAccepted,
    HelloAllocated,
    HelloId,
    Message,
    pack,
    unpack,
)
from eshet.protocol import MAX_PAYLOAD, ServerProtocol
from eshet.protocol.framing import frame
from eshet.server.backlog import Backlog
from eshet.server.limits import Limits
from eshet.server.peer import Lease, Peer, Traffic
from eshet.server.router import Router

__all__ = ["Host", "ServerSession"]


_SLICE: Final = 32
"""How many messages are handled before checking whether others should have their turn."""

_MAX_TURN: Final = 0.002
"""Seconds after which others have their turn."""

_MUCH: Final = 1 << 18
"""Bytes of output of a slice that are sent at once."""

_CONNECTION: Final = 4096
"""Bytes of memory for a connection."""

_NODE: Final = 600
"""Bytes of memory for a node of the tree, without its messages."""


class Host(Protocol):
    """The interface of the server for a session."""

    @property
    def router(self) -> Router:
        """The router of messages."""
        ...

    @property
    def limits(self) -> Limits:
        """How much one client may use."""
        ...

    def started(self, session: "ServerSession") -> None:
        """Register a session when its connection is made."""
        ...

    def sending(self, session: "ServerSession", length: int) -> None:
        """Record that a client has sent some bytes, and send the output that they caused soon."""
        ...

    def ended(self, session: "ServerSession", reason: str) -> None:
        """Remove a session after the end of its connection."""
        ...


class ServerSession(Connection):
    """The server's side of a connection.

    Args:
        host: the server.
        peername: the address of the client, as text.
        lease: the right of the client to act, if it needs one.
        max_payload: the longest message that the client accepts, in bytes.
    """

    __slots__ = (
        "_continues_later",
        "_cut_timer",
        "_due",
        "_host",
        "_lease",
        "_max_payload",
        "_registrations",
        "_sent_with_hello",
        "_stall_timer",
        "_unhandled",
        "backlog",
        "peer",
        "since",
    )

    def __init__(
        self,
        host: Host,
        peername: str,
        lease: Lease | None = None,
        max_payload: int = MAX_PAYLOAD,
    ) -> None:
        loop = asyncio.get_running_loop()
        protocol = ServerProtocol(
            loop.time(), host.limits.hello_timeout, accepts_long=max_payload > MAX_PAYLOAD
        )
        super().__init__(protocol, self._greet, self._lost, peername=peername)
        self.peer: Peer | None = None
        self.since: Final = loop.time()
        self.backlog: Final = Backlog(protocol.out, host.limits)
        self._host = host
        self._lease = lease
        self._max_payload = max_payload
        self._cut_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self._registrations = 0
        self._sent_with_hello: list[bytes] = []  # messages that came together with the hello
        self._unhandled: Iterator[bytes] = iter(())
        self._continues_later = False  # whether unhandled messages are left for a later turn
        self._due = self.since - 1.0

    # --- messages -----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the transport when the connection is made."""
        self._host.started(self)
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Called by the transport with received bytes."""
        if self.peer is None or self.endpoint.closing is not None:
            super().data_received(data)
        else:
            payloads = self.endpoint.receive_all(data, self._loop.time())
            self._unhandled = iter(
                [*self._unhandled, *payloads] if self._continues_later else payloads
            )
            if not self._continues_later:
                self._work(self.peer)
                self.flush()
        self._host.sending(self, len(data))
        if self.peer is not None and self.peer.registrations > self._registrations:
            self._limit_registrations(self.peer)

    def _greet(self, payload: bytes) -> None:
        """Accept the client; the protocol makes sure that its first message is a hello."""
        router = self._host.router
        if len(router.peers) >= self._host.limits.clients:
            self.close(f"{len(router.peers)} clients are connected, which is the limit")
            return
        client_id, answer = self._identify(unpack(payload, FROM_CLIENT))
        self.peer = Peer(client_id, self.endpoint.out, self, self._lease, self._max_payload)
        self._on_payload = self._route_later
        router.join(self.peer)
        self.send(frame(pack(answer)))

    def _identify(self, hello: Message) -> tuple[bytes, Message]:
        if isinstance(hello, HelloId):
            if len(hello.client_id) > MAX_CLIENT_ID:
                raise ProtocolError(f"a client id of {len(hello.client_id)} bytes")
            codec.check(hello.client_id, self._host.limits.nesting)
            return codec.canonical(hello.client_id), HelloAccepted()
        client_id = self._host.router.allocate_id()
        return client_id, HelloAllocated(client_id)

    def _route_later(self, payload: bytes) -> None:
        """Keep a message that came together with the hello, to be handled in the next turn."""
        if not self._continues_later:
            self._sent_with_hello = []
            self._unhandled = iter(self._sent_with_hello)  # includes items added below
            self._yield_to_others()
        self._sent_with_hello.append(payload)

    def _work(self, peer: Peer) -> None:
        """Handle waiting messages, until all are done or others should have their turn first.

        Others have their turn when this takes long, or when the output waits for the client to
        read: the answers to one client may be a thousand times as large as its requests.
        """
        unhandled, out = self._unhandled, self.endpoint.out
        until = self._loop.time() + _MAX_TURN
        try:
            while True:
                before = len(out)
                goes_on = self._host.router.handle(peer, itertools.islice(unhandled, _SLICE))
                if not operator.length_hint(unhandled):
                    break
                if sum(map(len, out[before:])) > _MUCH:
                    self.flush()
                if not goes_on or self.paused or self._loop.time() > until:
                    self._yield_to_others()
                    return
        except ProtocolError as error:
            self._unhandled = iter(())
            self.endpoint.reject(error)
        else:
            self.endpoint.check_stream()

    def _yield_to_others(self) -> None:
        """Stop reading, and continue in the next turn, or when the client has read enough."""
        if not self._continues_later and self._transport is not None:
            self._continues_later = True
            self._transport.pause_reading()
            self._loop.call_soon(self._continue_work)

    def _continue_work(self) -> None:
        if not self._continues_later or self.peer is None or self.endpoint.closing is not None:
            return
        if self.paused:
            return  # `resume_writing` continues
        self._continues_later = False
        self._work(self.peer)
        self.flush()
        self._host.sending(self, 0)
        self._resume_reading()

    def _lost(self, reason: str) -> None:
        for timer in (self._cut_timer, self._stall_timer):
            if timer is not None:
                timer.cancel()
        self._unhandled = iter(())
        self._host.ended(self, reason)
        self.peer = None  # breaks a reference cycle

    # --- a client that reads too slowly -------------------------------------------------------

    def flush(self) -> None:
        """Write queued output; while the client does not read, keep the queue within its limits."""
        super().flush()
        if self.paused:
            self._measure()

    def resume_writing(self) -> None:
        """Called by the transport when its buffer has space again."""
        self.backlog.clear()
        super().resume_writing()
        if self._continues_later and not self.paused:
            self._loop.call_soon(self._continue_work)

    @property
    def congestion(self) -> float:
        """The ratio of waiting output to the soft limit; 0 while it is within the limit."""
        if not self.paused or self.backlog.long_since is None:
            return 0.0
        return self.backlog.size / self._host.limits.soft_queue

    def _measure(self) -> None:
        now = self._loop.time()
        too_much = self.backlog.measure(now)
        if too_much is not None:
            self.endpoint.close(too_much)
            self.endpoint.out.clear()
            self.abort()
        elif self.backlog.long_since is not None and self._cut_timer is None:
            due = self.backlog.long_since + self._host.limits.soft_time
            self._cut_timer = self._loop.call_at(due, self._measure_again)

    def _measure_again(self) -> None:
        self._cut_timer = None
        if self.paused:
            self._measure()

    # --- a client that sends too fast ---------------------------------------------------------

    def stall(self, seconds: float) -> None:
        """Stop reading from the client for some seconds."""
        transport = self._transport
        if self._stall_timer is None and transport is not None and not transport.is_closing():
            transport.pause_reading()
            self._stall_timer = self._loop.call_later(seconds, self._end_stall)

    def _limit_registrations(self, peer: Peer) -> None:
        """Stall the client if its registrations come faster than allowed, after a burst of 1 s."""
        rate, now = self._host.limits.registrations, self._loop.time()
        new = peer.registrations - self._registrations
        self._registrations = peer.registrations
        # When the registrations so far would be done at the allowed rate.
        self._due = max(self._due, now - 1.0) + new / rate
        if self._due > now:
            self.stall(self._due - now)

    def _end_stall(self) -> None:
        self._stall_timer = None
        self._resume_reading()

    def _resume_reading(self) -> None:
        """Resume reading, unless messages wait to be handled, or the client is stalled."""
        if self._continues_later or self._stall_timer is not None or self._transport is None:
            return
        if not self._transport.is_closing():
            self._transport.resume_reading()

    # --- for /meta ----------------------------------------------------------------------------

    @property
    def traffic(self) -> Traffic:
        """The traffic so far, and the output that waits."""
        return Traffic(self.endpoint.received, self.endpoint.sent, self.backlog.size)

    @property
    def footprint(self) -> int:
        """A rough upper bound of the memory that it has used since its start, in bytes."""
        registrations = 0 if self.peer is None else self.peer.registrations
        traffic = self.traffic.received + self.traffic.sent
        return _CONNECTION + registrations * _NODE + traffic

    def describe(self) -> dict[str, Any]:
        """Return the address, the duration and the traffic of the connection."""
        return {
            "address": self.peername,
            "connected_s": round(self._loop.time() - self.since, 3),
            **self.traffic._asdict(),
        }
