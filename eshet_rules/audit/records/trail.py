"""Records of the log: the audit trail itself."""

from typing import Annotated

from msgspec import Meta

from eshet_rules.audit.records.schema import Record, Time, event

__all__ = [
    "TrailMoved",
    "TrailNotClosed",
    "TrailNotCompressed",
    "TrailNotDropped",
    "TrailNotWritten",
    "TrailRecordsLost",
    "TrailRepaired",
    "TrailStarted",
]


@event("trail.started", "trail begins", level="debug")
class TrailStarted(Record, kw_only=True):
    """The first record of each file of the trail."""

    schema: Annotated[int, Meta(description="version of this schema")]
    runner: Annotated[str, Meta(description="version of eshet-rules")]
    after: Annotated[str | None, Meta(description="the file before it, without suffixes")] = None


@event("trail.repaired", "trail repaired", level="warning")
class TrailRepaired(Record, kw_only=True):
    """The runner was killed while it wrote a record; the partial record was cut off."""

    cut: Annotated[int, Meta(description="number of bytes")]


@event("trail.records_lost", "records lost", level="error")
class TrailRecordsLost(Record, kw_only=True):
    """A gap in the trail: for a time, it could not be written."""

    lost: Annotated[int, Meta(description="number of lost records")]
    since: Annotated[Time, Meta(description="time of the first lost record")]
    error: Annotated[str, Meta(description="the reason")]


class _Trail(Record, kw_only=True):
    """A problem with the trail. The rules run on."""

    error: Annotated[str, Meta(description="the problem")]
    file: Annotated[str, Meta(description="the file")]


@event("trail.not_written", "can't write the trail", level="error")
class TrailNotWritten(_Trail, kw_only=True):
    """The trail can't be written. Records are counted, and the rules run on."""


@event("trail.moved", "the trail was moved or deleted", level="error")
class TrailMoved(_Trail, kw_only=True):
    """The file of the trail was moved, deleted or truncated; the trail continues at its path."""


@event("trail.not_closed", "can't close a file of the trail", level="error")
class TrailNotClosed(_Trail, kw_only=True):
    """A full file of the trail could not be closed; it is written on."""


@event("trail.not_compressed", "can't compress the trail", level="error")
class TrailNotCompressed(_Trail, kw_only=True):
    """A closed file of the trail could not be compressed; it stays as it is."""


@event("trail.not_dropped", "can't drop the oldest file of the trail", level="error")
class TrailNotDropped(_Trail, kw_only=True):
    """The oldest file of the trail could not be removed."""
