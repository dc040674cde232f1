"""The default strategy of sinks: that of the rule, else `RunInTask()`."""

from typing import Final

from eshet.scope import current_scope
from eshet.utils import RunInTask, TaskStrategy

__all__ = ["DEFAULT_STRATEGY", "DefaultStrategy", "choose_strategy"]

DEFAULT_STRATEGY: Final[TaskStrategy] = RunInTask()
"""The default of the wrappers' `strategy`; compared by identity, it means that none was chosen."""


class DefaultStrategy:
    """The strategy of the sinks that are made in a scope, unless they have one of their own.

    Args:
        strategy: the strategy.
    """

    def __init__(self, strategy: TaskStrategy) -> None:
        self.strategy: Final = strategy


def choose_strategy(chosen: TaskStrategy) -> TaskStrategy:
    """Return the strategy passed to a wrapper, or else that of the current scope.

    Raises:
        TypeError: it is not a strategy.
    """
    if not isinstance(chosen, TaskStrategy):
        raise TypeError(f"strategy={chosen!r} is not a strategy: write strategy=RunSerially()")
    if chosen is not DEFAULT_STRATEGY:
        return chosen
    scope = current_scope()
    default = None if scope is None else scope.find(DefaultStrategy)
    return DEFAULT_STRATEGY if default is None else default.strategy
