"""Devices with Tasmota: https://tasmota.github.io/docs/MQTT/.

Each device describes itself in `tasmota/discovery/<MAC>/config` and `…/sensors`. Users can
change the prefixes of its topics and its words for on, off, online and offline; the description
contains them.
"""

import asyncio
import functools
import logging
from collections.abc import Awaitable, Iterator, Mapping
from typing import Any, Final

from eshet.bridges.device import Action, Device, Property
from eshet.bridges.exceptions import BridgeError, NotAllowed
from eshet.bridges.kinds import DATA, Flag, Kind, Number, Record, Text
from eshet.bridges.mqtt.broker import Message
from eshet.bridges.mqtt.connection import MqttConnection
from eshet.bridges.mqtt.json_text import as_map, parse
from eshet.bridges.mqtt.receiver import Subscription
from eshet.bridges.mqtt.tasmota_config import TasmotaConfig
from eshet.bridges.published_device import PublishedDevice
from eshet.bridges.tree import DeviceTree

__all__ = ["Tasmota"]

_log: Final = logging.getLogger("eshet.bridges")

_DISCOVERY: Final = "tasmota/discovery"

_MAX_WAITING: Final = 100
"""The maximum number of devices for which sensors are kept until their other message arrives."""

_REPLY_TIMEOUT: Final = 10.0
"""Seconds until a command counts as unanswered."""

_MIRED: Final = (153, 500)
"""The range of colour temperatures, in mired."""

_UNITS: Final = {
    "Power": "W",
    "ApparentPower": "VA",
    "ReactivePower": "var",
    "Voltage": "V",
    "Current": "A",
    "Frequency": "Hz",
    "Total": "kWh",
    "Today": "kWh",
    "Yesterday": "kWh",
    "Temperature": "°C",
    "DewPoint": "°C",
    "Humidity": "%",
    "Pressure": "hPa",
    "Illuminance": "lx",
    "CarbonDioxide": "ppm",
    "Distance": "cm",
}
"""The units of sensor values, where users can't choose another."""

_TEMPERATURES: Final = frozenset({"Temperature", "DewPoint"})


class Tasmota:
    """Reads all devices with Tasmota of a broker, and sends commands to them.

    Args:
        connection: to the broker.
        tree: receives the devices.
    """

    def __init__(self, connection: MqttConnection, tree: DeviceTree) -> None:
        self._connection = connection
        self._tree = tree
        self._configs: dict[str, TasmotaConfig] = {}
        self._sensors: dict[str, Mapping[str, Any]] = {}
        self._devices: dict[str, _TasmotaDevice] = {}

    def start(self) -> None:
        """Subscribe to the descriptions of devices."""
        self._connection.subscribe(f"{_DISCOVERY}/+/config", self._on_config)
        self._connection.subscribe(f"{_DISCOVERY}/+/sensors", self._on_sensors)
        self._connection.on_connected(self._ask_all)

    def _ask_all(self) -> None:
        for device in self._devices.values():
            device.ask()

    def _on_config(self, message: Message) -> None:
        mac = message.topic.split("/")[-2]
        if not message.payload:
            self._remove(mac)
            return
        self._tree.check_room(mac, self._configs)
        config = TasmotaConfig.read(mac, as_map(parse(message.payload)))
        self._configs[mac] = config
        self._declare(mac)

    def _on_sensors(self, message: Message) -> None:
        mac = message.topic.split("/")[-2]
        if message.payload:
            self._sensors[mac] = as_map(as_map(parse(message.payload)).get("sn"))
            if mac in self._configs:
                self._declare(mac)
            elif len(waiting := self._sensors.keys() - self._configs.keys()) > _MAX_WAITING:
                del self._sensors[next(each for each in self._sensors if each in waiting)]

    def _declare(self, mac: str) -> None:
        config, sensors = self._configs[mac], self._sensors.get(mac, {})
        device = self._devices.get(mac)
        if device is not None and (device.config, device.sensors) == (config, sensors):
            return
        if device is not None:
            device.stop()
        device = self._devices[mac] = _TasmotaDevice(self._connection, self._tree, config, sensors)
        device.start()

    def _remove(self, mac: str) -> None:
        self._configs.pop(mac, None)
        self._sensors.pop(mac, None)
        device = self._devices.pop(mac, None)
        if device is not None:
            device.stop()
            device.remove()


class _TasmotaDevice:
    """One device.

    Args:
        connection: to the broker.
        tree: receives the device.
        config: its description.
        sensors: the values of its sensors when it was described.
    """

    def __init__(
        self,
        connection: MqttConnection,
        tree: DeviceTree,
        config: TasmotaConfig,
        sensors: Mapping[str, Any],
    ) -> None:
        self.config: Final = config
        self.sensors: Final = sensors
        self._connection = connection
        self._tree = tree
        self._subscriptions: list[Subscription] = []
        self._replies: list[asyncio.Future[object]] = []
        self._commanding = asyncio.Lock()
        self._is_fahrenheit = sensors.get("TempUnit") == "F"
        self._published: PublishedDevice | None = None

    def start(self) -> None:
        """Publish the device, and subscribe to its messages."""
        config = self.config
        self._published = self._tree.put(
            Device(
                config.mac,
                config.name,
                {"kind": "tasmota", **config.facts},
                properties=tuple(self._properties()),
                events=config.events,
                actions=tuple(self._actions()),
                source="tasmota",
            )
        )
        subscribe = self._connection.subscribe
        self._subscriptions = [
            subscribe(self._topic(2, "LWT"), self._on_availability),
            subscribe(self._topic(2, "STATE"), self._on_report, events=True),
            subscribe(self._topic(2, "SENSOR"), self._on_report, events=True),
            subscribe(self._topic(1, "+"), self._on_result, events=True),
        ]
        if self._connection.connected:
            self.ask()

    def ask(self) -> None:
        """Ask for the values that the device does not retain."""
        _ = self._tree.registrations.start(self._ask_for_states())

    def stop(self) -> None:
        """Unsubscribe."""
        for subscription in self._subscriptions:
            subscription.cancel()

    def remove(self) -> None:
        """Remove the device from the tree."""
        if self._published is not None:
            self._tree.remove(self._published.declared.key)

    # --- properties and actions ---------------------------------------------------------------

    def _power(self, number: int) -> str:
        """Return the name of a switch; the only switch of a device has no number."""
        return "POWER" if len(self.config.switches) == 1 else f"POWER{number}"

    def _properties(self) -> Iterator[Property]:
        for number in self.config.switches:
            name = self._power(number)
            yield Property(name, Flag(), functools.partial(self._set_power, name))
        if self.config.has_light:
            yield from self._light_properties()
        for number in range(1, self.config.shutters + 1):
            yield Property(
                f"Shutter{number}",
                Number(0, 100, unit="%"),
                functools.partial(self._command, f"ShutterPosition{number}"),
            )
        yield Property("Wifi/RSSI", Number(0, 100, unit="%"))
        for path, value in _leaves(self.sensors):
            if (kind := _kind_of(path, value)) is not None:
                yield Property(path, kind)

    def _light_properties(self) -> Iterator[Property]:
        kind_of_light = self.config.light
        if kind_of_light >= 1:
            yield Property("brightness", Number(0, 1), self._set_brightness)
        if kind_of_light in (2, 5):
            coldest, warmest = (1_000_000 / mired for mired in _MIRED)
            kind = Number(round(warmest), round(coldest), unit="K")
            yield Property("color_temp", kind, self._set_color_temp)
        if kind_of_light in (3, 4, 5):
            color = Record({"hue": Number(0, 360), "saturation": Number(0, 100)})
            yield Property("color", color, self._set_color)

    def _actions(self) -> Iterator[Action]:
        yield Action("command", self._run_command)
        for number in range(1, self.config.shutters + 1):
            for what in ("Open", "Close", "Stop"):
                name = f"Shutter{what}{number}"
                yield Action(name, functools.partial(self._command, name, ""))

    # --- to the device ------------------------------------------------------------------------

    def _topic(self, prefix: int, name: str) -> str:
        """Return a topic of the device.

        Args:
            prefix: 0 for commands, 1 for their results, 2 for reports.
            name: the last part of the topic.
        """
        return f"{self.config.topics[prefix]}/{name}"

    async def _command(self, command: str, value: object) -> None:
        text = f"{value:g}" if isinstance(value, float) else str(value)
        await self._connection.publish(self._topic(0, command), text.encode())

    async def _set_power(self, name: str, value: object) -> None:
        await self._command(name, self.config.words[1 if value else 0])

    async def _set_brightness(self, value: Any) -> None:
        await self._command("Dimmer", round(value * 100))

    async def _set_color_temp(self, value: Any) -> None:
        await self._command("CT", min(max(round(1_000_000 / value), _MIRED[0]), _MIRED[1]))

    async def _set_color(self, value: Any) -> None:
        if value.keys() != {"hue", "saturation"}:
            raise NotAllowed(value, "a map with hue and saturation", "color")
        await self._command("HSBColor1", round(value["hue"]))
        await self._command("HSBColor2", round(value["saturation"]))

    async def _run_command(self, command: object = None, value: object = "") -> object:
        """Run a command of Tasmota, and return its result."""
        if not isinstance(command, str) or not command.isalnum():
            raise NotAllowed(command, "the name of a command, such as 'Status', and its value")
        async with self._commanding:
            reply: asyncio.Future[object] = asyncio.get_running_loop().create_future()
            self._replies.append(reply)
            try:
                await self._command(command, value)
                async with asyncio.timeout(_REPLY_TIMEOUT):
                    return await reply
            except TimeoutError:
                raise BridgeError(f"{command}: no result in {_REPLY_TIMEOUT:g} s") from None
            finally:
                self._replies.remove(reply)

    async def _ask_for_states(self) -> None:
        try:
            await self._command("STATE", "")
            await self._command("STATUS", "10")
        except BridgeError as error:
            _log.warning("%s", error)

    # --- from the device ----------------------------------------------------------------------

    def _on_availability(self, message: Message) -> None:
        text = message.payload.decode(errors="replace")
        offline, online = self.config.availability
        if self._published is not None and text in (online, offline):
            self._published.set_online(text == online)

    def _on_report(self, message: Message) -> None:
        if message.payload:
            self._report(as_map(parse(message.payload)))

    def _on_result(self, message: Message) -> Awaitable[object] | None:
        name = message.topic.rpartition("/")[2]
        if name.startswith("POWER"):
            # The plain text of a value that RESULT has as well, unless SetOption4 moves the result
            # to another topic.
            self._report({name: message.payload.decode(errors="replace")})
            return None
        try:
            result = parse(message.payload)
        except ValueError:
            return None  # some results are plain texts
        if not isinstance(result, dict) or message.retained:
            return None
        is_reply = not result.keys() <= set(self.config.events)
        for reply in self._replies if is_reply else ():
            if not reply.done():
                reply.set_result(result)
        self._report(as_map(result.get("StatusSNS", result)))
        return self._emit(result)

    def _emit(self, result: Mapping[str, Any]) -> Awaitable[object] | None:
        published = self._published
        emitted: Awaitable[object] | None = None
        for name, value in result.items():
            if published is not None and name in published.events and isinstance(value, dict):
                emitted = published.emit(name, value.get("Action"))
        return emitted

    def _report(self, report: Mapping[str, Any]) -> None:
        published = self._published
        if published is None:
            return
        values: dict[str, object] = {}
        for path, value in _leaves(report):
            last = path.rpartition("/")[2]
            if path.startswith("POWER"):
                off, on = self.config.words
                number = path.removeprefix("POWER") or "1"
                if number.isdecimal() and value in (on, off):
                    values[self._power(int(number))] = value == on
            elif path == "Dimmer" and _is_number(value):
                values["brightness"] = value / 100
            elif path == "CT" and _is_number(value) and value > 0:
                values["color_temp"] = round(1_000_000 / value)
            elif path == "HSBColor":
                values["color"] = _color(value)
            elif path.startswith("Shutter") and path.endswith("/Position"):
                values[path.partition("/")[0]] = value
            elif self._is_fahrenheit and last in _TEMPERATURES and _is_number(value):
                values[path] = round((value - 32) / 1.8, 2)
            else:
                values[path] = value
        published.report({name: value for name, value in values.items() if value is not None})


def _leaves(value: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the paths and values in nested maps."""
    for name, item in value.items():
        path = f"{before}{name}"
        if isinstance(item, dict):
            yield from _leaves(item, f"{path}/")
        else:
            yield path, item


def _kind_of(path: str, value: object) -> Kind | None:
    """Return the kind of a sensor's value; None if it is not a value of a sensor."""
    last = path.rpartition("/")[2]
    if path in ("Time", "TempUnit", "PressureUnit", "SpeedUnit") or last == "Id":
        return None
    if isinstance(value, list):
        return DATA
    if value is None or _is_number(value):
        return Number(unit=_UNITS.get(last, ""))
    return Text() if isinstance(value, str) else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _color(value: object) -> dict[str, float] | None:
    """Return `"360,100,100"` as hue and saturation."""
    parts = str(value).split(",")
    if len(parts) != 3 or not all(part.strip().isdigit() for part in parts):
        return None
    return {"hue": float(parts[0]), "saturation": float(parts[1])}
