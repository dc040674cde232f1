"""What stands for a source in one transaction: a batch of changes, and a value that passes."""

from types import TracebackType
from typing import Any

from eshet.reactive.graph import EventNode, Node, ValueNode
from eshet.reactive.transaction import Source, Transactions, here
from eshet.scope import Scope

__all__ = ["Batch", "Passing", "transaction"]


class Passing:
    """A Value that is set for one transaction only."""

    __slots__ = ("_passing", "node")

    def __init__(self, node: ValueNode) -> None:
        self.node = node

    @property
    def callbacks(self) -> object:
        """Those of the node."""
        return self.node.callbacks

    @property
    def dependents(self) -> list[Node] | None:
        """Those of the node."""
        return self.node.dependents

    def take(self, value: Any, transactions: Transactions) -> None:
        """Let the node have the value until all has settled."""
        transactions.passing.setdefault(self.node, self.node.value)
        self.node.value = self._passing = value

    def call_back(self, scope: Scope | None) -> None:
        """Let each callback hear what passed, which the node does not hold any more."""
        self.node.tell(self._passing, scope)

    def held(self) -> dict[Node, Any]:
        """Return what the node holds."""
        return self.node.held()


class Batch:
    """All sources that change in one `with transaction()` block.

    Attributes:
        at_once: whether Values take what they are set to at once. In a callback they take it when
            the batch has its turn; emissions wait for that in any case.
    """

    __slots__ = ("_changes", "_held", "_sources", "at_once")

    callbacks = True

    def __init__(self) -> None:
        self.at_once = True
        self._changes: list[tuple[Source, Any]] = []  # what is still to be taken
        self._sources: dict[Node, Source] = {}  # what took something, by node
        self._held: dict[Node, Any] = {}

    @property
    def empty(self) -> bool:
        """Whether nothing changes."""
        return not self._sources and not self._changes

    @property
    def node(self) -> Node:
        """The first node of those that change."""
        return next(iter(self._sources)) if self._sources else self._changes[0][0].node

    @property
    def dependents(self) -> list[Node]:
        """What follows any of the sources."""
        return [each for source in self._sources for each in source.dependents or ()]

    def add(self, source: Source, value: Any, transactions: Transactions) -> None:
        """Make one more change."""
        node = source.node
        if not self.at_once or isinstance(node, EventNode):
            self._changes.append((source, value))
            return
        if node not in self._held:
            self._held[node] = node.value
        self._take(node, source, value, transactions)

    def take(self, _: Any, transactions: Transactions) -> None:
        """Let all sources take what is still to be taken."""
        for source, value in self._changes:
            self._take(source.node, source, value, transactions)

    def call_back(self, scope: Scope | None) -> None:
        """Let each source call back, in order."""
        for source in self._sources.values():
            source.call_back(scope)

    def held(self) -> dict[Node, Any]:
        """Return what each source held before."""
        for source, _ in self._changes:
            self._held.setdefault(source.node, source.node.value)
        return self._held

    def _take(self, node: Node, source: Source, value: Any, transactions: Transactions) -> None:
        self._sources[node] = source
        if isinstance(node, EventNode):
            node.emit((*node.emissions, value), transactions)
            return
        if transactions.passing and source is node and isinstance(node, ValueNode):
            transactions.passing.pop(node, None)  # this lasts, whatever passed before
        source.take(value, transactions)


class transaction:  # noqa: N801 - it is used as a function
    """Make all changes of a `with` block one change: `with yarp.transaction(): ...`.

    A source has its new value at once; all that follows it changes, and callbacks are called, when
    the block ends, also by an exception. A Value that is set twice changes once, to the last value;
    an Event that emits twice emits both. A block within a block is part of that. Within a callback
    the whole block waits for its turn, as any change does.

    Do not `await` in the block: what other tasks set meanwhile would be part of it.
    """

    __slots__ = ("_batch", "_transactions")

    def __enter__(self) -> None:
        self._transactions = here.transactions
        self._batch = None if self._transactions.batch is not None else Batch()
        if self._batch is not None:
            self._transactions.begin_batch(self._batch)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._batch is not None:
            self._transactions.end_batch(self._batch)
