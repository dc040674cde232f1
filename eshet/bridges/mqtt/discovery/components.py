"""The values, commands and triggers of each component of Home Assistant's discovery.

The options of each: https://www.home-assistant.io/integrations/#mqtt, such as `sensor.mqtt`. An
option that is not read here changes only how Home Assistant shows an entity.
"""

from collections.abc import Callable, Mapping
from typing import Final

from eshet.bridges.mqtt.discovery.appliances import (
    climate_parts,
    cover_parts,
    fan_parts,
    lock_parts,
)
from eshet.bridges.mqtt.discovery.lights import light_parts
from eshet.bridges.mqtt.discovery.options import Options
from eshet.bridges.mqtt.discovery.parts import (
    Parts,
    UnreadableEntity,
)
from eshet.bridges.mqtt.discovery.single import (
    binary_sensor_parts,
    button_parts,
    device_automation_parts,
    event_parts,
    number_parts,
    select_parts,
    sensor_parts,
    switch_parts,
    text_parts,
)

__all__ = ["COMPONENTS", "parts_of"]

COMPONENTS: Final[Mapping[str, Callable[[Options], Parts]]] = {
    "binary_sensor": binary_sensor_parts,
    "button": button_parts,
    "climate": climate_parts,
    "cover": cover_parts,
    "device_automation": device_automation_parts,
    "event": event_parts,
    "fan": fan_parts,
    "light": light_parts,
    "lock": lock_parts,
    "number": number_parts,
    "select": select_parts,
    "sensor": sensor_parts,
    "switch": switch_parts,
    "text": text_parts,
}
"""The function that reads the options of each supported component."""


def parts_of(component: str, options: Options) -> Parts:
    """Return the values, commands and triggers of an entity.

    Args:
        component: such as `"sensor"`.
        options: its options, by their full names.

    Raises:
        UnreadableEntity: the component is not supported, or an option that it needs is missing.
    """
    read = COMPONENTS.get(component)
    if read is None:
        raise UnreadableEntity(f"the component {component!r} is not supported")
    try:
        parts = read(options)
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnreadableEntity(f"{component}: {type(error).__name__}: {error}") from None
    if not (parts.values or parts.presses or parts.triggers):
        raise UnreadableEntity(f"{component}: no topic is configured")
    return parts
