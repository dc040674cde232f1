"""One device of a tree: its nodes, their values, and its availability."""

import asyncio
import contextlib
import functools
import logging
import math
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, Protocol

from eshet.bridges.device import Device
from eshet.bridges.exceptions import DeviceOffline
from eshet.bridges.kinds import DATA, Flag
from eshet.bridges.names import Alias, Aliases, DistinctPaths, segments
from eshet.bridges.property_state import PropertyState, send_confirmed
from eshet.bridges.registration_queue import RegistrationQueue
from eshet.client import Client
from eshet.client.pending_request import PendingRequest
from eshet.clock import wall_time
from eshet.exceptions import Disconnected, EshetError
from eshet.messages import EventEmit, StateChanged
from eshet.text import shorten
from eshet.unknown import Unknown

__all__ = ["MAX_NODES", "OFFLINE_AFTER", "DeviceContext", "PublishedDevice"]

_log: Final = logging.getLogger("eshet.bridges")

OFFLINE_AFTER: Final = 2.0
"""Seconds until a device is published as offline: many reconnect at once."""

MAX_NODES: Final = 4000
"""The maximum number of properties, events and actions of a device; real ones have up to 300."""

_MAX_FACT: Final = 200
"""Maximum length of a text in the `info` of a device, in characters."""


class DeviceContext(Protocol):
    """The part of `DeviceTree` that its devices use."""

    client: Client
    aliases: Aliases
    registrations: RegistrationQueue
    confirm: float | None
    reachable: bool


class PublishedDevice:
    """One device of a tree; made by `DeviceTree.put`.

    Args:
        tree: of the bridge.
        device_id: see `Device`.
    """

    def __init__(self, tree: DeviceContext, device_id: str) -> None:
        self.id: Final = device_id
        self.directory: str = ""
        """The path of its directory."""
        self.declared: Device = Device(device_id, device_id)
        """Its last declaration."""
        self.online: bool | None = None
        """Whether it is online; None if that is not known."""
        self.seen: float | None = None
        """The time of its last report, in seconds since 1970-01-01 UTC; None if there was none."""
        self.states: Mapping[str, PropertyState] = {}
        """The states of its properties, by name."""
        self.events: Mapping[str, str] = {}
        """The paths of its events, by name."""
        self.actions: Mapping[str, str] = {}
        """The paths of its actions, by name."""
        self._tree = tree
        self._calls: dict[str, Callable[..., Awaitable[object]]] = {}
        self._nodes: dict[str, tuple[str, str]] = {}  # the kind and name of each node, by path
        self._is_cut = False
        self._unsendable: set[str] = set()  # paths of states that were logged as too large
        self._info = PropertyState("info", DATA, None, self._publish)
        self._online = PropertyState("online", Flag(), None, self._publish)
        self._loop = asyncio.get_running_loop()
        self._offline_name = ""  # of the hub if that is offline; empty for the device itself
        self._going_offline: asyncio.TimerHandle | None = None
        self._stale_after: float | None = None
        self.reported_at: float = -math.inf
        """The time of its last report, by the clock of the loop."""
        self._stale_check: asyncio.TimerHandle | None = None

    # --- for readers --------------------------------------------------------------------------

    def report(self, values: Mapping[str, Any]) -> None:
        """Take reported values by the names of properties; others are ignored."""
        self.seen = wall_time(self._loop)
        self.reported_at = self._loop.time()
        if self._stale_after is not None and self._stale_check is None:
            self._check_staleness()
        states = self.states
        is_current = self.is_current
        for name, value in values.items():
            state = states.get(name)
            if state is not None:
                state.report(value)
                state.show(is_current)

    def emit(self, event: str, payload: object) -> Awaitable[object]:
        """Emit an event; the result is done when the server has it.

        Without a connection to the server, this waits for one. If the connection is lost before the
        server has answered, the event is emitted again.

        Raises:
            KeyError: no such event is declared.
        """
        self.seen = wall_time(self._loop)
        path = self.events[event]
        tree = self._tree
        if tree.registrations.has(path):
            with contextlib.suppress(EshetError):
                sent = tree.client.send_now(EventEmit.code, path, payload)
                if sent is not None:
                    emitted: asyncio.Future[None] = self._loop.create_future()
                    on_reply = functools.partial(self._on_emitted, sent, path, payload, emitted)
                    sent.reply.add_done_callback(on_reply)
                    return emitted
        return tree.registrations.start(self._emit_later(path, payload))

    async def send(
        self, values: Mapping[str, object], send: Callable[[], Awaitable[object]]
    ) -> None:
        """Send values of several properties, and wait for their reports if `confirm` is set.

        Args:
            values: by the names of properties, as the device reports them; other names are not
                waited for.
            send: sends all of them.

        Raises:
            NotConfirmed: the device has not reported one of them in time.
        """
        wanted = [
            (state, state.negated(values[name]))
            for name, state in self.states.items()
            if name in values
        ]
        await send_confirmed(wanted, send, self._tree.confirm)

    def set_online(self, online: bool | None, *, hub: str = "", more_delay: float = 0.0) -> None:
        """Set whether the device is online; False takes effect after `OFFLINE_AFTER` seconds.

        Args:
            online: whether it is online; None if that is not known.
            hub: the name of the hub of the device if that is offline, for errors.
            more_delay: added to `OFFLINE_AFTER`, in seconds.
        """
        self._offline_name = hub
        if online is False:
            if self.online is not False and self._going_offline is None:
                delay = OFFLINE_AFTER + more_delay
                self._going_offline = self._loop.call_later(delay, self._go_offline)
            return
        if self._going_offline is not None:
            self._going_offline.cancel()
            self._going_offline = None
        if online is not self.online:
            self.online = online
            self.show()

    # --- for the tree -------------------------------------------------------------------------

    @property
    def is_listed(self) -> bool:
        """Whether it is a real device, and not a part of the bridge itself."""
        return self.declared.info.get("kind") is not None

    @property
    def is_current(self) -> bool:
        """Whether the values of its properties are current."""
        return self._tree.reachable and self.online is not False and not self._is_stale

    def declare(self, device: Device, directory: str, stale_after: float | None) -> None:
        """Register the new nodes of a declaration, and unregister those that it no longer has."""
        if len(device.properties) + len(device.events) + len(device.actions) > MAX_NODES:
            device = self._cut(device)
        self.declared, self.directory, self._stale_after = device, directory, stale_after
        states: dict[str, PropertyState] = {}
        for each in device.properties:
            state = self.states.get(each.name) or PropertyState(
                each.name, each.kind, each.set, self._publish
            )
            state.declare(each.kind, each.set)
            alias = self._alias_of(each.name)
            state.is_negated = alias is not None and alias.is_negated
            states[each.name] = state
        self.states = states
        self._calls = {each.name: each.call for each in device.actions}
        paths = DistinctPaths()
        self._info.path = paths.take(f"{directory}/info")
        self._online.path = paths.take(f"{directory}/online")
        for state in states.values():
            state.path = paths.take(self._path_of(state.name))
        self.events = {name: paths.take(self._path_of(name)) for name in device.events}
        self.actions = {each.name: paths.take(self._path_of(each.name)) for each in device.actions}
        self._register(dict(self._declared_nodes()))
        self._info.value = self._facts()
        self._info.show(is_current=True)
        self.show()

    def _cut(self, device: Device) -> Device:
        if not self._is_cut:
            self._is_cut = True
            name = shorten(device.name, 80)
            _log.warning("%s has more than %d nodes: only some are shown", name, MAX_NODES)
        return replace(
            device,
            properties=device.properties[: MAX_NODES // 2],
            events=device.events[: MAX_NODES // 4],
            actions=device.actions[: MAX_NODES // 4],
        )

    def remove(self) -> None:
        """Unregister all nodes."""
        self.stop()
        self.withdraw()

    def withdraw(self) -> None:
        """Unregister all nodes; `declare` registers them again, with their values."""
        self._register({})

    def stop(self) -> None:
        """End all timers."""
        for timer in (self._going_offline, self._stale_check):
            if timer is not None:
                timer.cancel()
        self._going_offline = self._stale_check = None

    def show(self) -> None:
        """Publish the changed values of all states."""
        self._online.value = Unknown if self.online is None else self.online
        self._online.show(self._tree.reachable)
        is_current = self.is_current
        for state in self.states.values():
            state.show(is_current)

    # --- nodes --------------------------------------------------------------------------------

    def _alias_of(self, name: str) -> Alias | None:
        return self._tree.aliases.find(f"{self.declared.name}/{name}", f"{self.id}/{name}")

    def _path_of(self, name: str) -> str:
        alias = self._alias_of(name)
        if alias is not None:
            return alias.path
        return f"{self.directory}/{segments(name) or 'value'}"

    def _declared_nodes(self) -> Iterator[tuple[str, tuple[str, str]]]:
        for state in (self._info, self._online, *self.states.values()):
            yield state.path, ("state", state.name)
        for name, path in self.events.items():
            yield path, ("event", name)
        for name, path in self.actions.items():
            yield path, ("action", name)

    def _register(self, nodes: dict[str, tuple[str, str]]) -> None:
        client, registrations = self._tree.client, self._tree.registrations
        device = shorten(self.declared.name, 80)
        for path, node in self._nodes.items():
            if nodes.get(path) != node:
                registrations.unregister(path, functools.partial(client.unregister, path))
        for path, (kind, name) in nodes.items():
            if self._nodes.get(path) == (kind, name):
                continue
            then: Callable[[], object] = _do_nothing
            if kind == "event":
                request: Callable[[], Awaitable[object]] = functools.partial(
                    client.event_register, path
                )
            elif kind == "action":
                call = functools.partial(self._call, name)
                request = functools.partial(client.action_register, path, call)
            else:
                state = self.states.get(name) or getattr(self, f"_{name}")
                setter = functools.partial(self._set, state)
                request = functools.partial(client.state_register, path, setter)
                then = state.show_again
            registrations.register(path, request, then, owner=f"{name} of {device}")
        self._nodes = nodes

    def _check_online(self) -> None:
        if self.online is False:
            raise DeviceOffline(self._offline_name or self.declared.name)

    async def _call(self, name: str, *arguments: object) -> object:
        self._check_online()
        return await self._calls[name](*arguments)

    def _set(self, state: PropertyState, value: object) -> Awaitable[object]:
        if state.setter is not None:  # otherwise the error is always the same
            self._check_online()
        return state.set(value, self._tree.confirm)

    def _publish(self, path: str, value: object) -> None:
        """Publish the value of a state, unless the state is not registered yet."""
        tree = self._tree
        if not tree.registrations.has(path):
            return
        try:
            sent = tree.client.send_now(StateChanged.code, path, value)
        except EshetError as error:
            self._on_unsendable(path, value, error)
            return
        if sent is None:  # the client keeps the value until it is connected
            _ = tree.registrations.start(self._publish_later(path, value))
        else:
            sent.reply.add_done_callback(lambda _: _receive(sent.receive, path))

    def _on_unsendable(self, path: str, value: object, error: EshetError) -> None:
        """Make a state unknown, as its value does not fit into a message."""
        if path not in self._unsendable:
            self._unsendable.add(path)
            _log.warning("%s is unknown: %s", path, error)
        if value is not Unknown:
            self._publish(path, Unknown)

    async def _publish_later(self, path: str, value: object) -> None:
        try:
            await self._tree.client.state_changed(path, value)
        except EshetError as error:
            self._on_unsendable(path, value, error)

    def _on_emitted(
        self,
        sent: PendingRequest,
        path: str,
        payload: object,
        emitted: asyncio.Future[None],
        _: object,
    ) -> None:
        """Complete an event, or emit it again if the server may not have it."""
        if _receive(sent.receive, path):
            _set_done(emitted)
        else:
            again = self._tree.registrations.start(self._emit_later(path, payload))
            again.add_done_callback(lambda _: _set_done(emitted))

    async def _emit_later(self, path: str, payload: object) -> None:
        client = self._tree.client
        await self._tree.registrations.wait_for(path)
        while True:
            await client.wait_for_connection()
            try:
                return await client.event_emit(path, payload)
            except Disconnected:
                continue  # the event may be emitted twice, which is better than not at all
            except EshetError as error:
                return _log.warning("%s: %s", path, error)

    def _facts(self) -> dict[str, object]:
        facts = {"id": self.id, "name": self.declared.name, **self.declared.info}
        return {
            name: shorten(fact, _MAX_FACT) if isinstance(fact, str) else fact
            for name, fact in facts.items()
            if fact is not None and fact != ""
        }

    # --- availability -------------------------------------------------------------------------

    def _go_offline(self) -> None:
        self._going_offline = None
        self.online = False
        self.show()

    @property
    def _is_stale(self) -> bool:
        limit = self._stale_after
        return limit is not None and self._loop.time() - self.reported_at >= limit

    def _check_staleness(self) -> None:
        self._stale_check = None
        if self._stale_after is None:
            return
        left = self.reported_at + self._stale_after - self._loop.time()
        if left > 0:
            self._stale_check = self._loop.call_later(left, self._check_staleness)
        else:
            self.show()


def _receive(receive: Callable[[], object], path: str) -> bool:
    """Log the error of a request; return False if the connection was lost before the reply."""
    try:
        receive()
    except asyncio.CancelledError:
        pass
    except Disconnected:
        return False  # the client logs the outage, and publishes states again after it
    except EshetError as error:
        _log.warning("%s: %s", path, error)
    return True


def _set_done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _do_nothing() -> None:
    """For nodes without a value, which have nothing to publish after their registration."""
