"""Random functions of Values and Events: what is said to be enough for another value is enough."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from eshet import yarp
from eshet.reactive.conditions import conditions_for, equal
from eshet.reactive.conditions.needs import FALSE, KNOWN, TRUE, Need, Relation, Simple
from eshet.reactive.core.handle import node_of
from eshet.unknown import Unknown
from eshet_rules.testing.virtual_time import VirtualLoop
from tests.support.bringing_about import BringingAbout, CanNotTellError

NUMBERS = ("n0", "n1", "n2")
FLAGS = ("b0", "b1", "b2")
EVENTS = ("e0", "e1")

# What makes a number, a flag, or an Event of numbers `{n}` and `{m}`, flags `{b}` and `{c}`, and
# Events `{e}` and `{f}`.
OF_NUMBER = [
    "{n} + 2",
    "3 - {n}",
    "{n} * 2",
    "{n} * -3",
    "{n} / 2",
    "-{n}",
    "abs({n})",
    "{n} + {m}",
    "{n} - {m}",
    "yarp.max({n}, {m})",
    "yarp.min({n}, 2)",
    "yarp.sum([{n}, {m}])",
    "yarp.when({n}, {b}, otherwise={m})",
    "yarp.default({n}, 4)",
    "yarp.no_repeat({n})",
    "yarp.count({e})",
    "yarp.count({n})",
    "yarp.latest({e}, initial=0)",
    "yarp.latest({n})",
    "yarp.delay({n}, 5)",
    "yarp.debounce({n}, 4)",
    "yarp.rate_limit({n}, 6)",
    "yarp.len(yarp.time_window({e}, 7))",
    "yarp.len(yarp.time_window({n}, 7))",
    "yarp.replace_unknown({n}, 3)",
    "yarp.filter({n})",
    "CHOICE({b}, {n}, {m})",
    "USERS({n}, {b})",
    "yarp.fold_state({e}, lambda state, _: 1, 0, timeouts={{1: (5, 2), 2: (5, 0)}})",
    "yarp.scan({e}, lambda total, new: total + 1, 0)",
]
OF_FLAG = [
    "{n} < 2",
    "{n} >= {m}",
    "{n} == 3",
    "{n} != 1",
    "{n} > 2",
    "2 <= {n}",
    "{b} & {c}",
    "{b} | {c}",
    "yarp.not_({b})",
    "{b} ^ {c}",
    "yarp.any([{b}, {c}])",
    "yarp.all([{b}, {c}, {b}])",
    "yarp.hysteresis({n}, 1, 4)",
    "yarp.hold({e}, 6)",
    "yarp.hold({b}, 6)",
    "yarp.hold({b}, 3, at_most=8)",
    "yarp.for_duration({b}, 5)",
    "yarp.stale({n}, 6)",
    "yarp.stale({e}, 6)",
    "yarp.default({b}, False)",
    "yarp.no_repeat({b})",
    "yarp.when({b}, {c}, otherwise=False)",
    "yarp.delay({b}, 3)",
    "yarp.debounce({b}, 3)",
    "yarp.is_({n}, Unknown)",
    "yarp.contains([1, 4], {n})",
    "yarp.latest(yarp.map_to({e}, True), yarp.map_to({f}, False))",
    "yarp.bool(yarp.time_window({e}, 5))",
    "{n} == Unknown",
    "yarp.hold(yarp.rising({b}), 4)",
]
OF_EVENT = [
    "yarp.rising({b})",
    "yarp.falling({b})",
    "yarp.changes({n})",
    "yarp.value_to_event({n})",
    "yarp.merge({e}, {f})",
    "yarp.when({e}, {b})",
    "yarp.map_to({e}, {n})",
    "yarp.sample({n}, {e})",
    "yarp.delay({e}, 3)",
    "yarp.throttle({e}, 5)",
    "yarp.debounce({e}, 3)",
    "yarp.rate_limit({e}, 4)",
    "yarp.no_repeat({e})",
    "{e} + 1",
    "yarp.filter({e})",
    "yarp.merge({n}, {e})",
]


def choice(flag: Any, one: Any, other: Any) -> Any:
    return yarp.switch(yarp.fn(lambda flag: one if flag is True else other)(flag))


def expressions(kind: str, depth: int) -> st.SearchStrategy[str]:
    """Return expressions of one kind: a number, a flag or an Event."""
    names = {"n": NUMBERS, "b": FLAGS, "e": EVENTS}[kind]
    if not depth:
        return st.sampled_from(names)

    @st.composite
    def made(draw: Any) -> str:
        if not draw(st.integers(0, 3)):
            return str(draw(st.sampled_from(names)))
        text = draw(st.sampled_from({"n": OF_NUMBER, "b": OF_FLAG, "e": OF_EVENT}[kind]))
        holes = {"n": "n", "m": "n", "b": "b", "c": "b", "e": "e", "f": "e"}
        parts = {
            hole: f"({draw(expressions(what, depth - 1))})"
            for hole, what in holes.items()
            if f"{{{hole}}}" in text
        }
        return text.format(**parts)

    return made()


def needs(kind: str) -> st.SearchStrategy[Need]:
    if kind == "b":
        return st.sampled_from([equal(True), equal(False), TRUE, FALSE])
    relations = [Relation.LT, Relation.GE, Relation.EQ, Relation.NE, Relation.GT]
    numbers = st.builds(Simple, st.sampled_from(relations), st.integers(-3, 6))
    return numbers if kind == "n" else numbers | st.just(KNOWN)


HISTORY = st.lists(
    st.tuples(
        st.sampled_from([*NUMBERS, *FLAGS, *EVENTS]),
        st.one_of(st.integers(-3, 6), st.just(Unknown)),
        st.integers(0, 8),
    ),
    max_size=8,
)


def run(test: Callable[[VirtualLoop], Any]) -> Any:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop: Any = runner.get_loop()
        return runner.run(test(loop))


async def outcome_of(
    loop: VirtualLoop, kind: str, text: str, need: Need, history: list[tuple[str, Any, int]]
) -> str:
    """Return how bringing about the conditions of a random expression has ended."""
    inputs: dict[str, Any] = {
        **{name: yarp.Value(0) for name in NUMBERS},
        **{name: yarp.Value(False) for name in FLAGS},
        **{name: yarp.Event() for name in EVENTS},
    }
    names = {**inputs, "yarp": yarp, "Unknown": Unknown, "CHOICE": choice}
    names["USERS"] = yarp.fn(lambda number, flag: number)
    result = eval(text, names)  # noqa: S307
    node = node_of(result)
    for name, value, seconds in history:
        if name in EVENTS:
            inputs[name].emit(1 if value is Unknown else value)
        elif name in NUMBERS:
            inputs[name].value = value
        else:
            inputs[name].value = value if value is Unknown else value > 2
        await loop.advance(seconds)
    numbers = node.transactions.number
    timers = len(loop._scheduled)
    condition = conditions_for(node, need, loop.time())
    assert (node.transactions.number, len(loop._scheduled)) == (numbers, timers)
    assert condition.holds == (kind != "e" and need.is_met(node.value))
    if condition.holds:
        return "holds"
    if not condition.is_certain:
        return "can't tell"
    bringing = BringingAbout(loop.advance, node, loop.time, [node_of(inputs[f]) for f in FLAGS])
    try:
        done = await bringing.run(condition)
    except CanNotTellError:
        return "contradiction"
    if not done:
        return "conflict"
    is_met = bringing.emitted(node, need) if kind == "e" else need.is_met(node.value)
    assert is_met, (text, need, node.value, condition)
    return "reached"


KINDS = ("n", "b", "e")


@settings(max_examples=250)
@given(st.data())
def test_what_is_said_to_be_enough_is_enough(data: Any) -> None:
    kind = data.draw(st.sampled_from(KINDS))
    text = data.draw(expressions(kind, 3))
    need, history = data.draw(needs(kind)), data.draw(HISTORY)
    event(run(lambda loop: outcome_of(loop, kind, text, need, history)))


PLAIN = {"n": "n0", "m": "n1", "b": "b0", "c": "b1", "e": "e0", "f": "e1"}
BEGINNINGS = {
    "at first": [],
    "unknown": [(name, Unknown, 0) for name in ("n0", "n1", "b0", "b1")],
    "after a change": [(name, 5, 0) for name in ("n0", "n1", "b0", "b1", "e0", "e1")],
    "after a while": [*((name, 5, 0) for name in ("n0", "b0", "e0")), ("e1", 1, 4)],
}
NEEDED = {
    "n": [Simple(Relation.GE, 5), Simple(Relation.EQ, 2), Simple(Relation.LT, 1), KNOWN, TRUE],
    "b": [equal(True), equal(False), TRUE, FALSE, KNOWN],
    "e": [KNOWN, Simple(Relation.EQ, 5)],
}


UNCERTAIN: dict[str, dict[str, set[str]]] = {
    # Two operands are unknown: what one of them has to be depends on the other one.
    "{n} + {m}": {
        "unknown": {"2", "< 1", ">= 5", "true"},
    },
    "{n} - {m}": {
        "unknown": {"2", "< 1", ">= 5", "true"},
    },
    "yarp.sum([{n}, {m}])": {
        "unknown": {"2", "< 1", ">= 5", "true"},
    },
    "{n} >= {m}": {
        "unknown": {"False", "True", "false", "true"},
    },
    "{b} ^ {c}": {
        "unknown": {"False", "True", "false", "true"},
    },
    # Being true is no comparison.
    "yarp.max({n}, {m})": {
        "at first": {"true"},
        "unknown": {"true"},
    },
    # It can't be so.
    "yarp.min({n}, 2)": {
        "at first": {">= 5", "true"},
        "unknown": {">= 5", "true"},
        "after a change": {">= 5"},
        "after a while": {">= 5"},
    },
    "yarp.count({e})": {
        "after a change": {"< 1"},
        "after a while": {"< 1"},
    },
    "yarp.count({n})": {
        "after a change": {"< 1"},
        "after a while": {"< 1"},
    },
    "yarp.len(yarp.time_window({n}, 7))": {
        "at first": {"< 1"},
        "unknown": {"< 1"},
        "after a change": {"< 1"},
        "after a while": {"< 1"},
    },
    "yarp.rising({b})": {
        "at first": {"5"},
        "unknown": {"5"},
        "after a change": {"5"},
        "after a while": {"5"},
    },
    "yarp.falling({b})": {
        "at first": {"5"},
        "unknown": {"5"},
        "after a change": {"5"},
        "after a while": {"5"},
    },
    # Functions of the user decide.
    "CHOICE({b}, {n}, {m})": {
        "at first": {"2", ">= 5", "true"},
        "unknown": {"2", "< 1", ">= 5", "known", "true"},
        "after a change": {"2", "< 1"},
        "after a while": {"2", "< 1"},
    },
    "USERS({n}, {b})": {
        "at first": {"2", ">= 5", "true"},
        "unknown": {"2", "< 1", ">= 5", "known", "true"},
        "after a change": {"2", "< 1"},
        "after a while": {"2", "< 1"},
    },
    "yarp.fold_state({e}, lambda state, _: 1, 0, timeouts={{1: (5, 2), 2: (5, 0)}})": {
        "at first": {"2", ">= 5", "true"},
        "unknown": {"2", ">= 5", "true"},
        "after a change": {">= 5"},
        "after a while": {">= 5"},
    },
    "yarp.scan({e}, lambda total, new: total + 1, 0)": {
        "at first": {"2", ">= 5", "true"},
        "unknown": {"2", ">= 5", "true"},
        "after a change": {"2", "< 1", ">= 5"},
        "after a while": {"2", "< 1", ">= 5"},
    },
}
"""The needs for which it can't be told what is enough, by operator and beginning."""


@pytest.mark.parametrize("beginning", BEGINNINGS)
@pytest.mark.parametrize(
    ("kind", "template"),
    [
        (kind, template)
        for kind, templates in (("n", OF_NUMBER), ("b", OF_FLAG), ("e", OF_EVENT))
        for template in templates
    ],
)
def test_each_operator_is_certain(kind: str, template: str, beginning: str) -> None:
    text, history = template.format(**PLAIN), BEGINNINGS[beginning]
    uncertain = {
        need.text
        for need in NEEDED[kind]
        if run(lambda loop, need=need: outcome_of(loop, kind, text, need, history))
        not in ("reached", "holds")
    }
    assert uncertain == UNCERTAIN.get(template, {}).get(beginning, set())
