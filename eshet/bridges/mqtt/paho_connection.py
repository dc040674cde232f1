"""One connection to a real broker: a paho-mqtt client with its socket served by the event loop.

paho-mqtt calls hooks when its socket is closed or has something to send (the documented way to use
it with another event loop), and this module calls `loop_read`, `loop_write` and `loop_misc`.
"""

import asyncio
import contextlib
import functools
import select
import socket
import ssl
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from eshet.bridges.mqtt.broker import (
    AT_LEAST_ONCE,
    AT_MOST_ONCE,
    BrokerError,
    BrokerRefused,
    ConnectionLost,
    Loss,
    Message,
    NotConnected,
    OnDone,
    OnLost,
    OnMessage,
)
from eshet.text import safe_str

__all__ = [
    "NoAnswer",
    "PahoConnection",
    "UnsupportedVersion",
    "close_socket",
    "error_text",
    "properties_of",
]

TURN: Final = 0.002
"""Time for reading in one turn of the event loop, in seconds; at least one packet is read."""

_CLOSE_TIMEOUT: Final = 1.0

_MAX_IN_FLIGHT: Final = 20
"""Maximum number of published messages without an acknowledgement; every broker accepts it."""

_TAKEN_OVER: Final = 0x8E
_UNSUPPORTED_VERSION: Final = 0x84
_NOT_AUTHORIZED: Final = (0x86, 0x87)
_FAILURE: Final = 0x80
"""Reason codes from this one on are failures (MQTT 5.0, section 2.4)."""

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
"""For SO_LINGER: closing drops unsent data."""


class UnsupportedVersion(BrokerRefused):
    """The broker does not know this version of MQTT."""


class NotAuthorized(BrokerRefused):
    """The broker does not accept the user or the password."""


class NoAnswer(BrokerError):
    """The connection ended before the broker answered the first packet."""


class PahoConnection:
    """One connection: a paho client, with its socket served by the running loop.

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
        self._is_accepted = False
        self._client = client
        self._on_message = on_message
        self._on_lost = on_lost
        self.is_closed: bool = False
        self._socket: Any = None  # while it is served
        self._poll = select.poll()
        self._write_handle: asyncio.Handle | None = None
        self._waits_writable = False
        self._is_reading = False
        self._check_handle: asyncio.TimerHandle | None = None
        self._received_at = 0.0
        self._sent_at = 0.0
        self._max_in_flight = _MAX_IN_FLIGHT
        self._replies: dict[int, asyncio.Future[Sequence[ReasonCode]]] = {}
        self._unacknowledged: dict[int, OnDone] = {}  # by number
        self._written: list[OnDone] = []
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
        """Start serving the socket, which was connected in a thread."""
        self._socket = self._client.socket()
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._poll.register(self._socket, select.POLLIN)
        self._loop.add_reader(self._socket, self._on_readable)
        self._received_at = self._sent_at = self._loop.time()
        self._check()
        self._write()

    def _on_readable(self) -> None:
        """Read packets until no more are available, or until the time of a turn is used up."""
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
        except Exception as error:  # paho-mqtt raises various errors for unexpected packets
            self._lose(Loss(f"a packet can't be read: {error_text(error)}"))
        finally:
            self._is_reading = False

    def _has_decrypted_bytes(self) -> bool:
        """Whether TLS holds decrypted bytes, which a selector does not report."""
        return isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0

    def _read_pending(self) -> None:
        if self._socket is not None:
            self._on_readable()

    def _on_register_write(self, *_: object) -> None:
        if self._socket is not None and self._write_handle is None:
            self._write_handle = self._loop.call_soon(self._write)

    def _write(self) -> None:
        """Send the packets that paho-mqtt has queued, now or when the socket is writable."""
        if self._is_reading:
            # The callbacks of paho-mqtt hold a lock that sending needs as well; a handler that
            # starts an eager task may get here within one of them.
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
            for on_done in written:
                on_done(None)

    def _check(self) -> None:
        """Let paho-mqtt send a ping if one is due, and end a silent connection."""
        if self._check_handle is not None:
            self._check_handle.cancel()
        keep_alive = self._client.keepalive  # the broker may have changed it
        if self.is_closed or not keep_alive:  # 0 if the broker wants no pings
            return
        now = self._loop.time()
        if now >= self._received_at + 1.5 * keep_alive:
            self.abort(f"nothing was received from the broker for {now - self._received_at:.0f} s")
            return
        self._client.loop_misc()
        if self._socket is None:
            return
        due = min(
            min(self._sent_at, self._received_at) + keep_alive,
            self._received_at + 1.5 * keep_alive,
        )
        # paho-mqtt measures its own times, which are slightly later.
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
            self._max_in_flight = min(maximum, _MAX_IN_FLIGHT)
            self._is_accepted = True
            self._loop.call_soon(self._check)  # as it may have chosen another interval of pings
            self.accepted.set_result(flags.session_present)
        elif reason.value == _UNSUPPORTED_VERSION:
            self.accepted.set_exception(UnsupportedVersion(str(reason)))
        else:
            problem = f"the broker refused the connection: {reason}"
            kind = NotAuthorized if reason.value in _NOT_AUTHORIZED else BrokerRefused
            self.accepted.set_exception(kind(problem))

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
            self._lose(Loss("the broker closed the connection"))

    def _on_paho_message(
        self, _client: paho.Client, _userdata: object, message: paho.MQTTMessage
    ) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError as error:
            topic = error.object.decode(errors="surrogateescape")
        self._on_message(
            Message(
                topic,
                bytes(message.payload),
                message.retain,
                message.qos,
                message.mid,
                message.dup,
            )
        )

    def acknowledge(self, message: Message) -> None:
        """See `Broker.acknowledge`."""
        self._client.ack(message.number, message.qos)

    def publish(self, message: Message, on_done: OnDone) -> bool:
        """See `Broker.publish`."""
        if self.is_closed or not self._is_accepted:
            return False
        if message.qos == AT_MOST_ONCE:
            self._start_publishing(message)
            self._written.append(on_done)
        elif len(self._unacknowledged) < self._max_in_flight:
            self._unacknowledged[self._start_publishing(message)] = on_done
        else:
            return False
        self._write()
        return True

    def _start_publishing(self, message: Message) -> int:
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
        on_done = self._unacknowledged.pop(number, None)
        if on_done is None:
            return  # QoS 0
        if reason.value < _FAILURE:
            on_done(None)
        else:
            on_done(BrokerRefused(f"the broker refused the message: {reason}"))

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
        if number is None:
            raise NotConnected("not connected")
        reply: asyncio.Future[Sequence[ReasonCode]] = self._loop.create_future()
        self._replies[number] = reply
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
        properties = None
        if self.protocol == MQTTProtocolVersion.MQTTv5:
            properties = properties_of(PacketTypes.DISCONNECT, SessionExpiryInterval=0)
        closed: asyncio.Future[Loss] = self._loop.create_future()
        self._on_lost = closed.set_result
        self._client.disconnect(properties=properties)
        self._write()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await asyncio.shield(closed)
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
        """Fail all requests that wait; later calls and packets have no effect."""
        if self.is_closed:
            return
        self.is_closed = True
        if self._check_handle is not None:
            self._check_handle.cancel()
        if self._write_handle is not None:
            self._write_handle.cancel()
        self._on_socket_close()
        close_socket(self._client)
        error = ConnectionLost(loss.reason)
        for future in self._replies.values():
            if not future.done():
                future.set_exception(error)
                future.exception()  # retrieved: its caller may be cancelled in the same step
        unsent, self._written = self._written, []
        for on_done in (*unsent, *self._unacknowledged.values()):
            on_done(error)
        self._unacknowledged.clear()
        if self._is_accepted:
            self._on_lost(loss)
        elif not self.accepted.done():
            self.accepted.set_exception(NoAnswer(loss.reason))

    def _check_open(self) -> None:
        if self.is_closed or not self._is_accepted:
            raise NotConnected("not connected")


class _PackedOnce(Properties):
    """Properties that are the same for many messages, and are not packed again for each of them."""

    def __init__(self, packet: int, **values: int) -> None:
        super().__init__(packet)  # type: ignore[no-untyped-call]
        for name, value in values.items():
            setattr(self, name, value)
        # Not by assignment, as paho-mqtt accepts only properties of MQTT there.
        self.__dict__["_packed"] = super().pack()  # type: ignore[no-untyped-call]

    def pack(self) -> bytes:
        """Return the properties, encoded for a packet."""
        packed: bytes = self.__dict__["_packed"]
        return packed


@functools.cache
def _expiry(seconds: int) -> Properties:
    return _PackedOnce(PacketTypes.PUBLISH, MessageExpiryInterval=seconds)


def properties_of(packet: int, **values: int) -> Properties:
    """Return properties of MQTT 5 for a kind of packet, of `PacketTypes`."""
    properties = Properties(packet)  # type: ignore[no-untyped-call]
    for name, value in values.items():
        setattr(properties, name, value)
    return properties


def close_socket(client: paho.Client) -> None:
    """Close the socket of a client after its last use."""
    opened = client.socket()
    client.on_socket_close = None
    client.on_disconnect = None
    if opened is not None:
        opened.close()


def error_text(error: Exception) -> str:
    """Return the text of an error of the network or of TLS, without its number."""
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or safe_str(error)}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return safe_str(error) or type(error).__name__


def _ignore(_: object) -> None:
    """Replaces the callbacks of a connection that was closed."""
