"""A real broker, by paho-mqtt, whose sockets are served by the event loop of asyncio.

paho-mqtt encodes and decodes packets. It calls hooks when its socket is closed or has something to
send (the documented way to use it with another event loop), and this module then calls `loop_read`,
`loop_write` and `loop_misc`. Only the blocking connect runs in a thread.

There is one paho client for each connection, so nothing of an earlier connection is ever sent.
"""

import asyncio
import contextlib
import select
import socket
import ssl
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from eshet.address import Address
from eshet.bridges.mqtt.broker import (
    AT_LEAST_ONCE,
    AT_MOST_ONCE,
    BrokerError,
    BrokerRefused,
    ConnectionLost,
    Loss,
    Message,
    OnLost,
    OnMessage,
)
from eshet.text import safe_str

__all__ = ["Credentials", "PahoBroker"]

TURN: Final = 0.002
"""Time for reading in one turn of the event loop, in seconds; at least one packet is read."""

SESSION_EXPIRY: Final = 30
"""How long the broker keeps the session of a lost connection, in seconds."""

CONNECT_TIMEOUT: Final = 10.0
"""How long connecting may take, in seconds: the name, the socket, TLS, and the broker's answer."""

_CLOSE_TIMEOUT: Final = 1.0

_MAX_UNACKNOWLEDGED: Final = 60_000
"""Receive Maximum of MQTT 5; with less, mosquitto drops messages beyond 20 + 1,000."""

_MAX_UNACKNOWLEDGED_3: Final = 10
"""Without MQTT 5, brokers wait after 20 (mosquitto) or 32 (EMQX) unacknowledged messages."""

_MAX_PACKET: Final = 16 * 2**20
"""Maximum Packet Size of MQTT 5, in bytes: paho-mqtt collects a packet in memory."""

_MAX_IN_FLIGHT: Final = 20
"""How many published messages wait for acknowledgements: what each broker accepts."""

_TAKEN_OVER: Final = 0x8E
_UNSUPPORTED_VERSION: Final = 0x84
_FAILURE: Final = 0x80
"""Reason codes from this one on are failures (MQTT 5.0, section 2.4)."""

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
"""For SO_LINGER: closing drops what was not sent."""

_REASONS: Final = {
    MQTTErrorCode.MQTT_ERR_CONN_LOST: "the broker closed the connection",
    MQTTErrorCode.MQTT_ERR_KEEPALIVE: "the broker does not answer",
    MQTTErrorCode.MQTT_ERR_PROTOCOL: "the broker sent a packet that is not valid",
}


@dataclass(frozen=True)
class Credentials:
    """The user of a broker.

    Args:
        user: name.
        password: never shown; None for none.
    """

    user: str
    password: str | None = field(default=None, repr=False)


class PahoBroker:
    """A `Broker` that is reached over TCP or TLS.

    It uses MQTT 5.0, or 3.1.1 if the broker refuses that. With 3.1.1 no session is resumed.

    Args:
        address: of the broker.
        client_id: unique among the clients of the broker.
        credentials: None for a broker that asks for none.
        tls: how to check the certificate of the broker; None for a connection without TLS.
        keep_alive: the interval in whole seconds in which a packet is sent at least; a connection
            over which nothing arrives for 1.5 times that is lost.
    """

    def __init__(
        self,
        address: Address,
        *,
        client_id: str,
        credentials: Credentials | None = None,
        tls: ssl.SSLContext | None = None,
        keep_alive: int = 15,
    ) -> None:
        self._address = address
        self._client_id = client_id
        self._credentials = credentials
        self._tls = tls
        self._keep_alive = keep_alive
        self._protocol = MQTTProtocolVersion.MQTTv5
        self._connection: _Connection | None = None

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
        assert self._connection is None or self._connection.is_closed
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                return await self._connect(on_message, on_lost, will, resume=resume)
        except TimeoutError:
            raise BrokerError(f"no answer within {CONNECT_TIMEOUT:g} s") from None

    async def _connect(
        self, on_message: OnMessage, on_lost: OnLost, will: Message | None, *, resume: bool
    ) -> bool:
        try:
            return await self._connect_by(self._protocol, on_message, on_lost, will, resume)
        except _UnsupportedVersion:
            if self._protocol != MQTTProtocolVersion.MQTTv5:
                raise
            self._protocol = MQTTProtocolVersion.MQTTv311
        except _NoAnswer:
            # Some old brokers close the connection instead. But so does one that restarts: the
            # next attempt begins with MQTT 5 again.
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
        connection = _Connection(client, protocol, on_message, on_lost)
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
        client.max_inflight_messages = 0  # limited by `_Connection`, where a message can expire
        if self._credentials is not None:
            client.username_pw_set(self._credentials.user, self._credentials.password)
        if self._tls is not None:
            client.tls_set_context(self._tls)
            if not self._tls.check_hostname:
                # paho-mqtt would check it by a function that Python 3.12 has removed.
                client.tls_insecure_set(True)
        if will is not None:
            client.will_set(will.topic, will.payload, will.qos, will.retained)
        return client

    async def _open(self, client: paho.Client, *, resume: bool) -> None:
        """Connect the socket, and send the first packet."""
        host, port = self._address.host, self._address.port
        options: dict[str, Any] = {}
        if client.protocol == MQTTProtocolVersion.MQTTv5:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = SESSION_EXPIRY
            properties.ReceiveMaximum = _MAX_UNACKNOWLEDGED
            properties.MaximumPacketSize = _MAX_PACKET
            options = {"clean_start": not resume, "properties": properties}
        loop = asyncio.get_running_loop()
        connecting = loop.run_in_executor(
            None, lambda: client.connect(host, port, self._keep_alive, **options)
        )
        try:
            await asyncio.shield(connecting)
        except asyncio.CancelledError:
            connecting.add_done_callback(lambda _: _close_socket(client))
            raise
        except (OSError, ValueError) as error:
            raise BrokerError(_text(error)) from error

    async def subscribe(self, filters: Sequence[str]) -> Mapping[str, str]:
        """See `Broker.subscribe`."""
        return await self._get().subscribe(filters)

    async def unsubscribe(self, filters: Sequence[str]) -> None:
        """See `Broker.unsubscribe`."""
        await self._get().unsubscribe(filters)

    async def publish(self, message: Message) -> None:
        """See `Broker.publish`."""
        await self._get().publish(message)

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

    def _get(self) -> "_Connection":
        if self._connection is None:
            raise ConnectionLost("not connected")
        return self._connection


class _UnsupportedVersion(BrokerRefused):
    """The broker does not know this version of MQTT."""


class _NoAnswer(BrokerError):
    """The connection ended before the broker answered to the first packet."""


class _Connection:
    """One connection: a paho client whose socket is served by the running loop.

    Args:
        client: not connected yet.
        protocol: the version of MQTT.
        on_message: see `OnMessage`.
        on_lost: see `OnLost`.
    """

    def __init__(
        self,
        client: paho.Client,
        protocol: MQTTProtocolVersion,
        on_message: OnMessage,
        on_lost: OnLost,
    ) -> None:
        self.protocol: Final = protocol
        self._loop = asyncio.get_running_loop()
        self.accepted: asyncio.Future[bool] = self._loop.create_future()
        """Whether the session was resumed, when the broker has accepted the connection."""
        self._client = client
        self._on_message = on_message
        self._on_lost = on_lost
        self.is_closed = False
        self._socket: Any = None  # while it is served
        self._poll = select.poll()
        self._write_handle: asyncio.Handle | None = None
        self._waits_writable = False
        self._is_reading = False
        self._check_handle: asyncio.TimerHandle | None = None
        self._received_at = 0.0
        self._sent_at = 0.0
        self._slots = asyncio.Semaphore(_MAX_IN_FLIGHT)
        self._replies: dict[int, asyncio.Future[Sequence[ReasonCode]]] = {}
        self._acknowledgements: dict[int, asyncio.Future[None]] = {}
        self._written: list[asyncio.Future[None]] = []
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_paho_message
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_reply
        client.on_unsubscribe = self._on_reply
        client.on_socket_register_write = self._on_register_write
        client.on_socket_close = self._on_socket_close

    # The socket.

    def attach(self) -> None:
        """Serve the socket, which was connected in a thread."""
        self._socket = self._client.socket()
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._poll.register(self._socket, select.POLLIN)
        self._loop.add_reader(self._socket, self._on_readable)
        self._received_at = self._sent_at = self._loop.time()
        self._check()
        self._write()

    def _on_readable(self) -> None:
        """Read as many packets as there are, for as long as a turn may take."""
        self._received_at = now = self._loop.time()
        ends = now + TURN
        self._is_reading = True
        try:
            while True:
                self._client.loop_read()
                if self._socket is None:
                    return
                if self._has_decrypted_bytes():
                    if self._loop.time() >= ends:
                        self._loop.call_soon(self._read_pending)
                        return
                elif not self._poll.poll(0) or self._loop.time() >= ends:
                    return
        except Exception as error:  # of a packet that paho-mqtt does not expect
            self._lose(Loss(f"a packet can't be read: {_text(error)}"))
        finally:
            self._is_reading = False

    def _has_decrypted_bytes(self) -> bool:
        """Whether TLS has decrypted bytes, of which a selector knows nothing."""
        return isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0

    def _read_pending(self) -> None:
        if self._socket is not None:
            self._on_readable()

    def _on_register_write(self, *_: object) -> None:
        if self._socket is not None and self._write_handle is None:
            self._write_handle = self._loop.call_soon(self._write)

    def _write(self) -> None:
        """Send what paho-mqtt has queued, now, or when the socket takes it."""
        if self._is_reading:
            # Its callbacks hold a lock that sending takes as well; a handler that starts an eager
            # task may get here in one of them.
            self._on_register_write()
            return
        if self._write_handle is not None:
            self._write_handle.cancel()
            self._write_handle = None
        if self._socket is None:
            return
        self._client.loop_write()
        self._sent_at = self._loop.time()
        if self._socket is None:
            return
        is_blocked = self._client.want_write()
        if is_blocked and not self._waits_writable:
            self._loop.add_writer(self._socket, self._write)
        elif self._waits_writable and not is_blocked:
            self._loop.remove_writer(self._socket)
        self._waits_writable = is_blocked
        if not is_blocked and self._written:
            written, self._written = self._written, []
            for future in written:
                if not future.done():
                    future.set_result(None)

    def _check(self) -> None:
        """Let paho-mqtt send a ping if it is due, and end a silent connection."""
        keep_alive = self._client.keepalive  # the broker may have changed it
        now = self._loop.time()
        if now >= self._received_at + 1.5 * keep_alive:
            self.abort(f"nothing was received from the broker for {now - self._received_at:.0f} s")
            return
        self._client.loop_misc()
        if self.is_closed:
            return
        due = min(
            min(self._sent_at, self._received_at) + keep_alive,
            self._received_at + 1.5 * keep_alive,
        )
        # paho-mqtt takes its own times, which are slightly later.
        due = max(due, now + keep_alive / 10)
        self._check_handle = self._loop.call_at(due, self._check)

    def _on_socket_close(self, *_: object) -> None:
        """Stop serving the socket; paho-mqtt closes it."""
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket = None

    # Packets.

    def _on_connect(
        self,
        _client: paho.Client,
        _userdata: object,
        flags: paho.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if self.accepted.done():
            return
        if reason.value < _FAILURE:
            maximum = getattr(properties, "ReceiveMaximum", _MAX_IN_FLIGHT)
            if maximum < _MAX_IN_FLIGHT:
                self._slots = asyncio.Semaphore(maximum)
            self.accepted.set_result(flags.session_present)
        elif reason.value == _UNSUPPORTED_VERSION:
            self.accepted.set_exception(_UnsupportedVersion(str(reason)))
        else:
            self.accepted.set_exception(BrokerRefused(f"the broker refused it: {reason}"))

    def _on_disconnect(
        self,
        _client: paho.Client,
        _userdata: object,
        flags: paho.DisconnectFlags,
        reason: ReasonCode,
        _properties: object,
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            text = f"the broker ended the connection: {reason}"
            self._lose(Loss(text, is_taken_over=reason.value == _TAKEN_OVER))
        else:
            self._lose(Loss(_REASONS[MQTTErrorCode.MQTT_ERR_CONN_LOST]))

    def _on_paho_message(
        self, _client: paho.Client, _userdata: object, message: paho.MQTTMessage
    ) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError as error:
            topic = error.object.decode(errors="surrogateescape")
        self._on_message(
            Message(topic, bytes(message.payload), message.retain, message.qos, message.mid)
        )

    def acknowledge(self, message: Message) -> None:
        """See `Broker.acknowledge`."""
        self._client.ack(message.number, message.qos)

    async def publish(self, message: Message) -> None:
        """See `Broker.publish`."""
        if message.qos == AT_MOST_ONCE:
            self._start_publishing(message)
            self._write()
            if self._client.want_write() and not self.is_closed:
                written: asyncio.Future[None] = self._loop.create_future()
                self._written.append(written)
                await written
            return
        await self._slots.acquire()
        if self.is_closed:
            self._slots.release()  # for the next one that waits
        self._check_open()
        acknowledged = self._loop.create_future()
        self._acknowledgements[self._start_publishing(message)] = acknowledged
        self._write()
        await acknowledged

    def _start_publishing(self, message: Message) -> int:
        self._check_open()
        properties = None
        if message.expires and self.protocol == MQTTProtocolVersion.MQTTv5:
            properties = _expiry(message.expires)
        info = self._client.publish(
            message.topic, message.payload, message.qos, message.retained, properties
        )
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise ConnectionLost(paho.error_string(info.rc))
        return info.mid

    def _on_publish(
        self,
        _client: paho.Client,
        _userdata: object,
        number: int,
        reason: ReasonCode,
        _properties: object,
    ) -> None:
        acknowledged = self._acknowledgements.pop(number, None)
        if acknowledged is None:
            return  # QoS 0
        self._slots.release()
        if acknowledged.done():
            return
        if reason.value < _FAILURE:
            acknowledged.set_result(None)
        else:
            acknowledged.set_exception(BrokerRefused(f"the broker refused it: {reason}"))

    async def subscribe(self, filters: Sequence[str]) -> Mapping[str, str]:
        """See `Broker.subscribe`."""
        self._check_open()
        _, number = self._client.subscribe([(each, AT_LEAST_ONCE) for each in filters])
        reasons = await self._reply(number)
        return {
            each: str(reason)
            for each, reason in zip(filters, reasons, strict=True)
            if reason.value >= _FAILURE
        }

    async def unsubscribe(self, filters: Sequence[str]) -> None:
        """See `Broker.unsubscribe`."""
        self._check_open()
        _, number = self._client.unsubscribe(list(filters))
        await self._reply(number)

    async def _reply(self, number: int | None) -> Sequence[ReasonCode]:
        assert number is not None  # as the connection is open
        reply = self._replies[number] = self._loop.create_future()
        return await reply

    def _on_reply(
        self,
        _client: paho.Client,
        _userdata: object,
        number: int,
        reasons: Sequence[ReasonCode],
        _properties: object,
    ) -> None:
        reply = self._replies.pop(number, None)
        if reply is not None and not reply.done():
            reply.set_result(reasons)

    # The end.

    async def close(self) -> None:
        """Disconnect without the will."""
        if self.is_closed:
            return
        self._on_lost = _ignore
        properties = None
        if self.protocol == MQTTProtocolVersion.MQTTv5:
            properties = Properties(PacketTypes.DISCONNECT)
            properties.SessionExpiryInterval = 0
        closed = self._loop.create_future()
        self._on_lost = lambda _: closed.done() or closed.set_result(None)
        self._client.disconnect(properties=properties)
        self._write()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await closed
        self.discard()

    def abort(self, reason: str) -> None:
        """See `Broker.abort`."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._lose(Loss(reason))

    def discard(self) -> None:
        """End the connection without calling `on_lost`."""
        self._on_lost = _ignore
        self.accepted.cancel()
        self._lose(Loss("closed"))

    def _lose(self, loss: Loss) -> None:
        """End all that waits; after that, nothing happens any more."""
        if self.is_closed:
            return
        self.is_closed = True
        if self._check_handle is not None:
            self._check_handle.cancel()
        if self._write_handle is not None:
            self._write_handle.cancel()
        self._on_socket_close()
        _close_socket(self._client)
        error = ConnectionLost(loss.reason)
        waiting = [*self._replies.values(), *self._acknowledgements.values(), *self._written]
        for future in waiting:
            if not future.done():
                future.set_exception(error)
        for _ in self._acknowledgements:
            self._slots.release()
        if self.accepted.done():
            self._on_lost(loss)
        else:
            self.accepted.set_exception(_NoAnswer(loss.reason))

    def _check_open(self) -> None:
        if self.is_closed:
            raise ConnectionLost("not connected")


_expiries: Final[dict[int, Properties]] = {}


def _expiry(seconds: int) -> Properties:
    properties = _expiries.get(seconds)
    if properties is None:
        properties = _expiries[seconds] = Properties(PacketTypes.PUBLISH)
        properties.MessageExpiryInterval = seconds
    return properties


def _close_socket(client: paho.Client) -> None:
    """Close the socket of a client that is no longer used."""
    opened = client.socket()
    client.on_socket_close = None
    client.on_disconnect = None
    if opened is not None:
        opened.close()


def _text(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or safe_str(error)}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return safe_str(error) or type(error).__name__


def _ignore(_: object) -> None:
    """Replaces the callbacks of a connection that was closed."""
