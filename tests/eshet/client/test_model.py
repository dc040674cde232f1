"""A client against a simple model, while its server goes and comes and others work beside it.

The client under test and another one are driven over links to a real server, in virtual time; or to
a server for each, which share a tree, while NATS goes and comes. The model knows what each callback
of the client must have been told, and what each path holds.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from eshet import Client, Disconnected, ErrorValue, Unknown
from eshet.connection import Connector
from eshet.nats.address import NatsAddress
from eshet.server import Server
from eshet_rules.testing.virtual_time import VirtualLoop
from tests.support.nats import nats_server
from tests.support.shared_tree import SharedTree

T = TypeVar("T")

NAMES = st.sampled_from("ab")
VALUES = st.sampled_from([None, False, 1, "x", [1, {"y": 2.5}]])


class House:
    """A server that goes and comes."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.advance = loop.advance
        self.server: Server | None = None

    async def open(self) -> None:
        self.server = Server()

    async def close(self) -> None:
        server, self.server = self.server, None
        if server is not None:
            await server.close()

    async def end(self) -> None:
        await self.close()

    def connector(self) -> Connector:
        return self

    async def connect(
        self, protocol_factory: Callable[[], asyncio.Protocol]
    ) -> asyncio.BaseTransport:
        if self.server is None:
            raise ConnectionRefusedError("the server is away")
        return await self.server.connect(protocol_factory)


class NatsHouse:
    """A NATS server that goes and comes, and a server for each client."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._stack = contextlib.AsyncExitStack()
        folder = self._stack.enter_context(tempfile.TemporaryDirectory())
        self._nats = self._stack.enter_context(nats_server(Path(folder)))
        self._tree: SharedTree | None = None

    async def open(self) -> None:
        if self._tree is None:
            tree = SharedTree(NatsAddress.parse(self._nats.url))
            self._tree = await self._stack.enter_async_context(tree)
        else:
            self._nats.start()

    async def close(self) -> None:
        self._nats.stop()
        await self.advance(3)  # then the clients are disconnected

    async def end(self) -> None:
        await self._stack.aclose()

    async def advance(self, seconds: float) -> None:
        assert self._tree is not None
        await self._tree.advance(seconds)

    def connector(self) -> Connector:
        assert self._tree is not None
        return self._tree.connector()


class ClientMachine(RuleBasedStateMachine):
    """Each rule does one thing and lets it settle."""

    make_house: ClassVar[Callable[[VirtualLoop], House | NatsHouse]] = House
    times: ClassVar = [1, 60, 3600]

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.house = type(self).make_house(self.loop)
        self.away = False
        self.actions: set[str] = set()
        self.calls = 0
        self.called: list[int] = []
        self.states: dict[str, Any] = {}  # of the client: the values it has published
        self.others: dict[str, Any] = {}  # of the other client
        self.observed: dict[str, list[Any]] = {}
        self.expected: dict[str, list[Any]] = {}
        self.subscriptions: dict[str, Any] = {}
        self.heard: dict[str, list[Any]] = {}
        self.emitted: dict[str, list[Any]] = {}

    def run(self, awaitable: Awaitable[T]) -> T:
        """Await something, and then let all that it caused settle."""

        async def settled() -> T:
            result = await awaitable
            await self.house.advance(0)
            return result

        return self.loop.run_until_complete(settled())

    @initialize()
    def connect(self) -> None:
        async def connect() -> None:
            await self.house.open()
            self.client = Client(server=self.house.connector(), client_id="client")
            self.other = Client(server=self.house.connector(), client_id="other")
            await self.client.wait_for_connection()
            await self.other.wait_for_connection()

        self.run(connect())

    def teardown(self) -> None:
        async def close() -> None:
            await self.client.close()
            await self.other.close()
            await self.house.end()

        self.run(close())
        self.loop.close()

    def expect(self, path: str, value: Any) -> None:
        """Note what an observer of the path is told."""
        if path in self.expected:
            self.expected[path].append(value)

    def known(self, path: str) -> Any:
        return self.states.get(path, self.others.get(path, Unknown))

    # --- the server ---------------------------------------------------------------------------

    @precondition(lambda self: not self.away)
    @rule()
    def the_server_goes(self) -> None:
        self.away = True
        self.run(self.house.close())
        for path, told in self.expected.items():
            if told[-1] is not Unknown:
                self.expect(path, Unknown)

    @precondition(lambda self: self.away)
    @rule()
    def the_server_comes(self) -> None:
        self.away = False

        async def come_back() -> None:
            await self.house.open()
            await self.house.advance(40)  # longer than the longest backoff
            assert self.client.connected
            assert self.other.connected

        before = {path: len(told) for path, told in self.observed.items()}
        self.run(come_back())
        for path in self.expected:
            if self.known(path) is not Unknown:
                self.expect(path, self.known(path))
            self.drop_stale(path, before[path])

    def drop_stale(self, path: str, start: int) -> None:
        """Accept what was told of a path since it was observed again."""

    @rule(data=st.data())
    def time_passes(self, data: st.DataObject) -> None:
        self.run(self.house.advance(data.draw(st.sampled_from(self.times))))

    # --- actions ------------------------------------------------------------------------------

    @rule(name=NAMES)
    def an_action_is_registered(self, name: str) -> None:
        path = f"/action/{name}"
        outcome = self.attempt(self.client.action_register(path, self.called.append))
        if path in self.actions:
            assert str(outcome) == f"register action {path}: path_already_exists"
        else:
            assert outcome is None
            self.actions.add(path)

    @rule(name=NAMES)
    def an_action_is_taken_back(self, name: str) -> None:
        path = f"/action/{name}"
        assert self.attempt(self.client.unregister(path)) is None
        self.actions.discard(path)

    @rule(name=NAMES, times=st.integers(1, 3))
    def the_other_calls(self, name: str, times: int) -> None:
        path = f"/action/{name}"
        for _ in range(times):
            outcome = self.attempt(self.other.action_call(path, self.calls))
            if self.away:
                assert isinstance(outcome, Disconnected)
            elif path in self.actions:
                assert outcome is None
                assert self.called[-1] == self.calls
            else:
                assert isinstance(outcome, ErrorValue)
            self.calls += 1

    # --- states -------------------------------------------------------------------------------

    @rule(name=NAMES, value=VALUES)
    def a_state_is_published(self, name: str, value: Any) -> None:
        path = f"/state/{name}"
        if path not in self.states:
            outcome = self.attempt(self.client.state_register(path))
            assert not isinstance(outcome, Exception)
        assert self.attempt(self.client.state_changed(path, value)) is None
        self.states[path] = value
        if not self.away:
            self.expect(path, value)

    @rule(name=NAMES)
    def a_state_is_taken_back(self, name: str) -> None:
        path = f"/state/{name}"
        assert self.attempt(self.client.unregister(path)) is None
        if self.states.pop(path, Unknown) is not Unknown and not self.away:
            self.expect(path, Unknown)

    @precondition(lambda self: not self.away)
    @rule(name=NAMES, value=VALUES)
    def the_other_publishes(self, name: str, value: Any) -> None:
        path = f"/other/{name}"
        if path not in self.others:
            self.run(self.other.state_register(path))
        self.run(self.other.state_changed(path, value))
        self.others[path] = value
        self.expect(path, value)

    @precondition(lambda self: not self.away)
    @rule(path=st.sampled_from(["/state/a", "/state/b", "/other/a", "/other/b"]))
    def a_state_is_observed(self, path: str) -> None:
        if path in self.expected:
            return
        told: list[Any] = []
        outcome = self.attempt(self.client.state_observe(path, told.append))
        assert outcome == self.known(path)
        told.insert(0, outcome)
        self.observed[path], self.expected[path] = told, [outcome]

    @rule(path=st.sampled_from(["/state/a", "/other/a"]))
    def a_state_is_observed_no_more(self, path: str) -> None:
        self.run(self.client.unobserve(path))
        self.expected.pop(path, None)
        self.observed.pop(path, None)

    # --- events -------------------------------------------------------------------------------

    @rule(name=NAMES)
    def an_event_is_listened_to(self, name: str) -> None:
        path = f"/event/{name}"
        if path not in self.subscriptions:
            heard = self.heard.setdefault(path, [])
            self.subscriptions[path] = self.run(self.client.event_listen_cb(path, heard.append))

    @rule(name=NAMES)
    def an_event_is_listened_to_no_more(self, name: str) -> None:
        hearing = self.subscriptions.pop(f"/event/{name}", None)

        async def dispose() -> None:
            if hearing is not None:
                hearing.dispose()

        self.run(dispose())

    @rule(name=NAMES, payload=VALUES)
    def the_other_emits(self, name: str, payload: Any) -> None:
        path = f"/event/{name}"
        outcome = self.attempt(self.other.event_emit(path, payload))
        if self.away:
            assert isinstance(outcome, Disconnected)
        elif path in self.subscriptions:
            assert outcome is None
            self.emitted.setdefault(path, []).append(payload)
        else:
            assert str(outcome) == f"emit {path}: path_not_found"

    # --- what must hold -----------------------------------------------------------------------

    def attempt(self, awaitable: Awaitable[T]) -> T | Disconnected | ErrorValue:
        try:
            return self.run(awaitable)
        except (Disconnected, ErrorValue) as error:
            return error

    @invariant()
    def observers_were_told_each_change_once(self) -> None:
        assert self.observed == self.expected

    @invariant()
    def listeners_heard_each_emission_once(self) -> None:
        assert {p: h for p, h in self.heard.items() if h} == self.emitted

    @invariant()
    def no_call_was_made_twice(self) -> None:
        assert len(self.called) == len(set(self.called))


class NatsClientMachine(ClientMachine):
    """With NATS."""

    make_house = NatsHouse
    times: ClassVar = [1, 5]

    def drop_stale(self, path: str, start: int) -> None:
        """Drop a value of before the outage, as a client may be back before the owner."""
        told = self.observed[path]
        if len(told) > len(self.expected[path]) and told[start + 1 : start + 2] == [Unknown]:
            del told[start : start + 2]


TestNatsClient = NatsClientMachine.TestCase
TestNatsClient.settings = settings(
    max_examples=3, stateful_step_count=30, deadline=None, derandomize=True
)

TestClient = ClientMachine.TestCase
TestClient.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
