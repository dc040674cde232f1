"""Receives the entries of a bucket, and then each change, by an ordered consumer of JetStream.

The consumer is made again after a gap in its messages, a missing heartbeat, or a reconnection; its
successor continues after the last received entry.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from eshet.exceptions import Interrupted
from eshet.nats.connection import NatsConnection, NatsMessage, Subscription
from eshet.nats.entry import Entry, delivered
from eshet.nats.exceptions import NatsError, NoAnswer, NotConnected
from eshet.nats.jetstream import PATIENCE, RETRY_DELAY, api

__all__ = ["Watch"]

HEARTBEAT: Final = 1.0
"""After how many seconds without a message JetStream sends a heartbeat."""

MAX_SILENCE: Final = 2.5
"""After how many seconds without a message a consumer counts as lost."""

_LOOK_EVERY: Final = 10.0
"""Seconds between two looks at whether all entries were removed, of which nobody is notified."""

_SECOND: Final = 1_000_000_000  # of JetStream, in ns
_CONTROL: Final = "100"  # the status of heartbeats and flow control

OnEntry = Callable[[Entry], object]


class Watch:
    """Receives the entries of a bucket until `close`; made by `Bucket.watch`.

    Args:
        connection: to NATS.
        stream: name.
        prefix: of its subjects, which precedes the key.
        reopen: creates the stream if it does not exist.
        on_entry: called with each entry.
        on_ready: called when all entries of the beginning were received.
        on_reset: called when all entries are going to be received again.
    """

    def __init__(
        self,
        connection: NatsConnection,
        stream: str,
        prefix: str,
        reopen: Callable[[], Awaitable[dict[str, Any]]],
        on_entry: OnEntry,
        on_ready: Callable[[], object],
        on_reset: Callable[[], object],
    ) -> None:
        self._connection: Final = connection
        self._log: Final = connection.log
        self._stream: Final = stream
        self._prefix: Final = prefix
        self._reopen: Final = reopen
        self._on_entry: Final = on_entry
        self._on_ready: Final = on_ready
        self._on_reset: Final = on_reset
        self._loop: Final = asyncio.get_running_loop()
        self._created = ""  # when the stream was created, which tells it from a successor
        self._revision = 0  # the last received one
        self._number = 0  # of the last message of the present consumer
        self._is_ready = False
        self._heard_at = 0.0
        self._failing_since = 0.0
        self._behind_since: float | None = None  # since when JetStream knows fewer entries
        self._logged = ""
        self._subscription: Subscription | None = None
        self._is_broken = asyncio.Event()
        self._stop_notifying = connection.notify_restored(self._is_broken.set)
        self._timer = self._loop.call_later(HEARTBEAT, self._check_silence)
        self._task = asyncio.create_task(self._run(), name=f"watch {stream}")

    async def close(self) -> None:
        """Call none of the callbacks any more; may be called again."""
        self._stop_notifying()
        self._timer.cancel()
        self._unsubscribe()
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        self._failing_since = self._loop.time()
        while True:
            if await self._try_to_start():
                await self._until_broken()
                self._failing_since = self._loop.time()
            else:
                await asyncio.sleep(random.uniform(*RETRY_DELAY))  # noqa: S311 - not a secret

    async def _until_broken(self) -> None:
        """Wait until the consumer is to be started again; look for a purge from time to time."""
        while not self._is_broken.is_set():
            try:
                async with asyncio.timeout(_LOOK_EVERY):
                    await self._is_broken.wait()
            except TimeoutError:
                with contextlib.suppress(NatsError):
                    if self._was_purged(await self._look()):
                        self._is_broken.set()

    async def _look(self) -> dict[str, Any]:
        info: dict[str, Any] = await api(
            self._connection, f"STREAM.INFO.{self._stream}", {}, f"watch {self._stream}"
        )
        return info

    def _was_purged(self, info: Mapping[str, Any]) -> bool:
        """Whether all entries were removed."""
        return self._revision > 0 and info["state"]["messages"] == 0

    async def _try_to_start(self) -> bool:
        self._is_broken.clear()
        try:
            await self._start_consumer()
        except NatsError as error:
            self._unsubscribe()
            self._log_once(error)
            return False
        self._logged = ""
        return True

    async def _start_consumer(self) -> None:
        """Start a consumer after the last received entry, or at the beginning of a new stream."""
        info = await self._reopen()
        created, last = info["created"], info["state"]["last_seq"]
        is_behind = created == self._created and last < self._revision
        if not is_behind:
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = self._loop.time()
        if self._behind_since is not None and self._loop.time() - self._behind_since < PATIENCE:
            raise NoAnswer(f"watch {self._stream}", "its new leader does not know all entries yet")
        if created != self._created or last < self._revision or self._was_purged(info):
            self._restart(created)
        self._unsubscribe()
        self._number = 0
        self._heard_at = self._loop.time()
        subject = self._connection.new_inbox()
        self._subscription = self._connection.subscribe(subject, self._on_message)
        body = {"stream_name": self._stream, "config": self._config(subject)}
        answer = await api(
            self._connection, f"CONSUMER.CREATE.{self._stream}", body, f"watch {self._stream}"
        )
        if answer["num_pending"] == 0:
            self._become_ready()

    @property
    def _may_wait(self) -> bool:
        """Whether it has failed to start for so short a time that JetStream may elect a leader."""
        return self._loop.time() - self._failing_since < PATIENCE

    def _restart(self, created: str) -> None:
        is_first, self._created = not self._created, created
        self._revision = 0
        self._is_ready = False
        if not is_first:
            self._call(self._on_reset)

    def _config(self, subject: str) -> dict[str, Any]:
        start: dict[str, Any] = {"deliver_policy": "last_per_subject"}
        if self._revision:
            start = {"deliver_policy": "by_start_sequence", "opt_start_seq": self._revision + 1}
        return {
            **start,
            "deliver_subject": subject,
            "filter_subject": f"{self._prefix}>",
            "ack_policy": "none",
            "max_deliver": 1,
            "replay_policy": "instant",
            "flow_control": True,
            "idle_heartbeat": int(HEARTBEAT * _SECOND),
            "mem_storage": True,
            "num_replicas": 1,
        }

    def _unsubscribe(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            subscription.unsubscribe()  # then JetStream removes the consumer

    # --- messages -----------------------------------------------------------------------------

    def _on_message(self, message: NatsMessage) -> None:
        self._heard_at = self._loop.time()
        if not message.subject.startswith(self._prefix):  # entries may have any header
            if message.headers.get("Status") == _CONTROL:
                self._on_control(message)
            return
        entry, number, pending = delivered(message, self._prefix)
        if number != self._number + 1:
            self._is_broken.set()
            self._unsubscribe()
            return
        self._number = number
        self._revision = entry.revision
        self._call(self._on_entry, entry)
        if pending == 0:
            self._become_ready()

    def _on_control(self, message: NatsMessage) -> None:
        """Answer flow control, and check in a heartbeat that no message was lost."""
        reply = message.reply or message.headers.get("Nats-Consumer-Stalled", "")
        if reply:
            try:
                self._connection.publish(reply, b"")
            except NotConnected:
                return  # after a reconnection, there is another consumer
        last = message.headers.get("Nats-Last-Consumer")
        if last is not None and int(last) > self._number:
            self._is_broken.set()
            self._unsubscribe()

    def _become_ready(self) -> None:
        if not self._is_ready:
            self._is_ready = True
            self._call(self._on_ready)

    def _check_silence(self) -> None:
        self._timer = self._loop.call_later(HEARTBEAT, self._check_silence)
        is_silent = self._loop.time() - self._heard_at > MAX_SILENCE
        if is_silent and self._subscription is not None and self._connection.is_connected:
            self._log.debug("watch %s: no heartbeat, so it starts again", self._stream)
            self._is_broken.set()
            self._unsubscribe()

    def _call(self, callback: Callable[..., object], *args: object) -> None:
        try:
            callback(*args)
        except (Exception, Interrupted):
            self._log.exception("watch %s: a callback failed", self._stream)

    def _log_once(self, error: NatsError) -> None:
        """Log why the consumer can't be started, if that is new, and not just an election."""
        text = str(error)
        is_expected = isinstance(error, (NoAnswer, NotConnected)) and self._may_wait
        if text != self._logged and not is_expected:
            self._logged = text
            self._log.warning("watch %s: %s", self._stream, text)
