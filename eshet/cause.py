"""Causes: each input from outside starts a cause, and all of its effects carry it.

A cause travels in the context: with the transaction that an input starts, into the tasks and timers
that the transaction starts, and with each task that waits in a strategy's queue.

    with use_cause(Cause("event", "/hall/motion")):
        moved.emit(True)
    ...
    current_cause()        # the cause of the running code; None where causes are not tracked

Where one cause leads to another, for example when a rule receives a state that another rule has
set, the second names the first as its parent.
"""

import itertools
import secrets
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, Final

__all__ = ["Cause", "current", "current_cause", "following", "use_cause"]

_SEGMENT: Final = 512
_MOST_TIMERS: Final = 8  # one after another, in the snapshot of a cause
_run: Final = secrets.token_hex(4)  # so that processes that write to one trail have different ids
_numbers: Final = itertools.count(1)


class Cause:
    """One input from outside, and the causes that led to it.

    A chain of causes may grow without limit, for example between rules that answer each other. Only
    the last 512 to 1,024 causes of each chain are kept: the parent of the oldest one is dropped,
    except for its id.

    Args:
        kind: `"state"`, `"event"`, `"call"`, `"set"`, `"get"`, `"timer"`, `"set-up"`, `"reload"`,
            `"restart"`, `"command"`, `"disconnected"`, `"owner"`, `"reconnected"`, `"override"`,
            `"correction"`, or another word.
        path: where the input arrived; without a path, the name of its subject.
        parent: the cause that led to it.
        at: the loop's time of the input; None if it is not known.
    """

    __slots__ = ("_segment", "at", "depth", "id", "kind", "parent", "parent_id", "path")

    def __init__(
        self, kind: str, path: str, parent: "Cause | None" = None, at: float | None = None
    ) -> None:
        self.id: str = f"{_run}-{next(_numbers):x}"
        self.kind: Final = kind
        self.path: Final = path
        self.at: Final = at
        self.parent: Cause | None = parent
        self.parent_id: str | None = None
        self.depth: int = 0
        """How many causes precede it in the chain."""
        self._segment: Cause | None = None  # its first cause; None in that itself: no cycle
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
        """Return this cause as plain data, to be restored by another version.

        That of a timer contains the cause that started the timer.
        """
        data: list[Any] = [self.id, self.parent_id, self.kind, self.path]
        is_timer = self.kind == "timer"
        chain = itertools.islice(self.chain(), 1, _MOST_TIMERS if is_timer else 1)
        for each in chain:
            data += [each.id, each.parent_id, each.kind, each.path]
            if each.kind != "timer":
                break
        return data

    @classmethod
    def restored(cls, data: list[Any] | None) -> "Cause | None":
        """Return a cause from its snapshot, maybe of another process; None for None.

        Of its chain, only that is known which is in the snapshot, and the id of the next parent.

        Raises:
            ValueError: the data is not a snapshot.
        """
        if data is None:
            return None
        if not data or len(data) % 4:
            raise ValueError(f"a cause has a multiple of four parts, not {len(data)}")
        parent: Cause | None = None
        for start in range(len(data) - 4, -1, -4):
            id_, parent_id, kind, path = data[start : start + 4]
            cause = cls(kind, path, parent)
            cause.id, cause.parent_id = id_, parent_id
            parent = cause
        return parent

    def chain(self) -> "Iterator[Cause]":
        """Iterate over this cause and its ancestors, as far back as they are kept."""
        cause: Cause | None = self
        while cause is not None:
            yield cause
            cause = cause.parent


current: Final[ContextVar[Cause | None]] = ContextVar("eshet.cause", default=None)
"""The variable behind `current_cause()`, for callers that read it very often."""


def current_cause() -> Cause | None:
    """Return the cause of the running code; None where causes are not tracked."""
    return current.get()


def following(kind: str, path: str, parent: Cause | None) -> Cause | None:
    """Return a new cause that follows from another; None where causes are not tracked.

    Args:
        kind: see `Cause`.
        path: see `Cause`.
        parent: the other one; None for the current cause.
    """
    parent = parent or current.get()
    return None if parent is None else Cause(kind, path, parent)


class use_cause:  # noqa: N801 - it is used as a function
    """Make a cause, or no cause, the current one of the context, in a `with` statement.

    This is a class for the same reason as `eshet.scope.use_scope`.
    """

    __slots__ = ("_cause", "_token")

    def __init__(self, cause: Cause | None) -> None:
        self._cause = cause

    def __enter__(self) -> Cause | None:
        self._token = current.set(self._cause)
        return self._cause

    def __exit__(self, *exception: object) -> None:
        current.reset(self._token)
