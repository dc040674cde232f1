"""Entries of a bucket, as they are stored in its stream."""

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from eshet.nats.connection import NatsMessage

__all__ = ["DELETION", "Delivery", "Entry", "delivered", "stored"]

_OPERATION: Final = "KV-Operation"
_EXPIRED: Final = "Nats-Marker-Reason"
"""The header of a marker that the server itself has written, as an entry has expired."""

DELETION: Final = {_OPERATION: "DEL"}
"""The headers of a deletion."""

_DELETIONS: Final = frozenset({"DEL", "PURGE"})
_MICROSECOND: Final = 1000  # of JetStream, in ns
_ACK_TOKENS: Final = 9


class Entry(NamedTuple):
    """The last write to a key.

    Args:
        key: such as `hall.light`.
        value: empty if it was deleted.
        revision: the number of this write, unique and increasing within the bucket.
        is_deleted: whether the write deleted the entry.
        written: when the server stored it, in seconds since 1970-01-01 UTC, by its clock, to
            the microsecond.
    """

    key: str
    value: bytes
    revision: int
    is_deleted: bool
    written: float


class Delivery(NamedTuple):
    """A message of a consumer.

    Args:
        entry: its content.
        number: its number among the messages of the consumer, from 1.
        pending: how many messages follow that are already stored.
    """

    entry: Entry
    number: int
    pending: int


def delivered(message: NatsMessage, prefix: str) -> Delivery:
    """Return the content of a message of a consumer.

    Args:
        message: its reply subject is `$JS.ACK.STREAM.CONSUMER.DELIVERED.STREAM_SEQUENCE.
            CONSUMER_SEQUENCE.TIME.PENDING`, or has two more names before and one after these.
        prefix: of the subjects of the bucket, which precedes the key.
    """
    tokens = message.reply.split(".")
    first = 5 if len(tokens) == _ACK_TOKENS else 7
    revision, number, time, pending = map(int, tokens[first : first + 4])
    entry = Entry(
        message.subject[len(prefix) :],
        message.payload,
        revision,
        _is_deletion(message.headers),
        time // _MICROSECOND / 1_000_000,
    )
    return Delivery(entry, number, pending)


def stored(message: Mapping[str, Any], key: str) -> tuple[Entry, Mapping[str, str]]:
    """Return an entry and its headers, from the answer to a request for a stored message."""
    lines = base64.b64decode(message.get("hdrs", "")).decode().split("\r\n")
    headers = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    entry = Entry(
        key,
        base64.b64decode(message.get("data", "")),
        message["seq"],
        _is_deletion(headers),
        datetime.fromisoformat(message["time"]).timestamp(),
    )
    return entry, headers


def _is_deletion(headers: Mapping[str, str]) -> bool:
    return headers.get(_OPERATION) in _DELETIONS or _EXPIRED in headers
