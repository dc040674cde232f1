"""Shelly devices of generation 1: https://shelly-api-docs.shelly.cloud/gen1/#mqtt.

They announce themselves with `shellies/announce`. They do not describe their values: these
follow from the topics of their reports.
"""

import functools
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from eshet.bridges.device import Device, Property
from eshet.bridges.exceptions import BridgeError, WrongKind
from eshet.bridges.kinds import Flag, Kind, Number, Text
from eshet.bridges.mqtt.broker import Message
from eshet.bridges.mqtt.connection import MqttConnection
from eshet.bridges.mqtt.json_text import as_map, dump, parse
from eshet.bridges.published_device import PublishedDevice
from eshet.bridges.tree import DeviceTree

__all__ = ["Shelly1"]

_BATTERY: Final = "sensor_battery"
"""A property of all devices with a battery, and of no others."""

_log: Final = logging.getLogger("eshet.bridges")

_PRESSES: Final = {
    "S": "single",
    "SS": "double",
    "SSS": "triple",
    "L": "long",
    "SL": "single_long",
    "LS": "long_single",
}
"""The payloads of events, by the letters in reports of an input."""


class _Topic(NamedTuple):
    """The value that is reported on topics with this pattern.

    Args:
        pattern: of the part of the topic below the device.
        kind: of the value.
        read: converts the text of the payload.
        command: the topic for a new value, after that of the value; empty if it can't be set.
        write: converts a value to the payload of the command.
    """

    pattern: re.Pattern[str]
    kind: Kind
    read: Callable[[str], object]
    command: str = ""
    write: Callable[[Any], str] = str


def _topic(
    pattern: str,
    kind: Kind,
    read: Callable[[str], object],
    command: str = "",
    write: Callable[[Any], str] = str,
) -> _Topic:
    return _Topic(re.compile(pattern), kind, read, command, write)


def _on_off(text: str) -> object:
    if text in ("on", "off"):
        return text == "on"
    if text == "overpower":
        return False
    raise WrongKind(text, "on or off")


def _zero_one(text: str) -> object:
    if text in ("0", "1"):
        return text == "1"
    raise WrongKind(text, "0 or 1")


def _watt_minutes(text: str) -> object:
    return float(text) / 60


def _plain(text: str) -> object:
    return text


_TOPICS: Final = (
    _topic(r"relay/\d+", Flag(), _on_off, "/command", lambda on: "on" if on else "off"),
    _topic(r"(relay|light|roller|emeter)/\d+/power", Number(unit="W"), _plain),
    _topic(r"(relay|light|roller)/\d+/energy", Number(unit="Wh"), _watt_minutes),
    _topic(r"emeter/\d+/(total|energy)", Number(unit="Wh"), _plain),
    _topic(r"emeter/\d+/voltage", Number(unit="V"), _plain),
    _topic(r"emeter/\d+/current", Number(unit="A"), _plain),
    _topic(r"input/\d+", Flag(), _zero_one),
    _topic(r"light/\d+", Flag(), _on_off, "/command", lambda on: "on" if on else "off"),
    _topic(
        r"roller/\d+",
        Text(("open", "close", "stop")),
        _plain,
        "/command",
    ),
    _topic(
        r"roller/\d+/pos",
        Number(0, 100, whole=True, unit="%"),
        _plain,
        "",
    ),
    _topic(r"(ext_)?temperature(/\d+)?|sensor/temperature", Number(unit="°C"), _plain),
    _topic(r"ext_humidity/\d+|sensor/humidity", Number(unit="%"), _plain),
    _topic(r"sensor/battery", Number(0, 100, unit="%"), _plain),
    _topic(r"sensor/lux", Number(unit="lx"), _plain),
    _topic(r"sensor/(flood|smoke|motion|vibration)", Flag(), lambda text: text in ("1", "true")),
    _topic(r"sensor/state", Text(), _plain),
    _topic(r"overtemperature", Flag(), _zero_one),
)
"""The reported values by their topics; the first pattern that matches counts."""


_MAX_VALUES: Final = 200
"""The maximum number of values and events of a device; real ones have up to 40."""


@dataclass
class _Found:
    """The known facts and values of a device."""

    name: str
    info: dict[str, object] = field(default_factory=dict)
    properties: dict[str, Property] = field(default_factory=dict)
    events: set[str] = field(default_factory=set)
    presses: dict[str, int] = field(default_factory=dict)  # the last count of each input
    online: bool | None = None  # as reported by the device
    published: PublishedDevice | None = None


class Shelly1:
    """Reads all Shelly devices of generation 1 of a broker, and sends commands to them.

    Args:
        connection: to the broker.
        tree: receives the devices.
        base: the base topic of the devices.
    """

    def __init__(
        self, connection: MqttConnection, tree: DeviceTree, base: str = "shellies"
    ) -> None:
        self._connection = connection
        self._tree = tree
        self._base = base
        self._found: dict[str, _Found] = {}

    def start(self) -> None:
        """Subscribe, and ask all devices to announce themselves when connected."""
        subscribe = self._connection.subscribe
        subscribe(f"{self._base}/announce", self._on_announce)
        subscribe(f"{self._base}/+/announce", self._on_announce)
        subscribe(f"{self._base}/+/online", self._on_availability)
        for depth in range(1, 4):
            subscribe(f"{self._base}/+/{'/'.join('+' * depth)}", self._on_report)
        subscribe(f"{self._base}/+/input_event/+", self._on_press, events=True)
        self._connection.on_connected(self._ask)

    def _ask(self) -> None:
        _ = self._tree.registrations.start(self._ask_all())

    async def _ask_all(self) -> None:
        try:
            for command in (b"announce", b"update"):
                await self._connection.publish(f"{self._base}/command", command)
        except BridgeError as error:
            _log.warning("%s", error)

    # --- from devices -------------------------------------------------------------------------

    def _on_announce(self, message: Message) -> None:
        facts = parse(message.payload)
        if not isinstance(facts, dict) or not isinstance(facts.get("id"), str) or not facts["id"]:
            return
        found = self._device(facts["id"])
        found.info = {
            name: facts[key]
            for name, key in (("model", "model"), ("address", "ip"), ("firmware", "fw_ver"))
            if isinstance(facts.get(key), str)
        }
        self._publish(facts["id"], found)

    def _on_availability(self, message: Message) -> None:
        device_id = self._id_of(message)
        found = self._device(device_id)
        found.online = {b"true": True, b"false": False}.get(message.payload)
        self._published(device_id, found)
        self._show_online(found)

    def _show_online(self, found: _Found) -> None:
        """Publish the availability; a device with a battery mostly sleeps, and its values stay."""
        if found.published is not None:
            sleeps = _BATTERY in found.properties
            found.published.set_online(None if sleeps else found.online)

    def _on_report(self, message: Message) -> None:
        device_id = self._id_of(message)
        name = message.topic.removeprefix(f"{self._base}/{device_id}/")
        if re.fullmatch(r"light/\d+/status", name):
            self._on_light(device_id, name.removesuffix("/status"), message)
            return
        topic = next((each for each in _TOPICS if each.pattern.fullmatch(name)), None)
        if topic is None or not message.payload:
            return
        found = self._device(device_id)
        flat = _flat(name)
        if flat not in found.properties:
            _check_number(found)
            setter = functools.partial(self._set, device_id, name, topic)
            settable = topic.command or name.endswith("/pos")
            found.properties[flat] = Property(flat, topic.kind, setter if settable else None)
            self._publish(device_id, found)
            self._show_online(found)
        text = message.payload.decode(errors="replace")
        try:
            value = topic.read(text)
        except ValueError:
            value = text  # its state logs it
        self._published(device_id, found).report({flat: value})

    def _on_light(self, device_id: str, light: str, message: Message) -> None:
        """Read the brightness of a light, which is only in the object with all values."""
        status = as_map(parse(message.payload))
        if "brightness" not in status:
            return
        found = self._device(device_id)
        name = f"{_flat(light)}_brightness"
        if name not in found.properties:
            _check_number(found)
            setter = functools.partial(self._set_brightness, device_id, light)
            found.properties[name] = Property(name, Number(0, 1), setter)
            self._publish(device_id, found)
        brightness = status["brightness"]
        if isinstance(brightness, int | float):
            brightness /= 100
        self._published(device_id, found).report({name: brightness})

    def _on_press(self, message: Message) -> Awaitable[object] | None:
        device_id = self._id_of(message)
        name = _flat(message.topic.removeprefix(f"{self._base}/{device_id}/"))
        press = parse(message.payload)
        if not isinstance(press, dict) or not isinstance(press.get("event"), str):
            return None
        found = self._device(device_id)
        if name not in found.events:
            _check_number(found)
            found.events.add(name)
            self._publish(device_id, found)
        is_new = self._is_new(found, name, press.get("event_cnt"))
        if not press["event"] or message.retained or not is_new:
            return None
        kind = _PRESSES.get(press["event"], press["event"])
        return self._published(device_id, found).emit(name, kind)

    def _is_new(self, found: _Found, name: str, count: object) -> bool:
        """Whether an input was pressed just now: each report repeats the last press.

        Args:
            found: the device.
            name: of the input.
            count: how often it was pressed since the device has started.
        """
        if not isinstance(count, int):
            return True  # an old firmware, which reports only presses
        last = found.presses.get(name)
        found.presses[name] = count
        if last is None:
            return count <= 1  # otherwise, the time of the press is not known
        return count != last

    # --- to devices ---------------------------------------------------------------------------

    async def _set(self, device_id: str, name: str, topic: _Topic, value: object) -> None:
        if name.endswith("/pos"):
            command = f"{name.removesuffix('/pos')}/command/pos"
        else:
            command = f"{name}{topic.command}"
        await self._connection.publish(
            f"{self._base}/{device_id}/{command}", topic.write(value).encode()
        )

    async def _set_brightness(self, device_id: str, light: str, value: Any) -> None:
        await self._connection.publish(
            f"{self._base}/{device_id}/{light}/set", dump({"brightness": round(value * 100)})
        )

    # --- the devices --------------------------------------------------------------------------

    def _id_of(self, message: Message) -> str:
        return message.topic.removeprefix(f"{self._base}/").partition("/")[0]

    def _device(self, device_id: str) -> _Found:
        self._tree.check_room(device_id, self._found)
        return self._found.setdefault(device_id, _Found(device_id))

    def _published(self, device_id: str, found: _Found) -> PublishedDevice:
        return found.published or self._publish(device_id, found)

    def _publish(self, device_id: str, found: _Found) -> PublishedDevice:
        found.published = self._tree.put(
            Device(
                device_id,
                found.name,
                {"kind": "shelly", "vendor": "Shelly", **found.info},
                properties=tuple(found.properties.values()),
                events=tuple(sorted(found.events)),
                source="shelly 1",
            )
        )
        return found.published


def _check_number(found: _Found) -> None:
    """Check whether a device may get another value or event.

    Raises:
        BridgeError: it has too many.
    """
    if len(found.properties) + len(found.events) >= _MAX_VALUES:
        raise BridgeError(f"{found.name} has {_MAX_VALUES} values already: others are not shown")


def _flat(name: str) -> str:
    """Return `relay/0/power` as `relay_0_power`, since `relay/0` has a value too."""
    return name.replace("/", "_")
