"""Reads the records of all runners from NATS, in the order of their times."""

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from eshet.nats.connection import NatsConnection
from eshet.nats.consumer import Consumer, StreamMessage
from eshet.nats.exceptions import JetStreamRefused, NoAnswer, NotConnected
from eshet.nats.jetstream import ErrorCode, api, repeated
from eshet_rules.audit.frames import DamagedFrame, lines_in
from eshet_rules.audit.lines import count_broken, time_of
from eshet_rules.audit.query import ENDLESS, Damage, Filter, matching, stamp_of
from eshet_rules.cluster.entries import runner_of_trail
from eshet_rules.cluster.shared_trail import stream_name, trail_subjects
from eshet_rules.exceptions import NoSharedTrail

__all__ = ["TrailReader"]

_CLOCKS_DIFFER: Final = timedelta(minutes=10)
"""How far the clock of a runner may be ahead of that of the NATS server, or be set back."""

_EARLIEST: Final = "1970"
"""Earlier than the time of any record."""

_ROUND: Final = 1.0
"""Seconds in which new records are collected, to put those of several runners in order."""

Record = dict[str, Any]


class TrailReader:
    """Reads the shared trail of a tree once.

    Each record gets the field `runner`, the name of its runner.

    Args:
        connection: an open one, whose address names the tree.
        cluster: the name of the cluster; None for all clusters of the tree.
        wanted: selects the records.
        report: called for each damage.
    """

    def __init__(
        self,
        connection: NatsConnection,
        cluster: str | None,
        wanted: Filter,
        report: Callable[[Damage], object] = lambda damage: None,
    ) -> None:
        prefix = connection.address.prefix
        self._connection = connection
        self._stream = stream_name(prefix)
        self._subjects = trail_subjects(prefix, cluster)
        self._wanted = wanted
        self._report = report

    async def records(self, *, follow: bool = False) -> AsyncIterator[Record]:
        """Iterate over the present records, in the order of their times.

        Args:
            follow: whether to iterate endlessly over new ones then. A new record follows within
                some seconds; one of a runner that was cut off from NATS follows when it arrives.

        Raises:
            NoSharedTrail: no runner has stored records, or NATS has no JetStream.
            NatsError: NATS does not answer.
        """
        info = await self._info()
        subjects = sorted(info["state"].get("subjects") or {})
        last: int = info["state"]["last_seq"]
        heap: list[tuple[str, int, Record]] = []
        each = [self._of_runner(subject, last) for subject in subjects]
        for number, records in enumerate(each):
            if (record := await anext(records, None)) is not None:
                heapq.heappush(heap, (record["time"], number, record))
        while heap:
            _, number, record = heap[0]
            yield record
            following = await anext(each[number], None)
            if following is None:
                heapq.heappop(heap)
            else:
                heapq.heapreplace(heap, (following["time"], number, following))
        if follow:
            async for record in self._new_ones(last):
                yield record

    async def _info(self) -> dict[str, Any]:
        call, body = f"STREAM.INFO.{self._stream}", {"subjects_filter": self._subjects}
        try:
            return await repeated(
                self._connection,
                lambda: api(self._connection, call, body, f"read {self._stream}"),
            )
        except JetStreamRefused as error:
            if error.code != ErrorCode.STREAM_NOT_FOUND:
                raise
            raise NoSharedTrail(str(self._connection.address)) from None

    async def _of_runner(self, subject: str, last: int) -> AsyncIterator[Record]:
        """Iterate over the present records of a runner."""
        consumer = Consumer(self._connection, self._stream, subject, since=self._since)
        while messages := await consumer.fetch():
            for message in messages:
                if message.sequence > last:
                    return
                lines = self._lines(message)
                if (time_of(lines) or "") > self._end:
                    return
                for record in self._matching(message, lines):
                    yield record

    async def _new_ones(self, last: int) -> AsyncIterator[Record]:
        """Iterate over records that are stored after a message; each waits for those of a round."""
        consumer = Consumer(self._connection, self._stream, self._subjects, after=last)
        heap: list[tuple[str, int, Record]] = []
        order = itertools.count()
        while True:
            until = max(heap)[0] if heap else ""
            try:
                messages = await consumer.wait(_ROUND)
            except (NoAnswer, NotConnected):  # the connection logs why
                await asyncio.sleep(_ROUND)
                continue
            for message in messages:
                for record in self._matching(message, self._lines(message)):
                    heapq.heappush(heap, (record["time"], next(order), record))
            while heap and heap[0][0] <= until:
                yield heapq.heappop(heap)[2]

    def _lines(self, message: StreamMessage) -> bytes:
        try:
            return lines_in(message.payload)
        except DamagedFrame as error:
            self._report(Damage(message.subject, str(error)))
            return b""

    def _matching(self, message: StreamMessage, lines: bytes) -> Iterator[Record]:
        runner = runner_of_trail(message.subject)
        for record in matching(lines, self._wanted):
            record["runner"] = runner
            yield record
        if broken := count_broken(lines):
            self._report(Damage(message.subject, "it has damaged lines", broken))

    @property
    def _end(self) -> str:
        """A time after which a runner has no more matching records, even if its clock is set."""
        if self._wanted.until >= ENDLESS:
            return ENDLESS
        return stamp_of(datetime.fromisoformat(self._wanted.until) + _CLOCKS_DIFFER)

    @property
    def _since(self) -> datetime | None:
        """When the first matching record may have been stored."""
        if self._wanted.since < _EARLIEST:
            return None
        return datetime.fromisoformat(self._wanted.since) - _CLOCKS_DIFFER
