"""Nodes that are a function of other nodes."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol, TypeVar, runtime_checkable

from eshet.callables import check_awaited
from eshet.exceptions import ReactiveTypeError
from eshet.reactive.core.event import event_of
from eshet.reactive.core.graph import (
    Constant,
    EventNode,
    Node,
    RestoreContext,
    StateData,
    ValueNode,
    end,
)
from eshet.reactive.core.handle import AnyReactive, Reactive, node_of
from eshet.reactive.core.markers import NoChange, NoValue, PlainValue, is_same
from eshet.reactive.core.origin import place_of, where
from eshet.reactive.core.transaction import Transactions
from eshet.reactive.core.unwrapping import Lifted
from eshet.reactive.core.value import Value, value_of
from eshet.unknown import Unknown

__all__ = [
    "Call",
    "Cell",
    "apply",
    "apply_at_changes",
    "apply_or",
    "call_of",
    "dict_with",
    "list_of",
    "record_of",
]

_log: Final = logging.getLogger("eshet")

K = TypeVar("K")

Cell = ValueNode | EventNode | Constant
"""The source of an argument. The `value` of an event is its last emission, however old."""


class _Apply(ValueNode):
    """A function of values, of which at least one is a Value.

    It keeps its previous value where the function returns `NoChange`. Its snapshot is that value
    and, if the function is an object with `snapshot` and `restore`, the function's own snapshot.
    """

    # The sources of its arguments: a single one is `_a`, two are `_a` and `_b`; any other number is
    # the list `_b`, and `_a` is None. The cases share one class, since CPython reads the slots of
    # many nodes several times as fast when all are of one class.
    __slots__ = ("_a", "_b", "_function", "_lifted")

    _a: Any
    _b: Any

    def __init__(self, lifted: Lifted, cells: Sequence[Cell], inputs: Sequence[Node]) -> None:
        if len(cells) == 1:
            self._a = a = cells[0]
            self._b = None
            self._function = function = lifted.one
            value = function(a.value)
        elif len(cells) == 2:
            self._a, self._b = a, b = cells
            self._function = function = lifted.two
            value = function(a.value, b.value)
        else:
            self._a, self._b = None, cells
            self._function = function = lifted.many
            value = function(*[cell.value for cell in cells])
        Node.__init__(self, inputs)
        self.value = NoValue if value is NoChange else value
        self._lifted = lifted

    def settle(self, transactions: Transactions) -> bool:
        # Like compute(), but without a call: a graph spends most of its time here.
        function = self._function  # CPython 3.11 calls a local faster than a slot
        if self._b is None:
            value = function(self._a.value)
        elif self._a is not None:
            value = function(self._a.value, self._b.value)
        elif len(self._b) == 3:
            a, b, c = self._b
            value = function(a.value, b.value, c.value)
        else:
            value = function(*[cell.value for cell in self._b])
        if value is NoChange or (value is self.value and (value is Unknown or value is NoValue)):
            return False
        self.value = value
        return True

    def compute(self) -> object:
        """Call the function with the current inputs."""
        if self._b is None:
            return self._function(self._a.value)
        if self._a is not None:
            return self._function(self._a.value, self._b.value)
        return self._function(*[cell.value for cell in self._b])

    def label(self) -> str:
        return self._lifted.name

    def snapshot(self, epoch: float) -> object:
        return None if self._lifted.propagates_absent else [self.value, _snapshot_of(self._lifted)]

    def restore(self, data: StateData, context: RestoreContext) -> Sequence[object]:
        value, function_state = data
        if function_state is not None:
            _restore_function(function_state, self._lifted)
        elif _holds_reactive(self.value):
            return ()  # of this version's own nodes, which another call would make again, empty
        # The result for the current inputs counts; if it is NoChange, the restored value does,
        # unless that is made of nodes of the old version, which end now.
        now = self.compute()
        if now is not NoChange:
            self.change_to(now)
        elif not _holds_reactive(value):
            self.change_to(value)
        return ()

    @property
    def is_reported(self) -> bool:
        """Whether the function has a state: most functions have none."""
        return isinstance(self._lifted.function, _StatefulFunction)


class _ApplyOr(_Apply):
    """Like `_Apply`, but holds another value after an error."""

    __slots__ = ("_otherwise",)

    def __init__(
        self, otherwise: object, lifted: Lifted, cells: Sequence[Cell], inputs: Sequence[Node]
    ) -> None:
        self._otherwise = otherwise
        try:
            super().__init__(lifted, cells, inputs)
        except Exception as error:
            Node.__init__(self, inputs)
            self.value = otherwise
            self._lifted = lifted
            self.report(error)

    def settle(self, transactions: Transactions) -> bool:
        try:
            return super().settle(transactions)
        except Exception as error:
            self.report(error)
        if is_same(self.value, self._otherwise):
            return False
        self.value = self._otherwise
        return True


class _ApplyEvent(EventNode):
    """A function of one Event."""

    __slots__ = ("_function", "_lifted", "_source")

    def __init__(self, lifted: Lifted, source: EventNode) -> None:
        super().__init__((source,))
        self._lifted = lifted
        self._function = lifted.emitting
        self._source = source

    def settle(self, transactions: Transactions) -> bool:
        source = self._source
        if source.emitted_in != transactions.number:
            return False  # an input that was added later made it settle
        if source.more:
            return self.emit(self._results(source.more), transactions)
        function = self._function
        result = function(source.value)
        if result is NoChange:
            return False
        self.value = result  # like emit(), with one call less
        self.more = ()
        self.emitted_in = transactions.number
        return True

    def _results(self, emissions: Sequence[object]) -> list[object]:
        results = [self._function(emission) for emission in emissions]
        return [each for each in results if each is not NoChange]

    def label(self) -> str:
        return self._lifted.name

    def snapshot(self, epoch: float) -> object:
        return _snapshot_of(self._lifted)

    def restore(self, data: StateData, context: RestoreContext) -> Sequence[object]:
        _restore_function(data, self._lifted)
        return ()

    def start_from_inputs(self, context: RestoreContext) -> None:
        begin_with = getattr(self._lifted.function, "begin_with", None)
        present = self._source.present()
        if begin_with is not None and present is not NoValue:
            begin_with(present)


class _ApplyEvents(EventNode):
    """A function of Events and values: one call for each emission."""

    __slots__ = ("_cells", "_events", "_lifted")

    def __init__(self, lifted: Lifted, cells: Sequence[Cell], inputs: Sequence[Node]) -> None:
        super().__init__(inputs)
        self._lifted = lifted
        self._cells = cells
        self._events = [
            (position, cell) for position, cell in enumerate(cells) if isinstance(cell, EventNode)
        ]

    def settle(self, transactions: Transactions) -> bool:
        values = [cell.value for cell in self._cells]
        for position, _ in self._events:
            values[position] = NoValue
        results = self._results(values)
        return self.emit([each for each in results if each is not NoChange], transactions)

    def _results(self, values: list[object]) -> list[object]:
        results = []
        for position, event in self._events:
            for emission in event.emissions:
                values[position] = emission
                results.append(self._lifted.emitting(*values))
            values[position] = NoValue
        return results

    def label(self) -> str:
        return self._lifted.name


class _ApplyAtChanges(_ApplyEvents):
    """Like `_ApplyEvents`, with a call also where only Values changed and no Event was emitted."""

    __slots__ = ()

    def _results(self, values: list[object]) -> list[object]:
        if any(event.emissions for _, event in self._events):
            return super()._results(values)
        return [self._lifted.emitting(*values)]


class Call(NamedTuple):
    """The call that a node makes.

    Args:
        lifted: the function.
        cells: the sources of its arguments.
    """

    lifted: Lifted
    cells: Sequence[Cell]


def call_of(node: Node) -> Call | None:
    """Return the call that a node makes; None if it is not a function of other nodes."""
    if isinstance(node, _Apply):
        cells = node._b if node._a is None else [node._a, *([] if node._b is None else [node._b])]
        return Call(node._lifted, cells)
    if isinstance(node, _ApplyEvent):
        return Call(node._lifted, [node._source])
    return Call(node._lifted, node._cells) if isinstance(node, _ApplyEvents) else None


@runtime_checkable
class _StatefulFunction(Protocol):
    """A function with a state that is handed over."""

    def snapshot(self) -> object:
        """Return the state as plain data."""

    def restore(self, data: StateData) -> None:
        """Restore a state from its snapshot."""


def _snapshot_of(lifted: Lifted) -> object:
    function: object = lifted.function
    return function.snapshot() if isinstance(function, _StatefulFunction) else None


def _restore_function(data: object, lifted: Lifted) -> None:
    function: Any = lifted.function
    function.restore(data)


_new: Final = object.__new__


def apply(
    lifted: Lifted, args: Sequence[object], kwargs: Mapping[str, object] | None = None
) -> AnyReactive:
    """Return a function of its arguments, some of which are reactive.

    If any argument is an Event, the result is an Event: the function is called for each emission,
    with `NoValue` for the other Events. Otherwise it is a Value, computed now and once after any
    argument changed. Reactive members of a list, a tuple or a dict count as arguments too.

    Raises:
        Exception: the function raised when it was called for the first value.
    """
    # A short cut for the most frequent case, a function of Values.
    if not kwargs:
        nodes: list[ValueNode] = []
        for each in args:
            if type(each) is not Value:
                break
            nodes.append(each._node)
        else:
            # The same as _Apply(...) and value_of(), in half of the time.
            node = _new(_Apply)
            _Apply.__init__(node, lifted, nodes, nodes)
            node.uses += 1
            value = _new(Value)
            value._node = node
            return value
    return _make(_node, lifted, args, kwargs)


def apply_or(
    otherwise: object,
    lifted: Lifted,
    args: Sequence[object],
    kwargs: Mapping[str, object] | None = None,
) -> AnyReactive:
    """Like `apply`, but after an error a Value holds `otherwise`, and an Event emits nothing."""

    def node(lifted: Lifted, cells: list[Cell], inputs: Sequence[Node]) -> ValueNode | EventNode:
        if any(isinstance(cell, EventNode) for cell in cells):
            return _node(lifted, cells, inputs)
        return _ApplyOr(otherwise, lifted, cells, inputs)

    return _make(node, lifted, args, kwargs)


def apply_at_changes(
    lifted: Lifted, args: Sequence[object], kwargs: Mapping[str, object] | None = None
) -> AnyReactive:
    """Like `apply`, but always an Event, which also emits when a Value changes."""
    return _make(_ApplyAtChanges, lifted, args, kwargs)


def _make(
    kind: Callable[[Lifted, list[Cell], Sequence[Node]], ValueNode | EventNode],
    lifted: Lifted,
    args: Sequence[object],
    kwargs: Mapping[str, object] | None,
) -> AnyReactive:
    if kwargs:
        lifted = lifted.with_names(list(kwargs))
        args = (*args, *kwargs.values())
    cells = [_cell(argument, lifted.propagates_absent) for argument in args]
    inputs = [cell for cell in cells if isinstance(cell, Node)]
    try:
        node = kind(lifted, cells, inputs)
    except BaseException:
        for each in inputs:
            if not each.uses:
                end(each)  # created for this call only
        raise
    return event_of(node) if isinstance(node, EventNode) else value_of(node)


def _node(lifted: Lifted, cells: list[Cell], inputs: Sequence[Node]) -> ValueNode | EventNode:
    for cell in cells:
        if isinstance(cell, EventNode):
            if lifted.propagates_absent and len(cells) > 1:
                _warn_of_join(lifted, cells)
            if len(cells) == 1:
                return _ApplyEvent(lifted, cell)
            return _ApplyEvents(lifted, cells, inputs)
    return _Apply(lifted, cells, inputs)


def _warn_of_join(lifted: Lifted, cells: Sequence[Cell]) -> None:
    """Log that an operator joins several Events, and so never emits."""
    if sum(isinstance(cell, EventNode) for cell in cells) > 1:
        _log.warning(
            "%s%s joins two Events, so it never emits: write `yarp.merge(a, b)` for either of "
            "them; or make one a Value, as with `yarp.hold` or `yarp.event_to_value`",
            lifted.name,
            place_of(where()),
        )


def _cell(argument: object, propagates_absent: bool) -> Cell:
    if isinstance(argument, Reactive):
        return argument._node  # type: ignore[return-value]
    if isinstance(argument, PlainValue):
        return node_of(argument)
    if isinstance(argument, (list, tuple, dict)) and _holds_reactive(argument):
        return _collection(argument, propagates_absent)
    check_awaited(argument, ReactiveTypeError)
    return Constant(argument)


def _holds_reactive(argument: object) -> bool:
    if isinstance(argument, PlainValue):
        return True
    if isinstance(argument, dict):
        return any(_holds_reactive(member) for member in argument.values())
    if isinstance(argument, (list, tuple)):
        return any(_holds_reactive(member) for member in argument)
    return False


def _collection(
    collection: list[object] | tuple[object, ...] | dict[object, object], propagates_absent: bool
) -> ValueNode | EventNode:
    build: Callable[..., object] = list_of
    members: Iterable[object] = collection
    if isinstance(collection, dict):
        build, members = dict_with(collection), collection.values()
    elif isinstance(collection, tuple):
        build = record_of(collection)
    cells = [_cell(member, propagates_absent) for member in members]
    inputs = [cell for cell in cells if isinstance(cell, Node)]
    return _node(Lifted(build, propagates_absent=propagates_absent), cells, inputs)


def list_of(*members: object) -> list[object]:
    """Return the list of its arguments."""
    return list(members)


def record_of(like: tuple[object, ...]) -> Callable[..., tuple[object, ...]]:
    """Return a function that makes a tuple of its arguments, named as in `like` if that is one."""
    make: Callable[[Iterable[object]], tuple[object, ...]] = getattr(like, "_make", tuple)

    def record(*members: object) -> tuple[object, ...]:
        return make(members)

    return record


def dict_with(like: Mapping[K, object]) -> Callable[..., dict[K, object]]:
    """Return a function that makes a dict of its arguments, with the keys of `like`."""
    keys = list(like)

    def dictionary(*members: object) -> dict[K, object]:
        return dict(zip(keys, members, strict=True))

    return dictionary
