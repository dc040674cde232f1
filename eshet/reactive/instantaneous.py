# ruff: noqa: N816 - some names are those of the operator module, such as countOf.
"""The operators of plain yarp that are named after their instantaneous result: an Event.

Each is like the operator of the same name, but also emits at each change of a Value.
"""

import builtins
import operator
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from eshet.reactive.core.event import Event
from eshet.reactive.fn import instantaneous_fn, instantaneous_operator
from eshet.reactive.operator_types import (
    EventAbsolute,
    EventBinary,
    EventChoice,
    EventConcatenation,
    EventItem,
    EventMap,
    EventSorted,
    EventSum,
    EventUnary,
    EventZip,
)
from eshet.reactive.operators import format_str

__all__ = [
    "instantaneous_abs",
    "instantaneous_add",
    "instantaneous_all",
    "instantaneous_and_",
    "instantaneous_any",
    "instantaneous_bool",
    "instantaneous_concat",
    "instantaneous_contains",
    "instantaneous_countOf",
    "instantaneous_eq",
    "instantaneous_floordiv",
    "instantaneous_ge",
    "instantaneous_getattr",
    "instantaneous_getitem",
    "instantaneous_gt",
    "instantaneous_hex",
    "instantaneous_index",
    "instantaneous_indexOf",
    "instantaneous_inv",
    "instantaneous_invert",
    "instantaneous_is_",
    "instantaneous_is_not",
    "instantaneous_le",
    "instantaneous_len",
    "instantaneous_length_hint",
    "instantaneous_lshift",
    "instantaneous_lt",
    "instantaneous_map",
    "instantaneous_matmul",
    "instantaneous_max",
    "instantaneous_min",
    "instantaneous_mod",
    "instantaneous_mul",
    "instantaneous_ne",
    "instantaneous_neg",
    "instantaneous_not_",
    "instantaneous_oct",
    "instantaneous_or_",
    "instantaneous_pos",
    "instantaneous_pow",
    "instantaneous_repr",
    "instantaneous_rshift",
    "instantaneous_sorted",
    "instantaneous_str",
    "instantaneous_str_format",
    "instantaneous_sub",
    "instantaneous_sum",
    "instantaneous_truediv",
    "instantaneous_truth",
    "instantaneous_xor",
    "instantaneous_zip",
]

_R = TypeVar("_R")
_Operator: TypeAlias = Callable[..., Event[_R]]

instantaneous_bool: _Operator[bool] = instantaneous_operator(builtins.bool)
instantaneous_any: _Operator[bool] = instantaneous_operator(builtins.any)
instantaneous_all: _Operator[bool] = instantaneous_operator(builtins.all)
instantaneous_min: EventChoice = instantaneous_operator(builtins.min)
instantaneous_max: EventChoice = instantaneous_operator(builtins.max)
instantaneous_sum: EventSum = instantaneous_operator(builtins.sum)
instantaneous_map: EventMap = instantaneous_operator(builtins.map)
instantaneous_sorted: EventSorted = instantaneous_operator(builtins.sorted)
instantaneous_str: _Operator[str] = instantaneous_operator(builtins.str)
instantaneous_repr: _Operator[str] = instantaneous_operator(builtins.repr)
instantaneous_oct: _Operator[str] = instantaneous_operator(builtins.oct)
instantaneous_hex: _Operator[str] = instantaneous_operator(builtins.hex)
instantaneous_zip: EventZip = instantaneous_operator(builtins.zip)
instantaneous_len: _Operator[int] = instantaneous_operator(builtins.len)
instantaneous_getattr: _Operator[Any] = instantaneous_operator(builtins.getattr)
instantaneous_str_format: _Operator[str] = instantaneous_operator(format_str)

instantaneous_lt: _Operator[bool] = instantaneous_operator(operator.lt)
instantaneous_le: _Operator[bool] = instantaneous_operator(operator.le)
instantaneous_eq: _Operator[bool] = instantaneous_operator(operator.eq)
instantaneous_ne: _Operator[bool] = instantaneous_operator(operator.ne)
instantaneous_ge: _Operator[bool] = instantaneous_operator(operator.ge)
instantaneous_gt: _Operator[bool] = instantaneous_operator(operator.gt)
instantaneous_not_: _Operator[bool] = instantaneous_operator(operator.not_)
instantaneous_truth: _Operator[bool] = instantaneous_operator(operator.truth)
instantaneous_is_: _Operator[bool] = instantaneous_fn(operator.is_)
instantaneous_is_not: _Operator[bool] = instantaneous_fn(operator.is_not)
instantaneous_abs: EventAbsolute = instantaneous_operator(operator.abs)
instantaneous_add: EventBinary[int, float] = instantaneous_operator(operator.add)
instantaneous_and_: EventBinary[bool, int] = instantaneous_operator(operator.and_)
instantaneous_floordiv: EventBinary[int, float] = instantaneous_operator(operator.floordiv)
instantaneous_index: _Operator[int] = instantaneous_operator(operator.index)
instantaneous_inv: EventUnary[int, int] = instantaneous_operator(operator.inv)
instantaneous_invert: EventUnary[int, int] = instantaneous_operator(operator.invert)
instantaneous_lshift: EventBinary[int, int] = instantaneous_operator(operator.lshift)
instantaneous_mod: EventBinary[int, float] = instantaneous_operator(operator.mod)
instantaneous_mul: EventBinary[int, float] = instantaneous_operator(operator.mul)
instantaneous_matmul: _Operator[Any] = instantaneous_operator(operator.matmul)
instantaneous_neg: EventUnary[int, float] = instantaneous_operator(operator.neg)
instantaneous_or_: EventBinary[bool, int] = instantaneous_operator(operator.or_)
instantaneous_pos: EventUnary[int, float] = instantaneous_operator(operator.pos)
instantaneous_pow: _Operator[Any] = instantaneous_operator(operator.pow)
instantaneous_rshift: EventBinary[int, int] = instantaneous_operator(operator.rshift)
instantaneous_sub: EventBinary[int, float] = instantaneous_operator(operator.sub)
instantaneous_truediv: EventBinary[float, float] = instantaneous_operator(operator.truediv)
instantaneous_xor: EventBinary[bool, int] = instantaneous_operator(operator.xor)
instantaneous_concat: EventConcatenation = instantaneous_operator(operator.concat)
instantaneous_contains: _Operator[bool] = instantaneous_operator(operator.contains)
instantaneous_countOf: _Operator[int] = instantaneous_operator(operator.countOf)
instantaneous_getitem: EventItem = instantaneous_operator(operator.getitem)
instantaneous_indexOf: _Operator[int] = instantaneous_operator(operator.indexOf)
instantaneous_length_hint: _Operator[int] = instantaneous_operator(operator.length_hint)
