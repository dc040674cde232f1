"""Causes over the wire, and what a witness is told of what clients hear and say."""

import asyncio

import pytest

from eshet import Client, Disconnected, ErrorValue, Unknown, yarp
from eshet.cause import Cause, current_cause, use_cause
from eshet.client.observer import ClientObserver
from eshet.messages import ActionCall, EventEmit, Set, StateChanged
from eshet.utils import RunSerially
from eshet.yarp import using_client
from tests.support.cable import Cable

LONG = "minutes of a nats-server take seconds, and nothing is sent in them"


class Recorder(ClientObserver):
    """A witness that keeps all that it is told."""

    def __init__(self):
        super().__init__()
        self.heard = []
        self.said = []
        self.skipped = []

    def on_input(self, kind, path, value):
        self.heard.append((kind, path, value, current_cause()))

    def sent(self, said, error):
        self.said.append((said.code, said.path.decode(), said.result, error, current_cause()))

    def on_skipped(self, code, path, value, why):
        self.skipped.append((code, path, value, why))

    def causes(self, path):
        return [cause for _, heard_at, _, cause in self.heard if heard_at == path]


@pytest.fixture
async def observer():
    return Recorder()


@pytest.fixture
def cable(tree):
    """The connection of the first client to its server."""
    return Cable(tree.connector())


@pytest.fixture
async def clients(observer, tree, cable):
    clients = [Client(server=each) for each in (cable, tree.connector(), tree.connector())]
    for seen in clients[:2]:
        seen.attach(observer)
    for client in clients:
        await client.wait_for_connection()
    yield clients
    for client in clients:
        await client.close()


async def test_what_comes_in_starts_a_cause_for_its_callback_and_all_that_that_starts(
    clients, observer, advance
):
    hall, _, outside = clients
    seen = []

    async def listener(payload):
        seen.append(current_cause())

    await hall.event_listen_cb("/bell", listener)
    await outside.event_emit("/bell", 1)
    await advance(0)
    [cause] = seen
    assert (cause.kind, cause.path, cause.parent) == ("event", "/bell", None)
    assert observer.heard == [("event", "/bell", 1, cause)]


async def test_each_input_is_a_cause_of_its_own(clients, observer, advance):
    hall, _, outside = clients
    await hall.event_listen_cb("/bell", lambda payload: None)
    for payload in range(3):
        await outside.event_emit("/bell", payload)
    await advance(0)
    assert len(set(observer.causes("/bell"))) == 3
    assert current_cause() is None


@pytest.mark.parametrize("kind", ["state", "unknown", "event", "call", "set", "get"])
async def test_an_output_that_comes_in_elsewhere_is_named_as_the_parent(
    clients, observer, advance, kind
):
    hall, bath, _ = clients
    state = await hall.state_register("/light", lambda value: None)
    await hall.state_changed("/light", 0)
    await hall.prop_register("/fan", lambda: 5)
    await hall.action_register("/ring", lambda *args: None)
    await bath.event_listen_cb("/bell", lambda payload: None)
    await bath.state_observe("/light", lambda value: None)
    await advance(0)
    observer.heard.clear()
    with use_cause(Cause("timer", "noon")) as cause:
        await {
            "state": lambda: state.changed(7),
            "unknown": state.unknown,
            "event": lambda: hall.event_emit("/bell", 7),
            "call": lambda: bath.action_call("/ring", 7),
            "set": lambda: bath.set("/light", 7),
            "get": lambda: bath.get("/fan"),
        }[kind]()
    await advance(0)
    echo = observer.heard[0][3]
    assert echo.parent is cause
    assert echo.kind == {"unknown": "state"}.get(kind, kind)


async def test_of_equal_outputs_each_is_the_parent_of_its_own_echo(clients, observer, advance):
    hall, bath, _ = clients
    await bath.event_listen_cb("/bell", lambda payload: None)
    causes = []
    for _ in range(5):
        with use_cause(Cause("timer", "noon")) as cause:
            causes.append(cause)
            await hall.event_emit("/bell", None)
    await advance(0)
    assert [cause.parent for cause in observer.causes("/bell")] == causes


async def test_what_somebody_else_sent_has_no_parent(clients, observer, advance):
    hall, bath, outside = clients
    await bath.event_listen_cb("/bell", lambda payload: None)
    with use_cause(Cause("timer", "noon")):
        await hall.event_emit("/bell", 1)
    await outside.event_emit("/bell", 1)
    await advance(0)
    assert [cause.parent is None for cause in observer.causes("/bell")] == [False, True]


async def test_what_was_sent_before_somebody_listened_is_no_parent(clients, observer, advance):
    hall, bath, outside = clients
    await outside.event_register("/bell")
    with use_cause(Cause("timer", "noon")):
        await hall.event_emit("/bell", 1)
    await advance(0)  # over NATS, it would be on its way to the listener, else
    await bath.event_listen_cb("/bell", lambda payload: None)
    await outside.event_emit("/bell", 1)
    await advance(0)
    assert [cause.parent for cause in observer.causes("/bell")] == [None]


async def test_what_failed_is_no_parent_of_what_somebody_else_does(clients, observer, advance):
    hall, bath, outside = clients
    await bath.event_listen_cb("/bell", lambda payload: None)
    await hall.close()
    with use_cause(Cause("timer", "noon")), pytest.raises(Disconnected):
        await hall.event_emit("/bell", 1)
    await outside.event_emit("/bell", 1)
    await advance(0)
    assert [cause.parent for cause in observer.causes("/bell")] == [None]


async def test_an_output_is_told_with_its_result_or_its_error(clients, observer, advance):
    hall, bath, _ = clients
    await hall.action_register("/add", lambda a, b: a + b)
    await bath.action_call("/add", 1, 2)
    with pytest.raises(ErrorValue):
        await bath.set("/nothing", 1)
    (code, path, result, error, _), failed = observer.said
    assert (code, path, result, error) == (ActionCall.code, "/add", 3, None)
    assert (failed[0], failed[1], str(failed[3].value)) == (Set.code, "/nothing", "path_not_found")


async def test_what_is_answered_to_a_question_is_an_input_of_the_cause_that_asked(
    clients, observer, advance
):
    hall, _, outside = clients
    await outside.state_register("/lux")
    await outside.state_changed("/lux", 12)
    with use_cause(Cause("set-up", "hall")) as cause:
        await hall.state_observe("/lux", lambda value: None)
        await hall.get("/lux")
    assert observer.heard == [("state", "/lux", 12, cause), ("get", "/lux", 12, cause)]


async def test_a_lost_connection_is_a_cause(clients, cable, observer, advance):
    hall, _, outside = clients
    await outside.state_register("/lux")
    await outside.state_changed("/lux", 12)
    await hall.state_observe("/lux", lambda value: None)
    observer.heard.clear()
    cable.cut()
    await advance(0)
    [(kind, path, value, cause)] = observer.heard
    assert (kind, path, value, cause.kind) == ("state", "/lux", Unknown, "disconnected")
    await advance(60)
    assert observer.heard[-1][:3] == ("state", "/lux", 12)
    assert observer.heard[-1][3].kind == "state"


async def test_an_iteration_goes_on_with_the_cause_of_each_payload(clients, observer, advance):
    hall, _, outside = clients
    seen = []

    async def iterate():
        with use_cause(Cause("set-up", "hall")) as set_up:
            payloads = hall.event_listen("/bell")
            async for payload in payloads:
                await asyncio.sleep(5)
                seen.append(current_cause())
                if payload == 2:
                    break
            await payloads.aclose()
            assert current_cause() is set_up

    iterating = asyncio.create_task(iterate())
    await advance(0)
    for payload in (1, 2):
        await outside.event_emit("/bell", payload)
    await advance(20)
    await iterating
    assert seen == observer.causes("/bell")


class TestSinks:
    """What the wrappers say, and do not say."""

    @pytest.fixture(autouse=True)
    def default_client(self, clients):
        with using_client(clients[0]):
            yield

    async def test_an_output_of_a_value_has_the_cause_of_its_change(
        self, clients, observer, advance
    ):
        lux = await yarp.state_observe("/lux")
        await yarp.state_register("/dark", lux < 40)
        outside = clients[2]
        await outside.state_register("/lux")
        await outside.state_changed("/lux", 12)
        await advance(0)
        assert [each[:2] for each in observer.said] == [(StateChanged.code, "/dark")]
        assert observer.said[0][4] is observer.causes("/lux")[-1]

    async def test_what_is_unknown_is_skipped(self, clients, observer, advance):
        await yarp.set_value("/light", yarp.Value(Unknown))
        await yarp.action_call("/ring", yarp.Value(Unknown))
        assert observer.skipped == [
            (Set.code, "/light", Unknown, "unknown"),
            (ActionCall.code, "/ring", (Unknown,), "unknown"),
        ]

    async def test_what_is_superseded_is_skipped(self, clients, observer, advance):
        event = yarp.Event()
        await yarp.set_value("/light", event, strategy=RunSerially(only_latest=True))
        event.emit(1)
        event.emit(2)
        await advance(0)
        assert observer.skipped == [(Set.code, "/light", 1, "superseded")]

    async def test_an_emission_is_sent_for_its_own_cause(self, clients, observer, advance):
        bell = await yarp.event_listen("/bell")
        await yarp.event_register("/ring", bell)
        await clients[2].event_emit("/bell", 1)
        await advance(0)
        assert [(each[0], each[4]) for each in observer.said] == [
            (EventEmit.code, observer.causes("/bell")[0])
        ]

    async def test_what_is_delayed_is_caused_by_the_timer_and_that_by_what_was_delayed(
        self, clients, observer, advance
    ):
        bell = await yarp.event_listen("/bell")
        await yarp.event_register("/later", yarp.delay(bell, 10))
        for payload in range(3):
            await clients[2].event_emit("/bell", payload)
            await advance(3)
        await advance(10)
        causes = [each[4] for each in observer.said]
        assert [cause.parent for cause in causes] == observer.causes("/bell")
        assert {cause.kind for cause in causes} == {"timer"}
        assert causes[0].path.startswith("delay")

    @pytest.mark.one_server(LONG)
    async def test_a_window_ends_for_what_was_last_in_it(self, clients, observer, advance):
        motion = await yarp.event_listen("/motion")
        moved = yarp.len(yarp.time_window(motion, 120)) > 0
        await yarp.state_register("/moved", yarp.no_repeat(moved))
        await clients[2].event_emit("/motion", 1)
        await advance(60)
        await clients[2].event_emit("/motion", 2)
        await advance(120)
        assert observer.said[-1][4].parent is observer.causes("/motion")[1]

    @pytest.mark.one_server(LONG)
    async def test_each_tick_of_a_clock_follows_what_set_it_up(self, clients, observer, advance):
        with use_cause(Cause("set-up", "hall")) as cause:
            now = yarp.now(60)
        await yarp.state_register("/now", yarp.fn(str)(now))
        await advance(180)
        causes = [each[4] for each in observer.said if each[4]]
        assert len(causes) == len(set(causes)) >= 3
        assert {each.parent for each in causes} == {cause}

    async def test_the_timeout_of_a_machine_follows_what_started_it(
        self, clients, observer, advance
    ):
        def step(state, timeout, bell):
            if state is yarp.FSM.START:
                return "off", None
            return ("on", 30) if bell else (("off", None) if timeout == 0 else (state, timeout))

        bell = await yarp.event_listen("/bell")
        await yarp.state_register("/light", yarp.FSM(step, [bell]).state)
        await clients[2].event_emit("/bell", 1)
        await advance(30)
        assert observer.said[-1][4].kind == "timer"
        assert observer.said[-1][4].parent is observer.causes("/bell")[0]
