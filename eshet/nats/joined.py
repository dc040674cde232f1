"""A server that shares its tree with others, through NATS.

Its clients notice nothing of NATS. When the server can't reach NATS for `_GRACE` seconds, or the
others count it as gone, it is cut off: it disconnects its clients, which then see what they would
see if a single server were gone, and accepts them again when it has joined the others again.
"""

import asyncio
import contextlib
import logging
import weakref
from collections.abc import Callable, Mapping
from contextvars import Context
from typing import Any, Final, Self

from eshet.link import LinkTransport
from eshet.nats.address import NatsAddress
from eshet.nats.connection import NatsConnection
from eshet.nats.exceptions import NatsError
from eshet.nats.members import Member
from eshet.nats.uplink import TTL, NatsUplink
from eshet.protocol import MAX_PAYLOAD
from eshet.server.limits import Limits
from eshet.server.peer import Lease
from eshet.server.router import Router
from eshet.server.server import Server
from eshet.server.session import ServerSession
from eshet.server.shared import SharedRouter

__all__ = ["JoinedServer"]

_GRACE: Final = 2.0
"""Seconds for which NATS may be out of reach, as while the connection moves to another server."""

_CUT_OFF: Final = "the server is cut off from the others"

_OVERHEAD: Final = 4096
"""Bytes of a message between servers beyond that of the client, with some reserve."""

_TURNS: Final = 10
"""Turns of the loop until a client in this process has received what was sent to it."""

_LONGEST_ANSWER: Final = 0.5
"""Seconds to wait for the answers of a client that was set aside."""

_LOOK_EVERY: Final = 0.005

_PAUSE: Final = 0.25
"""Seconds between two attempts to join again."""

_MAX_PAUSE: Final = 2.0

_log: Final = logging.getLogger("eshet.nats")


class JoinedServer(Server):
    """A server whose tree is shared with other servers, through NATS.

    Use it with `async with`, or `open` and `close` it. Clients connect as to any server: over a
    socket after `listen`, and in this process with `Client(server=server)`.

    Args:
        address: of NATS, with the name of the tree.
        details: what this server tells the others about itself: a map that msgpack can pack.
        ttl: seconds after which the others count it as gone, if it does not answer.
        limits: how much one client may use.
        logger: for the connection to NATS, and for errors of clients.
    """

    def __init__(
        self,
        address: NatsAddress,
        *,
        details: Mapping[str, Any] | None = None,
        ttl: float = TTL,
        limits: Limits | None = None,
        logger: logging.Logger = _log,
    ) -> None:
        super().__init__(limits=limits, logger=logger)
        self.address: Final = address
        """The address of NATS."""
        self.connection: Final = NatsConnection(address, name="eshet server", log=logger)
        """The connection to NATS."""
        self.on_members: Callable[[], object] = _do_nothing
        """Called when there are other members than before."""
        self.on_renewed: Callable[[], object] = _do_nothing
        """Called when the entry of this server was renewed; see `sure_since`."""
        self._details = dict(details or {})
        self._ttl = ttl
        # What a message begins, such as a request to NATS, must not end with the rule that sent it.
        self._link_context = Context()
        self._uplink: NatsUplink | None = None
        self._former_id = ""  # before this server was cut off, until it has joined again
        self._staying: asyncio.Task[None] | None = None
        self._reason = "it has not joined the others yet"
        self._joined = asyncio.Event()
        self._joined_at = 0.0  # the loop's time
        self._restored = asyncio.Event()  # set when there is a connection again
        self._cut_off: asyncio.Future[str] = self._loop.create_future()
        self._grace: asyncio.TimerHandle | None = None
        self._leased: weakref.WeakSet[LinkTransport] = weakref.WeakSet()
        self._are_suspended = False
        self.connection.on_lost = self._connection_lost
        self.connection.on_restored = self._connection_restored

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    def __repr__(self) -> str:
        return f"<JoinedServer at {self.address}>"

    def __str__(self) -> str:
        return str(self.address)

    @property
    def is_joined(self) -> bool:
        """Whether this server shares its tree with others now; false while it is cut off."""
        return self._joined.is_set()

    @property
    def sure_since(self) -> float | None:
        """The loop's time since which the others surely count this server; None if they may not.

        They may not if it is cut off, or was without a connection, until it has renewed its entry.
        """
        uplink, connected = self._uplink, self.connection.connected_since
        if uplink is None or not (self.is_joined and self.connection.is_connected):
            return None
        is_sure = uplink.members.renewed_at >= connected
        return max(self._joined_at, connected) if is_sure else None

    @property
    def id(self) -> str:
        """The id of this server, which is new each time that it joins; empty before."""
        return "" if self._uplink is None else self._uplink.id

    @property
    def members(self) -> Mapping[str, Member]:
        """The servers that share the tree, by their ids; with this one."""
        return {} if self._uplink is None else self._uplink.members.alive

    async def open(self) -> None:
        """Connect to NATS, and join the other servers.

        Raises:
            OSError: NATS, or its JetStream, can't be used.
        """
        try:
            await self.connection.open()
            await self._join()
        except NatsError as error:
            await self.close()
            raise OSError(str(error)) from error
        except BaseException:
            await self.close()
            raise
        self._staying = asyncio.create_task(self._stay_joined())

    async def close(self) -> None:
        """Leave the other servers, and close all connections."""
        if self._staying is not None:
            self._staying.cancel()
            await asyncio.wait([self._staying])
        if self._uplink is not None:
            await self._uplink.leave()
        await super().close()
        await self._end_uplink()
        await self.connection.close()

    async def wait_until_joined(self) -> None:
        """Wait until this server shares its tree with others."""
        await self._joined.wait()

    # --- clients ------------------------------------------------------------------------------

    async def connect(
        self, protocol_factory: Callable[[], asyncio.Protocol], lease: Lease | None = None
    ) -> asyncio.BaseTransport:
        """See `Server.connect`.

        Raises:
            OSError: this server is cut off from the others.
        """
        if not self.is_joined:
            raise ConnectionError(f"{self.address}: {self._reason}")
        transport = await super().connect(protocol_factory, lease)
        if lease is not None and isinstance(transport, LinkTransport):
            self._leased.add(transport)
            if self._are_suspended:
                transport.hold()
        return transport

    def suspend_rules(self) -> None:
        """Let clients with a lease receive nothing until `resume_rules`."""
        self._are_suspended = True
        for transport in list(self._leased):
            transport.hold()

    def resume_rules(self) -> None:
        """Let them receive all that they have missed."""
        self._are_suspended = False
        for transport in list(self._leased):
            transport.release()

    async def set_aside(self, role: str) -> None:
        """Send no more events and requests to the clients in a role, as another holder follows.

        For a few seconds, these wait for the next holder: the events until it listens to them and
        `end_holding` is called, the requests until it owns the nodes.

        Returns:
            When the clients have received what was sent to them before, and have answered it; but
            after half a second at the latest.
        """
        router = self._shared_router
        router.set_aside(role)
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        end = self._loop.time() + _LONGEST_ANSWER
        # Polled, as nothing notifies of the last answer.
        while router.awaits_answers(role) and self._loop.time() < end:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_EVERY)

    def end_holding(self, lease: Lease) -> None:
        """Send the clients with a lease what waits for them, as they can handle events now."""
        self._shared_router.end_holding(lease)
        self.flush_soon()

    @property
    def _shared_router(self) -> SharedRouter:
        assert isinstance(self.router, SharedRouter)  # noqa: S101 - see `_make_router`
        return self.router

    def leased(self, lease: Lease) -> "LeasedConnector":
        """Return a connector for a client that acts in a role, as long as its lease is valid.

        Its requests and registrations carry the fencing token of the lease. When the lease has
        ended, or another server has a newer one, the client is disconnected, and its requests are
        answered with `stale_runner`.
        """
        return LeasedConnector(self, lease)

    def _is_intended(self, reason: str) -> bool:
        # That this server is cut off is logged once, not for each client.
        return reason.startswith(_CUT_OFF) or super()._is_intended(reason)

    def started(self, session: ServerSession) -> None:
        """See `eshet.server.session.Host`."""
        super().started(session)
        if not self.is_joined:
            self._loop.call_soon(session.close, f"{_CUT_OFF}: {self._reason}")

    @property
    def max_payload(self) -> int:
        """The longest message of a client of this process, in bytes; see `Connector`."""
        if not self.connection.is_connected:
            return MAX_PAYLOAD
        return max(self.connection.max_payload - _OVERHEAD, MAX_PAYLOAD)

    def _new_link(self, lease: Lease | None) -> ServerSession:
        return ServerSession(self, "in-process link", lease, self.max_payload)

    def _make_router(self) -> Router:
        return SharedRouter(self._loop.time, self.limits)

    # --- membership ---------------------------------------------------------------------------

    async def _join(self) -> None:
        self._uplink = uplink = NatsUplink(
            self.connection,
            self.address.prefix,
            self.address.replicas,
            self._shared_router,
            self._details,
            self._ttl,
            self.flush_soon,
            self._log,
        )
        uplink.members.on_change = self._members_changed
        uplink.members.on_renewed = lambda: self.on_renewed()
        try:
            await uplink.open(self._former_id)
        except BaseException:
            await self._end_uplink()
            raise
        self._former_id = ""
        self._cut_off = self._loop.create_future()
        self._joined_at = self._loop.time()
        self._joined.set()
        self.on_members()

    async def _end_uplink(self) -> None:
        uplink, self._uplink = self._uplink, None
        self._joined.clear()
        if uplink is not None:
            await uplink.close()

    async def _stay_joined(self) -> None:
        """Join again whenever this server was cut off."""
        while True:
            self._reason = await self._until_cut_off()
            self._log.warning(
                "%s: cut off from the other servers, so all clients are disconnected until it is "
                "back: %s",
                self.address,
                self._reason,
            )
            self._joined.clear()
            if self._uplink is not None:
                self._former_id = self._uplink.id
                self._uplink.cut_off()
            await self.disconnect_all(f"{_CUT_OFF}: {self._reason}")
            await self._end_uplink()
            self.on_members()
            await self._join_again()
            self._log.info("%s: joined the other servers again", self.address)

    async def _until_cut_off(self) -> str:
        assert self._uplink is not None  # noqa: S101 - it has joined
        running = asyncio.ensure_future(self._uplink.run())
        reasons = (self._cut_off, self._uplink.reset, running)
        try:
            await asyncio.wait(reasons, return_when=asyncio.FIRST_COMPLETED)
            return next(each.result() for each in reasons if each.done())
        finally:
            running.cancel()
            await asyncio.wait([running])

    async def _join_again(self) -> None:
        pause = _PAUSE
        while True:
            self._restored.clear()
            try:
                if self.connection.is_connected:
                    await self._join()
                    return
            except (NatsError, OSError) as error:
                self._reason = str(error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._restored.wait()
            pause = min(2 * pause, _MAX_PAUSE)

    def _members_changed(self) -> None:
        if self.is_joined:
            self.on_members()

    def _connection_lost(self, reason: str) -> None:
        if self._uplink is not None:
            self._uplink.connection_lost()
        if self._grace is None:
            self._grace = self._loop.call_later(_GRACE, self._end_grace)

    def _connection_restored(self) -> None:
        self._restored.set()
        if self._grace is not None:
            self._grace.cancel()
            self._grace = None
        if self._uplink is not None:
            self._uplink.connection_restored()

    def _end_grace(self) -> None:
        self._grace = None
        if not self._cut_off.done():
            self._cut_off.set_result(f"no connection to NATS for {_GRACE:g} s")


class LeasedConnector:
    """Connects a client with a lease; see `JoinedServer.leased`."""

    is_in_process: Final = True
    """See `eshet.connection.Connector`."""

    def __init__(self, server: JoinedServer, lease: Lease) -> None:
        self._server = server
        self._lease = lease

    async def connect(
        self, protocol_factory: Callable[[], asyncio.Protocol]
    ) -> asyncio.BaseTransport:
        """See `eshet.connection.Connector`."""
        return await self._server.connect(protocol_factory, self._lease)

    def __str__(self) -> str:
        return str(self._server.address)


def _do_nothing() -> None:
    """The callback before another is set."""
