"""Components with one value."""

from typing import Final

from eshet.bridges.kinds import Flag, Kind, Number, Text
from eshet.bridges.mqtt.discovery.options import (
    Options,
    command_of,
    flag_reader,
    flag_writer,
    parts_with,
    read_number,
    read_text,
    reading_of,
    texts_in,
    write_number,
)
from eshet.bridges.mqtt.discovery.parts import Parts, Trigger, Value
from eshet.bridges.mqtt.json_text import parse

__all__ = [
    "binary_sensor_parts",
    "button_parts",
    "device_automation_parts",
    "event_parts",
    "number_parts",
    "select_parts",
    "sensor_parts",
    "switch_parts",
    "text_parts",
]

_NOT_NUMBERS: Final = frozenset({"date", "enum", "timestamp"})
"""The classes of sensors with texts as values."""


def sensor_parts(options: Options) -> Parts:
    """Return the value of a sensor, which is a number if its options say so."""
    device_class = options.get("device_class")
    choices = texts_in(options.get("options") or ())
    is_number = (
        device_class not in _NOT_NUMBERS
        and not choices
        and bool(options.get("unit_of_measurement") or options.get("state_class") or device_class)
    )
    kind: Kind = Text(choices)
    if is_number:
        kind = Number(unit=str(options.get("unit_of_measurement") or ""))
    return parts_with(Value("", kind, reading_of(options, read_number if is_number else read_text)))


def binary_sensor_parts(options: Options) -> Parts:
    """Return the value of a sensor that is on or off."""
    on, off = options.get("payload_on", "ON"), options.get("payload_off", "OFF")
    return parts_with(Value("", Flag(), reading_of(options, flag_reader(on, off))))


def switch_parts(options: Options) -> Parts:
    """Return the value of a switch."""
    on, off = options.get("payload_on", "ON"), options.get("payload_off", "OFF")
    shown = flag_reader(options.get("state_on", on), options.get("state_off", off))
    return parts_with(
        Value("", Flag(), reading_of(options, shown), command_of(options, flag_writer(on, off)))
    )


def number_parts(options: Options) -> Parts:
    """Return the value of a number that can be set."""
    kind = Number(
        float(options.get("min", 1)),
        float(options.get("max", 100)),
        float(options.get("step", 1)) or None,
        unit=str(options.get("unit_of_measurement") or ""),
    )
    return parts_with(
        Value("", kind, reading_of(options, read_number), command_of(options, write_number))
    )


def select_parts(options: Options) -> Parts:
    """Return the value of a select, one of several texts."""
    kind = Text(texts_in(options["options"]))
    return parts_with(Value("", kind, reading_of(options, read_text), command_of(options, str)))


def text_parts(options: Options) -> Parts:
    """Return the value of a text that can be set."""
    kind = Text(max_length=int(options.get("max", 255)))
    return parts_with(Value("", kind, reading_of(options, str), command_of(options, str)))


def button_parts(options: Options) -> Parts:
    """Return the action of a button."""
    payload = str(options.get("payload_press", "PRESS"))
    command = command_of(options, lambda _: payload)
    return Parts(presses=[("", command)] if command else [])


def event_parts(options: Options) -> Parts:
    """Return an event with its type as the payload."""
    kinds = frozenset(texts_in(options["event_types"]))

    def convert(text: str) -> object:
        event = parse(text)
        kind = event.get("event_type") if isinstance(event, dict) else None
        if kind not in kinds:
            raise ValueError(f"the event_type {str(kind)[:80]!r}, which is not declared")
        return kind

    reading = reading_of(options, convert)
    return Parts(triggers=[Trigger("", reading)] if reading else [])


def device_automation_parts(options: Options) -> Parts:
    """Return the event of a trigger of a device."""
    payload = options.get("payload")
    happened = {"type": str(options["type"]), "subtype": str(options["subtype"])}

    def convert(text: str) -> object:
        return happened if payload is None or text == str(payload) else None

    reading = reading_of(options, convert, "topic")
    return Parts(triggers=[Trigger("action", reading)] if reading else [])
