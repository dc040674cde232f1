"""Changes that wait for their turn, what led to each, and those that would go on for ever."""

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from eshet.exceptions import EndlessChange

if TYPE_CHECKING:
    from eshet.reactive.core.graph import Node
    from eshet.reactive.core.transaction import ChangeSource

__all__ = ["MAX_REPEATS", "PendingChange"]

MAX_REPEATS: Final = 100
"""How often one change may lead to the next of the same source before that is cut."""


class PendingChange:
    """A change that was made while another one ran.

    Args:
        source: what changes.
        value: what it changes to.
        cause: the round that ran, None if that was the first of all.
    """

    __slots__ = ("cause", "number", "source", "value")

    def __init__(self, source: "ChangeSource", value: Any, cause: "PendingChange | None") -> None:
        self.source = source
        self.value = value
        self.cause = cause
        self.number: int = 1 if cause is None else cause.number + 1

    def endless(self) -> EndlessChange | None:
        """Return an error if the rounds that led here lead to one source again and again.

        Long ways are looked at now and then only: for a loop of one source, at its 100th round.
        """
        if self.number % MAX_REPEATS:
            return None
        sources = self._sources()
        _, times = Counter(sources).most_common(1)[0]
        if times < MAX_REPEATS:
            return None
        last = sources[1:].index(sources[0]) + 1
        return EndlessChange([node.describe() for node in reversed(sources[1 : last + 1])], times)

    def _sources(self) -> "list[Node]":
        """Return the sources of the rounds that led here, this one's first."""
        sources = []
        step: PendingChange | None = self
        while step is not None:
            sources.append(step.source.node)
            step = step.cause
        return sources
