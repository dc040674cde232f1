"""The reactive core beside PyPI's yarp and others, in one run, as ratios: how many times as fast?

    make bench

Times of a machine say little, and those of another run less; a ratio of two that were taken in turn
says something. Each case is made of the same functions in each library, and everything that
could be lazy is listened to, so that all of them do the work. Beside the ratios stands how often a
function runs at each change, as a library that runs more does more than is needed. The aims are
those of the issue on the reactive core, beside yarp.

A case that takes a library more than a minute, as its cost grows with the paths through the graph
and not with its nodes, is not run with it.
"""

import argparse
import contextlib
import gc
import inspect
import itertools
import statistics
import sys
import textwrap
import threading
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import observ
import reactivex
import reaktiv
import signified
import yarp as plain
from reactivex import operators
from reactivex.subject import BehaviorSubject

from eshet import reactive as ours
from eshet.reactive.core.tracing import on_transaction
from eshet.reactive.core.transaction import Transactions, thread_local

PUSHED = "" if hasattr(signified, "effect") else "signified"
"""What of the libraries takes too long for some cases, before its version 0.7."""

DEEP = "" if sys.version_info < (3, 12) else "yarp"
"""What can't follow a chain of 10,000, where the limit on recursion in C can't be raised."""

ROUNDS = 9
ROUND_SECONDS = 0.01

Function = Callable[..., Any]
Run = Callable[[], object]


class Ours:
    """This package."""

    name = "ours"
    yarp: Any = ours

    def source(self) -> Any:
        return self.yarp.Value(0)

    def set(self, source: Any, value: int) -> None:
        source.value = value

    def setter(self, source: Any) -> Run:
        numbers = itertools.count(1)

        def run() -> None:
            source.value = next(numbers)

        return run

    def apply(self, function: Function, *sources: Any) -> Any:
        return self.yarp.fn(function)(*sources)

    def listen(self, node: Any) -> Any:
        return node.on_value_changed(ignore)

    def batch(self) -> Any:
        return ours.transaction()


class Other(Ours):
    """A library without batches, unless it says otherwise."""

    def batch(self) -> Any:
        return contextlib.nullcontext()


class Plain(Other):
    """PyPI's yarp."""

    name = "yarp"
    yarp = plain


class Reaktiv(Other):
    """Signals that are pulled."""

    name = "reaktiv"

    def source(self) -> Any:
        return reaktiv.Signal(0)

    def set(self, source: Any, value: int) -> None:
        source.set(value)

    def setter(self, source: Any) -> Run:
        numbers = itertools.count(1)
        return lambda: source.set(next(numbers))

    def apply(self, function: Function, *sources: Any) -> Any:
        return reaktiv.Computed(lambda: function(*[source() for source in sources]))

    def listen(self, node: Any) -> Any:
        return reaktiv.Effect(lambda: ignore(node()))

    def batch(self) -> Any:
        return reaktiv.batch()


class Signified(Other):
    """Signals: up to 0.2 in Python, pushed; from 0.7 on, for Python 3.12 and later, in Rust."""

    name = "signified"

    def source(self) -> Any:
        return signified.Signal(0)

    def apply(self, function: Function, *sources: Any) -> Any:
        return signified.computed(function)(*sources)

    def listen(self, node: Any) -> Any:
        if hasattr(signified, "effect"):
            return signified.effect(ignore)(node)
        listener = _Listener(node)
        node.subscribe(listener)
        return listener

    def batch(self) -> Any:
        return signified.batch() if hasattr(signified, "batch") else contextlib.nullcontext()


class _Listener:
    def __init__(self, node: Any) -> None:
        self._node = node

    def update(self) -> None:
        ignore(self._node.value)


class Observ(Other):
    """Vue's watchers."""

    name = "observ"

    def source(self) -> Any:
        return observ.ref(0)

    def set(self, source: Any, value: int) -> None:
        source["value"] = value

    def setter(self, source: Any) -> Run:
        numbers = itertools.count(1)

        def run() -> None:
            source["value"] = next(numbers)

        return run

    def apply(self, function: Function, *sources: Any) -> Any:
        reads = [source if callable(source) else _reads(source) for source in sources]
        return observ.computed(lambda: function(*[read() for read in reads]))

    def listen(self, node: Any) -> Any:
        return observ.watch(node, ignore, sync=True)


def _reads(source: Any) -> Callable[[], Any]:
    return lambda: source["value"]


class Reactivex(Other):
    """Streams."""

    name = "reactivex"

    def source(self) -> Any:
        return BehaviorSubject(0)

    def set(self, source: Any, value: int) -> None:
        source.on_next(value)

    def setter(self, source: Any) -> Run:
        numbers = itertools.count(1)
        return lambda: source.on_next(next(numbers))

    def apply(self, function: Function, *sources: Any) -> Any:
        if len(sources) == 1:
            return sources[0].pipe(operators.map(function))
        return reactivex.combine_latest(*sources).pipe(operators.map(lambda all_: function(*all_)))

    def listen(self, node: Any) -> Any:
        return node.subscribe(ignore)


LIBRARIES: list[Ours] = [Ours(), Plain(), Reaktiv(), Signified(), Observ(), Reactivex()]

Make = Callable[["Ours", "Functions"], Run]


class Case:
    """What is measured: a graph, and what changes it."""

    def __init__(self, name: str, make: Make, aim: float | None, leave_out: str) -> None:
        self.name = name
        self.make = make
        self.aim = aim
        self.leave_out = leave_out.split()


CASES: list[Case] = []


def case(name: str, aim: float | None = None, leave_out: str = "") -> Callable[[Make], Make]:
    """Measure what the decorated function returns, under this name."""

    def decorate(make: Make) -> Make:
        CASES.append(Case(name, make, aim, leave_out))
        return make

    return decorate


def ignore(*_: Any) -> None:
    """Hear of a change."""


class Functions:
    """What nodes compute: of one value, and of several."""

    @staticmethod
    def one(x: int) -> int:
        return x + 1

    @staticmethod
    def many(*xs: int) -> int:
        return sum(xs) % 97

    @staticmethod
    def difference(x: int, y: int) -> int:
        return x - y

    @staticmethod
    def total(x: int, y: int) -> int:
        return x + y


class Counting(Functions):
    """The same, counting its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def one(self, x: int) -> int:  # type: ignore[override]
        self.calls += 1
        return x + 1

    def many(self, *xs: int) -> int:  # type: ignore[override]
        self.calls += 1
        return sum(xs) % 97

    def difference(self, x: int, y: int) -> int:  # type: ignore[override]
        self.calls += 1
        return x - y

    def total(self, x: int, y: int) -> int:  # type: ignore[override]
        self.calls += 1
        return x + y


def kept(run: Run, *things: Any) -> Run:
    """Return what runs, and keeps things alive."""
    run.kept = things  # type: ignore[attr-defined]
    return run


def listened(library: Ours, source: Any, ends: list[Any], *things: Any) -> Run:
    """Return what sets a source again and again, with somebody to hear of each end."""
    heard = [library.listen(end) for end in ends]
    return kept(library.setter(source), ends, heard, *things)


def one_update(library: Ours, f: Functions) -> Run:
    source = library.source()
    return listened(library, source, [library.apply(f.one, source)])


case("one update: a function and its callback", 1.5)(one_update)


@case("the same beside 100,000 other nodes", 1.5, "reaktiv signified observ reactivex")
def beside(library: Ours, f: Functions) -> Run:
    others = [library.apply(f.one, library.source()) for _ in range(50_000)]
    return kept(one_update(library, f), others)


def chain(length: int) -> Make:
    """Return a chain of functions."""

    def make(library: Ours, f: Functions) -> Run:
        source = node = library.source()
        nodes = [node := library.apply(f.one, node) for _ in range(length)]
        return listened(library, source, [node], nodes)

    return make


case("chain of 100", 10)(chain(100))
case("chain of 1,000", 14, "reactivex")(chain(1_000))
case("chain of 10,000", 18, f"{DEEP} reaktiv signified observ reactivex")(chain(10_000))


@case("fan-out to 1,000", 3.8)
def fan_out(library: Ours, f: Functions) -> Run:
    source = library.source()
    return listened(library, source, [library.apply(f.one, source) for _ in range(1_000)])


def diamond(width: int) -> Make:
    """Return a join of many that have one source."""

    def make(library: Ours, f: Functions) -> Run:
        source = library.source()
        middle = [library.apply(f.one, source) for _ in range(width)]
        return listened(library, source, [library.apply(f.many, *middle)], middle)

    return make


case("diamond of 5", 3)(diamond(5))
case("diamond of 1,000", 280)(diamond(1_000))


@case("triangle of 10", 4.2)
def triangle(library: Ours, f: Functions) -> Run:
    source = node = library.source()
    steps = [source, *(node := library.apply(f.one, node) for _ in range(10))]
    return listened(library, source, [library.apply(f.many, *steps)], steps)


@case("mux of 100", 2.2)
def mux(library: Ours, f: Functions) -> Run:
    sources = [library.source() for _ in range(100)]
    join = library.apply(lambda *xs: dict(enumerate(xs)), *sources)
    ends = [library.apply(lambda xs, n=n: f.one(xs[n]), join) for n in range(100)]
    return listened(library, sources[0], ends, join, sources)


@case("dense: 8 layers of 1,000, each of 3", 400, "reactivex")
def dense(library: Ours, f: Functions) -> Run:
    sources = layer = [library.source() for _ in range(1_000)]
    every = [layer := [library.apply(f.many, *three) for three in threes(layer)] for _ in range(8)]
    return listened(library, sources[0], layer, sources, every)


def threes(layer: list[Any]) -> list[tuple[Any, Any, Any]]:
    """Return each member of a layer with its two neighbours; the last one's is the first."""
    return [(layer[n - 1], layer[n], layer[(n + 1) % len(layer)]) for n in range(len(layer))]


@case("4 layers of 8, each of all", None, "reaktiv reactivex")
def all_of_all(library: Ours, f: Functions) -> Run:
    source = library.source()
    layer = [library.apply(f.one, source) for _ in range(8)]
    every = [layer := [library.apply(f.many, *layer) for _ in range(8)] for _ in range(4)]
    return listened(library, source, layer, every)


def cellx(layers: int) -> Make:
    """Return the layers of the benchmark of cellx, of which all four sources are set.

    In one batch, where the library has that; see https://github.com/Riim/cellx.
    """

    def make(library: Ours, f: Functions) -> Run:
        sources = layer = [library.source() for _ in range(4)]
        every = []
        for _ in range(layers):
            a, b, c, d = layer
            layer = [
                library.apply(f.one, b),
                library.apply(f.difference, a, c),
                library.apply(f.total, b, d),
                library.apply(f.one, c),
            ]
            every.append(layer)
        return kept(set_all(library, sources), layer, [library.listen(end) for end in layer], every)

    return make


def set_all(library: Ours, sources: list[Any]) -> Run:
    """Return what sets all of these, in one batch where the library has that."""
    numbers = itertools.count(1)

    def run() -> None:
        number = next(numbers)
        with library.batch():
            for source in sources:
                library.set(source, number)

    return run


case("cellx of 10 layers", 65)(cellx(10))
case("cellx of 100 layers", None, f"yarp reaktiv {PUSHED} reactivex")(cellx(100))
case("cellx of 1,000 layers", None, f"yarp reaktiv {PUSHED} observ reactivex")(cellx(1_000))


@case("batch of 100 sources", None, "yarp observ reactivex")
def batch(library: Ours, f: Functions) -> Run:
    sources = [library.source() for _ in range(100)]
    end = library.apply(f.many, *sources)
    return kept(set_all(library, sources), end, library.listen(end))


@case("event, function, callback", 1.4, "reaktiv signified observ reactivex")
def event(library: Ours, f: Functions) -> Run:
    yarp = library.yarp
    source = yarp.Event() if yarp is ours else yarp.Value()
    node = (yarp.fn if yarp is ours else yarp.instantaneous_fn)(f.one)(source)
    node.on_value_changed(ignore)
    emit = source.emit if yarp is ours else source.set_instantaneous_value
    return kept(lambda: emit(1), node)


# The aim is out of reach for a loop in Python: its call of each callback takes 1.2 times as long if
# what it returns may have to be awaited, 1.5 times if another one may have disposed it, and 1.9
# times if it also has to run in the scope it was registered in.
@case("event to 1,000 callbacks", 1.0, "reaktiv signified observ reactivex")
def callbacks(library: Ours, f: Functions) -> Run:
    yarp = library.yarp
    source = yarp.Event() if yarp is ours else yarp.Value()
    for _ in range(1_000):
        source.on_value_changed(ignore)
    emit = source.emit if yarp is ours else source.set_instantaneous_value
    return lambda: emit(1)


@case("making a source", 0.4)
def make_source(library: Ours, f: Functions) -> Run:
    made: list[Any] = []
    return lambda: made.append(library.source())


def making(count: int) -> Make:
    """Return the making of a function of so many sources."""

    def make(library: Ours, f: Functions) -> Run:
        made: list[Any] = []
        sources = [library.source() for _ in range(count)]
        function = f.one if count == 1 else f.many
        if isinstance(library, Plain) or type(library) is Ours:
            applied = library.yarp.fn(function)  # as a rule does, once
            return lambda: made.append(applied(*sources))
        return lambda: made.append(library.apply(function, *sources))

    return make


case("making a function of 1", 4)(making(1))
case("making a function of 4", 5)(making(4))


@case("disposing 10,000 functions of one source", None, "yarp reactivex")
def remove(library: Ours, f: Functions) -> Run:
    return removal(10_000, library, f)


def removal(
    count: int,
    library: Ours = LIBRARIES[0],
    f: Functions = Functions(),  # noqa: B008 - no state
) -> Run:
    """Return the making of so many functions of one source, and their end one by one."""
    source = library.source()

    def run() -> None:
        nodes = [library.apply(f.one, source) for _ in range(count)]
        heard = [library.listen(node) for node in nodes] if type(library) is not Ours else []
        del nodes, heard

    return run


def tracing_used() -> tuple[Run, Run]:
    """Return 100 updates that are told of, and as many that are not."""
    run = one_update(LIBRARIES[0], Functions())

    def traced() -> None:
        watching = on_transaction(ignore)
        hundred(run)
        watching.dispose()

    return traced, lambda: hundred(run)


def tracing_unused() -> tuple[Run, Run]:
    """Return an update, and one by a core that does not ask whether it is to be told of."""
    source = textwrap.dedent(inspect.getsource(Transactions.change))
    assert "self.tracer is None" in source
    namespace = dict(vars(sys.modules[Transactions.__module__]))
    source = source.replace("self.tracer is None", "True")
    exec(f"from __future__ import annotations\n{source}", namespace)
    untold = type("Untold", (Transactions,), {"__slots__": (), "change": namespace["change"]})
    before, thread_local.transactions = thread_local.transactions, untold()
    without = one_update(LIBRARIES[0], Functions())
    thread_local.transactions = before
    return one_update(LIBRARIES[0], Functions()), without


def beside_others() -> tuple[Run, Run]:
    """Return an update beside 100,000 other nodes, and one alone."""
    return beside(LIBRARIES[0], Functions()), one_update(LIBRARIES[0], Functions())


def removal_of_many() -> tuple[Run, Run]:
    """Return the removal of 100,000, and ten times that of 10,000."""
    few = removal(10_000)
    return removal(100_000), lambda: [few() for _ in range(10)]


def cellx_of_many() -> tuple[Run, Run]:
    """Return the cellx of 1,000 layers, and that of 100."""
    return cellx(1_000)(LIBRARIES[0], Functions()), cellx(100)(LIBRARIES[0], Functions())


def hundred(run: Run) -> None:
    """Run it a hundred times."""
    for _ in range(100):
        run()


OWN: list[tuple[str, str, Callable[[], tuple[Run, Run]]]] = [
    ("tracing: an update that is told of / not", "≤ 2.5", tracing_used),
    ("tracing: an update that is not / no tracing", "≤ 1.05", tracing_unused),
    ("an update beside 100,000 others / alone", "≤ 1.1", beside_others),
    ("disposing 100,000 / ten times 10,000", "≤ 1.3", removal_of_many),
    ("cellx of 1,000 layers / of 100", "≤ 13", cellx_of_many),
]
"""What is measured beside ourselves: the name, the aim, and the two runs."""


def ratio_of(one: Run, other: Run) -> float:
    """Return how many times as long one takes as the other."""
    times = times_in_turn({"one": one, "other": other})
    return statistics.median(a / b for a, b in zip(times["one"], times["other"], strict=True))


def seconds(run: Run, times: int) -> float:
    """Return how long one of many runs takes, with nothing collected in between."""
    gc.collect()
    gc.disable()
    start = time.perf_counter()
    for _ in range(times):
        run()
    end = time.perf_counter()
    gc.enable()
    return (end - start) / times


def times_in_turn(runs: dict[str, Run]) -> dict[str, list[float]]:
    """Return how long each takes, in each of many rounds."""
    times = {name: max(1, int(ROUND_SECONDS / seconds(run, 1))) for name, run in runs.items()}
    rounds = [
        {name: seconds(run, times[name]) for name, run in runs.items()} for _ in range(ROUNDS)
    ]
    return {name: [each[name] for each in rounds] for name in runs}


def calls_of(each: Case, library: Ours) -> int:
    """Return how often a function is called at one change."""
    functions = Counting()
    run = each.make(library, functions)
    run()
    functions.calls = 0
    run()
    return functions.calls


def bytes_of_function(library: Ours) -> float:
    """Return the bytes of a function of one Value with a callback."""
    count = 2_000
    sources = [library.source() for _ in range(count)]
    gc.collect()
    tracemalloc.start()
    nodes = [library.apply(Functions.one, source) for source in sources]
    heard = [library.listen(node) for node in nodes]
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del heard
    return size / count


def show(*columns: Any) -> None:
    """Print a line of the table."""
    name, *others = columns
    print(f"{name:42}" + "".join(f"{other:>17}" for other in others), flush=True)


def main() -> None:
    """Print each ratio beside its aim."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "only", nargs="?", default="", help="measure only what has this in its name"
    )
    only = parser.parse_args().only
    show(
        f"time / ours (calls), Python {sys.version.split()[0]}",
        "ours, µs",
        "aim, yarp",
        *(library.name for library in LIBRARIES[1:]),
    )
    for each in CASES:
        if only in each.name:
            measure(each)
    if only in "bytes":
        mine, *others = [bytes_of_function(library) for library in LIBRARIES]
        show(
            "bytes of a function with a callback",
            f"{mine:.0f} bytes",
            f"{1 / 0.45:.1f}",
            *(f"{size / mine:.2f}" for size in others),
        )
    for name, aim, make in OWN:
        if only in name:
            show(name, f"{ratio_of(*make()):.2f}", aim)


def measure(each: Case) -> None:
    """Print the line of one case."""
    libraries = [library for library in LIBRARIES if library.name not in each.leave_out]
    times = times_in_turn({lib.name: each.make(lib, Functions()) for lib in libraries})
    calls = {lib.name: calls_of(each, lib) for lib in libraries}
    mine = times["ours"]
    cells = []
    for library in LIBRARIES[1:]:
        if library.name in times:
            pairs = zip(times[library.name], mine, strict=True)
            ratio = statistics.median(theirs / ours_ for theirs, ours_ in pairs)
            cells.append(f"{ratio:.2f} ({calls[library.name]:,})")
        else:
            cells.append("-")
    aim = "" if each.aim is None else f"{each.aim:g}"
    show(f"{each.name} ({calls['ours']:,})", f"{statistics.median(mine) * 1e6:,.2f}", aim, *cells)


if __name__ == "__main__":
    # Most of them recurse once for each node of a chain, in C too.
    sys.setrecursionlimit(1_000_000)
    threading.stack_size(1 << 30)
    thread = threading.Thread(target=main)
    thread.start()
    thread.join()
