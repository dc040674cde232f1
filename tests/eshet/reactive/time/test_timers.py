"""The timers of all time operators: the causes of their outputs, and how they are set and ended."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from eshet import reactive as yarp
from eshet.cause import Cause, current_cause, use_cause
from eshet.clock import clock_watcher, wall_time
from eshet.exceptions import ReactiveTypeError
from eshet.reactive.core.graph import Node, RestoreContext
from eshet.reactive.core.handle import node_of
from eshet.reactive.time.nodes import checked_seconds, length_of
from eshet.scope import Scope, current_scope
from eshet.unknown import Unknown
from eshet_rules.testing.virtual_time import VirtualLoop
from tests.support.hearing import Errors, heard

Advance = Callable[[float], Awaitable[None]]
Make = Callable[[Any, Any], Any]

BELL, DOOR = Cause("event", "/bell"), Cause("event", "/door")


@pytest.fixture(autouse=True)
async def _no_errors_in_the_loop() -> Any:
    """Fail if a timer raised an error, which a loop would only log."""
    errors: list[Any] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: errors.append(context))
    yield
    assert errors == []


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        # The first input has the cause /bell, and one second later the second has /door.
        (lambda e, v: yarp.delay(e, 10), [(10, 1, "bell"), (11, 2, "door")]),
        (lambda e, v: yarp.delay(v, 10), [(10, 1, "bell"), (11, 2, "door")]),
        (
            lambda e, v: yarp.time_window(e, 10),
            [(0, [1], ""), (1, [1, 2], ""), (10, [2], "bell"), (11, [], "door")],
        ),
        (
            lambda e, v: yarp.time_window(v, 10),
            [(0, [0, 1], ""), (1, [0, 1, 2], ""), (10, [1, 2], "bell"), (11, [2], "door")],
        ),
        (lambda e, v: yarp.rate_limit(e, 10), [(0, 1, ""), (10, 2, "door")]),
        (lambda e, v: yarp.rate_limit(v, 10), [(10, 2, "door")]),
        (lambda e, v: yarp.emit_at(yarp.fn(lambda x: x * 10 or None)(v)), [(20, None, "door")]),
        (lambda e, v: yarp.debounce(e, 5), [(6, 2, "door")]),
        (lambda e, v: yarp.debounce(v, 5), [(6, 2, "door")]),
        (lambda e, v: yarp.throttle(e, 5), [(0, 1, "")]),
        (lambda e, v: yarp.for_duration(v, 5), [(5, True, "bell")]),
        (lambda e, v: yarp.stale(e, 5), [(6, True, "door")]),
        (lambda e, v: yarp.hold(e, 5), [(0, True, ""), (6, False, "door")]),
        (lambda e, v: yarp.hold(v == 1, 7), [(0, True, ""), (7, False, "door")]),
        (lambda e, v: yarp.hold(v, at_most=8), [(0, True, ""), (8, False, "bell")]),
        (
            lambda e, v: yarp.fold_state(e, lambda s, x: x, 0, timeouts={2: (4, 3), 3: (5, 0)}),
            [(0, 1, ""), (1, 2, ""), (5, 3, "door"), (10, 0, "timer door")],
        ),
        (
            lambda e, v: yarp.rate(e, 10),
            [(0, 0.1, ""), (1, 0.2, ""), (10, 0.1, "bell"), (11, 0.0, "door")],
        ),
    ],
)
async def test_an_output_of_a_timer_follows_from_the_input_that_led_to_it(
    make: Make, expected: list[tuple[float, Any, str]], advance: Advance
) -> None:
    loop = asyncio.get_running_loop()
    event, value = yarp.Event(name="/event"), yarp.Value[Any](0, name="/value")
    result = make(event, value)
    told: list[tuple[float, Any, str]] = []

    @result.on_value_changed
    def note(output: Any) -> None:
        cause = current_cause()
        assert cause is not None
        way = [each.path[1:] if each.kind == "event" else each.kind for each in cause.chain()][1:]
        told.append((loop.time(), output, " ".join(way)))

    with use_cause(BELL):
        event.emit(1)
        value.value = 1
    await advance(1)
    with use_cause(DOOR):
        event.emit(2)
        value.value = 2
    await advance(30)
    assert told == expected


async def test_a_timer_has_the_name_of_its_node_as_the_path_of_its_cause(advance: Advance) -> None:
    event = yarp.Event()
    causes: list[Cause | None] = []
    late = yarp.delay(event, 1, name="late")
    late.on_value_changed(lambda _: causes.append(current_cause()))
    with use_cause(BELL):
        event.emit(1)
    await advance(1)
    [cause] = causes
    assert cause is not None
    assert (cause.kind, cause.path, cause.parent) == ("timer", "late", BELL)


async def test_what_one_timer_outputs_at_once_has_each_its_own_cause(advance: Advance) -> None:
    event, seconds = yarp.Event(), yarp.Value(10)
    parents: list[Any] = []
    yarp.delay(event, seconds).on_value_changed(
        lambda _: parents.append((current_cause() or BELL).parent)
    )
    for cause in (BELL, DOOR):
        with use_cause(cause):
            event.emit(1)
    await advance(10)
    assert parents == [BELL, DOOR]


@pytest.mark.parametrize("again", [10, 5])
async def test_a_timer_that_was_cancelled_can_be_set_to_the_same_time_again(
    again: int, advance: Advance
) -> None:
    time = yarp.Value[Any](10)
    told: list[float] = []
    loop = asyncio.get_running_loop()
    yarp.emit_at(time).on_value_changed(lambda _: told.append(loop.time()))
    await advance(2)
    time.value = None
    await advance(1)
    time.value = again
    await advance(20)
    assert told == [again]


async def test_what_a_timer_leads_to_may_set_it_to_the_present_time(advance: Advance) -> None:
    event = yarp.Event()
    later = yarp.delay(event, 0)
    told = heard(later)
    later.on_value_changed(lambda n: event.emit(n + 1) if n < 3 else None)
    await advance(5)
    event.emit(1)
    await advance(0)
    assert told == [1, 2, 3]


@pytest.mark.parametrize(
    "make",
    [
        lambda bell: yarp.delay(bell, 5),
        lambda bell: yarp.FSM(lambda _, t, rung: (0, 5) if rung else (1, None), [bell]).state,
    ],
    ids=["operator", "state machine"],
)
async def test_a_timer_is_called_in_the_scope_of_its_node_whoever_sets_it(
    advance: Advance, make: Callable[[Any], Any]
) -> None:
    scope, other = Scope("hall"), Scope("cellar")
    scopes: list[Scope | None] = []
    bell: Any = yarp.Event()
    with scope.active():
        noted = yarp.fn(lambda _: scopes.append(current_scope()))(make(bell))
        heard(noted)
    with other.active():
        bell.emit(1)
    scopes.clear()
    await advance(6)
    assert scopes == [scope]


@pytest.mark.parametrize(
    "make",
    [
        lambda e: yarp.delay(e, 10),
        lambda e: yarp.time_window(e, 10),
        lambda e: yarp.rate_limit(e, 10),
        lambda e: yarp.debounce(e, 10),
        lambda e: yarp.throttle(e, 10),
        lambda e: yarp.hold(e, 10),
    ],
)
async def test_a_timer_whose_scope_ends_is_stopped_without_an_error(
    make: Callable[[Any], Any], advance: Advance
) -> None:
    errors = Errors()
    event = yarp.Event()
    with errors.scope.active():
        result = make(event)
        told = heard(result)
    event.emit(1)
    event.emit(2)
    loop = asyncio.get_running_loop()
    loop.call_at(5, errors.scope.dispose)
    await advance(5)
    told.clear()
    await advance(30)
    event.emit(3)
    await advance(30)
    assert told == []
    assert errors.reported == []


async def test_an_output_that_ends_the_node_is_the_last_one(advance: Advance) -> None:
    errors = Errors()
    event = yarp.Event()
    with errors.scope.active():
        late = yarp.delay(event, 10)
    told = heard(late)
    late.on_value_changed(lambda _: errors.scope.dispose())
    event.emit(1)
    event.emit(2)
    await advance(20)
    assert told == [1]
    assert errors.reported == []


async def test_a_length_of_time_is_a_number_from_0_up() -> None:
    assert [checked_seconds(each) for each in (0, 0.0, 1.5, True, float("inf"))]
    for wrong in (-1, -0.1, float("nan"), None, "1", Unknown):
        with pytest.raises(ReactiveTypeError, match="a number of seconds from 0 up"):
            checked_seconds(wrong)
        with pytest.raises(ReactiveTypeError, match="a number of seconds from 0 up"):
            length_of(yarp.Value(wrong))
    with pytest.raises(ReactiveTypeError, match="not an Event"):
        length_of(yarp.Event())
    assert length_of(3).value == 3


@pytest.mark.parametrize("wrong", [-1, None, "x", float("nan")])
@pytest.mark.parametrize(
    "make",
    [
        lambda v, s: yarp.delay(v, s),
        lambda v, s: yarp.time_window(v, s),
        lambda v, s: yarp.rate_limit(v, s),
        lambda v, s: yarp.debounce(v, s),
        lambda v, s: yarp.for_duration(v, s),
        lambda v, s: yarp.stale(v, s),
        lambda v, s: yarp.delay(yarp.value_to_event(v), s),
        lambda v, s: yarp.rate_limit(yarp.value_to_event(v), s),
        lambda v, s: yarp.debounce(yarp.value_to_event(v), s),
    ],
)
async def test_seconds_that_are_none_are_reported_of_the_node_and_do_not_change_it(
    make: Make, wrong: Any, advance: Advance
) -> None:
    errors = Errors()
    value, seconds = yarp.Value(0), yarp.Value[Any](10)
    with errors.scope.active():
        result = make(value, seconds)
    before = result.value
    seconds.value = Unknown
    assert errors.reported == []
    seconds.value = wrong
    [(error, doing)] = errors.reported
    assert "a length of time is a number of seconds" in error
    assert doing.split()[0] == node_of(result).label()
    assert result.value == before
    assert node_of(result).detail().startswith("10")


# --- parts of a hand-over -----------------------------------------------------------------------


def stateful(reactive: Any) -> Node:
    """Return the node of a time operator, which may be below other nodes."""
    node: Node = node_of(reactive)
    while node.snapshot(0.0) is None:
        [node] = node.inputs
    return node


@pytest.mark.parametrize(
    "make",
    [
        lambda e, v: yarp.time_window(v, 10),
        lambda e, v: yarp.delay(v, 10),
        lambda e, v: yarp.rate_limit(v, 10),
        lambda e, v: yarp.debounce(v, 10),
        lambda e, v: yarp.time_window(e, 10),
        lambda e, v: yarp.delay(e, 10),
        lambda e, v: yarp.rate_limit(e, 10),
    ],
)
async def test_a_restored_node_has_the_snapshot_of_the_old_one(
    make: Make, advance: Advance
) -> None:
    made: list[Any] = []
    for _ in range(2):
        event, value = yarp.Event(), yarp.Value(1)
        made.append((event, value, make(event, value)))
    (event, value, old), (_, new_value, new) = made
    with use_cause(BELL):
        event.emit(5)
        value.value = 5
        new_value.value = 5
    await advance(4)
    data = stateful(old).snapshot(100.0)
    stateful(new).restore(data, RestoreContext(4.0, 100.0))
    assert stateful(new).snapshot(100.0) == data
    told = [heard(old), heard(new)]
    await advance(30)
    assert told[0] == told[1]
    assert stateful(new).snapshot(100.0) == stateful(old).snapshot(100.0)


async def test_a_restored_node_takes_in_what_its_source_has_become(advance: Advance) -> None:
    old_value, new_value = yarp.Value(1), yarp.Value(2)
    old = [yarp.time_window(old_value, 10), yarp.delay(old_value, 10)]
    new = [yarp.time_window(new_value, 10), yarp.delay(new_value, 10)]
    await advance(4)
    for one, other in zip(old, new, strict=True):
        stateful(other).restore(stateful(one).snapshot(0.0), RestoreContext(4.0))
    assert [each.value for each in new] == [[1, 2], 1]
    await advance(10)
    assert [each.value for each in new] == [[2], 2]


async def test_a_node_without_an_old_one_begins_with_the_restored_value_of_its_source(
    advance: Advance,
) -> None:
    value = yarp.Value(1)
    window = yarp.time_window(value, 10)
    node = stateful(window)
    await advance(4)
    node.start_from_inputs(RestoreContext(4.0))
    assert window.value == [1]
    node_of(value).value = 2  # as a hand-over does, quietly
    node.start_from_inputs(RestoreContext(4.0))
    node.start_from_inputs(RestoreContext(4.0))
    assert window.value == [1, 2]
    await advance(10)
    assert window.value == [2]


@pytest.mark.parametrize("down_until", [None, 0.0])
@pytest.mark.parametrize(
    "make", [lambda e, v: yarp.delay(v, 10), lambda e, v: yarp.time_window(v, 10)]
)
async def test_only_times_of_an_earlier_process_follow_the_steps_of_the_wall_clock(
    make: Make, down_until: float | None, advance: Advance
) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    began = wall_time()
    clock_watcher().restore(0.0, began)
    loop.set_wall_time(datetime.fromtimestamp(began + 5, UTC))
    await advance(0)
    made = [(value, make(None, value)) for value in (yarp.Value(1), yarp.Value(2))]
    made[0][0].value = 2
    data = stateful(made[0][1]).snapshot(0.0)
    context = RestoreContext(0.0) if down_until is None else RestoreContext(0.0, 0.0, down_until)
    stateful(made[1][1]).restore(data, context)
    told: list[float] = []
    made[1][1].on_value_changed(lambda _: told.append(loop.time()))
    await advance(30)
    assert told == [10.0 if down_until is None else 5.0]


@pytest.fixture
def restored(advance: Advance) -> Iterator[Callable[[Errors], Any]]:
    """Return what makes a delayed Value in a scope, restored from an earlier process."""

    def make(errors: Errors) -> Any:
        value = yarp.Value(1)
        old = yarp.delay(value, 10)
        with use_cause(BELL):
            value.value = 2
        data = stateful(old).snapshot(0.0)
        with errors.scope.active():
            source = yarp.Value(2)
            new = yarp.delay(source, 10, name="late")
        stateful(new).restore(data, RestoreContext(0.0, 0.0, 0.0))
        return new, source

    return make  # type: ignore[return-value]


async def test_a_step_of_the_clock_moves_the_timer_and_keeps_its_cause(
    restored: Any, advance: Advance
) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    began = wall_time()
    clock_watcher().restore(0.0, began)
    new, _ = restored(Errors())
    told: list[Any] = []

    @new.on_value_changed
    def note(value: Any) -> None:
        cause = current_cause()
        parent = None if cause is None else cause.parent
        told.append((loop.time(), value, cause and cause.kind, parent and parent.path))

    with use_cause(DOOR):
        loop.set_wall_time(datetime.fromtimestamp(began + 4, UTC))
        await advance(0)
    await advance(30)
    assert told == [(6.0, 2, "timer", "/bell")]


async def test_a_step_of_the_clock_that_is_past_the_end_outputs_at_once(
    restored: Any, advance: Advance
) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    began = wall_time()
    clock_watcher().restore(0.0, began)
    one, other = Errors(), Errors()
    first, _ = restored(one)
    second, _ = restored(other)
    told = [heard(first), heard(second)]
    first.on_value_changed(lambda _: other.scope.dispose())
    second.on_value_changed(lambda _: one.scope.dispose())
    loop.set_wall_time(datetime.fromtimestamp(began + 1000, UTC))
    await advance(1)
    assert told == [[2], []]
    assert one.reported == other.reported == []


async def test_what_a_step_of_the_clock_drops_is_logged_once(
    advance: Advance, caplog: pytest.LogCaptureFixture
) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    began = wall_time()
    clock_watcher().restore(0.0, began)
    event = yarp.Event()
    old = yarp.delay(event, 10)
    event.emit("lost")
    with Scope("hall.light").active():
        source = yarp.Event()
        new = yarp.delay(source, 10, name="late")
    told = heard(new)
    stateful(new).restore(stateful(old).snapshot(0.0), RestoreContext(0.0, 0.0, 0.0))
    with caplog.at_level(logging.WARNING):
        loop.set_wall_time(datetime.fromtimestamp(began + 1000, UTC))
        await advance(30)
    assert told == []
    [text] = [record.getMessage() for record in caplog.records]
    assert text.startswith("hall.light: late: dropped lost: ")
