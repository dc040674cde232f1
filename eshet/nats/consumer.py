"""Fetches the messages of a stream in order, by a consumer of JetStream that is asked for them.

The consumer is made again after a reconnection, or when JetStream has removed it as nothing was
fetched for a while; its successor continues after the last message.
"""

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from eshet.nats.connection import NatsConnection, NatsMessage
from eshet.nats.entry import delivered
from eshet.nats.exceptions import NoAnswer
from eshet.nats.jetstream import api, repeated
from eshet.nats.stream import SECOND

__all__ = ["Consumer", "StreamMessage"]

_AT_ONCE: Final = 64
"""Maximum number of messages of a fetch."""

_UNUSED_TIME: Final = 60
"""Seconds without a fetch after which JetStream removes the consumer."""

_TIMEOUT: Final = 3.0
"""For how many seconds a fetch waits for the next message that is stored, or for its end."""


class StreamMessage(NamedTuple):
    """A stored message.

    Args:
        subject: of the message.
        payload: content.
        sequence: its number in the stream.
    """

    subject: str
    payload: bytes
    sequence: int


class Consumer:
    """Fetches the messages of a stream.

    Args:
        connection: an open one.
        stream: name.
        subject: of the messages; may contain wildcards.
        after: the number in the stream after which it begins.
        since: the time of storage at which it begins instead.
    """

    def __init__(
        self,
        connection: NatsConnection,
        stream: str,
        subject: str,
        *,
        after: int = 0,
        since: datetime | None = None,
    ) -> None:
        self._connection: Final = connection
        self._stream: Final = stream
        self._subject: Final = subject
        self._since: Final = since
        self._last = after
        self._name = ""  # given by JetStream; empty if there is no consumer
        self._number = 0  # of the last message of this consumer
        self._pending = 0

    async def fetch(self) -> list[StreamMessage]:
        """Return the next stored messages; none if all were fetched.

        Raises:
            NotConnected: there is no connection, or it was lost and not restored in time.
            NoAnswer: JetStream does not answer, for some seconds.
            JetStreamRefused: the stream does not exist.
        """
        if not self._name:
            await self._start()
        if not self._pending:
            return []
        return await repeated(self._connection, self._fetch_pending)

    async def wait(self, seconds: float) -> list[StreamMessage]:
        """Return the messages that are stored within some seconds, and those that are already.

        Raises:
            NatsError: see `fetch`.
        """
        if not self._name:
            await self._start()
        return await self._request(_AT_ONCE, seconds)

    async def _fetch_pending(self) -> list[StreamMessage]:
        if not self._name:
            await self._start()
        messages = await self._request(min(self._pending, _AT_ONCE), _TIMEOUT)
        if not messages and self._pending:
            self._name = ""
            raise NoAnswer(f"read {self._stream}", "the next message does not arrive")
        return messages

    async def _start(self) -> None:
        call, body = f"CONSUMER.CREATE.{self._stream}", self._config()
        answer = await repeated(
            self._connection, lambda: api(self._connection, call, body, f"read {self._stream}")
        )
        self._name, self._number = answer["name"], 0
        self._pending = answer["num_pending"]

    def _config(self) -> dict[str, Any]:
        start: dict[str, Any] = {"deliver_policy": "all"}
        if self._last:
            start = {"deliver_policy": "by_start_sequence", "opt_start_seq": self._last + 1}
        elif self._since is not None:
            time = self._since.astimezone(UTC).isoformat()
            start = {"deliver_policy": "by_start_time", "opt_start_time": time}
        config = {
            **start,
            "filter_subject": self._subject,
            "ack_policy": "none",
            "max_deliver": 1,
            "replay_policy": "instant",
            "inactive_threshold": _UNUSED_TIME * SECOND,
            "mem_storage": True,
            "num_replicas": 1,
        }
        return {"stream_name": self._stream, "config": config}

    async def _request(self, count: int, seconds: float) -> list[StreamMessage]:
        """Ask for messages once, and return those that arrive until JetStream ends the answer."""
        inbox: asyncio.Queue[NatsMessage] = asyncio.Queue()
        subject = self._connection.new_inbox()
        subscription = self._connection.subscribe(subject, inbox.put_nowait)
        body: Mapping[str, Any] = {"batch": count, "expires": int(seconds * SECOND)}
        call = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._name}"
        messages: list[StreamMessage] = []
        try:
            self._connection.publish(call, json.dumps(body).encode(), subject)
            while len(messages) < count:
                async with asyncio.timeout(seconds + _TIMEOUT):
                    message = await inbox.get()
                if "Status" in message.headers or message.is_no_responders:
                    if message.is_no_responders:
                        self._name = ""  # JetStream has removed it
                    break
                if not self._take(message, messages):
                    break
        except TimeoutError:
            self._name = ""
        finally:
            subscription.unsubscribe()
        return messages

    def _take(self, message: NatsMessage, messages: list[StreamMessage]) -> bool:
        """Add a message, unless one before it was lost; return whether it is the next one."""
        entry, number, self._pending = delivered(message, "")
        if number != self._number + 1:
            self._name, self._pending = "", self._pending + 1
            return False
        self._number, self._last = number, entry.revision
        messages.append(StreamMessage(message.subject, message.payload, entry.revision))
        return True
