"""`fn`: call any function with reactive arguments, and get a reactive result."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar, overload

from eshet.callables import not_callable
from eshet.exceptions import ReactiveTypeError
from eshet.reactive.core.apply import apply, apply_at_changes, apply_or
from eshet.reactive.core.event import Event
from eshet.reactive.core.handle import AnyReactive, ReadableEvent
from eshet.reactive.core.markers import NoChange
from eshet.reactive.core.unwrapping import Lifted
from eshet.reactive.core.value import Value

__all__ = ["ReactiveFunction", "fn", "instantaneous_fn", "instantaneous_operator", "operator_of"]

R = TypeVar("R")

_Apply: TypeAlias = Callable[[Lifted, Sequence[object], Mapping[str, object]], AnyReactive]


class ReactiveFunction(Protocol[R]):
    """A function of Values, Events and constants: an Event if any argument is one, else a Value.

    A type checker finds an Event among the first three arguments.
    """

    __name__: str

    @overload
    def __call__(
        self, a: ReadableEvent[object], /, *args: object, **kwargs: object
    ) -> Event[R]: ...
    @overload
    def __call__(
        self, a: object, b: ReadableEvent[object], /, *args: object, **kwargs: object
    ) -> Event[R]: ...
    @overload
    def __call__(
        self, a: object, b: object, c: ReadableEvent[object], /, *args: object, **kwargs: object
    ) -> Event[R]: ...
    @overload
    def __call__(self, *args: object, **kwargs: object) -> Value[R]: ...


@overload
def fn(f: Callable[..., R]) -> ReactiveFunction[R]: ...


@overload
def fn(*, on_error: object) -> Callable[[Callable[..., R]], ReactiveFunction[R]]: ...


def fn(f: Callable[..., object] | None = None, *, on_error: object = NoChange) -> object:
    """Decorate a function so that it takes Values and Events, and returns one.

    With Values and constants only, the result is a Value, computed at once, and once again after
    any of them changed. With any Event, the result is an Event: `f` is called for each emission,
    with `NoValue` for the other Events and with the current values of the Values; a change of a
    Value alone emits nothing. Values and Events in lists, tuples and dicts are arguments as well.

    `f` receives `NoValue` and `Unknown` as they are. It may return `NoChange`: the Value stays
    unchanged, the Event does not emit. An error that it raises is reported to the scope of the
    call, and counts as `NoChange`; only an error of the first call, for the first value, is raised.
    So after an error the Value stays unchanged for as long as `f` raises.

    Args:
        f: the function.
        on_error: the value of the Value after an error, also after one of the first call. For
            example, with `@yarp.fn(on_error=Unknown)` for the control of a heater, a following
            `yarp.default(..., False)` switches it off.
    """
    if f is None:
        return functools.partial(fn, on_error=on_error)
    if on_error is NoChange:
        return _lifted(f, apply)
    return _lifted(f, functools.partial(apply_or, on_error))


def instantaneous_fn(f: Callable[..., R]) -> Callable[..., Event[R]]:
    """Decorate a function so that it takes Values and Events, and returns an Event.

    Like `fn`, but the result is always an Event, which also emits at each change of a Value.
    """
    return _lifted(f, apply_at_changes)


def operator_of(f: Callable[..., object]) -> Callable[..., Any]:
    """Return a function as an operator on Values and Events; the caller declares its type.

    Like `fn`, but `f` never receives `NoValue` or `Unknown`: they are the result.
    """
    return _lifted(f, apply, propagates_absent=True)


def instantaneous_operator(f: Callable[..., object]) -> Callable[..., Any]:
    """Like `operator_of`, but the result is always an Event."""
    return _lifted(f, apply_at_changes, propagates_absent=True)


def _lifted(
    f: Callable[..., object], apply: _Apply, *, propagates_absent: bool = False
) -> Callable[..., Any]:
    if not callable(f):
        raise not_callable(f, "an argument of `yarp.fn`", ReactiveTypeError)
    lifted = Lifted(f, propagates_absent=propagates_absent)

    @functools.wraps(f)
    def wrapper(*args: object, **kwargs: object) -> AnyReactive:
        return apply(lifted, args, kwargs)

    return wrapper
