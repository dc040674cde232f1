"""A callback that can't be called is an error where it is passed, not at the first event."""

import asyncio
import contextlib
import gc
import warnings

import pytest

from eshet import Client
from eshet import reactive as yarp
from eshet.exceptions import ReactiveTypeError
from eshet.server import Server
from eshet.sync_client import SyncClient
from eshet.utils import RunSerially


async def turn_on(value=None):
    """Do nothing."""


NOT_CALLABLE = [lambda: None, lambda: "turn_on", lambda: 3, turn_on]
REMEDY = "must be a function, and not .*: pass the function itself"


@pytest.fixture(autouse=True)
def _no_warning(fast_collection):
    """A coroutine that is refused is not warned of as well."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
        gc.collect()
    assert caught == []


@pytest.mark.parametrize("make", NOT_CALLABLE)
@pytest.mark.parametrize(
    "use",
    [
        lambda it: yarp.Event().on_event(it),
        lambda it: yarp.Event().subscribe(it),
        lambda it: yarp.Value(1).on_value_changed(it),
        lambda it: yarp.on_value(yarp.Value(1))(it),
        lambda it: yarp.fn(it or 3),
        lambda it: yarp.instantaneous_fn(it),
    ],
)
async def test_the_reactive_layer_refuses_what_can_not_be_called(make, use):
    with pytest.raises(ReactiveTypeError, match=REMEDY):
        use(make())


async def test_the_error_names_the_node_and_the_value():
    with pytest.raises(ReactiveTypeError, match=r"callback of motion must be a .* not 'turn_on'"):
        yarp.Event(name="motion").on_event("turn_on")


@pytest.mark.parametrize("make", NOT_CALLABLE)
async def test_a_strategy_refuses_what_can_not_be_called(make):
    with pytest.raises(TypeError, match=REMEDY):
        RunSerially().wrap_fn(make())


@pytest.mark.parametrize("make", NOT_CALLABLE)
@pytest.mark.parametrize(
    ("use", "named"),
    [
        (lambda client, it: client.action_register("/a", it), "the action of /a"),
        (lambda client, it: client.event_listen_cb("/a", it), "the listener of /a"),
        (lambda client, it: client.state_observe("/a", it), "the observer of /a"),
        (lambda client, it: client.prop_register("/a", it), "the getter of /a"),
        (lambda client, it: client.prop_register("/a", list, it or 3), "the setter of /a"),
        (lambda client, it: client.state_register("/a", it or 3), "the setter of /a"),
    ],
)
async def test_a_client_refuses_what_can_not_be_called(make, use, named):
    async with Server() as server, Client(server=server) as client:
        with pytest.raises(TypeError, match=f"{named} {REMEDY}"):
            await use(client, make())


def test_a_blocking_client_refuses_what_can_not_be_called():
    with (
        contextlib.closing(SyncClient(server="localhost:1")) as client,
        pytest.raises(TypeError, match=REMEDY),
    ):
        client.event_listen_cb("/a", turn_on())


async def test_a_coroutine_that_runs_already_is_left_alone():
    coroutine = turn_on()
    task = asyncio.create_task(coroutine)
    await task
    with pytest.raises(ReactiveTypeError, match=REMEDY):
        yarp.Event().on_event(coroutine)


async def _observe():
    pass


@pytest.mark.parametrize(
    "use",
    [
        lambda it: yarp.hold(it, 3),
        lambda it: yarp.when(yarp.Value(1), it),
        lambda it: yarp.fn(max)(yarp.Value(1), it),
        lambda it: yarp.not_(it),
        lambda it: yarp.Value(1) + it,
        lambda it: yarp.on_value(it, print),
        lambda it: yarp.time_window(it, 3),
    ],
)
async def test_a_coroutine_in_place_of_a_value_is_refused(use):
    with pytest.raises(ReactiveTypeError, match=r"as in `value = await _observe\(\.\.\.\)`"):
        use(_observe())
