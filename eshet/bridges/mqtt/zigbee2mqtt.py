"""Devices of zigbee2mqtt: https://www.zigbee2mqtt.io/guide/usage/mqtt_topics_and_messages.html.

zigbee2mqtt describes all its devices in one message, `bridge/devices`. Each device reports all its
values in one JSON object, and accepts an object with new values at `<name>/set`.
"""

import asyncio
import functools
import itertools
import logging
import secrets
from collections.abc import Awaitable, Collection, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from eshet.bridges.device import Action, Device, Property
from eshet.bridges.exceptions import BridgeError, NotAllowed, TooManyDevices, WrongKind
from eshet.bridges.kinds import check_keys
from eshet.bridges.mqtt.broker import Message
from eshet.bridges.mqtt.connection import MqttConnection
from eshet.bridges.mqtt.exposes import Exposed, read_exposes
from eshet.bridges.mqtt.filters import check_topic
from eshet.bridges.mqtt.json_text import as_map, dump, parse
from eshet.bridges.mqtt.receiver import Subscription
from eshet.bridges.published_device import PublishedDevice
from eshet.bridges.tree import DeviceTree
from eshet.text import first_names, safe_str, shorten

__all__ = ["Zigbee2Mqtt"]

_log: Final = logging.getLogger("eshet.bridges")

_REQUESTS: Final = (
    "permit_join",
    "health_check",
    "restart",
    "device/rename",
    "device/remove",
    "device/interview",
    "device/configure",
    "device/options",
    "device/ota_update/check",
    "device/ota_update/update",
    "group/add",
    "group/remove",
    "group/rename",
    "group/members/add",
    "group/members/remove",
)
"""The requests to zigbee2mqtt that are actions in the tree."""

_REPLY_TIMEOUT: Final = 10.0
"""Seconds until a request to zigbee2mqtt counts as unanswered."""

_ASK_AFTER: Final = 2.0
"""Delay from the list of devices to the requests for missing values, in seconds."""

_ASK_EVERY: Final = 0.2
"""Interval between these requests, in seconds; each of them is a radio message."""

_REPEAT_WITHIN: Final = 5.0
"""Seconds within which an action with the same transaction number is a repetition."""


_TURN: Final = 0.005
"""Time to publish devices in one turn of the event loop, in seconds; at least one is published."""

_AT_ONCE: Final = 50
"""The number of devices that become offline at once when zigbee2mqtt is offline."""

_OFFLINE_EVERY: Final = 0.02
"""Seconds until the next ones."""

_MAX_DESCRIPTION: Final = 8 * 2**20
"""Maximum size of the description of all devices, in bytes; one device has a few thousand."""


class _Description(NamedTuple):
    """The description of a device or group by zigbee2mqtt."""

    name: str
    exposes: object
    facts: Mapping[str, object]


class _Known(NamedTuple):
    """The state of one device in the reader."""

    description: _Description
    exposed: dict[str, Exposed]
    published: PublishedDevice
    subscriptions: list[Subscription]
    subscribed: tuple[object, ...]  # their parameters

    @property
    def name(self) -> str:
        return self.description.name


class Zigbee2Mqtt:
    """Reads the devices of one zigbee2mqtt, and sends values to them.

    Args:
        connection: to the broker.
        tree: receives the devices.
        base: the base topic of zigbee2mqtt.
    """

    def __init__(
        self, connection: MqttConnection, tree: DeviceTree, base: str = "zigbee2mqtt"
    ) -> None:
        self._connection = connection
        self._tree = tree
        self._base = base
        self._known: dict[str, _Known] = {}
        self._described: dict[str, Mapping[str, Any]] = {}  # devices, by IEEE address
        self._groups: list[Mapping[str, Any]] = []
        self._refused: set[str] = set()  # logged devices and groups with unusable names
        self._is_full = False  # too many devices were logged
        self._declaration: Iterator[None] = iter(())
        self._declaring: asyncio.Task[None] | None = None
        self._released: set[str] = set()  # the addresses of devices that wait for their new name
        self._replies: dict[str, asyncio.Future[Mapping[str, Any]]] = {}
        self._transactions = itertools.count(1)
        self._transaction = f"eshet-{secrets.token_hex(4)}"  # other clients send requests as well
        self._actions: dict[tuple[str, object], float] = {}  # when repeatable actions happened
        self._bridge: PublishedDevice | None = None
        self._is_online: bool | None = None
        self._available: dict[str, bool | None] = {}  # by address
        self._reports_attributes = False
        self._asking: asyncio.Task[None] | None = None
        self._connected_at = 0.0  # by the clock of the loop

    def start(self) -> None:
        """Subscribe to the topics of zigbee2mqtt."""
        actions = [
            Action(f"request/{what}", functools.partial(self._request, what)) for what in _REQUESTS
        ]
        bridge = Device(
            f"{self._base} bridge",
            self._base,
            properties=(),
            events=("event",),
            actions=tuple(actions),
            source=self._base,
        )
        self._bridge = self._tree.put(bridge, f"{self._tree.directory}/bridge/{self._base}")
        subscribe = self._connection.subscribe
        subscribe(f"{self._base}/bridge/state", self._on_state)
        subscribe(f"{self._base}/bridge/info", self._on_info)
        for what, handle in (("devices", self._on_devices), ("groups", self._on_groups)):
            subscribe(f"{self._base}/bridge/{what}", handle, max_payload=_MAX_DESCRIPTION)
        subscribe(f"{self._base}/bridge/event", self._on_event, events=True)
        subscribe(f"{self._base}/bridge/response/#", self._on_response, events=True)
        self._connection.on_connected(self._on_connected)

    def _on_connected(self) -> None:
        self._connected_at = asyncio.get_running_loop().time()
        if self._known:
            self._ask_soon()

    # --- zigbee2mqtt itself -------------------------------------------------------------------

    def _on_state(self, message: Message) -> None:
        self._is_online = _availability(message.payload)
        if self._bridge is not None:
            self._bridge.set_online(self._is_online)
        for number, (address, known) in enumerate(self._known.items()):
            # Thousands of devices do not become unknown in one step of the loop.
            self._show_online(address, known, number // _AT_ONCE * _OFFLINE_EVERY)

    def _show_online(self, address: str, known: _Known, more_delay: float = 0.0) -> None:
        """Publish a device as offline while zigbee2mqtt is; otherwise its own availability."""
        if self._is_online is False:
            known.published.set_online(False, hub=self._base, more_delay=more_delay)
        else:
            known.published.set_online(self._available.get(address))

    def _on_info(self, message: Message) -> None:
        if not message.payload:
            return
        config = as_map(as_map(parse(message.payload)).get("config"))
        output = as_map(config.get("advanced")).get("output", "json")
        # With `attribute_and_json`, everything is in the JSON objects as well.
        self._reports_attributes = output == "attribute"
        self._declare()

    def _on_event(self, message: Message) -> Awaitable[object] | None:
        event = parse(message.payload)
        if message.retained or self._bridge is None or not isinstance(event, dict):
            return None
        data = event.get("data")
        facts = data if isinstance(data, dict) else {}
        named = {
            name: facts[name]
            for name in ("friendly_name", "ieee_address", "status")
            if name in facts
        }
        return self._bridge.emit("event", {"type": event.get("type"), **named})

    async def _request(self, what: str, payload: object = None) -> object:
        """Send a request to zigbee2mqtt, and return the data of its response."""
        if payload is not None and not isinstance(payload, dict):
            raise NotAllowed(payload, "a map with the fields of the request")
        transaction = f"{self._transaction}-{next(self._transactions)}"
        reply = asyncio.get_running_loop().create_future()
        self._replies[transaction] = reply
        try:
            request = dump({**(payload or {}), "transaction": transaction})
            await self._connection.publish(f"{self._base}/bridge/request/{what}", request)
            async with asyncio.timeout(_REPLY_TIMEOUT):
                response = await reply
        except TimeoutError:
            raise BridgeError(f"{what}: no response in {_REPLY_TIMEOUT:g} s") from None
        finally:
            del self._replies[transaction]
        if response.get("status") != "ok":
            raise BridgeError(f"{what}: {response.get('error', 'failed')}")
        return response.get("data")

    def _on_response(self, message: Message) -> None:
        response = parse(message.payload)
        if isinstance(response, dict):
            reply = self._replies.get(str(response.get("transaction")))
            if reply is not None and not reply.done():
                reply.set_result(response)

    # --- devices and groups -------------------------------------------------------------------

    def _on_devices(self, message: Message) -> None:
        if not message.payload:
            return  # an empty payload only removes the retained message
        self._described = {
            str(each["ieee_address"]): each
            for each in _maps(parse(message.payload))
            if "ieee_address" in each
        }
        self._declare()

    def _on_groups(self, message: Message) -> None:
        if not message.payload:
            return
        self._groups = [each for each in _maps(parse(message.payload)) if "id" in each]
        self._declare()

    def _declare(self) -> None:
        """Publish the changes of the descriptions of devices and groups.

        Thousands of devices are published in several turns of the loop.
        """
        self._declaration = self._declare_each()
        has_more = self._declare_some()
        if has_more and (self._declaring is None or self._declaring.done()):
            self._declaring = self._tree.registrations.start(self._declare_rest())

    def _declare_some(self) -> bool:
        """Publish changes for the time of a turn; return whether there may be more."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + _TURN
        return any(loop.time() >= ends for _ in self._declaration)

    async def _declare_rest(self) -> None:
        while self._declare_some():  # noqa: ASYNC110 - this works in each turn
            await asyncio.sleep(0)

    def _declare_each(self) -> Iterator[None]:
        """Publish the changes; yields after each device, and may be given up for newer ones."""
        wanted: dict[str, _Description] = {}
        described: set[str] = set()
        for address, description in self._descriptions():
            described.add(address)
            if self._is_valid(address, description, wanted):
                wanted[address] = description
            yield
        self._refused &= described
        for address in self._known.keys() - wanted.keys():
            self._available.pop(address, None)
            key = self._known[address].published.declared.key
            self._forget(address)
            self._tree.remove(key)
            yield
        for address, description in wanted.items():
            known = self._known.get(address)
            if known is not None and known.name != description.name:
                # First of all: two devices may have exchanged their names.
                self._released.add(address)
                self._tree.release(known.published.declared.key)
        for address, description in wanted.items():
            known = self._known.get(address)
            is_released = address in self._released
            if known is None or is_released or known.description != description:
                self._released.discard(address)
                self._put(address, description)
            elif known.subscribed != self._subscribed(description.name):
                self._subscribe_again(address, known)
            yield
        self._ask_soon()

    def _descriptions(self) -> Iterator[tuple[str, _Description]]:
        for address, each in self._described.items():
            if each.get("type") != "Coordinator" and not each.get("disabled"):
                name = str(each.get("friendly_name") or address)
                definition = as_map(each.get("definition"))
                exposes = definition.get("exposes") or []
                yield address, _Description(name, exposes, _facts_of(each, definition))
        for group in self._groups:
            name = str(group.get("friendly_name") or group["id"])
            facts = {"kind": "group", "members": len(_maps(group.get("members")))}
            exposes = self._shared_exposes(group)
            yield f"group {group['id']}", _Description(name, exposes, facts)

    def _is_valid(self, address: str, description: _Description, others: Collection[str]) -> bool:
        """Whether a device can be shown beside others; if not, this logs it once."""
        try:
            self._tree.check_room(address, others)
            check_topic(f"{self._base}/{description.name}/set")
        except TooManyDevices as error:
            if not self._is_full:
                self._is_full = True
                _log.warning("%s: %s", self._base, error)
            return False
        except ValueError as error:
            if address not in self._refused:
                self._refused.add(address)
                reason = safe_str(error, 300)
                _log.warning("%s has a name that can't be used: %s", shorten(address, 80), reason)
            return False
        self._refused.discard(address)
        return True

    def _put(self, address: str, description: _Description) -> None:
        name, exposes, facts = description
        values, unread = read_exposes(exposes)
        if unread:
            _log.warning("%s: can't read %s", name, ", ".join(first_names(unread)))
        exposed = {each.key: each for each in values}
        published = self._tree.put(
            Device(
                address,
                name,
                {**facts, "unread": first_names(unread) or None},
                properties=tuple(self._properties(name, values)),
                events=tuple(each.key for each in values if each.is_event),
                actions=tuple(self._actions_of(address, name, values)),
                source=self._base,
            )
        )
        before = self._known.get(address)
        subscribed = self._subscribed(name)
        known = _Known(description, exposed, published, [], subscribed)
        if before is not None and before.subscribed == subscribed:
            self._known[address] = known._replace(subscriptions=before.subscriptions)
        else:
            self._subscribe_again(address, known)
        self._show_online(address, known)

    def _subscribed(self, name: str) -> tuple[object, ...]:
        """Return the parameters on which the subscriptions of a device depend."""
        return name, self._reports_attributes

    def _subscribe_again(self, address: str, known: _Known) -> None:
        if address in self._known:
            self._forget(address)
        self._known[address] = known._replace(
            subscriptions=self._subscribe(address, known.name),
            subscribed=self._subscribed(known.name),
        )

    def _subscribe(self, address: str, name: str) -> list[Subscription]:
        # Each message is handled, since one may contain only a part of the values.
        topic = f"{self._base}/{name}"
        report = functools.partial(self._on_report, address)
        subscribe = self._connection.subscribe
        subscriptions = [
            subscribe(topic, report, events=True),
            subscribe(f"{topic}/availability", functools.partial(self._on_availability, address)),
        ]
        if self._reports_attributes:
            attribute = functools.partial(self._on_attribute, address)
            subscriptions.append(subscribe(f"{topic}/+", attribute, events=True))
        return subscriptions

    def _forget(self, address: str) -> None:
        for subscription in self._known.pop(address).subscriptions:
            subscription.cancel()

    def _shared_exposes(self, group: Mapping[str, Any]) -> list[object]:
        """Return the exposed lights, switches and so on that all members of a group have."""
        members = [
            self._described.get(str(member.get("ieee_address")), {})
            for member in _maps(group.get("members"))
        ]
        by_type = [
            {
                str(each.get("type")): each
                for each in _maps(as_map(member.get("definition")).get("exposes"))
            }
            for member in members
        ]
        if not by_type:
            return []
        shared = set(by_type[0]).intersection(*by_type[1:])
        return [
            by_type[0][kind]
            for kind in ("light", "switch", "cover", "lock", "fan")
            if kind in shared
        ]

    def _properties(self, name: str, values: Iterable[Exposed]) -> Iterator[Property]:
        for each in values:
            if each.is_reported and not each.is_event:
                settable = functools.partial(self._set, name, each) if each.is_settable else None
                yield Property(each.key, each.kind, settable)

    def _actions_of(self, address: str, name: str, values: list[Exposed]) -> Iterator[Action]:
        """Yield an action for each value that can only be set, and one that sets several."""
        for each in values:
            if each.is_settable and not each.is_reported:
                yield Action(each.key, functools.partial(self._do, name, each))
        settable = {each.key: each for each in values if each.is_settable}
        if len(settable) > 1 and "set" not in settable:
            yield Action("set", functools.partial(self._set_several, address, settable))

    # --- to devices ---------------------------------------------------------------------------

    def _set(self, name: str, exposed: Exposed, value: object) -> Awaitable[object]:
        return self._send(name, {exposed.key: exposed.to_wire(value)})

    async def _do(self, name: str, exposed: Exposed, *arguments: object) -> None:
        choices = getattr(exposed.kind, "choices", ())
        if not arguments and len(choices) == 1:
            arguments = choices
        if len(arguments) != 1:
            allowed = f"one of {', '.join(map(repr, choices))}" if choices else "one argument"
            raise NotAllowed(list(arguments), allowed)
        await self._set(name, exposed, exposed.kind.check(arguments[0]))

    async def _set_several(
        self, address: str, settable: Mapping[str, Exposed], values: object = None
    ) -> None:
        known = self._known[address]
        checked = {}
        for key, value in check_keys(values, settable).items():
            try:
                checked[key] = settable[key].kind.check(value)
            except NotAllowed as error:
                place = f"{key}.{error.name}" if error.name else key
                raise NotAllowed(error.value, error.allowed, place) from None
        sent = {key: settable[key].to_wire(value) for key, value in checked.items()}
        await known.published.send(checked, functools.partial(self._send, known.name, sent))

    def _send(self, name: str, values: Mapping[str, object]) -> Awaitable[object]:
        return self._connection.publish(f"{self._base}/{name}/set", dump(values))

    def _ask_soon(self) -> None:
        if self._asking is None or self._asking.done():
            self._asking = self._tree.registrations.start(self._ask_for_states())

    async def _ask_for_states(self) -> None:
        """Ask devices for their states if they have not reported since the bridge has connected.

        zigbee2mqtt retains only the messages of devices that are configured so, and changes
        during an outage are not known.
        """
        await asyncio.sleep(_ASK_AFTER)
        for known in list(self._known.values()):
            keys = [each.key for each in known.exposed.values() if each.is_gettable]
            main = next(
                (key for key in keys if key.partition("_")[0] in ("state", "position")), None
            )
            has_reported = known.published.reported_at >= self._connected_at
            if main is None or has_reported or not self._connection.connected:
                continue
            try:
                await self._connection.publish(f"{self._base}/{known.name}/get", dump({main: ""}))
            except BridgeError as error:
                _log.warning("%s", error)
            await asyncio.sleep(_ASK_EVERY)

    # --- from devices -------------------------------------------------------------------------

    def _on_report(self, address: str, message: Message) -> Awaitable[object] | None:
        if not message.payload:
            return None  # an empty payload only removes the retained message
        values = parse(message.payload)
        known = self._known.get(address)
        if known is None or not isinstance(values, dict):
            return None
        return self._report(address, known, values, message.retained)

    def _on_attribute(self, address: str, message: Message) -> Awaitable[object] | None:
        known = self._known.get(address)
        key = message.topic.rpartition("/")[2]
        if known is None or key not in known.exposed:
            return None
        try:
            value = parse(message.payload)
        except ValueError:
            value = message.payload.decode(errors="replace")
        return self._report(address, known, {key: value}, message.retained)

    def _report(
        self, address: str, known: _Known, values: Mapping[str, Any], retained: bool
    ) -> Awaitable[object] | None:
        reported: dict[str, object] = {}
        happened: list[tuple[str, object]] = []
        for key, value in values.items():
            exposed = known.exposed.get(key)
            if exposed is None or value is None:
                continue
            if exposed.is_event:
                happened.append((key, value))
                continue
            try:
                reported[key] = exposed.from_wire(value)
            except WrongKind:
                reported[key] = value  # its state logs it
        known.published.report(reported)
        emitted: Awaitable[object] | None = None
        for key, value in happened:
            if value != "" and not retained and not self._is_repeated(address, key, values):
                emitted = known.published.emit(key, value)
        return emitted

    def _is_repeated(self, address: str, key: str, values: Mapping[str, Any]) -> bool:
        """Whether an action was received a moment ago: remotes send it several times."""
        transaction = values.get("action_transaction")
        if not isinstance(transaction, int | str):
            return False
        now = asyncio.get_running_loop().time()
        # The oldest ones are first.
        while self._actions and now - next(iter(self._actions.values())) >= _REPEAT_WITHIN:
            del self._actions[next(iter(self._actions))]
        is_repeated = self._actions.pop((address, (key, transaction)), None) is not None
        self._actions[address, (key, transaction)] = now
        return is_repeated

    def _on_availability(self, address: str, message: Message) -> None:
        known = self._known.get(address)
        if known is not None:
            self._available[address] = _availability(message.payload)
            self._show_online(address, known)


def _availability(payload: bytes) -> bool | None:
    """Return the availability: `online` or `offline`, as text or as a state in JSON."""
    text = payload.decode(errors="replace")
    if text.startswith("{"):
        text = str(as_map(parse(payload)).get("state"))
    return {"online": True, "offline": False}.get(text)


def _maps(value: object) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _facts_of(device: Mapping[str, Any], definition: Mapping[str, Any]) -> Mapping[str, object]:
    return {
        "kind": "zigbee",
        "model": definition.get("model") or device.get("model_id"),
        "vendor": definition.get("vendor") or device.get("manufacturer"),
        "description": device.get("description") or definition.get("description"),
        "firmware": device.get("software_build_id"),
        "power": device.get("power_source"),
    }
