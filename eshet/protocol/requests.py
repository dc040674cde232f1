"""Requests that wait for their replies, by id."""

from collections.abc import Iterator
from typing import Final, Generic, TypeVar

from eshet.exceptions import ProtocolError, TooManyRequests

__all__ = ["IDS", "Requests"]

T = TypeVar("T")

IDS: Final = 0x10000
"""How many request ids there are."""


class Requests(Generic[T]):
    """What is kept for each request until its reply comes.

    Invariant: an id is taken from `open` until `close`, so no two open requests share one.
    """

    __slots__ = ("_next", "_open")

    def __init__(self) -> None:
        self._next = 0
        self._open: dict[int, T] = {}

    def __len__(self) -> int:
        return len(self._open)

    def open(self, item: T) -> int:
        """Keep an item, and return the id of its request.

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

    def close(self, request_id: int) -> T:
        """Return what was kept for the request that this replies to.

        Raises:
            ProtocolError: there is none.
        """
        try:
            return self._open.pop(request_id)
        except KeyError:
            raise ProtocolError(f"a reply to request {request_id}, which nobody made") from None

    def __iter__(self) -> Iterator[T]:
        """Iterate over what is kept, in the order in which it was opened."""
        return iter(self._open.values())

    def close_all(self) -> list[T]:
        """Return what was kept for all requests: their replies will not come."""
        items = list(self._open.values())
        self._open.clear()
        return items
