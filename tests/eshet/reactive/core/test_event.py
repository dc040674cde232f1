"""`Event`."""

import asyncio
import functools

import pytest

from eshet import reactive as yarp
from eshet.exceptions import ReactiveTypeError
from eshet.scope import current_scope
from tests.support.hearing import Errors, heard


def test_each_emission_calls_back():
    event = yarp.Event()
    told = heard(event)
    event.emit(1)
    event.emit(1)
    assert told == [1, 1]


def test_on_event_is_a_decorator():
    event = yarp.Event()
    told = []

    @event.on_event
    def callback(value):
        told.append(value)

    event.emit(1)
    assert told == [1]
    assert callback.__name__ == "callback"


def test_an_event_holds_no_value_and_takes_none():
    event = yarp.Event()
    event.emit(1)
    assert event.value is yarp.NoValue
    with pytest.raises(ReactiveTypeError, match="emit"):
        event.value = 3


def test_an_instantaneous_value_of_an_event_is_an_emission():
    event = yarp.Event()
    told = heard(event)
    event.set_instantaneous_value(3)
    assert told == [3]


def test_on_inputs_done_is_called_once_after_the_inputs_and_may_emit_any_number():
    a = yarp.Value(1)
    b, c = a + 1, a * 10

    def on_inputs_done(emit):
        for value in (b.value, c.value):
            emit(value)

    event = yarp.Event(inputs=(b, c), on_inputs_done=on_inputs_done)
    told = heard(event)
    a.value = 2
    assert told == [3, 20]


def test_on_inputs_done_may_emit_nothing():
    a = yarp.Value(1)
    event = yarp.Event(inputs=[a], on_inputs_done=lambda emit: None)
    below = []
    derived = yarp.fn(below.append)(event)
    a.value = 2
    assert below == []
    assert isinstance(derived, yarp.Event)


def test_several_emissions_of_one_transaction_reach_callbacks_and_functions_one_by_one():
    a = yarp.Value(0)
    event = yarp.Event(inputs=[a], on_inputs_done=lambda emit: [emit(n) for n in range(a.value)])
    order = []
    event.on_event(lambda x: order.append(("first", x)))
    event.on_event(lambda x: order.append(("second", x)))
    doubled = heard(event * 2)
    latest = heard(yarp.event_to_value(event))
    a.value = 2
    assert order == [("first", 0), ("second", 0), ("first", 1), ("second", 1)]
    assert doubled == [0, 2]
    assert latest == [1]


def test_an_emission_within_a_callback_comes_after_the_present_one():
    event = yarp.Event()
    order = []
    event.on_event(lambda x: event.emit(x - 1) if x else None)
    event.on_event(order.append)
    event.emit(2)
    assert order == [2, 1, 0]


def test_a_misspelt_method_is_an_error_that_names_what_is_near():
    event = yarp.Event()
    with pytest.raises(AttributeError) as info:
        event.on_evnt(print)
    assert "did you mean 'on_event'?" in str(info.value)
    assert "yarp.getattr(event, 'on_evnt')" in str(info.value)
    assert info.value.name is None  # from it, Python 3.12 and later make a second suggestion
    with pytest.raises(AttributeError) as info:
        _ = event.payload_of_mine
    assert "did you mean" not in str(info.value)


def test_getattr_reads_an_attribute_of_each_payload():
    event = yarp.Event()
    told = heard(yarp.getattr(event, "real"))
    event.emit(3 + 4j)
    assert told == [3.0]


def test_an_error_in_on_inputs_done_emits_nothing_and_is_reported():
    errors = Errors()
    a = yarp.Value(1)

    def broken(emit):
        emit(1)
        raise ValueError

    with errors.scope.active():
        told = heard(yarp.Event(inputs=[a], on_inputs_done=broken))
    a.value = 2
    assert told == []
    assert errors.reported == [("ValueError()", "Event")]


def test_an_event_shows_that_it_is_one():
    assert repr(yarp.Event()) == "Event()"
    assert f"{yarp.Event()}" == "Event()"


class _Asynchronous:
    def __init__(self, callback):
        self._callback = callback

    async def __call__(self, *args):
        await self._callback(*args)


@pytest.mark.parametrize(
    "wrap",
    [lambda f: f, _Asynchronous, lambda f: functools.partial(f), lambda f: lambda x: f(x)],
    ids=["function", "object", "partial", "lambda"],
)
@pytest.mark.parametrize("listen", ["on_event", "on_value_changed", "subscribe", "on_value"])
async def test_an_async_callback_runs_as_a_task_of_the_scope(advance, listen, wrap):
    errors = Errors()
    told = []

    async def callback(value):
        await asyncio.sleep(1)
        told.append((value, current_scope()))
        raise ValueError(value)

    event = yarp.Event()
    with errors.scope.active():
        if listen == "on_value":
            yarp.on_value(event, wrap(callback))
        else:
            getattr(event, listen)(wrap(callback))
    event.emit(1)
    await advance(1)
    assert told == [(1, errors.scope)]
    assert [error for error, _ in errors.reported] == ["ValueError(1)"]
    event.emit(2)
    errors.scope.dispose()
    await advance(2)
    assert len(told) == 1
