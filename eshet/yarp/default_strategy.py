"""The default strategy of sinks: that of the rule, else `RunInTask()`."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Final

from eshet.utils import RunInTask, TaskStrategy

__all__ = ["DEFAULT_STRATEGY", "choose_strategy", "using_strategy"]

DEFAULT_STRATEGY: Final[TaskStrategy] = RunInTask()
"""The default of the wrappers' `strategy`; compared by identity, it means that none was chosen."""

_of_context: Final[ContextVar[TaskStrategy]] = ContextVar(
    "eshet.strategy", default=DEFAULT_STRATEGY
)


def choose_strategy(chosen: TaskStrategy) -> TaskStrategy:
    """Return the strategy passed to a wrapper, or else that of this context."""
    return _of_context.get() if chosen is DEFAULT_STRATEGY else chosen


@contextlib.contextmanager
def using_strategy(strategy: TaskStrategy) -> Iterator[None]:
    """Run the sinks made in this context under a strategy, unless they have one of their own.

    Tasks that are started within the `with` statement keep it until they end.
    """
    token = _of_context.set(strategy)
    try:
        yield
    finally:
        _of_context.reset(token)
