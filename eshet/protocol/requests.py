"""Requests that wait for their replies, by id."""

from collections.abc import Iterator
from typing import Final, Generic, TypeVar

from eshet.exceptions import ProtocolError, TooManyRequests

__all__ = ["IDS", "Requests"]

T = TypeVar("T")

IDS: Final = 0x10000
"""The number of request ids."""


class Requests(Generic[T]):
    """Data of requests that wait for their replies.

    Invariant: an id is in use from `open` until `close`, so no two open requests share one.
    """

    __slots__ = ("_next", "_open")

    def __init__(self) -> None:
        self._next = 0
        self._open: dict[int, T] = {}

    def __len__(self) -> int:
        return len(self._open)

    def open(self, item: T) -> int:
        """Store the data of a request, and return its id.

        Raises:
            TooManyRequests: no id is free.
        """
        open_ = self._open
        request_id = self._next
        if request_id in open_:
            if len(open_) == IDS:
                raise TooManyRequests(IDS)
            while request_id in open_:
                request_id = (request_id + 1) % IDS
        open_[request_id] = item
        self._next = (request_id + 1) % IDS
        return request_id

    def get(self, request_id: int) -> T | None:
        """Return the data of the request with this id, or None if there is none."""
        return self._open.get(request_id)

    def close(self, request_id: int) -> T:
        """Return and remove the data of the request with this id.

        Raises:
            ProtocolError: there is none.
        """
        try:
            return self._open.pop(request_id)
        except KeyError:
            raise ProtocolError(f"a reply to request {request_id}, which is not open") from None

    def __iter__(self) -> Iterator[T]:
        """Iterate over the data of open requests, in the order of opening."""
        return iter(self._open.values())

    def close_all(self) -> list[T]:
        """Return and remove the data of all requests, since their replies will not come."""
        items = list(self._open.values())
        self._open.clear()
        return items
