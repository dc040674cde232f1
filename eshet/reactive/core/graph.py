"""The graph of nodes that changes run through: its nodes, its edges, and their lifetime.

A node is a plain slotted object and independent of yarp: user code holds it through a handle,
a `Value` or an `Event`. A *source* is set from outside; a *derived* node has inputs and settles
after them.

Invariants, for nodes that have not ended:

- A node is higher than each of its inputs, so nodes that settle in order of height never see an
  input that is still to change.
- A node is among the dependents of each of its inputs, once.
- `uses` counts its handles, its dependents and its callbacks. At 0 the node ends, and with it those
  of its inputs that nothing else uses.

A node that has ended, because it was unused or because its scope was disposed, has no edges and
no callbacks and never settles again. Its last value can still be read.

Ending a node does not search the lists of its inputs: these skip ended dependents, and clean up
their list when half of it has ended. So leaving takes constant time, however many dependents there
are. Callbacks are removed in the same way.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

from eshet.exceptions import WrongThread
from eshet.reactive.core.markers import NoValue, is_same
from eshet.reactive.core.origin import Origin, place_of, where
from eshet.reactive.core.transaction import (
    ENDED,
    IDLE,
    Notified,
    SettlingNode,
    Transactions,
    current_scope,
    thread_local,
)
from eshet.scope import Scope, report_error

__all__ = [
    "ArmedTimer",
    "Constant",
    "EventNode",
    "Node",
    "RestoreContext",
    "ScopeNodes",
    "StateData",
    "ValueNode",
    "end",
]

StateData: TypeAlias = Any
"""The state of a node as plain data; `restore` takes the result of `snapshot` of the same class."""


class Node:
    """Common base of `ValueNode` and `EventNode`.

    A node belongs to the scope that is current when it is made: it ends with that scope, and its
    errors are reported there.

    Args:
        inputs: the nodes after which this one settles; repeated nodes count once.

    Raises:
        WrongThread: an input belongs to another thread.
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

    value: object  # of a ValueNode; of an EventNode, its last emission
    uses: int
    height: int
    ended_dependents: int
    dead_callbacks: int
    inputs: Sequence["Node"]
    dependents: "list[Node] | None"
    callbacks: list[Notified] | None
    origin: Origin

    def __init__(self, inputs: Sequence["Node"] = ()) -> None:
        self.state: int = IDLE
        self.uses = self.height = self.ended_dependents = self.dead_callbacks = 0
        self.inputs = inputs
        self.dependents = self.callbacks = self.origin = None
        transactions = thread_local.transactions
        self.transactions: Transactions = transactions
        self.owner: ScopeNodes | None = None
        scope = current_scope()
        if scope is not None:
            self.owner = scope.get(ScopeNodes)
            self.owner.add(self)
            self.origin = where()
            if self.state == ENDED:  # the scope is disposed
                self.inputs = ()
                return
        # Like follow(), but without a call for each input or a search for repeated ones.
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
        """This node, as a source of transactions."""
        return self

    def settle(self, transactions: Transactions) -> bool:
        """Bring this derived node up to date with its inputs; return whether it changed.

        Called at most once in a transaction, when all inputs have settled and at least one of them
        changed. An exception is reported and counts as no change.
        """
        return False

    def take(self, value: object, transactions: Transactions) -> None:
        """Take the new value, or the emission, of this source at the start of a transaction."""
        raise NotImplementedError

    def held(self) -> dict[SettlingNode, object]:
        """Return the current value of this node."""
        return {self: self.value}

    def change(self, value: object) -> None:
        """Set this source to a value, or emit one.

        This returns when all effects have happened, except in a callback or a node's function:
        there it returns at once, and the change is made after the running transaction.

        Raises:
            WrongThread: this node belongs to another thread.
        """
        self.transactions.change(self, value)

    def stop(self) -> None:
        """Cancel timers and anything else that changes this node; called once, as it ends."""

    def label(self) -> str:
        """Return the kind of this node for messages, or the name of its function."""
        return type(self).__name__

    def describe(self) -> str:
        """Return the name of this node, or its label and the place where it was made."""
        if isinstance(self.origin, str):
            return self.origin
        return self.label() + place_of(self.origin)

    @property
    def scope(self) -> Scope | None:
        """The owning scope, if it has one."""
        return None if self.owner is None else self.owner.scope

    def full_name(self) -> str:
        """Return the description, prefixed by the name of the owning scope if it has one."""
        scope = self.scope
        return self.describe() if scope is None else f"{scope.name}: {self.describe()}"

    def __repr__(self) -> str:
        return f"<{self.full_name()}>"

    # --- hand-over: see handover.py -------------------------------------------------------------

    def snapshot(self, epoch: float) -> object:
        """Return, as plain data, the state that a new version of this node needs to continue.

        Args:
            epoch: the loop time that counts as 0 in the data. With it, times in the data can be
                those of the loop, of the wall clock, or of any clock that runs at the same rate.

        Returns:
            None if this node has no state.
        """
        return None

    def restore(self, data: StateData, context: "RestoreContext") -> Sequence[object]:
        """Continue from a snapshot, and update the nodes that depend on this one.

        Nodes are restored after those that they depend on.

        Returns:
            The emissions that this node missed while no process was running.

        Raises:
            Exception: the data is of another kind of node. Nothing has changed.
        """
        raise NotImplementedError

    def start_from_inputs(self, context: "RestoreContext") -> None:
        """Start with the current values of the nodes that this one depends on.

        Called where other nodes were restored after this node was made, and this one was not.
        """

    def timer(self) -> "ArmedTimer | None":
        """Return the timer of this node, if it has one."""
        return None

    @property
    def is_reported(self) -> bool:
        """Whether to report to the user if the state of this node was kept."""
        return True

    def detail(self) -> str:
        """Return parameters that distinguish this node from others of the same kind and inputs."""
        return ""

    def is_of(self, node: "Node") -> bool:
        """Whether this node emits each change of the Value of that node."""
        return False

    def sources(self) -> Sequence["Node"]:
        """Return the nodes that this one depends on: its inputs, and any others it observes."""
        return self.inputs

    def wrong_thread(self) -> WrongThread:
        """Return the error to raise when another thread uses this node."""
        return WrongThread(self.describe(), self.transactions.thread, self.scope)

    def report(self, error: BaseException) -> None:
        """Report an error of this node to the scope that owns it."""
        if self.owner is not None:
            self.owner.scope.report(error, self.describe())
        else:
            report_error(error, self.describe())

    def disown(self) -> None:
        """Leave the scope, to outlive it: for a node that several scopes share."""
        if self.owner is not None:
            self.owner.discard(self)
            self.owner = None
            self.state = IDLE

    def follow(self, node: "Node") -> None:
        """Become a dependent of one more, lower node; an ended one will never notify this one."""
        if self.state == ENDED or node in self.inputs:
            return
        if node.transactions is not self.transactions:
            raise node.wrong_thread()
        self.inputs = (*self.inputs, node)
        node.uses += 1
        if node.dependents is not None:
            node.dependents.append(self)
        elif node.state != ENDED:
            node.dependents = [self]

    def release(self) -> None:
        """Drop one use; a node without uses ends."""
        self.uses -= 1
        if not self.uses and self.state != ENDED:
            end(self)


class ArmedTimer(Protocol):
    """The timer of a node, and its position in the order in which timers were armed.

    Timers of one instant are called in that order, which a hand-over keeps: it restores the nodes
    in the order of their inputs, and then arms their timers again in their own order.
    """

    when: float | None
    """The loop time at which it is due; None if it is not armed."""

    @property
    def number(self) -> int | None:
        """How many timers of this process were armed before it; None if it is not armed."""

    @property
    def is_continued(self) -> bool:
        """Whether it has been restored, and not been armed since."""

    def arm_again(self) -> None:
        """Become the last of the timers of the same time."""


class RestoreContext(NamedTuple):
    """The times that a node needs to continue from a snapshot.

    Args:
        now: the loop's time.
        epoch: the loop time that counts as 0 in the data.
        down_until: the loop time until which no process was running: anything due before it was
            missed. After a reload nothing was missed.
    """

    now: float
    epoch: float = 0.0
    down_until: float = -math.inf


class ValueNode(Node):
    """A node that holds a value."""

    __slots__ = ("value",)

    def __init__(self, value: object = NoValue, inputs: Sequence[Node] = ()) -> None:
        Node.__init__(self, inputs)  # super() would take as long as all of this
        self.value: Any = value

    def take(self, value: object, transactions: Transactions) -> None:
        """Hold the value."""
        self.value = value

    def change_to(self, value: object) -> None:
        """Set this to a value, as `change` does, unless the current value is equal."""
        if not is_same(value, self.value):
            self.change(value)

    def label(self) -> str:
        """Return the kind of this node for messages."""
        return "Value"


class EventNode(Node):
    """A node that holds no value, and emits.

    Emissions are not deleted when a transaction ends, but are out of date in the next one.

    Attributes:
        value: the last emission.
        more: all emissions of the last transaction that had any, if there were several.
        emitted_in: the number of that transaction.
    """

    __slots__ = ("emitted_in", "more", "value")

    def __init__(self, inputs: Sequence[Node] = ()) -> None:
        Node.__init__(self, inputs)
        self.value: object = NoValue
        self.more: Sequence[object] = ()
        self.emitted_in: int = -1

    @property
    def emissions(self) -> Sequence[Any]:
        """The emissions of this transaction."""
        if self.emitted_in != self.transactions.number:
            return ()
        return self.more or (self.value,)

    def emit(self, emissions: Sequence[object], transactions: Transactions) -> bool:
        """Emit these values in this transaction; return whether there were any.

        In a quiet transaction, nothing is emitted.
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

    def take(self, value: object, transactions: Transactions) -> None:
        """Emit the value."""
        self.value = value
        self.more = ()
        self.emitted_in = transactions.number

    def present(self) -> object:
        """If this emits the changes of a Value, return its current value; else `NoValue`."""
        return NoValue

    def repeats_known_value(self) -> bool:
        """Whether the current emission repeats a value of before a hand-over; see `handover.py`.

        Nodes restored from the old version know that value already.
        """
        return False

    def held(self) -> dict[SettlingNode, object]:
        """Return `NoValue` for this node, which holds no value."""
        return {self: NoValue}

    def label(self) -> str:
        """Return the kind of this node for messages."""
        return "Event"


class EarlierEmission:
    """An emission, other than the last one, of an event that emits several times at once."""

    __slots__ = ("node", "value")

    def __init__(self, node: EventNode, value: object) -> None:
        self.node: EventNode = node
        self.value: object = value

    @property
    def callbacks(self) -> list[Notified] | None:
        """The callbacks of the node."""
        return self.node.callbacks


class Constant:
    """A function argument that never changes; stands in for a `ValueNode`."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value: object = value


class ScopeNodes:
    """The nodes of one scope, which end with it; iteration is in order of creation.

    Unused nodes are not in it: they have ended and left.
    """

    __slots__ = ("_disposed", "_nodes", "root", "scope")

    def __init__(self, scope: Scope) -> None:
        self.scope: Scope = scope
        self.root: Scope = scope.root
        self._nodes: dict[Node, None] = {}
        self._disposed = False
        scope.own(self._dispose)

    def add(self, node: Node) -> None:
        """Own a node; in a disposed scope it ends at once."""
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
    """End a node, those of its inputs that nothing else uses, and so on.

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
    """Remove one ended dependent from a node; return whether the node ends with it."""
    node.uses -= 1
    if node.state == ENDED or node.dependents is None:
        return False
    node.ended_dependents += 1
    if node.ended_dependents * 2 > len(node.dependents):
        node.dependents = [each for each in node.dependents if each.state != ENDED] or None
        node.ended_dependents = 0
    return not node.uses
