"""The records of all runners of a tree in a stream of NATS.

    PREFIX_trail     PREFIX.trail.CLUSTER.RUNNER     some records of this runner

A message has complete lines of the trail of its runner, compressed, and in its headers the position
after them. So the stream itself says how far a runner's trail is stored.
"""

from collections.abc import Mapping
from typing import Any, Final

from eshet.nats.connection import NatsConnection
from eshet.nats.stream import SECOND, Stream, duplicate_window
from eshet_rules.audit.tail import Position

__all__ = ["headers_of", "position_in", "stream_name", "trail_stream", "trail_subjects"]

_DAY: Final = 24 * 60 * 60
_FILE: Final = "Eshet-Trail-File"
_OFFSET: Final = "Eshet-Trail-Offset"
_TIME: Final = "Eshet-Trail-Time"


def stream_name(prefix: str) -> str:
    """Return the name of the stream of a tree."""
    return f"{prefix}_trail"


def trail_subjects(prefix: str, cluster: str | None = None) -> str:
    """Return the subjects of the records of a cluster, or of all clusters of a tree."""
    return f"{prefix}.trail.{cluster or '*'}.*"


def trail_stream(connection: NatsConnection, prefix: str, *, days: float, size: int) -> Stream:
    """Return the stream of a tree, to be opened.

    Args:
        connection: to NATS.
        prefix: the name of the tree.
        days: for how long records are kept.
        size: the bytes beyond which the oldest records are deleted.
    """
    max_age = days * _DAY
    name = stream_name(prefix)
    config: dict[str, Any] = {
        "name": name,
        "subjects": [trail_subjects(prefix)],
        "storage": "file",
        "retention": "limits",
        "discard": "old",
        "max_age": int(max_age * SECOND),
        "max_bytes": size,
        "max_msgs": -1,
        "max_msgs_per_subject": -1,
        "max_msg_size": -1,
        "max_consumers": -1,
        "duplicate_window": duplicate_window(max_age),
    }
    return Stream(connection, config, title=name, kind="trail", adapted=["max_age", "max_bytes"])


def headers_of(end: Position) -> dict[str, str]:
    """Return the headers of a message with lines up to a position."""
    return {_FILE: end.file, _OFFSET: str(end.offset), _TIME: end.time}


def position_in(headers: Mapping[str, str]) -> Position | None:
    """Return the position after the lines of a message; None if it says none."""
    offset = headers.get(_OFFSET, "")
    if not offset.isdecimal():
        return None
    return Position(headers.get(_FILE, ""), int(offset), headers.get(_TIME, ""))
