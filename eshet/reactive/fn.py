"""`fn`: call any function with reactive arguments, and get a reactive result."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, overload

from eshet.reactive.core.apply import apply, apply_at_changes, apply_or
from eshet.reactive.core.event import Event
from eshet.reactive.core.markers import NoChange
from eshet.reactive.core.unwrapping import Lifted
from eshet.reactive.core.value import Value

__all__ = ["fn", "instantaneous_fn", "instantaneous_operator", "operator_of"]

R = TypeVar("R")


@overload
def fn(f: Callable[..., R]) -> Callable[..., Value[R]]: ...


@overload
def fn(*, on_error: Any) -> Callable[[Callable[..., R]], Callable[..., Value[R]]]: ...


def fn(f: Callable[..., R] | None = None, *, on_error: Any = NoChange) -> Any:
    """Let a function take Values and Events, and return one: a decorator.

    Of Values and constants alone it makes a Value, computed at once, and again once after any of
    them changed. With any Event it makes an Event: `f` is called for each emission, with `NoValue`
    for the other Events and with the Values as they are then; a change of a Value alone emits
    nothing. Values and Events in lists, tuples and dicts are arguments, too.

    `f` sees `NoValue` and `Unknown`. It may return `NoChange`: the Value stays as it is, the Event
    is silent. An error that it raises is reported to the scope in which the call was made, and
    means `NoChange`; only that of the first call, for the value at once, is raised. So after an
    error the Value stays what it was, for as long as `f` raises.

    Args:
        f: the function.
        on_error: what the Value holds after an error instead, also after one of the first call:
            `@yarp.fn(on_error=Unknown)` for what drives a heater, so that
            `yarp.default(..., False)` behind it can switch that off.
    """
    if f is None:
        return functools.partial(fn, on_error=on_error)
    if on_error is NoChange:
        return _lifted(f, apply)
    return _lifted(f, functools.partial(apply_or, on_error))


def instantaneous_fn(f: Callable[..., R]) -> Callable[..., Event[R]]:
    """Let a function take Values and Events, and return an Event: a decorator.

    As `fn`, but the result is always an Event, which emits at each change of a Value, too.
    """
    return _lifted(f, apply_at_changes)


def operator_of(f: Callable[..., R]) -> Callable[..., Value[R]]:
    """Return a function as an operator on Values and Events.

    As `fn`, but `f` never sees `NoValue` or `Unknown`: they are the result.
    """
    return _lifted(f, apply, passing=True)


def instantaneous_operator(f: Callable[..., R]) -> Callable[..., Event[R]]:
    """Return the same with an Event as its result, as `instantaneous_fn` does."""
    return _lifted(f, apply_at_changes, passing=True)


def _lifted(
    f: Callable[..., Any], apply: Callable[..., Any], *, passing: bool = False
) -> Callable[..., Any]:
    lifted = Lifted(f, passing=passing)

    @functools.wraps(f)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return apply(lifted, args, kwargs)

    return wrapper
