"""Lights, with a topic for each value or with JSON."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from eshet.bridges.kinds import Flag, Number, Record, Text
from eshet.bridges.mqtt.discovery.options import (
    Options,
    choice,
    command_of,
    flag_reader,
    flag_writer,
    parts_with,
    reading_of,
    texts_in,
    write_number,
)
from eshet.bridges.mqtt.discovery.parts import (
    Command,
    Parts,
    Reading,
    Value,
)
from eshet.bridges.mqtt.json_text import parse
from eshet.unknown import Unknown

__all__ = ["light_parts"]

_MIRED: Final = (153, 500)
"""The default range of colour temperatures, in mired."""


def light_parts(options: Options) -> Parts:
    """Return the values of a light.

    Raises:
        ValueError: its schema is not supported.
    """
    schema = options.get("schema", "basic")
    if schema == "json":
        return _json_light(options)
    if schema not in ("basic", "default"):
        raise ValueError(f"the schema {schema!r} is not supported")
    on, off = options.get("payload_on", "ON"), options.get("payload_off", "OFF")
    scale = float(options.get("brightness_scale", 255))
    as_kelvin = bool(options.get("color_temp_kelvin"))
    return parts_with(
        Value(
            "state",
            Flag(),
            reading_of(options, flag_reader(on, off), template="state_value_template"),
            command_of(options, flag_writer(on, off)),
        ),
        Value(
            "brightness",
            Number(0, 1),
            reading_of(
                options,
                lambda text: float(text) / scale,
                "brightness_state_topic",
                "brightness_value_template",
            ),
            command_of(
                options,
                lambda value: str(round(value * scale)),
                "brightness_command_topic",
                "brightness_command_template",
            ),
        ),
        Value(
            "color_temp",
            _color_temp_kind(options),
            reading_of(
                options,
                lambda text: float(text) if as_kelvin else _inverse(float(text)),
                "color_temp_state_topic",
                "color_temp_value_template",
            ),
            command_of(
                options,
                lambda value: write_number(value if as_kelvin else _inverse(value)),
                "color_temp_command_topic",
                "color_temp_command_template",
            ),
        ),
        Value(
            "rgb",
            Record({name: Number(0, 255, whole=True) for name in "rgb"}),
            reading_of(options, _rgb, "rgb_state_topic", "rgb_value_template"),
            command_of(
                options,
                lambda color: ",".join(str(color.get(name, 0)) for name in "rgb"),
                "rgb_command_topic",
                "rgb_command_template",
            ),
        ),
        choice(options, "effect", "effect_list"),
    )


def _json_light(options: Options) -> Parts:
    scale = float(options.get("brightness_scale", 255))
    as_kelvin = bool(options.get("color_temp_kelvin"))
    modes = frozenset(texts_in(options.get("supported_color_modes") or ()))

    def reading(convert: Callable[[Mapping[str, Any]], object]) -> Reading | None:
        def convert_text(text: str) -> object:
            state = parse(text)
            if not isinstance(state, dict):
                raise TypeError(f"{text[:80]!r} instead of a JSON object")
            return convert(state)

        return reading_of(options, convert_text, template="")

    def command(convert: Callable[[Any], Mapping[str, object]]) -> Command | None:
        return command_of(options, lambda value: dict(convert(value)), template="")

    def state(message: Mapping[str, Any]) -> object:
        if "state" not in message:
            return None
        if message["state"] is None:
            return Unknown
        return flag_reader("ON", "OFF")(str(message["state"]))

    values = [
        Value("state", Flag(), reading(state), command(lambda on: {"state": "ON" if on else "OFF"}))
    ]
    if options.get("brightness") or modes - {"onoff", "unknown"}:
        values.append(
            Value(
                "brightness",
                Number(0, 1),
                reading(lambda message: _scaled(message.get("brightness"), 1 / scale)),
                command(lambda value: {"state": "ON", "brightness": round(value * scale)}),
            )
        )
    if "color_temp" in modes:
        values.append(
            Value(
                "color_temp",
                _color_temp_kind(options),
                reading(lambda message: _kelvin(message.get("color_temp"), as_kelvin)),
                command(
                    lambda value: {
                        "state": "ON",
                        "color_temp": round(value) if as_kelvin else _inverse(value),
                    }
                ),
            )
        )
    fields = _color_fields(modes)
    if fields:
        values.append(
            Value(
                "color",
                Record({name: Number() for name in fields}),
                reading(lambda message: message.get("color")),
                command(lambda color: {"state": "ON", "color": color}),
            )
        )
    if options.get("effect_list"):
        values.append(
            Value(
                "effect",
                Text(texts_in(options["effect_list"])),
                reading(lambda message: message.get("effect")),
                command(lambda effect: {"state": "ON", "effect": effect}),
            )
        )
    return parts_with(*values)


def _color_fields(modes: frozenset[str]) -> str:
    """Return the names of the components of a colour, one letter each."""
    return "".join(mode for mode in ("xy", "hs") if mode in modes) or (
        "rgb" if modes & {"rgb", "rgbw", "rgbww"} else ""
    )


def _color_temp_kind(options: Options) -> Number:
    warmest = options.get("min_kelvin") or _inverse(float(options.get("max_mireds", _MIRED[1])))
    coldest = options.get("max_kelvin") or _inverse(float(options.get("min_mireds", _MIRED[0])))
    return Number(float(warmest), float(coldest), unit="K")


def _inverse(value: float) -> int:
    """Return mired as kelvin, or kelvin as mired."""
    return round(1_000_000 / value)


def _kelvin(value: object, as_kelvin: bool) -> object:
    if not isinstance(value, int | float) or value <= 0:
        return None
    return value if as_kelvin else _inverse(value)


def _scaled(value: object, factor: float) -> object:
    return value * factor if isinstance(value, int | float) else None


def _rgb(text: str) -> object:
    red, green, blue = map(int, text.split(","))
    return {"r": red, "g": green, "b": blue}
