"""Takes snapshots of the stateful nodes of an old version, and restores them in a new one.

Each node defines the plain data of its snapshot (see `Node.snapshot`). This module finds the
stateful nodes, describes them for `matching.py`, and restores them in order.

A hand-over is not a change. The state is restored quietly: no Event emits, and no callback is
called. After that, the observers of a Value are notified only if it differs from the last value
that the old version notified its observers of; see `ObservedValue`.
"""

import contextlib
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

from eshet.reactive.core.batch import Batch
from eshet.reactive.core.graph import (
    ArmedTimer,
    Node,
    RestoreContext,
    ScopeNodes,
    StateData,
    ValueNode,
)
from eshet.reactive.core.handle import AnyReactive
from eshet.reactive.core.markers import NoValue, is_same
from eshet.reactive.core.origin import NodeName
from eshet.reactive.core.transaction import SettlingNode, Transactions, thread_local
from eshet.reactive.handover.matching import Description, match
from eshet.scope import Scope
from eshet.text import safe_repr

__all__ = [
    "HandOverResult",
    "Lost",
    "ObservedValue",
    "Snapshot",
    "hand_over",
    "named",
    "notify",
    "observed_values",
    "quietly",
    "snapshot_scopes",
    "stateful_nodes",
    "take_snapshots",
]

R = TypeVar("R", bound=AnyReactive)

_PLACE = re.compile(r" at (0x[0-9a-f]+|\S+:\d+)")  # not stable across edits


class Lost(NamedTuple):
    """Stands for a state that can't be handed over.

    Args:
        why: the reason, in words for the user.
    """

    why: str


class Snapshot(NamedTuple):
    """The state of one thing.

    Args:
        description: of that thing.
        data: the state, or why it is `Lost`.
        timer: the number of its timer; None if it has none. See `ArmedTimer`.
    """

    description: Description
    data: StateData
    timer: int | None = None


@dataclass(slots=True)
class HandOverResult:
    """Which of the stateful things of a new version were restored; only those worth reporting.

    Args:
        kept: those that continue with the old state.
        afresh: those that start without the old state, and why.
        missed: the emissions that were due while no process was running, and were dropped.
    """

    kept: list[Description] = field(default_factory=list)
    afresh: list[tuple[Description, str]] = field(default_factory=list)
    missed: list[tuple[Description, Any]] = field(default_factory=list)

    def note(self, description: Description, reason: str | None) -> None:
        """Record the outcome for one of them."""
        if reason is None:
            self.kept.append(description)
        else:
            self.afresh.append((description, reason))


def named(reactive: R, name: str | None) -> R:
    """Name the node of a Value or Event, unless the name is None; return the Value or Event."""
    if name is not None:
        reactive._node.origin = NodeName(name, reactive._node.origin)
    return reactive


def stateful_nodes(scopes: Mapping[str, Scope]) -> list[tuple[Description, Node]]:
    """Return the stateful nodes, each after those that it depends on.

    Args:
        scopes: the scopes of the rules, by rule name.
    """
    describe = _Describer()
    return [
        (description, node)
        for rule, scope in scopes.items()
        for node in list(scope.get(ScopeNodes))
        if _snapshot_of(node) is not None and (description := _described(describe, rule, node))
    ]


def take_snapshots(nodes: Iterable[tuple[Description, Node]], epoch: float = 0.0) -> list[Snapshot]:
    """Return the snapshots of these nodes; see `Node.snapshot`."""
    return [
        Snapshot(description, _snapshot_of(node, epoch), _timer_number(node))
        for description, node in nodes
    ]


def snapshot_scopes(scopes: Mapping[str, Scope], epoch: float = 0.0) -> list[Snapshot]:
    """Return the snapshots of all stateful nodes in the scopes; see `stateful_nodes`."""
    describe = _Describer()
    return [
        Snapshot(description, data, _timer_number(node))
        for rule, scope in scopes.items()
        for node in list(scope.get(ScopeNodes))
        if (data := _snapshot_of(node, epoch)) is not None
        and (description := _described(describe, rule, node))
    ]


def hand_over(
    snapshots: Sequence[Snapshot],
    nodes: Sequence[tuple[Description, Node]],
    context: RestoreContext,
) -> HandOverResult:
    """Restore each node from the snapshot that clearly belongs to it.

    Timers of one instant are then called in the same order as without the hand-over.
    """
    matching = match(
        [snapshot.description for snapshot in snapshots], [description for description, _ in nodes]
    )
    outcome = HandOverResult()
    numbers: dict[Node, int | None] = {}
    for position, (description, node) in enumerate(nodes):
        why = matching.afresh.get(position)
        if why is None:
            snapshot = snapshots[matching.pairs[position]]
            missed = _restore(node, snapshot.data, context)
            if type(missed) is Lost:
                why = missed.why
            else:
                numbers[node] = snapshot.timer
                outcome.missed += [(description, emission) for emission in missed]
        if why is not None:
            _start_from_inputs(node, context)
        if node.is_reported:
            outcome.note(description, why)
    _arm_in_order((node for _, node in nodes), numbers)
    return outcome


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Restore values within a `with` statement: they change, and no observer is notified."""
    transactions = thread_local.transactions
    transactions.quiet = True
    try:
        yield
    finally:
        transactions.quiet = False


class ObservedValue:
    """A Value with observers (callbacks, Events of its changes), and the last value they know.

    Args:
        node: of the Value.
    """

    __slots__ = ("_last", "node", "was_notified")

    def __init__(self, node: ValueNode) -> None:
        self.node: ValueNode = node
        self._last: Any = NoValue
        self.was_notified: bool = False
        """Whether the old version had observers of this Value, which may be `NoValue`."""

    @property
    def known(self) -> object:
        """The value that its observers know; new observers begin with the present one."""
        return self._last if self.was_notified else self.node.value

    @property
    def differs(self) -> bool:
        """Whether the value differs from the last one that its observers were notified of."""
        return self.was_notified and not is_same(self._last, self.node.value)

    def restore(self, last: Any) -> None:
        """Set the last value that the old version notified its observers of."""
        if type(last) is not Lost:
            [self._last] = last
            self.was_notified = True


def observed_values(scopes: Mapping[str, Scope]) -> list[tuple[Description, ObservedValue]]:
    """Return the Values that have observers.

    Args:
        scopes: see `stateful_nodes`.
    """
    describe = _Describer()
    return [
        (description, ObservedValue(node))
        for rule, scope in scopes.items()
        for node in list(scope.get(ScopeNodes))
        if isinstance(node, ValueNode)
        and _is_observed(node)
        and (description := _described(describe, rule, node))
    ]


def notify(values: Iterable[ObservedValue]) -> None:
    """Notify the observers of all Values that differ, in one transaction.

    Other Values that depend on these settle too; their observers are notified if they change.
    """
    transactions = thread_local.transactions
    known: dict[SettlingNode, Any] = {}
    batch = _HandOverBatch(transactions, known)
    for each in values:
        known[each.node] = each.known
        if each.differs:
            batch.add(each.node, each.node.value)
    if not batch.empty:
        try:
            transactions.change(batch, None)
        finally:
            transactions.known = {}


class _HandOverBatch(Batch):
    """Notifies observers of Values as if the Values had just changed.

    Args:
        transactions: of this thread.
        known: the values that observers know.
    """

    __slots__ = ("_known",)

    def __init__(self, transactions: Transactions, known: Mapping[SettlingNode, object]) -> None:
        super().__init__(transactions)
        self._known = known

    def take(self, value: object, transactions: Transactions) -> None:
        """See `Batch`."""
        transactions.handover_number = transactions.number
        transactions.known = self._known
        super().take(value, transactions)


def _is_observed(node: ValueNode) -> bool:
    has_callbacks = any(s.callback is not None and not s.is_quiet for s in node.callbacks or ())
    return has_callbacks or any(each.is_of(node) for each in node.dependents or ())


def _timer_number(node: Node) -> int | None:
    timer = node.timer()
    return None if timer is None else timer.number


def _arm_in_order(nodes: Iterable[Node], numbers: Mapping[Node, int | None]) -> None:
    """Arm all timers again: those that continue in the order of the old version, then new ones.

    Args:
        nodes: all nodes.
        numbers: the numbers that the timers of restored nodes had in the old version.
    """
    armed: list[tuple[bool, int, ArmedTimer]] = []
    for node in nodes:
        timer = node.timer()
        if timer is None or timer.number is None:
            continue
        old_number = numbers.get(node) if timer.is_continued else None
        if old_number is None:
            armed.append((True, timer.number, timer))
        else:
            armed.append((False, old_number, timer))
    for _, _, timer in sorted(armed, key=itemgetter(0, 1)):
        timer.arm_again()


def _start_from_inputs(node: Node, context: RestoreContext) -> None:
    try:
        node.start_from_inputs(context)
    except BaseException as error:  # raised by an object of a rule
        node.report(error)


def _snapshot_of(node: Node, epoch: float = 0.0) -> object:
    """Return the snapshot of a node, or `Lost` if its function or a value in it raises."""
    try:
        return node.snapshot(epoch)
    except BaseException as error:
        return Lost(f"its state can't be read: {safe_repr(error)}")


def _described(describe: "_Describer", rule: str, node: Node) -> Description | None:
    try:
        return describe(rule, node)
    except BaseException as error:  # raised by the name of a function
        node.report(error)
        return None


def _restore(node: Node, data: StateData, context: RestoreContext) -> Sequence[object] | Lost:
    """Restore a node; if that fails, leave it as it was.

    Returns:
        The emissions that it missed while no process was running.
    """
    if type(data) is Lost:
        return data
    before = _snapshot_of(node)
    try:
        return node.restore(data, context)
    except BaseException as error:  # the data does not fit, or an object in it raises
        with contextlib.suppress(BaseException):
            node.restore(before, RestoreContext(context.now))
        return Lost(f"the old state does not fit: {safe_repr(error)}")


class _Describer:
    """Describes nodes. It caches the digests of their inputs, so the whole takes linear time."""

    def __init__(self) -> None:
        self._shapes: dict[Node, str] = {}

    def __call__(self, rule: str, node: Node) -> Description:
        name = _name_of(node)
        inputs = [self._shape(each) for each in node.sources()]
        shape = _digest(_kind_of(node), *inputs)
        label = _label_with_source(node)
        return Description(rule, label, shape, node.detail(), name, node.origin)

    def _shape(self, node: Node) -> str:
        """Return a digest of a node and of all nodes that it depends on.

        Nodes driven by timers may depend on themselves; where a cycle closes, only labels count.
        """
        todo = [node]
        open_ = set[Node]()
        while todo:
            top = todo[-1]
            if top in self._shapes and top not in open_:
                todo.pop()
            elif top in open_:
                todo.pop()
                open_.discard(top)
                inputs = [self._shapes[each] for each in top.sources()]
                self._shapes[top] = _name_of(top) or _digest(_kind_of(top), *inputs)
            else:
                open_.add(top)
                self._shapes[top] = _digest(_kind_of(top))
                todo += [each for each in top.sources() if each not in self._shapes]
        return self._shapes[node]


def _digest(*parts: str) -> str:
    text = "\0".join(parts).encode(errors="surrogatepass")
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def _label_of(node: Node) -> str:
    return _PLACE.sub("", node.label())


def _kind_of(node: Node) -> str:
    return f"{type(node).__name__} {_label_of(node)}"


def _name_of(node: Node) -> str | None:
    return node.origin if isinstance(node.origin, str) else None


def _label_with_source(node: Node) -> str:
    """Return the label of a node and the name of its source: `"time_window of /hall/motion"`."""
    label = _label_of(node)
    source = next(filter(None, map(_source_of, node.sources())), None)
    return label if source is None or source in label else f"{label} of {source}"


def _source_of(node: Node) -> str | None:
    """Return the name of a node, or of the first named node along its first inputs."""
    seen = set[Node]()
    while (name := _name_of(node)) is None and node.sources() and node not in seen:
        seen.add(node)
        node = node.sources()[0]
    return name
