"""How much the strategies of a context have to do."""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Final, Protocol

__all__ = ["Workload", "current_workload", "using_workload"]


class _AtWork(Protocol):
    @property
    def running(self) -> int: ...
    @property
    def queued(self) -> int: ...


class Workload:
    """The strategies at work in a context: how much they have to do."""

    def __init__(self) -> None:
        self._at_work: dict[_AtWork, None] = {}

    @property
    def running(self) -> int:
        """How many tasks run."""
        return sum(each.running for each in self._at_work)

    @property
    def queued(self) -> int:
        """How many tasks wait for their turn."""
        return sum(each.queued for each in self._at_work)

    def add(self, built: _AtWork) -> Callable[[], object]:
        """Count a strategy in; return what counts it out."""
        self._at_work[built] = None
        return lambda: self._at_work.pop(built, None)


current_workload: Final[ContextVar[Workload | None]] = ContextVar("eshet.workload", default=None)
"""Counts the strategies that are built in this context, if anything does."""


@contextlib.contextmanager
def using_workload(workload: Workload) -> Iterator[None]:
    """Count the strategies built in this context in `workload`, within a `with` statement."""
    token = current_workload.set(workload)
    try:
        yield
    finally:
        current_workload.reset(token)
