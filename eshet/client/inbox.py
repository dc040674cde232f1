"""Received messages that wait to be processed, in order, as the bytes in which they came.

A flood may contain more events than a rule can handle in minutes. As tasks or objects they would
take kilobytes each; as bytes, they take tens. Of a state, only the last value matters: a
notification replaces a waiting one of the same path, unless an event or a request has arrived in
between.
"""

from array import array
from collections import deque
from typing import Final

from eshet.messages import EventNotify, NotifyKnown, NotifyUnknown

__all__ = ["Inbox"]

_STATES: Final = frozenset((NotifyKnown.code, NotifyUnknown.code))
_CODE_AT: Final = 0  # in a payload
_AFTER_CODE: Final = 1
_MAX_EVENTS: Final = 1024
"""Maximum number of events that are packed together."""


class _Events:
    """Consecutive events, one after the other in one piece of memory.

    Args:
        since: when the first of them arrived.
    """

    __slots__ = ("_data", "_lengths", "_next", "_position", "since")

    def __init__(self, since: float) -> None:
        self.since = since
        self._data = bytearray()
        self._lengths = array("H")
        self._next = 0  # the index of the next event
        self._position = 0  # of the next event

    def __len__(self) -> int:
        return len(self._lengths) - self._next

    @property
    def size(self) -> int:
        """The number of bytes that are left."""
        return len(self._data) - self._position

    @property
    def is_full(self) -> bool:
        return len(self._lengths) >= _MAX_EVENTS

    def append(self, payload: bytes) -> None:
        self._data += payload
        self._lengths.append(len(payload))

    def pop(self) -> bytes:
        end = self._position + self._lengths[self._next]
        payload = bytes(self._data[self._position : end])
        self._next += 1
        self._position = end
        return payload


class _States:
    """Consecutive notifications of states, of which the last one of each path is kept.

    Args:
        since: when the first of them arrived.
    """

    __slots__ = ("payloads", "since")

    def __init__(self, since: float) -> None:
        self.since = since
        self.payloads: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self.payloads)

    def append(self, path: bytes, payload: bytes) -> int:
        """Add a notification, and return by how many bytes this has grown."""
        before = len(self.payloads.get(path, b""))
        self.payloads[path] = payload
        return len(payload) - before

    def pop(self) -> bytes:
        return self.payloads.pop(next(iter(self.payloads)))


class _Request:
    """A request of the server: a call, a set or a get.

    Args:
        since: when it arrived.
        payload: of the message.
    """

    __slots__ = ("payload", "since")

    def __init__(self, since: float, payload: bytes) -> None:
        self.since = since
        self.payload = payload

    def __len__(self) -> int:
        return 1


class Inbox:
    """The waiting messages of one client.

    Invariants: events and requests stay in order, and a state never moves past one of them; only
    `drop_events` and `clear` lose events.
    """

    def __init__(self) -> None:
        self.size: int = 0
        """The number of waiting bytes."""
        self._entries: deque[_Events | _States | _Request] = deque()  # none of them is empty

    def __bool__(self) -> bool:
        return bool(self._entries)

    def __len__(self) -> int:
        return sum(map(len, self._entries))

    @property
    def since(self) -> float | None:
        """When the oldest entry began; its first messages may have been handled already."""
        return self._entries[0].since if self._entries else None

    def put(self, payload: bytes, now: float) -> None:
        """Add a message.

        Args:
            payload: of the message.
            now: the time.
        """
        last = self._entries[-1] if self._entries else None
        if payload[_CODE_AT] == EventNotify.code:
            if not isinstance(last, _Events) or last.is_full:
                last = _Events(now)
                self._entries.append(last)
            last.append(payload)
            self.size += len(payload)
        elif payload[_CODE_AT] in _STATES:
            if not isinstance(last, _States):
                last = _States(now)
                self._entries.append(last)
            self.size += last.append(_path_of(payload), payload)
        else:
            self._entries.append(_Request(now, payload))
            self.size += len(payload)

    def pop(self) -> bytes:
        """Remove and return the oldest message; there must be one."""
        entry = self._entries[0]
        payload = entry.payload if isinstance(entry, _Request) else entry.pop()
        if isinstance(entry, _Request) or not entry:
            self._entries.popleft()
        self.size -= len(payload)
        return payload

    def pop_state(self, path: bytes) -> bytes | None:
        """Remove all notifications of a state, and return the last one, if there is one."""
        last: bytes | None = None
        for entry in self._entries:
            if isinstance(entry, _States) and (payload := entry.payloads.pop(path, None)):
                last = payload
                self.size -= len(payload)
        self._entries = deque(entry for entry in self._entries if entry)
        return last

    def keep_events(self) -> None:
        """Drop everything except events: their connection has ended."""
        self._entries = deque(entry for entry in self._entries if isinstance(entry, _Events))
        self.size = sum(entry.size for entry in self._entries if isinstance(entry, _Events))

    def clear(self) -> None:
        """Drop everything."""
        self._entries.clear()
        self.size = 0

    def drop_events(self, size: int) -> int:
        """Drop the oldest events until no more than `size` bytes wait; return how many."""
        dropped = 0
        kept: deque[_Events | _States | _Request] = deque()
        while self._entries and self.size > size:
            entry = self._entries.popleft()
            if isinstance(entry, _Events):
                dropped += len(entry)
                self.size -= entry.size
            else:
                kept.append(entry)
        self._entries.extendleft(reversed(kept))
        return dropped


def _path_of(payload: bytes) -> bytes:
    return payload[_AFTER_CODE:].partition(b"\0")[0]
