"""The reactive core beside PyPI's yarp, in one run, as ratios: how many times as fast is ours?

    .venv/bin/python benchmarks/reactive.py

Times of a machine say little, and those of another run less; a ratio of two that were taken in turn
says something. The aims are those of the issue on the reactive core.
"""

import gc
import itertools
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from types import ModuleType
from typing import Any

import yarp as plain

from eshet import reactive as ours

ROUNDS = 15
ROUND_SECONDS = 0.01

Case = Callable[[ModuleType], Callable[[], object]]
CASES: dict[str, tuple[Case, float]] = {}


def case(name: str, aim: float) -> Callable[[Case], Case]:
    """Measure what the decorated function returns, under this name."""

    def decorate(make: Case) -> Case:
        CASES[name] = (make, aim)
        return make

    return decorate


def setter(source: Any, keep: Any) -> Callable[[], object]:
    """Return what sets a source again and again, and keeps what hears it."""
    numbers = itertools.count(1)

    def run() -> None:
        source.value = next(numbers)

    run.keep = keep  # type: ignore[attr-defined]
    return run


def ignore(_: Any) -> None:
    """Hear of a change."""


def add_one(x: int) -> int:
    """Return one more."""
    return x + 1


@case("one update: a node and its callback", 1.5)
def update(yarp: ModuleType) -> Callable[[], object]:
    a = yarp.Value(0)
    node = yarp.fn(add_one)(a)
    node.on_value_changed(ignore)
    return setter(a, node)


def chain(length: int) -> Case:
    """Return a case of a chain."""

    def make(yarp: ModuleType) -> Callable[[], object]:
        a = node = yarp.Value(0)
        for _ in range(length):
            node = yarp.fn(add_one)(node)
        return setter(a, node)

    return make


case("chain of 100", 10)(chain(100))
case("chain of 1,000", 14)(chain(1_000))


@case("chain of 1,000, x + 1", 14)
def operators(yarp: ModuleType) -> Callable[[], object]:
    a = node = yarp.Value(0)
    for _ in range(1_000):
        node = node + 1
    return setter(a, node)


@case("fan-out to 1,000", 3.8)
def fan_out(yarp: ModuleType) -> Callable[[], object]:
    a = yarp.Value(0)
    return setter(a, [yarp.fn(add_one)(a) for _ in range(1_000)])


def diamond(width: int) -> Case:
    """Return a case of a join of many that have one source."""

    def make(yarp: ModuleType) -> Callable[[], object]:
        a = yarp.Value(0)
        middle = [yarp.fn(add_one)(a) for _ in range(width)]
        return setter(a, yarp.fn(lambda *xs: sum(xs))(*middle))

    return make


case("diamond of 5", 3)(diamond(5))
case("diamond of 1,000", 280)(diamond(1_000))


@case("triangle of 10", 4.2)
def triangle(yarp: ModuleType) -> Callable[[], object]:
    a = node = yarp.Value(0)
    steps = [node]
    for _ in range(10):
        node = yarp.fn(add_one)(node)
        steps.append(node)
    return setter(a, yarp.fn(lambda *xs: sum(xs))(*steps))


@case("dense: 4 layers of 8, each of all", 400)
def dense(yarp: ModuleType) -> Callable[[], object]:
    a = yarp.Value(0)
    layer = [yarp.fn(add_one)(a) for _ in range(8)]
    for _ in range(4):
        layer = [yarp.fn(lambda *xs: sum(xs) % 97)(*layer) for _ in range(8)]
    return setter(a, layer)


@case("event, function, callback", 1.4)
def event(yarp: ModuleType) -> Callable[[], object]:
    source = yarp.Event() if yarp is ours else yarp.Value()
    node = (yarp.fn if yarp is ours else yarp.instantaneous_fn)(add_one)(source)
    node.on_value_changed(ignore)
    emit = source.emit if yarp is ours else source.set_instantaneous_value
    return lambda: (emit(1), node)


@case("making a source", 0.4)
def make_source(yarp: ModuleType) -> Callable[[], object]:
    kept: list[Any] = []
    return lambda: kept.append(yarp.Value(0))


@case("making a function of 1", 4)
def make_of_one(yarp: ModuleType) -> Callable[[], object]:
    kept: list[Any] = []
    add, a = yarp.fn(add_one), yarp.Value(0)
    return lambda: kept.append(add(a))


@case("making a function of 4", 5)
def make_of_four(yarp: ModuleType) -> Callable[[], object]:
    kept: list[Any] = []
    add = yarp.fn(lambda a, b, c, d: a)
    sources = [yarp.Value(0) for _ in range(4)]
    return lambda: kept.append(add(*sources))


def seconds(run: Callable[[], object], times: int) -> float:
    """Return how long one of many runs takes, with nothing collected in between."""
    gc.collect()
    gc.disable()
    start = time.perf_counter()
    for _ in range(times):
        run()
    end = time.perf_counter()
    gc.enable()
    return (end - start) / times


def ratio(make: Case) -> float:
    """Return how many times as long yarp takes: the median of many rounds, taken in turn."""
    theirs, mine = make(plain), make(ours)
    times = [max(1, int(ROUND_SECONDS / seconds(run, 1))) for run in (theirs, mine)]
    rounds = [seconds(theirs, times[0]) / seconds(mine, times[1]) for _ in range(ROUNDS)]
    return statistics.median(rounds)


def bytes_of_computed(yarp: ModuleType) -> float:
    """Return the bytes of a function of one Value with a callback."""
    count = 2_000
    add, sources = yarp.fn(add_one), [yarp.Value(0) for _ in range(count)]
    gc.collect()
    tracemalloc.start()
    nodes = [add(source) for source in sources]
    for node in nodes:
        node.on_value_changed(ignore)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size / count


def main() -> None:
    """Print each ratio beside its aim."""
    sys.setrecursionlimit(100_000)  # plain yarp recurses once for each node of a chain
    print(f"{'PyPI yarp / ours, Python ' + sys.version.split()[0]:42}{'ratio':>8}{'aim':>8}")
    for name, (make, aim) in CASES.items():
        print(f"{name:42}{ratio(make):8.2f}{aim:8.1f}")
    theirs, mine = bytes_of_computed(plain), bytes_of_computed(ours)
    print(f"{'bytes of a function with a callback':42}{theirs / mine:8.2f}{1 / 0.45:8.1f}")


if __name__ == "__main__":
    main()
