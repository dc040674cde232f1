"""State machines: their causes, their snapshots, and how another version continues from one."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from eshet import reactive as yarp
from eshet.cause import Cause, current_cause, use_cause
from eshet.clock import ClockStep, clock_watcher, wall_time
from eshet.reactive.core.graph import Node, RestoreContext
from eshet.reactive.core.handle import node_of
from eshet.reactive.handover.handover import stateful_nodes
from eshet.scope import Scope
from eshet_rules.testing.virtual_time import VirtualLoop
from tests.support.hearing import Errors, heard

Advance = Callable[[float], Awaitable[None]]
BELL, DOOR = Cause("event", "/bell"), Cause("event", "/door")


class Machine:
    """A machine in a scope of its own: `"on"` for some seconds from each press, then `"off"`."""

    def __init__(self, seconds: float = 60.0, level: Any = 1) -> None:
        self.scope = Scope("rule")
        self.steps: list[tuple[Any, ...]] = []
        with self.scope.active():
            self.press = yarp.Event(name="/press")
            self.level = yarp.Value(level, name="/level")
            self.seconds = seconds
            self.fsm = yarp.FSM(self.next_state, [self.press, self.level], name="machine")
        self.told: list[tuple[float, Any]] = []
        loop = asyncio.get_running_loop()
        self.fsm.state.on_value_changed(lambda state: self.told.append((loop.time(), state)))

    def next_state(
        self, state: Any, timeout: float | None, presses: list[Any], level: Any
    ) -> tuple[Any, float | None]:
        self.steps.append((state, timeout, presses, level))
        if presses:
            return "on", self.seconds
        if timeout == 0 or state is yarp.FSM.START:
            return "off", None
        return state, timeout

    @property
    def node(self) -> Node:
        [(_, node)] = [each for each in stateful_nodes({"rule": self.scope}) if each[0].name]
        return node

    @property
    def shown(self) -> tuple[Any, ...]:
        fsm = self.fsm
        return fsm.state.value, fsm.timeout_length.value, fsm.timeout_time.value


async def test_a_machine_is_named_and_labelled_by_its_function(advance: Advance) -> None:
    assert Machine().node.describe() == "machine"
    assert Machine().node.label() == "FSM of next_state"

    class Named:
        def __call__(self, *args: Any) -> tuple[int, None]:
            return 1, None

    fsm = yarp.FSM(Named(), [])
    [machine] = node_of(fsm.state).inputs[0].inputs
    assert machine.label() == "FSM of a function"


async def test_the_snapshot_is_the_state_the_timeout_the_inputs_and_the_cause(
    advance: Advance,
) -> None:
    machine = Machine()
    assert machine.node.snapshot(5.0) == ["off", None, None, [yarp.NoValue, 1], None]
    await advance(100)
    with use_cause(BELL):
        machine.press.emit("x")
    expected = ["on", 60.0, 155.0, ["x", 1], BELL.snapshot()]
    assert machine.node.snapshot(5.0) == expected
    await advance(60)
    assert machine.node.snapshot(5.0) == ["off", None, None, ["x", 1], None]


async def test_the_snapshot_has_no_cause_where_causes_are_not_tracked(advance: Advance) -> None:
    machine = Machine()
    machine.press.emit("x")
    assert machine.node.snapshot(0.0) == ["on", 60.0, 60.0, ["x", 1], None]


DATA = ["on", 60.0, 45.0, [yarp.NoValue, 1], None]


@pytest.mark.parametrize("epoch", [0.0, 10.0, -20.0])
async def test_a_restored_machine_runs_out_at_the_time_of_the_old_one(
    epoch: float, advance: Advance
) -> None:
    await advance(20)
    machine = Machine()
    machine.steps.clear()
    assert list(machine.node.restore(DATA, RestoreContext(20.0, epoch))) == []
    assert machine.shown == ("on", 60.0, 45.0 + epoch)
    assert machine.steps == []
    await advance(100)
    assert machine.told == [(20.0, "on"), (45.0 + epoch, "off")]
    assert machine.steps == [("on", 0.0, [], 1)]


async def test_a_restored_machine_without_a_timeout_waits_for_its_inputs(advance: Advance) -> None:
    machine = Machine()
    machine.node.restore(["off", None, None, [yarp.NoValue, 1], None], RestoreContext(0.0, 5.0))
    await advance(1000)
    assert machine.shown == ("off", None, None)
    assert len(machine.steps) == 1


async def test_a_machine_takes_a_step_if_its_inputs_changed_between_the_versions(
    advance: Advance,
) -> None:
    await advance(20)
    machine = Machine(level=2)
    machine.steps.clear()
    machine.node.restore(DATA, RestoreContext(25.0))
    assert machine.steps == [("on", 20.0, [], 2)]
    assert machine.shown == ("on", 60.0, 45.0)


async def test_a_step_at_the_hand_over_may_start_the_timeout_again(advance: Advance) -> None:
    await advance(20)
    with Scope("rule").active():
        level = yarp.Value(2)
        fsm = yarp.FSM(lambda state, timeout, level: ("on", level * 10), [level])
    [node] = node_of(fsm.state).inputs[0].inputs
    node.restore(["on", 60.0, 45.0, [1], None], RestoreContext(22.0))
    assert fsm.timeout_time.value == 42.0
    await advance(22)
    assert fsm.timeout_event.value is yarp.NoValue
    assert fsm.timeout_time.value == 62.0


@pytest.mark.parametrize(
    "data",
    [
        None,
        ["on"],
        ["on", 60.0, "soon", [], None],
        ["on", 60.0, math.nan, [], None],
        ["on", 60.0, 45.0, [yarp.NoValue, 1], ["a", "b"]],
    ],
)
async def test_a_snapshot_of_another_kind_changes_nothing(data: Any, advance: Advance) -> None:
    machine = Machine()
    machine.press.emit(1)
    with pytest.raises((TypeError, ValueError)):
        machine.node.restore(data, RestoreContext(0.0))
    assert machine.shown == ("on", 60.0, 60.0)
    await advance(60)
    assert machine.told == [(0.0, "on"), (60.0, "off")]


@pytest.mark.parametrize("cause", [None, BELL])
async def test_the_timeout_of_a_restored_machine_follows_from_the_old_cause(
    cause: Cause | None, advance: Advance
) -> None:
    machine = Machine()
    causes: list[Cause | None] = []
    machine.fsm.state.on_value_changed(lambda _: causes.append(current_cause()))
    data = [*DATA[:4], None if cause is None else cause.snapshot()]
    with use_cause(DOOR):
        machine.node.restore(data, RestoreContext(0.0))
    await advance(100)
    assert causes[0] is DOOR
    timer = causes[1]
    assert timer is not None
    assert timer.parent is not None
    assert (timer.kind, timer.path) == ("timer", "machine")
    assert timer.parent.path == ("/door" if cause is None else "/bell")
    assert timer.parent.id == (cause or DOOR).id


async def test_the_timeout_follows_from_the_input_that_started_it(advance: Advance) -> None:
    machine = Machine()
    causes: list[Cause | None] = []
    machine.fsm.state.on_value_changed(lambda _: causes.append(current_cause()))
    with use_cause(BELL):
        machine.press.emit(1)
    await advance(10)
    with use_cause(DOOR):
        machine.level.value = 2  # leaves the timeout as it is
    await advance(100)
    with use_cause(BELL):
        machine.press.emit(1)
    await advance(10)
    with use_cause(DOOR):
        machine.press.emit(1)
    await advance(100)
    parents = [each and (each.kind, each.parent and each.parent.path) for each in causes]
    assert parents == [
        ("event", None),
        ("timer", "/bell"),
        ("event", None),
        ("timer", "/door"),
    ]


async def test_a_timer_that_the_loop_calls_early_counts_as_having_run_out(
    advance: Advance,
) -> None:
    machine = Machine()
    machine.press.emit(1)
    await advance(59.999)
    machine.fsm.timeout_event.emit(60.0)
    assert machine.steps[-1] == ("on", 0.0, [], 1)
    assert machine.shown == ("off", None, None)
    await advance(10)
    machine.press.emit(1)
    await advance(5)
    machine.fsm.timeout_event.emit(60.0)  # of an earlier timeout
    assert machine.steps[-1] == ("on", 55.0, [], 1)


def step(moved: float, restored_before: float) -> ClockStep:
    return ClockStep(moved, restored_before, moved)


@pytest.mark.parametrize(
    ("moved", "restored_before", "ends"),
    [
        (-10.0, 1.0, 35.0),
        (10.0, 1.0, 55.0),
        (0.0, 1.0, 45.0),
        (-10.0, -15.0, 45.0),  # it began before the step, but in this process
        (-10.0, -14.9, 35.0),
    ],
)
async def test_a_restored_timeout_moves_with_the_wall_clock(
    moved: float, restored_before: float, ends: float, advance: Advance
) -> None:
    machine = Machine()
    machine.node.restore(DATA, RestoreContext(0.0))
    await advance(1)
    machine.node.clock_stepped(step(moved, restored_before))  # type: ignore[attr-defined]
    assert machine.shown == ("on", 60.0, ends)
    await advance(100)
    assert machine.told == [(0.0, "on"), (ends, "off")]


async def test_a_timeout_that_moves_keeps_its_cause(advance: Advance) -> None:
    machine = Machine()
    causes: list[Cause | None] = []
    machine.node.restore([*DATA[:4], BELL.snapshot()], RestoreContext(0.0))
    machine.fsm.timeout_time.on_value_changed(lambda _: causes.append(current_cause()))
    with use_cause(DOOR):
        machine.node.clock_stepped(step(-10.0, 1.0))  # type: ignore[attr-defined]
    await advance(100)
    moved, over = causes
    assert moved is not None
    assert moved.id == BELL.id
    assert over is not None
    assert over.parent is moved


async def test_a_machine_without_a_timeout_or_in_an_ended_scope_does_not_move(
    advance: Advance,
) -> None:
    machine = Machine()
    told = heard(machine.fsm.timeout_time)
    node: Any = machine.node
    node.clock_stepped(step(-10.0, 1.0))
    machine.node.restore(DATA, RestoreContext(0.0))
    machine.scope.dispose()
    told.clear()
    node.clock_stepped(step(-10.0, 1.0))
    await advance(100)
    assert told == []
    assert len(machine.steps) == 1


@pytest.mark.parametrize("down_until", [-math.inf, 0.0])
async def test_only_times_of_an_earlier_process_move_with_steps_before_the_restore(
    down_until: float, advance: Advance
) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    began = wall_time()
    clock_watcher().restore(0.0, began)
    loop.set_wall_time(datetime.fromtimestamp(began + 5, UTC))
    await advance(0)
    machine = Machine()
    machine.node.restore(DATA, RestoreContext(0.0, 0.0, down_until))
    assert machine.shown[2] == (45.0 if down_until else 40.0)


async def test_a_machine_whose_step_raises_when_it_is_restored_says_so(advance: Advance) -> None:
    errors = Errors()

    def go_on(state: Any, timeout: float | None, level: int) -> tuple[str, float | None]:
        if level == 2:
            raise KeyError
        return "a", 10.0

    with errors.scope.active():
        level = yarp.Value(1)
        fsm = yarp.FSM(go_on, [level])
    level.value = 2
    assert fsm.timeout_time.value == 10.0
    assert [error for error, _ in errors.reported] == ["KeyError()"]
    await advance(5)
    [node] = node_of(fsm.state).inputs[0].inputs
    with pytest.raises(KeyError):
        node.restore(["a", 10.0, 8.0, [1], None], RestoreContext(5.0))
