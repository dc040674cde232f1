# ruff: noqa: A004 - the vocabulary has names of Python, as yarp.len and yarp.sum.
"""Values that change, events that happen, and functions of both: no I/O, and no paths.

What lives where; imports go downwards only:

    picture             a part of the graph as data and as a drawing
    tracing             telling of transactions as they run
    store               values that are kept in files
    schedules           times of day, cron, and the sun
    solar               when the sun rises and sets
    cron                when a time of day or an expression of cron comes
    summaries           what a window of values comes to
    changes             what tells of changes, joins and remembers
    switching           following what a Value holds
    machines            state machines with timeouts
    holding             debounce, throttle, hold, for_duration, fold_state
    timing              delay, time_window, rate_limit, emit_at, now
    zones               time zones, and where they are
    clocked             the nodes that take time
    leading             which causes led to what comes out when time is up
    appointments        what a schedule remembers
    patience            what holding remembers
    memories            what other nodes that take time remember
    filters             window, no_repeat, filter, replace_novalue, replace_unknown
    conversions         from Values to Events and back
    containers          Values and Events in lists, tuples and dicts
    instantaneous       the operators with an Event as their result
    operators           Python's functions and symbols on Values and Events
    fn                  any function on Values and Events
    apply               the nodes that are a function of other nodes
    lifted              a function as such a node calls it
    value, event        the handles by which user code holds nodes
    callbacks_first     callbacks that run before a node's function, as it collects by them
    handover            what stateful nodes give to their next version, and receive
    matching            which node of an old version is which of a new one
    handle              what Values and Events share
    heights             inputs that are added later, and loops
    batch               what stands for a source: many changes as one, a value that passes
    subscription        callbacks
    graph               nodes, edges, and how long they live
    transaction         one change, run to rest
    rounds              the changes that wait for that
    origin              where in the user's code a node was made
    plain               what is taken from PyPI's yarp

It is a superset of that yarp. Names that Python has too, such as
`len` and `sum`, are meant to be used as `yarp.len`, after `from eshet import yarp`.
"""

from eshet.reactive import store
from eshet.reactive.batch import (
    transaction,
)
from eshet.reactive.changes import (
    changes,
    count,
    default,
    falling,
    hysteresis,
    latest,
    merge,
    rising,
    sample,
    scan,
    when,
)
from eshet.reactive.containers import (
    ensure_reactive,
    ensure_value,
    reactive_dict,
    reactive_list,
    reactive_tuple,
    value_dict,
    value_list,
    value_tuple,
)
from eshet.reactive.conversions import (
    emit_fn,
    event_to_value,
    make_instantaneous,
    make_persistent,
    make_same_type,
    on_value,
    value_to_event,
)
from eshet.reactive.event import (
    Event,
)
from eshet.reactive.filters import (
    filter,
    no_repeat,
    replace_novalue,
    replace_unknown,
    window,
)
from eshet.reactive.fn import (
    fn,
    instantaneous_fn,
)
from eshet.reactive.holding import (
    debounce,
    fold_state,
    for_duration,
    hold,
    throttle,
)
from eshet.reactive.instantaneous import (
    instantaneous_abs,
    instantaneous_add,
    instantaneous_all,
    instantaneous_and_,
    instantaneous_any,
    instantaneous_bool,
    instantaneous_concat,
    instantaneous_contains,
    instantaneous_countOf,
    instantaneous_eq,
    instantaneous_floordiv,
    instantaneous_ge,
    instantaneous_getattr,
    instantaneous_getitem,
    instantaneous_gt,
    instantaneous_hex,
    instantaneous_index,
    instantaneous_indexOf,
    instantaneous_inv,
    instantaneous_invert,
    instantaneous_is_,
    instantaneous_is_not,
    instantaneous_le,
    instantaneous_len,
    instantaneous_length_hint,
    instantaneous_lshift,
    instantaneous_lt,
    instantaneous_map,
    instantaneous_matmul,
    instantaneous_max,
    instantaneous_min,
    instantaneous_mod,
    instantaneous_mul,
    instantaneous_ne,
    instantaneous_neg,
    instantaneous_not_,
    instantaneous_oct,
    instantaneous_or_,
    instantaneous_pos,
    instantaneous_pow,
    instantaneous_repr,
    instantaneous_rshift,
    instantaneous_sorted,
    instantaneous_str,
    instantaneous_str_format,
    instantaneous_sub,
    instantaneous_sum,
    instantaneous_truediv,
    instantaneous_truth,
    instantaneous_xor,
    instantaneous_zip,
)
from eshet.reactive.machines import (
    FSM,
)
from eshet.reactive.operators import (
    abs,
    add,
    all,
    and_,
    any,
    bool,
    concat,
    contains,
    countOf,
    eq,
    floordiv,
    ge,
    getattr,
    getitem,
    gt,
    hex,
    index,
    indexOf,
    inv,
    invert,
    is_,
    is_not,
    le,
    len,
    length_hint,
    lshift,
    lt,
    map,
    matmul,
    max,
    min,
    mod,
    mul,
    ne,
    neg,
    not_,
    oct,
    or_,
    pos,
    pow,
    repr,
    rshift,
    sorted,
    str,
    str_format,
    sub,
    sum,
    truediv,
    truth,
    xor,
    zip,
)
from eshet.reactive.picture import (
    Edge,
    Picture,
    PictureNode,
    graph,
)
from eshet.reactive.plain import (
    NoChange,
    NoValue,
)
from eshet.reactive.schedules import (
    schedule,
    sun,
)
from eshet.reactive.store import (
    file_backed_value,
)
from eshet.reactive.subscription import (
    Subscription,
)
from eshet.reactive.summaries import (
    average,
    maximum,
    minimum,
    rate,
)
from eshet.reactive.switching import (
    switch,
)
from eshet.reactive.timing import (
    NOTHING,
    delay,
    emit_at,
    now,
    rate_limit,
    time_window,
)
from eshet.reactive.tracing import (
    Step,
    Watching,
    on_transaction,
)
from eshet.reactive.value import (
    Value,
)

__all__ = [
    "FSM",
    "NOTHING",
    "Edge",
    "Event",
    "NoChange",
    "NoValue",
    "Picture",
    "PictureNode",
    "Step",
    "Subscription",
    "Value",
    "Watching",
    "abs",
    "add",
    "all",
    "and_",
    "any",
    "average",
    "bool",
    "changes",
    "concat",
    "contains",
    "count",
    "countOf",
    "debounce",
    "default",
    "delay",
    "emit_at",
    "emit_fn",
    "ensure_reactive",
    "ensure_value",
    "eq",
    "event_to_value",
    "falling",
    "file_backed_value",
    "filter",
    "floordiv",
    "fn",
    "fold_state",
    "for_duration",
    "ge",
    "getattr",
    "getitem",
    "graph",
    "gt",
    "hex",
    "hold",
    "hysteresis",
    "index",
    "indexOf",
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
    "instantaneous_fn",
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
    "inv",
    "invert",
    "is_",
    "is_not",
    "latest",
    "le",
    "len",
    "length_hint",
    "lshift",
    "lt",
    "make_instantaneous",
    "make_persistent",
    "make_same_type",
    "map",
    "matmul",
    "max",
    "maximum",
    "merge",
    "min",
    "minimum",
    "mod",
    "mul",
    "ne",
    "neg",
    "no_repeat",
    "not_",
    "now",
    "oct",
    "on_transaction",
    "on_value",
    "or_",
    "pos",
    "pow",
    "rate",
    "rate_limit",
    "reactive_dict",
    "reactive_list",
    "reactive_tuple",
    "replace_novalue",
    "replace_unknown",
    "repr",
    "rising",
    "rshift",
    "sample",
    "scan",
    "schedule",
    "sorted",
    "store",
    "str",
    "str_format",
    "sub",
    "sum",
    "sun",
    "switch",
    "throttle",
    "time_window",
    "transaction",
    "truediv",
    "truth",
    "value_dict",
    "value_list",
    "value_to_event",
    "value_tuple",
    "when",
    "window",
    "xor",
    "zip",
]
