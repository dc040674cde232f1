"""Reads the JSON of discovery messages: topics, abbreviations, and messages for whole devices.

The format: https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from eshet.bridges.mqtt.discovery.abbreviations import ABBREVIATIONS, DEVICE, ORIGIN
from eshet.bridges.mqtt.discovery.parts import UnreadableEntity

__all__ = ["EntityConfig", "configs_in"]

_SHARED: Final = (
    "availability",
    "availability_mode",
    "availability_template",
    "availability_topic",
    "command_topic",
    "encoding",
    "payload_available",
    "payload_not_available",
    "qos",
    "state_topic",
)
"""The options that a message for a whole device may have once for all its entities."""


@dataclass(frozen=True)
class EntityConfig:
    """The configuration of one entity.

    Args:
        key: identifies it within its prefix, such as `"sensor/0x12/temperature"`.
        component: such as `"sensor"`.
        name: the last level of its topic, or its name in the message of its device.
        options: its options, by their full names.
        device: facts about its device, by full names.
        origin: the name of the program that wrote the message; empty if not given.
    """

    key: str
    component: str
    name: str
    options: Mapping[str, Any]
    device: Mapping[str, Any]
    origin: str


def configs_in(topic: str, message: object) -> Iterator[EntityConfig]:
    """Yield the configurations of the entities in a message.

    Args:
        topic: without the prefix and without `/config`, such as `"sensor/0x12/temperature"`.
        message: the value of its JSON.

    Raises:
        UnreadableEntity: it is not a discovery message; the text says why.
    """
    component, _, rest = topic.partition("/")
    if not isinstance(message, dict):
        raise UnreadableEntity("the message is not a JSON object")
    options = _expanded(message, ABBREVIATIONS)
    device = options.pop("device", None) or {}
    origin = options.pop("origin", None) or {}
    if not isinstance(device, dict) or not isinstance(origin, dict):
        raise UnreadableEntity("`device` or `origin` is not a JSON object")
    device = _expanded(device, DEVICE)
    program = str(_expanded(origin, ORIGIN).get("name", ""))
    if component != "device":
        name = rest.rpartition("/")[2]
        yield EntityConfig(topic, component, name, _with_base(options), device, program)
        return
    components = options.pop("components", None)
    if not isinstance(components, dict):
        raise UnreadableEntity("the message of a device has no `components`")
    shared = {name: value for name, value in options.items() if name in _SHARED or name == "~"}
    for name, each in components.items():
        if not isinstance(each, dict):
            raise UnreadableEntity(f"the component {name!r} is not a JSON object")
        own = _expanded(each, ABBREVIATIONS)
        kind = own.pop("platform", None)
        if not isinstance(kind, str):
            raise UnreadableEntity(f"the component {name!r} has no `platform`")
        if own:  # without other options, the message removes the component
            merged = _with_base({**shared, **own})
            yield EntityConfig(f"{topic}/{name}", kind, str(name), merged, device, program)


def _expanded(options: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in options.items()}


def _with_base(options: dict[str, Any]) -> dict[str, Any]:
    """Replace `~` at the beginning or the end of topics by the base topic."""
    base = options.pop("~", None)
    availability = options.get("availability")
    if isinstance(availability, dict):
        availability = [availability]
    if isinstance(availability, list):
        options["availability"] = [
            _topics_with_base(_expanded(each, ABBREVIATIONS), base)
            for each in availability
            if isinstance(each, dict)
        ]
    else:
        options.pop("availability", None)
    return _topics_with_base(options, base)


def _topics_with_base(options: dict[str, Any], base: object) -> dict[str, Any]:
    if not isinstance(base, str):
        return options
    replaced = dict(options)
    for name, value in options.items():
        if name.endswith("topic") and isinstance(value, str):
            if value.startswith("~"):
                replaced[name] = f"{base}{value[1:]}"
            elif value.endswith("~"):
                replaced[name] = f"{value[:-1]}{base}"
    return replaced
