"""How much the strategies of a context have to do."""

from collections.abc import Callable
from typing import Protocol

__all__ = ["Workload"]


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
