"""The blocking client, from several threads, against a server in a thread of its own."""

import asyncio
import inspect
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from eshet import Client, Disconnected, ErrorValue, InvalidPath, Unknown, UnsupportedValue
from eshet.server import Server
from eshet.sync_client import SyncClient
from tests.support.nats import nats_server


@pytest.fixture(scope="module", params=["socket", "nats"])
def address(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of a server that runs in a thread of its own, or of NATS."""
    if request.param == "nats":
        with nats_server(tmp_path_factory.mktemp("nats")) as nats:
            yield nats.url
        return
    told: queue.Queue[tuple[asyncio.AbstractEventLoop, asyncio.Event, str]] = queue.Queue()

    async def serve() -> None:
        stop = asyncio.Event()
        async with Server() as server:
            await server.listen(port=0)
            host, port = server.addresses[0]
            told.put((asyncio.get_running_loop(), stop, f"{host}:{port}"))
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    loop, stop, address = told.get()
    yield address
    loop.call_soon_threadsafe(stop.set)
    thread.join()


@pytest.fixture
def client(address: str) -> Iterator[SyncClient]:
    with SyncClient(server=address) as client:
        yield client


@pytest.fixture
def other(address: str) -> Iterator[SyncClient]:
    with SyncClient(base="/test", server=address) as client:
        yield client


def public(cls: type) -> dict[str, list[str]]:
    return {
        name: list(inspect.signature(member).parameters)
        for name, member in inspect.getmembers(cls, inspect.isfunction)
        if not name.startswith("_")
    }


def test_it_has_the_methods_of_the_asyncio_client() -> None:
    own = {"event_listen_queue", "state_observe_queue", "state_observe_wrapper"}
    internal = {"attach", "notify_skipped", "send_now"}
    ours = {name: p for name, p in public(SyncClient).items() if name not in own}
    assert ours == {name: p for name, p in public(Client).items() if name not in internal}


def test_states_and_events_come_by_queues(client: SyncClient, other: SyncClient) -> None:
    state = client.state_register("/test/queued")
    state.changed(1)
    values, payloads = other.state_observe_queue("queued"), other.event_listen_queue("rung")
    ring = client.event_register("/test/rung")
    state.changed(2)
    assert [values.get(timeout=10) for _ in range(2)] == [1, 2]
    state.unknown()
    ring("ding")
    assert values.get(timeout=10) is Unknown
    assert payloads.get(timeout=10) == "ding"


def test_a_state_that_is_observed_knows_its_value(client: SyncClient, other: SyncClient) -> None:
    state = client.state_register("/test/wrapped")
    state.changed(1)
    observed = other.state_observe_wrapper("wrapped")
    assert observed.get_value() == 1
    told: queue.SimpleQueue[Any] = queue.SimpleQueue()
    observed.changed = told.put
    state.changed(2)
    assert told.get(timeout=10) == 2
    assert observed.get_value() == 2
    assert inspect.signature(SyncClient) == inspect.signature(Client)


def test_an_action_is_called_with_its_arguments(client: SyncClient, other: SyncClient) -> None:
    client.action_register("/test/add", lambda x, y: x + y)
    assert other.action_call("add", 1, 2) == 3
    client.unregister("/test/add")
    with pytest.raises(ErrorValue, match="path_not_found"):
        other.action_call("add", 1, 2)


def test_a_callback_may_use_the_client(client: SyncClient, other: SyncClient) -> None:
    state = client.state_register("/test/light", lambda value: state.changed(value))
    state.changed(False)
    other.set("light", True)
    assert other.get("light") is True
    state.unknown()
    with pytest.raises(ErrorValue, match="state_unknown"):
        other.get("light")


def test_a_property_is_got_and_set(client: SyncClient, other: SyncClient) -> None:
    values = [20]
    client.prop_register("/test/target", lambda: values[-1], values.append)
    other.set("target", 21)
    assert other.get("target") == 21


def test_callbacks_hear_until_they_are_taken_back(client: SyncClient, other: SyncClient) -> None:
    heard: queue.Queue[Any] = queue.Queue()
    emit = client.event_register("/test/bell")
    hearing = other.event_listen_cb("bell", heard.put)
    emit("ding")
    assert heard.get() == "ding"
    hearing.dispose()
    emit("unheard")
    other.event_listen_cb("bell", heard.put)
    emit("dong")
    assert heard.get() == "dong"
    other.unlisten("bell", heard.put)
    emit("unheard")

    state = client.state_register("/test/lux")
    assert other.state_observe("lux", heard.put) is Unknown
    state.changed(12)
    assert heard.get() == 12
    other.unobserve("lux", heard.put)
    state.changed(13)
    assert heard.empty()


def test_events_can_be_iterated_over_until_the_client_is_closed(address: str) -> None:
    emitter, listener = SyncClient(server=address), SyncClient(server=address)
    for each in (emitter, listener):
        each.wait_for_connection()
    emit = emitter.event_register("/test/steps")
    heard: queue.Queue[Any] = queue.Queue()

    def listen() -> None:
        for payload in listener.event_listen("/test/steps"):
            heard.put(payload)
        heard.put("end")

    thread = threading.Thread(target=listen)
    thread.start()
    while heard.empty():
        emit(0)
    listener.close()
    thread.join()
    assert list(heard.queue)[-1] == "end"
    emitter.close()


def test_leaving_the_loop_ends_listening(client: SyncClient, other: SyncClient) -> None:
    emit = client.event_register("/test/once")
    other.event_listen_cb("once", lambda payload: None)  # so that it can be emitted before
    stepping = ThreadPoolExecutor(1)
    payloads = other.event_listen("once")
    first = stepping.submit(next, payloads)
    while not first.done():
        emit(1)
    payloads.close()  # type: ignore[attr-defined]
    with pytest.raises(StopIteration):
        next(payloads)
    stepping.shutdown()


def test_many_threads_share_a_client(client: SyncClient, other: SyncClient) -> None:
    client.action_register("/test/double", lambda x: 2 * x)
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(lambda n: other.action_call("double", n), range(500))) == [
            2 * n for n in range(500)
        ]


def test_closing_tells_threads_that_wait(address: str) -> None:
    owner, caller = SyncClient(server=address), SyncClient(server=address)
    for each in (owner, caller):
        each.wait_for_connection()
    called, gate = threading.Event(), threading.Event()

    def slow() -> None:
        called.set()
        gate.wait()

    owner.action_register("/test/slow", slow)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(caller.action_call, "/test/slow")
        called.wait()
        caller.close()
        with pytest.raises(Disconnected):
            waiting.result()
    gate.set()
    owner.close()
    owner.close()


@pytest.mark.parametrize(
    "use",
    [
        lambda client: client.get("/x"),
        lambda client: client.wait_for_connection(),
        lambda client: next(client.event_listen("/x")),
    ],
)
def test_a_closed_client_says_so(address: str, use: Callable[[SyncClient], Any]) -> None:
    client = SyncClient(server=address)
    client.close()
    assert not client.connected
    with pytest.raises(Disconnected, match="this client is closed"):
        use(client)


def test_its_own_event_loop_cannot_wait_for_itself(client: SyncClient) -> None:
    async def misuse() -> None:
        client.get("/x")

    with pytest.raises(RuntimeError, match="would wait for its own event loop"):
        client._run(misuse())


def test_a_client_that_cannot_be_made_leaves_no_thread() -> None:
    before = threading.active_count()
    with pytest.raises(InvalidPath):
        SyncClient(base="no slash")
    assert threading.active_count() == before


def test_without_a_server_requests_are_disconnected_at_once() -> None:
    client = SyncClient(server="127.0.0.1:9")
    with pytest.raises(Disconnected, match="get /x"):
        client.get("/x")
    client.close()


async def test_it_can_be_made_and_used_where_a_loop_runs(address: str) -> None:
    with SyncClient(server=address) as client:
        client.state_register("/within")
        client.state_changed("/within", 1)
        assert client.get("/within") == 1


def test_one_that_can_not_be_made_leaves_no_thread() -> None:
    before = threading.active_count()
    with pytest.raises(UnsupportedValue):
        SyncClient(server="127.0.0.1:1", client_id=object())
    assert threading.active_count() == before
