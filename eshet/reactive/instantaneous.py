# ruff: noqa: N816 - some names are those of the operator module, such as countOf.
"""The operators of plain yarp whose names say that the result is instantaneous: an Event.

Each is like the operator of the same name, but also emits at each change of a Value.
"""

import builtins
import operator

from eshet.reactive.fn import instantaneous_fn, instantaneous_operator
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

instantaneous_bool = instantaneous_operator(builtins.bool)
instantaneous_any = instantaneous_operator(builtins.any)
instantaneous_all = instantaneous_operator(builtins.all)
instantaneous_min = instantaneous_operator(builtins.min)
instantaneous_max = instantaneous_operator(builtins.max)
instantaneous_sum = instantaneous_operator(builtins.sum)
instantaneous_map = instantaneous_operator(builtins.map)
instantaneous_sorted = instantaneous_operator(builtins.sorted)
instantaneous_str = instantaneous_operator(builtins.str)
instantaneous_repr = instantaneous_operator(builtins.repr)
instantaneous_oct = instantaneous_operator(builtins.oct)
instantaneous_hex = instantaneous_operator(builtins.hex)
instantaneous_zip = instantaneous_operator(builtins.zip)
instantaneous_len = instantaneous_operator(builtins.len)
instantaneous_getattr = instantaneous_operator(builtins.getattr)
instantaneous_str_format = instantaneous_operator(format_str)

instantaneous_lt = instantaneous_operator(operator.lt)
instantaneous_le = instantaneous_operator(operator.le)
instantaneous_eq = instantaneous_operator(operator.eq)
instantaneous_ne = instantaneous_operator(operator.ne)
instantaneous_ge = instantaneous_operator(operator.ge)
instantaneous_gt = instantaneous_operator(operator.gt)
instantaneous_not_ = instantaneous_operator(operator.not_)
instantaneous_truth = instantaneous_operator(operator.truth)
instantaneous_is_ = instantaneous_fn(operator.is_)
instantaneous_is_not = instantaneous_fn(operator.is_not)
instantaneous_abs = instantaneous_operator(operator.abs)
instantaneous_add = instantaneous_operator(operator.add)
instantaneous_and_ = instantaneous_operator(operator.and_)
instantaneous_floordiv = instantaneous_operator(operator.floordiv)
instantaneous_index = instantaneous_operator(operator.index)
instantaneous_inv = instantaneous_operator(operator.inv)
instantaneous_invert = instantaneous_operator(operator.invert)
instantaneous_lshift = instantaneous_operator(operator.lshift)
instantaneous_mod = instantaneous_operator(operator.mod)
instantaneous_mul = instantaneous_operator(operator.mul)
instantaneous_matmul = instantaneous_operator(operator.matmul)
instantaneous_neg = instantaneous_operator(operator.neg)
instantaneous_or_ = instantaneous_operator(operator.or_)
instantaneous_pos = instantaneous_operator(operator.pos)
instantaneous_pow = instantaneous_operator(operator.pow)
instantaneous_rshift = instantaneous_operator(operator.rshift)
instantaneous_sub = instantaneous_operator(operator.sub)
instantaneous_truediv = instantaneous_operator(operator.truediv)
instantaneous_xor = instantaneous_operator(operator.xor)
instantaneous_concat = instantaneous_operator(operator.concat)
instantaneous_contains = instantaneous_operator(operator.contains)
instantaneous_countOf = instantaneous_operator(operator.countOf)
instantaneous_getitem = instantaneous_operator(operator.getitem)
instantaneous_indexOf = instantaneous_operator(operator.indexOf)
instantaneous_length_hint = instantaneous_operator(operator.length_hint)
