"""A connection that is refused, lost, ended and closed, on a server within this process."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from eshet import Client, Disconnected
from eshet.client import registrar
from eshet.client.observer import ClientObserver
from eshet.client.view import ClientView
from eshet.exceptions import WrongLoop
from eshet.messages import Get, HelloId
from eshet.scope import Scope
from eshet.server import Server
from tests.conformance.script import v
from tests.support.raw import RawServer, connect_raw

Advance = Callable[[float], Awaitable[None]]


class Door:
    """Connects to a server, or raises what it is told to."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.error: BaseException | None = None
        self.attempts: list[float] = []

    async def connect(self, factory: Any) -> Any:
        self.attempts.append(asyncio.get_running_loop().time())
        if self.error is not None:
            raise self.error
        return await self.server.connect(factory)

    def __str__(self) -> str:
        return "the door"


class Observer(ClientObserver):
    """Records what becomes of a connection."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[Any, ...]] = []

    def connected(self, server: str, again: bool) -> None:
        self.seen.append(("connected", server, again))

    def disconnected(self, server: str, reason: str) -> None:
        self.seen.append(("disconnected", server, reason))

    def closed(self, server: str) -> None:
        self.seen.append(("closed", server))


class Kit:
    """A client of a server behind a door."""

    def __init__(self, advance: Advance) -> None:
        self.advance = advance
        self.server = Server()
        self.door = Door(self.server)
        made: list[Client] = []
        thread = threading.Thread(  # where no loop runs, so that it does not start at once
            target=lambda: made.append(Client(server=self.door, client_id="me"))
        )
        thread.start()
        thread.join()
        [self.client] = made
        self.manager: Any = self.client._manager

    async def cut(self, reason: str = "cut by the test") -> None:
        self.manager._session.connection.close(reason)
        await self.advance(0)


@pytest.fixture
async def kit(advance: Advance) -> Any:
    kit = Kit(advance)
    yield kit
    await kit.client.close()
    await kit.server.close()


async def test_a_request_before_the_first_connection_starts_it(kit: Kit) -> None:
    with pytest.raises(Disconnected) as raised:
        kit.manager.ask(Get.code, b"/x")
    assert "not connected to the server yet" in str(raised.value)
    await kit.advance(0)
    assert kit.client.connected
    assert len(kit.door.attempts) == 1


async def test_a_client_that_is_not_started_runs_in_no_loop(kit: Kit) -> None:
    manager = kit.manager
    assert (manager.connected, manager.closed, manager.thread) == (False, False, None)
    assert not manager.loop_is_running()
    assert manager.in_flight == []
    assert manager.ask_early(Get.code, b"/x", b"") is None
    manager.check_loop()
    manager.start()
    manager.start()
    assert manager.loop_is_running()
    assert manager.thread == threading.get_ident()
    await kit.advance(0)
    assert len(kit.door.attempts) == 1
    assert manager.connected
    assert manager.reconnected_at is None


async def test_in_another_loop_it_is_refused(kit: Kit) -> None:
    kit.manager.start()
    kit.manager.check_loop()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            kit.manager.check_loop()
        except WrongLoop as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert len(errors) == 1
    assert kit.manager.thread == threading.get_ident()


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError("no route"), "can't connect: no route"),
        (ConnectionRefusedError("refused"), "can't connect: refused"),
        (KeyError("x"), "can't connect: KeyError: 'x'"),
    ],
)
async def test_failed_attempts_are_repeated_and_logged_once_for_each_outage(
    kit: Kit, error: Exception, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    kit.door.error = error
    waiting = asyncio.ensure_future(kit.client.wait_for_connection())
    await kit.advance(30)
    assert len(kit.door.attempts) > 5
    records = [r for r in caplog.records if "can't connect" in r.getMessage()]
    assert {r.getMessage() for r in records} == {f"the door: {text}"}
    assert [r.levelname for r in records] == ["WARNING", *["DEBUG"] * (len(records) - 1)]
    assert not waiting.done()
    kit.door.error = None
    await kit.advance(10)
    assert kit.client.connected
    await waiting
    assert "connected to the door" in caplog.text
    caplog.clear()
    await kit.cut()
    [record] = [r for r in caplog.records if "connection ended" in r.getMessage()]
    assert (record.levelname, record.getMessage()) == (
        "WARNING",
        "the door: connection ended: cut by the test",
    )


async def test_a_connector_for_another_loop_is_given_up(
    kit: Kit, caplog: pytest.LogCaptureFixture
) -> None:
    kit.door.error = WrongLoop()
    with pytest.raises(Disconnected) as raised:
        await kit.client.wait_for_connection()
    assert kit.manager.closed
    assert str(WrongLoop()) in str(raised.value)
    await kit.advance(60)
    assert len(kit.door.attempts) == 1
    [text] = [r.getMessage() for r in caplog.records]
    assert text == f"the door: can't connect: {WrongLoop()}"


async def test_an_observer_is_told_once_of_each_outage_and_connection(
    kit: Kit, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "eshet.client")
    observer = Observer()
    kit.client._registrations.observer = observer
    kit.door.error = OSError("no route")
    kit.manager.start()
    await kit.advance(20)
    kit.door.error = None
    await kit.advance(10)
    await kit.cut()
    kit.door.error = OSError("no route")
    await kit.advance(20)
    kit.door.error = None
    await kit.advance(10)
    await kit.client.close()
    assert observer.seen == [
        ("disconnected", "the door", "can't connect: no route"),
        ("connected", "the door", False),
        ("disconnected", "the door", "connection ended: cut by the test"),
        ("connected", "the door", True),
        ("closed", "the door"),
    ]
    assert "connected to" not in caplog.text


async def test_closing_while_there_is_no_connection_is_complete_when_it_returns(kit: Kit) -> None:
    observer = Observer()
    kit.client._registrations.observer = observer
    kit.door.error = OSError("no route")
    kit.manager.start()
    await kit.advance(20)
    await kit.client.close()
    assert observer.seen[-1] == ("closed", "the door")


async def test_a_connection_that_ends_before_the_hello_is_made_again(
    kit: Kit, caplog: pytest.LogCaptureFixture
) -> None:
    raw = RawServer()
    kit.door.server = raw  # type: ignore[assignment]
    kit.manager.start()
    for _ in range(2):
        peer = await raw.accept()
        peer.transport.close()
        await kit.advance(1)
    assert len(kit.door.attempts) > 2
    assert "ended" in kit.manager.disconnect_reason
    assert caplog.records[0].getMessage().startswith("the door: connection ended: ")
    kit.door.server = kit.server
    (await raw.accept()).transport.close()
    await kit.advance(20)
    assert kit.client.connected


async def test_what_was_registered_is_there_again_after_an_outage(kit: Kit) -> None:
    loop = asyncio.get_running_loop()
    viewer = Client(server=kit.server)
    state = await kit.client.state_register("/s")
    await state.changed(5)
    await kit.advance(100)
    await kit.cut()
    await kit.advance(1)
    assert kit.client.connected
    assert kit.manager.reconnected_at == pytest.approx(loop.time(), abs=1)
    assert await viewer.get("/s") == 5
    await viewer.close()


async def test_the_delays_begin_again_after_a_connection_that_lasted(kit: Kit) -> None:
    kit.manager.start()
    for lasted, is_short in ((100, True), (100, True), (0.1, False), (1.3, False), (9, True)):
        await kit.advance(lasted)
        before = asyncio.get_running_loop().time()
        await kit.cut()
        while not kit.client.connected:
            await kit.advance(0.01)
        assert (kit.door.attempts[-1] - before < 0.005) is is_short
    assert len(kit.door.attempts) == 6


async def test_a_request_fails_while_the_connection_is_lost_and_says_why(kit: Kit) -> None:
    await kit.client.wait_for_connection()
    await kit.client.state_register("/s")
    await kit.cut()
    assert kit.manager.ask_early(Get.code, b"/s", b"") is None
    with pytest.raises(Disconnected, match="the connection to the server ended: cut by the test"):
        await kit.manager.ask(Get.code, b"/s")
    assert kit.manager.in_flight == []


async def test_waiting_ends_with_the_next_connection(kit: Kit) -> None:
    await kit.client.wait_for_connection()
    await kit.client.wait_for_connection()
    kit.door.error = OSError("no route")
    await kit.cut()
    waiting = asyncio.ensure_future(kit.client.wait_for_connection())
    await kit.advance(20)
    assert not waiting.done()
    kit.door.error = None
    await kit.advance(10)
    assert waiting.done()


async def test_a_connection_is_ended_on_demand_and_made_again(kit: Kit) -> None:
    await kit.manager.reconnect("there is none yet")
    assert kit.door.attempts == []
    await kit.client.wait_for_connection()
    await kit.advance(50)
    again = asyncio.ensure_future(kit.manager.reconnect("on demand"))
    await asyncio.sleep(0)
    assert kit.manager.disconnect_reason == "on demand"
    assert not again.done()
    await kit.advance(1)
    assert again.done()
    assert kit.client.connected
    assert len(kit.door.attempts) == 2


@pytest.mark.parametrize("started", [False, True])
async def test_a_closed_client_does_not_connect_again(kit: Kit, started: bool) -> None:
    if started:
        await kit.client.wait_for_connection()
    waiting = asyncio.ensure_future(kit.manager.wait())
    for _ in range(2):
        await kit.manager.close()
    if not started:
        with pytest.raises(Disconnected, match="this client is closed"):
            await waiting
    with pytest.raises(Disconnected, match="this client is closed"):
        await kit.manager.wait()
    with pytest.raises(Disconnected, match="this client is closed"):
        await kit.manager.ask(Get.code, b"/s")
    assert (kit.manager.closed, kit.manager.connected) == (True, False)
    await kit.advance(60)
    assert len(kit.door.attempts) == started


async def test_closing_ends_the_wait_for_a_reconnection(kit: Kit) -> None:
    await kit.client.wait_for_connection()
    kit.door.error = OSError("no route")
    again = asyncio.ensure_future(kit.manager.reconnect("on demand"))
    await kit.advance(1)
    await kit.client.close()
    await asyncio.wait_for(again, 1)
    assert not kit.client.connected


async def test_why_the_server_ended_the_last_connection_is_asked_of_it(
    kit: Kit, caplog: pytest.LogCaptureFixture
) -> None:
    await kit.client.wait_for_connection()
    await kit.client.state_register("/s")
    await kit.advance(100)
    other = await connect_raw(kit.server)
    other.send(HelloId(1, 0, v("me")))
    await kit.advance(10)
    assert kit.client.connected
    assert (
        "why the server ended the last connection: another client uses the same id" in caplog.text
    )
    caplog.clear()
    await kit.advance(100)
    await kit.cut()
    await kit.advance(10)
    assert "why the server ended" not in caplog.text


# --- views ------------------------------------------------------------------------------------


async def test_paths_that_were_given_up_are_released_before_the_wait_ends(kit: Kit) -> None:
    await kit.client.wait_for_connection()
    view = ClientView(kit.client)
    viewer = Client(server=kit.server)
    await viewer.wait_for_connection()
    for path in ("/a", "/b"):
        await view.state_register(path)
    assert view.owns("/a")
    assert not view.owns("/c")
    await view.wait_released()
    assert len(kit.door.attempts) == 1
    owned = view._registrations.owned[b"/b"]
    view._registrar.withdraw(owned)
    assert not view.owns("/b")
    await view.wait_released()
    assert "/b" not in str(await viewer.action_call("/meta/ls", "/"))
    assert len(kit.door.attempts) == 1
    await viewer.close()


async def test_on_a_server_that_can_not_drop_paths_the_connection_is_made_again(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registrar, "_UNREGISTER", b"/meta/no_such_action")
    await kit.client.wait_for_connection()
    view = ClientView(kit.client)
    scope = Scope("rule")
    with scope.active():
        await view.state_register("/a")
    await view.wait_released()
    assert len(kit.door.attempts) == 1
    scope.dispose()
    released = asyncio.ensure_future(view.wait_released())
    await kit.advance(10)
    assert released.done()
    assert len(kit.door.attempts) == 2
    assert kit.client.connected
    assert not view.owns("/a")
