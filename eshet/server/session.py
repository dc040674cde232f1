"""One connection of one client, from before its hello until its end."""

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
from eshet.protocol import ServerProtocol
from eshet.protocol.framing import frame
from eshet.server.backlog import Backlog
from eshet.server.limits import Limits
from eshet.server.peer import Peer, Traffic
from eshet.server.router import Router

__all__ = ["Host", "ServerSession"]


_SLICE: Final = 32
"""How many messages are handled before it is asked whether others are to have their turn."""

_LONGEST_TURN: Final = 0.002
"""Seconds after which others have their turn."""

_MUCH: Final = 1 << 18
"""Bytes of answers to a slice that are sent at once."""

_CONNECTION: Final = 4096
"""Bytes of memory that a connection takes."""

_NODE: Final = 600
"""Bytes of memory that a node of the tree takes, without what was sent for it."""


class Host(Protocol):
    """What a session needs of its server."""

    @property
    def router(self) -> Router:
        """Where messages go."""
        ...

    @property
    def limits(self) -> Limits:
        """What one client may take."""
        ...

    def started(self, session: "ServerSession") -> None:
        """Take note of a session: its connection is there."""
        ...

    def sending(self, session: "ServerSession", length: int) -> None:
        """Take note of so many bytes of a client; what they cause for others is sent soon."""
        ...

    def ended(self, session: "ServerSession", reason: str) -> None:
        """Forget the session: its connection has ended."""
        ...


class ServerSession(Connection):
    """A connection of the server's side.

    Args:
        host: the server.
        peername: the address of the client, for people.
    """

    __slots__ = (
        "_cut_timer",
        "_due",
        "_early",
        "_host",
        "_reads_again",
        "_registrations",
        "_unhandled",
        "_works_on",
        "backlog",
        "peer",
        "since",
    )

    def __init__(self, host: Host, peername: str) -> None:
        loop = asyncio.get_running_loop()
        protocol = ServerProtocol(loop.time(), host.limits.hello_timeout)
        super().__init__(protocol, self._greet, self._lost, peername=peername)
        self.peer: Peer | None = None
        self.since: Final = loop.time()
        self.backlog: Final = Backlog(protocol.out, host.limits)
        self._host = host
        self._cut_timer: asyncio.TimerHandle | None = None
        self._reads_again: asyncio.TimerHandle | None = None
        self._registrations = 0
        self._early: list[bytes] = []  # what came together with the hello
        self._unhandled: Iterator[bytes] = iter(())
        self._works_on = False  # in a later turn: something is unhandled
        self._due = self.since - 1.0

    # --- messages -----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the transport: it is there."""
        self._host.started(self)
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Called by the transport: bytes came."""
        if self.peer is None or self.endpoint.closing is not None:
            super().data_received(data)
        else:
            payloads = self.endpoint.receive_all(data, self._loop.time())
            self._unhandled = iter([*self._unhandled, *payloads] if self._works_on else payloads)
            if not self._works_on:
                self._work(self.peer)
                self.flush()
        self._host.sending(self, len(data))
        if self.peer is not None and self.peer.registrations > self._registrations:
            self._limit_registrations(self.peer)

    def _greet(self, payload: bytes) -> None:
        """Let the client in: the protocol sees to it that its first message is a hello."""
        router = self._host.router
        if len(router.peers) >= self._host.limits.clients:
            self.close(f"{len(router.peers)} clients are connected, which is the limit")
            return
        client_id, answer = self._identify(unpack(payload, FROM_CLIENT))
        self.peer = Peer(client_id, self.endpoint.out, self)
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
        """Keep what came together with the hello, to be handled in the next turn."""
        if not self._works_on:
            self._early = []
            self._unhandled = iter(self._early)  # which sees what is added below
            self._let_others_first()
        self._early.append(payload)

    def _work(self, peer: Peer) -> None:
        """Handle what waits, until all is done or others are to have their turn first.

        That is so when it took long, or when its answers wait for the client to read them: what
        one client asks for at once may be a thousand times as large as the questions.
        """
        unhandled, out = self._unhandled, self.endpoint.out
        until = self._loop.time() + _LONGEST_TURN
        try:
            while True:
                before = len(out)
                goes_on = self._host.router.handle(peer, itertools.islice(unhandled, _SLICE))
                if not operator.length_hint(unhandled):
                    break
                if sum(map(len, out[before:])) > _MUCH:
                    self.flush()
                if not goes_on or self.paused or self._loop.time() > until:
                    self._let_others_first()
                    return
        except ProtocolError as error:
            self._unhandled = iter(())
            self.endpoint.reject(error)
        else:
            self.endpoint.check_stream()

    def _let_others_first(self) -> None:
        """Read nothing more, and go on in the next turn, or when the client has read enough."""
        if not self._works_on and self._transport is not None:
            self._works_on = True
            self._transport.pause_reading()
            self._loop.call_soon(self._work_on)

    def _work_on(self) -> None:
        if not self._works_on or self.peer is None or self.endpoint.closing is not None:
            return
        if self.paused:
            return  # `resume_writing` goes on
        self._works_on = False
        self._work(self.peer)
        self.flush()
        self._host.sending(self, 0)
        self._resume_reading()

    def _lost(self, reason: str) -> None:
        for timer in (self._cut_timer, self._reads_again):
            if timer is not None:
                timer.cancel()
        self._unhandled = iter(())
        self._host.ended(self, reason)
        self.peer = None  # which refers to this session

    # --- a client that reads too slowly -------------------------------------------------------

    def flush(self) -> None:
        """Write what is queued; while the client does not read, keep what waits within limits."""
        super().flush()
        if self.paused:
            self._measure()

    def resume_writing(self) -> None:
        """Called by the transport: its buffer has room again."""
        self.backlog.clear()
        super().resume_writing()
        if self._works_on and not self.paused:
            self._loop.call_soon(self._work_on)

    @property
    def congestion(self) -> float:
        """How many times what may wait for the client does wait; 0 as long as it is no more."""
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
        """Read nothing from the client for so long."""
        transport = self._transport
        if self._reads_again is None and transport is not None and not transport.is_closing():
            transport.pause_reading()
            self._reads_again = self._loop.call_later(seconds, self._read_again)

    def _limit_registrations(self, peer: Peer) -> None:
        """See that they do not come faster than they may, but for what one second allows."""
        rate, now = self._host.limits.registrations, self._loop.time()
        new = peer.registrations - self._registrations
        self._registrations = peer.registrations
        # When those so far would all have come, had they come at that rate.
        self._due = max(self._due, now - 1.0) + new / rate
        if self._due > now:
            self.stall(self._due - now)

    def _read_again(self) -> None:
        self._reads_again = None
        self._resume_reading()

    def _resume_reading(self) -> None:
        """Read on, unless what was read waits to be handled, or the client is stalled."""
        if self._works_on or self._reads_again is not None or self._transport is None:
            return
        if not self._transport.is_closing():
            self._transport.resume_reading()

    # --- what /meta tells ---------------------------------------------------------------------

    @property
    def traffic(self) -> Traffic:
        """How much went through, and waits."""
        return Traffic(self.endpoint.received, self.endpoint.sent, self.backlog.size)

    @property
    def footprint(self) -> int:
        """How many bytes of memory it may have taken since it began, as a rough upper bound."""
        registrations = 0 if self.peer is None else self.peer.registrations
        traffic = self.traffic.received + self.traffic.sent
        return _CONNECTION + registrations * _NODE + traffic

    def describe(self) -> dict[str, Any]:
        """Tell who is connected, since when, and what went through."""
        return {
            "address": self.peername,
            "connected_s": round(self._loop.time() - self.since, 3),
            **self.traffic._asdict(),
        }
