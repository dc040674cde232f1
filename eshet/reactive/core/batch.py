"""Change sources that stand for nodes in one transaction: batches, and transient values."""

from types import TracebackType
from typing import Any

from eshet.reactive.core.graph import EventNode, Node, ScopeNodes, ValueNode
from eshet.reactive.core.markers import NoValue
from eshet.reactive.core.transaction import (
    ChangeSource,
    Notified,
    SettlingNode,
    Transactions,
    thread_local,
)

__all__ = ["Batch", "Transient", "transaction"]


class Transient:
    """A Value that is set for one transaction only."""

    __slots__ = ("node", "value")

    value: object  # the value to set

    def __init__(self, node: ValueNode) -> None:
        self.node: ValueNode = node

    @property
    def owner(self) -> ScopeNodes | None:
        """The owner of the node."""
        return self.node.owner

    @property
    def callbacks(self) -> list[Notified] | None:
        """The callbacks of the node."""
        return self.node.callbacks

    @property
    def height(self) -> int:
        """The height of the node."""
        return self.node.height

    @property
    def dependents(self) -> list[Node] | None:
        """The dependents of the node."""
        return self.node.dependents

    def take(self, value: object, transactions: Transactions) -> None:
        """Set the node to the value until everything has settled."""
        transactions.transient.setdefault(self.node, self.node.value)
        self.node.value = self.value = value

    def held(self) -> dict[SettlingNode, object]:
        """Return the current value of the node."""
        return self.node.held()


class Batch:
    """All sources that change in one `with transaction()` block.

    Attributes:
        at_once: whether Values are set immediately. Within a callback they are set when the batch
            has its turn; emissions always wait for that.
    """

    __slots__ = ("_before", "_transactions", "_transients", "_waiting", "at_once")

    owner = None  # its sources have one
    callbacks = None  # they have them
    height = 0  # of most sources, and none is lower
    value = None

    def __init__(self, transactions: Transactions) -> None:
        self.at_once: bool = True
        self._transactions = transactions
        # The previous value of each set source, and the stand-ins of those set transiently.
        self._before: dict[SettlingNode, object] = {}
        self._transients: dict[SettlingNode, Transient] = {}
        self._waiting: list[tuple[ChangeSource, Any]] = []  # changes that are still to be made

    @property
    def empty(self) -> bool:
        """Whether the batch has no changes."""
        return not self._before and not self._waiting

    @property
    def node(self) -> SettlingNode:
        """The first of the changed nodes."""
        return next(iter(self._before)) if self._before else self._waiting[0][0].node

    @property
    def dependents(self) -> list[SettlingNode]:
        """The dependents of all sources, each once."""
        following: dict[SettlingNode, None] = {}
        for source in self._before:
            for node in source.dependents or ():
                following[node] = None
        return list(following)

    def add(self, source: ChangeSource, value: object) -> None:
        """Make one more change."""
        if self.at_once and isinstance(source, ValueNode):
            self._before.setdefault(source, source.value)
            if self._transients and source in self._transients:
                del self._transients[source]  # a lasting value replaces a transient one
                del self._transactions.transient[source]
            source.value = value
        elif self.at_once and isinstance(source, Transient):
            self._before.setdefault(source.node, source.node.value)
            self._transients[source.node] = source
            source.take(value, self._transactions)
        else:
            self._waiting.append((source, value))

    def take(self, _: object, transactions: Transactions) -> None:
        """Make all changes that are still to be made."""
        self.at_once = True
        waiting, self._waiting = self._waiting, []
        emissions: dict[EventNode, list[object]] = {}
        for source, value in waiting:
            if isinstance(source, EventNode):
                emissions.setdefault(source, []).append(value)
                self._before[source] = NoValue
            else:
                self.add(source, value)
        for node in self._before:
            if node.owner is not None:
                node.owner.root.note_activity()
            if emissions and isinstance(node, EventNode):
                node.emit(emissions[node], transactions)
            if node.callbacks:
                transactions.to_notify.append(self._transients.get(node, node))

    def held(self) -> dict[SettlingNode, object]:
        """Return the previous value of each source."""
        for source, _ in self._waiting:
            if source.node not in self._before:
                self._before.update(source.node.held())
        return dict(self._before)


class transaction:  # noqa: N801 - it is used as a function
    """Make all changes of a `with` block one change: `with yarp.transaction(): ...`.

    A source has its new value at once. Its dependents change, and callbacks are called, when the
    block ends, also when it ends by an exception. A Value that is set twice changes once, to the
    last value; an Event that emits twice emits both. A nested block is part of the outer one.
    Within a callback the whole block waits for its turn, like any change.

    Do not `await` in the block: changes that other tasks make meanwhile would become part of it.
    """

    __slots__ = ("_batch", "_transactions")

    def __enter__(self) -> None:
        self._transactions = thread_local.transactions
        self._batch = None if self._transactions.batch is not None else Batch(self._transactions)
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
