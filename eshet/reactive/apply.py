"""Nodes that are a function of other nodes.

There is a class of its own for each number of arguments that is common, because calling a function
with one or two is what a graph spends its time on; `_Apply` and `_ApplyEvents` do any call.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from eshet.reactive.event import event_of
from eshet.reactive.graph import Constant, EventNode, Node, Resumption, ValueNode, end
from eshet.reactive.handle import Reactive, node_of
from eshet.reactive.lifted import Lifted
from eshet.reactive.plain import NoChange, NoValue, PlainValue
from eshet.reactive.transaction import Transactions, change_to
from eshet.reactive.value import value_of
from eshet.unknown import Unknown

__all__ = ["apply", "apply_at_changes", "dict_with", "list_of", "record_of"]

Cell = ValueNode | EventNode | Constant
"""What an argument is read from. It has a `value`, which for an event is `NoValue`."""


class _Applied(ValueNode):
    """What the Values share that are a function of others.

    They hold what they held before where the function says `NoChange`. That, and what a function
    remembers that is an object with `give` and `receive`, is what they hand over.
    """

    __slots__ = ("_lifted",)

    _lifted: Lifted

    def give(self, zero: float) -> Any:
        return None if self._lifted.passing else [self.value, _given_by(self._lifted)]

    def receive(self, given: Any, resumption: Resumption) -> Sequence[Any]:
        value, memory = given
        if memory is not None:
            _take_in(memory, self._lifted)
        # What the function says of the present inputs counts; where it says nothing, the past.
        now = self.compute()
        change_to(self, value if now is NoChange else now)
        return ()

    @property
    def is_told(self) -> bool:
        """Most functions remember nothing."""
        return isinstance(self._lifted.function, _Remembering)

    def compute(self) -> Any:
        """Call the function with the present inputs."""
        raise NotImplementedError

    def label(self) -> str:
        return self._lifted.name


class _ApplyOne(_Applied):
    """A function of one Value."""

    __slots__ = ("_a", "_function")

    def __init__(self, lifted: Lifted, a: ValueNode) -> None:
        value = lifted.one(a.value)
        ValueNode.__init__(self, NoValue if value is NoChange else value, (a,))
        self._lifted = lifted
        self._function = lifted.one
        self._a = a

    def settle(self, transaction: Transactions) -> bool:
        value = self._function(self._a.value)
        if value is NoChange or (value is self.value and (value is Unknown or value is NoValue)):
            return False
        self.value = value
        return True

    def compute(self) -> Any:
        return self._function(self._a.value)


class _ApplyTwo(_Applied):
    """A function of two values, of which at least one is a Value."""

    __slots__ = ("_a", "_b", "_function")

    def __init__(self, lifted: Lifted, a: Cell, b: Cell) -> None:
        value = lifted.two(a.value, b.value)
        ValueNode.__init__(self, NoValue if value is NoChange else value, _nodes((a, b)))
        self._lifted = lifted
        self._function = lifted.two
        self._a = a
        self._b = b

    def settle(self, transaction: Transactions) -> bool:
        value = self._function(self._a.value, self._b.value)
        if value is NoChange or (value is self.value and (value is Unknown or value is NoValue)):
            return False
        self.value = value
        return True

    def compute(self) -> Any:
        return self._function(self._a.value, self._b.value)


class _Apply(_Applied):
    """A function of any number of values, the last of which may have names."""

    __slots__ = ("_cells", "_function", "_names")

    def __init__(self, lifted: Lifted, cells: Sequence[Cell], names: Sequence[str]) -> None:
        value = _call(lifted.many, [cell.value for cell in cells], names)
        ValueNode.__init__(self, NoValue if value is NoChange else value, _nodes(cells))
        self._lifted = lifted
        self._function = lifted.many
        self._cells = cells
        self._names = names

    def settle(self, transaction: Transactions) -> bool:
        values = [cell.value for cell in self._cells]
        if self._names:
            value = _call(self._function, values, self._names)
        else:
            value = self._function(*values)
        if value is NoChange or (value is self.value and (value is Unknown or value is NoValue)):
            return False
        self.value = value
        return True

    def compute(self) -> Any:
        values = [cell.value for cell in self._cells]
        return _call(self._function, values, self._names)


class _ApplyEvent(EventNode):
    """A function of one Event."""

    __slots__ = ("_function", "_lifted", "_source")

    def __init__(self, lifted: Lifted, source: EventNode) -> None:
        super().__init__((source,))
        self._lifted = lifted
        self._function = lifted.emitting
        self._source = source

    def settle(self, transaction: Transactions) -> bool:
        emissions = self._source.emissions
        if len(emissions) != 1:
            results = [self._function(emission) for emission in emissions]
            return self.emit([each for each in results if each is not NoChange], transaction)
        result = self._function(emissions[0])
        return result is not NoChange and self.emit((result,), transaction)

    def label(self) -> str:
        return self._lifted.name

    def give(self, zero: float) -> Any:
        return _given_by(self._lifted)

    def receive(self, given: Any, resumption: Resumption) -> Sequence[Any]:
        _take_in(given, self._lifted)
        return ()


class _ApplyEvents(EventNode):
    """A function of Events and values: one call for each emission."""

    __slots__ = ("_cells", "_events", "_lifted", "_names")

    def __init__(self, lifted: Lifted, cells: Sequence[Cell], names: Sequence[str]) -> None:
        super().__init__(_nodes(cells))
        self._lifted = lifted
        self._cells = cells
        self._names = names
        self._events = [
            (position, cell) for position, cell in enumerate(cells) if isinstance(cell, EventNode)
        ]

    def settle(self, transaction: Transactions) -> bool:
        results = self._results([cell.value for cell in self._cells])
        return self.emit([each for each in results if each is not NoChange], transaction)

    def _results(self, values: list[Any]) -> list[Any]:
        results = []
        for position, event in self._events:
            for emission in event.emissions:
                values[position] = emission
                results.append(_call(self._lifted.emitting, values, self._names))
            values[position] = NoValue
        return results

    def label(self) -> str:
        return self._lifted.name


class _ApplyAtChanges(_ApplyEvents):
    """The same, with one call too where Values changed and no Event was emitted."""

    __slots__ = ()

    def _results(self, values: list[Any]) -> list[Any]:
        if any(event.emissions for _, event in self._events):
            return super()._results(values)
        return [_call(self._lifted.emitting, values, self._names)]


@runtime_checkable
class _Remembering(Protocol):
    """A function that remembers something, and hands it over."""

    def give(self) -> Any:
        """Return it, as plain data."""

    def receive(self, given: Any) -> None:
        """Remember what another one gave."""


def _given_by(lifted: Lifted) -> Any:
    function: Any = lifted.function
    return function.give() if isinstance(function, _Remembering) else None


def _take_in(given: Any, lifted: Lifted) -> None:
    function: Any = lifted.function
    function.receive(given)


def _call(function: Callable[..., Any], values: Sequence[Any], names: Sequence[str]) -> Any:
    if not names:
        return function(*values)
    unnamed = len(values) - len(names)
    return function(*values[:unnamed], **dict(zip(names, values[unnamed:], strict=True)))


def _nodes(cells: Sequence[Cell]) -> list[Node]:
    return [cell for cell in cells if isinstance(cell, Node)]


def apply(
    lifted: Lifted, args: Sequence[Any], kwargs: Mapping[str, Any] | None = None
) -> Reactive[Any]:
    """Return a function of its arguments, some of which are reactive.

    It is an Event if any of them is: then the function is called for each emission, with `NoValue`
    for the other Events. Else it is a Value, computed now and once after any argument changed. What
    is reactive in a list, a tuple or a dict counts as an argument, too.

    Raises:
        Exception: the function raised, called for the first value.
    """
    if len(args) == 1 and not kwargs and isinstance(args[0], Reactive):
        # What follows comes to the same, for what is made most often.
        node = args[0]._node
        if isinstance(node, ValueNode):
            return value_of(_ApplyOne(lifted, node))
    return _made(_node, lifted, args, kwargs or {})


def apply_at_changes(
    lifted: Lifted, args: Sequence[Any], kwargs: Mapping[str, Any] | None = None
) -> Reactive[Any]:
    """Return the same as an Event, of which a change of a Value is an emission, too."""
    return _made(_ApplyAtChanges, lifted, args, kwargs or {})


def _handle_of(node: ValueNode | EventNode) -> Reactive[Any]:
    return event_of(node) if isinstance(node, EventNode) else value_of(node)


def _made(
    kind: Callable[[Lifted, list[Cell], list[str]], ValueNode | EventNode],
    lifted: Lifted,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> Reactive[Any]:
    arguments = (*args, *kwargs.values()) if kwargs else args
    cells = [_cell(argument, lifted.passing) for argument in arguments]
    try:
        return _handle_of(kind(lifted, cells, list(kwargs)))
    except BaseException:
        for cell in cells:
            if isinstance(cell, Node) and not cell.uses:
                end(cell)  # it was made for this call
        raise


def _node(lifted: Lifted, cells: list[Cell], names: list[str]) -> ValueNode | EventNode:
    if len(cells) == 1 and not names:
        if isinstance(cells[0], ValueNode):
            return _ApplyOne(lifted, cells[0])
        if isinstance(cells[0], EventNode):
            return _ApplyEvent(lifted, cells[0])
    for cell in cells:
        if isinstance(cell, EventNode):
            return _ApplyEvents(lifted, cells, names)
    if len(cells) == 2 and not names:
        return _ApplyTwo(lifted, *cells)
    return _Apply(lifted, cells, names)


def _cell(argument: Any, passing: bool) -> Cell:
    if isinstance(argument, Reactive):
        return argument._node  # type: ignore[return-value]
    if isinstance(argument, PlainValue):
        return node_of(argument)
    if isinstance(argument, (list, tuple, dict)) and _holds_reactive(argument):
        return _collection(argument, passing)
    return Constant(argument)


def _holds_reactive(argument: Any) -> bool:
    if isinstance(argument, PlainValue):
        return True
    if isinstance(argument, dict):
        return any(_holds_reactive(member) for member in argument.values())
    if isinstance(argument, (list, tuple)):
        return any(_holds_reactive(member) for member in argument)
    return False


def _collection(collection: Any, passing: bool) -> ValueNode | EventNode:
    build: Callable[..., Any] = list_of
    members = collection
    if isinstance(collection, dict):
        build, members = dict_with(collection), collection.values()
    elif isinstance(collection, tuple):
        build = record_of(collection)
    cells = [_cell(member, passing) for member in members]
    return _node(Lifted(build, passing=passing), cells, [])


def list_of(*members: Any) -> list[Any]:
    """Return the list of its arguments."""
    return list(members)


def record_of(like: tuple[Any, ...]) -> Callable[..., tuple[Any, ...]]:
    """Return what makes a tuple of its arguments, with names if `like` is a named tuple."""
    make: Callable[..., Any] = getattr(like, "_make", tuple)

    def record(*members: Any) -> tuple[Any, ...]:
        return make(members)  # type: ignore[no-any-return]

    return record


def dict_with(like: Mapping[Any, Any]) -> Callable[..., dict[Any, Any]]:
    """Return what makes a dict of its arguments, under the keys of `like`."""
    keys = list(like)

    def dictionary(*members: Any) -> dict[Any, Any]:
        return dict(zip(keys, members, strict=True))

    return dictionary
