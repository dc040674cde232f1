"""What made something happen: each input from outside starts a cause, and its effects carry it.

A cause travels in the context: with the transaction that an input starts, into the tasks and timers
that this starts, and with each task that waits in a strategy's queue.

    with causing(Cause("event", "/hall/motion")):
        moved.emit(True)
    ...
    current_cause()        # what led to here; None where nobody keeps track

Where one cause leads to another, as when a rule hears of what another rule has set, the second
names the first as its parent.
"""

import itertools
import secrets
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, Final

__all__ = ["Cause", "current", "current_cause", "following", "use_cause"]

_SEGMENT: Final = 512
_run: Final = secrets.token_hex(4)  # no two processes that write to one trail have the same ids
_numbers: Final = itertools.count(1)


class Cause:
    """One input from outside, and what led to it.

    A chain of causes may grow for ever, as that of rules which answer each other. Only the last of
    each chain are kept, 512 to 1,024 of them: the parent of the oldest is gone then, not its id.

    Args:
        kind: what it is: `"state"`, `"event"`, `"call"`, `"set"`, `"get"`, `"timer"`, `"set-up"`,
            `"reload"`, `"restart"`, `"command"`, `"disconnected"`, or another word.
        path: where it came in; for what has no path, the name of what it is about.
        parent: the cause that led to it.
    """

    __slots__ = ("_segment", "depth", "id", "kind", "parent", "parent_id", "path")

    def __init__(self, kind: str, path: str, parent: "Cause | None" = None) -> None:
        self.id = f"{_run}-{next(_numbers):x}"
        self.kind: Final = kind
        self.path: Final = path
        self.parent = parent
        self.parent_id: str | None = None
        self.depth = 0
        """How many causes led to it, one after the other."""
        self._segment: Cause | None = None  # its first cause; None for that itself: no ring
        if parent is not None:
            self.parent_id = parent.id
            self.depth = parent.depth + 1
            segment = parent._segment or parent
            if self.depth % _SEGMENT:
                self._segment = segment
            else:
                segment.parent = None

    def __repr__(self) -> str:
        return f"<Cause {self.id}: {self.kind} {self.path}>"

    def snapshot(self) -> list[Any]:
        """Return it as plain data, for who goes on with what it started; see `restored`."""
        return [self.id, self.parent_id, self.kind, self.path]

    @classmethod
    def restored(cls, data: list[Any] | None) -> "Cause | None":
        """Return a cause as it was given, maybe by another process; None if there was none.

        Of what led to it only the id of its parent is known.
        """
        if data is None:
            return None
        id_, parent_id, kind, path = data
        cause = cls(kind, path)
        cause.id = id_
        cause.parent_id = parent_id
        return cause

    def chain(self) -> "Iterator[Cause]":
        """Iterate over this cause and those that led to it, as far back as they are kept."""
        cause: Cause | None = self
        while cause is not None:
            yield cause
            cause = cause.parent


current: Final[ContextVar[Cause | None]] = ContextVar("eshet.cause", default=None)
"""What `current_cause()` tells, for who asks very often."""


def current_cause() -> Cause | None:
    """Return the cause of what runs now; None where nobody keeps track of causes."""
    return current.get()


def following(kind: str, path: str, parent: Cause | None) -> Cause | None:
    """Return a cause that another leads to; None where nobody keeps track of causes.

    Args:
        kind: see `Cause`.
        path: see `Cause`.
        parent: the other one; None for the present one.
    """
    parent = parent or current.get()
    return None if parent is None else Cause(kind, path, parent)


class use_cause:  # noqa: N801 - it is used as a function
    """Make a cause, or none, the one of what a `with` statement does.

    It is a class for the same reason as `eshet.scope.within`.
    """

    __slots__ = ("_cause", "_token")

    def __init__(self, cause: Cause | None) -> None:
        self._cause = cause

    def __enter__(self) -> Cause | None:
        self._token = current.set(self._cause)
        return self._cause

    def __exit__(self, *exception: object) -> None:
        current.reset(self._token)
