"""Conditions of a graph: what they are about, their limits, and that nothing changes."""

import asyncio
import time
from datetime import timedelta

import pytest

from eshet import yarp
from eshet.reactive.conditions import Kind, conditions_for, equal, need_for_another
from eshet.reactive.conditions.needs import KNOWN, TRUE, Both, Relation, Simple
from eshet.reactive.core.handle import node_of
from eshet.unknown import Unknown


def conditions(reactive, wanted, now=0.0):
    need = wanted if isinstance(wanted, Simple) else equal(wanted)
    return conditions_for(node_of(reactive), need, now)


def leaves(condition):
    if not condition.parts:
        return [condition]
    return [leaf for part in condition.parts for leaf in leaves(part)]


def test_a_value_that_is_so_already_holds():
    condition = conditions(yarp.Value(3) < 5, True)
    assert condition.holds
    assert condition.is_certain
    assert condition.is_possible


def test_the_condition_of_a_comparison_is_about_its_input():
    lux = yarp.Value(81, name="lux")
    condition = conditions(yarp.no_repeat(lux < 40), True)
    assert (condition.kind, condition.name, condition.value) == (Kind.VALUE, "lux", "81")
    assert condition.need == Simple(Relation.LT, 40)
    assert condition.is_certain


def test_a_function_of_the_user_is_not_called():
    called = []

    @yarp.fn
    def watched(value):
        called.append(value)
        return value

    condition = conditions(watched(yarp.Value(1, name="one")) > 5, True)
    assert called == [1]
    assert condition.kind is Kind.UNCLEAR
    assert condition.name == "watched"
    assert not condition.is_certain
    assert [part.name for part in condition.parts] == ["one"]


def test_a_function_of_the_user_with_the_name_of_an_operator_is_one_of_the_user():
    @yarp.fn
    def default(source, value):
        return value

    assert conditions(default(yarp.Value(1), 2), 1).kind is Kind.UNCLEAR


def test_a_constant_is_out_of_reach():
    condition = conditions(yarp.Value(1) & yarp.ensure_reactive(False), True)
    assert not condition.is_possible
    assert not condition.is_certain
    assert any(leaf.kind is Kind.FIXED and not leaf.holds for leaf in leaves(condition))


class Odd:
    """Can't be compared with anything."""

    def __eq__(self, other):
        raise ValueError("no")

    __hash__ = None


def test_values_that_raise_errors_are_unclear():
    odd = yarp.fn(lambda value: Odd())(yarp.Value(1))
    assert conditions(odd, 3).kind is Kind.UNCLEAR
    assert conditions(yarp.Value(1), Odd()).kind is Kind.VALUE


@pytest.mark.parametrize("number", [10**400, -(10**400), float("inf"), float("nan")])
def test_numbers_without_bounds_are_unclear(number):
    value = yarp.Value(1)
    assert conditions(value / 3 + 1, Simple(Relation.GT, number)) is not None
    assert conditions(value * 0.5, Simple(Relation.EQ, number)) is not None


def test_an_alternative_that_is_out_of_reach_is_left_out():
    lux = yarp.Value(81, name="lux")
    condition = conditions((lux < 40) | yarp.ensure_reactive(False), True)
    assert condition.is_possible
    assert [leaf.name for leaf in leaves(condition.shown())] == ["lux"]


def test_two_unknown_operands_have_to_be_known_first():
    lux, limit = yarp.Value(Unknown, name="lux"), yarp.Value(Unknown, name="limit")
    condition = conditions(lux < limit, True)
    assert not condition.is_certain
    assert {(leaf.name, leaf.need) for leaf in leaves(condition)} == {
        ("lux", KNOWN),
        ("limit", KNOWN),
    }


def test_an_unknown_bound_is_compared_with_the_known_operand():
    condition = conditions(yarp.Value(1, name="lux") < yarp.Value(Unknown, name="limit"), True)
    assert condition.is_certain
    assert ("limit", Simple(Relation.GT, 1)) in {
        (leaf.name, leaf.need) for leaf in leaves(condition)
    }


async def test_a_cycle_ends():
    value = yarp.Value(False, name="value")
    later = yarp.delay(value, 5)
    later.on_value_changed(lambda new: setattr(value, "value", new))
    assert conditions(later, True).is_possible
    selector = yarp.Value(value)
    switched = yarp.switch(selector)
    selector.value = yarp.delay(switched, 5)
    assert conditions(switched, True).kind in (Kind.ANY, Kind.UNCLEAR)


def test_shared_parts_are_read_once():
    flag = yarp.Value(False, name="flag")
    for _ in range(25):  # each step doubles the number of ways to the flag
        flag = (flag & flag) | (flag & yarp.not_(yarp.not_(flag)))
    began = time.perf_counter()
    condition = conditions(flag, True)
    assert condition.shown().is_possible
    assert time.perf_counter() - began < 5  # without the limit: years


def test_a_long_chain_is_not_followed_to_its_end():
    value = yarp.Value(1)
    for _ in range(2000):
        value = value + 1
    [leaf] = leaves(conditions(value, 5))
    assert leaf.detail == "not followed further"
    assert not leaf.is_certain


async def test_asking_changes_nothing():
    lux, motion = yarp.Value(81), yarp.Event()
    lamp = yarp.hold(motion, 60) & (lux < 40)
    motion.emit(None)
    node = node_of(lamp)
    transactions, loop = node.transactions, asyncio.get_running_loop()
    before = (transactions.number, transactions.shape, node.uses, len(loop._scheduled))
    for wanted in (True, False):
        conditions(lamp, wanted, loop.time())
    assert (transactions.number, transactions.shape, node.uses, len(loop._scheduled)) == before


async def test_time_alone_is_told_with_its_moment(advance):
    on = yarp.Value(True, name="on")
    lasting = yarp.for_duration(on, 60)
    await advance(20)
    condition = conditions(lasting, True, 20.0)
    assert (condition.kind, condition.until, condition.earliest) == (Kind.TIME, 60.0, 60.0)
    assert condition.detail == "for_duration: 20 of 60 s"


async def test_time_is_uncertain_while_another_timer_may_come_first(advance):
    motion = yarp.Event()
    lasting = yarp.for_duration(yarp.hold(motion, 30), 60)
    motion.emit(None)
    condition = conditions(lasting, True, 0.0)
    assert condition.kind is Kind.UNCLEAR
    assert condition.detail == "unless its input changes before"
    await advance(60)
    assert lasting.value is False


async def test_the_earliest_moment_of_several_conditions_is_that_of_the_last(advance):
    on = yarp.Value(True)
    both = yarp.for_duration(on, 60) & yarp.for_duration(on, 90)
    assert conditions(both, True).earliest == 90.0
    either = yarp.for_duration(on, 60) | yarp.for_duration(on, 90)
    assert conditions(either, True).earliest == 60.0
    assert conditions(both & (yarp.Value(1) > 5), True).earliest is None


@pytest.mark.parametrize(
    ("value", "need"),
    [
        (True, equal(False)),
        (False, equal(True)),
        (3, Simple(Relation.NE, 3)),
        (Unknown, KNOWN),
    ],
)
def test_another_value_is_the_opposite_of_a_flag_and_anything_else_otherwise(value, need):
    assert need_for_another(node_of(yarp.Value(value))) == need


def test_another_emission_is_any():
    assert need_for_another(node_of(yarp.Event())) == KNOWN


def test_a_switch_without_a_selected_value_depends_on_its_selector():
    selector = yarp.fn(lambda number: Unknown)(yarp.Value(1, name="number"))
    condition = conditions(yarp.switch(selector), 3)
    assert condition.kind is Kind.UNCLEAR
    assert [leaf.name for leaf in leaves(condition)] == ["number"]


@pytest.mark.parametrize(
    ("relation", "minutes", "until"),
    [(Relation.GE, 3, 180.0), (Relation.GT, 3, 240.0), (Relation.GE, 2.5, 180.0)],
)
async def test_a_clock_is_compared_with_a_moment(relation, minutes, until):
    clock = yarp.now(60, tz="UTC")
    moment = clock.value + timedelta(minutes=minutes)
    condition = conditions(clock, Simple(relation, moment))
    assert (condition.kind, condition.until) == (Kind.TIME, until)
    assert conditions(clock, Simple(Relation.LT, clock.value)).kind is Kind.UNCLEAR


async def test_the_attribute_of_a_clock_is_looked_up_a_day_ahead():
    clock = yarp.now(60, tz="UTC")
    late = yarp.getattr(clock, "hour") >= 22
    assert conditions(late, True).until == 22 * 3600.0
    never = yarp.getattr(clock, "hour") > 30
    assert conditions(never, True).kind is Kind.UNCLEAR


def test_an_event_without_repetitions_needs_another_emission_before_a_repeated_one():
    button = yarp.Event()
    pressed = yarp.no_repeat(button)
    button.emit(3)
    repeated = conditions(pressed, 3)
    assert repeated.kind is Kind.THEN
    assert [part.need for part in repeated.parts] == [Simple(Relation.NE, 3), equal(3)]
    assert conditions(pressed, 4).kind is Kind.EVENT
    assert conditions(yarp.no_repeat(yarp.rising(yarp.Value(False))), True).is_certain


def test_a_filter_of_true_values_needs_one():
    number = yarp.Value(0, name="number")
    condition = conditions(yarp.filter(number, None), Simple(Relation.LT, 5))
    assert condition.need == Both(TRUE, Simple(Relation.LT, 5))
    assert condition.name == "number"


def test_the_operands_of_an_unknown_result_have_to_be_known():
    known, unknown = yarp.Value(True, name="known"), yarp.Value(Unknown, name="unknown")
    for both in (known & unknown, known | unknown, yarp.all([known, unknown])):
        condition = conditions(both, KNOWN).shown()
        assert [(leaf.name, leaf.need) for leaf in leaves(condition)] == [("unknown", KNOWN)]


async def test_an_emission_at_a_time_is_told_with_its_moment():
    due = yarp.emit_at((20.0, "a"))
    assert conditions(due, "a").until == 20.0
    condition = conditions(due, "b")
    assert (condition.kind, condition.detail) == (Kind.UNCLEAR, "no time is set for it")


def needs_of(reactive, wanted):
    """Return what the inputs have to be, as text, without those that are so already."""
    found = leaves(conditions(reactive, wanted).shown())
    return [f"{leaf.name} {leaf.need.text}" for leaf in found if not leaf.holds]


def test_the_inputs_of_each_operator_are_told_with_their_needs():
    a, b = yarp.Value(1, name="a"), yarp.Value(2, name="b")
    yes, no = yarp.Value(True, name="yes"), yarp.Value(False, name="no")
    for reactive, wanted, expected in (
        (yarp.when(a, yes, otherwise=7), 7, ["a 7", "yes not true"]),
        (yarp.when(a, no, otherwise=7), 5, ["no true", "a 5"]),
        (+a, 3, ["a 3"]),
        (-a, 3, ["a -3"]),
        (abs(a), 3, ["a 3", "a -3"]),
        (abs(a), Simple(Relation.LT, 1), ["a > -1 and < 1"]),
        (3 - a > 5, True, ["a < -2"]),
        (yarp.max(a, b), 5, ["a 5", "b 5"]),
        (yarp.max(a, b), Simple(Relation.LT, 2), ["b < 2"]),
        (yarp.min(a, b), Simple(Relation.GT, 1), ["a > 1"]),
        (yarp.min(a, b), Simple(Relation.LT, 0), ["a < 0", "b < 0"]),
        (yarp.sum([a, b]), 9, ["a 7", "b 8"]),
        (yarp.is_(a, None), True, ["a None"]),
        (yarp.is_not(a, None), False, ["a None"]),
        (yarp.is_(Unknown, a), True, ["a unknown"]),
        (yarp.contains([1, 4], a), False, ["a neither 1 or 4"]),
        (a == 1, False, ["a != 1"]),
        (yarp.getitem({"x": 1, "y": 2}, yarp.Value("x", name="key")), 2, ["key 'y'"]),
        (yes ^ no, False, ["yes False", "no True"]),
        (yarp.truth(no), True, ["no true"]),
        (yarp.any([no, no]), True, ["no true"]),
        (yarp.all([yes, yes]), False, ["yes false"]),
        (yarp.replace_unknown(a, 7), 7, ["a 7", "a unknown"]),
        (yarp.replace_novalue(a, 7), 7, ["a 7"]),
        (yarp.hysteresis(a, 0, 5), True, ["a > 5"]),
        (yarp.count(a), 2, ["a known"]),
    ):
        assert needs_of(reactive, wanted) == expected, (reactive, wanted)


def test_what_no_number_can_be_is_not_promised():
    a = yarp.Value(1, name="a")
    for reactive, wanted in ((abs(a), -3), (a * 0, 3), (yarp.count(a), -1)):
        assert not conditions(reactive, wanted).is_certain
