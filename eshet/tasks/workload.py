"""The numbers of running and waiting tasks in a scope."""

from collections.abc import Callable
from typing import Protocol

__all__ = ["Workload"]


class _Strategy(Protocol):
    @property
    def running(self) -> int: ...
    @property
    def queued(self) -> int: ...


class Workload:
    """The strategies of a scope, and the numbers of their tasks."""

    def __init__(self) -> None:
        self._strategies: dict[_Strategy, None] = {}

    @property
    def running(self) -> int:
        """The number of running tasks."""
        return sum(each.running for each in self._strategies)

    @property
    def queued(self) -> int:
        """The number of waiting tasks."""
        return sum(each.queued for each in self._strategies)

    def add(self, built: _Strategy) -> Callable[[], object]:
        """Include a strategy; return a function that removes it."""
        self._strategies[built] = None
        return lambda: self._strategies.pop(built, None)
