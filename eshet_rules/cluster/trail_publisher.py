"""Stores the records of this runner in NATS, from the files of its trail.

The files are the queue: nothing waits in memory, and the runner never waits for NATS. After an
outage or a restart, the last message of this runner in the stream says where to continue. Each
message names the one before it, so that one whose acknowledgement was lost is not stored again.

By mistake, another runner may have the same name, and its messages the same subject, for example
while this one hangs. So nothing is sent without the presence of this runner in the cluster; what is
stored of another trail does not say where to continue in this one; and a message has an id.
"""

import asyncio
import contextlib
import random
from pathlib import Path
from typing import Final

from structlog.typing import FilteringBoundLogger

from eshet.nats.connection import NatsConnection
from eshet.nats.entry import stored
from eshet.nats.exceptions import JetStreamRefused, NatsError, NotConnected
from eshet.nats.jetstream import ErrorCode, api, store
from eshet.nats.stream import Stream
from eshet_rules.audit.frames import frame_of
from eshet_rules.audit.lines import time_of
from eshet_rules.audit.records.cluster import SharedTrailGap, TrailNotShared
from eshet_rules.audit.records.schema import emit
from eshet_rules.audit.tail import Gap, Part, Position, Tail
from eshet_rules.cluster.shared_trail import headers_of, position_in
from eshet_rules.threads import Threads

__all__ = ["TrailPublisher"]

_INTERVAL: Final = 0.5
"""Seconds between two looks at the files."""

_RETRY: Final = (0.5, 1.5)
"""The shortest and the longest pause after a failure, in seconds."""

_FINISH_TIME: Final = 2.0
"""Seconds for the last records when the runner stops."""

_OVERHEAD: Final = 4096
"""Bytes of a message beyond its payload, with some reserve."""

_EXPECTED: Final = "Nats-Expected-Last-Subject-Sequence"
_ID: Final = "Nats-Msg-Id"


class TrailPublisher:
    """Stores the records of this runner, between `begin` and `end`.

    Args:
        connection: to NATS.
        stream: of the trail.
        subject: of this runner.
        cluster: the name of the cluster.
        file: the open file of the trail.
        threads: read the files.
        log: receives gaps, and why nothing can be stored.
    """

    def __init__(
        self,
        connection: NatsConnection,
        stream: Stream,
        subject: str,
        cluster: str,
        file: Path,
        threads: Threads,
        log: FilteringBoundLogger,
    ) -> None:
        self._connection = connection
        self._stream = stream
        self._subject = subject
        self._cluster = cluster
        self._file = file
        self._threads = threads
        self._log = log
        self._tail: Tail | None = None
        self._position: Position | None = None  # of what is stored
        self._sequence = 0  # of the last stored message
        self._unanswered: Part | None = None  # may be stored
        self._failures = 0  # since something was stored
        self._logged = ""
        self._has_begun = asyncio.Event()

    def begin(self) -> None:
        """Store records from now on, as this runner has its name."""
        self._has_begun.set()

    def end(self) -> None:
        """Store nothing more until `begin`, as another runner may have the name of this one."""
        self._has_begun.clear()

    async def run(self) -> None:
        """Store all records so far, and then each new one, forever."""
        while True:
            await self._has_begun.wait()
            try:
                while self._has_begun.is_set():
                    await self._send_all()
                    await asyncio.sleep(_INTERVAL)
            except NatsError as error:
                self._log_once(error)
            finally:
                self._stop_reading()  # it has read what was not stored
            await asyncio.sleep(random.uniform(*_RETRY))  # noqa: S311 - not a secret

    async def finish(self) -> None:
        """Store the records that are left, if that is possible within some seconds."""
        if not self._has_begun.is_set():
            return
        self._stop_reading()  # the last message may have been stored without an answer so far
        with contextlib.suppress(NatsError, TimeoutError, OSError):
            async with asyncio.timeout(_FINISH_TIME):
                await self._send_all()
        self._stop_reading()

    async def _send_all(self) -> None:
        """Store what is in the files and not stored yet.

        Raises:
            NatsError: NATS does not answer, or refuses it.
        """
        if self._tail is None:
            self._tail = await self._begin()
        while (part := await self._threads.run(self._tail.read)) is not None:
            if not self._has_begun.is_set():
                return
            if isinstance(part, Gap):
                self._log_gap(part)
            else:
                await self._send(part)
        self._failures, self._logged = 0, ""

    async def _begin(self) -> Tail:
        """Open the stream, and return what follows the last stored record.

        Raises:
            NatsError: see `_send_all`.
        """
        await self._stream.open()
        before = self._position
        await self._find_last()
        if self._unanswered is not None and self._position == before:
            await self._send(self._unanswered)  # the same again, so that it has the same id
        self._unanswered = None
        return Tail(self._file, self._position)

    async def _find_last(self) -> None:
        call, body = f"STREAM.MSG.GET.{self._stream.name}", {"last_by_subj": self._subject}
        try:
            answer = await api(self._connection, call, body, f"read {self._stream.title}")
        except JetStreamRefused as error:
            if error.code != ErrorCode.NO_MESSAGE:
                raise
            self._sequence = 0  # none so far, or all were deleted: then the position is known here
        else:
            last, headers = stored(answer["message"], self._subject)
            self._sequence = last.revision
            found = position_in(headers)
            if found is not None and await self._threads.run(self._is_own, found):
                self._position = found

    def _is_own(self, position: Position) -> bool:
        """Whether a position is not that of another runner in its trail. It blocks."""
        tail = Tail(self._file, None)
        return tail.has(position) or (self._position is None and tail.may_have_had(position))

    async def _send(self, part: Part) -> None:
        payload = await self._threads.run(frame_of, part.lines)
        if len(payload) > self._connection.max_payload - _OVERHEAD:
            await self._send_apart(part)
            return
        headers = {
            **headers_of(part.end),
            _EXPECTED: str(self._sequence),
            _ID: f"{self._subject} {part.end.file} {part.end.offset}",
        }
        title = f"write {self._stream.title}"
        self._unanswered = part
        self._sequence = await store(self._connection, self._subject, payload, headers, title)
        self._position, self._unanswered = part.end, None

    async def _send_apart(self, part: Part) -> None:
        """Store each line of a part alone, without those that are too long."""
        lines = part.lines.splitlines(keepends=True)
        offset = part.end.offset - len(part.lines)
        if len(lines) == 1:
            self._position = part.end
            self._log_skipped(part.lines)
            return
        for line in lines:
            offset += len(line)
            end = part.end._replace(offset=offset, time=time_of(line) or part.end.time)
            await self._send(Part(line, end))

    def _stop_reading(self) -> None:
        if self._tail is not None:
            self._tail.close()
        self._tail = None

    # --- the log ------------------------------------------------------------------------------

    def _log_gap(self, gap: Gap) -> None:
        record = SharedTrailGap(
            cluster=self._cluster,
            why="deleted",
            since=gap.since or None,
            until=gap.until or None,
        )
        emit(self._log, record)

    def _log_skipped(self, line: bytes) -> None:
        time = time_of(line)
        record = SharedTrailGap(cluster=self._cluster, why="too long", since=time, records=1)
        emit(self._log, record)

    def _log_once(self, error: NatsError) -> None:
        self._failures += 1
        is_conflict = isinstance(error, JetStreamRefused) and error.code == ErrorCode.WRONG_REVISION
        if is_conflict or isinstance(error, NotConnected) or self._failures == 1:
            return  # JetStream may just be electing a leader
        if (text := str(error)) != self._logged:
            self._logged = text
            emit(self._log, TrailNotShared(cluster=self._cluster, error=text))
