"""What each component of Home Assistant's discovery has.

The options of each: https://www.home-assistant.io/integrations/#mqtt, such as `sensor.mqtt`. An
option that is not read here changes only how Home Assistant shows an entity.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from eshet.bridges.kinds import Flag, Kind, Number, Record, Text
from eshet.bridges.mqtt.discovery.parts import (
    Command,
    Parts,
    Reading,
    Trigger,
    UnreadableEntity,
    Value,
)
from eshet.bridges.mqtt.filters import check_topic
from eshet.bridges.mqtt.json_text import parse
from eshet.text import safe_repr
from eshet.unknown import Unknown

__all__ = ["COMPONENTS", "parts_of"]

Options = Mapping[str, Any]

_NOT_NUMBERS: Final = frozenset({"date", "enum", "timestamp"})
"""The classes of sensors whose values are texts."""

_MIRED: Final = (153, 500)
"""The default range of colour temperatures, in mired."""


def parts_of(component: str, options: Options) -> Parts:
    """Return what an entity has.

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


# --- options ------------------------------------------------------------------------------------


def _reading(
    options: Options,
    convert: Callable[[str], object],
    topic: str = "state_topic",
    template: str = "value_template",
) -> Reading | None:
    if not options.get(topic):
        return None
    return Reading(_topic(options[topic]), str(options.get(template) or ""), convert)


def _command(
    options: Options,
    convert: Callable[[Any], object],
    topic: str = "command_topic",
    template: str = "command_template",
) -> Command | None:
    if not options.get(topic):
        return None
    return Command(_topic(options[topic]), convert, str(options.get(template) or ""))


def _topic(topic: Any) -> str:
    if not isinstance(topic, str):
        raise TypeError(f"{safe_repr(topic, 80)} instead of a topic")
    check_topic(topic)
    return topic


def _texts(items: Any) -> tuple[str, ...]:
    if not isinstance(items, list | tuple):
        raise TypeError(f"{safe_repr(items, 80)} instead of a list")
    return tuple(map(str, items))


def _values(*values: Value) -> Parts:
    return Parts([each for each in values if each.reading or each.command])


def _number(text: str) -> object:
    """Return a number as it is written; `None` means that there is none."""
    if text in ("None", "", "unknown", "unavailable"):
        return Unknown
    return float(text)


def _text(text: str) -> object:
    return Unknown if text == "None" else text


def _flag(on: object, off: object) -> Callable[[str], object]:
    """Return what converts the texts for on and off; as in templates, true is `True`."""
    on_text, off_text = str(on), str(off)

    def convert(text: str) -> object:
        if text == on_text:
            return True
        if text == off_text:
            return False
        return Unknown if text == "None" else _wrong(text, on_text, off_text)

    return convert


def _wrong(text: str, on: str, off: str) -> object:
    raise ValueError(f"{text[:80]!r} instead of {on!r} or {off!r}")


def _either(on: object, off: object) -> Callable[[Any], object]:
    return lambda value: str(on if value else off)


def _plain(value: float) -> str:
    """Return a number without a needless fraction, as Home Assistant sends it."""
    return str(int(value)) if float(value).is_integer() else str(value)


# --- components of one value --------------------------------------------------------------------


def _sensor(options: Options) -> Parts:
    device_class = options.get("device_class")
    choices = _texts(options.get("options") or ())
    is_number = (
        device_class not in _NOT_NUMBERS
        and not choices
        and bool(options.get("unit_of_measurement") or options.get("state_class") or device_class)
    )
    kind: Kind = Text(choices)
    if is_number:
        kind = Number(unit=str(options.get("unit_of_measurement") or ""))
    return _values(Value("", kind, _reading(options, _number if is_number else _text)))


def _binary_sensor(options: Options) -> Parts:
    on, off = options.get("payload_on", "ON"), options.get("payload_off", "OFF")
    return _values(Value("", Flag(), _reading(options, _flag(on, off))))


def _switch(options: Options) -> Parts:
    on, off = options.get("payload_on", "ON"), options.get("payload_off", "OFF")
    shown = _flag(options.get("state_on", on), options.get("state_off", off))
    return _values(Value("", Flag(), _reading(options, shown), _command(options, _either(on, off))))


def _number_entity(options: Options) -> Parts:
    kind = Number(
        float(options.get("min", 1)),
        float(options.get("max", 100)),
        float(options.get("step", 1)) or None,
        unit=str(options.get("unit_of_measurement") or ""),
    )
    return _values(Value("", kind, _reading(options, _number), _command(options, _plain)))


def _select(options: Options) -> Parts:
    kind = Text(_texts(options["options"]))
    return _values(Value("", kind, _reading(options, _text), _command(options, str)))


def _text_entity(options: Options) -> Parts:
    kind = Text(max_length=int(options.get("max", 255)))
    return _values(Value("", kind, _reading(options, str), _command(options, str)))


def _button(options: Options) -> Parts:
    payload = str(options.get("payload_press", "PRESS"))
    command = _command(options, lambda _: payload)
    return Parts(presses=[("", command)] if command else [])


def _event(options: Options) -> Parts:
    kinds = frozenset(_texts(options["event_types"]))

    def convert(text: str) -> object:
        event = parse(text)
        kind = event.get("event_type") if isinstance(event, dict) else None
        if kind not in kinds:
            raise ValueError(f"the event_type {str(kind)[:80]!r}, which is not declared")
        return kind

    reading = _reading(options, convert)
    return Parts(triggers=[Trigger("", reading)] if reading else [])


def _device_automation(options: Options) -> Parts:
    payload = options.get("payload")
    happened = {"type": str(options["type"]), "subtype": str(options["subtype"])}

    def convert(text: str) -> object:
        return happened if payload is None or text == str(payload) else None

    reading = _reading(options, convert, "topic")
    return Parts(triggers=[Trigger("action", reading)] if reading else [])


# --- components of several values ---------------------------------------------------------------


def _light(options: Options) -> Parts:
    schema = options.get("schema", "basic")
    if schema == "json":
        return _json_light(options)
    if schema not in ("basic", "default"):
        raise ValueError(f"the schema {schema!r} is not supported")
    on, off = options.get("payload_on", "ON"), options.get("payload_off", "OFF")
    scale = float(options.get("brightness_scale", 255))
    as_kelvin = bool(options.get("color_temp_kelvin"))
    return _values(
        Value(
            "state",
            Flag(),
            _reading(options, _flag(on, off), template="state_value_template"),
            _command(options, _either(on, off)),
        ),
        Value(
            "brightness",
            Number(0, 1),
            _reading(
                options,
                lambda text: float(text) / scale,
                "brightness_state_topic",
                "brightness_value_template",
            ),
            _command(
                options,
                lambda value: str(round(value * scale)),
                "brightness_command_topic",
                "brightness_command_template",
            ),
        ),
        Value(
            "color_temp",
            _color_temp_kind(options),
            _reading(
                options,
                lambda text: float(text) if as_kelvin else _inverse(float(text)),
                "color_temp_state_topic",
                "color_temp_value_template",
            ),
            _command(
                options,
                lambda value: _plain(value if as_kelvin else _inverse(value)),
                "color_temp_command_topic",
                "color_temp_command_template",
            ),
        ),
        Value(
            "rgb",
            Record({name: Number(0, 255, whole=True) for name in "rgb"}),
            _reading(options, _rgb, "rgb_state_topic", "rgb_value_template"),
            _command(
                options,
                lambda color: ",".join(str(color.get(name, 0)) for name in "rgb"),
                "rgb_command_topic",
                "rgb_command_template",
            ),
        ),
        _chosen(options, "effect", "effect_list"),
    )


def _json_light(options: Options) -> Parts:
    scale = float(options.get("brightness_scale", 255))
    as_kelvin = bool(options.get("color_temp_kelvin"))
    modes = frozenset(_texts(options.get("supported_color_modes") or ()))

    def reading(convert: Callable[[Mapping[str, Any]], object]) -> Reading | None:
        def convert_text(text: str) -> object:
            state = parse(text)
            if not isinstance(state, dict):
                raise TypeError(f"{text[:80]!r} instead of a JSON object")
            return convert(state)

        return _reading(options, convert_text, template="")

    def command(convert: Callable[[Any], Mapping[str, object]]) -> Command | None:
        return _command(options, lambda value: dict(convert(value)), template="")

    def state(message: Mapping[str, Any]) -> object:
        if "state" not in message:
            return None
        if message["state"] is None:
            return Unknown
        return _flag("ON", "OFF")(str(message["state"]))

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
                Text(_texts(options["effect_list"])),
                reading(lambda message: message.get("effect")),
                command(lambda effect: {"state": "ON", "effect": effect}),
            )
        )
    return _values(*values)


def _color_fields(modes: frozenset[str]) -> str:
    """Return the names of the parts of a colour, one letter each."""
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


def _chosen(options: Options, name: str, choices: str) -> Value:
    """Return a value that is one of several texts, with topics of its own."""
    return Value(
        name,
        Text(_texts(options.get(choices) or ())),
        _reading(options, _text, f"{name}_state_topic", f"{name}_value_template"),
        _command(options, str, f"{name}_command_topic", f"{name}_command_template"),
    )


def _cover(options: Options) -> Parts:
    opened = float(options.get("position_open", 100))
    closed = float(options.get("position_closed", 0))
    position = Value(
        "position",
        Number(0, 100, unit="%"),
        _reading(
            options,
            lambda text: round((float(text) - closed) / (opened - closed) * 100),
            "position_topic",
            "position_template",
        ),
        _command(
            options,
            lambda value: _plain(closed + value / 100 * (opened - closed)),
            "set_position_topic",
            "set_position_template",
        ),
    )
    tilt = Value(
        "tilt",
        Number(float(options.get("tilt_min", 0)), float(options.get("tilt_max", 100))),
        _reading(options, _number, "tilt_status_topic", "tilt_status_template"),
        _command(options, _plain, "tilt_command_topic", "tilt_command_template"),
    )
    states = {
        str(options.get(f"state_{state}", state)): state
        for state in ("open", "closed", "opening", "closing", "stopped")
    }
    state = Value(
        "state",
        Text(tuple(states.values())),
        _reading(options, lambda text: states.get(text, Unknown)),
    )
    parts = _values(state, position, tilt)
    for what in ("open", "close", "stop"):
        payload = options.get(f"payload_{what}", what.upper())
        command = _command(options, _always(payload), template="")
        if command is not None and payload is not None:
            parts.presses.append((what, command))
    return parts


def _always(payload: object) -> Callable[[Any], object]:
    return lambda _: str(payload)


def _climate(options: Options) -> Parts:
    unit = f"°{options.get('temperature_unit') or 'C'}"
    least, most = float(options.get("min_temp", 7)), float(options.get("max_temp", 35))
    wanted = Number(least, most, float(options.get("temp_step", 1)) or None, unit=unit)

    def target(name: str) -> Value:
        return Value(
            name,
            wanted,
            _reading(options, _number, f"{name}_state_topic", f"{name}_state_template"),
            _command(options, _plain, f"{name}_command_topic", f"{name}_command_template"),
        )

    def chosen(name: str, choices: str, default: tuple[str, ...]) -> Value:
        return Value(
            name,
            Text(_texts(options.get(choices) or default)),
            _reading(options, _text, f"{name}_state_topic", f"{name}_state_template"),
            _command(options, str, f"{name}_command_topic", f"{name}_command_template"),
        )

    modes = ("auto", "off", "cool", "heat", "dry", "fan_only")
    preset = Value(
        "preset_mode",
        Text(("none", *_texts(options.get("preset_modes") or ()))),
        _reading(options, _text, "preset_mode_state_topic", "preset_mode_value_template"),
        _command(options, str, "preset_mode_command_topic", "preset_mode_command_template"),
    )
    return _values(
        chosen("mode", "modes", modes),
        target("temperature"),
        target("temperature_low"),
        target("temperature_high"),
        chosen("fan_mode", "fan_modes", ("auto", "low", "medium", "high")),
        chosen("swing_mode", "swing_modes", ("on", "off")),
        preset,
        Value(
            "current_temperature",
            Number(unit=unit),
            _reading(options, _number, "current_temperature_topic", "current_temperature_template"),
        ),
        Value(
            "current_humidity",
            Number(unit="%"),
            _reading(options, _number, "current_humidity_topic", "current_humidity_template"),
        ),
        Value("action", Text(), _reading(options, _text, "action_topic", "action_template")),
    )


def _lock(options: Options) -> Parts:
    locked = str(options.get("state_locked", "LOCKED"))
    unlocked = str(options.get("state_unlocked", "UNLOCKED"))
    passing = {
        str(options.get(f"state_{state}", state.upper()))
        for state in ("locking", "unlocking", "jammed")
    }
    flag = _flag(locked, unlocked)

    def convert(text: str) -> object:
        return Unknown if text in passing else flag(text)

    on, off = options.get("payload_lock", "LOCK"), options.get("payload_unlock", "UNLOCK")
    parts = _values(
        Value("locked", Flag(), _reading(options, convert), _command(options, _either(on, off)))
    )
    if "payload_open" in options and (
        command := _command(options, _always(options["payload_open"]))
    ):
        parts.presses.append(("open", command))
    return parts


def _fan(options: Options) -> Parts:
    on, off = options.get("payload_on", "ON"), options.get("payload_off", "OFF")
    slowest, fastest = (
        float(options.get(f"speed_range_{end}", default))
        for end, default in (("min", 1), ("max", 100))
    )
    steps = fastest - slowest + 1
    turning = (
        options.get("payload_oscillation_on", "oscillate_on"),
        options.get("payload_oscillation_off", "oscillate_off"),
    )
    return _values(
        Value(
            "state",
            Flag(),
            _reading(options, _flag(on, off), template="state_value_template"),
            _command(options, _either(on, off)),
        ),
        Value(
            "percentage",
            Number(0, 100, unit="%"),
            _reading(
                options,
                lambda text: round((float(text) - slowest + 1) / steps * 100),
                "percentage_state_topic",
                "percentage_value_template",
            ),
            _command(
                options,
                lambda value: str(round(value / 100 * steps + slowest - 1)),
                "percentage_command_topic",
                "percentage_command_template",
            ),
        ),
        Value(
            "preset_mode",
            Text(_texts(options.get("preset_modes") or ())),
            _reading(options, _text, "preset_mode_state_topic", "preset_mode_value_template"),
            _command(options, str, "preset_mode_command_topic", "preset_mode_command_template"),
        ),
        Value(
            "oscillation",
            Flag(),
            _reading(
                options,
                _flag(*turning),
                "oscillation_state_topic",
                "oscillation_value_template",
            ),
            _command(
                options,
                _either(*turning),
                "oscillation_command_topic",
                "oscillation_command_template",
            ),
        ),
        Value(
            "direction",
            Text(("forward", "reverse")),
            _reading(options, _text, "direction_state_topic", "direction_value_template"),
            _command(options, str, "direction_command_topic", "direction_command_template"),
        ),
    )


COMPONENTS: Final[Mapping[str, Callable[[Options], Parts]]] = {
    "binary_sensor": _binary_sensor,
    "button": _button,
    "climate": _climate,
    "cover": _cover,
    "device_automation": _device_automation,
    "event": _event,
    "fan": _fan,
    "light": _light,
    "lock": _lock,
    "number": _number_entity,
    "select": _select,
    "sensor": _sensor,
    "switch": _switch,
    "text": _text_entity,
}
"""How each supported component is read."""
