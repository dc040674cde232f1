"""What stateful nodes give, and how others go on with it."""

import asyncio
import random

import pytest

from eshet import Unknown, yarp
from eshet.reactive.core.graph import RestoreContext
from eshet.reactive.handover.handover import (
    Snapshot,
    hand_over,
    notify,
    observed_values,
    quietly,
    stateful_nodes,
    take_snapshots,
)
from eshet.reactive.handover.matching import Description
from eshet.scope import Scope
from tests.support.hearing import heard
from tests.support.hostile import ERRORS, HOSTILE, hostile_object


class Version:
    """One version of a rule that makes something of an Event and a Value."""

    def __init__(self, make, value=Unknown):
        self.scope = Scope("rule")
        with self.scope.active():
            self.event = yarp.Event(name="/event")
            self.value = yarp.Value(value, name="/value")
            self.result = make(self.event, self.value)
        self.heard = heard(self.result)

    @property
    def nodes(self):
        return stateful_nodes({"rule": self.scope})

    def go_on_from(self, old, epoch=0.0):
        now = asyncio.get_running_loop().time()
        return hand_over(take_snapshots(old.nodes, epoch), self.nodes, RestoreContext(now, epoch))


KINDS = {
    "delayed event": lambda e, v: yarp.delay(e, 10),
    "delayed value": lambda e, v: yarp.delay(v, 10),
    "window": lambda e, v: yarp.window(e, 2),
    "window of a value": lambda e, v: yarp.window(v, 2),
    "time window": lambda e, v: yarp.time_window(e, 10),
    "time window of a value": lambda e, v: yarp.time_window(v, 10),
    "rate limit": lambda e, v: yarp.rate_limit(e, 10),
    "rate limit of a value": lambda e, v: yarp.rate_limit(v, 10),
    "no repeat": lambda e, v: yarp.no_repeat(e),
    "no repeat of a value": lambda e, v: yarp.no_repeat(v),
    "latest": lambda e, v: yarp.event_to_value(e),
    "filter": lambda e, v: yarp.filter(v, lambda x: x is Unknown or x > 3),
    "function": lambda e, v: yarp.fn(lambda x: x if x is Unknown or x > 3 else yarp.NoChange)(v),
    "function of two": lambda e, v: yarp.fn(lambda x, y: yarp.NoChange if x == 2 else x)(v, v),
    "function of three": lambda e, v: yarp.fn(lambda *x: yarp.NoChange if x[0] == 2 else 1)(
        v, v, v
    ),
    "machine": lambda e, v: (
        yarp.FSM(lambda s, t, es, v: (es[-1], 10) if es else (v, t), [e, v]).state
    ),
    "emission at a time": lambda e, v: yarp.emit_at(yarp.event_to_value(e, None)),
    "debounce": lambda e, v: yarp.debounce(e, 5),
    "debounce of a value": lambda e, v: yarp.debounce(v, 5),
    "throttle": lambda e, v: yarp.throttle(e, 5),
    "for duration": lambda e, v: yarp.for_duration(v, 10),
    "stale": lambda e, v: yarp.stale(e, 5),
    "stale value": lambda e, v: yarp.stale(v, 5),
    "map to": lambda e, v: yarp.map_to(e, v),
    "hold": lambda e, v: yarp.hold(e, 5),
    "hold of a value": lambda e, v: yarp.hold(v == 5, 7),
    "hold at most": lambda e, v: yarp.hold(v, at_most=8),
    "fold": lambda e, v: yarp.fold_state(e, lambda s, x: x, 0, timeouts={2: (4, 0), 5: (9, 1)}),
    "changes": lambda e, v: yarp.changes(v),
    "rising": lambda e, v: yarp.rising(v > 3),
    "falling": lambda e, v: yarp.falling(e),
    "scan": lambda e, v: yarp.scan(e, lambda a, b: a + b, 0),
    "count": lambda e, v: yarp.count(e),
    "hysteresis": lambda e, v: yarp.hysteresis(v, 1, 3),
    "switch": lambda e, v: yarp.switch(yarp.fn(lambda x: v if x == 2 else 7)(v)),
    "sample": lambda e, v: yarp.sample(e, yarp.emit_at(12)),
    "latest of two": lambda e, v: yarp.latest(e, v),
    "rate": lambda e, v: yarp.rate(e, 10),
    "average": lambda e, v: yarp.average(yarp.time_window(e, 10)),
    "clock": lambda e, v: yarp.fn(lambda t: t.timestamp() % 1000)(yarp.now(10)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("epoch", [0.0, -1000.0])
async def test_a_version_goes_on_as_the_old_one_would_have(kind, epoch, advance):
    live, old = Version(KINDS[kind]), Version(KINDS[kind])
    for version in (live, old):
        version.event.emit(5)
        version.value.value = 5
    await advance(4)
    for version in (live, old):
        version.event.emit(2)
        version.value.value = 2
    await advance(2)
    new = Version(KINDS[kind], value=2)
    before = len(live.heard)
    outcome = new.go_on_from(old, epoch)
    old.scope.dispose()
    assert outcome.afresh == []
    assert new.result.value == live.result.value
    new.heard.clear()
    await advance(6)
    for version in (live, new):
        version.event.emit(2)
        version.value.value = 4
    await advance(30)
    assert new.heard == live.heard[before:]


@pytest.mark.parametrize("kind", ["delayed value", "window of a value", "time window of a value",
                                  "rate limit of a value", "no repeat of a value"])  # fmt: skip
async def test_what_the_input_became_meanwhile_counts(kind, advance):
    live, old = Version(KINDS[kind]), Version(KINDS[kind])
    for version in (live, old):
        version.value.value = 1
    await advance(30)
    new = Version(KINDS[kind], value=2)
    new.go_on_from(old)
    live.value.value = 2
    assert new.result.value == live.result.value
    await advance(30)
    assert new.result.value == live.result.value


async def test_nodes_are_described_by_what_they_are_made_of(advance):
    version = Version(lambda e, v: [yarp.time_window(e, 60), yarp.delay(v, 5, name="late")][0])
    assert [str(d) for d, _ in version.nodes] == ["time_window of /event"]


async def test_the_shape_tells_inputs_apart_all_the_way_down(advance):
    def shape(make):
        return Version(make).nodes[-1][0].shape

    one = shape(lambda e, v: yarp.time_window(yarp.len(e), 1))
    assert one == shape(lambda e, v: yarp.time_window(yarp.len(e), 2))
    assert one != shape(lambda e, v: yarp.time_window(yarp.abs(e), 1))
    assert one != shape(lambda e, v: yarp.time_window(yarp.len(v), 1))


async def test_what_a_switch_follows_at_present_is_not_its_shape(advance):
    def make(event, value):
        thread_local, there = yarp.Value(1, name="thread_local"), yarp.Value(2, name="there")
        chosen = yarp.fn(lambda v: thread_local if v else there)(value)
        return yarp.time_window(yarp.switch(chosen), 9)

    old, new = Version(make, True), Version(make, False)
    assert old.nodes[-1][0] == new.nodes[-1][0]


async def test_a_way_round_through_what_takes_time_can_be_described(advance):
    def make(event, value):
        back = yarp.Value(0)
        later = yarp.delay(back + 1, 10)
        back.add_input(later)
        return later

    assert [str(d) for d, _ in Version(make).nodes] == ["delay"]


async def test_a_chain_of_any_length_can_be_described(advance):
    def make(event, value):
        for _ in range(10_000):
            value = value + 1
        return yarp.no_repeat(value)

    assert [str(d) for d, _ in Version(make).nodes] == ["no_repeat of /value"]


async def test_what_does_not_fit_starts_afresh(advance):
    old = Version(lambda e, v: yarp.time_window(e, 60, name="it"))
    new = Version(lambda e, v: yarp.FSM(lambda s, t, e: (0, None), [e], name="it").state)
    [(description, why)] = [each for each in new.go_on_from(old).afresh if each[0].name]
    assert description.name == "it"
    assert "does not fit" in why
    assert new.result.value == 0


async def test_a_description_reads_as_people_would_say_it():
    assert str(Description("r", "delay of /a", "")) == "delay of /a"
    assert str(Description("r", "delay of /a", "", name="late")) == "'late'"


# --- what does not fit, and what fits badly -----------------------------------------------------

_PIECES = [None, True, -1, 0.5, float("nan"), float("inf"), -1e300, 1e300, 10**400, "x", b"x",
           [], [1], [[1, 2]], {}, {"a": 1}, (), Unknown]  # fmt: skip


def mutated(given, chance):
    """Return the same with something else in place of one part of it."""
    if isinstance(given, list) and given and chance.random() < 0.8:
        place = chance.randrange(len(given))
        return [*given[:place], mutated(given[place], chance), *given[place + 1 :]]
    return chance.choice(_PIECES)


def used(kind):
    version = Version(KINDS[kind])
    version.event.emit(5)
    version.value.value = 5
    return version


@pytest.mark.parametrize("kind", KINDS)
async def test_whatever_was_given_costs_its_node_at_most(kind, advance):
    chance = random.Random(kind)  # noqa: S311 - to get the same again
    memos = take_snapshots(used(kind).nodes)
    for _ in range(60):
        new = Version(KINDS[kind], value=5)
        given = [Snapshot(memo.description, mutated(memo.data, chance)) for memo in memos]
        now = asyncio.get_running_loop().time()
        hand_over(given, new.nodes, RestoreContext(now, 0.0, chance.choice([now, -float("inf")])))
        new.event.emit(2)
        await advance(5)  # which ends, as no timer is set again and again
        new.scope.dispose()


@pytest.mark.parametrize("kind", KINDS)
async def test_what_does_not_fit_leaves_a_node_as_it_was(kind, advance):
    fresh, new = used(kind), used(kind)
    for memo in take_snapshots(new.nodes):
        if isinstance(memo.data, list):
            more = [*memo.data, object()]
            outcome = hand_over([Snapshot(memo.description, more)], new.nodes, RestoreContext(0))
            assert outcome.kept == []
    assert [memo.data for memo in take_snapshots(new.nodes)] == [
        memo.data for memo in take_snapshots(fresh.nodes)
    ]


@pytest.mark.parametrize("kind", ["delayed event", "window", "time window", "latest", "debounce",
                                  "throttle", "rate limit", "latest of two"])  # fmt: skip
@pytest.mark.parametrize("thing", [name for name in HOSTILE if "__getattribute__" not in name])
async def test_objects_that_behave_badly_are_handed_over_or_start_afresh(kind, thing, advance):
    old, new = Version(KINDS[kind]), Version(KINDS[kind])
    for version in (old, new):
        version.event.emit(HOSTILE[thing]())
    new.go_on_from(old)
    new.event.emit(2)
    await advance(60)


@pytest.mark.parametrize("error", ERRORS)
async def test_a_function_whose_memory_raises_costs_that_one(error):
    class Memory:
        def __call__(self, value):
            return value

        def snapshot(self):
            raise error("no")

        def restore(self, data):
            raise error("no")

    held = []  # or else it would end

    def make(event, value):
        held.append(yarp.fn(Memory())(value))
        return yarp.window(event, 3)

    old, new = Version(make, 1), Version(make, 1)
    old.event.emit(7)
    outcome = new.go_on_from(old)
    assert new.result.value == [7]
    assert [why for _, why in outcome.afresh if error.__name__ in why]


@pytest.mark.parametrize("error", ERRORS)
async def test_values_that_can_not_be_compared_count_as_changed(error):
    old = Version(lambda e, v: yarp.event_to_value(e))
    new = Version(lambda e, v: yarp.event_to_value(e))
    kept = hostile_object(error, "__eq__", "__ne__")
    old.event.emit(kept)
    new.go_on_from(old)
    assert new.result.value is kept


class Limit:
    """A rule that tells whether it is dark, as a Value and as one made of that."""

    def __init__(self, limit, text="dark"):
        self.scope = Scope("rule")
        self.told = []
        with self.scope.active():
            self.lux = yarp.Value(7, name="/lux")
            self.dark = self.lux < limit
            self.text = yarp.fn(lambda dark: text if dark else "light")(self.dark)
            self.tell("dark", self.dark)
            self.tell("text", self.text)
            yarp.value_to_event(self.text).on_event(lambda text: self.told.append(("event", text)))

    def tell(self, name, value):
        with self.scope.active():
            value.on_value_changed(lambda x: self.told.append((name, x)))

    def notify_after(self, old):
        known = {each.shape: value.node.value for each, value in observed_values({"": old.scope})}
        observed = observed_values({"": self.scope})
        for description, value in observed:
            if description.shape in known:
                value.restore([known[description.shape]])
        notify(value for _, value in observed)
        return self.told


def test_a_value_and_one_made_of_it_that_both_differ_are_told_once_each():
    told = Limit(9).notify_after(Limit(5))
    assert sorted(told, key=str) == [("dark", True), ("event", "dark"), ("text", "dark")]


def test_a_value_made_of_one_that_differs_is_not_told_if_it_does_not_differ():
    assert Limit(9, "light").notify_after(Limit(5)) == [("dark", True)]


def test_a_new_callback_on_a_value_made_of_one_that_differs_is_not_called_again():
    new = Limit(9)
    with new.scope.active():
        length = yarp.len(new.text)
    new.tell("length", length)
    assert ("length", 4) not in new.notify_after(Limit(5))


def test_what_a_callback_collects_at_a_hand_over_is_told():
    def version(limit):
        rule = Limit(limit)
        collected = []
        with rule.scope.active():
            rule.tell("dark again", rule.dark)
            rule.dark.on_value_changed(collected.append)
            rule.count = yarp.Value(inputs=(rule.dark,), get_value=lambda: len(collected))
        rule.tell("count", rule.count)
        return rule

    new = version(9)
    assert [x for name, x in new.notify_after(version(5)) if name == "count"] == [1]
    assert [x for name, x in new.told if name == "dark again"] == [True]


def test_a_callback_that_runs_before_a_node_is_not_called_with_a_value_it_knows():
    def version(limit):
        rule = Limit(limit, "light")
        with rule.scope.active():
            rule.copy = yarp.Value(inputs=(rule.text,), get_value=lambda: rule.text.value)
        return rule

    assert version(9).notify_after(version(5)) == [("dark", True)]


# --- the order of timers ------------------------------------------------------------------------

TIMERS = {
    "delay": lambda v: yarp.delay(v, 5),
    "debounce": lambda v: yarp.debounce(v, 5),
    "debounce of an event": lambda v: yarp.debounce(yarp.changes(v), 5),
    "rate limit": lambda v: yarp.rate_limit(yarp.changes(v), 5),
    "time window": lambda v: yarp.time_window(v, 5),
    "for duration": lambda v: yarp.for_duration(v, 5),
    "hold": lambda v: yarp.hold(yarp.changes(v), 5),
    "fold": lambda v: yarp.fold_state(v, lambda s, x: x, 0, timeouts={1: (5, 0)}),
    "machine": lambda v: (
        yarp.FSM(
            lambda s, left, x: ("over", None) if left == 0 else (x, 5 if x == 1 else None), [v]
        ).state
    ),
    "emission at a time": lambda v: yarp.emit_at(yarp.fn(lambda x: 5.0 if x else None)(v)),
    "clock": lambda v: yarp.now(yarp.fn(lambda x: 5.0 if x else 60.0)(v)),
}


class Timers:
    """A version with an operator on each of several Values, and which of them changed when."""

    def __init__(self, count, *makes, values=None):
        self.scope = Scope("rule")
        self.heard = []
        with self.scope.active():
            self.values = [
                yarp.Value(values[place] if values else 0, name=f"/{place}")
                for place in range(count)
            ]
            results = [make(value) for make in makes for value in self.values]
            for place, result in enumerate(results):
                self.hear(result, place)

    def hear(self, result, place):
        loop = asyncio.get_running_loop()
        events = result if isinstance(result, yarp.Event) else yarp.changes(result)
        events.on_event(lambda _: self.heard.append((loop.time(), place)))

    def arm(self, order):
        for place in order:
            self.values[place].value = 2
            self.values[place].value = 1

    def snapshots(self, epoch=0.0):
        nodes = stateful_nodes({"rule": self.scope})
        return take_snapshots(nodes, epoch)

    def restore(self, snapshots, epoch=0.0, down_until=-float("inf")):
        nodes = stateful_nodes({"rule": self.scope})
        now = asyncio.get_running_loop().time()
        with quietly():
            outcome = hand_over(snapshots, nodes, RestoreContext(now, epoch, down_until))
        assert outcome.afresh == []


@pytest.mark.parametrize("kind", TIMERS)
@pytest.mark.parametrize("epoch", [0.0, -1000.0])
async def test_timers_of_one_instant_are_called_in_the_order_of_the_old_version(
    kind, epoch, advance
):
    order = [3, 1, 4, 0, 2]
    live, old = Timers(5, TIMERS[kind]), Timers(5, TIMERS[kind])
    live.arm(order)
    old.arm(order)
    await advance(1)
    for down_until in (-float("inf"), 2.0):  # a reload, and then a restart
        new = Timers(5, TIMERS[kind], values=[1] * 5)
        new.restore(old.snapshots(epoch), epoch, down_until)
        old.scope.dispose()
        old = new
        await advance(1)
    new.heard.clear()
    await advance(2.5)
    due = [place for time, place in new.heard if time == 5]
    assert due == [place for time, place in live.heard if time == 5]
    assert list(dict.fromkeys(due)) == order


async def test_timers_of_different_operators_keep_their_order(advance):
    kinds = [TIMERS[kind] for kind in TIMERS if kind != "clock"]
    live, old = Timers(2, *kinds), Timers(2, *kinds)
    live.arm([1, 0])
    old.arm([1, 0])
    await advance(1)
    new = Timers(2, *kinds, values=[1, 1])
    new.restore(old.snapshots())
    old.scope.dispose()
    new.heard.clear()
    live.heard.clear()
    await advance(10)
    assert new.heard == live.heard
    assert len({place for time, place in new.heard if time == 5}) == 2 * len(kinds)


async def test_a_timer_armed_by_the_hand_over_is_called_after_restored_ones(advance):
    def version(first):
        made = Timers(2, values=[first, 0])
        with made.scope.active():
            made.hear(yarp.debounce(made.values[0], 2), "short")
            made.hear(yarp.debounce(made.values[1], 5), "long")
        return made

    old = version(0)
    old.values[1].value = 1
    await advance(3)
    new = version(7)
    new.values[1].value = 1
    new.restore(old.snapshots())
    old.scope.dispose()
    await advance(3)
    assert new.heard == [(5, "long"), (5, "short")]


async def test_snapshots_without_the_order_of_timers_are_restored(advance):
    old = Timers(2, TIMERS["debounce"])
    old.arm([1, 0])
    new = Timers(2, TIMERS["debounce"], values=[1, 1])
    new.restore([snapshot._replace(timer=None) for snapshot in old.snapshots()])
    old.scope.dispose()
    await advance(6)
    assert sorted(new.heard) == [(5, 0), (5, 1)]


def test_observers_that_know_that_there_is_no_value_yet_are_told_of_the_first_one():
    scope, told = Scope("rule"), []
    with scope.active():
        value = yarp.Value(7, name="/value")
        value.on_value_changed(told.append)
    [(_, observed)] = observed_values({"": scope})
    observed.restore([yarp.NoValue])
    assert observed.was_notified
    notify([observed])
    assert told == [7]
