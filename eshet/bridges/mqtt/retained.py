"""Finds commands that a broker has stored as retained messages, and removes them.

The broker sends a stored command again whenever its device connects: a lamp comes on by itself
after a power failure, or a heater returns to an old setting. No program should publish commands as
retained messages; the modules of this package never do.
"""

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from eshet.bridges.exceptions import BridgeError
from eshet.bridges.mqtt.broker import (
    AT_LEAST_ONCE,
    Broker,
    BrokerError,
    Loss,
    Message,
    OnLost,
    OnMessage,
)
from eshet.bridges.mqtt.discovery.config import configs_in
from eshet.bridges.mqtt.json_text import as_map, parse
from eshet.bridges.mqtt.outbox import Outbox
from eshet.bridges.settings import MqttSettings

__all__ = ["RetainedCommand", "clear", "find_commands", "read_retained"]

_SHELLY_COMMAND: Final = re.compile(r"shelly[^/]*/command|.+/command/[a-z_0-9]+:\d+")
"""Topics of commands for Shelly devices of generation 2 and later, without the RPC."""

_ESPHOME_COMMAND: Final = re.compile(
    r".+/(alarm_control_panel|button|climate|cover|date|datetime|fan|light|lock|number|select|switch|"
    r"text|time|update|valve)/[^/]+/(.+/)?command"
)

_SENDER: Final = "find the program that publishes it, and turn retain off there"


class RetainedCommand(NamedTuple):
    """A stored command.

    Args:
        topic: its topic.
        payload: the content.
        family: of the device, such as `"Tasmota"`.
        advice: how to prevent that it is stored again.
    """

    topic: str
    payload: bytes
    family: str
    advice: str


async def read_retained(broker: Broker, seconds: float) -> dict[str, bytes]:
    """Connect to a broker, and return the payloads of all retained messages, by topic.

    Args:
        broker: not connected; its client id must not be in use.
        seconds: how long to wait for the messages.

    Raises:
        BridgeError: the broker can't be reached, refuses the client, or the connection was lost.
    """
    found: dict[str, bytes] = {}
    lost: asyncio.Future[Loss] = asyncio.get_running_loop().create_future()

    def receive(message: Message) -> None:
        if message.retained:
            found[message.topic] = message.payload
        broker.acknowledge(message)

    await _connect(broker, receive, lost.set_result)
    try:
        if refused := await broker.subscribe(["#"]):
            raise BridgeError(f"{broker} does not show all its topics to this user: {refused['#']}")
        await asyncio.wait([lost], timeout=seconds)
        if lost.done():
            raise BridgeError(f"{broker}: the connection was lost: {lost.result().reason}")
    finally:
        await broker.close()
    return found


async def clear(broker: Broker, commands: Iterable[RetainedCommand]) -> None:
    """Connect to a broker, and remove stored commands from it.

    Args:
        broker: not connected; its client id must not be in use.
        commands: see `find_commands`.

    Raises:
        BridgeError: the broker can't be reached or refuses it, or the connection was lost.
    """
    await _connect(broker, broker.acknowledge, lambda _: None)
    outbox = Outbox(broker, lambda: "the connection was lost")
    outbox.open()
    try:
        for command in commands:
            await outbox.put(Message(command.topic, b"", retained=True, qos=AT_LEAST_ONCE))
    finally:
        outbox.close()
        await broker.close()


async def _connect(broker: Broker, on_message: OnMessage, on_lost: OnLost) -> None:
    try:
        await broker.connect(on_message, on_lost, None, resume=False)
    except BrokerError as error:
        raise BridgeError(f"can't connect to {broker}: {error}") from None


def find_commands(
    retained: Mapping[str, bytes],
    settings: MqttSettings = MqttSettings(),  # noqa: B008 - frozen
) -> list[RetainedCommand]:
    """Return the commands among retained messages, in the order of their topics.

    Args:
        retained: payloads by topic.
        settings: of the bridge: the base topics of zigbee2mqtt, and the prefixes of discovery.
    """
    announced = dict(_announced(retained, settings))
    prefixes = {"cmnd", *_tasmota_prefixes(retained)}
    families: list[tuple[Callable[[str, bytes], bool], str, str]] = [
        (lambda topic, _: _is_zigbee2mqtt(topic, settings), "zigbee2mqtt", _SENDER),
        (
            lambda topic, _: not prefixes.isdisjoint(topic.split("/")),
            "Tasmota",
            "on the device that publishes it: ButtonRetain 0 and SwitchRetain 0, and in its rules "
            "Publish in place of Publish2",
        ),
        (_is_shelly, "Shelly", _SENDER),
        (
            lambda topic, _: _ESPHOME_COMMAND.fullmatch(topic) is not None,
            "ESPHome",
            "in the configuration of the program that publishes it: retain: false for mqtt.publish",
        ),
        (lambda topic, _: _is_ours(topic), "eshet", _SENDER),
    ]
    found = []
    for topic, payload in sorted(retained.items()):
        if not payload:
            continue
        for is_command, family, advice in families:
            if is_command(topic, payload):
                found.append(
                    RetainedCommand(topic, payload, family, announced.get(topic) or advice)
                )
                break
        else:
            if topic in announced:
                advice = announced[topic] or _SENDER
                found.append(RetainedCommand(topic, payload, "discovery", advice))
    return found


def _is_zigbee2mqtt(topic: str, settings: MqttSettings) -> bool:
    for base in settings.zigbee2mqtt:
        name = topic.removeprefix(f"{base}/")
        if name != topic:
            last = name.split("/")[1:][-2:]  # `set`, or `set` and a property
            return "set" in last or "get" in last or name.startswith("bridge/request/")
    return False


def _is_shelly(topic: str, payload: bytes) -> bool:
    levels = topic.split("/")
    if levels[0] == "shellies":
        return not {"command", "set"}.isdisjoint(levels)
    if levels[-1] == "rpc":
        return "method" in as_map(_parsed(payload))
    return _SHELLY_COMMAND.fullmatch(topic) is not None


def _is_ours(topic: str) -> bool:
    return topic.startswith("eshet/") and topic.endswith("/set")


def _announced(
    retained: Mapping[str, bytes], settings: MqttSettings
) -> Iterator[tuple[str, str | None]]:
    """Yield the topics of commands in announcements, with advice if these make them retained."""
    for prefix in settings.discovery:
        for topic, payload in retained.items():
            inner = topic.removeprefix(f"{prefix}/").removesuffix("/config")
            if not (topic.startswith(f"{prefix}/") and topic.endswith("/config")):
                continue
            try:
                configs = list(configs_in(inner, _parsed(payload)))
            except BridgeError:
                continue
            for config in configs:
                is_wrong = config.options.get("retain") is True
                advice = f'its announcement has "retain": true, see {topic}' if is_wrong else None
                for name, command in config.options.items():
                    is_command = name.endswith("command_topic") or name == "set_position_topic"
                    if is_command and isinstance(command, str):
                        yield command, advice


def _tasmota_prefixes(retained: Mapping[str, bytes]) -> Iterator[str]:
    """Yield the prefixes of commands that Tasmota devices announce, by default `cmnd`."""
    for topic, payload in retained.items():
        if topic.startswith("tasmota/discovery/") and topic.endswith("/config"):
            prefixes = as_map(_parsed(payload)).get("tp")
            if isinstance(prefixes, list) and prefixes and isinstance(prefixes[0], str):
                yield prefixes[0]


def _parsed(payload: bytes) -> object:
    try:
        return parse(payload)
    except ValueError:
        return None
