# mypy: disable-error-code="overload-overlap"
# An argument of any type may be an Event as well; the first overload that fits counts.
"""The types of the operators whose result depends on the types of their arguments.

Those in `operators.py` return an Event if any argument is one, else a Value; those in
`instantaneous.py` always return an Event. Arguments of other types than the listed ones have
results of any type.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, SupportsAbs, TypeAlias, TypeVar, overload

from eshet.reactive.core.event import AnyEvent, Event
from eshet.reactive.core.handle import (
    AnyReactive,
    Held,
    Members,
    Reactive,
    ReadableEvent,
    ReadableValue,
)
from eshet.reactive.core.value import AnyValue, Value

__all__ = [
    "Absolute",
    "Binary",
    "Choice",
    "Concatenation",
    "EventAbsolute",
    "EventBinary",
    "EventChoice",
    "EventConcatenation",
    "EventItem",
    "EventMap",
    "EventSorted",
    "EventSum",
    "EventUnary",
    "EventZip",
    "Item",
    "Map",
    "Sorted",
    "Sum",
    "Unary",
    "Zip",
]

T = TypeVar("T")
S = TypeVar("S")
R = TypeVar("R")
One = TypeVar("One")
Other = TypeVar("Other")
K_contra = TypeVar("K_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)

Argument: TypeAlias = Reactive[T] | T
"""An argument that may be a Value or an Event."""


class _Items(Protocol[K_contra, R_co]):
    def __getitem__(self, key: K_contra, /) -> R_co: ...


class Binary(Protocol[One, Other]):
    """An operator on two arguments of one type, with a result of that type; tried in turn."""

    @overload
    def __call__(self, a: ReadableEvent[One], b: Argument[One], /) -> Event[One]: ...
    @overload
    def __call__(self, a: Argument[One], b: ReadableEvent[One], /) -> Event[One]: ...
    @overload
    def __call__(self, a: Held[One], b: Held[One], /) -> Value[One]: ...
    @overload
    def __call__(self, a: ReadableEvent[Other], b: Argument[Other], /) -> Event[Other]: ...
    @overload
    def __call__(self, a: Argument[Other], b: ReadableEvent[Other], /) -> Event[Other]: ...
    @overload
    def __call__(self, a: Held[Other], b: Held[Other], /) -> Value[Other]: ...
    @overload
    def __call__(self, a: ReadableEvent[object], b: object, /) -> AnyEvent: ...
    @overload
    def __call__(self, a: object, b: ReadableEvent[object], /) -> AnyEvent: ...
    @overload
    def __call__(self, a: object, b: object, /) -> AnyValue: ...


class EventBinary(Protocol[One, Other]):
    """Like `Binary`, with an Event as the result."""

    @overload
    def __call__(self, a: Argument[One], b: Argument[One], /) -> Event[One]: ...
    @overload
    def __call__(self, a: Argument[Other], b: Argument[Other], /) -> Event[Other]: ...
    @overload
    def __call__(self, a: object, b: object, /) -> AnyEvent: ...


class Unary(Protocol[One, Other]):
    """An operator on one argument, with a result of its type."""

    @overload
    def __call__(self, a: ReadableEvent[One], /) -> Event[One]: ...
    @overload
    def __call__(self, a: Held[One], /) -> Value[One]: ...
    @overload
    def __call__(self, a: ReadableEvent[Other], /) -> Event[Other]: ...
    @overload
    def __call__(self, a: Held[Other], /) -> Value[Other]: ...
    @overload
    def __call__(self, a: ReadableEvent[object], /) -> AnyEvent: ...
    @overload
    def __call__(self, a: object, /) -> AnyValue: ...


class EventUnary(Protocol[One, Other]):
    """Like `Unary`, with an Event as the result."""

    @overload
    def __call__(self, a: Argument[One], /) -> Event[One]: ...
    @overload
    def __call__(self, a: Argument[Other], /) -> Event[Other]: ...
    @overload
    def __call__(self, a: object, /) -> AnyEvent: ...


class Absolute(Protocol):
    """`abs`."""

    @overload
    def __call__(self, a: ReadableEvent[SupportsAbs[R]], /) -> Event[R]: ...
    @overload
    def __call__(self, a: ReadableValue[SupportsAbs[R]], /) -> Value[R]: ...
    @overload
    def __call__(self, a: ReadableEvent[object], /) -> AnyEvent: ...
    @overload
    def __call__(self, a: object, /) -> AnyValue: ...


class EventAbsolute(Protocol):
    """`instantaneous_abs`."""

    @overload
    def __call__(self, a: Reactive[SupportsAbs[R]], /) -> Event[R]: ...
    @overload
    def __call__(self, a: object, /) -> AnyEvent: ...


class Concatenation(Protocol):
    """`concat`."""

    @overload
    def __call__(self, a: ReadableEvent[T], b: Argument[T], /) -> Event[T]: ...
    @overload
    def __call__(self, a: Argument[T], b: ReadableEvent[T], /) -> Event[T]: ...
    @overload
    def __call__(self, a: ReadableValue[T], b: ReadableValue[T], /) -> Value[T]: ...
    @overload
    def __call__(self, a: Held[T], b: Held[T], /) -> Value[T]: ...


class EventConcatenation(Protocol):
    """`instantaneous_concat`."""

    def __call__(self, a: Argument[T], b: Argument[T], /) -> Event[T]:
        """Call it."""


class Item(Protocol):
    """`getitem`."""

    @overload
    def __call__(self, a: ReadableEvent[_Items[T, R]], b: Argument[T], /) -> Event[R]: ...
    @overload
    def __call__(self, a: ReadableValue[_Items[T, R]], b: ReadableEvent[T], /) -> Event[R]: ...
    @overload
    def __call__(self, a: ReadableValue[_Items[T, R]], b: Held[T], /) -> Value[R]: ...
    @overload
    def __call__(self, a: ReadableEvent[object], b: object, /) -> AnyEvent: ...
    @overload
    def __call__(self, a: object, b: ReadableEvent[object], /) -> AnyEvent: ...
    @overload
    def __call__(self, a: object, b: object, /) -> AnyValue: ...


class EventItem(Protocol):
    """`instantaneous_getitem`."""

    @overload
    def __call__(self, a: Reactive[_Items[T, R]], b: Argument[T], /) -> Event[R]: ...
    @overload
    def __call__(self, a: object, b: object, /) -> AnyEvent: ...


class Choice(Protocol):
    """`min` and `max`."""

    @overload
    def __call__(self, a: ReadableEvent[Iterable[T]], /, **options: object) -> Event[T]: ...
    @overload
    def __call__(self, a: ReadableValue[Iterable[T]], /, **options: object) -> Value[T]: ...
    @overload
    def __call__(self, a: list[Value[T]], /, **options: object) -> Value[T]: ...
    @overload
    def __call__(
        self, a: ReadableEvent[T], b: Argument[T], /, *more: Argument[T], **options: object
    ) -> Event[T]: ...
    @overload
    def __call__(
        self, a: Argument[T], b: ReadableEvent[T], /, *more: Argument[T], **options: object
    ) -> Event[T]: ...
    @overload
    def __call__(self, *values: ReadableValue[T], **options: object) -> Value[T]: ...
    @overload
    def __call__(
        self, a: Held[T], b: Held[T], /, *more: Held[T], **options: object
    ) -> Value[T]: ...
    @overload
    def __call__(self, a: ReadableEvent[object], /, **options: object) -> AnyEvent: ...
    @overload
    def __call__(self, a: Members, /, *more: object, **options: object) -> AnyReactive: ...
    @overload
    def __call__(self, a: ReadableValue[object], /, **options: object) -> AnyValue: ...


class EventChoice(Protocol):
    """`instantaneous_min` and `instantaneous_max`."""

    @overload
    def __call__(self, a: Reactive[Iterable[T]], /, **options: object) -> Event[T]: ...
    @overload
    def __call__(self, a: list[Value[T]], /, **options: object) -> Event[T]: ...
    @overload
    def __call__(
        self, a: Argument[T], b: Argument[T], /, *more: Argument[T], **options: object
    ) -> Event[T]: ...
    @overload
    def __call__(self, *args: object, **options: object) -> AnyEvent: ...


class Sum(Protocol):
    """`sum`."""

    @overload
    def __call__(self, a: ReadableEvent[Iterable[int]], /, start: int = 0) -> Event[int]: ...
    @overload
    def __call__(self, a: ReadableValue[Iterable[int]], /, start: int = 0) -> Value[int]: ...
    @overload
    def __call__(self, a: ReadableEvent[Iterable[float]], /, start: float = 0) -> Event[float]: ...
    @overload
    def __call__(self, a: ReadableValue[Iterable[float]], /, start: float = 0) -> Value[float]: ...
    @overload
    def __call__(self, a: ReadableEvent[object], /, start: object = 0) -> AnyEvent: ...
    @overload
    def __call__(self, a: Members, /, start: object = 0) -> AnyReactive: ...
    @overload
    def __call__(self, a: object, /, start: object = 0) -> AnyValue: ...


class EventSum(Protocol):
    """`instantaneous_sum`."""

    @overload
    def __call__(self, a: Reactive[Iterable[int]], /, start: int = 0) -> Event[int]: ...
    @overload
    def __call__(self, a: Reactive[Iterable[float]], /, start: float = 0) -> Event[float]: ...
    @overload
    def __call__(self, a: object, /, start: object = 0) -> AnyEvent: ...


class Map(Protocol):
    """`map`."""

    @overload
    def __call__(
        self, f: Callable[[T], R], a: ReadableEvent[Iterable[T]], /
    ) -> Event[Iterator[R]]: ...
    @overload
    def __call__(
        self, f: Callable[[T], R], a: ReadableValue[Iterable[T]], /
    ) -> Value[Iterator[R]]: ...
    @overload
    def __call__(
        self, f: object, a: ReadableEvent[object], /, *iterables: object
    ) -> Event[Iterator[Any]]: ...
    @overload
    def __call__(self, f: object, a: Members, /, *iterables: object) -> Reactive[Iterator[Any]]: ...
    @overload
    def __call__(self, f: object, /, *iterables: object) -> Value[Iterator[Any]]: ...


class EventMap(Protocol):
    """`instantaneous_map`."""

    @overload
    def __call__(self, f: Callable[[T], R], a: Reactive[Iterable[T]], /) -> Event[Iterator[R]]: ...
    @overload
    def __call__(self, f: object, /, *iterables: object) -> Event[Iterator[Any]]: ...


class Sorted(Protocol):
    """`sorted`."""

    @overload
    def __call__(self, a: ReadableEvent[Iterable[T]], /, **options: object) -> Event[list[T]]: ...
    @overload
    def __call__(self, a: ReadableValue[Iterable[T]], /, **options: object) -> Value[list[T]]: ...
    @overload
    def __call__(self, a: ReadableEvent[object], /, **options: object) -> Event[list[Any]]: ...
    @overload
    def __call__(self, a: Members, /, **options: object) -> Reactive[list[Any]]: ...
    @overload
    def __call__(self, a: object, /, **options: object) -> Value[list[Any]]: ...


class EventSorted(Protocol):
    """`instantaneous_sorted`."""

    @overload
    def __call__(self, a: Reactive[Iterable[T]], /, **options: object) -> Event[list[T]]: ...
    @overload
    def __call__(self, a: object, /, **options: object) -> Event[list[Any]]: ...


class Zip(Protocol):
    """`zip`."""

    @overload
    def __call__(
        self, a: ReadableValue[Iterable[T]], b: ReadableValue[Iterable[S]], /, **options: object
    ) -> Value[Iterator[tuple[T, S]]]: ...
    @overload
    def __call__(
        self, a: ReadableEvent[Iterable[T]], b: ReadableValue[Iterable[S]], /, **options: object
    ) -> Event[Iterator[tuple[T, S]]]: ...
    @overload
    def __call__(
        self, a: ReadableValue[Iterable[T]], b: ReadableEvent[Iterable[S]], /, **options: object
    ) -> Event[Iterator[tuple[T, S]]]: ...
    @overload
    def __call__(
        self, a: ReadableEvent[object], /, *iterables: object, **options: object
    ) -> Event[Iterator[tuple[Any, ...]]]: ...
    @overload
    def __call__(
        self, a: object, b: ReadableEvent[object], /, *iterables: object, **options: object
    ) -> Event[Iterator[tuple[Any, ...]]]: ...
    @overload
    def __call__(
        self, a: Members, /, *iterables: object, **options: object
    ) -> Reactive[Iterator[tuple[Any, ...]]]: ...
    @overload
    def __call__(
        self, *iterables: object, **options: object
    ) -> Value[Iterator[tuple[Any, ...]]]: ...


class EventZip(Protocol):
    """`instantaneous_zip`."""

    @overload
    def __call__(
        self, a: Reactive[Iterable[T]], b: Reactive[Iterable[S]], /, **options: object
    ) -> Event[Iterator[tuple[T, S]]]: ...
    @overload
    def __call__(
        self, *iterables: object, **options: object
    ) -> Event[Iterator[tuple[Any, ...]]]: ...
