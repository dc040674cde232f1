"""A real broker, through paho-mqtt, which encodes and decodes the packets.

Its sockets are served by the event loop of asyncio (`paho_connection.py`); only the blocking
connect runs in a thread. There is one paho client for each connection, so unsent data
of an earlier connection is never sent.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes

from eshet.address import Address
from eshet.bridges.mqtt.broker import (
    AT_MOST_ONCE,
    BrokerError,
    BrokerRefused,
    Message,
    NotConnected,
    OnDone,
    OnLost,
    OnMessage,
)
from eshet.bridges.mqtt.paho_connection import (
    NoAnswer,
    NotAuthorized,
    PahoConnection,
    UnsupportedVersion,
    close_socket,
    error_text,
    properties_of,
)

__all__ = ["Credentials", "PahoBroker"]

SESSION_EXPIRY: Final = 30
"""Seconds for which the broker keeps the session of a lost connection."""

CONNECT_TIMEOUT: Final = 10.0
"""Maximum time to connect, in seconds: the name, the socket, TLS, and the broker's answer."""

_MAX_UNACKNOWLEDGED: Final = 60_000
"""Receive Maximum of MQTT 5; with less, mosquitto drops messages beyond 20 + 1,000."""

_MAX_UNACKNOWLEDGED_3: Final = 10
"""Without MQTT 5, brokers wait after 20 (mosquitto) or 32 (EMQX) unacknowledged messages."""

_MAX_PACKET: Final = 16 * 2**20
"""Maximum Packet Size of MQTT 5, in bytes: paho-mqtt collects a packet in memory."""


_MAX_KEEP_ALIVE: Final = 65_535


@dataclass(frozen=True)
class Credentials:
    """The user of a broker.

    Args:
        user: name.
        password: never shown; None for a user without a password.
    """

    user: str
    password: str | None = field(default=None, repr=False)


class PahoBroker:
    """A `Broker` that is reached over TCP or TLS.

    It uses MQTT 5.0, or 3.1.1 if the broker refuses that. With 3.1.1 no session is resumed.

    Args:
        address: of the broker.
        client_id: unique among the clients of the broker.
        credentials: returns the user and the password, at each attempt to connect, as they may have
            been corrected; may raise `BrokerError`. None for a broker that needs no user.
        advice: how to correct a user or a password that the broker does not accept.
        tls: how to check the certificate of the broker; None for a connection without TLS.
        keep_alive: the longest interval between two sent packets, in whole seconds, unless the
            broker chooses another; a connection counts as lost if nothing arrives for 1.5 times
            that interval.

    Raises:
        ValueError: `keep_alive` is not valid.
    """

    def __init__(
        self,
        address: Address,
        *,
        client_id: str,
        credentials: Callable[[], Credentials] | None = None,
        advice: str = "",
        tls: ssl.SSLContext | None = None,
        keep_alive: int = 15,
    ) -> None:
        if not 1 <= keep_alive <= _MAX_KEEP_ALIVE:
            raise ValueError(f"keep_alive={keep_alive}: write 1 to {_MAX_KEEP_ALIVE} whole seconds")
        self._address = address
        self._client_id = client_id
        self._credentials = credentials
        self._advice = advice
        self._tls = tls
        self._keep_alive = keep_alive
        self._protocol = MQTTProtocolVersion.MQTTv5
        self._connection: PahoConnection | None = None

    def __str__(self) -> str:
        return f"{'mqtt' if self._tls is None else 'mqtts'}://{self._address}"

    @property
    def client_id(self) -> str:
        """See `Broker.client_id`."""
        return self._client_id

    @property
    def max_unacknowledged(self) -> int:
        """See `Broker.max_unacknowledged`."""
        is_5 = self._connection is None or self._connection.protocol == MQTTProtocolVersion.MQTTv5
        return _MAX_UNACKNOWLEDGED if is_5 else _MAX_UNACKNOWLEDGED_3

    async def connect(
        self, on_message: OnMessage, on_lost: OnLost, will: Message | None, *, resume: bool
    ) -> bool:
        """See `Broker.connect`."""
        if self._connection is not None:
            self._connection.discard()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                return await self._connect(on_message, on_lost, will, resume=resume)
        except NotAuthorized as error:
            raise BrokerRefused("; ".join(filter(None, [str(error), self._advice]))) from None
        except TimeoutError:
            raise BrokerError(f"no answer within {CONNECT_TIMEOUT:g} s") from None

    async def _connect(
        self, on_message: OnMessage, on_lost: OnLost, will: Message | None, *, resume: bool
    ) -> bool:
        try:
            return await self._connect_by(self._protocol, on_message, on_lost, will, resume)
        except UnsupportedVersion:
            if self._protocol != MQTTProtocolVersion.MQTTv5:
                raise
            self._protocol = MQTTProtocolVersion.MQTTv311
        except NoAnswer:
            # Some old brokers close the connection instead. But a broker that restarts does so as
            # well: the next attempt begins with MQTT 5 again.
            if self._protocol != MQTTProtocolVersion.MQTTv5:
                raise
        protocol = MQTTProtocolVersion.MQTTv311
        return await self._connect_by(protocol, on_message, on_lost, will, resume)

    async def _connect_by(
        self,
        protocol: MQTTProtocolVersion,
        on_message: OnMessage,
        on_lost: OnLost,
        will: Message | None,
        resume: bool,
    ) -> bool:
        client = self._make_client(protocol, will)
        connection = PahoConnection(client, protocol, on_message, on_lost)
        try:
            await self._open(client, resume=resume)
            connection.attach()
            resumed = await connection.accepted
        except BaseException:
            connection.discard()
            raise
        self._connection = connection
        return resumed

    def _make_client(self, protocol: MQTTProtocolVersion, will: Message | None) -> paho.Client:
        is_5 = protocol == MQTTProtocolVersion.MQTTv5
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            self._client_id,
            clean_session=None if is_5 else True,
            protocol=protocol,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.connect_timeout = CONNECT_TIMEOUT
        client.max_inflight_messages = 0  # limited by `PahoConnection`, where a message can expire
        if self._credentials is not None:
            credentials = self._credentials()
            client.username_pw_set(credentials.user, credentials.password)
        if will is not None:
            client.will_set(will.topic, will.payload, will.qos, will.retained)
        return client

    async def _open(self, client: paho.Client, *, resume: bool) -> None:
        """Connect the socket in a thread, and queue the first packet."""
        tls = None if self._tls is None else _TlsContext(self._tls)
        if tls is not None:
            client.tls_set_context(cast(ssl.SSLContext, tls))
        host, port = self._address.host, self._address.port
        options: dict[str, Any] = {}
        if client.protocol == MQTTProtocolVersion.MQTTv5:
            properties = properties_of(
                PacketTypes.CONNECT,
                SessionExpiryInterval=SESSION_EXPIRY,
                ReceiveMaximum=_MAX_UNACKNOWLEDGED,
                MaximumPacketSize=_MAX_PACKET,
            )
            options = {"clean_start": not resume, "properties": properties}
        loop = asyncio.get_running_loop()
        connecting = loop.run_in_executor(
            None, lambda: client.connect(host, port, self._keep_alive, **options)
        )
        try:
            await asyncio.shield(connecting)
        except asyncio.CancelledError:
            connecting.add_done_callback(lambda done: _abandon(client, tls, done))
            raise
        except (OSError, ValueError) as error:
            if tls is not None:
                tls.close()
            raise BrokerError(error_text(error)) from error

    async def subscribe(self, filters: Sequence[str]) -> Mapping[str, str]:
        """See `Broker.subscribe`."""
        return await self._get().subscribe(filters)

    async def unsubscribe(self, filters: Sequence[str]) -> None:
        """See `Broker.unsubscribe`."""
        await self._get().unsubscribe(filters)

    def publish(self, message: Message, on_done: OnDone) -> bool:
        """See `Broker.publish`."""
        return self._connection is not None and self._connection.publish(message, on_done)

    def acknowledge(self, message: Message) -> None:
        """See `Broker.acknowledge`."""
        if message.qos != AT_MOST_ONCE:
            self._get().acknowledge(message)

    async def close(self) -> None:
        """See `Broker.close`."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    def abort(self, reason: str) -> None:
        """See `Broker.abort`."""
        if self._connection is not None:
            self._connection.abort(reason)

    def _get(self) -> PahoConnection:
        if self._connection is None:
            raise NotConnected("not connected")
        return self._connection


class _TlsContext:
    """The part of an `ssl.SSLContext` that paho-mqtt uses; it keeps a reference to the socket.

    So the socket can be closed after a failed handshake, when paho-mqtt leaves it open.

    Args:
        context: how to check the certificate of the broker.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self.check_hostname: Final = context.check_hostname
        self._context = context
        self._socket: ssl.SSLSocket | None = None

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:
        """See `ssl.SSLContext.wrap_socket`."""
        self._socket = self._context.wrap_socket(*args, **options)
        return self._socket

    def close(self) -> None:
        """Close the socket, if there is one."""
        if self._socket is not None:
            self._socket.close()


def _abandon(client: paho.Client, tls: _TlsContext | None, done: "asyncio.Future[Any]") -> None:
    """Close the sockets of a cancelled attempt when its thread has ended."""
    if not done.cancelled():
        done.exception()  # retrieved, so that asyncio does not log it
    close_socket(client)
    if tls is not None:
        tls.close()
