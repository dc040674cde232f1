"""Changes that wait for their turn, the chain that led to each, and endless chains."""

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from eshet.exceptions import EndlessChange

if TYPE_CHECKING:
    from eshet.reactive.core.graph import Node
    from eshet.reactive.core.transaction import ChangeSource

__all__ = ["MAX_REPEATS", "PendingChange"]

MAX_REPEATS: Final = 100
"""How many changes of one source may follow from each other before the chain is cut."""


class PendingChange:
    """A change that was made while another one was running.

    Args:
        source: the source that changes.
        value: its new value.
        cause: the change that was running; None if that was not itself a pending one.
    """

    __slots__ = ("cause", "number", "source", "value")

    def __init__(self, source: "ChangeSource", value: Any, cause: "PendingChange | None") -> None:
        self.source: ChangeSource = source
        self.value: Any = value
        self.cause: PendingChange | None = cause
        self.number: int = 1 if cause is None else cause.number + 1

    def endless(self) -> EndlessChange | None:
        """Return an error if the changes that led here involve one source again and again.

        This checks at every 100th change of a chain only: for a loop of one source, at its 100th.
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
        """Return the sources of this change and of those that led to it, its own first."""
        sources = []
        step: PendingChange | None = self
        while step is not None:
            sources.append(step.source.node)
            step = step.cause
        return sources
