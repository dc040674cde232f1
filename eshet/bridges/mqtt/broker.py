"""What a bridge needs of an MQTT broker: one connection, which is lost or closed once.

    connection.py    keeps a bridge connected: backoff, subscriptions, the queue of events
    paho_broker.py   a real broker, by paho-mqtt
    memory_broker.py a broker in memory, for tests in virtual time

Topics, filters and levels of quality of service (QoS) are those of MQTT 3.1.1 and 5.0.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from eshet.exceptions import EshetError

__all__ = [
    "AT_LEAST_ONCE",
    "AT_MOST_ONCE",
    "Broker",
    "BrokerError",
    "BrokerRefused",
    "ConnectionLost",
    "Message",
    "OnLost",
    "OnMessage",
]

AT_MOST_ONCE: Final = 0
AT_LEAST_ONCE: Final = 1


class BrokerError(EshetError):
    """The broker, or the connection to it, failed."""


class BrokerRefused(BrokerError):
    """The broker refused the connection, as for a wrong password; a later attempt may succeed."""


class ConnectionLost(BrokerError):
    """The connection ended before the broker acknowledged the request."""


@dataclass(frozen=True, slots=True)
class Message:
    """A published message.

    Args:
        topic: its topic, without wildcards.
        payload: as it was sent.
        retained: received: the broker had stored it before the subscription. To publish: the broker
            is to store it.
        qos: `AT_MOST_ONCE` or `AT_LEAST_ONCE`.
        number: identifies a received message that is to be acknowledged.
    """

    topic: str
    payload: bytes
    retained: bool = False
    qos: int = AT_MOST_ONCE
    number: int = 0


OnMessage = Callable[[Message], object]
"""Called with each received message, in the step in which it arrived."""

OnLost = Callable[[str], object]
"""Called with the reason when a connection was lost; not after `close`."""


class Broker(Protocol):
    """A broker to connect to, one connection at a time."""

    async def connect(
        self, on_message: OnMessage, on_lost: OnLost, will: Message | None, *, resume: bool
    ) -> None:
        """Connect.

        Args:
            on_message: see `OnMessage`.
            on_lost: see `OnLost`.
            will: what the broker publishes when the connection is lost.
            resume: whether to receive what was not acknowledged in a connection that was lost a
                moment ago, if the broker has kept it; otherwise the broker forgets that.

        Raises:
            BrokerRefused: the broker is there, and refused the connection.
            BrokerError: the broker can't be reached.
        """

    async def subscribe(self, filters: Sequence[str]) -> None:
        """Subscribe with QoS 1, and return when the broker has confirmed it.

        Args:
            filters: of topics.

        Raises:
            BrokerError: the broker refused a filter, whose name is in the text.
            ConnectionLost: see there.
        """

    async def publish(self, message: Message) -> None:
        """Publish a message, and return when the broker has acknowledged it.

        With QoS 0, this returns when the message was handed to the operating system.

        Raises:
            ConnectionLost: see there.
        """

    def acknowledge(self, message: Message) -> None:
        """Tell the broker that a received message was handled; does nothing for QoS 0.

        Messages are to be acknowledged in the order of their arrival (MQTT 5.0, section 4.6).
        """

    async def close(self) -> None:
        """Disconnect without the will, or end an attempt to connect."""
