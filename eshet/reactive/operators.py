# ruff: noqa: A001, N816 - some names are Python's own, such as yarp.len and yarp.sum.
"""The operators: Python's own functions and symbols on reactive values.

Each is `fn` of the function of the same name, but an argument that is `NoValue` or `Unknown` is the
result: while the sensor is unknown, so is `temperature > 25`. There are two exceptions, to test for
these values: `is_`, and a comparison with `Unknown` or `NoValue` themselves.
"""

import builtins
import difflib
import functools
import operator
from collections.abc import Callable
from typing import Any, Final

from eshet.exceptions import ReactiveTypeError
from eshet.reactive.core.handle import Reactive
from eshet.reactive.core.markers import is_absent
from eshet.reactive.core.value import Value
from eshet.reactive.fn import ReactiveFunction, fn, operator_of
from eshet.reactive.operator_types import (
    Absolute,
    Binary,
    Choice,
    Concatenation,
    Item,
    Map,
    Sorted,
    Sum,
    Unary,
    Zip,
)

__all__ = [
    "abs",
    "add",
    "all",
    "and_",
    "any",
    "bool",
    "concat",
    "contains",
    "countOf",
    "eq",
    "floordiv",
    "ge",
    "getattr",
    "getitem",
    "gt",
    "hex",
    "index",
    "indexOf",
    "inv",
    "invert",
    "is_",
    "is_not",
    "le",
    "len",
    "length_hint",
    "lshift",
    "lt",
    "map",
    "matmul",
    "max",
    "min",
    "mod",
    "mul",
    "ne",
    "neg",
    "not_",
    "oct",
    "or_",
    "pos",
    "pow",
    "repr",
    "rshift",
    "sorted",
    "str",
    "str_format",
    "sub",
    "sum",
    "truediv",
    "truth",
    "xor",
    "zip",
]


def _comparison(f: Callable[[Any, Any], object]) -> Callable[..., Any]:
    propagating, plain = operator_of(f), fn(f)

    @functools.wraps(f)
    def compare(a: object, b: object) -> object:
        return (plain if is_absent(a) or is_absent(b) else propagating)(a, b)

    return compare


def _and(a: Any, b: Any) -> Any:
    """Same as a & b."""
    if type(a) is not type(b):
        _check_brackets("&", a, b)
    return a & b


def _or(a: Any, b: Any) -> Any:
    """Same as a | b."""
    if type(a) is not type(b):
        _check_brackets("|", a, b)
    return a | b


def _check_brackets(symbol: builtins.str, a: object, b: object) -> None:
    """Refuse to join a bool and a number, other than 0 and 1, which devices use for bools."""
    for one, other in ((a, b), (b, a)):
        if type(one) is builtins.bool and type(other) in (int, float) and other not in (0, 1):
            raise ReactiveTypeError(
                f"`{symbol}` joins {a!r} and {b!r}: it binds tighter than comparisons, so write "
                f"brackets, as in `door {symbol} (lux < 40)`"
            )


_and.__name__ = _and.__qualname__ = "and_"
_or.__name__ = _or.__qualname__ = "or_"


def format_str(fmt: builtins.str, *args: object, **kwargs: object) -> builtins.str:
    """Return `fmt.format(*args, **kwargs)`."""
    return fmt.format(*args, **kwargs)


bool: ReactiveFunction[builtins.bool] = operator_of(builtins.bool)
any: ReactiveFunction[builtins.bool] = operator_of(builtins.any)
all: ReactiveFunction[builtins.bool] = operator_of(builtins.all)
min: Choice = operator_of(builtins.min)
max: Choice = operator_of(builtins.max)
sum: Sum = operator_of(builtins.sum)
map: Map = operator_of(builtins.map)
sorted: Sorted = operator_of(builtins.sorted)
str: ReactiveFunction[builtins.str] = operator_of(builtins.str)
repr: ReactiveFunction[builtins.str] = operator_of(builtins.repr)
oct: ReactiveFunction[builtins.str] = operator_of(builtins.oct)
hex: ReactiveFunction[builtins.str] = operator_of(builtins.hex)
zip: Zip = operator_of(builtins.zip)
len: ReactiveFunction[int] = operator_of(builtins.len)
getattr: ReactiveFunction[Any] = operator_of(builtins.getattr)
str_format: ReactiveFunction[builtins.str] = operator_of(format_str)

lt: ReactiveFunction[builtins.bool] = operator_of(operator.lt)
le: ReactiveFunction[builtins.bool] = operator_of(operator.le)
eq: ReactiveFunction[builtins.bool] = _comparison(operator.eq)
ne: ReactiveFunction[builtins.bool] = _comparison(operator.ne)
ge: ReactiveFunction[builtins.bool] = operator_of(operator.ge)
gt: ReactiveFunction[builtins.bool] = operator_of(operator.gt)
not_: ReactiveFunction[builtins.bool] = operator_of(operator.not_)
truth: ReactiveFunction[builtins.bool] = operator_of(operator.truth)
is_: ReactiveFunction[builtins.bool] = fn(operator.is_)
is_not: ReactiveFunction[builtins.bool] = fn(operator.is_not)
abs: Absolute = operator_of(operator.abs)
add: Binary[int, float] = operator_of(operator.add)
and_: Binary[builtins.bool, int] = operator_of(_and)
floordiv: Binary[int, float] = operator_of(operator.floordiv)
index: ReactiveFunction[int] = operator_of(operator.index)
inv: Unary[int, int] = operator_of(operator.inv)
invert: Unary[int, int] = operator_of(operator.invert)
lshift: Binary[int, int] = operator_of(operator.lshift)
mod: Binary[int, float] = operator_of(operator.mod)
mul: Binary[int, float] = operator_of(operator.mul)
matmul: ReactiveFunction[Any] = operator_of(operator.matmul)
neg: Unary[int, float] = operator_of(operator.neg)
or_: Binary[builtins.bool, int] = operator_of(_or)
pos: Unary[int, float] = operator_of(operator.pos)
pow: ReactiveFunction[Any] = operator_of(operator.pow)
rshift: Binary[int, int] = operator_of(operator.rshift)
sub: Binary[int, float] = operator_of(operator.sub)
truediv: Binary[float, float] = operator_of(operator.truediv)
xor: Binary[builtins.bool, int] = operator_of(operator.xor)
concat: Concatenation = operator_of(operator.concat)
contains: ReactiveFunction[builtins.bool] = operator_of(operator.contains)
countOf: ReactiveFunction[int] = operator_of(operator.countOf)
getitem: Item = operator_of(operator.getitem)
indexOf: ReactiveFunction[int] = operator_of(operator.indexOf)
length_hint: ReactiveFunction[int] = operator_of(operator.length_hint)


def _call(f: Callable[..., object], *args: object, **kwargs: object) -> object:
    return f(*args, **kwargs)


def _swapped(f: Callable[[object, object], object]) -> Callable[[object, object], object]:
    def swapped(self: object, other: object) -> object:
        return f(other, self)

    return swapped


_divmod = operator_of(divmod)
_pow = operator_of(builtins.pow)

_METHODS: Final[dict[builtins.str, Callable[..., object]]] = {
    "__abs__": abs,
    "__add__": add,
    "__and__": and_,
    "__call__": operator_of(_call),
    "__divmod__": _divmod,
    "__eq__": eq,
    "__floordiv__": floordiv,
    "__ge__": ge,
    "__getitem__": getitem,
    "__gt__": gt,
    "__invert__": invert,
    "__le__": le,
    "__lshift__": lshift,
    "__lt__": lt,
    "__matmul__": matmul,
    "__mod__": mod,
    "__mul__": mul,
    "__ne__": ne,
    "__neg__": neg,
    "__or__": or_,
    "__pos__": pos,
    "__pow__": _pow,
    "__round__": operator_of(round),
    "__rshift__": rshift,
    "__sub__": sub,
    "__truediv__": truediv,
    "__xor__": xor,
    "__radd__": _swapped(add),
    "__rand__": _swapped(and_),
    "__rdivmod__": _swapped(_divmod),
    "__rfloordiv__": _swapped(floordiv),
    "__rlshift__": _swapped(lshift),
    "__rmatmul__": _swapped(matmul),
    "__rmod__": _swapped(mod),
    "__rmul__": _swapped(mul),
    "__ror__": _swapped(or_),
    "__rpow__": _swapped(_pow),
    "__rrshift__": _swapped(rshift),
    "__rsub__": _swapped(sub),
    "__rtruediv__": _swapped(truediv),
    "__rxor__": _swapped(xor),
}
for _name, _method in _METHODS.items():
    setattr(Reactive, _name, _method)


def _attribute(self: Value[object], name: builtins.str) -> Reactive[object]:
    # Python and its libraries look up names with underscores to find the abilities of an object;
    # use `yarp.getattr` for such an attribute of the held value.
    if name.startswith("_"):
        raise AttributeError(f"a Value has no attribute {name!r}", name=name, obj=self)
    if (meant := _meant_by(name)) is not None:
        # Without `name`, as Python 3.12 and later would add a suggestion of its own.
        raise AttributeError(
            f"a Value has no attribute {name!r}: did you mean {meant!r}? For that attribute of the "
            f"held value write `yarp.getattr(value, {name!r})`",
            obj=self,
        )
    return getattr(self, name)


_CALL_BACK: Final = ("on_value_changed", "subscribe")
"""Methods for which a misspelt name would raise no error: an unknown value has any attribute."""

_OF_OTHERS: Final = frozenset(("on_change", "on_changed", "on_event", "on_value"))
"""Names that Events, and other libraries, have for `on_value_changed`."""


def _meant_by(name: builtins.str) -> builtins.str | None:
    """Return the method of a Value that a misspelt name stands for; None if it is not misspelt."""
    if name in _OF_OTHERS:
        return "on_value_changed"
    # So near that `values`, `subscript` or `unsubscribe` are attributes of the held value.
    near = difflib.get_close_matches(name, _CALL_BACK, n=1, cutoff=0.85)
    is_other_word = "subscribe" in name or name == "subscript"
    return near[0] if near and not is_other_word else None


Value.__getattr__ = _attribute  # type: ignore[attr-defined]
