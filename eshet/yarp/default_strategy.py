"""The strategy of sinks without one of their own: that of the rule, else `RunInTask()`."""

from typing import Final

from eshet.scope import current_scope
from eshet.utils import RunInTask, TaskStrategy

__all__ = ["UNSAID", "DefaultStrategy", "choose_strategy"]

UNSAID: Final[TaskStrategy] = RunInTask()
"""The default of the wrappers' `strategy`: this very object means that none was chosen."""


class DefaultStrategy:
    """The strategy of sinks that are made in a scope, unless they are given another.

    Args:
        strategy: the strategy.
    """

    def __init__(self, strategy: TaskStrategy) -> None:
        self.strategy: Final = strategy


def choose_strategy(given: TaskStrategy) -> TaskStrategy:
    """Return the strategy that a wrapper was given, or else that of the current scope."""
    if given is not UNSAID:
        return given
    scope = current_scope()
    default = None if scope is None else scope.find(DefaultStrategy)
    return UNSAID if default is None else default.strategy
