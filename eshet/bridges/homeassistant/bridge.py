"""The bridge to one Home Assistant."""

import asyncio
import functools
import logging
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from eshet.bridges.device import Action, Device, Property
from eshet.bridges.exceptions import BridgeError, DeviceOffline, NotAllowed
from eshet.bridges.homeassistant.entities import (
    Entity,
    Service,
    is_settable,
    kind_of,
    service_for,
    value_of,
)
from eshet.bridges.homeassistant.websocket import AuthenticationFailed, WebSocket
from eshet.bridges.inventory import page
from eshet.bridges.kinds import DATA
from eshet.bridges.names import Aliases
from eshet.bridges.published_device import OFFLINE_AFTER, PublishedDevice
from eshet.bridges.scope import bridge_scope
from eshet.bridges.settings import HomeAssistantSettings
from eshet.bridges.tree import DeviceTree
from eshet.client import Client
from eshet.client.connection_manager import Backoff
from eshet.exceptions import EshetError
from eshet.text import first_names

__all__ = ["HomeAssistantBridge"]

_log: Final = logging.getLogger("eshet.bridges")

_EVENTS: Final = "event"
"""The domain of entities that are events."""

_PRESSED: Final = frozenset({"button", "input_button", "scene", "script"})
"""Domains of entities that are only told to do something, and the services for it."""


class HomeAssistantBridge:
    """Publishes the entities of one Home Assistant below `/NAME`.

    Args:
        name: of the bridge.
        settings: its settings.
        client: registers the nodes; it must be the bridge's own, and is not closed by it.

    Raises:
        BridgeError: there is no token.
    """

    def __init__(self, name: str, settings: HomeAssistantSettings, client: Client) -> None:
        self._name = name
        self._settings = settings
        self._client = client
        self._token = settings.token(name)
        self._aliases = Aliases(settings.aliases)
        self.tree: Final = DeviceTree(client, f"/{name}", self._aliases, confirm=settings.confirm)
        self.problem: str = "not connected yet"
        """Why there is no connection; empty while there is one."""
        self._socket: WebSocket | None = None
        self._entities: dict[str, Entity] = {}
        self._areas: dict[str, str] = {}
        self._attributes: dict[str, set[str]] = {}  # the names of published ones, by entity
        self._services: set[str] = set()
        self._is_running = False
        self._going_offline: asyncio.TimerHandle | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a connection, and Home Assistant has started."""
        return self._is_running

    @property
    def device_count(self) -> int:
        """How many entities are published."""
        return len(self.tree.devices)

    async def run(self) -> None:
        """See `Bridge`."""
        with bridge_scope(self._name).active():
            await self._run()

    async def _run(self) -> None:
        client, directory = self._client, self.tree.directory
        await client.state_register(f"{directory}/bridge/online")
        await client.action_register(
            f"{directory}/bridge/devices", functools.partial(page, self.tree)
        )
        await client.action_register(f"{directory}/bridge/call", self._call)
        await client.event_listen_cb("/meta/changed", self._on_node)
        backoff = Backoff()
        loop = asyncio.get_running_loop()
        logged = ""
        try:
            while True:
                await asyncio.sleep(backoff.next_delay())
                since = loop.time()
                try:
                    self.problem = await self._connect_once()
                except AuthenticationFailed as error:
                    self.problem = str(error)
                except BridgeError as error:
                    self.problem = str(error)
                backoff.lasted(loop.time() - since)
                if self.problem != logged:
                    logged = self.problem
                    _log.warning("bridge %s: %s", self._name, self.problem)
        finally:
            if self._going_offline is not None:
                self._going_offline.cancel()
            await self.tree.close()

    async def _connect_once(self) -> str:
        """Stay connected, and return why the connection was lost."""
        socket = WebSocket(self._settings.url, self._token)
        try:
            version = await socket.connect()
            receiving = asyncio.create_task(socket.run())
            starting = asyncio.create_task(self._start(socket, version))
            try:
                done, _ = await asyncio.wait(
                    [receiving, starting], return_when=asyncio.FIRST_COMPLETED
                )
                if starting in done:
                    starting.result()  # raises what went wrong
                return f"the connection was lost: {await receiving}"
            finally:
                receiving.cancel()
                starting.cancel()
                await asyncio.gather(receiving, starting, return_exceptions=True)
        finally:
            self._socket = None
            self._set_running(False)
            await socket.close()

    async def _start(self, socket: WebSocket, version: str) -> None:
        """Subscribe to everything, and wait until Home Assistant has started."""
        await socket.request("supported_features", features={"coalesce_messages": 1})
        started = asyncio.Event()
        await socket.subscribe(
            lambda _: started.set(), "subscribe_events", event_type="homeassistant_started"
        )
        if (await socket.request("get_config")).get("state") == "RUNNING":
            started.set()
        # Until then, states are still being restored, and rules would react to that.
        await started.wait()
        await self._read_areas(socket)
        await self._register_services(await socket.request("get_services"))
        self._socket = socket
        self._entities.clear()
        await socket.subscribe(self._on_entities, "subscribe_entities")
        self.problem = ""
        _log.info("bridge %s: connected to Home Assistant %s", self._name, version)

    async def _read_areas(self, socket: WebSocket) -> None:
        areas = {
            each["area_id"]: each["name"]
            for each in await socket.request("config/area_registry/list")
        }
        of_devices = {
            each["id"]: each.get("area_id")
            for each in await socket.request("config/device_registry/list")
        }
        for each in await socket.request("config/entity_registry/list"):
            area = each.get("area_id") or of_devices.get(each.get("device_id"))
            if area in areas:
                self._areas[each["entity_id"]] = areas[area]

    # --- entities -----------------------------------------------------------------------------

    def _on_entities(self, event: Mapping[str, Any]) -> None:
        """Take an event of `subscribe_entities`."""
        for entity_id, told in (event.get("a") or {}).items():
            if any(fnmatchcase(entity_id, glob) for glob in self._settings.entities):
                entity = Entity(entity_id, str(told.get("s")), dict(told.get("a") or {}))
                self._entities[entity_id] = entity
                self._declare(entity)
        if not self._is_running:
            self._remove_missing()
            self._set_running(True)
        for entity_id, change in (event.get("c") or {}).items():
            entity_or_none = self._entities.get(entity_id)
            if entity_or_none is not None:
                self._change(entity_or_none, change)
        for entity_id in event.get("r") or ():
            self._entities.pop(entity_id, None)
            self.tree.remove(entity_id)

    def _remove_missing(self) -> None:
        for entity_id in self.tree.devices.keys() - self._entities.keys():
            self.tree.remove(entity_id)

    def _change(self, entity: Entity, change: Mapping[str, Any]) -> None:
        before = kind_of(entity)
        state = entity.state
        entity.update(change)
        if kind_of(entity) != before:
            self._declare(entity)
        published = self.tree.devices[entity.entity_id]
        if entity.domain == _EVENTS and entity.state != state:
            _ = published.emit("event", entity.attributes.get("event_type"))
        self._report(entity, published)

    def _declare(self, entity: Entity) -> None:
        domain, _, object_id = entity.entity_id.partition(".")
        attributes = entity.attributes
        is_alias = self._aliases.find(entity.entity_id) is not None
        directory = None if is_alias else f"{self.tree.directory}/{domain}/{object_id}"
        published = self.tree.put(
            Device(
                entity.entity_id,
                entity.entity_id,
                {
                    "kind": f"homeassistant {domain}",
                    "title": attributes.get("friendly_name"),
                    "class": attributes.get("device_class"),
                    "area": self._areas.get(entity.entity_id),
                },
                properties=tuple(self._properties(entity)),
                events=("event",) if domain == _EVENTS else (),
                actions=tuple(self._actions(entity)),
            ),
            directory,
        )
        self._report(entity, published)

    def _properties(self, entity: Entity) -> Iterator[Property]:
        setter = functools.partial(self._set, entity) if is_settable(entity) else None
        yield Property("state", kind_of(entity), setter)
        for name in sorted(self._attributes.get(entity.entity_id, ())):
            yield Property(f"attr/{name}", DATA)

    def _actions(self, entity: Entity) -> Iterator[Action]:
        if entity.domain in _PRESSED:
            name = "press" if "button" in entity.domain else "turn_on"
            service = Service(entity.domain, name)
            yield Action(name, functools.partial(self._run_service, entity, service))

    def _report(self, entity: Entity, published: PublishedDevice) -> None:
        published.set_online(entity.state != "unavailable")
        wanted = self._attributes.get(entity.entity_id, ())
        attributes = {f"attr/{name}": entity.attributes.get(name) for name in wanted}
        published.report({"state": value_of(entity), **attributes})

    def _on_node(self, change: object) -> None:
        """Publish an attribute when it is first observed."""
        match change:
            case [_, str(path), "state"] if "/attr/" in path:
                directory, _, name = path.partition("/attr/")
                for device in self.tree.devices.values():
                    if device.directory == directory and device.id in self._entities:
                        names = self._attributes.setdefault(device.id, set())
                        if name not in names:
                            names.add(name)
                            self._declare(self._entities[device.id])
                        return

    # --- services -----------------------------------------------------------------------------

    async def _set(self, entity: Entity, value: object) -> None:
        await self._run_service(entity, service_for(entity, value))

    async def _run_service(self, entity: Entity, service: Service) -> object:
        target = {"entity_id": entity.entity_id}
        return await self._call(service.domain, service.name, service.data, target)

    async def _call(
        self, domain: object = None, service: object = None, data: Any = None, target: Any = None
    ) -> object:
        """Call any service, and return its response, if it has one."""
        if not isinstance(domain, str) or not isinstance(service, str):
            raise NotAllowed([domain, service], "the domain and the name of a service")
        data = dict(data or {})
        target = dict(target or {})
        for entity_id in _targets(data) + _targets(target):
            self._check(entity_id)
        if self._socket is None:
            raise BridgeError(f"not connected to Home Assistant: {self.problem}")
        fields: dict[str, Any] = {"service_data": data}
        if target:
            fields["target"] = target
        if f"{domain}.{service}" in self._services:
            fields["return_response"] = True
        result = await self._socket.request(
            "call_service", domain=domain, service=service, **fields
        )
        return (result or {}).get("response")

    def _check(self, entity_id: str) -> None:
        """Refuse what Home Assistant would silently ignore.

        Raises:
            NotAllowed: there is no such entity.
            DeviceOffline: it is not available.
        """
        entity = self._entities.get(entity_id)
        if entity is None:
            if any(fnmatchcase(entity_id, glob) for glob in self._settings.entities):
                domain = entity_id.partition(".")[0]
                near = [each for each in self._entities if each.startswith(f"{domain}.")]
                raise NotAllowed(entity_id, f"one of {', '.join(first_names(near))}", "entity_id")
        elif entity.state == "unavailable":
            raise DeviceOffline(entity_id)

    async def _register_services(self, services: Mapping[str, Mapping[str, Any]]) -> None:
        """Register an action for each service."""
        for domain, by_name in services.items():
            for name, described in by_name.items():
                if described.get("response"):
                    self._services.add(f"{domain}.{name}")
                path = f"{self.tree.directory}/services/{domain}/{name}"
                try:
                    call = functools.partial(self._call, domain, name)
                    await self._client.action_register(path, call)
                except EshetError as error:
                    _log.warning("%s: %s", path, error)

    # --- availability -------------------------------------------------------------------------

    def _set_running(self, is_running: bool) -> None:
        self._is_running = is_running
        if is_running:
            if self._going_offline is not None:
                self._going_offline.cancel()
                self._going_offline = None
            self._show(True)
        elif self._going_offline is None:
            loop = asyncio.get_running_loop()
            self._going_offline = loop.call_later(OFFLINE_AFTER, self._show, False)

    def _show(self, is_online: bool) -> None:
        self._going_offline = None
        self.tree.set_reachable(is_online)
        changing = self._client.state_changed(f"{self.tree.directory}/bridge/online", is_online)
        _ = self.tree.registrations.start(changing)


def _targets(fields: Mapping[str, Any]) -> list[str]:
    entity_ids = fields.get("entity_id") or []
    return [entity_ids] if isinstance(entity_ids, str) else list(entity_ids)
