"""The interface to an MQTT broker: one connection at a time, which is lost or closed once.

Topics, filters and levels of quality of service (QoS) are those of MQTT 3.1.1 and 5.0.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from eshet.bridges.exceptions import BridgeError

__all__ = [
    "AT_LEAST_ONCE",
    "AT_MOST_ONCE",
    "Broker",
    "BrokerError",
    "BrokerRefused",
    "ConnectionLost",
    "Loss",
    "Message",
    "NotConnected",
    "OnLost",
    "OnMessage",
]

AT_MOST_ONCE: Final = 0
AT_LEAST_ONCE: Final = 1


class BrokerError(BridgeError):
    """The broker, or the connection to it, failed."""


class BrokerRefused(BrokerError):
    """The broker refused the request, as for a wrong password; a later attempt may succeed."""


class ConnectionLost(BrokerError):
    """The connection ended before the broker acknowledged the request."""


class NotConnected(BrokerError):
    """There is no connection, so that nothing was sent."""


class Message(NamedTuple):
    """A published message.

    Args:
        topic: its topic, without wildcards. Bytes that are not UTF-8 are lone surrogates in it, as
            by the error handler `surrogateescape`.
        payload: as it was sent.
        retained: received: the broker had stored it before the subscription. To publish: the broker
            is to store it.
        qos: `AT_MOST_ONCE` or `AT_LEAST_ONCE`.
        number: identifies a received message that is to be acknowledged.
        is_repeated: received: the broker has sent it before, and got no acknowledgement.
        expires: to publish: after how many seconds the broker drops it if it could not deliver it;
            0 for never. Brokers without MQTT 5 ignore it.
    """

    topic: str
    payload: bytes
    retained: bool = False
    qos: int = AT_MOST_ONCE
    number: int = 0
    is_repeated: bool = False
    expires: int = 0


class Loss(NamedTuple):
    """Why a connection was lost.

    Args:
        reason: for the log.
        is_taken_over: whether the broker said that another client has connected with the same id.
    """

    reason: str
    is_taken_over: bool = False


OnMessage = Callable[[Message], object]
"""Called with each received message, in the step in which it arrived; must not raise."""

OnLost = Callable[[Loss], object]
"""Called once when a connection was lost; not after `close`. Must not raise."""


class Broker(Protocol):
    """A broker to connect to, one connection at a time; `str` of it is its address for the log."""

    @property
    def client_id(self) -> str:
        """The id of this client, which the broker knows it by."""
        ...

    @property
    def max_unacknowledged(self) -> int:
        """How many received messages may be unacknowledged.

        With more of them, the broker may stop sending, and may drop messages without notice. Valid
        while connected.
        """
        ...

    async def connect(
        self, on_message: OnMessage, on_lost: OnLost, will: Message | None, *, resume: bool
    ) -> bool:
        """Connect.

        If this is cancelled, no connection remains.

        Args:
            on_message: see `OnMessage`.
            on_lost: see `OnLost`.
            will: what the broker publishes when the connection is lost.
            resume: whether to receive what was not acknowledged in a connection that was lost a
                moment ago, if the broker has kept it; otherwise the broker forgets that.

        Returns:
            Whether the broker has kept the subscriptions of that connection, and sends again what
            was not acknowledged in it.

        Raises:
            BrokerRefused: the broker is there, and refused the connection.
            BrokerError: the broker can't be reached.
        """
        ...

    async def subscribe(self, filters: Sequence[str]) -> Mapping[str, str]:
        """Subscribe with QoS 1, and return when the broker has answered.

        The broker then sends all retained messages that match, even if it was subscribed before.

        Args:
            filters: of topics.

        Returns:
            The filters that the broker refused, each with its reason.

        Raises:
            ConnectionLost: see there.
            NotConnected: see there.
        """
        ...

    async def unsubscribe(self, filters: Sequence[str]) -> None:
        """Unsubscribe, and return when the broker has confirmed it.

        Raises:
            ConnectionLost: see there.
            NotConnected: see there.
        """
        ...

    async def publish(self, message: Message) -> None:
        """Publish a message, and return when the broker has acknowledged it.

        With QoS 0, this returns when the message was handed to the operating system. If this is
        cancelled, the message is not sent any more, unless it was handed to it already.

        Raises:
            BrokerRefused: the broker refused the message.
            ConnectionLost: see there.
            NotConnected: see there.
        """
        ...

    def acknowledge(self, message: Message) -> None:
        """Tell the broker that a received message was handled; does nothing for QoS 0.

        Messages are to be acknowledged in the order of their arrival (MQTT 5.0, section 4.6), and
        in the connection in which they arrived.
        """
        ...

    async def close(self) -> None:
        """Disconnect without the will; does nothing if it is not connected."""
        ...

    def abort(self, reason: str) -> None:
        """End the connection at once, as if it was lost; does nothing if it is not connected.

        What the operating system has not sent yet is dropped, and the broker publishes the will.
        """
        ...
