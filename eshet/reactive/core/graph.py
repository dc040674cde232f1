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
when half of it has ended. So leaving takes constant time, however many dependents there are. The
same holds for callbacks.
"""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from eshet.exceptions import WrongThread
from eshet.reactive.core.markers import NoValue, is_same
from eshet.reactive.core.origin import Origin, place_of, where
from eshet.reactive.core.transaction import ENDED, IDLE, Transactions, current_scope, thread_local
from eshet.scope import Scope, report_error

if TYPE_CHECKING:
    from eshet.reactive.core.subscription import Subscription

__all__ = ["Constant", "EventNode", "Node", "RestoreContext", "ScopeNodes", "ValueNode", "end"]


class Node:
    """What `ValueNode` and `EventNode` share.

    A node belongs to the scope that is current when it is made: it ends with it, and its errors are
    reported there.

    Args:
        inputs: the nodes that this one settles after; each may be given more than once.

    Raises:
        WrongThread: one of them belongs to another thread.
    """

    __slots__ = (
        "callbacks",
        "dead_callbacks",  # how many of `callbacks` are disposed
        "dependents",
        "ended_dependents",  # how many of `dependents` have ended
        "height",
        "inputs",
        "origin",
        "owner",
        "state",
        "transactions",
        "uses",
    )

    value: Any  # what a ValueNode holds, or an EventNode emitted last
    inputs: Sequence["Node"]
    dependents: "list[Node] | None"
    callbacks: "list[Subscription] | None"
    origin: Origin

    def __init__(self, inputs: Sequence["Node"] = ()) -> None:
        self.state = IDLE
        self.uses = self.height = self.ended_dependents = self.dead_callbacks = 0
        self.inputs = inputs
        self.dependents = self.callbacks = self.origin = None
        self.transactions = transactions = thread_local.transactions
        self.owner: ScopeNodes | None = None
        scope = current_scope()
        if scope is not None:
            self.owner = scope.get(ScopeNodes)
            self.owner.add(self)
            self.origin = where()
            if self.state == ENDED:  # so has the scope
                self.inputs = ()
                return
        # As follow() does, without a call for each and without looking for those given twice.
        height = 0
        for node in inputs:
            dependents = node.dependents
            if dependents is None:
                if node.state != ENDED:
                    node.dependents = [self]
            elif dependents[-1] is not self:
                dependents.append(self)
            else:
                self.inputs = tuple(dict.fromkeys(inputs))
                continue
            node.uses += 1
            if node.height >= height:
                height = node.height + 1
            if node.transactions is not transactions:
                end(self)
                raise node.wrong_thread()
        self.height = height

    @property
    def node(self) -> "Node":
        """This, which is a source of transactions."""
        return self

    def settle(self, transactions: Transactions) -> bool:
        """Bring this derived node up to date with its inputs; return whether it changed.

        It is called at most once in a transaction, when all inputs have settled and one of them
        changed. An exception is reported and means no change.
        """
        return False

    def take(self, value: Any, transactions: Transactions) -> None:
        """Take what this source was set to, or what it emits, at the start of a transaction."""
        raise NotImplementedError

    def held(self) -> dict["Node", Any]:
        """Return what this holds."""
        return {self: self.value}

    def change(self, value: Any) -> None:
        """Set this source to a value, or let it emit one.

        It returns when all that follows has happened, except in a callback or a node's function:
        there it returns at once, and the change is made when the present transaction has ended.

        Raises:
            WrongThread: this belongs to another thread.
        """
        self.transactions.change(self, value)

    def stop(self) -> None:
        """Cancel whatever else makes this node change; called once, as it ends."""

    def label(self) -> str:
        """Return what people are told that this node is: its kind, or its function."""
        return type(self).__name__

    def describe(self) -> str:
        """Return the name that it was given, or what it is and the place where it was made."""
        if isinstance(self.origin, str):
            return self.origin
        return self.label() + place_of(self.origin)

    def full_name(self) -> str:
        """Return that, after the name of the scope that owns this, if one does."""
        scope = f"{self.owner.scope.name}: " if self.owner is not None else ""
        return scope + self.describe()

    def __repr__(self) -> str:
        return f"<{self.full_name()}>"

    # --- hand-over: see handover.py -------------------------------------------------------------

    def snapshot(self, epoch: float) -> Any:
        """Return, as plain data, what another version of this node needs to go on as this would.

        Args:
            epoch: the loop's time that the data calls 0, so that what is in it is a time of the
                loop, or of the wall clock, or of whatever else runs as fast.

        Returns:
            None if this node remembers nothing.
        """
        return None

    def restore(self, data: Any, context: "RestoreContext") -> Sequence[Any]:
        """Go on as the node did that gave this, and let those that depend on this one know.

        Nodes receive after those that they depend on.

        Returns:
            What this would have emitted in the time in which nobody was there.

        Raises:
            Exception: it was given by another kind of node. Nothing has changed.
        """
        raise NotImplementedError

    def start_from_inputs(self, context: "RestoreContext") -> None:
        """Begin with what the nodes that this one depends on hold now.

        It is called where others have received what they hold after this node was made, and this
        one has not.
        """

    @property
    def is_reported(self) -> bool:
        """Whether people want to know what became of what this node remembers."""
        return True

    def detail(self) -> str:
        """Return what tells this node from others that are made of the same in the same way."""
        return ""

    def is_of(self, node: "Node") -> bool:
        """Whether this emits each change of a Value."""
        return False

    def sources(self) -> Sequence["Node"]:
        """Return the nodes that this one is made of: its inputs, and what else it hears."""
        return self.inputs

    def wrong_thread(self) -> WrongThread:
        """Return what to raise where another thread uses this."""
        scope = None if self.owner is None else self.owner.scope
        return WrongThread(self.describe(), self.transactions.thread, scope)

    def report(self, error: BaseException) -> None:
        """Report an error of this node to the scope that owns it."""
        if self.owner is not None:
            self.owner.scope.report(error, self.describe())
        else:
            report_error(error, self.describe())

    def disown(self) -> None:
        """Belong to no scope, and go on when the present one ends: for what is shared by all."""
        if self.owner is not None:
            self.owner.discard(self)
            self.owner = None
            self.state = IDLE

    def follow(self, node: "Node") -> None:
        """Become a dependent of one more node; of one that has ended, nothing will be heard."""
        if self.state == ENDED or node in self.inputs:
            return
        if node.transactions is not self.transactions:
            raise node.wrong_thread()
        self.inputs = (*self.inputs, node)
        node.uses += 1
        if node.height >= self.height:
            self.height = node.height + 1
        if node.dependents is not None:
            node.dependents.append(self)
        elif node.state != ENDED:
            node.dependents = [self]

    def release(self) -> None:
        """Take one use away; without any the node ends."""
        self.uses -= 1
        if not self.uses and self.state != ENDED:
            end(self)


class RestoreContext(NamedTuple):
    """Where in time a node goes on with what it was given.

    Args:
        now: the loop's time.
        epoch: the loop's time that the data calls 0.
        down_until: until when, in the loop's time, nobody was there: what was due before that has
            been missed. After a reload nothing has.
    """

    now: float
    epoch: float = 0.0
    down_until: float = -math.inf


class ValueNode(Node):
    """A node that holds a value."""

    __slots__ = ("value",)

    def __init__(self, value: Any = NoValue, inputs: Sequence[Node] = ()) -> None:
        Node.__init__(self, inputs)  # as super() takes as long as all that this does
        self.value = value

    def take(self, value: Any, transactions: Transactions) -> None:
        """Hold the value."""
        self.value = value

    def change_to(self, value: Any) -> None:
        """Set this to a value, as `change` does, unless it holds an equal one already."""
        if not is_same(value, self.value):
            self.change(value)

    def label(self) -> str:
        """Return what people are told that this node is."""
        return "Value"


class EventNode(Node):
    """A node that holds nothing, and emits.

    What it emitted is not taken away when a transaction ends, but out of date in the next.

    Attributes:
        value: what it emitted last.
        more: all that it emitted last, if that is more than one.
        emitted_in: the number of the transaction in which it did.
    """

    __slots__ = ("emitted_in", "more", "value")

    def __init__(self, inputs: Sequence[Node] = ()) -> None:
        Node.__init__(self, inputs)
        self.value = NoValue
        self.more: Sequence[Any] = ()
        self.emitted_in = -1

    @property
    def emissions(self) -> Sequence[Any]:
        """What it emitted in this transaction."""
        if self.emitted_in != self.transactions.number:
            return ()
        return self.more or (self.value,)

    def emit(self, emissions: Sequence[Any], transactions: Transactions) -> bool:
        """Emit all of these in this transaction; return whether there were any.

        In a quiet one, nothing is emitted.
        """
        if not emissions or transactions.quiet:
            return False
        self.value = emissions[-1]
        self.more = emissions if len(emissions) > 1 else ()
        self.emitted_in = transactions.number
        if self.more and self.callbacks:
            transactions.to_notify += [
                EarlierEmission(self, emission) for emission in emissions[:-1]
            ]
        return True

    def take(self, value: Any, transactions: Transactions) -> None:
        """Emit the value."""
        self.value = value
        self.more = ()
        self.emitted_in = transactions.number

    def present(self) -> Any:
        """Return what the Value holds whose changes this emits; `NoValue` for any other Event."""
        return NoValue

    def repeats_known_value(self) -> bool:
        """Whether it emits what a Value holds since a hand-over; see `handover.py`.

        Those know it already that received what their old versions have heard.
        """
        return False

    def held(self) -> dict[Node, Any]:
        """Return that this holds nothing."""
        return {self: NoValue}

    def label(self) -> str:
        """Return what people are told that this node is."""
        return "Event"


class EarlierEmission:
    """What callbacks hear of an event that emits more than once, before its last emission."""

    __slots__ = ("node", "value")

    def __init__(self, node: EventNode, value: Any) -> None:
        self.node = node
        self.value = value

    @property
    def callbacks(self) -> "list[Subscription] | None":
        """Those of the node."""
        return self.node.callbacks


class Constant:
    """Stands beside `ValueNode` where a function takes values and this one never changes."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class ScopeNodes:
    """The nodes of one scope, which end with it; they are iterated over in the order of making.

    It holds no node that nothing uses: that one ended, and left.
    """

    __slots__ = ("_disposed", "_nodes", "scope")

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
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
    node.ended_dependents += 1
    if node.ended_dependents * 2 > len(node.dependents):
        node.dependents = [each for each in node.dependents if each.state != ENDED] or None
        node.ended_dependents = 0
    return not node.uses
