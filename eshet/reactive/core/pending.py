"""Changes that wait for their turn, the chain that led to each, and endless chains."""

from collections import Counter
from typing import Final, Generic, Protocol, TypeVar

from eshet.exceptions import EndlessChange

__all__ = ["MAX_REPEATS", "Described", "PendingChange", "Source"]

MAX_REPEATS: Final = 100
"""How many changes of one source may follow from each other before the chain is cut."""


class Described(Protocol):
    """A node, as far as the error about an endless chain names it."""

    def describe(self) -> str:
        """Return the name of the node."""


class Source(Protocol):
    """The source of a change."""

    @property
    def node(self) -> Described:
        """The node that changes."""


S = TypeVar("S", bound=Source)


class PendingChange(Generic[S]):
    """A change that was made while another one was running.

    Args:
        source: the source that changes.
        value: its new value.
        cause: the change that was running; None if that was not itself a pending one.
    """

    __slots__ = ("cause", "number", "source", "value")

    def __init__(self, source: S, value: object, cause: "PendingChange[S] | None") -> None:
        self.source: S = source
        self.value: object = value
        self.cause: PendingChange[S] | None = cause
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

    def _sources(self) -> list[Described]:
        """Return the sources of this change and of those that led to it, its own first."""
        sources: list[Described] = []
        step: PendingChange[S] | None = self
        while step is not None:
            sources.append(step.source.node)
            step = step.cause
        return sources
