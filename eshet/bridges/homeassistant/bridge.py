"""The bridge to one Home Assistant: its connection, and its entities as nodes."""

import asyncio
import functools
import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from eshet.bridges.device import Action, Device, Property
from eshet.bridges.exceptions import BridgeError
from eshet.bridges.homeassistant.contexts import Contexts
from eshet.bridges.homeassistant.entities import (
    Entity,
    Service,
    is_settable,
    kind_of,
    service_for,
    value_of,
)
from eshet.bridges.homeassistant.registries import CHANGES, Registries
from eshet.bridges.homeassistant.services import Services
from eshet.bridges.homeassistant.websocket import AuthenticationFailed, WebSocket
from eshet.bridges.kinds import DATA
from eshet.bridges.names import Aliases, segment
from eshet.bridges.own_nodes import OwnNodes
from eshet.bridges.published_device import PublishedDevice
from eshet.bridges.scope import bridge_scope
from eshet.bridges.server_connection import connections
from eshet.bridges.settings import HomeAssistantSettings
from eshet.bridges.tree import DeviceTree
from eshet.client import Client
from eshet.client.connection_manager import Backoff
from eshet.client.server_tree import list_nodes
from eshet.exceptions import Disconnected, EshetError
from eshet.text import first_names, safe_str, shorten, type_name
from eshet.unknown import Unknown

__all__ = ["HomeAssistantBridge"]

_log: Final = logging.getLogger("eshet.bridges")

_EVENTS: Final = "event"
"""The domain of entities that are events."""

_PRESSED: Final = frozenset({"button", "input_button", "scene", "script"})
"""Domains of entities without a state that can be set, with the service of their action."""

_ATTRIBUTE: Final = "attr/"
"""The prefix of the names of properties that are attributes."""

_LOOK_EVERY: Final = 1.0
"""Interval of the checks for changes and for the start of Home Assistant, in seconds."""

_REFUSED_DELAY: Final = 60.0
"""Seconds until the next attempt with a refused token: Home Assistant notifies its user of each."""


_TURN: Final = 0.005
"""Time to apply events in one turn of the event loop, in seconds; at least one entity is read."""


class HomeAssistantBridge:
    """Publishes the entities of one Home Assistant below `/NAME`.

    Args:
        name: of the bridge.
        settings: its settings.
        client: registers the nodes; used by this bridge only, which does not close it.

    Raises:
        BridgeError: the token is missing.
    """

    def __init__(self, name: str, settings: HomeAssistantSettings, client: Client) -> None:
        self._name = name
        self._settings = settings
        self._client = client
        settings.token(name)  # a missing token is an error now; it is read again at each connection
        self._aliases = Aliases(settings.aliases)
        self.tree: Final = DeviceTree(client, f"/{name}", self._aliases, confirm=settings.confirm)
        self.problem: str = "not connected yet"
        """Why the connection is missing; empty while connected."""
        self._entities: dict[str, Entity] = {}  # all entities, also those that are not published
        self._registries = Registries()
        self._contexts = Contexts()
        self._services = Services(
            client, f"/{name}", self._entities, self._registries, self._contexts
        )
        self._outdated = asyncio.Event()  # the registries or the services
        self._wanted: dict[str, set[str]] = {}  # attributes that were observed, by directory
        self._has_checked_aliases = False
        self._is_running = False
        self._events: deque[Mapping[str, Any]] = deque()  # that wait to be applied
        self._steps: Iterator[None] = iter(())
        self._applying: asyncio.Task[None] | None = None
        self._was_unreadable = False
        self._own_nodes = OwnNodes(name, self.tree)

    @property
    def connected(self) -> bool:
        """Whether there is a connection, and Home Assistant has started."""
        return self._is_running

    @property
    def device_count(self) -> int:
        """The number of published entities."""
        return len(self.tree.devices)

    @property
    def ready(self) -> asyncio.Event:
        """See `Bridge`."""
        return self._own_nodes.ready

    async def run(self) -> None:
        """See `Bridge`."""
        with bridge_scope(self._name).active():
            await self._run()

    async def _run(self) -> None:
        client = self._client
        await self._own_nodes.register()
        await client.action_register(f"{self._own_nodes.directory}/call", self._services.call)
        await client.event_listen_cb("/meta/changed", self._on_node)
        _ = self.tree.registrations.start(self._find_observed())
        backoff = Backoff()
        loop = asyncio.get_running_loop()
        delay, logged = 0.0, ""
        try:
            while True:
                await asyncio.sleep(max(delay, backoff.next_delay()))
                since, delay = loop.time(), 0.0
                try:
                    self._end_with(await self._connect_once())
                    logged = ""
                except BridgeError as error:
                    self._end_with(str(error))
                    if isinstance(error, AuthenticationFailed):
                        delay = _REFUSED_DELAY
                except Exception as error:
                    # An answer has another form than the code expects.
                    text = f"{type_name(error)}: {safe_str(error, 200)}"
                    self._end_with(f"an answer of Home Assistant can't be read: {text}")
                    _log.debug("bridge %s: %s", self._name, self.problem, exc_info=error)
                backoff.lasted(loop.time() - since)
                if self.problem != logged:
                    logged = self.problem
                    _log.warning("bridge %s: %s", self._name, self.problem)
        finally:
            await self._own_nodes.close()

    def _end_with(self, problem: str) -> None:
        self.problem = self._services.problem = problem

    async def _connect_once(self) -> str:
        """Stay connected, and return why the connection was lost.

        Raises:
            BridgeError: the connection could not be made.
        """
        socket = WebSocket(self._settings.url, self._settings.token(self._name))
        try:
            version = await socket.connect()
            receiving = asyncio.create_task(socket.run())
            working = asyncio.create_task(self._work(socket, version))
            try:
                await asyncio.wait([receiving, working], return_when=asyncio.FIRST_COMPLETED)
                if not receiving.done():
                    working.result()  # raises the error of the task
                return f"the connection was lost: {await receiving}"
            finally:
                receiving.cancel()
                working.cancel()
                await asyncio.gather(receiving, working, return_exceptions=True)
        finally:
            self._services.socket = None
            self._contexts.release()
            self._events.clear()
            self._steps = iter(())
            self._set_running(False)
            await socket.close()

    async def _work(self, socket: WebSocket, version: str) -> None:
        """Subscribe when Home Assistant has started, and keep entities and services up to date."""
        await socket.request("supported_features", features={"coalesce_messages": 1})
        # Until then, states are still being restored, and rules would react to that. The state
        # is polled, as only administrators may subscribe to the event of the start.
        while (await socket.request("get_config")).get("state") != "RUNNING":  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_EVERY)
        for each in CHANGES:
            await socket.subscribe(
                lambda _: self._outdated.set(), "subscribe_events", event_type=each
            )
        await self._registries.read(socket)
        await self._services.refresh(socket)
        self._services.socket = socket
        self._entities.clear()
        await socket.subscribe(self._on_entities, "subscribe_entities")
        self.problem = ""
        _log.info("bridge %s: connected to Home Assistant %s", self._name, version)
        while True:
            await self._outdated.wait()
            await asyncio.sleep(_LOOK_EVERY)  # many changes come together
            self._outdated.clear()
            areas = self._registries.areas
            await self._registries.read(socket)
            await self._services.refresh(socket)
            for entity_id, entity in self._entities.items():
                if areas.get(entity_id) != self._registries.areas.get(entity_id):
                    self._declare(entity)

    # --- entities -----------------------------------------------------------------------------

    def _on_entities(self, event: Mapping[str, Any]) -> None:
        """Apply an event of `subscribe_entities`; thousands of entities in several turns.

        Raises:
            TypeError: a part of it is of a wrong type.
        """
        for part, kind in (("a", dict), ("c", dict), ("r", list)):
            if not isinstance(event.get(part) or kind(), kind):
                raise TypeError(f"{part!r} is not a {kind.__name__}")
        self._events.append(event)
        if self._applying is None or self._applying.done():
            self._steps = self._apply_events()
            if self._apply_some():
                self._applying = self.tree.registrations.start(self._apply_rest())

    def _apply_some(self) -> bool:
        """Apply events for the time of a turn; return whether there may be more."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + _TURN
        return any(loop.time() >= ends for _ in self._steps)

    async def _apply_rest(self) -> None:
        while self._apply_some():  # noqa: ASYNC110 - this works in each turn
            await asyncio.sleep(0)

    def _apply_events(self) -> Iterator[None]:
        """Apply the events that wait; yields after each entity."""
        while self._events:
            event = self._events.popleft()
            for entity_id, added in (event.get("a") or {}).items():
                self._try(entity_id, self._receive_added, added)
                yield
            if not self._is_running:
                self._remove_missing()
                self._set_running(True)
                self._check_aliases()
            for entity_id, change in (event.get("c") or {}).items():
                self._try(entity_id, self._receive_change, change)
            for entity_id in event.get("r") or ():
                remove = functools.partial(self._remove, entity_id)
                self._contexts.handle(entity_id, None, remove)

    def _try(self, entity_id: str, apply: Callable[[str, Any], object], update: object) -> None:
        """Apply an update of an entity; one that can't be read has no effect on the others."""
        try:
            apply(entity_id, update)
        except Exception as error:
            if not self._was_unreadable:
                self._was_unreadable = True
                _log.warning(
                    "bridge %s: an update of %s can't be read: %s: %s; others like it are not "
                    "logged",
                    self._name,
                    shorten(entity_id, 80),
                    type_name(error),
                    safe_str(error, 200),
                )

    def _receive_added(self, entity_id: str, added: Mapping[str, Any]) -> None:
        add = functools.partial(self._try, entity_id, self._add, added)
        # The first event has all entities, and those that are missing in it are removed.
        at_once = not self._is_running
        self._contexts.handle(entity_id, added.get("c"), add, is_new=True, at_once=at_once)

    def _receive_change(self, entity_id: str, change: Mapping[str, Any]) -> None:
        apply = functools.partial(self._try, entity_id, self._change, change)
        self._contexts.handle(entity_id, (change.get("+") or {}).get("c"), apply)

    def _add(self, entity_id: str, added: Mapping[str, Any]) -> None:
        entity = Entity(entity_id, str(added.get("s")), dict(added.get("a") or {}))
        self._entities[entity_id] = entity
        self._declare(entity)

    def _remove(self, entity_id: str) -> None:
        self._contexts.forget(entity_id)
        self._entities.pop(entity_id, None)
        self.tree.remove(entity_id)

    def _remove_missing(self) -> None:
        for entity_id in self.tree.devices.keys() - self._entities.keys():
            self.tree.remove(entity_id)

    def _check_aliases(self) -> None:
        if not self._has_checked_aliases:
            self._has_checked_aliases = True
            if unused := self._aliases.unused:
                names = ", ".join(first_names(unused))
                _log.warning("bridge %s: no entity for the alias of %s", self._name, names)

    def _change(self, entity_id: str, change: Mapping[str, Any]) -> None:
        entity = self._entities.get(entity_id)
        if entity is None:
            return
        before = _declaration(entity)
        entity.update(change)
        published = self.tree.devices.get(entity.entity_id)
        if published is None:
            return
        if _declaration(entity) != before:
            self._declare(entity)
        if entity.domain == _EVENTS and entity.take_event():
            _ = published.emit("event", entity.attributes.get("event_type"))
        self._report(entity, published)

    def _declare(self, entity: Entity) -> None:
        """Publish an entity, if it is chosen; published properties keep their values."""
        if not any(fnmatchcase(entity.entity_id, glob) for glob in self._settings.entities):
            return
        attributes = entity.attributes
        published = self.tree.put(
            Device(
                entity.entity_id,
                entity.entity_id,
                {
                    "kind": f"homeassistant {entity.domain}",
                    "title": attributes.get("friendly_name"),
                    "class": attributes.get("device_class"),
                    "area": self._registries.areas.get(entity.entity_id),
                },
                properties=tuple(self._properties(entity)),
                events=("event",) if entity.domain == _EVENTS else (),
                actions=tuple(self._actions(entity)),
            ),
            self._directory_of(entity),
        )
        self._report(entity, published)

    def _directory_of(self, entity: Entity) -> str:
        alias = self._aliases.directory(entity.entity_id)
        return alias or f"{self.tree.directory}/{entity.entity_id.replace('.', '/')}"

    def _attributes_of(self, entity: Entity) -> list[str]:
        """Return the names of the published attributes: observed ones, and those with an alias."""
        wanted = self._wanted.get(self._directory_of(entity), set())
        with_alias = set(self._aliases.below(f"{entity.entity_id}/{_ATTRIBUTE}"))
        # Names of attributes may have characters that paths do not allow.
        named = {name for name in entity.attributes if segment(name) in wanted}
        found = {segment(name) for name in named}
        return sorted(with_alias | named | (wanted - found))

    def _properties(self, entity: Entity) -> Iterator[Property]:
        setter = functools.partial(self._set, entity) if is_settable(entity) else None
        yield Property("state", kind_of(entity), setter)
        for name in self._attributes_of(entity):
            yield Property(f"{_ATTRIBUTE}{name}", DATA)

    def _actions(self, entity: Entity) -> Iterator[Action]:
        if entity.domain in _PRESSED:
            name = "press" if "button" in entity.domain else "turn_on"
            service = Service(entity.domain, name)
            yield Action(name, functools.partial(self._run_service, entity, service))

    def _report(self, entity: Entity, published: PublishedDevice) -> None:
        published.set_online(entity.state != "unavailable")
        values: dict[str, object] = {"state": value_of(entity)}
        for name in published.states:
            if name.startswith(_ATTRIBUTE):
                value = entity.attributes.get(name.removeprefix(_ATTRIBUTE))
                values[name] = Unknown if value is None else value
        published.report(values)

    async def _find_observed(self) -> None:
        """Find the attributes that clients observe already, after each connection."""
        async for _ in connections(self._client):
            try:
                async for path, kind, _ in list_nodes(self._client):
                    self._on_node(["added", path, kind])
            except Disconnected:
                continue
            except EshetError as error:  # the server does not have this action
                _log.info("can't list the nodes of the server: %s", error)

    def _on_node(self, change: object) -> None:
        """Publish an attribute when it is first observed."""
        match change:
            case ["added", str(path), "state"] if f"/{_ATTRIBUTE}" in path:
                directory, _, name = path.partition(f"/{_ATTRIBUTE}")
                wanted = self._wanted.setdefault(directory, set())
                if name in wanted:
                    return
                wanted.add(name)
                for device in self.tree.devices.values():
                    if device.directory == directory and device.id in self._entities:
                        self._declare(self._entities[device.id])
                        return

    # --- services -----------------------------------------------------------------------------

    async def _set(self, entity: Entity, value: object) -> None:
        await self._run_service(entity, service_for(entity, value))

    async def _run_service(self, entity: Entity, service: Service) -> object:
        target = {"entity_id": entity.entity_id}
        return await self._services.call(service.domain, service.name, dict(service.data), target)

    def _set_running(self, is_running: bool) -> None:
        self._is_running = is_running
        self._own_nodes.set_connected(is_running)


def _declaration(entity: Entity) -> tuple[object, ...]:
    """Return the facts on which the declaration of an entity depends, besides the registries."""
    attributes = entity.attributes
    return kind_of(entity), attributes.get("friendly_name"), attributes.get("device_class")
