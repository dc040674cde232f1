"""The interface to an MQTT broker, for one connection at a time.

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
    "OnDone",
    "OnLost",
    "OnMessage",
]

AT_MOST_ONCE: Final = 0
AT_LEAST_ONCE: Final = 1


class BrokerError(BridgeError):
    """The broker, or the connection to it, failed."""


class BrokerRefused(BrokerError):
    """The broker refused the request, such as for a wrong password; a later attempt may succeed."""


class ConnectionLost(BrokerError):
    """The connection ended before the broker acknowledged the request."""


class NotConnected(BrokerError):
    """Nothing was sent, for lack of a connection."""


class Message(NamedTuple):
    """A published message.

    Args:
        topic: its topic, without wildcards. Bytes that are not UTF-8 are lone surrogates in it, as
            by the error handler `surrogateescape`.
        payload: the content.
        retained: received: the broker had stored it before the subscription. To publish: the broker
            is to store it.
        qos: `AT_MOST_ONCE` or `AT_LEAST_ONCE`.
        number: identifies a received message that is to be acknowledged.
        is_repeated: received: the broker has sent it before, and has received no acknowledgement.
        expires: to publish: seconds after which the broker drops the message if it could not
            deliver it; 0 for never. Brokers without MQTT 5 ignore this.
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
        is_taken_over: whether the broker reported that another client uses the same id.
    """

    reason: str
    is_taken_over: bool = False


OnMessage = Callable[[Message], object]
"""Called with each received message, in the step in which it arrived; must not raise."""

OnLost = Callable[[Loss], object]
"""Called once when a connection was lost; not after `close`. Must not raise."""


OnDone = Callable[[Exception | None], object]
"""Called once when a published message was acknowledged, or with the error; must not raise."""


class Broker(Protocol):
    """A broker to connect to, one connection at a time; its `str` is its address for the log."""

    @property
    def client_id(self) -> str:
        """The id by which the broker identifies this client."""
        ...

    @property
    def max_unacknowledged(self) -> int:
        """The maximum number of received messages that are not acknowledged.

        Beyond it, the broker may stop sending, and may drop messages without notice. Valid while
        connected.
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
            will: the message that the broker publishes when the connection is lost.
            resume: whether to continue the session of a connection that was lost a moment ago, if
                the broker has kept it; otherwise the broker drops that session.

        Returns:
            Whether the session was resumed: its subscriptions are in effect, and the broker sends
            its unacknowledged messages again.

        Raises:
            BrokerRefused: the broker refused the connection.
            BrokerError: the broker can't be reached.
        """
        ...

    async def subscribe(self, filters: Sequence[str]) -> Mapping[str, str]:
        """Subscribe with QoS 1, and return when the broker has answered.

        The broker then sends all retained messages that match, also for a filter that was
        subscribed before.

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

    def publish(self, message: Message, on_done: OnDone) -> bool:
        """Send a message in this step.

        Args:
            message: to send.
            on_done: called with None when the broker has acknowledged the message, or, with QoS 0,
                when the operating system has accepted it; otherwise with the error, which is
                `BrokerRefused` or `ConnectionLost`. It may be called before this returns.

        Returns:
            False if the message can't be sent in this step, as the broker is not connected or has
            too many messages to acknowledge; `on_done` is not called then.

        Raises:
            ValueError: the message is not valid.
        """
        ...

    def acknowledge(self, message: Message) -> None:
        """Acknowledge that a received message was handled; does nothing for QoS 0.

        Messages must be acknowledged in the order of their arrival (MQTT 5.0, section 4.6), and in
        the connection in which they arrived.
        """
        ...

    async def close(self) -> None:
        """Disconnect, without a publication of the will; does nothing if not connected."""
        ...

    def abort(self, reason: str) -> None:
        """End the connection at once, as if it was lost; does nothing if not connected.

        Unsent data is dropped, and the broker publishes the will.
        """
        ...
