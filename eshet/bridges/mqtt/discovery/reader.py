"""Devices that announce themselves by Home Assistant's discovery, such as those of ESPHome.

https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery
"""

import asyncio
import functools
import itertools
import logging
from collections.abc import Awaitable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from eshet.bridges.device import Device
from eshet.bridges.exceptions import BridgeError
from eshet.bridges.mqtt.broker import Message
from eshet.bridges.mqtt.connection import MqttConnection
from eshet.bridges.mqtt.discovery.config import EntityConfig, configs_in
from eshet.bridges.mqtt.discovery.entity import Entity
from eshet.bridges.mqtt.json_text import parse
from eshet.bridges.mqtt.receiver import Subscription
from eshet.bridges.mqtt.templates import JinjaTemplates, Rendered, UnsupportedTemplate
from eshet.bridges.names import segment
from eshet.bridges.published_device import PublishedDevice
from eshet.bridges.tree import DeviceTree
from eshet.text import first_names, safe_str

__all__ = ["DiscoveryReader"]

_log: Final = logging.getLogger("eshet.bridges")

_MANY: Final = 100
"""A device with more entities than that is not published after each announcement.

The cost of publishing grows with their number, and announcements come one by one.
"""

_LONGEST_DELAY: Final = 1.0
"""The longest delay until such a device is published, in seconds; 1 ms for each entity."""

_FACTS: Final = ("name", "model", "manufacturer", "sw_version", "suggested_area")
"""The described facts about a device that are kept."""

_MAX_LOGGED: Final = 10_000
"""Maximum number of announcements with a record of the last logged problem."""


@dataclass
class _KnownDevice:
    """The state of one device in the reader."""

    described: dict[str, Any] = field(default_factory=dict)
    entities: dict[str, Entity] = field(default_factory=dict)
    configs: dict[str, EntityConfig] = field(default_factory=dict)  # also of unread entities
    unread: dict[str, str] = field(default_factory=dict)  # the problem, by key of the entity
    # By topic, and whether each message must be handled.
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    reading: dict[str, list[Entity]] = field(default_factory=dict)  # by topic
    for_jinja: dict[str, set[str]] = field(default_factory=dict)  # the templates, by topic
    published: PublishedDevice | None = None
    waits: bool = False  # whether it is going to be published; see `_publish_later`


class DiscoveryReader:
    """Reads all devices that announce themselves on a broker.

    Args:
        connection: to the broker.
        tree: receives the devices.
        prefix: the first part of the topics of announcements.
        ignored: the names of programs with a reader of their own; their announcements are
            ignored.
        jinja: evaluates the templates that are not supported by ours; None for no such templates.
    """

    def __init__(
        self,
        connection: MqttConnection,
        tree: DeviceTree,
        prefix: str = "homeassistant",
        ignored: Collection[str] = (),
        jinja: JinjaTemplates | None = None,
    ) -> None:
        self._connection = connection
        self._tree = tree
        self._prefix = prefix
        self._ignored = frozenset(ignored)
        self._jinja = jinja
        self._devices: dict[str, _KnownDevice] = {}
        self._device_of: dict[str, str] = {}  # the ids of devices, by key of the entity
        self._keys: dict[str, set[str]] = {}  # the keys of the entities of each message, by topic
        self._unique_ids: dict[tuple[str, str], str] = {}  # the keys of entities
        self._claimed: dict[str, tuple[str, str]] = {}  # the ids, by key of the entity
        # Entities without the id, by key.
        self._rivals: dict[tuple[str, str], dict[str, EntityConfig]] = {}
        self._logged: dict[str, str] = {}  # the last problem, by topic
        self._changed: set[str] = set()

    def start(self) -> None:
        """Subscribe to all announcements."""
        for levels in ("+/+", "+/+/+"):
            self._connection.subscribe(f"{self._prefix}/{levels}/config", self._on_announcement)

    # --- announcements ------------------------------------------------------------------------

    def _on_announcement(self, message: Message) -> None:
        topic = message.topic.removeprefix(f"{self._prefix}/").removesuffix("/config")
        configs: list[EntityConfig] = []
        if message.payload:
            try:
                configs = list(configs_in(topic, parse(message.payload)))
            except ValueError as error:
                self._log_once(f"{topic}/config", safe_str(error, 200))
                return
        self._logged.pop(f"{topic}/config", None)
        configs = [config for config in configs if config.origin not in self._ignored]
        for key in self._keys.pop(topic, set()) - {config.key for config in configs}:
            self._remove(key)
        if configs:
            self._keys[topic] = {config.key for config in configs}
        for config in configs:
            self._put(config)

    def _put(self, config: EntityConfig) -> None:
        device_id = _device_id(config)
        before = self._device_of.get(config.key)
        if before is not None and before != device_id:
            self._remove(config.key)
        self._tree.check_room(device_id, self._devices)
        known = self._devices.setdefault(device_id, _KnownDevice())
        known.described.update(
            {name: config.device[name] for name in _FACTS if name in config.device}
        )
        self._device_of[config.key] = device_id
        replaced = known.configs.get(config.key)
        if replaced != config:
            if replaced is not None:
                self._forget_rival(replaced)
            known.configs[config.key] = config
            self._read(config, known)
        self._mark(device_id)

    def _read(self, config: EntityConfig, known: _KnownDevice) -> None:
        known.unread.pop(config.key, None)
        try:
            self._claim(config)
            # An entity keeps its place in the order, so that names do not change.
            entity = Entity(config, self._connection.publish, self._jinja)
            known.entities[config.key] = entity
        except BridgeError as error:
            self._release(config.key)
            known.entities.pop(config.key, None)
            known.unread[config.key] = safe_str(error, 200)
            text = safe_str(error, 200)
            if self._jinja is None and isinstance(error, UnsupportedTemplate):
                text += "; the extra jinja reads more templates: pip install 'eshet-rules[jinja]'"
            self._log_once(f"{config.key} is not read", text)

    def _log_once(self, what: str, problem: str) -> None:
        if self._logged.get(what) != problem:
            if len(self._logged) >= _MAX_LOGGED:
                self._logged.clear()
            self._logged[what] = problem
            _log.warning("%s/%s: %s", self._prefix, what, problem)

    def _claim(self, config: EntityConfig) -> None:
        """Reserve the unique id of an entity.

        Raises:
            BridgeError: another entity has this id.
        """
        self._release(config.key)
        unique_id = config.options.get("unique_id")
        if unique_id is None:
            return
        claim = _claim_of(config)
        owner = self._unique_ids.setdefault(claim, config.key)
        if owner == config.key:
            self._claimed[owner] = claim
        else:
            self._rivals.setdefault(claim, {})[config.key] = config
            raise BridgeError(f"the unique_id {str(unique_id)[:80]!r} is used by {owner}")

    def _forget_rival(self, config: EntityConfig) -> None:
        """Remove an entity from those that wait for its unique id."""
        claim = _claim_of(config)
        rivals = self._rivals.get(claim, {})
        if rivals.pop(config.key, None) is not None and not rivals:
            del self._rivals[claim]

    def _release(self, key: str) -> list[EntityConfig]:
        """Release the unique id of an entity, and return the other entities with this id."""
        claim = self._claimed.pop(key, None)
        if claim is None:
            return []
        del self._unique_ids[claim]
        return list(self._rivals.pop(claim, {}).values())

    def _remove(self, key: str) -> None:
        device_id = self._device_of.pop(key, None)
        if device_id is None:
            return  # it was not admitted
        known = self._devices[device_id]
        known.entities.pop(key, None)
        if (config := known.configs.pop(key, None)) is not None:
            self._forget_rival(config)
        known.unread.pop(key, None)
        self._mark(device_id)
        for rival in self._release(key):
            rival_id = self._device_of.get(rival.key)
            if rival_id is not None and self._devices[rival_id].configs.get(rival.key) == rival:
                self._read(rival, self._devices[rival_id])
                self._mark(rival_id)

    # --- devices ------------------------------------------------------------------------------

    def _mark(self, device_id: str) -> None:
        """Publish a device in a later step, when all received announcements are read."""
        known = self._devices[device_id]
        if len(known.configs) > _MANY:
            if not known.waits:
                known.waits = True
                _ = self._tree.registrations.start(self._publish_later(device_id, known))
            return
        if not self._changed:
            asyncio.get_running_loop().call_soon(self._publish_changed)
        self._changed.add(device_id)

    async def _publish_later(self, device_id: str, known: _KnownDevice) -> None:
        await asyncio.sleep(min(len(known.configs) / 1000, _LONGEST_DELAY))
        known.waits = False
        self._update(device_id)

    def _publish_changed(self) -> None:
        changed, self._changed = self._changed, set()
        for device_id in sorted(changed):
            self._update(device_id)

    def _update(self, device_id: str) -> None:
        """Publish a device, or remove it if it has no entities."""
        known = self._devices.get(device_id)
        if known is None:
            return
        if known.entities or known.unread:
            self._publish(device_id, known)
            return
        for subscription in known.subscriptions.values():
            subscription.cancel()
        del self._devices[device_id]
        if known.published is not None:
            self._tree.remove(known.published.declared.key)

    def _publish(self, device_id: str, known: _KnownDevice) -> None:
        described = known.described
        entities = list(known.entities.values())
        for entity, name in _named(entities, str(described.get("name") or "")):
            entity.name = name
        only = entities[0].config.options.get("name") if len(entities) == 1 else None
        name = str(described.get("name") or only or device_id)
        known.published = self._tree.put(
            Device(
                device_id,
                name,
                {
                    "kind": "discovery",
                    "model": _text(described.get("model")),
                    "vendor": _text(described.get("manufacturer")),
                    "firmware": _text(described.get("sw_version")),
                    "area": _text(described.get("suggested_area")),
                    "unread": first_names([f"{k}: {v}"[:120] for k, v in known.unread.items()])
                    or None,
                    "jinja": first_names([k for k, v in known.entities.items() if v.for_jinja])
                    or None,
                },
                properties=tuple(each for entity in entities for each in entity.properties()),
                events=tuple(
                    dict.fromkeys(each for entity in entities for each in entity.events())
                ),
                actions=tuple(each for entity in entities for each in entity.actions()),
                source=f"discovery {self._prefix}",
            )
        )
        self._subscribe(device_id, known, entities)
        self._show_availability(known)

    def _subscribe(self, device_id: str, known: _KnownDevice, entities: list[Entity]) -> None:
        known.reading = {}
        known.for_jinja = {}
        for entity in entities:
            for topic in entity.topics:
                known.reading.setdefault(topic, []).append(entity)
                if templates := entity.jinja_templates_of(topic):
                    known.for_jinja.setdefault(topic, set()).update(templates)
        for topic in known.subscriptions.keys() - known.reading.keys():
            known.subscriptions.pop(topic).cancel()
        for topic in sorted(known.reading.keys() - known.subscriptions.keys()):
            # Each message is handled, since one may contain the values of some entities only.
            known.subscriptions[topic] = self._connection.subscribe(
                topic, functools.partial(self._on_message, device_id), events=True
            )

    def _on_message(self, device_id: str, message: Message) -> Awaitable[object] | None:
        known = self._devices.get(device_id)
        if known is not None and self._jinja is not None:
            templates = known.for_jinja.get(message.topic)
            if templates:
                return self._receive_later(device_id, message, self._jinja, sorted(templates))
        return self._receive(device_id, message, {})

    async def _receive_later(
        self, device_id: str, message: Message, jinja: JinjaTemplates, templates: list[str]
    ) -> None:
        """Read a message when its templates are evaluated; later messages of the topic wait."""
        rendered = await jinja.render(templates, message.payload.decode(errors="replace"))
        emitted = self._receive(device_id, message, rendered)
        if emitted is not None:
            await emitted

    def _receive(
        self, device_id: str, message: Message, rendered: Rendered
    ) -> Awaitable[object] | None:
        known = self._devices.get(device_id)
        if known is None or known.published is None:
            return None
        emitted: Awaitable[object] | None = None
        for entity in known.reading.get(message.topic, ()):
            emitted = entity.receive(message, known.published, rendered) or emitted
        self._show_availability(known)
        return emitted

    def _show_availability(self, known: _KnownDevice) -> None:
        """Publish a device as offline if none of its entities is available."""
        states = [entity.availability.state for entity in known.entities.values()]
        known_states = [state for state in states if state is not None]
        if known.published is not None and known_states:
            known.published.set_online(any(known_states))


def _claim_of(config: EntityConfig) -> tuple[str, str]:
    """Return the unique id of an entity, which is unique within its component."""
    return config.component, str(config.options.get("unique_id"))


def _text(fact: object) -> str | None:
    """Return a fact about a device, unless it is of an odd type."""
    return str(fact) if isinstance(fact, str | int | float) else None


def _device_id(config: EntityConfig) -> str:
    """Return the id of the device of an entity, or of the entity if it has no device."""
    identifiers = config.device.get("identifiers")
    if isinstance(identifiers, str):
        return identifiers
    if isinstance(identifiers, list) and identifiers:
        return str(identifiers[0])
    connections = config.device.get("connections")
    if isinstance(connections, list) and connections and isinstance(connections[0], list):
        return ":".join(map(str, connections[0]))
    return str(config.options.get("unique_id") or config.key)


def _named(entities: list[Entity], device_name: str) -> Iterator[tuple[Entity, str]]:
    """Yield a different name for each entity, from its own name or class."""
    taken: set[str] = set()
    for entity in entities:
        config = entity.config
        own = config.options.get("name")
        text = str(own).removeprefix(device_name).strip() if own else ""
        wished = (
            text,
            str(config.options.get("device_class") or ""),
            config.component,
            f"{text or config.component}_{config.name}",
            f"{config.component}_{config.key}",
        )
        names = [name for name in map(segment, wished) if name]
        numbered = (f"{names[-1]}_{number}" for number in itertools.count(2))
        name = next(each for each in itertools.chain(names, numbered) if each not in taken)
        taken.add(name)
        yield entity, name
