"""The strategy under which sinks run when they are given none: the rule's, else `RunInTask()`."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Final

from eshet.utils import RunInTask, TaskStrategy

__all__ = ["UNSAID", "choose_strategy", "using_strategy"]

UNSAID: Final[TaskStrategy] = RunInTask()
"""The default of the wrappers' `strategy`: this very object says that none was chosen."""

_of_context: Final[ContextVar[TaskStrategy]] = ContextVar("eshet.strategy", default=UNSAID)


def choose_strategy(given: TaskStrategy) -> TaskStrategy:
    """Return the strategy that a wrapper was given, or else that of this context."""
    return _of_context.get() if given is UNSAID else given


@contextlib.contextmanager
def using_strategy(strategy: TaskStrategy) -> Iterator[None]:
    """Run the sinks made in this context under a strategy, unless they are given another.

    Tasks that are started within the `with` statement keep it for all their life.
    """
    token = _of_context.set(strategy)
    try:
        yield
    finally:
        _of_context.reset(token)
