"""The graph that changes run through: its nodes, the edges between them, and how long they live.

A node is a plain slotted object and knows nothing of yarp: user code holds it through a handle,
a `Value` or an `Event`. A *source* is set from outside; a *derived* node has inputs, and settles
after they have.

Invariants, for nodes that have not ended:

- A node is higher than each of its inputs, so nodes settled in order of height never see an input
  that is still to change.
- A node is among the dependents of each of its inputs, once.
- `uses` counts its handles, its dependents and its callbacks. When it falls to 0 the node ends, and
  so, in turn, do those of its inputs that only it used.

A node that has ended, because nothing used it or because its scope was disposed, has no edges and
no callbacks and never settles again. Its last value can still be read.

A node that ends is not searched for in what its inputs list: they skip it, and sweep their list
when half of it has ended. So leaving takes constant time, however many dependents there are.
"""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from eshet.reactive.plain import NoValue
from eshet.scope import Scope, current_scope, report_error

if TYPE_CHECKING:
    from eshet.reactive.subscription import Subscription
    from eshet.reactive.transaction import Transactions

__all__ = [
    "ENDED",
    "IDLE",
    "QUEUED",
    "Constant",
    "EventNode",
    "Node",
    "Resumption",
    "ScopeNodes",
    "ValueNode",
    "end",
]

IDLE: Final = 0
QUEUED: Final = 1
ENDED: Final = 2


class Node:
    """What `ValueNode` and `EventNode` share.

    A node belongs to the scope that is current when it is made: it ends with it, and its errors are
    reported there.

    Args:
        inputs: the nodes that this one settles after; each may be given more than once.
    """

    __slots__ = (
        "callbacks",
        "dependents",
        "height",
        "inputs",
        "left",  # how many of `dependents` have ended
        "owner",
        "state",
        "uses",
    )

    inputs: Sequence["Node"]
    dependents: "list[Node] | None"
    callbacks: "dict[Subscription, None] | None"

    def __init__(self, inputs: Sequence["Node"] = ()) -> None:
        self.state = IDLE
        self.uses = 0
        self.height = 0
        self.left = 0
        self.inputs = ()
        self.dependents = self.callbacks = None
        self.owner: ScopeNodes | None = None
        scope = current_scope()
        if scope is not None:
            self.owner = scope.room(ScopeNodes)
            self.owner.add(self)
        for node in inputs:
            self.follow(node)

    def settle(self, transaction: "Transactions") -> bool:
        """Bring this derived node up to date with its inputs; return whether it changed.

        It is called at most once in a transaction, when all inputs have settled and one of them
        changed. An exception is reported and means no change.
        """
        return False

    def take(self, value: Any, transaction: "Transactions") -> None:
        """Take what this source was set to, or what it emits, at the start of a transaction."""
        raise NotImplementedError

    def take_passing(self, value: Any, transaction: "Transactions") -> None:
        """Take a value for this transaction only."""
        raise NotImplementedError

    def notify(self, heard: "list[tuple[Subscription, Any]]") -> None:
        """Append each callback with what it is to be called with; asked after a change."""
        raise NotImplementedError

    def stop(self) -> None:
        """Cancel whatever else makes this node change; called once, as it ends."""

    def label(self) -> str:
        """Return what people are told that this node is."""
        return type(self).__name__

    # --- hand-over: see handover.py -------------------------------------------------------------

    def give(self, zero: float) -> Any:
        """Return, as plain data, what another version of this node needs to go on as this would.

        Args:
            zero: the loop's time that the data calls 0, so that what is in it is a time of the
                loop, or of the wall clock, or of whatever else runs as fast.

        Returns:
            None if this node remembers nothing.
        """
        return None

    def receive(self, given: Any, resumption: "Resumption") -> Sequence[Any]:
        """Go on as the node did that gave this, and let those that depend on this one know.

        Nodes receive after those that they depend on.

        Returns:
            What this would have emitted in the time in which nobody was there.

        Raises:
            Exception: it was given by another kind of node. Nothing has changed.
        """
        raise NotImplementedError

    @property
    def is_told(self) -> bool:
        """Whether people want to know what became of what this node remembers."""
        return True

    def detail(self) -> str:
        """Return what tells this node from others that are made of the same in the same way."""
        return ""

    def sources(self) -> Sequence["Node"]:
        """Return the nodes that this one is made of: its inputs, and what else it hears."""
        return self.inputs

    def report(self, error: BaseException) -> None:
        """Report an error of this node to the scope that owns it."""
        if self.owner is not None:
            self.owner.scope.report(error, self.label())
        else:
            report_error(error, self.label())

    def disown(self) -> None:
        """Belong to no scope, and go on when the present one ends: for what is shared by all."""
        if self.owner is not None:
            self.owner.discard(self)
            self.owner = None
            self.state = IDLE

    def follow(self, node: "Node") -> None:
        """Become a dependent of a node, which may have ended: there is nothing to hear then."""
        if node.state == ENDED or self.state == ENDED or node in self.inputs:
            return
        self.inputs = (*self.inputs, node)
        if node.height >= self.height:
            self.height = node.height + 1
        if node.dependents is None:
            node.dependents = [self]
        else:
            node.dependents.append(self)
        node.uses += 1

    def release(self) -> None:
        """Take one use away; without any the node ends."""
        self.uses -= 1
        if not self.uses and self.state != ENDED:
            end(self)


class Resumption(NamedTuple):
    """Where in time a node goes on with what it was given.

    Args:
        now: the loop's time.
        zero: the loop's time that the data calls 0.
        down_until: until when, in the loop's time, nobody was there: what was due before that has
            been missed. After a reload nothing has.
    """

    now: float
    zero: float = 0.0
    down_until: float = -math.inf


class ValueNode(Node):
    """A node that holds a value."""

    __slots__ = ("value",)

    def __init__(self, value: Any = NoValue, inputs: Sequence[Node] = ()) -> None:
        Node.__init__(self, inputs)  # as super() takes as long as all that this does
        self.value = value

    def take(self, value: Any, transaction: "Transactions") -> None:
        """Hold the value."""
        self.value = value

    def take_passing(self, value: Any, transaction: "Transactions") -> None:
        """Hold the value until all has settled."""
        transaction.passing.append((self, self.value))
        self.value = value

    def label(self) -> str:
        """Return what people are told that this node is."""
        return "Value"

    def notify(self, heard: "list[tuple[Subscription, Any]]") -> None:
        """Let each callback hear the value."""
        if self.callbacks:
            value = self.value
            for subscription in self.callbacks:
                heard.append((subscription, value))


class EventNode(Node):
    """A node that holds nothing, and emits. `emissions` is empty outside of a transaction."""

    __slots__ = ("emissions",)

    value: Final = NoValue  # where a function takes Values and Events, the one that is silent

    def __init__(self, inputs: Sequence[Node] = ()) -> None:
        super().__init__(inputs)
        self.emissions: Sequence[Any] = ()

    def emit(self, emissions: Sequence[Any], transaction: "Transactions") -> bool:
        """Emit all of these in this transaction; return whether there were any."""
        if not emissions:
            return False
        self.emissions = emissions
        transaction.emitted.append(self)
        return True

    def take(self, value: Any, transaction: "Transactions") -> None:
        """Emit the value."""
        self.emissions = (value,)
        transaction.emitted.append(self)

    take_passing = take

    def label(self) -> str:
        """Return what people are told that this node is."""
        return "Event"

    def notify(self, heard: "list[tuple[Subscription, Any]]") -> None:
        """Let each callback hear each emission."""
        if self.callbacks:
            for value in self.emissions:
                for subscription in self.callbacks:
                    heard.append((subscription, value))


class Constant:
    """Stands beside `ValueNode` where a function takes values and this one never changes."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class ScopeNodes:
    """The nodes of one scope, which end with it; they are iterated over in the order of making.

    It holds no node that nothing uses: that one ended, and left.
    """

    __slots__ = ("_disposed", "_nodes", "names", "scope")

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.names: dict[Node, str] = {}
        """The names of those nodes that were given one."""
        self._nodes: dict[Node, None] = {}
        self._disposed = False
        scope.own(self._dispose)

    def add(self, node: Node) -> None:
        """Own a node. One made in a disposed scope has ended before it began."""
        if self._disposed:
            node.state = ENDED
        else:
            self._nodes[node] = None

    def discard(self, node: Node) -> None:
        """Forget a node that has ended."""
        self._nodes.pop(node, None)
        if self.names:
            self.names.pop(node, None)

    def __iter__(self) -> Iterator[Node]:
        return iter(self._nodes)

    def _dispose(self) -> None:
        self._disposed = True
        while self._nodes:
            end(self._nodes.popitem()[0])


def end(node: Node) -> None:
    """End a node, and each of its inputs that nothing else used, and theirs.

    This loops instead of recursing: a chain may be as long as memory allows.
    """
    ending = [node]
    while ending:
        node = ending.pop()
        node.state = ENDED
        if node.owner is not None:
            node.owner.discard(node)
        ending.extend(filter(_leave, node.inputs))
        node.inputs = ()
        node.dependents = node.callbacks = None
        node.stop()


def _leave(node: Node) -> bool:
    """Take one dependent, which has ended, away from a node; return whether the node ends too."""
    node.uses -= 1
    if node.state == ENDED or node.dependents is None:
        return False
    node.left += 1
    if node.left * 2 > len(node.dependents):
        node.dependents = [each for each in node.dependents if each.state != ENDED]
        node.left = 0
    return not node.uses
