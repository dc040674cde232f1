"""Shelly devices of generation 2 and later: https://shelly-api-docs.shelly.cloud/gen2/.

They answer requests with the status and the configuration of each component, such as `switch:0`.
Calls and their results are JSON objects on topics of their own.
"""

import asyncio
import functools
import itertools
import logging
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from eshet.bridges.device import Action, Device, Property, Setter
from eshet.bridges.exceptions import BridgeError, NotAllowed
from eshet.bridges.kinds import Flag, Kind, Number, Text
from eshet.bridges.mqtt.broker import Message
from eshet.bridges.mqtt.connection import MqttConnection
from eshet.bridges.mqtt.json_text import as_map, dump, parse
from eshet.bridges.published_device import PublishedDevice
from eshet.bridges.tree import DeviceTree

__all__ = ["ShellyRpc"]

_log: Final = logging.getLogger("eshet.bridges")

_REPLY_TIMEOUT: Final = 10.0
"""Seconds until a call counts as unanswered."""

_MAX_FIRST_ID: Final = 2**30
"""The limit of the id of the first call; devices may store ids in 32 bits."""


class _Value(NamedTuple):
    """A value in the status of a component.

    Args:
        field: its path in the status, such as `("aenergy", "total")`.
        kind: of the value.
        name: of the property, below that of the component.
        method: the method that sets it, and the parameter; None if it can't be set.
    """

    field: tuple[str, ...]
    kind: Kind
    name: str
    method: tuple[str, str] | None = None


_POWER: Final = (
    _Value(("apower",), Number(unit="W"), "power"),
    _Value(("voltage",), Number(unit="V"), "voltage"),
    _Value(("current",), Number(unit="A"), "current"),
    _Value(("aenergy", "total"), Number(unit="Wh"), "energy"),
)

_VALUES: Final[Mapping[str, tuple[_Value, ...]]] = {
    "switch": (_Value(("output",), Flag(), "output", ("Switch.Set", "on")), *_POWER),
    "light": (
        _Value(("output",), Flag(), "output", ("Light.Set", "on")),
        _Value(("brightness",), Number(0, 1), "brightness", ("Light.Set", "brightness")),
        *_POWER,
    ),
    "cover": (
        _Value(("state",), Text(), "state"),
        _Value(
            ("current_pos",),
            Number(0, 100, unit="%"),
            "position",
            ("Cover.GoToPosition", "pos"),
        ),
        *_POWER,
    ),
    "input": (_Value(("state",), Flag(), "state"),),
    "temperature": (_Value(("tC",), Number(unit="°C"), "temperature"),),
    "humidity": (_Value(("rh",), Number(unit="%"), "humidity"),),
    "illuminance": (_Value(("lux",), Number(unit="lx"), "illuminance"),),
    "smoke": (_Value(("alarm",), Flag(), "alarm"),),
    "flood": (_Value(("alarm",), Flag(), "alarm"),),
    "devicepower": (_Value(("battery", "percent"), Number(0, 100, unit="%"), "battery"),),
    "pm1": _POWER,
    "em1": (
        _Value(("act_power",), Number(unit="W"), "power"),
        _Value(("voltage",), Number(unit="V"), "voltage"),
        _Value(("current",), Number(unit="A"), "current"),
    ),
    "em": (_Value(("total_act_power",), Number(unit="W"), "power"),),
    "wifi": (_Value(("rssi",), Number(unit="dBm"), "rssi"),),
}
"""The values of each type of component that are properties."""


@dataclass
class _Found:
    """The known facts and values of a device."""

    info: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    status: dict[str, dict[str, Any]] = field(default_factory=dict)
    values: dict[str, tuple[str, _Value]] = field(default_factory=dict)
    sleeps: bool = False
    was_logged: bool = False  # whether its missing answer was logged
    asking: asyncio.Task[None] | None = None
    published: PublishedDevice | None = None


class ShellyRpc:
    """Reads all Shelly devices of generation 2 and later of a broker, and calls their methods.

    Args:
        connection: to the broker.
        tree: receives the devices.
        source: names the bridge in calls; results come on topics that begin with it. It must
            differ from those of all other clients of the broker.
        prefixes: the topic prefixes of devices with a changed prefix.
    """

    def __init__(
        self,
        connection: MqttConnection,
        tree: DeviceTree,
        source: str,
        prefixes: tuple[str, ...] = (),
    ) -> None:
        self._connection = connection
        self._tree = tree
        self._source = source
        self._prefixes = prefixes
        self._found: dict[str, _Found] = {}
        self._replies: dict[int, asyncio.Future[Mapping[str, Any]]] = {}
        # At random, as late results of calls before a restart must not answer the new ones.
        self._ids = itertools.count(random.randrange(1, _MAX_FIRST_ID))  # noqa: S311 - no secret

    def start(self) -> None:
        """Subscribe to the availability, the notifications and the results of all devices."""
        subscribe = self._connection.subscribe
        subscribe(f"{self._source}/rpc", self._on_result, events=True)
        for prefix in ("+", *self._prefixes):
            subscribe(f"{prefix}/online", self._on_availability)
            subscribe(f"{prefix}/events/rpc", self._on_notification, events=True)

    # --- from devices -------------------------------------------------------------------------

    def _on_availability(self, message: Message) -> None:
        prefix = message.topic.removesuffix("/online")
        online = {b"true": True, b"false": False}.get(message.payload)
        if online is None or not self._is_ours(prefix):
            return
        found = self._device(prefix)
        if found.published is not None and not found.sleeps:
            # A device with a battery is offline most of the time, and its values stay valid.
            found.published.set_online(online)
        if online:
            self._ask(prefix, found)

    def _on_notification(self, message: Message) -> Awaitable[object] | None:
        prefix = message.topic.removesuffix("/events/rpc")
        notification = parse(message.payload)
        if not isinstance(notification, dict) or not isinstance(notification.get("params"), dict):
            return None
        found = self._device(prefix)
        if found.published is None:
            self._ask(prefix, found)
        params = notification["params"]
        if notification.get("method") in ("NotifyStatus", "NotifyFullStatus"):
            if found.published is None and _item(params, ("sys", "wakeup_period")):
                # The device sleeps again before it has answered.
                self._declare(prefix, found, params)
            else:
                self._update(found, params)
        elif notification.get("method") == "NotifyEvent" and not message.retained:
            return self._emit(found, params.get("events"))
        return None

    def _device(self, prefix: str) -> _Found:
        self._tree.check_room(prefix, self._found)
        return self._found.setdefault(prefix, _Found())

    def _emit(self, found: _Found, events: object) -> Awaitable[object] | None:
        emitted: Awaitable[object] | None = None
        for event in events if isinstance(events, list) else ():
            name = _name_of(str(event.get("component"))) if isinstance(event, dict) else ""
            if found.published is not None and f"{name}/event" in found.published.events:
                emitted = found.published.emit(f"{name}/event", event.get("event"))
        return emitted

    def _update(self, found: _Found, status: Mapping[str, Any]) -> None:
        """Take the changed values in the status of components."""
        if found.published is None:
            return
        reported: dict[str, object] = {}
        for name, (component, value) in found.values.items():
            item = _item(status.get(component), value.field)
            if item is not None:
                reported[name] = _from_device(value, item)
        found.published.report(reported)

    # --- requests -------------------------------------------------------------------------------

    def _is_ours(self, prefix: str) -> bool:
        """Whether this can be the prefix of a Shelly: others have topics `<prefix>/online` too."""
        return prefix in self._prefixes or prefix.lower().startswith("shelly")

    def _ask(self, prefix: str, found: _Found) -> None:
        if found.asking is None or found.asking.done():
            found.asking = self._tree.registrations.start(self._learn(prefix, found))

    async def _learn(self, prefix: str, found: _Found) -> None:
        """Request the components of a device, and publish them."""
        try:
            found.info = await self._call(prefix, "Shelly.GetDeviceInfo")
            found.config = await self._call(prefix, "Shelly.GetConfig")
            status = await self._call(prefix, "Shelly.GetStatus")
        except BridgeError as error:
            if not found.was_logged:
                found.was_logged = True
                _log.warning("can't read the components of %s: %s", prefix, error)
            return
        found.was_logged = False
        self._declare(prefix, found, status)

    def _declare(self, prefix: str, found: _Found, status: Mapping[str, Any]) -> None:
        """Publish a device.

        Args:
            prefix: of its topics.
            found: its known facts and values.
            status: the status of its components.
        """
        found.status = {name: each for name, each in status.items() if isinstance(each, dict)}
        found.sleeps = bool(_item(found.status, ("sys", "wakeup_period")))
        found.values = dict(self._values(found))
        found.published = self._tree.put(
            Device(
                str(found.info.get("id") or prefix),
                str(_item(found.config, ("sys", "device", "name")) or prefix),
                {
                    "kind": "shelly",
                    "vendor": "Shelly",
                    "model": _text(found.info.get("model")),
                    "firmware": _text(found.info.get("ver")),
                    "address": _text(_item(found.status, ("wifi", "sta_ip"))),
                },
                properties=tuple(self._properties(prefix, found)),
                events=tuple(
                    f"{_name_of(each)}/event" for each in found.status if _type_of(each) == "input"
                ),
                actions=tuple(self._actions(prefix, found)),
                source=f"shelly {prefix}",  # so that no device takes the place of another
            )
        )
        found.published.set_online(None if found.sleeps else True)
        self._update(found, found.status)

    def _values(self, found: _Found) -> Iterator[tuple[str, tuple[str, _Value]]]:
        for component, status in found.status.items():
            for value in _VALUES.get(_type_of(component), ()):
                if _item(status, value.field) is not None or value.name in ("output", "state"):
                    yield f"{_name_of(component)}/{value.name}", (component, value)

    def _properties(self, prefix: str, found: _Found) -> Iterator[Property]:
        for name, (component, value) in found.values.items():
            setter: Setter | None = None
            if value.method is not None:
                setter = functools.partial(self._set, prefix, component, value)
            yield Property(name, value.kind, setter)

    def _actions(self, prefix: str, found: _Found) -> Iterator[Action]:
        yield Action("call", functools.partial(self._call_method, prefix))
        for component in found.status:
            if _type_of(component) == "cover":
                for what in ("Open", "Close", "Stop"):
                    call: Callable[..., Awaitable[object]] = functools.partial(
                        self._call, prefix, f"Cover.{what}", {"id": _number_of(component)}
                    )
                    yield Action(f"{_name_of(component)}/{what.lower()}", call)

    # --- to devices ---------------------------------------------------------------------------

    async def _set(self, prefix: str, component: str, value: _Value, wanted: Any) -> None:
        if value.method is None:
            return
        method, parameter = value.method
        sent = round(wanted * 100) if _is_percent(value) else wanted
        await self._call(prefix, method, {"id": _number_of(component), parameter: sent})

    async def _call_method(
        self, prefix: str, method: object = None, parameters: object = None
    ) -> object:
        """Call any method of a device, and return its result."""
        if not isinstance(method, str):
            raise NotAllowed(method, "the name of a method, such as 'Switch.Toggle'")
        if parameters is not None and not isinstance(parameters, dict):
            raise NotAllowed(parameters, "a map with the parameters of the method")
        return await self._call(prefix, method, parameters)

    async def _call(
        self, prefix: str, method: str, parameters: Mapping[str, Any] | None = None
    ) -> Mapping[str, Any]:
        number = next(self._ids)
        reply: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._replies[number] = reply
        call = {"id": number, "src": self._source, "method": method}
        if parameters:
            call["params"] = parameters
        try:
            await self._connection.publish(f"{prefix}/rpc", dump(call))
            async with asyncio.timeout(_REPLY_TIMEOUT):
                answer = await reply
        except TimeoutError:
            raise BridgeError(f"{method}: no result in {_REPLY_TIMEOUT:g} s") from None
        finally:
            del self._replies[number]
        error = answer.get("error")
        if isinstance(error, dict):
            raise BridgeError(f"{method}: {error.get('message')} ({error.get('code')})")
        result = answer.get("result")
        return result if isinstance(result, dict) else {}

    def _on_result(self, message: Message) -> None:
        answer = as_map(parse(message.payload))
        number = answer.get("id")
        reply = self._replies.get(number) if isinstance(number, int) else None
        if reply is not None and not reply.done():
            reply.set_result(answer)


def _type_of(component: str) -> str:
    return component.partition(":")[0]


def _number_of(component: str) -> int:
    number = component.partition(":")[2]
    return int(number) if number.isdecimal() else 0


def _name_of(component: str) -> str:
    """Return `switch:0` as `switch/0`, the name below which its properties are."""
    return component.replace(":", "/")


def _text(fact: object) -> str | None:
    return fact if isinstance(fact, str) else None


def _is_percent(value: _Value) -> bool:
    """Whether a value is reported in percent, and a number from 0 to 1 here."""
    return value.name == "brightness"


def _from_device(value: _Value, item: object) -> object:
    if _is_percent(value) and isinstance(item, int | float):
        return item / 100
    return item


def _item(value: object, field: tuple[str, ...]) -> Any:
    for name in field:
        value = value.get(name) if isinstance(value, dict) else None
    return value
